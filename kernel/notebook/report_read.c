/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/report_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MIN 6
#define DIGITS_MAX 17 /* that tell any two doubles apart */

const struct report_column report_columns[REPORT_COLUMNS] = {
    { "expected", report_write_number },
    { "actual", report_write_number },
    { "distance", report_write_distance },
    { "relative", report_write_distance },
};

const char *
report_read_text(const json_t *event, const char *name)
{
    const char *text = json_string_value(json_object_get(event, name));

    return text != NULL ? text : "";
}

unsigned long long
report_read_count(const json_t *event, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(event, name));

    return value > 0 ? (unsigned long long)value : 0;
}

struct slice
report_read_line(struct slice *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->length);
    struct slice line = { text->data,
                          end != NULL ? (size_t)(end - text->data) : text->length };

    text->data += line.length + (end != NULL);
    text->length -= line.length + (end != NULL);
    return line;
}

size_t
report_count_lines(struct slice text)
{
    size_t lines = text.length > 0 && text.data[text.length - 1] != '\n';

    for (size_t i = 0; i < text.length; i++)
        lines += text.data[i] == '\n';
    return lines;
}

void
report_write_number(char ret[REPORT_NUMBER_BYTES], const json_t *value)
{
    const char *text = json_string_value(value);

    if (json_is_integer(value)) {
        snprintf(ret, REPORT_NUMBER_BYTES, "%lld", (long long)json_integer_value(value));
        return;
    }
    if (!json_is_real(value)) {
        snprintf(ret, REPORT_NUMBER_BYTES, "%.*s", REPORT_NUMBER_BYTES - 1,
                 text != NULL ? text : "-");
        return;
    }
    for (int digits = DIGITS_MIN; digits <= DIGITS_MAX; digits++) {
        snprintf(ret, REPORT_NUMBER_BYTES, "%.*g", digits, json_real_value(value));
        if (strtod(ret, NULL) == json_real_value(value))
            return;
    }
}

int
report_read_lines(struct buffer *ret, const json_t *lines)
{
    const json_t *line;
    size_t i;
    int r = 0;

    json_array_foreach(lines, i, line)
    {
        struct slice part = parts_slice(line);

        if (r == 0)
            r = buffer_append(ret, part.data, part.length);
        if (r == 0)
            r = buffer_append_text(ret, "\n");
    }
    return r;
}

void
report_write_distance(char ret[REPORT_NUMBER_BYTES], const json_t *value)
{
    if (json_is_number(value))
        snprintf(ret, REPORT_NUMBER_BYTES, "%.3g", json_number_value(value));
    else
        report_write_number(ret, value);
}

bool
report_is_hidden(uint32_t character)
{
    return character == 0x200b || character == 0x200e || character == 0x200f ||
           (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2060 && character <= 0x206f) || character == 0xfeff ||
           character == 0x00ad || character == 0x2028 || character == 0x2029 ||
           (character >= 0xe0000 && character <= 0xe007f);
}

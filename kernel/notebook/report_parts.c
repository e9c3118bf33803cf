/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/report_parts.h"

#include <assert.h>
#include <string.h>

#include "kernel/cli/printable.h"
#include "protocol/cleanup.h"
#include "protocol/text.h"

#define REPLACEMENT "\xef\xbf\xbd"
#define PICTURE_OF_BACKSPACE "\xe2\x90\x88"
#define PICTURE_OF_RETURN "\xe2\x90\x8d"
#define NO_LIMIT (SIZE_MAX / 2) /* for what is bounded by its parts */

static const char *const status_names[] = {
    [PARTS_PASSED] = "passed",   [PARTS_FAILED] = "failed",   [PARTS_ERROR] = "error",
    [PARTS_SKIPPED] = "skipped", [PARTS_NOT_RUN] = "not_run",
};

static_assert(N_ELEMENTS(status_names) == PARTS_STATUSES, "a name for each");

struct slice
parts_slice(const json_t *string)
{
    return (struct slice){ .data = (const uint8_t *)json_string_value(string),
                           .length = json_string_length(string) };
}

struct slice
parts_string(const json_t *object, const char *key)
{
    return parts_slice(json_object_get(object, key));
}

double
parts_number(const json_t *object, const char *key, double otherwise)
{
    const json_t *number = json_object_get(object, key);

    return json_is_number(number) ? json_number_value(number) : otherwise;
}

bool
parts_is_event(const json_t *event, const char *name)
{
    return slice_equals_text(parts_string(event, "event"), name);
}

enum parts_status
parts_status(const json_t *event)
{
    struct slice status = parts_string(event, "status");

    for (size_t i = 0; i < N_ELEMENTS(status_names); i++) {
        if (slice_equals_text(status, status_names[i]))
            return (enum parts_status)i;
    }
    return PARTS_ERROR;
}

const char *
parts_status_name(enum parts_status status)
{
    return status_names[status];
}

double
parts_seconds(const json_t *event)
{
    double seconds = parts_number(event, "seconds", 0);

    if (!(seconds > 0)) /* nor is it NaN */
        return 0;
    return seconds < PARTS_SECONDS_MAX ? seconds : PARTS_SECONDS_MAX;
}

/* Characters that printable lets through, but XML, or YAML within a line, does not: line
 * and paragraph separators and the two that are none. All have three bytes, as the
 * replacement has. */
static void
replace_noncharacters(uint8_t *data, size_t length)
{
    static const char refused[][4] = { "\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbf\xbe",
                                       "\xef\xbf\xbf" };

    for (size_t i = 0; i + 3 <= length; i++) {
        if (data[i] != 0xe2 && data[i] != 0xef)
            continue;
        for (size_t j = 0; j < N_ELEMENTS(refused); j++) {
            if (memcmp(data + i, refused[j], 3) == 0)
                memcpy(data + i, REPLACEMENT, 3);
        }
    }
}

/* All of TEXT, harmless. */
static int
append_harmless(struct buffer *ret, struct slice text)
{
    struct printable printable = { .terminal = true };
    size_t begin = ret->length, done = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i <= text.length; i++) {
        bool is_end = i == text.length;

        if (!is_end && text.data[i] != '\r' && text.data[i] != '\b')
            continue;
        r = printable_append(&printable, (struct slice){ text.data + done, i - done },
                             ret);
        if (r == 0 && !is_end)
            r = buffer_append_text(ret, text.data[i] == '\r' ? PICTURE_OF_RETURN
                                                             : PICTURE_OF_BACKSPACE);
        done = i + 1;
    }
    if (r == 0)
        r = printable_finish(&printable, ret);
    if (r == 0 && ret->length > begin)
        replace_noncharacters(ret->data + begin, ret->length - begin);
    return r;
}

static struct slice
cut(struct slice text, size_t max)
{
    if (text.length > max)
        text.length = text_utf8_whole(text.data, max);
    return text;
}

int
parts_append_plain(struct buffer *ret, struct slice text, size_t max)
{
    struct slice kept = cut(text, max);
    int r;

    if (text.length == 0)
        return 0;
    r = append_harmless(ret, kept);
    if (r == 0 && kept.length < text.length)
        r = buffer_append_format(ret, "\n[... %zu bytes left out]\n",
                                 text.length - kept.length);
    return r;
}

int
parts_append_line(struct buffer *ret, struct slice text, size_t max)
{
    struct slice kept = cut(text, max);
    size_t begin = ret->length, end = begin;
    int r;

    if (text.length == 0)
        return 0;
    r = append_harmless(ret, kept);
    for (size_t i = begin; r == 0 && i < ret->length; i++) {
        uint8_t byte = ret->data[i];
        bool is_space = byte == ' ' || byte == '\n' || byte == '\t';

        if (is_space && (end == begin || ret->data[end - 1] == ' '))
            continue;
        ret->data[end++] = is_space ? ' ' : byte;
    }
    if (r != 0)
        return r;
    ret->length = end > begin && ret->data[end - 1] == ' ' ? end - 1 : end;
    return kept.length < text.length ? buffer_append_text(ret, "...") : 0;
}

/* The lines of PLAIN, which is harmless already. */
static int
append_prefixed(struct buffer *ret, const char *prefix, struct slice plain)
{
    int r = 0;

    while (r == 0 && plain.length > 0) {
        const uint8_t *end = memchr(plain.data, '\n', plain.length);
        size_t length = end != NULL ? (size_t)(end - plain.data) : plain.length;

        r = buffer_append_text(ret, prefix);
        if (r == 0)
            r = buffer_append(ret, plain.data, length);
        if (r == 0)
            r = buffer_append(ret, "\n", 1);
        length += end != NULL;
        plain.data += length;
        plain.length -= length;
    }
    return r;
}

int
parts_append_lines(struct buffer *ret, const char *prefix, struct slice text, size_t max)
{
    struct buffer plain;
    int r;

    buffer_init(&plain, NO_LIMIT);
    r = parts_append_plain(&plain, text, max);
    if (r == 0)
        r = append_prefixed(ret, prefix, buffer_slice(&plain));
    buffer_fini(&plain);
    return r;
}

static const char *
entity_of(uint8_t byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

int
parts_append_xml(struct buffer *ret, struct slice text)
{
    size_t done = 0;
    int r;

    for (size_t i = 0; i < text.length; i++) {
        const char *entity = entity_of(text.data[i]);

        if (entity == NULL)
            continue;
        r = buffer_append(ret, text.data + done, i - done);
        if (r == 0)
            r = buffer_append_text(ret, entity);
        if (r != 0)
            return r;
        done = i + 1;
    }
    return done < text.length ? buffer_append(ret, text.data + done, text.length - done)
                              : 0;
}

int
parts_append_cell_name(struct buffer *ret, const json_t *cell)
{
    struct slice id = parts_string(cell, "id");
    const json_t *number = json_object_get(cell, "cell");
    int r;

    r = json_is_integer(number)
            ? buffer_append_format(ret, "Cell %lld",
                                   (long long)json_integer_value(number))
            : buffer_append_text(ret, "Cell");
    if (r != 0 || id.length == 0)
        return r;
    r = buffer_append_text(ret, " (");
    if (r == 0)
        r = parts_append_line(ret, id, PARTS_LINE_BYTES_MAX);
    return r != 0 ? r : buffer_append_text(ret, ")");
}

int
parts_append_reason(struct buffer *ret, const json_t *event)
{
    const json_t *reason = json_object_get(event, "reason");
    struct slice text = parts_string(reason, "text");

    if (text.length == 0) /* better than nothing */
        text = parts_string(reason, "kind");
    return parts_append_line(ret, text, PARTS_LINE_BYTES_MAX);
}

/* ": TEXT" on one line, or nothing. */
static int
append_labelled(struct buffer *ret, const char *label, struct slice text)
{
    int r;

    if (text.length == 0)
        return 0;
    r = buffer_append_format(ret, "%s: ", label);
    if (r == 0)
        r = parts_append_line(ret, text, PARTS_LINE_BYTES_MAX);
    return r != 0 ? r : buffer_append(ret, "\n", 1);
}

static int
append_heading(struct buffer *ret, const json_t *difference)
{
    const json_t *output = json_object_get(difference, "output");
    struct slice type = parts_string(difference, "type");
    size_t begin = ret->length;
    int r = 0;

    if (json_is_integer(output))
        r = buffer_append_format(ret, "output %lld",
                                 (long long)json_integer_value(output));
    if (r == 0 && type.length > 0 && ret->length > begin)
        r = buffer_append_text(ret, ", ");
    if (r == 0)
        r = parts_append_line(ret, type, PARTS_LINE_BYTES_MAX);
    if (r == 0 && ret->length > begin)
        r = buffer_append_text(ret, ": ");
    begin = ret->length;
    if (r == 0)
        r = parts_append_line(ret, parts_string(difference, "message"),
                              PARTS_LINE_BYTES_MAX);
    if (r == 0 && ret->length == begin) /* it says nothing: what kind, then */
        r = parts_append_line(ret, parts_string(difference, "kind"),
                              PARTS_LINE_BYTES_MAX);
    return r != 0 ? r : buffer_append(ret, "\n", 1);
}

/* What stands before a line of the diff, by its mark. */
static const char *
prefix_of(struct slice mark)
{
    if (slice_equals_text(mark, "-"))
        return "- ";
    if (slice_equals_text(mark, "+"))
        return "+ ";
    return "  ";
}

static int
append_diff_line(struct buffer *ret, const json_t *line, size_t max)
{
    struct slice mark = parts_slice(json_array_get(line, 0));
    struct slice text = parts_slice(json_array_get(line, 1));

    if (slice_equals_text(mark, ".") && text.length == 0)
        return buffer_append_text(ret, "  ...\n");
    if (text.length > 0 && text.data[text.length - 1] == '\n')
        text.length--;
    if (text.length == 0) /* an empty line is one, too */
        return buffer_append_format(ret, "%s\n", prefix_of(mark));
    return parts_append_lines(ret, prefix_of(mark), text, max);
}

/* The line diff, or where there is none the two texts. */
static int
append_diff(struct buffer *ret, const json_t *difference)
{
    const json_t *lines = json_object_get(difference, "lines"), *line;
    size_t begin = ret->length, i;
    int r = 0;

    if (!json_is_array(lines)) {
        r = parts_append_lines(ret, "- ", parts_string(difference, "expected"),
                               PARTS_TEXT_BYTES_MAX / 2);
        return r != 0 ? r
                      : parts_append_lines(ret, "+ ", parts_string(difference, "actual"),
                                           PARTS_TEXT_BYTES_MAX / 2);
    }
    json_array_foreach(lines, i, line)
    {
        if (ret->length - begin > PARTS_TEXT_BYTES_MAX)
            return buffer_append_format(ret, "[... %zu lines left out]\n",
                                        json_array_size(lines) - i);
        r = append_diff_line(ret, line, PARTS_LINE_BYTES_MAX);
        if (r != 0)
            return r;
    }
    return 0;
}

/* A number as JSON has it, or the text that stands for one. */
static int
append_value(struct buffer *ret, const json_t *value)
{
    if (json_is_integer(value))
        return buffer_append_format(ret, "%lld", (long long)json_integer_value(value));
    if (json_is_real(value))
        return buffer_append_format(ret, "%.15g", json_real_value(value));
    if (json_is_string(value))
        return parts_append_line(ret, parts_slice(value), PARTS_LINE_BYTES_MAX);
    return buffer_append_text(ret, "?");
}

static int
append_number(struct buffer *ret, const json_t *number)
{
    const json_t *relative = json_object_get(number, "relative");
    int r;

    r = append_value(ret, json_object_get(number, "actual"));
    if (r == 0)
        r = buffer_append_text(ret, " instead of ");
    if (r == 0)
        r = append_value(ret, json_object_get(number, "expected"));
    if (r == 0)
        r = buffer_append_text(ret, ", distance ");
    if (r == 0)
        r = append_value(ret, json_object_get(number, "distance"));
    if (r == 0 && json_is_number(relative))
        r = buffer_append_format(ret, " (%.3g of it)", json_number_value(relative));
    return r != 0 ? r : buffer_append(ret, "\n", 1);
}

static int
append_rule(struct buffer *ret, const json_t *rule)
{
    int r = append_labelled(ret, "proposed rule: pattern", parts_string(rule, "pattern"));

    return r != 0 ? r : append_labelled(ret, "  replace", parts_string(rule, "replace"));
}

static int
append_each(struct buffer *ret, const json_t *array,
            int (*append)(struct buffer *, const json_t *))
{
    const json_t *element;
    size_t i;
    int r = 0;

    json_array_foreach(array, i, element)
    {
        if (i == PARTS_NUMBERS_MAX)
            return buffer_append_format(ret, "[... %zu more]\n",
                                        json_array_size(array) - i);
        r = append(ret, element);
        if (r != 0)
            break;
    }
    return r;
}

static int
append_image(struct buffer *ret, const json_t *image)
{
    static const char *const files[] = { "expected", "actual", "difference" };
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(files); i++)
        r = append_labelled(ret, files[i], parts_string(image, files[i]));
    return r;
}

int
parts_append_difference(struct buffer *ret, const json_t *difference)
{
    int r = append_heading(ret, difference);

    if (r == 0)
        r = append_diff(ret, difference);
    if (r == 0)
        r = append_each(ret, json_object_get(difference, "numbers"), append_number);
    if (r == 0)
        r = append_image(ret, json_object_get(difference, "image"));
    if (r == 0)
        r = append_each(ret, json_object_get(difference, "rules"), append_rule);
    return r;
}

static int
append_traceback(struct buffer *ret, const json_t *traceback)
{
    size_t begin = ret->length, i;
    const json_t *line;
    int r = 0;

    json_array_foreach(traceback, i, line)
    {
        if (ret->length - begin > PARTS_TEXT_BYTES_MAX)
            return buffer_append_format(ret, "[... %zu parts left out]\n",
                                        json_array_size(traceback) - i);
        r = parts_append_lines(ret, "", parts_slice(line), PARTS_TEXT_BYTES_MAX);
        if (r != 0)
            break;
    }
    return r;
}

static int
append_differences(struct buffer *ret, size_t begin, const json_t *differences)
{
    const json_t *difference;
    size_t i;
    int r = 0;

    json_array_foreach(differences, i, difference)
    {
        if (i == PARTS_DIFFERENCES_MAX || ret->length - begin > PARTS_CELL_BYTES_MAX / 2)
            return buffer_append_format(ret, "[... %zu more differences]\n",
                                        json_array_size(differences) - i);
        r = parts_append_difference(ret, difference);
        if (r != 0)
            break;
    }
    return r;
}

/* Once it is too long, all the same: the parts' bounds add up to little more. */
static int
end_at(struct buffer *ret, size_t begin)
{
    static const char left_out[] = "\n[... the rest is left out]\n";
    size_t room = PARTS_CELL_BYTES_MAX - sizeof left_out;

    if (ret->length - begin <= PARTS_CELL_BYTES_MAX)
        return 0;
    ret->length = begin + text_utf8_whole(ret->data + begin, room);
    return buffer_append_text(ret, left_out);
}

static int
append_words(struct buffer *ret, const char *title, struct slice text)
{
    int r = text.length > 0 ? buffer_append_format(ret, "%s:\n", title) : 0;

    return r != 0 ? r : parts_append_lines(ret, "  ", text, PARTS_TEXT_BYTES_MAX);
}

int
parts_append_cell(struct buffer *ret, const json_t *cell)
{
    size_t begin = ret->length;
    int r = parts_append_reason(ret, cell);

    if (r == 0 && ret->length > begin)
        r = buffer_append(ret, "\n", 1);
    if (r == 0)
        r = append_traceback(ret, json_object_get(cell, "traceback"));
    if (r == 0)
        r = append_words(ret, "the last that it printed", parts_string(cell, "printed"));
    if (r == 0)
        r = append_words(ret, "the interpreter's last words",
                         parts_string(cell, "stderr_tail"));
    if (r == 0)
        r = append_differences(ret, begin, json_object_get(cell, "differences"));
    return r != 0 ? r : end_at(ret, begin);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cli/printable.h"
#include "kernel/notebook/report_read.h"
#include "kernel/notebook/report_text.h"

#define INDENT 4
#define NUMBERS_MAX 10 /* that are shown of a difference */
#define RULES_MAX 10
#define SIDE_LINES_MAX 12 /* of a side that has no line diff */

static void
put_column(struct ink *ink, const char *text, size_t width)
{
    size_t taken = printable_columns(text);

    ink_repeat(ink, ' ', INDENT + (taken < width ? width - taken : 0));
    text_put_line(ink, slice_text(text));
}

static size_t
width_of(const json_t *numbers, const struct report_column *column)
{
    size_t width = strlen(column->member);

    for (size_t row = 0; row < json_array_size(numbers) && row < NUMBERS_MAX; row++) {
        char text[REPORT_NUMBER_BYTES];
        size_t taken;

        column->write(text,
                      json_object_get(json_array_get(numbers, row), column->member));
        taken = printable_columns(text);
        if (taken > width)
            width = taken;
    }
    return width;
}

static void
put_numbers(const struct text_paper *paper, const json_t *numbers)
{
    size_t widths[REPORT_COLUMNS], count = json_array_size(numbers);
    struct ink *ink = paper->ink;

    if (count == 0)
        return;
    for (size_t i = 0; i < REPORT_COLUMNS; i++)
        widths[i] = width_of(numbers, &report_columns[i]);
    ink_text(ink, paper->look->faint);
    for (size_t i = 0; i < REPORT_COLUMNS; i++)
        put_column(ink, report_columns[i].member, widths[i]);
    ink_format(ink, "%s\n", paper->look->end);
    for (size_t row = 0; row < count && row < NUMBERS_MAX; row++) {
        const json_t *number = json_array_get(numbers, row);

        for (size_t i = 0; i < REPORT_COLUMNS; i++) {
            char text[REPORT_NUMBER_BYTES];

            report_columns[i].write(text,
                                    json_object_get(number, report_columns[i].member));
            put_column(ink, text, widths[i]);
        }
        ink_text(ink, "\n");
    }
    if (count > NUMBERS_MAX)
        ink_format(ink, "%*s... %zu more\n", INDENT, "", count - NUMBERS_MAX);
}

static void
put_size(struct ink *ink, const json_t *size)
{
    if (json_array_size(size) == 2)
        ink_format(ink, "%lld x %lld",
                   (long long)json_integer_value(json_array_get(size, 0)),
                   (long long)json_integer_value(json_array_get(size, 1)));
    else
        ink_text(ink, "unknown");
}

static void
put_measure(struct ink *ink, const char *name, double measured, double limit,
            const char *unit)
{
    if (isnan(measured))
        return;
    ink_format(ink, "%*s%s %.4g%s", INDENT, "", name, measured, unit);
    if (!isnan(limit))
        ink_format(ink, ", at most %.4g%s", limit, unit);
    ink_text(ink, "\n");
}

static void
put_picture(const struct text_paper *paper, const json_t *image)
{
    static const struct file {
        const char *member, *label;
    } files[] = {
        { "expected", "expected:   " },
        { "actual", "actual:     " },
        { "difference", "difference: " },
    };
    struct ink *ink = paper->ink;

    if (json_object_size(image) == 0)
        return;
    ink_format(ink, "%*ssize in pixels: expected ", INDENT, "");
    put_size(ink, json_object_get(image, "expected_size"));
    ink_text(ink, ", actual ");
    put_size(ink, json_object_get(image, "actual_size"));
    ink_text(ink, "\n");
    put_measure(ink, "RMS of the samples' difference:", parts_number(image, "rms", NAN),
                parts_number(image, "rms_limit", NAN), "");
    put_measure(ink,
                "pixels that differ visibly:", 100 * parts_number(image, "share", NAN),
                100 * parts_number(image, "share_limit", NAN), " %");
    for (size_t i = 0; i < N_ELEMENTS(files); i++) {
        struct slice path = parts_string(image, files[i].member);

        if (path.length == 0)
            continue;
        ink_format(ink, "%*s%s", INDENT, "", files[i].label);
        text_put_line(ink, path);
        ink_text(ink, "\n");
    }
}

/* To be pasted: JSON that has no other characters than ASCII. */
static void
put_rules(const struct text_paper *paper, const json_t *rules)
{
    size_t count = json_array_size(rules);
    struct ink *ink = paper->ink;

    if (count == 0)
        return;
    if (count > RULES_MAX)
        count = RULES_MAX;
    ink_format(ink, "%*sIn cellwall-test.json this makes them equal:\n", INDENT, "");
    ink_format(ink, "%*s%s\"sanitize\": [\n", INDENT, "", paper->look->good);
    for (size_t i = 0; i < count; i++) {
        char *rule =
            json_dumps(json_array_get(rules, i), JSON_ENSURE_ASCII | JSON_ENCODE_ANY);

        if (rule == NULL) {
            ink->failure = -ENOMEM;
            return;
        }
        ink_repeat(ink, ' ', INDENT + 2);
        text_put_line(ink, slice_text(rule));
        ink_text(ink, i + 1 < count ? ",\n" : "\n");
        free(rule);
    }
    ink_format(ink, "%*s]%s\n", INDENT, "", paper->look->end);
}

/* A side as it is, where the event has no line diff. */
static void
put_side(const struct text_paper *paper, const json_t *difference, size_t side)
{
    static const char *const members[SIDES_COUNT] = { "expected", "actual" };
    struct slice text = parts_string(difference, members[side]);
    struct ink *ink = paper->ink;

    for (size_t i = 0; text.length > 0; i++) {
        struct slice line = report_read_line(&text);

        if (i == SIDE_LINES_MAX) {
            ink_format(ink, "%*s%s  ... more of what was %s%s\n", INDENT, "",
                       paper->look->faint, members[side], paper->look->end);
            return;
        }
        ink_format(ink, "%*s%s%c ", INDENT, "", paper->look->sides[side],
                   side == SIDES_EXPECTED ? '-' : '+');
        text_put_line(ink, line);
        ink_format(ink, "%s\n", paper->look->end);
    }
}

/* "  text/plain, output 1: the sentence" */
static void
put_heading(const struct text_paper *paper, const json_t *difference)
{
    const json_t *output = json_object_get(difference, "output");
    const char *type = report_read_text(difference, "type");
    const char *kind = report_read_text(difference, "kind");
    const char *message = report_read_text(difference, "message");
    struct ink *ink = paper->ink;

    ink_text(ink, "  ");
    text_put_styled(paper, paper->look->title, type[0] != '\0' ? type : "an output");
    if (json_is_integer(output))
        ink_format(ink, ", output %lld", (long long)json_integer_value(output));
    ink_text(ink, ": ");
    text_put_line(ink, slice_text(message[0] != '\0' ? message : kind));
    ink_text(ink, "\n");
}

void
text_put_difference(const struct text_paper *paper, const json_t *difference)
{
    const json_t *lines = json_object_get(difference, "lines");
    const json_t *image = json_object_get(difference, "image");

    put_heading(paper, difference);
    if (json_array_size(lines) > 0) {
        text_put_diff(paper, lines);
    } else if (json_object_size(image) == 0) { /* that of a picture is base64 */
        put_side(paper, difference, SIDES_EXPECTED);
        put_side(paper, difference, SIDES_ACTUAL);
    }
    put_numbers(paper, json_object_get(difference, "numbers"));
    put_picture(paper, image);
    put_rules(paper, json_object_get(difference, "rules"));
}

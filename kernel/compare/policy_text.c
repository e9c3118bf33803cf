/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/difference.h"
#include "kernel/compare/lines.h"
#include "kernel/compare/numbers.h"
#include "kernel/compare/policies.h"
#include "kernel/compare/prepare.h"
#include "kernel/compare/rules.h"
#include "kernel/compare/settings.h"
#include "protocol/error.h"

#define QUOTED_BYTES_MAX 60

static bool
same(struct slice a, struct slice b)
{
    return a.length == b.length &&
           (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static size_t
count_lines(struct slice text)
{
    size_t count = text.length > 0;

    for (size_t i = 0; i < text.length; i++)
        count += text.data[i] == '\n';
    return count;
}

static const char *
plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void
describe_numbers(struct difference *difference, size_t used)
{
    const json_t *pair = json_array_get(difference->numbers, 0);
    const json_t *distance = json_object_get(pair, "distance");

    if (json_is_number(distance))
        snprintf(difference->message + used, sizeof difference->message - used,
                 "; %.15g instead of %.15g: %.3g apart",
                 json_number_value(json_object_get(pair, "actual")),
                 json_number_value(json_object_get(pair, "expected")),
                 json_number_value(distance));
}

/* Says where, and by how much. */
static void
describe(struct difference *difference, const struct lines_difference *lines,
         struct slice expected, struct slice actual)
{
    size_t size = sizeof difference->message;
    size_t was = count_lines(expected), is = count_lines(actual);

    if (was == 0) {
        snprintf(difference->message, size, "%zu line%s where nothing is expected", is,
                 plural(is));
    } else if (is == 0) {
        snprintf(difference->message, size, "nothing where %zu line%s expected", was,
                 was == 1 ? " is" : "s are");
    } else {
        snprintf(difference->message, size,
                 "line %zu differs (%zu line%s expected that did not come, %zu other%s)",
                 lines->first, lines->removed, plural(lines->removed), lines->added,
                 plural(lines->added));
        if (was == 1 && is == 1 && expected.length <= QUOTED_BYTES_MAX &&
            actual.length <= QUOTED_BYTES_MAX)
            snprintf(difference->message, size, "\"%.*s\" instead of \"%.*s\"",
                     (int)actual.length, (const char *)actual.data, (int)expected.length,
                     (const char *)expected.data);
        else if (was == 1 && is == 1)
            snprintf(difference->message, size, "it differs");
        else if (lines->removed == lines->added)
            snprintf(difference->message, size,
                     "%zu of %zu lines differ%s, from line %zu", lines->removed, was,
                     lines->removed == 1 ? "s" : "", lines->first);
        describe_numbers(difference, strlen(difference->message));
    }
}

/* A stream that is there on one side only is a whole output. */
static const char *
kind_of(json_int_t output, struct slice expected, struct slice actual)
{
    if (output != DIFFERENCE_OF_STREAM || (expected.length > 0 && actual.length > 0))
        return "differs";
    return expected.length > 0 ? "missing" : "extra";
}

static int
add(struct findings *findings, const struct policy *policy, json_int_t output,
    const struct slice raw[2], const struct slice prepared[2])
{
    struct lines_difference lines;
    struct difference difference;
    json_t *rules = NULL;
    int r;

    r = lines_compare(&lines, prepared[0], prepared[1], &policy->tolerance);
    if (r < 0)
        return r;
    if (findings->propose)
        r = rules_propose(&rules, findings->settings, policy, lines.pairs, raw[0],
                          raw[1]);
    if (r == 0) {
        difference_init(&difference, policy, output,
                        kind_of(output, prepared[0], prepared[1]), "%s", "");
        difference.numbers = json_incref(lines.numbers);
        describe(&difference, &lines, prepared[0], prepared[1]);
        difference.expected = prepared[0].length > 0 ? prepared[0] : slice_text("");
        difference.actual = prepared[1].length > 0 ? prepared[1] : slice_text("");
        difference.lines = json_incref(lines.lines);
        difference.rules = rules;
        r = findings_add(findings, &difference);
    }
    lines_difference_fini(&lines);
    return r;
}

int
policy_compare_text(struct findings *findings, const struct policy *policy,
                    json_int_t output, struct slice expected, struct slice actual)
{
    const struct slice raw[2] = { expected, actual };
    struct buffer rooms[2];
    struct slice prepared[2];
    struct error err = { 0 };
    int r = 0, side = 0;

    if (same(expected, actual))
        return 0;
    buffer_init(&rooms[0], COMPARE_MESSAGE_BYTES_MAX);
    buffer_init(&rooms[1], COMPARE_MESSAGE_BYTES_MAX);
    for (; r == 0 && side < 2; side++)
        r = prepare_text(findings->settings, policy, raw[side], &rooms[side], &err);
    if (r == 0) {
        prepared[0] = buffer_slice(&rooms[0]);
        prepared[1] = buffer_slice(&rooms[1]);
        if (!same(prepared[0], prepared[1]) &&
            !numbers_texts_agree(prepared[0], prepared[1], &policy->tolerance))
            r = add(findings, policy, output, raw, prepared);
    } else if (r > 0) {
        r = findings_add_invalid(findings, policy, output, side == 2, err.text);
    }
    buffer_fini(&rooms[0]);
    buffer_fini(&rooms[1]);
    return r;
}

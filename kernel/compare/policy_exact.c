/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "kernel/compare/base64.h"
#include "kernel/compare/compare.h"
#include "kernel/compare/difference.h"
#include "kernel/compare/policies.h"
#include "kernel/compare/settings.h"

/* Whether a type is text by itself; of all others the text is base64, if it can be. */
static bool
is_text(const char *type)
{
    return type_matches("text/*", type) || strchr(type, '/') == NULL ||
           strcmp(type, "image/svg+xml") == 0 ||
           strcmp(type, "application/javascript") == 0;
}

static size_t
first_difference(struct slice a, struct slice b)
{
    size_t at = 0;

    while (at < a.length && at < b.length && a.data[at] == b.data[at])
        at++;
    return at;
}

static int
add(struct findings *findings, const struct policy *policy, json_int_t output,
    const struct slice bytes[2], const struct slice text[2])
{
    struct difference difference;
    size_t at = first_difference(bytes[0], bytes[1]);

    if (bytes[0].length == bytes[1].length)
        difference_init(&difference, policy, output, "differs",
                        "its %zu bytes differ from byte %zu on", bytes[0].length, at + 1);
    else
        difference_init(&difference, policy, output, "differs",
                        "%zu bytes instead of %zu, which differ from byte %zu on",
                        bytes[1].length, bytes[0].length, at + 1);
    difference.expected = text[0].length > 0 ? text[0] : slice_text("");
    difference.actual = text[1].length > 0 ? text[1] : slice_text("");
    return findings_add(findings, &difference);
}

int
policy_compare_exact(struct findings *findings, const struct policy *policy,
                     json_int_t output, struct slice expected, struct slice actual)
{
    const struct slice text[2] = { expected, actual };
    struct slice bytes[2] = { expected, actual };
    struct buffer decoded[2];
    int r = COMPARE_E_INVALID;

    buffer_init(&decoded[0], COMPARE_MESSAGE_BYTES_MAX);
    buffer_init(&decoded[1], COMPARE_MESSAGE_BYTES_MAX);
    if (!is_text(policy->type))
        r = base64_decode(expected, &decoded[0]);
    if (r == 0)
        r = base64_decode(actual, &decoded[1]);
    if (r == 0) {
        bytes[0] = buffer_slice(&decoded[0]);
        bytes[1] = buffer_slice(&decoded[1]);
    }
    if (r >= 0) {
        r = 0;
        if (bytes[0].length != bytes[1].length ||
            first_difference(bytes[0], bytes[1]) != bytes[0].length)
            r = add(findings, policy, output, bytes, text);
    }
    buffer_fini(&decoded[0]);
    buffer_fini(&decoded[1]);
    return r;
}

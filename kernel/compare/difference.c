/* SPDX-License-Identifier: MIT */
#include "kernel/compare/difference.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/settings.h"
#include "protocol/text.h"

void
difference_init(struct difference *ret, const struct policy *policy, json_int_t output,
                const char *kind, const char *format, ...)
{
    va_list args;

    *ret = (struct difference){ .output = output, .kind = kind };
    if (policy != NULL) {
        ret->type = policy->type;
        ret->policy = policy_name(policy->kind);
    }
    va_start(args, format);
    vsnprintf(ret->message, sizeof ret->message, format, args);
    va_end(args);
}

bool
findings_are_full(const struct findings *findings)
{
    return json_array_size(findings->differences) >= COMPARE_DIFFERENCES_MAX;
}

static json_t *
string_or_null(const char *text)
{
    return text != NULL ? json_string_nocheck(text) : json_null();
}

/* TEXT up to COMPARE_TEXT_BYTES_MAX. */
static json_t *
shown(struct slice text)
{
    size_t length = text.length;

    if (text.data == NULL)
        return json_null();
    if (length > COMPARE_TEXT_BYTES_MAX)
        length = text_utf8_whole(text.data, COMPARE_TEXT_BYTES_MAX);
    return json_stringn((const char *)text.data, length);
}

/* A message may quote a name that was cut within a character. */
static json_t *
message_of(const char *text)
{
    struct slice slice = slice_text(text);
    json_t *message;
    struct buffer whole;

    buffer_init(&whole, 3 * sizeof((struct difference *)NULL)->message);
    message = text_append_utf8(&whole, slice.data, slice.length) == 0
                  ? json_stringn(whole.length > 0 ? (char *)whole.data : "", whole.length)
                  : NULL;
    buffer_fini(&whole);
    return message;
}

static json_t *
or_else(json_t *tree, json_t *instead)
{
    if (tree == NULL)
        return instead;
    json_decref(instead);
    return tree;
}

int
findings_add(struct findings *findings, struct difference *difference)
{
    json_t *made = NULL;
    int r;

    /* packs in any case: so that the trees are let go */
    made = json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "type",
        string_or_null(difference->type), "output",
        difference->output == DIFFERENCE_OF_STREAM ? json_null()
                                                   : json_integer(difference->output),
        "kind", difference->kind, "policy", string_or_null(difference->policy), "message",
        message_of(difference->message), "expected", shown(difference->expected),
        "actual", shown(difference->actual), "lines",
        or_else(difference->lines, json_null()), "numbers",
        or_else(difference->numbers, json_array()), "image",
        or_else(difference->image, json_null()), "rules",
        or_else(difference->rules, json_array()));
    difference->lines = difference->numbers = difference->image = difference->rules =
        NULL;
    if (made == NULL)
        return -ENOMEM;
    if (findings_are_full(findings)) {
        json_decref(made);
        return 0;
    }
    r = json_array_append_new(findings->differences, made);
    return r != 0 ? -ENOMEM : 0;
}

int
findings_add_invalid(struct findings *findings, const struct policy *policy,
                     json_int_t output, bool is_actual, const char *why)
{
    struct difference difference;

    difference_init(&difference, policy, output, "invalid", "what %s: %s",
                    is_actual ? "came cannot be read" : "is expected cannot be read",
                    why);
    return findings_add(findings, &difference);
}

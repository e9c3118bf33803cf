/* SPDX-License-Identifier: MIT */
/*
 * ask - requests of tests, and what is to be answered
 */
#ifndef TESTS_COMPARE_ASK_H
#define TESTS_COMPARE_ASK_H

/* cmocka wants these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

static const struct json_limits ask_limits = { COMPARE_MESSAGE_BYTES_MAX,
                                               COMPARE_DEPTH_MAX };

static inline json_t *
ask_parse(const char *text)
{
    struct error err = { 0 };
    json_t *tree = NULL;

    if (tree_load(&tree, slice_text(text), &ask_limits, &err) != 0)
        fail_msg("%s: %s", err.text, text);
    return tree;
}

/* Takes REQUEST. The answer is the caller's. */
static inline json_t *
ask(json_t *request)
{
    json_t *answer = NULL;

    assert_non_null(request);
    assert_int_equal(compare_answer(&answer, request), 0);
    json_decref(request);
    return answer;
}

/* All three are JSON; SETTINGS may be NULL. */
static inline json_t *
ask_outputs(const char *settings, const char *expected, const char *actual)
{
    return ask(json_pack("{s:o, s:o, s:o}", "settings",
                         settings != NULL ? ask_parse(settings) : json_object(),
                         "expected", ask_parse(expected), "actual", ask_parse(actual)));
}

/* EXPECTED and ACTUAL are texts of stdout. */
static inline json_t *
ask_texts(const char *settings, const char *expected, const char *actual)
{
    static const char form[] = "[{s:s, s:s, s:s}]";

    return ask(json_pack(
        "{s:o, s:o, s:o}", "settings",
        settings != NULL ? ask_parse(settings) : json_object(), "expected",
        json_pack(form, "output_type", "stream", "name", "stdout", "text", expected),
        "actual",
        json_pack(form, "output_type", "stream", "name", "stdout", "text", actual)));
}

/* Values of one type, in a display. */
static inline json_t *
ask_type(const char *settings, const char *type, json_t *expected, json_t *actual)
{
    static const char form[] = "[{s:s, s:{}, s:{s:o}}]";

    return ask(json_pack("{s:o, s:o, s:o}", "settings",
                         settings != NULL ? ask_parse(settings) : json_object(),
                         "expected",
                         json_pack(form, "output_type", "display_data", "metadata",
                                   "data", type, expected),
                         "actual",
                         json_pack(form, "output_type", "display_data", "metadata",
                                   "data", type, actual)));
}

static inline bool
agrees(const json_t *answer)
{
    bool agree = json_is_true(json_object_get(answer, "agree"));

    assert_true(agree == (json_array_size(json_object_get(answer, "differences")) == 0 &&
                          json_object_get(answer, "error") == NULL));
    return agree;
}

static inline json_t *
difference_of(const json_t *answer, size_t i)
{
    return json_array_get(json_object_get(answer, "differences"), i);
}

static inline const char *
text_in(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text != NULL ? text : "";
}

/* One row of a table: what is to come of two texts. */
struct ask_row {
    const char *settings, *expected, *actual;
    const char
        *message; /* NULL: they agree; else a part of the message, or of the error */
};

/* Takes ANSWER. */
static inline void
check_row(const struct ask_row *row, json_t *answer)
{
    const char *message = text_in(difference_of(answer, 0), "message");

    if (json_object_get(answer, "error") != NULL)
        message = text_in(answer, "error");
    if (row->message == NULL && !agrees(answer))
        fail_msg("\"%s\" and \"%s\" (%s) do not agree: %s", row->expected, row->actual,
                 row->settings != NULL ? row->settings : "", message);
    if (row->message != NULL && agrees(answer))
        fail_msg("\"%s\" and \"%s\" (%s) agree", row->expected, row->actual,
                 row->settings != NULL ? row->settings : "");
    if (row->message != NULL && strstr(message, row->message) == NULL)
        fail_msg("\"%s\" and \"%s\" (%s): %s, without: %s", row->expected, row->actual,
                 row->settings != NULL ? row->settings : "", message, row->message);
    json_decref(answer);
}

#define CHECK_TEXTS(rows)                                                                \
    do {                                                                                 \
        for (size_t i_ = 0; i_ < N_ELEMENTS(rows); i_++)                                 \
            check_row(&(rows)[i_], ask_texts((rows)[i_].settings, (rows)[i_].expected,   \
                                             (rows)[i_].actual));                        \
    } while (0)

#endif

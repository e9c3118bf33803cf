/* SPDX-License-Identifier: MIT */
#include "kernel/agent/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/tree.h"

/* The content of the reply, as a client reads it. */
static json_t *
read_reply(const struct refusal *no)
{
    static const struct json_limits limits = { 1 << 20, 32 };
    json_t *content = NULL;
    struct buffer out;

    buffer_init(&out, 1 << 20);
    assert_int_equal(refusal_append(no, &out), 0);
    assert_int_equal(tree_load_object(&content, buffer_slice(&out), &limits, NULL), 0);
    buffer_fini(&out);
    return content;
}

static const char *
member(const json_t *content, const char *name)
{
    const char *text = json_string_value(json_object_get(content, name));

    assert_non_null(text);
    return text;
}

static void
test_a_reply_has_code_message_suggestion_and_details(void **state)
{
    CLEANUP(refusal_fini) struct refusal no = { .details = NULL };
    CLEANUP(tree_decrefp) json_t *content = NULL;

    (void)state;
    assert_int_equal(refusal_set(&no, REFUSAL_QUEUE_FULL, "%d wait in \"%s\"", 64, "a"),
                     AGENT_E_REFUSED);
    assert_int_equal(refusal_detail(&no, "limit", json_integer(64)), AGENT_E_REFUSED);
    assert_int_equal(refusal_detail(&no, "retry", json_true()), AGENT_E_REFUSED);
    content = read_reply(&no);
    assert_int_equal(json_object_size(content), 5);
    assert_string_equal(member(content, "status"), "error");
    assert_string_equal(member(content, "code"), "QUEUE_FULL");
    assert_string_equal(member(content, "message"), "64 wait in \"a\"");
    assert_string_not_equal(member(content, "suggestion"), "");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(content, "details"), "limit")),
        64);
    assert_int_equal(json_object_size(json_object_get(content, "details")), 2);
}

static void
test_details_are_an_object_even_without_any(void **state)
{
    CLEANUP(refusal_fini) struct refusal no = { .details = NULL };
    CLEANUP(tree_decrefp) json_t *content = NULL;

    (void)state;
    refusal_set(&no, REFUSAL_CANCELLED, "it was cancelled");
    content = read_reply(&no);
    assert_true(json_is_object(json_object_get(content, "details")));
    assert_int_equal(json_object_size(json_object_get(content, "details")), 0);
}

static void
test_every_code_has_a_name_of_its_own_and_a_suggestion(void **state)
{
    (void)state;
    for (int code = 0; code < REFUSAL_END; code++) {
        CLEANUP(refusal_fini) struct refusal no = { .details = NULL };
        CLEANUP(tree_decrefp) json_t *content = NULL;
        const char *name = refusal_name((enum refusal_code)code);

        assert_int_equal(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(name));
        for (int other = 0; other < code; other++)
            assert_string_not_equal(name, refusal_name((enum refusal_code)other));
        refusal_set(&no, (enum refusal_code)code, "no");
        content = read_reply(&no);
        assert_string_equal(member(content, "code"), name);
        assert_string_not_equal(member(content, "suggestion"), "");
    }
}

static void
test_a_long_message_is_cut_and_stays_text(void **state)
{
    CLEANUP(refusal_fini) struct refusal no = { .details = NULL };
    CLEANUP(tree_decrefp) json_t *content = NULL;
    char text[2 * REFUSAL_TEXT_BYTES + 2] = "x"; /* a character is cut in two */

    (void)state;
    for (size_t i = 0; i < REFUSAL_TEXT_BYTES; i++)
        memcpy(text + 1 + 2 * i, "\xc3\xa9", 3);
    refusal_set(&no, REFUSAL_TOO_LARGE, "%s", text);
    content = read_reply(&no);
    assert_memory_equal(member(content, "message"), text, REFUSAL_TEXT_BYTES - 2);
    assert_true(strlen(member(content, "message")) < REFUSAL_TEXT_BYTES + 2);
}

static void
test_whatever_a_message_quotes_is_escaped(void **state)
{
    CLEANUP(refusal_fini) struct refusal no = { .details = NULL };
    CLEANUP(tree_decrefp) json_t *content = NULL;

    (void)state;
    refusal_set(&no, REFUSAL_PATH_INVALID, "%s", "a\"\\\n\x01\x7f\xff,\"code\":\"OK\"");
    content = read_reply(&no);
    assert_string_equal(member(content, "code"), "PATH_INVALID");
    assert_string_equal(member(content, "message"),
                        "a\"\\\n\x01\x7f\xef\xbf\xbd,\"code\":\"OK\"");
}

static void
test_the_last_word_is_what_is_told(void **state)
{
    CLEANUP(refusal_fini) struct refusal no = { .details = NULL };

    (void)state;
    refusal_set(&no, REFUSAL_CANCELLED, "a longer sentence");
    refusal_set(&no, REFUSAL_ABORTED, "short");
    assert_int_equal(no.code, REFUSAL_ABORTED);
    assert_string_equal(no.message, "short");
}

static void
test_a_reply_that_has_no_room_is_told(void **state)
{
    struct refusal no = { .details = NULL };
    struct buffer out;
    size_t whole;

    (void)state;
    refusal_set(&no, REFUSAL_TOO_LARGE, "too large");
    refusal_detail(&no, "limit", json_integer(7));
    buffer_init(&out, 1 << 20);
    assert_int_equal(refusal_append(&no, &out), 0);
    whole = out.length;
    buffer_fini(&out);
    for (size_t limit = 0; limit <= whole; limit++) {
        buffer_init(&out, limit);
        assert_int_equal(refusal_append(&no, &out), limit < whole ? BUFFER_E_FULL : 0);
        buffer_fini(&out);
    }
    refusal_fini(&no);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reply_has_code_message_suggestion_and_details),
        cmocka_unit_test(test_details_are_an_object_even_without_any),
        cmocka_unit_test(test_every_code_has_a_name_of_its_own_and_a_suggestion),
        cmocka_unit_test(test_a_long_message_is_cut_and_stays_text),
        cmocka_unit_test(test_whatever_a_message_quotes_is_escaped),
        cmocka_unit_test(test_the_last_word_is_what_is_told),
        cmocka_unit_test(test_a_reply_that_has_no_room_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

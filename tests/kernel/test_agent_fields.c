/* SPDX-License-Identifier: MIT */
#include "kernel/agent/fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/agent/refusal.h"
#include "protocol/cleanup.h"
#include "protocol/tree.h"

static const struct field fields[] = {
    { .name = "text", .kind = FIELD_TEXT, .min = 1, .max = 4 },
    { .name = "name", .kind = FIELD_NAME, .min = 1, .max = 4 },
    { .name = "flag", .kind = FIELD_BOOL },
    { .name = "integer", .kind = FIELD_INTEGER, .min = -2, .max = 7 },
    { .name = "large", .kind = FIELD_INTEGER, .max = INT64_MAX / 2 },
    { .name = "number", .kind = FIELD_NUMBER, .min = 0, .max = 7 },
    { .name = "choice", .kind = FIELD_CHOICE, .choices = "one|two|three" },
    { .name = "strings", .kind = FIELD_STRINGS, .max = 2 },
    { .name = "object", .kind = FIELD_OBJECT },
    { .name = "handle", .kind = FIELD_HANDLE },
    { .name = NULL },
};

static json_t *
load(const char *text)
{
    static const struct json_limits limits = { 1 << 20, 32 };
    json_t *content = NULL;

    if (tree_load_object(&content, slice_text(text), &limits, NULL) != 0)
        fail_msg("not JSON: %s", text);
    return content;
}

static int
check(const char *text, struct refusal *no)
{
    CLEANUP(tree_decrefp) json_t *content = load(text);

    *no = (struct refusal){ .code = REFUSAL_END };
    return fields_check(fields, content, no);
}

static void
assert_taken(const char *text)
{
    struct refusal no;

    if (check(text, &no) != 0)
        fail_msg("%s: %s", text, no.message);
    assert_int_equal(no.code, REFUSAL_END);
    assert_null(no.details);
}

/* For FIELD, which the details name, and with TOLD in the sentence. */
static void
assert_refused(const char *text, const char *field, const char *told)
{
    struct refusal no;

    if (check(text, &no) != AGENT_E_REFUSED)
        fail_msg("taken: %s", text);
    assert_int_equal(no.code, REFUSAL_INVALID_ARGUMENT);
    assert_string_equal(json_string_value(json_object_get(no.details, "field")), field);
    if (strstr(no.message, told) == NULL)
        fail_msg("%s: %s", text, no.message);
    refusal_fini(&no);
}

static void
test_each_kind_takes_what_it_may_be(void **state)
{
    static const char *const taken[] = {
        "{}",
        "{\"text\":\"a\"}",
        "{\"text\":\"a\\u0000bc\"}",
        "{\"text\":\"\xf0\x9f\x98\x80\"}",
        "{\"name\":\"abcd\"}",
        "{\"flag\":true}",
        "{\"flag\":false}",
        "{\"integer\":-2}",
        "{\"integer\":7}",
        "{\"large\":4611686018427387903}",
        "{\"number\":7}",
        "{\"number\":0.001}",
        "{\"choice\":\"one\"}",
        "{\"choice\":\"three\"}",
        "{\"strings\":{}}",
        "{\"strings\":{\"a\":\"\",\"b\":\"c\"}}",
        "{\"object\":{\"any\":[1,{}]}}",
        "{\"handle\":\"ctx\"}",
        "{\"handle\":{\"id\":\"ctx\",\"epoch\":1}}",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(taken); i++)
        assert_taken(taken[i]);
}

static void
test_each_kind_refuses_what_it_must_not_be(void **state)
{
    static const struct {
        const char *text, *field, *told;
    } rows[] = {
        { "{\"text\":\"\"}", "text", "from 1 to 4 bytes, and has 0" },
        { "{\"text\":\"abcde\"}", "text", "and has 5" },
        { "{\"text\":\"\xf0\x9f\x98\x80!\"}", "text", "and has 5" },
        { "{\"text\":1}", "text", "must be a string" },
        { "{\"text\":[\"a\"]}", "text", "must be a string" },
        { "{\"name\":\"a\\u0000b\"}", "name", "NUL" },
        { "{\"name\":\"\\u0000\"}", "name", "NUL" },
        { "{\"flag\":1}", "flag", "true or false" },
        { "{\"flag\":\"true\"}", "flag", "true or false" },
        { "{\"integer\":8}", "integer", "from -2 to 7" },
        { "{\"integer\":-3}", "integer", "from -2 to 7" },
        { "{\"integer\":1.0}", "integer", "must be an integer" },
        { "{\"integer\":\"1\"}", "integer", "must be an integer" },
        { "{\"integer\":99999999999999999999999}", "integer", "must be an integer" },
        { "{\"large\":4611686018427387904}", "large", "must be from" },
        { "{\"large\":9223372036854775807}", "large", "must be from" },
        { "{\"number\":7.0000001}", "number", "from 0 to 7" },
        { "{\"number\":-1e-300}", "number", "from 0 to 7" },
        { "{\"number\":1e999}", "number", "from 0 to 7" },
        { "{\"number\":true}", "number", "must be a number" },
        { "{\"choice\":\"\"}", "choice", "one of one|two|three" },
        { "{\"choice\":\"on\"}", "choice", "one of" },
        { "{\"choice\":\"one|two\"}", "choice", "one of" },
        { "{\"choice\":\"one\\u0000\"}", "choice", "one of" },
        { "{\"choice\":[\"one\"]}", "choice", "one of" },
        { "{\"strings\":[]}", "strings", "an object of strings" },
        { "{\"strings\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}}", "strings", "too many" },
        { "{\"strings\":{\"a\":1}}", "strings", "strings alone" },
        { "{\"strings\":{\"a\":null}}", "strings", "strings alone" },
        { "{\"strings\":{\"a\":\"b\\u0000\"}}", "strings", "without NUL" },
        { "{\"object\":[]}", "object", "must be an object" },
        { "{\"handle\":7}", "handle", "a string or an object" },
        { "{\"handle\":[]}", "handle", "a string or an object" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        assert_refused(rows[i].text, rows[i].field, rows[i].told);
}

static void
test_strings_of_an_object_are_bounded(void **state)
{
    struct buffer text;

    (void)state;
    buffer_init(&text, 1 << 20);
    assert_int_equal(buffer_append_text(&text, "{\"strings\":{\"a\":\""), 0);
    for (int i = 0; i < FIELDS_STRING_BYTES_MAX; i++)
        assert_int_equal(buffer_append_text(&text, "x"), 0);
    assert_int_equal(buffer_append(&text, "\"}}", 4), 0);
    assert_taken((const char *)text.data);
    text.length -= 4;
    assert_int_equal(buffer_append(&text, "x\"}}", 5), 0);
    assert_refused((const char *)text.data, "strings", "64 KiB");
    buffer_fini(&text);
}

static void
test_a_member_that_no_row_names_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"timeout\":1}", "timeout", "is not a member");
    assert_refused("{\"\":1}", "", "is not a member");
    assert_refused("{\"Text\":\"a\"}", "Text", "is not a member");
    assert_refused("{\"texts\":null}", "texts", "is not a member");
}

/* A sentence is short and can be sent, whatever the member is called. */
static void
test_a_name_is_cut_in_the_sentence_not_in_the_details(void **state)
{
    char text[2000] = "{\"", name[1000] = "";
    CLEANUP(tree_decrefp) json_t *reply = NULL;
    struct refusal no;
    struct buffer out;

    (void)state;
    strcat(name, "x");
    for (int i = 0; i < 400; i++)
        strcat(name, "\xc3\xa9");
    strcat(strcat(text, name), "\":1}");
    assert_int_equal(check(text, &no), AGENT_E_REFUSED);
    assert_true(strlen(no.message) < 128);
    buffer_init(&out, 1 << 20);
    assert_int_equal(refusal_append(&no, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    reply = load((const char *)out.data);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(reply, "details"), "field")),
        name);
    buffer_fini(&out);
    refusal_fini(&no);
}

static void
test_null_is_as_if_it_were_not_there(void **state)
{
    CLEANUP(tree_decrefp)
    json_t *content = load("{\"flag\":null,\"integer\":null,\"text\":\"a\"}");
    struct refusal no = { .details = NULL };

    (void)state;
    assert_int_equal(fields_check(fields, content, &no), 0);
    assert_int_equal(json_object_size(content), 1);
    assert_true(fields_flag(content, "flag", true));
    assert_int_equal(fields_integer(content, "integer", 5), 5);
}

static void
test_what_is_required_must_be_there(void **state)
{
    static const struct field required[] = {
        { .name = "code", .kind = FIELD_TEXT, .required = true, .max = 10 },
        { .name = NULL },
    };
    static const char *const missing[] = { "{}", "{\"code\":null}" };
    struct refusal no = { .details = NULL };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(missing); i++) {
        CLEANUP(tree_decrefp) json_t *content = load(missing[i]);

        assert_int_equal(fields_check(required, content, &no), AGENT_E_REFUSED);
        assert_string_equal(no.message, "\"code\" is missing");
        refusal_fini(&no);
    }
    for (int i = 0; i < 2; i++) {
        CLEANUP(tree_decrefp) json_t *content = load("{\"code\":\"\"}");

        assert_int_equal(fields_check(required, content, &no), 0);
    }
}

static void
test_values_are_read_or_what_is_said_instead(void **state)
{
    CLEANUP(tree_decrefp)
    json_t *content = load("{\"flag\":false,\"integer\":-2,\"text\":\"ab\"}");

    (void)state;
    assert_false(fields_flag(content, "flag", true));
    assert_true(fields_flag(content, "other", true));
    assert_false(fields_flag(content, "other", false));
    assert_int_equal(fields_integer(content, "integer", 5), -2);
    assert_int_equal(fields_integer(content, "other", 5), 5);
    assert_string_equal(fields_text(content, "text", "no"), "ab");
    assert_string_equal(fields_text(content, "other", "no"), "no");
    assert_null(fields_text(content, "flag", NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_takes_what_it_may_be),
        cmocka_unit_test(test_each_kind_refuses_what_it_must_not_be),
        cmocka_unit_test(test_strings_of_an_object_are_bounded),
        cmocka_unit_test(test_a_member_that_no_row_names_is_refused),
        cmocka_unit_test(test_a_name_is_cut_in_the_sentence_not_in_the_details),
        cmocka_unit_test(test_null_is_as_if_it_were_not_there),
        cmocka_unit_test(test_what_is_required_must_be_there),
        cmocka_unit_test(test_values_are_read_or_what_is_said_instead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

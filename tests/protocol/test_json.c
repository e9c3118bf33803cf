/* SPDX-License-Identifier: MIT */
#include "protocol/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

static const struct json_limits limits = { 1 << 20, 64 };

static int
scan(const char *text)
{
    return json_scan(slice_text(text), &limits, NULL);
}

static unsigned
has(const char *text)
{
    struct json_facts facts = { 0 };

    assert_int_equal(json_scan_facts(slice_text(text), &limits, &facts, NULL), 0);
    return facts.has;
}

static void
assert_member(const char *object, const char *key, const char *expected)
{
    struct slice value = { 0 };

    assert_int_equal(scan(object), 0);
    assert_int_equal(json_member(slice_text(object), key, &value), 0);
    if (!slice_equals_text(value, expected))
        fail_msg("%s: got %.*s", object, (int)value.length, (const char *)value.data);
}

static void
test_json_of_every_kind_is_taken(void **state)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "1",
        "-12.50e+3",
        "1E5",
        "0.0e-0",
        "true",
        "false",
        "null",
        "\"\"",
        "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD83D\\ude00\"",
        "[]",
        "[1]",
        "[1,2,[3]]",
        "{}",
        "{\"a\":1}",
        "{\"a\":{\"b\":[{}]},\"a\":2}",
        " \t\r\n[ 1 , 2 ] \n",
        "{ \"a\" : 1 , \"b\" : [ ] }",
        "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "\"\x7f\"",
        "[\"a\",\"b\"]",
        "\"[{\\\"\"",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        if (scan(texts[i]) != 0)
            fail_msg("%s", texts[i]);
    }
}

static void
test_what_is_not_json_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulL",
        "True",
        "NaN",
        "Infinity",
        "-Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "\"",
        "\"a",
        "'a'",
        "\"\\\"",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\",
        "\"\\u",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "}",
        "{1:2}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{,}",
        "[}",
        "{]",
        "[1}",
        "{\"a\":1]",
        "1 2",
        "{}{}",
        "{}x",
        "null,",
        "/**/1",
        "1//",
        "\xef\xbb\xbf{}",
        "\v1",
        "\"a\"b",
        "{\"a\":1 \"b\":2}",
        "{\"a\":,\"b\":1}",
        "[\"a\":1]",
        "{\"a\",1}",
        "{\"a\"::1}",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct error err = { 0 };

        if (json_scan(slice_text(texts[i]), &limits, &err) != JSON_E_INVALID)
            fail_msg("%s", texts[i]);
        assert_int_equal(err.code, JSON_E_INVALID);
    }
}

static void
test_raw_control_characters_are_refused_in_strings_and_between_values(void **state)
{
    (void)state;
    for (int c = 0; c < 0x20; c++) {
        char text[40];

        memset(text, 'a', sizeof text);
        text[0] = text[sizeof text - 1] = '"';
        text[20] = (char)c;
        assert_int_equal(
            json_scan((struct slice){ (uint8_t *)text, sizeof text }, &limits, NULL),
            JSON_E_INVALID);
    }
    assert_int_equal(
        json_scan((struct slice){ (const uint8_t *)"1\0", 2 }, &limits, NULL),
        JSON_E_INVALID);
    assert_int_equal(
        json_scan((struct slice){ (const uint8_t *)"\"\\\0\"", 4 }, &limits, NULL),
        JSON_E_INVALID);
}

static void
test_ill_formed_utf8_is_refused_at_every_place(void **state)
{
    static const char *const bad[] = {
        "\xff", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
        for (size_t at = 1; at < 20; at++) {
            char text[40] = "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";

            memcpy(text + at, bad[i], strlen(bad[i]));
            assert_int_equal(scan(text), JSON_E_INVALID);
        }
        assert_int_equal(scan(bad[i]), JSON_E_INVALID);
    }
    assert_int_equal(scan("{\"\xff\":1}"), JSON_E_INVALID);
}

static void
test_every_truncation_is_refused(void **state)
{
    const char *text = "{\"a\\u0041\xc3\xa4\": [1.5e3, true, null, \"\\ud83d\\ude00\"]}";
    struct slice slice = slice_text(text);

    (void)state;
    assert_int_equal(scan(text), 0);
    while (slice.length-- > 0) {
        /* On the heap, so that a read past the end is seen. */
        CLEANUP(freep) uint8_t *copy = malloc(slice.length + 1);

        assert_non_null(copy);
        memcpy(copy + 1, slice.data, slice.length);
        assert_int_equal(
            json_scan((struct slice){ copy + 1, slice.length }, &limits, NULL),
            JSON_E_INVALID);
    }
}

static void
test_size_is_bounded_before_anything_is_read(void **state)
{
    struct json_limits three = { 3, 8 };

    (void)state;
    assert_int_equal(json_scan(slice_text("123"), &three, NULL), 0);
    assert_int_equal(json_scan(slice_text("1234"), &three, NULL), JSON_E_TOO_LARGE);
    assert_int_equal(json_scan((struct slice){ NULL, SIZE_MAX }, &three, NULL),
                     JSON_E_TOO_LARGE);
}

static void
test_depth_is_bounded(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 3];

    (void)state;
    for (unsigned depth = 1; depth <= JSON_DEPTH_MAX; depth++) {
        struct json_limits enough = { sizeof text, depth };
        struct json_limits less = { sizeof text, depth - 1 };
        struct slice slice = { (uint8_t *)text, 2 * depth };

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(json_scan(slice, &enough, NULL), 0);
        assert_int_equal(json_scan(slice, &less, NULL), JSON_E_TOO_DEEP);
    }
    memset(text, '[', sizeof text);
    assert_int_equal(json_scan((struct slice){ (uint8_t *)text, sizeof text },
                               &(struct json_limits){ sizeof text, JSON_DEPTH_MAX },
                               NULL),
                     JSON_E_TOO_DEEP);
    assert_int_equal(json_scan(slice_text("1"), &(struct json_limits){ 9, 0 }, NULL), 0);
}

static void
test_objects_and_arrays_close_in_their_own_order(void **state)
{
    (void)state;
    assert_int_equal(scan("[{\"a\":[{}]},[]]"), 0);
    assert_int_equal(scan("[{\"a\":[{]}},[]]"), JSON_E_INVALID);
    assert_int_equal(scan("{\"a\":[}]"), JSON_E_INVALID);
    /* A bit left over from a deeper object must not make an array an object. */
    assert_int_equal(scan("[{\"a\":{\"b\":1}},[1,[2,[3,4]]]]"), 0);
    assert_int_equal(scan("[{\"a\":{\"b\":1}},[1,[2,[3:4]]]]"), JSON_E_INVALID);
}

static void
test_facts_tell_what_parsers_differ_about(void **state)
{
    (void)state;
    assert_int_equal(has("{\"a\":[1,\"\\u0041\\ud83d\\ude00\",1.5,1e99]}"), 0);
    assert_int_equal(has("\"\\u0000\""), JSON_HAS_NUL);
    assert_int_equal(has("{\"\\u0000\":1}"), JSON_HAS_NUL);
    assert_int_equal(has("\"\\ud83d\""), JSON_HAS_LONE_SURROGATE);
    assert_int_equal(has("\"\\ude00\\ud83d\""), JSON_HAS_LONE_SURROGATE);
    assert_int_equal(has("\"\\ud83d\\ud83d\\ude00\""), JSON_HAS_LONE_SURROGATE);
    assert_int_equal(has("\"\\ud83dx\""), JSON_HAS_LONE_SURROGATE);
    assert_int_equal(has("\"\\\\ud83d\""), 0);
    assert_int_equal(has("1180591620717411303424"), JSON_HAS_LARGE_NUMBER);
    assert_int_equal(has("-9223372036854775809"), JSON_HAS_LARGE_NUMBER);
    assert_int_equal(has("999999999999999999"), 0);
    assert_int_equal(has("1e999"), JSON_HAS_LARGE_NUMBER);
    assert_int_equal(has("\"\\u0000\\ud800\""), JSON_HAS_NUL | JSON_HAS_LONE_SURROGATE);
}

static void
test_facts_count_the_values(void **state)
{
    struct json_facts facts;

    (void)state;
    assert_int_equal(json_scan_facts(slice_text("{\"a\":[1,2,{}],\"b\":\"x\"}"), &limits,
                                     &facts, NULL),
                     0);
    assert_int_equal(facts.values, 6);
}

static void
test_errors_name_the_place(void **state)
{
    struct error err = { 0 }, end = { 0 };

    (void)state;
    json_scan(slice_text("{\"a\":nope}"), &limits, &err);
    assert_string_equal(err.text, "not JSON at byte 5: expected a value");
    json_scan(slice_text("[1,"), &limits, &end);
    assert_string_equal(end.text, "JSON ends too early, at byte 3");
}

static void
test_scan_object_wants_an_object(void **state)
{
    struct error err = { 0 };

    (void)state;
    assert_int_equal(json_scan_object(slice_text(" {} "), &limits, NULL), 0);
    assert_int_equal(json_scan_object(slice_text("[]"), &limits, &err), JSON_E_TYPE);
    assert_string_equal(err.text, "expected an object, got an array");
    assert_int_equal(json_scan_object(slice_text("{"), &limits, NULL), JSON_E_INVALID);
}

static void
test_kinds_are_told_by_the_first_byte(void **state)
{
    (void)state;
    assert_int_equal(json_kind(slice_text(" {}")), JSON_KIND_OBJECT);
    assert_int_equal(json_kind(slice_text("[]")), JSON_KIND_ARRAY);
    assert_int_equal(json_kind(slice_text("\"\"")), JSON_KIND_STRING);
    assert_int_equal(json_kind(slice_text("true")), JSON_KIND_BOOL);
    assert_int_equal(json_kind(slice_text("false")), JSON_KIND_BOOL);
    assert_int_equal(json_kind(slice_text("null")), JSON_KIND_NULL);
    assert_int_equal(json_kind(slice_text("-1")), JSON_KIND_NUMBER);
}

static void
test_member_finds_the_raw_value(void **state)
{
    (void)state;
    assert_member("{\"a\":1}", "a", "1");
    assert_member(" { \"b\" : [ 1 , { } ] , \"a\" : \"x y\" } ", "b", "[ 1 , { } ]");
    assert_member("{\"b\":\"\\\\\",\"a\":\"\\\"}\"}", "a", "\"\\\"}\"");
    assert_member("{\"b\":\"]}\\\"\",\"a\":{\"a\":2}}", "a", "{\"a\":2}");
    assert_member("{\"\":true}", "", "true");
    assert_member("{\"a\":-1.5e3 }", "a", "-1.5e3");
}

static void
test_member_looks_at_the_top_level_only(void **state)
{
    struct slice value;

    (void)state;
    assert_int_equal(
        json_member(slice_text("{\"b\":{\"a\":1},\"c\":[\"a\"]}"), "a", &value),
        JSON_E_MISSING);
    assert_int_equal(json_member(slice_text("{}"), "a", &value), JSON_E_MISSING);
    assert_int_equal(json_member(slice_text("[\"a\",1]"), "a", &value), JSON_E_TYPE);
    assert_int_equal(json_member(slice_text("\"a\""), "a", &value), JSON_E_TYPE);
}

static void
test_the_last_of_equal_names_counts(void **state)
{
    (void)state;
    assert_member("{\"a\":1,\"b\":2,\"a\":3}", "a", "3");
}

static void
test_names_are_compared_decoded(void **state)
{
    (void)state;
    assert_member("{\"d\\u0061ta\":1}", "data", "1");
    assert_member("{\"\\u00e4\":1}", "\xc3\xa4", "1");
    assert_member("{\"\\ud83d\\ude00\":1}", "\xf0\x9f\x98\x80", "1");
    assert_member("{\"a\\/b\":1}", "a/b", "1");
    assert_false(json_string_equals(slice_text("\"ab\""), "a"));
    assert_false(json_string_equals(slice_text("\"a\""), "ab"));
    assert_false(json_string_equals(slice_text("\"a\\u0000\""), "a"));
    assert_false(json_string_equals(slice_text("1"), "1"));
}

static void
test_next_walks_objects_and_arrays(void **state)
{
    struct json_iterator iterator;
    struct slice key, value;

    (void)state;
    assert_int_equal(json_iterate(&iterator, slice_text(" [ 1 ,\"a,]\", [2,3] ] ")), 0);
    assert_true(json_next(&iterator, &key, &value));
    assert_true(slice_equals_text(value, "1"));
    assert_int_equal(key.length, 0);
    assert_true(json_next(&iterator, NULL, &value));
    assert_true(slice_equals_text(value, "\"a,]\""));
    assert_true(json_next(&iterator, NULL, &value));
    assert_true(slice_equals_text(value, "[2,3]"));
    assert_false(json_next(&iterator, NULL, &value));

    assert_int_equal(json_iterate(&iterator, slice_text("{\"a\":{} , \"b\":null}")), 0);
    assert_true(json_next(&iterator, &key, &value));
    assert_true(slice_equals_text(key, "\"a\""));
    assert_true(slice_equals_text(value, "{}"));
    assert_true(json_next(&iterator, &key, &value));
    assert_true(slice_equals_text(value, "null"));
    assert_false(json_next(&iterator, &key, &value));
    assert_int_equal(json_iterate(&iterator, slice_text("\"x\"")), JSON_E_TYPE);
}

static void
test_a_walk_meets_everything_in_order(void **state)
{
    static const struct {
        enum json_event event;
        const char *text;
    } expected[] = {
        { JSON_EVENT_OPEN, "{" },        { JSON_EVENT_SCALAR, "\"a:\"" },
        { JSON_EVENT_OPEN, "[" },        { JSON_EVENT_SCALAR, "1" },
        { JSON_EVENT_SCALAR, "\",]\"" }, { JSON_EVENT_OPEN, "{" },
        { JSON_EVENT_CLOSE, "}" },       { JSON_EVENT_CLOSE, "]" },
        { JSON_EVENT_SCALAR, "\"b\"" },  { JSON_EVENT_SCALAR, "null" },
        { JSON_EVENT_CLOSE, "}" },
    };
    struct json_iterator iterator;
    struct slice value;

    (void)state;
    json_walk(&iterator, slice_text(" {\"a:\" : [1 ,\",]\", { } ],\"b\":null}\n"));
    for (size_t i = 0; i < N_ELEMENTS(expected); i++) {
        assert_int_equal(json_next_event(&iterator, &value), expected[i].event);
        assert_true(slice_equals_text(value, expected[i].text));
    }
    assert_int_equal(json_next_event(&iterator, &value), JSON_EVENT_END);
    assert_int_equal(json_next_event(&iterator, &value), JSON_EVENT_END);
}

static void
test_strings_are_decoded(void **state)
{
    const char *raw =
        "\"a\\n\\\"\\\\\\/\\b\\f\\r\\t\\u00e4\\u20ac\\ud83d\\ude00\\u0041z\"";
    const char *text = "a\n\"\\/\b\f\r\t\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"
                       "Az";
    struct buffer buffer;
    char room[64];

    (void)state;
    buffer_init(&buffer, 100);
    assert_int_equal(json_decode_string(slice_text(raw), &buffer), 0);
    assert_true(slice_equals_text(buffer_slice(&buffer), text));
    buffer_fini(&buffer);
    assert_int_equal(json_get_string(slice_text(raw), room, sizeof room), 0);
    assert_string_equal(room, text);
}

static void
test_a_lone_surrogate_decodes_to_the_replacement_character(void **state)
{
    char room[64];

    (void)state;
    assert_int_equal(
        json_get_string(slice_text("\"\\ud800x\\udc00\\ud800\\ud83d\\ude00\""), room,
                        sizeof room),
        0);
    assert_string_equal(room, "\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80");
}

static void
test_decoding_is_bounded(void **state)
{
    char room[4] = "old";
    struct buffer buffer;

    (void)state;
    assert_int_equal(json_get_string(slice_text("\"abcd\""), room, sizeof room),
                     JSON_E_TOO_LARGE);
    assert_string_equal(room, "old");
    assert_int_equal(json_get_string(slice_text("\"ab\\u00e4\""), room, sizeof room),
                     JSON_E_TOO_LARGE);
    assert_int_equal(json_get_string(slice_text("\"abc\""), room, sizeof room), 0);
    assert_string_equal(room, "abc");
    buffer_init(&buffer, 3);
    assert_int_equal(json_decode_string(slice_text("\"abcd\""), &buffer),
                     JSON_E_TOO_LARGE);
    assert_int_equal(json_decode_string(slice_text("12"), &buffer), JSON_E_TYPE);
    buffer_fini(&buffer);
}

static void
test_a_c_string_holds_no_nul(void **state)
{
    char room[8];

    (void)state;
    assert_int_equal(json_get_string(slice_text("\"a\\u0000\""), room, sizeof room),
                     JSON_E_INVALID);
    assert_int_equal(json_get_string(slice_text("null"), room, sizeof room), JSON_E_TYPE);
}

static void
test_integers_are_read_up_to_their_bounds(void **state)
{
    int64_t n = 0;

    (void)state;
    assert_int_equal(json_get_int(slice_text("-0"), &n), 0);
    assert_true(n == 0);
    assert_int_equal(json_get_int(slice_text("9223372036854775807"), &n), 0);
    assert_true(n == INT64_MAX);
    assert_int_equal(json_get_int(slice_text("-9223372036854775808"), &n), 0);
    assert_true(n == INT64_MIN);
    assert_int_equal(json_get_int(slice_text("-9223372036854775809"), &n),
                     JSON_E_TOO_LARGE);
    assert_int_equal(json_get_int(slice_text("9223372036854775808"), &n),
                     JSON_E_TOO_LARGE);
    assert_int_equal(json_get_int(slice_text("99999999999999999999"), &n),
                     JSON_E_TOO_LARGE);
    assert_int_equal(json_get_int(slice_text("1.0"), &n), JSON_E_TYPE);
    assert_int_equal(json_get_int(slice_text("1e3"), &n), JSON_E_TYPE);
    assert_int_equal(json_get_int(slice_text("\"1\""), &n), JSON_E_TYPE);
}

static void
test_members_are_read_by_type(void **state)
{
    struct slice object = slice_text("{\"s\":\"x\",\"b\":true,\"c\":false,\"i\":7}");
    char text[8];
    bool flag = false;
    int64_t n = 0;

    (void)state;
    assert_int_equal(json_member_string(object, "s", text, sizeof text), 0);
    assert_string_equal(text, "x");
    assert_int_equal(json_member_bool(object, "b", &flag), 0);
    assert_true(flag);
    assert_int_equal(json_member_bool(object, "c", &flag), 0);
    assert_false(flag);
    assert_int_equal(json_member_int(object, "i", &n), 0);
    assert_true(n == 7);
    assert_int_equal(json_member_bool(object, "i", &flag), JSON_E_TYPE);
    assert_int_equal(json_member_int(object, "b", &n), JSON_E_TYPE);
    assert_int_equal(json_member_string(object, "i", text, sizeof text), JSON_E_TYPE);
    assert_int_equal(json_member_string(object, "z", text, sizeof text), JSON_E_MISSING);
    assert_int_equal(json_member_bool(object, "z", &flag), JSON_E_MISSING);
    assert_int_equal(json_member_int(object, "z", &n), JSON_E_MISSING);
}

static void
test_the_place_of_a_mistake_is_told(void **state)
{
    static const struct {
        const char *text;
        size_t byte;
    } cases[] = {
        { "[1,,2]", 3 }, { "[1", 2 }, { "{\"a\":NaN}", 5 }, { "[\"a\nb\"]", 3 }
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        size_t byte = 99;

        assert_int_equal(
            json_scan_locate(slice_text(cases[i].text), &limits, &byte, NULL),
            JSON_E_INVALID);
        assert_int_equal(byte, cases[i].byte);
        byte = 99;
        assert_int_equal(json_scan_locate(slice_text("[]"), &limits, &byte, NULL), 0);
        assert_int_equal(byte, 99);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_of_every_kind_is_taken),
        cmocka_unit_test(test_what_is_not_json_is_refused),
        cmocka_unit_test(
            test_raw_control_characters_are_refused_in_strings_and_between_values),
        cmocka_unit_test(test_ill_formed_utf8_is_refused_at_every_place),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_size_is_bounded_before_anything_is_read),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_objects_and_arrays_close_in_their_own_order),
        cmocka_unit_test(test_facts_tell_what_parsers_differ_about),
        cmocka_unit_test(test_facts_count_the_values),
        cmocka_unit_test(test_errors_name_the_place),
        cmocka_unit_test(test_scan_object_wants_an_object),
        cmocka_unit_test(test_kinds_are_told_by_the_first_byte),
        cmocka_unit_test(test_member_finds_the_raw_value),
        cmocka_unit_test(test_member_looks_at_the_top_level_only),
        cmocka_unit_test(test_the_last_of_equal_names_counts),
        cmocka_unit_test(test_names_are_compared_decoded),
        cmocka_unit_test(test_next_walks_objects_and_arrays),
        cmocka_unit_test(test_a_walk_meets_everything_in_order),
        cmocka_unit_test(test_strings_are_decoded),
        cmocka_unit_test(test_a_lone_surrogate_decodes_to_the_replacement_character),
        cmocka_unit_test(test_decoding_is_bounded),
        cmocka_unit_test(test_a_c_string_holds_no_nul),
        cmocka_unit_test(test_integers_are_read_up_to_their_bounds),
        cmocka_unit_test(test_members_are_read_by_type),
        cmocka_unit_test(test_the_place_of_a_mistake_is_told),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}

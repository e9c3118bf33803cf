/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/criteria.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

static json_t *
parse(const char *text)
{
    json_t *tree = json_loads(text, JSON_DECODE_ANY, NULL);

    if (tree == NULL)
        fail_msg("not JSON: %s", text);
    return tree;
}

static void
test_all_settings_of_the_table_are_known(void **state)
{
    CLEANUP(tree_decrefp)
    json_t *settings = parse(
        "{\"types\":{\"text/html\":\"text\",\"image/*\":{\"policy\":\"image\",\"rms\":2,"
        "\"pixels\":0.5},\"stdout\":{\"whitespace\":\"collapse\",\"rtol\":0,\"atol\":1,"
        "\"sanitize\":[],\"normalise\":{}},"
        "\"application/*+json\":{\"ignore\":[\"/a/*\",\"\",\"/~0~1\"]},\"*\":\"exact\"},"
        "\"rtol\":1e-6,\"atol\":0,\"rms\":0,\"pixels\":1,\"whitespace\":\"trailing\","
        "\"ignore\":[],\"sanitize\":[{\"pattern\":\"a\",\"replace\":\"\"},"
        "{\"pattern\":\"(\",\"replace\":\"\\\\1\",\"types\":[\"stderr\",\"text/*\"]}],"
        "\"normalise\":{\"ansi\":false,\"order\":true},\"decide\":\"richest\"}");
    struct error err = { 0 };

    (void)state;
    if (criteria_check(settings, &err) != 0)
        fail_msg("%s", err.text);
}

static void
test_what_is_invalid_is_refused_by_name(void **state)
{
    static const struct {
        const char *settings, *why;
    } rows[] = {
        { "[]", "must be an object" },
        { "{\"cell_timeout\":3}", "cell_timeout: there is no such setting" },
        { "{\"rtol\":\"1\"}", "rtol: it must be a number" },
        { "{\"atol\":-0.1}", "atol: it must be a number, not negative" },
        { "{\"rms\":1000}", "rms: it must be a number from 0 to 255" },
        { "{\"pixels\":2}", "pixels: it must be a number from 0 to 1" },
        { "{\"whitespace\":\"none\"}", "whitespace: it must be \"exact\"" },
        { "{\"whitespace\":\"exact\\u0000\"}", "whitespace: it must be \"exact\"" },
        { "{\"decide\":true}", "decide: it must be \"richest\"" },
        { "{\"ignore\":\"/a\"}", "ignore: it must be an array" },
        { "{\"ignore\":[\"a\"]}", "ignore: it must be an array of JSON pointers" },
        { "{\"ignore\":[\"/~2\"]}", "ignore: it must be an array of JSON pointers" },
        { "{\"sanitize\":{}}", "sanitize: it must be an array" },
        { "{\"sanitize\":[{\"pattern\":\"a\"}]}", "\"pattern\" and \"replace\"" },
        { "{\"sanitize\":[{\"pattern\":\"a\",\"replace\":\"b\",\"flags\":1}]}", "alone" },
        { "{\"sanitize\":[{\"pattern\":\"a\",\"replace\":\"b\",\"types\":\"x\"}]}",
          "\"types\" are an array" },
        { "{\"sanitize\":[{\"pattern\":\"a\",\"replace\":\"b\",\"types\":[\"x\"]}]}",
          "\"types\" are MIME types" },
        { "{\"normalise\":{\"ansi\":1}}", "normalise.ansi: it must be true or false" },
        { "{\"normalise\":{\"colour\":true}}", "normalise: it must be an object of" },
        { "{\"types\":[]}", "types: it must be an object" },
        { "{\"types\":{\"png\":\"image\"}}", "types: \"png\" is no MIME type" },
        { "{\"types\":{\"a/b\":\"images\"}}",
          "types.a/b: there is no policy \"images\"" },
        { "{\"types\":{\"a/b\":1}}", "types.a/b: it must be the name of a policy" },
        { "{\"types\":{\"a/b\":{\"policy\":\"x\"}}}", "types.a/b: policy: it must be" },
        { "{\"types\":{\"a/b\":{\"decide\":\"all\"}}}", "types.a/b: decide: a type has" },
        { "{\"types\":{\"a/b\":{\"rms\":-1}}}", "types.a/b: rms: it must be a number" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        CLEANUP(tree_decrefp)
        json_t *settings = json_loads(rows[i].settings, JSON_ALLOW_NUL, NULL);
        struct error err = { 0 };

        assert_non_null(settings);
        assert_int_equal(criteria_check(settings, &err), CRITERIA_E_INVALID);
        if (strstr(err.text, rows[i].why) == NULL)
            fail_msg("\"%s\" is not in: %s", rows[i].why, err.text);
    }
}

static void
test_settings_are_bounded(void **state)
{
    CLEANUP(tree_decrefp) json_t *settings = parse("{\"ignore\":[]}");
    json_t *ignore = json_object_get(settings, "ignore");

    (void)state;
    for (size_t i = 0; i < CRITERIA_RULES_MAX; i++)
        assert_int_equal(json_array_append_new(ignore, json_string("/a")), 0);
    assert_int_equal(criteria_check(settings, NULL), 0);
    assert_int_equal(json_array_append_new(ignore, json_string("/a")), 0);
    assert_int_equal(criteria_check(settings, NULL), CRITERIA_E_INVALID);
}

static void
test_types_are_mime_types_streams_and_patterns(void **state)
{
    static const char *const types[] = { "stdout",  "stderr",
                                         "error",   "text/plain",
                                         "image/*", "application/vnd.x-y+json",
                                         "*" };
    static const char *const others[] = { "",      "stdin", "text",  "/x",           "x/",
                                          "a b/c", "a/b/c", "a/b;c", "text/\xc3\xa9" };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(types); i++)
        assert_true(criteria_is_type(types[i]));
    for (size_t i = 0; i < N_ELEMENTS(others); i++)
        assert_false(criteria_is_type(others[i]));
}

static void
test_types_and_rules_merge_and_all_else_is_replaced(void **state)
{
    CLEANUP(tree_decrefp)
    json_t *into = parse(
        "{\"types\":{\"a/b\":{\"rms\":1},\"c/d\":\"text\"},\"normalise\":{\"ansi\":true},"
        "\"sanitize\":[1],\"ignore\":[\"/a\"],\"rtol\":1,\"decide\":\"all\"}");
    CLEANUP(tree_decrefp)
    json_t *from =
        parse("{\"types\":{\"a/b\":\"exact\",\"e/f\":\"text\"},\"normalise\":{\"order\":"
              "true},\"sanitize\":[2],\"ignore\":[\"/b\"],\"rtol\":2,\"atol\":3}");
    CLEANUP(tree_decrefp) json_t *before = json_deep_copy(from);
    CLEANUP(tree_decrefp)
    json_t *expected = parse(
        "{\"types\":{\"a/b\":\"exact\",\"c/d\":\"text\",\"e/f\":\"text\"},\"normalise\":"
        "{\"ansi\":true,\"order\":true},\"sanitize\":[1,2],\"ignore\":[\"/b\"],"
        "\"rtol\":2,\"decide\":\"all\",\"atol\":3}");

    (void)state;
    assert_int_equal(criteria_merge(into, from), 0);
    assert_true(json_equal(into, expected));
    assert_true(json_equal(from, before));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_settings_of_the_table_are_known),
        cmocka_unit_test(test_what_is_invalid_is_refused_by_name),
        cmocka_unit_test(test_settings_are_bounded),
        cmocka_unit_test(test_types_are_mime_types_streams_and_patterns),
        cmocka_unit_test(test_types_and_rules_merge_and_all_else_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

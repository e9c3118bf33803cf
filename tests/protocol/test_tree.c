/* SPDX-License-Identifier: MIT */
#include "protocol/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

static const struct json_limits limits = { 1 << 24, 64 };

/* What TEXT reads as, written again. */
static void
assert_reads_as(const char *text, const char *expected)
{
    CLEANUP(tree_decrefp) json_t *tree = NULL;
    struct error err = { 0 };
    struct buffer out;

    if (tree_load(&tree, slice_text(text), &limits, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    buffer_init(&out, 10000);
    assert_int_equal(tree_append(&out, tree, JSON_COMPACT), 0);
    if (!slice_equals_text(buffer_slice(&out), expected))
        fail_msg("%s: got %.*s", text, (int)out.length, (const char *)out.data);
    buffer_fini(&out);
}

static void
test_ordinary_json_comes_back(void **state)
{
    (void)state;
    assert_reads_as("{\"a\": [1, -2.5, true, null, \"x\\u00e4\"]}",
                    "{\"a\":[1,-2.5,true,null,\"x\xc3\xa4\"]}");
    assert_reads_as("0.1", "0.1");
    assert_reads_as("9223372036854775807", "9223372036854775807");
    assert_reads_as("-9223372036854775808", "-9223372036854775808");
    assert_reads_as("{\"a\":1,\"a\":2}", "{\"a\":2}");
}

static void
test_nul_is_kept_in_values_and_replaced_in_names(void **state)
{
    (void)state;
    assert_reads_as("{\"a\":\"x\\u0000y\"}", "{\"a\":\"x\\u0000y\"}");
    assert_reads_as("{\"a\\u0000b\" :1}", "{\"a\xef\xbf\xbd"
                                          "b\":1}");
    assert_reads_as("[\"\\u0000\"]", "[\"\\u0000\"]");
}

static void
test_lone_surrogates_are_replaced_and_pairs_kept(void **state)
{
    (void)state;
    assert_reads_as("\"\\ud800\"", "\"\xef\xbf\xbd\"");
    assert_reads_as("[\"\\udc00\\ud800x\\ud83d\\ude00\\\\ud800\\n\"]",
                    "[\"\xef\xbf\xbd\xef\xbf\xbdx\xf0\x9f\x98\x80\\\\ud800\\n\"]");
    assert_reads_as("{\"\\uD800\":\"\\\"\"}", "{\"\xef\xbf\xbd\":\"\\\"\"}");
}

static void
test_large_numbers_become_doubles(void **state)
{
    (void)state;
    assert_reads_as("[1180591620717411303424]", "[1.18059162071741e21]");
    assert_reads_as("-9223372036854775809", "-9.22337203685478e18");
    assert_reads_as("{\"a\":1e999,\"b\":-1e999,\"c\":1e-999}",
                    "{\"a\":1.79769313486232e308,\"b\":-1.79769313486232e308,\"c\":0.0}");
    assert_reads_as("[1e308,1000000000000000000]", "[1e308,1000000000000000000]");
}

static void
test_a_very_long_number_is_read(void **state)
{
    CLEANUP(tree_decrefp) json_t *tree = NULL;
    size_t length = 1 << 20;
    CLEANUP(freep) uint8_t *digits = malloc(length);

    (void)state;
    assert_non_null(digits);
    memset(digits, '9', length);
    assert_int_equal(tree_load(&tree, (struct slice){ digits, length }, &limits, NULL),
                     0);
    assert_true(json_is_real(tree));
}

static void
test_what_the_scan_refuses_is_refused(void **state)
{
    json_t *tree = NULL;

    (void)state;
    assert_int_equal(tree_load(&tree, slice_text("[NaN]"), &limits, NULL),
                     JSON_E_INVALID);
    assert_int_equal(
        tree_load(&tree, slice_text("[1]"), &(struct json_limits){ 2, 8 }, NULL),
        JSON_E_TOO_LARGE);
    assert_int_equal(
        tree_load(&tree, slice_text("[[]]"), &(struct json_limits){ 9, 1 }, NULL),
        JSON_E_TOO_DEEP);
    assert_null(tree);
}

static void
test_the_number_of_values_is_bounded(void **state)
{
    size_t most = 2 * (size_t)TREE_VALUES_MAX - 1; /* the array counts too */
    CLEANUP(tree_decrefp) json_t *tree = NULL;
    CLEANUP(freep) uint8_t *text = malloc(most + 2);
    json_t *none = NULL;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < most + 2; i++)
        text[i] = i == 0 ? '[' : i % 2 == 1 ? '0' : ',';
    text[most - 1] = ']';
    assert_int_equal(tree_load(&tree, (struct slice){ text, most }, &limits, NULL), 0);
    text[most - 1] = ',';
    text[most] = '0';
    text[most + 1] = ']';
    assert_int_equal(tree_load(&none, (struct slice){ text, most + 2 }, &limits, NULL),
                     JSON_E_TOO_LARGE);
    assert_null(none);
}

static void
test_load_object_wants_an_object(void **state)
{
    json_t *tree = NULL;
    struct error err = { 0 };

    (void)state;
    assert_int_equal(tree_load_object(&tree, slice_text("[]"), &limits, &err),
                     JSON_E_TYPE);
    assert_string_equal(err.text, "expected an object, got an array");
    assert_null(tree);
    assert_int_equal(tree_load_object(&tree, slice_text("{}"), &limits, NULL), 0);
    json_decref(tree);
}

static void
test_append_stops_at_the_limit(void **state)
{
    CLEANUP(tree_decrefp)
    json_t *tree = json_pack("{s:[iii]s:i}", "a", 1, 2, 3, "a long name", 4);
    const size_t whole = strlen("{\"a\":[1,2,3],\"a long name\":4}");
    struct buffer out;

    (void)state;
    for (size_t limit = 0; limit < whole; limit++) {
        buffer_init(&out, limit);
        assert_int_equal(tree_append(&out, tree, JSON_COMPACT), BUFFER_E_FULL);
        buffer_fini(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordinary_json_comes_back),
        cmocka_unit_test(test_nul_is_kept_in_values_and_replaced_in_names),
        cmocka_unit_test(test_lone_surrogates_are_replaced_and_pairs_kept),
        cmocka_unit_test(test_large_numbers_become_doubles),
        cmocka_unit_test(test_a_very_long_number_is_read),
        cmocka_unit_test(test_what_the_scan_refuses_is_refused),
        cmocka_unit_test(test_the_number_of_values_is_bounded),
        cmocka_unit_test(test_load_object_wants_an_object),
        cmocka_unit_test(test_append_stops_at_the_limit),
    };

    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "protocol/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

static const char *const types[] = {
    "execute_request",
    "complete_request",
    "inspect_request",
    "is_complete_request",
    "history_request",
    "comm_open",
    "comm_msg",
    "comm_close",
    "comm_info_request",
    "kernel_info_request",
    "connect_request",
    "shutdown_request",
    "interrupt_request",
    "usage_request",
    "debug_request",
    "input_reply",
    "create_subshell_request",
    "delete_subshell_request",
    "list_subshell_request",
};

static json_t *
load(const char *content)
{
    json_t *tree = json_loads(content, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

    assert_non_null(tree);
    return tree;
}

static int
check(const char *type, const char *content, struct error *err)
{
    CLEANUP(tree_decrefp) json_t *tree = load(content);

    return schema_check(type, tree, err);
}

static void
assert_valid(const char *type, const char *content)
{
    struct error err = { 0 };

    if (check(type, content, &err) != 0)
        fail_msg("%s %s: %s", type, content, err.text);
}

static void
assert_invalid(const char *type, const char *content, const char *text)
{
    struct error err = { 0 };

    if (check(type, content, &err) != SCHEMA_E_INVALID)
        fail_msg("%s %s was taken", type, content);
    assert_string_equal(err.text, text);
}

static void
assert_filled(const char *type, const char *content, const char *expected)
{
    CLEANUP(tree_decrefp) json_t *tree = load(content);
    CLEANUP(tree_decrefp) json_t *wanted = load(expected);
    CLEANUP(freep) char *got = NULL;

    assert_int_equal(schema_check(type, tree, NULL), 0);
    assert_int_equal(schema_fill(type, tree), 0);
    got = json_dumps(tree, JSON_COMPACT);
    if (!json_equal(tree, wanted))
        fail_msg("%s %s: got %s", type, content, got);
}

static void
test_every_client_message_is_known_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(types); i++)
        assert_true(schema_knows(types[i]));
    assert_false(schema_knows("execute_reply"));
    assert_false(schema_knows("status"));
    assert_false(schema_knows(""));
    assert_int_equal(check("execute_reply", "{}", NULL), SCHEMA_E_UNKNOWN_TYPE);
}

static void
test_content_must_be_an_object(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(types); i++) {
        assert_invalid(types[i], "[]", "expected an object, got an array");
        assert_invalid(types[i], "null", "expected an object, got null");
        assert_int_equal(schema_check(types[i], NULL, NULL), SCHEMA_E_INVALID);
    }
}

static void
test_what_stock_clients_send_is_valid(void **state)
{
    static const struct {
        const char *type, *content;
    } rows[] = {
        { "execute_request", "{\"code\":\"1\",\"silent\":false,\"store_history\":true,"
                             "\"user_expressions\":{},\"allow_stdin\":true,"
                             "\"stop_on_error\":true}" },
        { "complete_request", "{\"code\":\"im\",\"cursor_pos\":2}" },
        { "inspect_request", "{\"code\":\"a\",\"cursor_pos\":1,\"detail_level\":0}" },
        { "is_complete_request", "{\"code\":\"for\"}" },
        { "history_request", "{\"output\":false,\"raw\":true,\"hist_access_type\":"
                             "\"tail\",\"n\":1000}" },
        { "history_request", "{\"raw\":true,\"output\":true,\"hist_access_type\":"
                             "\"range\",\"session\":-1,\"start\":0,\"stop\":null}" },
        { "history_request", "{\"hist_access_type\":\"search\",\"pattern\":\"a*\","
                             "\"n\":3,\"unique\":true}" },
        { "comm_open", "{\"comm_id\":\"1\",\"target_name\":\"jupyter.widget\","
                       "\"data\":{\"state\":{}},\"target_module\":null}" },
        { "comm_msg", "{\"comm_id\":\"1\",\"data\":{\"method\":\"update\"}}" },
        { "comm_close", "{\"comm_id\":\"1\"}" },
        { "comm_info_request", "{\"target_name\":\"jupyter.widget\"}" },
        { "comm_info_request", "{\"target_name\":null}" },
        { "comm_info_request", "{}" },
        { "kernel_info_request", "{}" },
        { "connect_request", "{}" },
        { "shutdown_request", "{\"restart\":true}" },
        { "interrupt_request", "{}" },
        { "usage_request", "{}" },
        { "debug_request", "{\"type\":\"request\",\"seq\":1,\"command\":\"debugInfo\","
                           "\"arguments\":{}}" },
        { "input_reply", "{\"status\":\"ok\",\"value\":\"x\"}" },
        { "create_subshell_request", "{}" },
        { "delete_subshell_request", "{\"subshell_id\":\"x\"}" },
        { "list_subshell_request", "{}" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        assert_valid(rows[i].type, rows[i].content);
}

static void
test_a_missing_or_null_required_field_is_an_error(void **state)
{
    (void)state;
    assert_invalid("execute_request", "{}", "field code is missing");
    assert_invalid("execute_request", "{\"code\":null}",
                   "field code: expected a string, got null");
    assert_invalid("history_request", "{}", "field hist_access_type is missing");
    assert_invalid("comm_open", "{\"comm_id\":\"1\"}", "field target_name is missing");
    assert_invalid("comm_msg", "{\"data\":{}}", "field comm_id is missing");
    assert_invalid("input_reply", "{\"status\":\"error\"}", "field value is missing");
    assert_invalid("delete_subshell_request", "{}", "field subshell_id is missing");
    assert_invalid("debug_request", "{}", "field command is missing");
}

static void
test_a_wrong_type_in_an_optional_field_is_an_error(void **state)
{
    static const char *const booleans[] = { "silent", "store_history", "allow_stdin",
                                            "stop_on_error" };
    char content[100], text[100];

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(booleans); i++) {
        snprintf(content, sizeof content, "{\"code\":\"\",\"%s\":1}", booleans[i]);
        snprintf(text, sizeof text, "field %s: expected a boolean, got an integer",
                 booleans[i]);
        assert_invalid("execute_request", content, text);
    }
    assert_invalid("execute_request", "{\"code\":\"\",\"user_expressions\":[]}",
                   "field user_expressions: expected an object, got an array");
    assert_invalid("shutdown_request", "{\"restart\":\"yes\"}",
                   "field restart: expected a boolean, got a string");
    assert_invalid("comm_info_request", "{\"target_name\":false}",
                   "field target_name: expected a string, got a boolean");
    assert_invalid("inspect_request", "{\"code\":\"\",\"omit_sections\":{}}",
                   "field omit_sections: expected an array of strings, got an object");
    assert_invalid("inspect_request", "{\"code\":\"\",\"omit_sections\":[1]}",
                   "field omit_sections: expected a string, got an integer");
}

static void
test_integers_have_ranges(void **state)
{
    (void)state;
    assert_valid("complete_request", "{\"code\":\"\",\"cursor_pos\":2147483647}");
    assert_invalid("complete_request", "{\"code\":\"\",\"cursor_pos\":2147483648}",
                   "field cursor_pos: expected an integer from 0 to 2147483647, got "
                   "2147483648");
    assert_invalid("complete_request", "{\"code\":\"\",\"cursor_pos\":-1}",
                   "field cursor_pos: expected an integer from 0 to 2147483647, got -1");
    assert_invalid("complete_request", "{\"code\":\"\",\"cursor_pos\":1.0}",
                   "field cursor_pos: expected an integer, got a number that is no "
                   "64-bit integer");
    assert_invalid("inspect_request", "{\"code\":\"\",\"detail_level\":2}",
                   "field detail_level: expected an integer from 0 to 1, got 2");
    assert_invalid("history_request", "{\"hist_access_type\":\"tail\",\"n\":-1}",
                   "field n: expected an integer from 0 to 2147483647, got -1");
}

static void
test_choices_are_named(void **state)
{
    (void)state;
    assert_invalid("history_request", "{\"hist_access_type\":\"all\"}",
                   "field hist_access_type: expected one of \"tail\" \"range\" "
                   "\"search\", got another string");
    assert_invalid("history_request", "{\"hist_access_type\":\"tail\\u0000\"}",
                   "field hist_access_type: expected one of \"tail\" \"range\" "
                   "\"search\", got another string");
    assert_invalid("history_request", "{\"hist_access_type\":1}",
                   "field hist_access_type: expected a string, got an integer");
}

static void
test_names_are_bounded_and_hold_no_nul_but_code_may(void **state)
{
    char content[1200], id[1025];

    (void)state;
    assert_invalid("comm_msg", "{\"comm_id\":\"\"}",
                   "field comm_id: expected a string of 1 to 1024 bytes, got 0");
    assert_invalid("comm_msg", "{\"comm_id\":\"a\\u0000b\"}",
                   "field comm_id: expected a string without NUL, got one with it");
    memset(id, 'x', sizeof id);
    snprintf(content, sizeof content, "{\"comm_id\":\"%.1024s\"}", id);
    assert_valid("comm_msg", content);
    snprintf(content, sizeof content, "{\"comm_id\":\"%.1025s\"}", id);
    assert_invalid("comm_msg", content,
                   "field comm_id: expected a string of 1 to 1024 bytes, got 1025");
    assert_valid("execute_request", "{\"code\":\"a\\u0000b\"}");
    assert_valid("input_reply", "{\"value\":\"\\u0004\"}");
}

static void
test_arrays_are_bounded(void **state)
{
    CLEANUP(tree_decrefp)
    json_t *content = json_pack("{s:s, s:[]}", "code", "", "omit_sections");
    json_t *sections = json_object_get(content, "omit_sections");

    (void)state;
    for (size_t i = 0; i < 64; i++)
        json_array_append_new(sections, json_string("x"));
    assert_int_equal(schema_check("inspect_request", content, NULL), 0);
    json_array_append_new(sections, json_string("x"));
    assert_int_equal(schema_check("inspect_request", content, NULL), SCHEMA_E_INVALID);
}

static void
test_unknown_fields_are_ignored(void **state)
{
    (void)state;
    assert_valid("execute_request", "{\"code\":\"\",\"no_such_field\":[{}]}");
    assert_filled("kernel_info_request", "{\"x\":1}", "{\"x\":1}");
}

static void
test_null_in_an_optional_field_counts_as_absent(void **state)
{
    (void)state;
    assert_filled("execute_request",
                  "{\"code\":\"\",\"silent\":null,\"user_expressions\":null}",
                  "{\"code\":\"\",\"silent\":false,\"store_history\":true,"
                  "\"user_expressions\":{},\"allow_stdin\":false,"
                  "\"stop_on_error\":true}");
    assert_filled("comm_info_request", "{\"target_name\":null}", "{}");
}

static void
test_defaults_are_filled_in(void **state)
{
    (void)state;
    assert_filled("execute_request", "{\"code\":\"1\"}",
                  "{\"code\":\"1\",\"silent\":false,\"store_history\":true,"
                  "\"user_expressions\":{},\"allow_stdin\":false,"
                  "\"stop_on_error\":true}");
    assert_filled("inspect_request", "{\"code\":\"abc\"}",
                  "{\"code\":\"abc\",\"cursor_pos\":3,\"detail_level\":0,"
                  "\"omit_sections\":[]}");
    assert_filled("history_request", "{\"hist_access_type\":\"tail\"}",
                  "{\"hist_access_type\":\"tail\",\"output\":false,\"raw\":true,"
                  "\"unique\":false,\"session\":0,\"start\":0,\"pattern\":\"*\"}");
    assert_filled("comm_open", "{\"comm_id\":\"1\",\"target_name\":\"t\"}",
                  "{\"comm_id\":\"1\",\"target_name\":\"t\",\"data\":{}}");
    assert_filled("shutdown_request", "{}", "{\"restart\":false}");
    assert_filled("debug_request", "{\"command\":\"x\"}",
                  "{\"command\":\"x\",\"seq\":0,\"arguments\":{}}");
}

static void
test_given_values_are_kept(void **state)
{
    static const char content[] = "{\"code\":\"1\",\"silent\":false,\"store_history\":"
                                  "false,\"user_expressions\":{\"a\":\"b\"},"
                                  "\"allow_stdin\":true,\"stop_on_error\":false}";

    (void)state;
    assert_filled("execute_request", content, content);
}

static void
test_a_silent_request_is_never_stored(void **state)
{
    (void)state;
    assert_filled("execute_request",
                  "{\"code\":\"\",\"silent\":true,\"store_history\":true}",
                  "{\"code\":\"\",\"silent\":true,\"store_history\":false,"
                  "\"user_expressions\":{},\"allow_stdin\":false,"
                  "\"stop_on_error\":true}");
}

static void
test_the_cursor_counts_code_points_and_stays_within_the_code(void **state)
{
    (void)state;
    assert_filled("complete_request", "{\"code\":\"\xc3\xa4\xf0\x9f\x98\x80x\"}",
                  "{\"code\":\"\xc3\xa4\xf0\x9f\x98\x80x\",\"cursor_pos\":3}");
    assert_filled("complete_request", "{\"code\":\"\xc3\xa4x\",\"cursor_pos\":2}",
                  "{\"code\":\"\xc3\xa4x\",\"cursor_pos\":2}");
    assert_filled("complete_request", "{\"code\":\"\xc3\xa4x\",\"cursor_pos\":3}",
                  "{\"code\":\"\xc3\xa4x\",\"cursor_pos\":2}");
    assert_filled("complete_request", "{\"code\":\"a\\u0000b\",\"cursor_pos\":9}",
                  "{\"code\":\"a\\u0000b\",\"cursor_pos\":3}");
}

static void
test_data_of_a_comm_may_be_any_json(void **state)
{
    (void)state;
    assert_valid("comm_msg", "{\"comm_id\":\"1\",\"data\":[1]}");
    assert_valid("comm_msg", "{\"comm_id\":\"1\",\"data\":\"text\"}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_client_message_is_known_and_nothing_else),
        cmocka_unit_test(test_content_must_be_an_object),
        cmocka_unit_test(test_what_stock_clients_send_is_valid),
        cmocka_unit_test(test_a_missing_or_null_required_field_is_an_error),
        cmocka_unit_test(test_a_wrong_type_in_an_optional_field_is_an_error),
        cmocka_unit_test(test_integers_have_ranges),
        cmocka_unit_test(test_choices_are_named),
        cmocka_unit_test(test_names_are_bounded_and_hold_no_nul_but_code_may),
        cmocka_unit_test(test_arrays_are_bounded),
        cmocka_unit_test(test_unknown_fields_are_ignored),
        cmocka_unit_test(test_null_in_an_optional_field_counts_as_absent),
        cmocka_unit_test(test_defaults_are_filled_in),
        cmocka_unit_test(test_given_values_are_kept),
        cmocka_unit_test(test_a_silent_request_is_never_stored),
        cmocka_unit_test(test_the_cursor_counts_code_points_and_stays_within_the_code),
        cmocka_unit_test(test_data_of_a_comm_may_be_any_json),
    };

    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}

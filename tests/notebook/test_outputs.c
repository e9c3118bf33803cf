/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/outputs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/frame.h"
#include "protocol/json.h"

#define CELLS 3
#define MIB ((size_t)1024 * 1024)

static int
setup(void **state)
{
    struct outputs *outputs = NULL;

    assert_int_equal(outputs_create(&outputs, CELLS), 0);
    *state = outputs;
    return 0;
}

static int
teardown(void **state)
{
    outputs_destroy(*state);
    return 0;
}

static void
print(struct outputs *outputs, size_t cell, bool is_stderr, const char *text)
{
    assert_int_equal(outputs_add_text(outputs, cell, is_stderr, slice_text(text)), 0);
}

static int
add(struct outputs *outputs, size_t cell, enum frame_type type, const char *content)
{
    const struct frame frame = { .type = type, .content = slice_text(content) };

    return outputs_add_frame(outputs, cell, &frame);
}

static void
tell(struct outputs *outputs, size_t cell, enum frame_type type, const char *content)
{
    assert_int_equal(add(outputs, cell, type, content), 0);
}

/* A display or update of TEXT with ID. */
static int
show(struct outputs *outputs, size_t cell, enum frame_type type, const char *text,
     const char *id)
{
    char content[512];

    snprintf(content, sizeof content,
             "{\"data\":{\"text/plain\":\"%s\"},\"metadata\":{},"
             "\"transient\":{\"display_id\":\"%s\"}}",
             text, id);
    return add(outputs, cell, type, content);
}

/* A display of BYTES bytes of data, with ID unless that is empty. */
static int
show_large(struct outputs *outputs, size_t cell, enum frame_type type, size_t bytes,
           const char *id)
{
    static const char head[] = "{\"data\":{\"a\":\"", tail[] = "\"},\"transient\":{"
                                                               "\"display_id\":\"";
    CLEANUP(buffer_fini) struct buffer content;
    struct frame frame = { .type = type };

    buffer_init(&content, bytes + 1024);
    assert_int_equal(buffer_append_text(&content, head), 0);
    assert_int_equal(buffer_reserve(&content, bytes), 0);
    memset(content.data + content.length, 'x', bytes - 8); /* {"a":""} */
    content.length += bytes - 8;
    assert_int_equal(buffer_append_text(&content, tail), 0);
    assert_int_equal(buffer_append_format(&content, "%s\"}}", id), 0);
    frame.content = buffer_slice(&content);
    return outputs_add_frame(outputs, cell, &frame);
}

static char *
get(const struct outputs *outputs, size_t cell)
{
    static const struct json_limits limits = { 1 << 28, 64 };
    struct buffer text;

    buffer_init(&text, 1 << 28);
    assert_int_equal(outputs_append(outputs, cell, &text), 0);
    assert_int_equal(json_scan(buffer_slice(&text), &limits, NULL), 0);
    assert_int_equal(buffer_append(&text, "", 1), 0);
    return (char *)text.data;
}

static void
assert_is(const struct outputs *outputs, size_t cell, const char *expected)
{
    CLEANUP(freep) char *text = get(outputs, cell);

    assert_string_equal(text, expected);
}

#define OUT(text) "{\"name\":\"stdout\",\"output_type\":\"stream\",\"text\":\"" text "\"}"
#define ERR(text) "{\"name\":\"stderr\",\"output_type\":\"stream\",\"text\":\"" text "\"}"
#define SHOWN(text)                                                                      \
    "{\"data\":{\"text/plain\":\"" text                                                  \
    "\"},\"metadata\":{},\"output_type\":\"display_data\"}"

static void
test_a_cell_that_shows_nothing_has_no_outputs(void **state)
{
    print(*state, 1, false, "");
    assert_is(*state, 0, "[]");
    assert_is(*state, 1, "[]");
}

static void
test_text_of_a_stream_is_one_piece_until_something_else_comes(void **state)
{
    struct outputs *outputs = *state;

    print(outputs, 0, false, "a");
    print(outputs, 0, false, "b\\n");
    print(outputs, 0, true, "oh");
    print(outputs, 0, false, "c");
    tell(outputs, 0, FRAME_DISPLAY_DATA, "{\"data\":{\"text/plain\":\"d\"}}");
    print(outputs, 0, false, "e");
    assert_is(
        outputs, 0,
        "[" OUT("ab\\\\n") "," ERR("oh") "," OUT("c") "," SHOWN("d") "," OUT("e") "]");
}

static void
test_carriage_returns_and_backspaces_are_rendered_over_all_pieces(void **state)
{
    print(*state, 0, false, "10%\r");
    print(*state, 0, false, "20%\rdone\nab\b");
    print(*state, 0, false, "c\r\n");
    assert_is(*state, 0, "[" OUT("done\\nac\\n") "]");
}

static void
test_bundles_pass_byte_for_byte_and_transient_is_not_stored(void **state)
{
    tell(*state, 0, FRAME_EXECUTE_RESULT,
         "{\"data\":{\"application/json\":{\"n\":123456789012345678901234567890.10,"
         "\"s\":\"\\ud800\"}},\"metadata\":{\"w\": 2},\"execution_count\":7,"
         "\"transient\":{\"display_id\":\"x\"}}");
    assert_is(*state, 0,
              "[{\"data\":{\"application/json\":{\"n\":123456789012345678901234567890.10,"
              "\"s\":\"\\ud800\"}},\"execution_count\":7,\"metadata\":{\"w\": 2},"
              "\"output_type\":\"execute_result\"}]");
}

static void
test_members_that_are_missing_or_of_another_type_are_empty(void **state)
{
    tell(*state, 0, FRAME_DISPLAY_DATA, "{\"data\":3,\"transient\":null}");
    tell(*state, 0, FRAME_EXECUTE_RESULT, "{\"metadata\":[],\"execution_count\":-1}");
    tell(*state, 0, FRAME_ERROR, "{\"ename\":4,\"traceback\":[\"a\",null]}");
    assert_is(*state, 0,
              "[{\"data\":{},\"metadata\":{},\"output_type\":\"display_data\"},"
              "{\"data\":{},\"execution_count\":null,\"metadata\":{},"
              "\"output_type\":\"execute_result\"},"
              "{\"ename\":\"Error\",\"evalue\":\"\",\"output_type\":\"error\","
              "\"traceback\":[]}]");
}

static void
test_frames_that_are_no_outputs_are_ignored(void **state)
{
    tell(*state, 0, FRAME_COMM_MSG, "{\"data\":{}}");
    tell(*state, 0, FRAME_UPDATE_DISPLAY_DATA, "{\"data\":{\"text/plain\":\"x\"}}");
    assert_int_equal(show(*state, 0, FRAME_UPDATE_DISPLAY_DATA, "x", "unknown"), 0);
    assert_is(*state, 0, "[]");
}

static void
test_an_error_is_an_output_and_can_be_asked_for(void **state)
{
    struct slice name, value;

    assert_false(outputs_error(*state, 0, &name, &value));
    tell(*state, 0, FRAME_ERROR,
         "{\"ename\":\"Value\\u0045rror\",\"evalue\":\"no\\n\",\"traceback\":[\"t\"]}");
    assert_is(*state, 0,
              "[{\"ename\":\"Value\\u0045rror\",\"evalue\":\"no\\n\","
              "\"output_type\":\"error\",\"traceback\":[\"t\"]}]");
    assert_true(outputs_error(*state, 0, &name, &value));
    assert_true(slice_equals_text(name, "ValueError"));
    assert_true(slice_equals_text(value, "no\n"));
    assert_false(outputs_error(*state, 1, &name, &value));
    tell(*state, 0, FRAME_CLEAR_OUTPUT, "{\"wait\":false}");
    assert_false(outputs_error(*state, 0, &name, &value));
}

static void
test_clear_output_clears_its_own_cell_at_once(void **state)
{
    print(*state, 0, false, "a");
    print(*state, 1, false, "b");
    tell(*state, 1, FRAME_CLEAR_OUTPUT, "{}");
    assert_is(*state, 0, "[" OUT("a") "]");
    assert_is(*state, 1, "[]");
}

static void
test_clear_output_that_waits_clears_with_the_next_output(void **state)
{
    print(*state, 0, false, "a");
    tell(*state, 0, FRAME_CLEAR_OUTPUT, "{\"wait\":true}");
    assert_is(*state, 0, "[" OUT("a") "]");
    print(*state, 1, false, "of another cell");
    assert_is(*state, 0, "[" OUT("a") "]");
    print(*state, 0, false, "b");
    assert_is(*state, 0, "[" OUT("b") "]");
    print(*state, 0, false, "c");
    assert_is(*state, 0, "[" OUT("bc") "]");
}

static void
test_an_error_comes_in_place_of_what_waits_to_be_cleared(void **state)
{
    print(*state, 0, false, "a");
    tell(*state, 0, FRAME_CLEAR_OUTPUT, "{\"wait\":true}");
    tell(*state, 0, FRAME_ERROR, "{\"ename\":\"E\"}");
    assert_is(*state, 0,
              "[{\"ename\":\"E\",\"evalue\":\"\",\"output_type\":\"error\","
              "\"traceback\":[]}]");
}

static void
test_an_update_replaces_all_displays_with_its_id_in_all_cells(void **state)
{
    assert_int_equal(show(*state, 0, FRAME_DISPLAY_DATA, "1", "x"), 0);
    assert_int_equal(show(*state, 0, FRAME_DISPLAY_DATA, "2", "y"), 0);
    assert_int_equal(show(*state, 1, FRAME_DISPLAY_DATA, "3", "x"), 0);
    assert_int_equal(show(*state, 2, FRAME_UPDATE_DISPLAY_DATA, "4", "x"), 0);
    assert_is(*state, 0, "[" SHOWN("4") "," SHOWN("2") "]");
    assert_is(*state, 1, "[" SHOWN("4") "]");
    assert_is(*state, 2, "[]");
}

static void
test_a_display_with_a_known_id_renews_the_earlier_ones_too(void **state)
{
    assert_int_equal(show(*state, 0, FRAME_DISPLAY_DATA, "1", "x"), 0);
    assert_int_equal(show(*state, 1, FRAME_DISPLAY_DATA, "2", "x"), 0);
    assert_is(*state, 0, "[" SHOWN("2") "]");
    assert_is(*state, 1, "[" SHOWN("2") "]");
}

static void
test_ids_are_compared_decoded_and_an_empty_one_is_none(void **state)
{
    assert_int_equal(show(*state, 0, FRAME_DISPLAY_DATA, "1", "x"), 0);
    assert_int_equal(show(*state, 0, FRAME_DISPLAY_DATA, "2", ""), 0);
    assert_int_equal(show(*state, 0, FRAME_DISPLAY_DATA, "3", ""), 0);
    assert_int_equal(show(*state, 0, FRAME_UPDATE_DISPLAY_DATA, "4", "\\u0078"), 0);
    assert_is(*state, 0, "[" SHOWN("4") "," SHOWN("2") "," SHOWN("3") "]");
}

static void
test_an_update_of_a_result_leaves_it_a_result(void **state)
{
    tell(*state, 0, FRAME_EXECUTE_RESULT,
         "{\"data\":{},\"execution_count\":3,\"transient\":{\"display_id\":\"x\"}}");
    assert_int_equal(show(*state, 1, FRAME_UPDATE_DISPLAY_DATA, "4", "x"), 0);
    assert_is(*state, 0,
              "[{\"data\":{\"text/plain\":\"4\"},\"execution_count\":3,"
              "\"metadata\":{},\"output_type\":\"execute_result\"}]");
}

static void
test_what_was_cleared_is_not_updated(void **state)
{
    assert_int_equal(show(*state, 0, FRAME_DISPLAY_DATA, "1", "x"), 0);
    assert_int_equal(show(*state, 1, FRAME_DISPLAY_DATA, "2", "x"), 0);
    tell(*state, 0, FRAME_CLEAR_OUTPUT, "{}");
    assert_int_equal(show(*state, 2, FRAME_UPDATE_DISPLAY_DATA, "3", "x"), 0);
    assert_is(*state, 0, "[]");
    assert_is(*state, 1, "[" SHOWN("3") "]");
    tell(*state, 1, FRAME_CLEAR_OUTPUT, "{}");
    assert_int_equal(show(*state, 2, FRAME_UPDATE_DISPLAY_DATA, "4", "x"), 0);
    assert_is(*state, 1, "[]");
}

static void
test_outputs_beyond_a_cells_room_are_left_out_and_counted(void **state)
{
    struct outputs *outputs = *state;

    assert_int_equal(show_large(outputs, 0, FRAME_DISPLAY_DATA, 40 * MIB, ""), 0);
    assert_int_equal(show_large(outputs, 0, FRAME_DISPLAY_DATA, 30 * MIB, ""),
                     OUTPUTS_E_FULL);
    assert_int_equal(outputs_lost(outputs, 0), 30 * MIB + 2); /* {} of metadata */
    assert_int_equal(show_large(outputs, 1, FRAME_DISPLAY_DATA, 40 * MIB, ""), 0);
    assert_int_equal(outputs_lost(outputs, 1), 0);
    tell(outputs, 0, FRAME_CLEAR_OUTPUT, "{}");
    assert_int_equal(show_large(outputs, 0, FRAME_DISPLAY_DATA, 30 * MIB, ""), 0);
}

static void
test_text_beyond_a_cells_room_is_cut_between_characters(void **state)
{
    struct outputs *outputs = *state;
    CLEANUP(freep) char *text = NULL;
    size_t bytes = OUTPUTS_CELL_BYTES_MAX - 256 - 1; /* one is left */

    text = malloc(bytes);
    assert_non_null(text);
    memset(text, 'x', bytes);
    assert_int_equal(outputs_add_text(outputs, 0, false,
                                      (struct slice){ (const uint8_t *)text, bytes }),
                     0);
    assert_int_equal(outputs_add_text(outputs, 0, false, slice_text("\xc3\xa9")),
                     OUTPUTS_E_FULL);
    assert_int_equal(outputs_lost(outputs, 0), 2);
    assert_int_equal(outputs_add_text(outputs, 0, true, slice_text("e")), OUTPUTS_E_FULL);
    assert_int_equal(outputs_lost(outputs, 0), 3);
}

static void
test_an_update_that_some_cell_has_no_room_for_is_left_out_everywhere(void **state)
{
    struct outputs *outputs = *state;

    assert_int_equal(show(outputs, 0, FRAME_DISPLAY_DATA, "1", "x"), 0);
    assert_int_equal(show_large(outputs, 0, FRAME_DISPLAY_DATA, 40 * MIB, ""), 0);
    assert_int_equal(show(outputs, 1, FRAME_DISPLAY_DATA, "2", "x"), 0);
    assert_int_equal(show_large(outputs, 2, FRAME_UPDATE_DISPLAY_DATA, 30 * MIB, "x"),
                     OUTPUTS_E_FULL);
    assert_is(outputs, 1, "[" SHOWN("2") "]");
    assert_int_equal(outputs_lost(outputs, 2), 30 * MIB + 2);
    tell(outputs, 0, FRAME_CLEAR_OUTPUT, "{}");
    assert_int_equal(show_large(outputs, 2, FRAME_UPDATE_DISPLAY_DATA, 30 * MIB, "x"), 0);
}

static void
test_displays_that_share_an_id_need_room_each(void **state)
{
    struct outputs *outputs = *state;

    assert_int_equal(show_large(outputs, 0, FRAME_DISPLAY_DATA, 30 * MIB, "x"), 0);
    assert_int_equal(show_large(outputs, 0, FRAME_DISPLAY_DATA, 30 * MIB, "x"), 0);
    assert_int_equal(show_large(outputs, 0, FRAME_DISPLAY_DATA, 30 * MIB, "x"),
                     OUTPUTS_E_FULL);
    assert_int_equal(show_large(outputs, 0, FRAME_UPDATE_DISPLAY_DATA, 33 * MIB, "x"),
                     OUTPUTS_E_FULL);
    assert_int_equal(show_large(outputs, 0, FRAME_UPDATE_DISPLAY_DATA, 31 * MIB, "x"), 0);
    assert_int_equal(show(outputs, 0, FRAME_UPDATE_DISPLAY_DATA, "small", "x"), 0);
    assert_is(outputs, 0, "[" SHOWN("small") "," SHOWN("small") "]");
    assert_int_equal(show_large(outputs, 0, FRAME_DISPLAY_DATA, 60 * MIB, ""), 0);
}

static void
test_a_cell_has_no_more_outputs_than_it_may(void **state)
{
    struct outputs *outputs = *state;

    for (size_t i = 0; i < OUTPUTS_CELL_MAX; i++)
        print(outputs, 0, i % 2 == 0, "x");
    assert_int_equal(outputs_add_text(outputs, 0, true, slice_text("yz")),
                     OUTPUTS_E_FULL);
    assert_int_equal(outputs_lost(outputs, 0), 2);
    assert_int_equal(add(outputs, 0, FRAME_DISPLAY_DATA, "{}"), OUTPUTS_E_FULL);
    assert_int_equal(outputs_lost(outputs, 0), 6);
    assert_int_equal(outputs_add_text(outputs, 0, false, slice_text("z")), 0);
}

static void
test_an_error_is_kept_where_nothing_else_has_room(void **state)
{
    struct outputs *outputs = *state;
    struct slice name, value;

    assert_int_equal(
        show_large(outputs, 0, FRAME_DISPLAY_DATA, OUTPUTS_CELL_BYTES_MAX - 258, ""), 0);
    assert_int_equal(add(outputs, 0, FRAME_ERROR,
                         "{\"ename\":\"E\",\"evalue\":\"v\",\"traceback\":[\"12\"]}"),
                     OUTPUTS_E_FULL);
    assert_true(outputs_error(outputs, 0, &name, &value));
    assert_true(slice_equals_text(name, "E"));
    assert_true(slice_equals_text(value, "v"));
    assert_int_equal(outputs_lost(outputs, 0), 6); /* ["12"] */
    assert_int_equal(add(outputs, 0, FRAME_ERROR, "{\"ename\":\"F\"}"), OUTPUTS_E_FULL);
    assert_true(outputs_error(outputs, 0, &name, &value));
    assert_true(slice_equals_text(name, "E"));
}

static void
test_a_text_that_has_no_room_in_the_result_is_told(void **state)
{
    CLEANUP(buffer_fini) struct buffer text;

    buffer_init(&text, 20);
    print(*state, 0, false, "some text");
    assert_int_equal(outputs_append(*state, 0, &text), BUFFER_E_FULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_cell_that_shows_nothing_has_no_outputs),
        TEST(test_text_of_a_stream_is_one_piece_until_something_else_comes),
        TEST(test_carriage_returns_and_backspaces_are_rendered_over_all_pieces),
        TEST(test_bundles_pass_byte_for_byte_and_transient_is_not_stored),
        TEST(test_members_that_are_missing_or_of_another_type_are_empty),
        TEST(test_frames_that_are_no_outputs_are_ignored),
        TEST(test_an_error_is_an_output_and_can_be_asked_for),
        TEST(test_clear_output_clears_its_own_cell_at_once),
        TEST(test_clear_output_that_waits_clears_with_the_next_output),
        TEST(test_an_error_comes_in_place_of_what_waits_to_be_cleared),
        TEST(test_an_update_replaces_all_displays_with_its_id_in_all_cells),
        TEST(test_a_display_with_a_known_id_renews_the_earlier_ones_too),
        TEST(test_ids_are_compared_decoded_and_an_empty_one_is_none),
        TEST(test_an_update_of_a_result_leaves_it_a_result),
        TEST(test_what_was_cleared_is_not_updated),
        TEST(test_outputs_beyond_a_cells_room_are_left_out_and_counted),
        TEST(test_text_beyond_a_cells_room_is_cut_between_characters),
        TEST(test_an_update_that_some_cell_has_no_room_for_is_left_out_everywhere),
        TEST(test_displays_that_share_an_id_need_room_each),
        TEST(test_a_cell_has_no_more_outputs_than_it_may),
        TEST(test_an_error_is_kept_where_nothing_else_has_room),
        TEST(test_a_text_that_has_no_room_in_the_result_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

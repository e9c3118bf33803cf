/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/report_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define ROOM (1 << 24)

static void
assert_holds(struct buffer *got, const char *expected)
{
    if (!slice_equals_text(buffer_slice(got), expected))
        fail_msg("expected: %s\ngot: %.*s", expected, (int)got->length,
                 (const char *)got->data);
    buffer_fini(got);
}

static json_t *
event(const char *text)
{
    json_t *tree = json_loads(text, JSON_ALLOW_NUL, NULL);

    assert_non_null(tree);
    return tree;
}

static void
assert_plain(const char *text, size_t length, const char *expected)
{
    struct buffer got;

    buffer_init(&got, ROOM);
    assert_int_equal(
        parts_append_plain(&got, (struct slice){ (const uint8_t *)text, length }, 1000),
        0);
    assert_holds(&got, expected);
}

static void
test_escape_sequences_vanish_and_control_characters_become_pictures(void **state)
{
    (void)state;
    assert_plain("a\x1b[31mred\x1b[0m\n\tb", 16, "ared\n\tb");
    assert_plain("\x1b]0;title\x07t", 11, "t");
    assert_plain("a\0b", 3,
                 "a\xe2\x90\x80"
                 "b");
    assert_plain("a\rb\bc", 5,
                 "a\xe2\x90\x8d"
                 "b\xe2\x90\x88"
                 "c");
    assert_plain("", 0, "");
}

static void
test_characters_that_xml_or_yaml_refuse_are_replaced(void **state)
{
    (void)state;
    assert_plain("\xef\xbf\xbf\xef\xbf\xbe", 6, "\xef\xbf\xbd\xef\xbf\xbd");
    assert_plain("\xe2\x80\xa8\xe2\x80\xa9", 6, "\xef\xbf\xbd\xef\xbf\xbd");
    assert_plain("\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_plain("\xc2\x85", 2, "\xef\xbf\xbd");
    assert_plain("\xf0\x9f\x98\x80\xe2\x82\xac", 7, "\xf0\x9f\x98\x80\xe2\x82\xac");
}

static void
test_a_text_beyond_its_bound_is_cut_between_characters_and_says_so(void **state)
{
    struct buffer got;

    (void)state;
    buffer_init(&got, ROOM);
    assert_int_equal(parts_append_plain(&got, slice_text("abc\xe2\x82\xac"), 4), 0);
    assert_holds(&got, "abc\n[... 3 bytes left out]\n");
    buffer_init(&got, ROOM);
    assert_int_equal(parts_append_line(&got, slice_text("abcdef"), 4), 0);
    assert_holds(&got, "abcd...");
}

static void
test_a_line_has_single_spaces_and_none_at_its_ends(void **state)
{
    struct buffer got;

    (void)state;
    buffer_init(&got, ROOM);
    assert_int_equal(buffer_append_text(&got, "x: "), 0);
    assert_int_equal(parts_append_line(&got, slice_text(" \n a\t\n b \n"), 100), 0);
    assert_holds(&got, "x: a b");
}

static void
test_lines_get_their_prefix_also_when_the_last_is_not_ended(void **state)
{
    struct buffer got;

    (void)state;
    buffer_init(&got, ROOM);
    assert_int_equal(parts_append_lines(&got, "- ", slice_text("a\n\nb"), 100), 0);
    assert_holds(&got, "- a\n- \n- b\n");
}

static void
test_members_of_another_type_count_as_missing(void **state)
{
    static const char *const hostile[] = {
        "{}",
        "[]",
        "{\"status\":1,\"seconds\":\"x\",\"cell\":\"y\",\"id\":[],\"reason\":\"z\"}",
        "{\"differences\":{\"a\":1},\"traceback\":5,\"stderr_tail\":{},\"reason\":[1]}",
        "{\"differences\":[1,null,\"x\",[]],\"traceback\":[1,null,{}]}",
        ("{\"differences\":[{\"lines\":[1,[],[2],[null,3]],\"numbers\":[1,{}],"
         "\"image\":[],\"rules\":[0,{\"pattern\":1}],\"output\":\"o\",\"type\":9}]}"),
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(hostile); i++) {
        CLEANUP(tree_decrefp) json_t *cell = event(hostile[i]);
        struct buffer got;

        assert_int_equal(parts_status(cell), PARTS_ERROR);
        assert_true(parts_seconds(cell) == 0);
        buffer_init(&got, ROOM);
        assert_int_equal(parts_append_cell_name(&got, cell), 0);
        assert_holds(&got, "Cell");
        buffer_init(&got, ROOM);
        assert_int_equal(parts_append_cell(&got, cell), 0);
        buffer_fini(&got);
    }
}

static void
test_seconds_are_kept_within_bounds(void **state)
{
    CLEANUP(tree_decrefp) json_t *much = event("{\"seconds\":1e300}");
    CLEANUP(tree_decrefp) json_t *less = event("{\"seconds\":-1}");

    (void)state;
    assert_true(parts_seconds(much) == PARTS_SECONDS_MAX);
    assert_true(parts_seconds(less) == 0);
}

static void
test_a_cell_tells_reason_traceback_last_words_and_differences(void **state)
{
    CLEANUP(tree_decrefp)
    json_t *cell = event(
        "{\"reason\":{\"kind\":\"differs\",\"text\":\"One output differs.\"},"
        "\"traceback\":[\"Trace\\u001b[1mback\",\"ValueError: x\"],"
        "\"stderr_tail\":\"Segmentation fault\\n\",\"differences\":[{\"output\":2,"
        "\"type\":\"text/plain\",\"message\":\"one number is too far away\","
        "\"lines\":[[\"=\",\"same\"],[\"-\",\"0.5\"],[\"+\",\"0.75\"],[\".\",\"\"]],"
        "\"numbers\":[{\"expected\":0.5,\"actual\":0.75,\"distance\":0.25,"
        "\"relative\":0.5}],\"image\":{\"difference\":\"out/d.png\"},"
        "\"rules\":[{\"pattern\":\"[0-9]+\",\"replace\":\"N\"}]}]}");
    struct buffer got;

    (void)state;
    buffer_init(&got, ROOM);
    assert_int_equal(parts_append_cell(&got, cell), 0);
    assert_holds(&got, "One output differs.\n"
                       "Traceback\n"
                       "ValueError: x\n"
                       "the interpreter's last words:\n"
                       "  Segmentation fault\n"
                       "output 2, text/plain: one number is too far away\n"
                       "  same\n"
                       "- 0.5\n"
                       "+ 0.75\n"
                       "  ...\n"
                       "0.75 instead of 0.5, distance 0.25 (0.5 of it)\n"
                       "difference: out/d.png\n"
                       "proposed rule: pattern: [0-9]+\n"
                       "  replace: N\n");
}

static void
test_without_a_line_diff_both_texts_are_shown(void **state)
{
    CLEANUP(tree_decrefp)
    json_t *difference = event("{\"type\":\"stdout\",\"kind\":\"differs\",\"expected\":"
                               "\"a\\n\",\"actual\":\"b\","
                               "\"lines\":null}");
    struct buffer got;

    (void)state;
    buffer_init(&got, ROOM);
    assert_int_equal(parts_append_difference(&got, difference), 0);
    assert_holds(&got, "stdout: differs\n- a\n+ b\n");
}

/* As many and as large parts as anybody likes. */
static void
test_what_is_said_of_a_cell_has_a_bound(void **state)
{
    CLEANUP(tree_decrefp) json_t *cell = event("{\"traceback\":[],\"differences\":[]}");
    CLEANUP(freep) char *giant = malloc(1 << 20);
    struct buffer got;

    (void)state;
    assert_non_null(giant);
    memset(giant, 'x', (1 << 20) - 1);
    giant[(1 << 20) - 1] = '\0';
    for (int i = 0; i < 1000; i++) {
        json_array_append_new(json_object_get(cell, "traceback"),
                              json_string("\xe2\x82\xac"));
        json_array_append_new(
            json_object_get(cell, "differences"),
            json_pack("{s:[[s,s]],s:s}", "lines", "-", "x", "message", "m"));
    }
    json_array_append_new(json_object_get(cell, "traceback"), json_string(giant));
    json_object_set_new(cell, "stderr_tail", json_string(giant));
    json_array_insert_new(
        json_object_get(cell, "differences"), 0,
        json_pack("{s:s,s:s,s:s}", "expected", giant, "actual", giant, "message", giant));
    json_array_insert_new(
        json_object_get(cell, "differences"), 1,
        json_pack("{s:s,s:s,s:s}", "expected", giant, "actual", giant, "message", giant));
    buffer_init(&got, ROOM);
    assert_int_equal(parts_append_cell(&got, cell), 0);
    assert_true(got.length > PARTS_CELL_BYTES_MAX / 2);
    assert_true(got.length <= PARTS_CELL_BYTES_MAX);
    assert_true(text_is_utf8(got.data, got.length));
    buffer_fini(&got);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_escape_sequences_vanish_and_control_characters_become_pictures),
        cmocka_unit_test(test_characters_that_xml_or_yaml_refuse_are_replaced),
        cmocka_unit_test(
            test_a_text_beyond_its_bound_is_cut_between_characters_and_says_so),
        cmocka_unit_test(test_a_line_has_single_spaces_and_none_at_its_ends),
        cmocka_unit_test(test_lines_get_their_prefix_also_when_the_last_is_not_ended),
        cmocka_unit_test(test_members_of_another_type_count_as_missing),
        cmocka_unit_test(test_seconds_are_kept_within_bounds),
        cmocka_unit_test(test_a_cell_tells_reason_traceback_last_words_and_differences),
        cmocka_unit_test(test_without_a_line_diff_both_texts_are_shown),
        cmocka_unit_test(test_what_is_said_of_a_cell_has_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

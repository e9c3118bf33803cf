/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/sides.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the rows of LINES are: "=same same|~old new|-old|+new". */
static void
assert_rows(const char *lines, const char *expected)
{
    json_t *tree = json_loads(lines, JSON_DECODE_ANY, NULL);
    struct sides sides;
    char said[512];
    size_t length = 0;

    assert_non_null(tree);
    assert_int_equal(sides_read(&sides, tree), 0);
    said[0] = '\0';
    for (size_t i = 0; i < sides.count; i++) {
        const struct sides_row *row = &sides.rows[i];

        length += (size_t)snprintf(
            said + length, sizeof said - length, "%s%c%.*s/%.*s", i > 0 ? "|" : "",
            row->mark, (int)row->text[0].length, (const char *)row->text[0].data,
            (int)row->text[1].length, (const char *)row->text[1].data);
    }
    assert_string_equal(said, expected);
    sides_fini(&sides);
    json_decref(tree);
}

/* The two lines with [ ] around what has changed. */
static void
assert_changes(const char *expected, const char *actual, const char *marked)
{
    const struct sides_row row = { '~', { slice_text(expected), slice_text(actual) } };
    struct sides_changes changes;
    char said[512];
    size_t length = 0;

    sides_compare(&changes, &row);
    for (size_t side = 0; side < SIDES_COUNT; side++) {
        size_t span = 0;

        for (size_t at = 0; at <= row.text[side].length; at++) {
            const struct sides_span *spans = changes.spans[side];

            if (span < changes.counts[side] && spans[span].end == at) {
                said[length++] = ']';
                span++;
            }
            if (span < changes.counts[side] && spans[span].begin == at)
                said[length++] = '[';
            if (at < row.text[side].length)
                said[length++] = (char)row.text[side].data[at];
        }
        said[length++] = '\n';
    }
    said[length] = '\0';
    assert_string_equal(said, marked);
}

static void
test_each_line_that_came_stands_beside_one_that_was_expected(void **state)
{
    (void)state;
    assert_rows("[[\"=\",\"a\"],[\"-\",\"b\"],[\"-\",\"c\"],[\"+\",\"B\"],[\".\",\"3\"],"
                "[\"+\",\"new\"],[\"+\",\"two\"]]",
                "=a/a|~b/B|-c/|.3/3|+/new|+/two");
    assert_rows("[[\"-\",\"a\"],[\"+\",\"b\"],[\"+\",\"c\"],[\"-\",\"d\"],[\"+\",\"e\"]]",
                "~a/b|+/c|~d/e");
    assert_rows("[[\"-\",\"a\"],[\"=\",\"b\"],[\"+\",\"c\"]]", "-a/|=b/b|+/c");
}

static void
test_what_is_no_line_is_left_out(void **state)
{
    (void)state;
    assert_rows("[]", "");
    assert_rows("null", "");
    assert_rows("{\"a\": 1}", "");
    assert_rows(
        "[null, 3, [], [\"?\", \"x\"], [\"--\", \"x\"], [\"\", \"x\"], [1, \"x\"],"
        "[\"-\"], [\"+\", 7]]",
        "~/");
}

static void
test_rows_are_bounded(void **state)
{
    json_t *lines = json_array();
    struct sides sides;

    (void)state;
    for (int i = 0; i < SIDES_ROWS_MAX + 1; i++)
        json_array_append_new(lines, json_pack("[ss]", "+", "x"));
    assert_int_equal(sides_read(&sides, lines), 0);
    assert_int_equal(sides.count, SIDES_ROWS_MAX);
    assert_true(sides.is_cut);
    sides_fini(&sides);
    json_decref(lines);
}

static void
test_whole_words_and_numbers_are_what_changes(void **state)
{
    (void)state;
    assert_changes("mean 1.25 of 9", "mean 1.5 of 9",
                   "mean [1.25] of 9\nmean [1.5] of 9\n");
    assert_changes("a=1 b=2 c=3", "a=5 b=2 c=9", "a=[1] b=2 c=[3]\na=[5] b=2 c=[9]\n");
    assert_changes("the red fox runs", "the fox runs",
                   "the[ red] fox runs\nthe fox runs\n");
    assert_changes("two  spaces here", "two spaces here",
                   "two[  ]spaces here\ntwo[ ]spaces here\n");
    assert_changes("gr\xc3\xbc\xc3\x9f dich", "gr\xc3\xbcn dich",
                   "[gr\xc3\xbc\xc3\x9f] dich\n[gr\xc3\xbcn] dich\n");
}

static void
test_lines_with_little_in_common_are_left_as_they_are(void **state)
{
    (void)state;
    assert_changes("completely other words", "nothing here is alike",
                   "completely other words\nnothing here is alike\n");
    assert_changes("", "x", "\nx\n");
}

static void
test_of_lines_with_many_words_the_ends_are_compared(void **state)
{
    struct sides_row row = { .mark = '~' };
    struct sides_changes changes;
    char left[1500], right[1500];

    (void)state;
    for (size_t i = 0; i < sizeof left; i++)
        left[i] = right[i] = i % 2 ? ' ' : 'a';
    memcpy(left + 700, "\xc3\xa4", 2); /* the first byte is the same */
    memcpy(right + 700, "\xc3\xb6", 2);
    row.text[0] = (struct slice){ (uint8_t *)left, sizeof left };
    row.text[1] = (struct slice){ (uint8_t *)right, sizeof right };
    sides_compare(&changes, &row);
    for (size_t side = 0; side < SIDES_COUNT; side++) {
        assert_int_equal(changes.counts[side], 1);
        assert_int_equal(changes.spans[side][0].begin, 700);
        assert_int_equal(changes.spans[side][0].end, 702);
    }
}

static void
test_spans_are_bounded_and_cover_all_that_changed(void **state)
{
    struct sides_row row = { .mark = '~' };
    struct sides_changes changes;
    char left[512] = "", right[512] = "";

    (void)state;
    for (int i = 0; i < SIDES_SPANS_MAX + 5; i++) {
        strcat(left, "same x ");
        strcat(right, "same y ");
    }
    row.text[0] = slice_text(left);
    row.text[1] = slice_text(right);
    sides_compare(&changes, &row);
    for (size_t side = 0; side < SIDES_COUNT; side++) {
        assert_int_equal(changes.counts[side], SIDES_SPANS_MAX);
        assert_int_equal(changes.spans[side][SIDES_SPANS_MAX - 1].end, strlen(left) - 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_line_that_came_stands_beside_one_that_was_expected),
        cmocka_unit_test(test_what_is_no_line_is_left_out),
        cmocka_unit_test(test_rows_are_bounded),
        cmocka_unit_test(test_whole_words_and_numbers_are_what_changes),
        cmocka_unit_test(test_lines_with_little_in_common_are_left_as_they_are),
        cmocka_unit_test(test_of_lines_with_many_words_the_ends_are_compared),
        cmocka_unit_test(test_spans_are_bounded_and_cover_all_that_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

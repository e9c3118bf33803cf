/* SPDX-License-Identifier: MIT */
#include "tests/compare/ask.h"

#include "kernel/compare/lines.h"
#include "kernel/compare/numbers.h"

static const struct tolerance tolerance = { 1e-6, 1e-12 };

/* The marks and texts in one string, for assertions that one can read. */
static void
check(const char *expected, const char *actual, const char *want)
{
    struct lines_difference difference;
    struct buffer text;
    json_t *row;
    size_t i;

    buffer_init(&text, 65536);
    assert_int_equal(
        lines_compare(&difference, slice_text(expected), slice_text(actual), &tolerance),
        0);
    json_array_foreach(difference.lines, i, row)
        buffer_append_format(&text, "%s%s|", json_string_value(json_array_get(row, 0)),
                             json_string_value(json_array_get(row, 1)));
    buffer_append(&text, "", 1);
    assert_string_equal((char *)text.data, want);
    buffer_fini(&text);
    lines_difference_fini(&difference);
}

static void
test_shortest_script_is_found(void **state)
{
    (void)state;
    check("a", "a", "=a|");
    check("a", "b", "-a|+b|");
    check("", "b", "+b|");
    check("a", "", "-a|");
    check("a\nb\nc\na\nb\nb\na", "c\nb\na\nb\na\nc", "-a|-b|=c|+b|=a|=b|-b|=a|+c|");
    check("x\na\nb", "a\nb", "-x|=a|=b|");
    check("a\nb", "a\nb\nx", "=a|=b|+x|");
    check("a\nb\nc", "a\nx\ny\nc", "=a|-b|+x|+y|=c|");
    check("a\na\na", "a\na", "=a|=a|-a|");
}

static void
test_lines_with_near_numbers_are_equal(void **state)
{
    (void)state;
    check("0.3\nx", "0.30000000000000004\ny", "=0.3|-x|+y|");
}

static void
test_equal_lines_far_from_a_difference_are_left_out(void **state)
{
    (void)state;
    check("1\n2\n3\n4\n5\n6\n7\n8\n9\nx\n1\n2\n3\n4\n5\n6\n7\n8\n9",
          "1\n2\n3\n4\n5\n6\n7\n8\n9\ny\n1\n2\n3\n4\n5\n6\n7\n8\n9",
          ".6 lines|=7|=8|=9|-x|+y|=1|=2|=3|.6 lines|");
    check("x\n1\n2\n3\n4\n5\n6\n7\nx", "y\n1\n2\n3\n4\n5\n6\n7\ny",
          "-x|+y|=1|=2|=3|=4|=5|=6|=7|-x|+y|");
    check("x\n1\n2\n3\n4\n5\n6\n7\n8\nx", "y\n1\n2\n3\n4\n5\n6\n7\n8\ny",
          "-x|+y|=1|=2|=3|.2 lines|=6|=7|=8|-x|+y|");
}

/* LINES lines of PREFIX and a number, from FROM. */
static void
fill(struct buffer *ret, const char *prefix, size_t from, size_t lines)
{
    for (size_t i = 0; i < lines; i++)
        assert_int_equal(buffer_append_format(ret, "%s%zu\n", prefix, from + i), 0);
}

static void
test_many_lines_are_bounded(void **state)
{
    struct lines_difference difference;
    struct buffer a, b;

    (void)state;
    buffer_init(&a, 1 << 24);
    buffer_init(&b, 1 << 24);
    fill(&a, "a", 0, 50000);
    fill(&b, "b", 0, 50000);
    assert_int_equal(
        lines_compare(&difference, buffer_slice(&a), buffer_slice(&b), &tolerance), 0);
    assert_in_range(json_array_size(difference.lines), COMPARE_LINES_MAX,
                    COMPARE_LINES_MAX + 1);
    assert_int_equal(difference.removed, 50000);
    assert_int_equal(difference.added, 50000);
    lines_difference_fini(&difference);
    buffer_fini(&a);
    buffer_fini(&b);
}

static void
test_one_line_in_many_is_found(void **state)
{
    struct lines_difference difference;
    struct buffer a, b;

    (void)state;
    buffer_init(&a, 1 << 24);
    buffer_init(&b, 1 << 24);
    fill(&a, "x", 0, 100000);
    fill(&b, "x", 0, 70000);
    fill(&b, "new", 0, 1);
    fill(&b, "x", 70000, 30000);
    assert_int_equal(
        lines_compare(&difference, buffer_slice(&a), buffer_slice(&b), &tolerance), 0);
    assert_int_equal(difference.removed, 0);
    assert_int_equal(difference.added, 1);
    assert_int_equal(difference.first, 70001);
    lines_difference_fini(&difference);
    buffer_fini(&a);
    buffer_fini(&b);
}

static void
test_long_lines_are_shown_around_where_they_differ(void **state)
{
    char *a = malloc(100001), *b = malloc(100001);
    struct lines_difference difference;
    const json_t *row;

    (void)state;
    assert_true(a != NULL && b != NULL);
    memset(a, 'x', 100000);
    a[100000] = '\0';
    memcpy(b, a, 100001);
    memcpy(b + 50000, "HERE", 4);
    assert_int_equal(lines_compare(&difference, slice_text(a), slice_text(b), &tolerance),
                     0);
    row = json_array_get(difference.lines, 1);
    assert_in_range(json_string_length(json_array_get(row, 1)), 10,
                    LINES_SHOWN_BYTES_MAX + 8);
    assert_non_null(strstr(json_string_value(json_array_get(row, 1)), "HERE"));
    lines_difference_fini(&difference);
    free(a);
    free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shortest_script_is_found),
        cmocka_unit_test(test_lines_with_near_numbers_are_equal),
        cmocka_unit_test(test_equal_lines_far_from_a_difference_are_left_out),
        cmocka_unit_test(test_many_lines_are_bounded),
        cmocka_unit_test(test_one_line_in_many_is_found),
        cmocka_unit_test(test_long_lines_are_shown_around_where_they_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

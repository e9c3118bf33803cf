/* SPDX-License-Identifier: MIT */
#include "kernel/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"

static int
setup(void **state)
{
    return history_create((struct history **)state);
}

static int
teardown(void **state)
{
    history_destroy(*state);
    return 0;
}

static void
add(struct history *history, uint64_t session, uint32_t line, const char *input)
{
    assert_int_equal(history_add(history, session, line, slice_text(input)), 0);
}

static void
assert_answer(const struct history *history, const struct history_query *query,
              uint64_t session, const char *expected)
{
    CLEANUP(buffer_fini) struct buffer out;

    buffer_init(&out, 1 << 20);
    assert_int_equal(history_append(history, query, session, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal((const char *)out.data, expected);
}

static void
fill(struct history *history)
{
    add(history, 1, 1, "a = 1");
    add(history, 1, 2, "b = 2");
    add(history, 2, 1, "a = 1");
    add(history, 2, 2, "print(a)");
}

static void
test_an_empty_history_is_an_empty_list(void **state)
{
    assert_answer(*state, &(struct history_query){ .access = HISTORY_TAIL, .n = 5 }, 1,
                  "[]");
}

static void
test_tail_gives_the_last_n_in_order(void **state)
{
    fill(*state);
    assert_answer(*state, &(struct history_query){ .access = HISTORY_TAIL, .n = 3 }, 2,
                  "[[1,2,\"b = 2\"],[2,1,\"a = 1\"],[2,2,\"print(a)\"]]");
}

static void
test_tail_without_n_gives_all(void **state)
{
    add(*state, 1, 1, "x");
    add(*state, 1, 2, "y");
    assert_answer(*state, &(struct history_query){ .access = HISTORY_TAIL }, 1,
                  "[[1,1,\"x\"],[1,2,\"y\"]]");
}

static void
test_range_of_session_0_is_the_current_one(void **state)
{
    fill(*state);
    assert_answer(*state, &(struct history_query){ .access = HISTORY_RANGE, .start = 1 },
                  2, "[[2,1,\"a = 1\"],[2,2,\"print(a)\"]]");
}

static void
test_range_with_a_negative_session_counts_back(void **state)
{
    fill(*state);
    assert_answer(
        *state,
        &(struct history_query){ .access = HISTORY_RANGE, .session = -1, .start = 1 }, 2,
        "[[1,1,\"a = 1\"],[1,2,\"b = 2\"]]");
    assert_answer(*state,
                  &(struct history_query){ .access = HISTORY_RANGE, .session = -7 }, 2,
                  "[]");
}

static void
test_range_excludes_stop(void **state)
{
    fill(*state);
    assert_answer(*state,
                  &(struct history_query){ .access = HISTORY_RANGE,
                                           .session = 1,
                                           .start = 1,
                                           .has_stop = true,
                                           .stop = 2 },
                  2, "[[1,1,\"a = 1\"]]");
}

static void
search(const struct history *history, const char *pattern, const char *expected)
{
    assert_answer(history,
                  &(struct history_query){ .access = HISTORY_SEARCH,
                                           .pattern = slice_text(pattern) },
                  2, expected);
}

static void
test_search_matches_the_whole_input(void **state)
{
    fill(*state);
    search(*state, "b", "[]");
    search(*state, "b*", "[[1,2,\"b = 2\"]]");
    search(*state, "*(a)", "[[2,2,\"print(a)\"]]");
    search(*state, "? = 2", "[[1,2,\"b = 2\"]]");
    search(*state, "*i*a*", "[[2,2,\"print(a)\"]]");
}

static void
test_a_question_mark_is_one_character_not_one_byte(void **state)
{
    add(*state, 1, 1, "\xc3\xa4");
    add(*state, 1, 2, "\xe2\x82\xac!");
    search(*state, "?", "[[1,1,\"\xc3\xa4\"]]");
    search(*state, "*\?!", "[[1,2,\"\xe2\x82\xac!\"]]");
}

static void
test_unique_search_keeps_the_newest(void **state)
{
    fill(*state);
    assert_answer(*state,
                  &(struct history_query){ .access = HISTORY_SEARCH,
                                           .unique = true,
                                           .pattern = slice_text("*") },
                  2, "[[1,2,\"b = 2\"],[2,1,\"a = 1\"],[2,2,\"print(a)\"]]");
    assert_answer(*state,
                  &(struct history_query){ .access = HISTORY_SEARCH,
                                           .unique = true,
                                           .n = 1,
                                           .pattern = slice_text("a*") },
                  2, "[[2,1,\"a = 1\"]]");
}

static void
test_outputs_come_as_pairs(void **state)
{
    fill(*state);
    assert_int_equal(history_set_output(*state, 2, 2, slice_text("1")), 0);
    assert_int_equal(history_set_output(*state, 9, 9, slice_text("nobody's")), 0);
    assert_answer(
        *state, &(struct history_query){ .access = HISTORY_TAIL, .n = 2, .output = true },
        2, "[[2,1,[\"a = 1\",null]],[2,2,[\"print(a)\",\"1\"]]]");
}

static void
test_the_oldest_entries_go_when_it_is_full(void **state)
{
    char expected[64];

    for (uint32_t i = 1; i <= HISTORY_ENTRIES_MAX + 10; i++)
        add(*state, 1, i, "x");
    snprintf(expected, sizeof expected, "[[1,%d,\"x\"]]", 11);
    assert_answer(
        *state,
        &(struct history_query){ .access = HISTORY_RANGE, .has_stop = true, .stop = 12 },
        1, expected);
}

static void
test_its_bytes_are_bounded(void **state)
{
    struct slice large = { calloc(1, HISTORY_BYTES_MAX + 1), HISTORY_BYTES_MAX + 1 };

    assert_non_null(large.data);
    memset((void *)large.data, 'x', large.length);
    add(*state, 1, 1, "small");
    assert_int_equal(history_add(*state, 1, 2, large), 0); /* not kept */
    assert_answer(*state, &(struct history_query){ .access = HISTORY_TAIL }, 1,
                  "[[1,1,\"small\"]]");
    large.length--;
    assert_int_equal(history_add(*state, 1, 3, large), 0); /* in place of all others */
    add(*state, 1, 4, "next");
    assert_answer(*state, &(struct history_query){ .access = HISTORY_TAIL }, 1,
                  "[[1,4,\"next\"]]");
    free((void *)large.data);
}

static void
test_a_search_has_an_end(void **state)
{
    char *text = calloc(1, 100001);

    memset(text, 'a', 100000);
    for (uint32_t i = 1; i < 100; i++)
        add(*state, 1, i, text);
    search(*state, "*a*a*a*a*a*a*b", "[]");
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_history_is_an_empty_list),
        TEST(test_tail_gives_the_last_n_in_order),
        TEST(test_tail_without_n_gives_all),
        TEST(test_range_of_session_0_is_the_current_one),
        TEST(test_range_with_a_negative_session_counts_back),
        TEST(test_range_excludes_stop),
        TEST(test_search_matches_the_whole_input),
        TEST(test_a_question_mark_is_one_character_not_one_byte),
        TEST(test_unique_search_keeps_the_newest),
        TEST(test_outputs_come_as_pairs),
        TEST(test_the_oldest_entries_go_when_it_is_full),
        TEST(test_its_bytes_are_bounded),
        TEST(test_a_search_has_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

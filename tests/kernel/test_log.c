/* SPDX-License-Identifier: MIT */
#include "kernel/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

/* What one line looks like on stderr. */
static void
assert_line(const char *text, const char *expected)
{
    char line[2 * LOG_LINE_BYTES] = { 0 };
    int ends[2], kept = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    log_line("%s", text);
    dup2(kept, STDERR_FILENO);
    n = read(ends[0], line, sizeof line - 1);
    assert_true(n > 0);
    assert_string_equal(line, expected);
    close(kept);
    close(ends[0]);
    close(ends[1]);
}

static void
test_a_line_has_the_name_of_the_program(void **state)
{
    (void)state;
    assert_line("hello", "cellwall: hello\n");
}

static void
test_control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    assert_line("a\x1b[2Jb\nc", "cellwall: a?[2Jb?c\n");
    assert_line("a\xc2\x9b"
                "2Jb\xc2\xa0\xc2",
                "cellwall: a??2Jb\xc2\xa0\xc2\n");
}

static void
test_a_full_pipe_does_not_stop_us(void **state)
{
    int ends[2], kept = dup(STDERR_FILENO);

    (void)state;
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < 100000; i++) /* more than a pipe holds */
        log_line("nobody reads this");
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[0]);
    close(ends[1]);
}

static void
test_lines_of_a_peer_are_held_back_and_counted(void **state)
{
    struct log_limit limit = { 0 };
    uint64_t held = 99;

    (void)state;
    assert_true(log_allows(&limit, 1000, &held));
    assert_int_equal(held, 0);
    assert_false(log_allows(&limit, 1001, &held));
    assert_false(log_allows(&limit, 1000 + LOG_INTERVAL_US - 1, &held));
    assert_true(log_allows(&limit, 1000 + LOG_INTERVAL_US, &held));
    assert_int_equal(held, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_has_the_name_of_the_program),
        cmocka_unit_test(test_control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(test_a_full_pipe_does_not_stop_us),
        cmocka_unit_test(test_lines_of_a_peer_are_held_back_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "kernel/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define WAIT_MS 60000

static volatile sig_atomic_t hangups;

static int
shell(const char *script, int timeout_ms, struct buffer *out, struct buffer *errors,
      struct error *err)
{
    char *const argv[] = { "/bin/sh", "-c", (char *)script, NULL };

    return child_run(argv, timeout_ms, out, errors, err);
}

static void
assert_failure(const char *script, int timeout_ms, const char *text)
{
    CLEANUP(buffer_fini) struct buffer out, errors;
    struct error err = { 0 };

    buffer_init(&out, 1000);
    buffer_init(&errors, 1000);
    assert_int_equal(shell(script, timeout_ms, &out, &errors, &err), CHILD_E_FAILED);
    if (strstr(err.text, text) == NULL)
        fail_msg("%s", err.text);
}

static void
test_both_streams_are_kept_apart(void **state)
{
    CLEANUP(buffer_fini) struct buffer out, errors;

    (void)state;
    buffer_init(&out, 1000);
    buffer_init(&errors, 1000);
    assert_int_equal(shell("echo one; echo two >&2", WAIT_MS, &out, &errors, NULL), 0);
    assert_true(slice_equals_text(buffer_slice(&out), "one\n"));
    assert_true(slice_equals_text(buffer_slice(&errors), "two\n"));
}

static void
test_a_bad_end_is_told(void **state)
{
    (void)state;
    assert_failure("exit 3", WAIT_MS, "exit status 3");
    assert_failure("kill -9 $$", WAIT_MS, "signal 9");
}

static void
test_one_that_closes_its_output_and_stays_is_ended(void **state)
{
    (void)state;
    assert_failure("exec >&- 2>&-; sleep 1000", 200, "no answer in time");
}

static void
on_hangup(int number)
{
    (void)number;
    hangups++;
}

/* It hangs up on us when it runs, so that we certainly wait. */
static void
test_a_signal_ends_it_and_is_left_to_the_program(void **state)
{
    const struct sigaction action = { .sa_handler = on_hangup };
    struct sigaction before;

    (void)state;
    assert_int_equal(sigaction(SIGHUP, &action, &before), 0);
    hangups = 0;
    assert_failure("kill -HUP $PPID; sleep 1000", WAIT_MS, "interrupted");
    assert_int_equal(hangups, 1);
    sigaction(SIGHUP, &before, NULL);
}

static void
test_a_program_that_is_not_there_is_told(void **state)
{
    CLEANUP(buffer_fini) struct buffer out, errors;
    char *const argv[] = { "/nonexistent/program", NULL };
    struct error err = { 0 };

    (void)state;
    buffer_init(&out, 1000);
    buffer_init(&errors, 1000);
    assert_int_equal(child_run(argv, WAIT_MS, &out, &errors, &err), CHILD_E_FAILED);
    assert_non_null(strstr(err.text, "/nonexistent/program"));
}

static void
test_too_much_output_ends_it(void **state)
{
    (void)state;
    assert_failure("while :; do echo more; done", WAIT_MS, "too long");
}

static void
test_time_that_is_over_ends_it_with_its_children(void **state)
{
    (void)state;
    assert_failure("sleep 1000 & sleep 1000", 100, "in time");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_streams_are_kept_apart),
        cmocka_unit_test(test_a_bad_end_is_told),
        cmocka_unit_test(test_one_that_closes_its_output_and_stays_is_ended),
        cmocka_unit_test(test_a_signal_ends_it_and_is_left_to_the_program),
        cmocka_unit_test(test_a_program_that_is_not_there_is_told),
        cmocka_unit_test(test_too_much_output_ends_it),
        cmocka_unit_test(test_time_that_is_over_ends_it_with_its_children),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

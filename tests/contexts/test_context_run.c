/* SPDX-License-Identifier: MIT */
/* Runs: what they print, how they are interrupted, what their time limit does. */
#include "contexts/context.h"

#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/support/contexts.h"

/* The tokens <0>, <1>, ... of "mix" from all kinds of output, in the order told. */
static long
count_tokens_in_order(const struct contexts *c, const struct told *told, long next)
{
    const char *at = told->text;

    (void)c;
    while ((at = strchr(at, '<')) != NULL) {
        assert_int_equal(strtol(at + 1, NULL, 10), next);
        next++;
        at++;
    }
    return next;
}

static void
test_output_of_all_kinds_is_in_order(void **state)
{
    struct contexts *c = *state;
    uint64_t number;
    long next = 0;

    contexts_start(c);
    number = contexts_submit(c, "mix 20000");
    contexts_wait_done(c, number);
    for (size_t i = 0; i < c->told_count; i++)
        if (c->told[i]->kind == TOLD_STREAM || c->told[i]->kind == TOLD_FRAME)
            next = count_tokens_in_order(c, c->told[i], next);
    assert_int_equal(next, 20000);
}

static void
test_pieces_of_one_print_are_one_message(void **state)
{
    struct contexts *c = *state;
    size_t messages = 0;
    CLEANUP(freep) char *text = NULL;
    char path[PATH_MAX];
    uint64_t number;

    contexts_start(c);
    number = contexts_submit(c, "pieces a b\nwrite all");
    while (contexts_find(c, TOLD_STARTED, number) == NULL)
        assert_true(loop_wait(c->loop, -1) >= 0);
    snprintf(path, sizeof path, "%s/all", c->directory);
    while (access(path, F_OK) < 0) /* however long a program may stand still */
        sched_yield();
    contexts_wait_done(c, number);
    for (size_t i = 0; i < c->told_count; i++)
        messages += c->told[i]->kind == TOLD_STREAM;
    text = contexts_text(c, 1, false);
    assert_string_equal(text, "a b\n");
    assert_int_equal(messages, 1);
}

static void
test_everything_printed_is_told_before_the_end(void **state)
{
    struct contexts *c = *state;

    contexts_start(c);
    contexts_run(c, "raw a\nbytes 62e282\nrawerr c");
    assert_int_equal(c->told[c->told_count - 2]->kind, TOLD_DONE);
    assert_int_equal(c->told[c->told_count - 1]->state, CONTEXT_IDLE);
    contexts_wait_text(c, 1, false, "a\nb\xef\xbf\xbd");
    contexts_wait_text(c, 1, true, "c\n");
}

static void
test_output_over_budget_keeps_head_and_tail(void **state)
{
    struct contexts *c = *state;
    const struct told *done;
    CLEANUP(freep) char *text = NULL;
    size_t length;

    c->options.limits.output_bytes = 65536;
    contexts_start(c);
    done = contexts_run(c, "print head\nflood 100000000\nprint tail");
    assert_int_equal(done->outcome.out.total_bytes, 100000000 + 10);
    assert_int_equal(done->outcome.out.kept_bytes, 65536);
    assert_int_equal(done->outcome.err.total_bytes, 0);
    text = contexts_text(c, done->number, false);
    length = strlen(text);
    assert_true(length < 65536 + 200);
    assert_memory_equal(text, "head\n", 5);
    assert_string_equal(text + length - 5, "tail\n");
    assert_non_null(strstr(text, " bytes of stdout left out here]\n"));
}

static void
test_paused_output_stops_the_program(void **state)
{
    struct contexts *c = *state;
    const struct told *done;
    uint64_t number;
    size_t before;

    contexts_start(c);
    number = contexts_submit(c, "print started\nflood 3000000\nprint end");
    contexts_wait_text(c, number, false, "started");
    context_pause_output(c->ctx, true);
    for (int i = 0; i < 20; i++) /* nothing may come, however long one waits */
        assert_int_equal(loop_wait(c->loop, 5), 0);
    before = c->told_count;
    for (int i = 0; i < 20; i++)
        assert_int_equal(loop_wait(c->loop, 5), 0);
    assert_int_equal(c->told_count, before);
    context_pause_output(c->ctx, false);
    done = contexts_wait_done(c, number);
    assert_int_equal(done->outcome.out.total_bytes, 3000000 + 12);
    assert_int_equal(done->outcome.out.kept_bytes, 3000000 + 12);
}

static void
test_interrupt_reaches_a_run_whose_output_is_paused(void **state)
{
    struct contexts *c = *state;
    uint64_t number;

    contexts_start(c);
    number = contexts_submit(c, "print started\nflood 100000000000");
    contexts_wait_text(c, number, false, "started");
    context_pause_output(c->ctx, true);
    context_interrupt(c->ctx, false);
    assert_int_equal(contexts_wait_done(c, number)->reason.kind,
                     CONTEXT_REASON_INTERRUPTED);
}

static void
test_interrupted_run_keeps_its_state(void **state)
{
    struct contexts *c = *state;
    const struct told *done;
    uint64_t number;

    contexts_start(c);
    number = contexts_submit(c, "set x 1\nprint started\nspin");
    contexts_wait_text(c, number, false, "started");
    context_interrupt(c->ctx, false);
    done = contexts_wait_done(c, number);
    assert_int_equal(done->outcome.end, CONTEXT_END_REPLY);
    assert_int_equal(done->flags, FRAME_FLAG_ERROR | FRAME_FLAG_INTERRUPTED);
    assert_int_equal(done->reason.kind, CONTEXT_REASON_INTERRUPTED);
    assert_false(done->reason.state_lost);
    contexts_wait_state(c, 0, CONTEXT_INTERRUPTING);
    assert_int_equal(contexts_run(c, "get x")->flags, 0);
    assert_int_equal(context_epoch(c->ctx), 1);
}

static void
test_interrupt_reaches_the_process_group(void **state)
{
    struct contexts *c = *state;
    uint64_t number;

    contexts_start(c);
    number = contexts_submit(c, "print started\nblock");
    contexts_wait_text(c, number, false, "started");
    context_interrupt(c->ctx, false);
    assert_true(contexts_wait_done(c, number)->flags & FRAME_FLAG_INTERRUPTED);
}

static void
test_interrupt_aborts_what_is_queued(void **state)
{
    struct contexts *c = *state;
    uint64_t number, next;

    contexts_start(c);
    number = contexts_submit(c, "print started\nblock");
    next = contexts_submit(c, "print no");
    contexts_wait_text(c, number, false, "started");
    context_interrupt(c->ctx, false);
    assert_int_equal(contexts_wait_done(c, next)->outcome.end, CONTEXT_END_ABORTED);
}

static void
test_a_failure_aborts_its_own_group_alone(void **state)
{
    struct contexts *c = *state;
    const struct context_request other = { .stop_on_error = true, .group = 1 };
    uint64_t first, same, next;

    contexts_start(c);
    first = contexts_submit(c, "raise wrong");
    next = contexts_submit_request(c, other, "print a");
    same = contexts_submit(c, "print no");
    assert_true(contexts_wait_done(c, first)->flags & FRAME_FLAG_ERROR);
    assert_int_equal(contexts_wait_done(c, same)->outcome.end, CONTEXT_END_ABORTED);
    assert_int_equal(contexts_wait_done(c, next)->outcome.end, CONTEXT_END_REPLY);
}

/* Front ends that share an interpreter: neither waits for all that the other has. */
static void
test_groups_take_turns(void **state)
{
    struct contexts *c = *state;
    const struct context_request other = { .group = 1 };
    static const uint64_t expected[] = { 1, 5, 2, 6, 3, 4 };
    uint64_t last = 0;
    size_t at = 0;

    contexts_start(c);
    for (int i = 0; i < 4; i++)
        last = contexts_submit_request(c, other, "print theirs");
    contexts_submit(c, "print ours");
    contexts_submit(c, "print ours");
    contexts_wait_done(c, last);
    for (size_t i = 0; i < c->told_count; i++)
        if (c->told[i]->kind == TOLD_STARTED)
            assert_int_equal(c->told[i]->number, expected[at++]);
    assert_int_equal(at, N_ELEMENTS(expected));
}

static void
test_what_is_withdrawn_is_never_told_of(void **state)
{
    struct contexts *c = *state;
    const struct context_request other = { .group = 1 };
    uint64_t first, own;

    contexts_start(c);
    first = contexts_submit(c, "print started\nblock");
    contexts_wait_text(c, first, false, "started");
    own = contexts_submit(c, "print no");
    contexts_submit_request(c, other, "print no");
    contexts_submit_request(c, other, "print no");
    assert_int_equal(context_waiting_runs(c->ctx, 0), 1);
    assert_int_equal(context_waiting_runs(c->ctx, 1), 2);
    assert_false(context_withdraw(c->ctx, first));
    assert_true(context_withdraw(c->ctx, own));
    assert_false(context_withdraw(c->ctx, own));
    context_withdraw_group(c->ctx, 1);
    assert_int_equal(context_waiting_runs(c->ctx, 1), 0);
    context_interrupt(c->ctx, false);
    contexts_wait_done(c, first);
    assert_int_equal(contexts_run(c, "print last")->flags, 0);
    for (uint64_t number = own; number < own + 3; number++)
        assert_null(contexts_find(c, TOLD_DONE, number));
}

static void
test_interrupt_when_nothing_runs_does_nothing(void **state)
{
    struct contexts *c = *state;

    contexts_start(c);
    context_interrupt(c->ctx, false);
    context_interrupt(c->ctx, true);
    assert_int_equal(contexts_run(c, "print a")->flags, 0);
    assert_int_equal(contexts_run(c, "print a")->flags, 0);
}

/* A signal for one run must never hit the next, whenever it is sent. */
static void
interrupt_when_started(struct contexts *c, const struct told *told)
{
    if (told->kind == TOLD_STARTED && told->number % 2 == 1)
        context_interrupt(c->ctx, false);
}

static void
test_interrupts_never_hit_the_next_run(void **state)
{
    struct context_request request = { .store_history = true };
    struct contexts *c = *state;
    uint64_t last = 0;

    contexts_start(c);
    c->hook = interrupt_when_started;
    for (int i = 0; i < 400; i++) /* odd ones are interrupted as they begin */
        last = contexts_submit_request(c, request, i % 2 == 0 ? "mix 3" : "mix 2");
    contexts_wait_done(c, last);
    for (size_t i = 0; i < c->told_count; i++)
        if (c->told[i]->kind == TOLD_DONE && c->told[i]->number % 2 == 0)
            assert_int_equal(c->told[i]->flags, 0);
}

static void
test_input_is_interrupted(void **state)
{
    struct contexts *c = *state;
    uint64_t number;

    contexts_start(c);
    number = contexts_submit(c, "input name?");
    contexts_wait_frame(c, FRAME_INPUT_REQUEST);
    context_interrupt(c->ctx, false);
    assert_true(contexts_wait_done(c, number)->flags & FRAME_FLAG_INTERRUPTED);
    assert_false(context_input_is_open(c->ctx));
    assert_int_equal(contexts_run(c, "print a")->flags, 0);
}

static void
test_stubborn_run_is_told_to_be_stuck_and_lives(void **state)
{
    struct contexts *c = *state;
    uint64_t number;

    contexts_start(c);
    number = contexts_submit(c, "stubborn");
    contexts_wait_text(c, number, false, "stubborn");
    context_interrupt(c->ctx, false);
    assert_int_equal(contexts_wait_stuck(c)->number, number);
    assert_null(contexts_find(c, TOLD_DONE, number));
    assert_int_equal(context_state(c->ctx), CONTEXT_INTERRUPTING);
    context_interrupt(c->ctx, true); /* now the kill follows */
    assert_int_equal(contexts_wait_done(c, number)->outcome.end, CONTEXT_END_LOST);
    assert_int_equal(contexts_wait_done(c, number)->reason.kind,
                     CONTEXT_REASON_INTERRUPTED);
    contexts_wait_state(c, c->told_count - 1, CONTEXT_IDLE);
    assert_int_equal(context_epoch(c->ctx), 2);
}

static uint64_t
submit_with_limit(struct contexts *c, const char *code, uint64_t timeout_ms)
{
    struct context_request request = { .store_history = true, .timeout_ms = timeout_ms };

    return contexts_submit_request(c, request, code);
}

static void
test_time_limit_interrupts_and_keeps_state(void **state)
{
    struct contexts *c = *state;
    const struct told *done;

    contexts_start(c);
    contexts_run(c, "set x 1");
    done = contexts_wait_done(c, submit_with_limit(c, "spin", 30));
    assert_int_equal(done->outcome.end, CONTEXT_END_REPLY);
    assert_int_equal(done->reason.kind, CONTEXT_REASON_TIMEOUT);
    assert_int_equal(done->reason.limit, 30);
    assert_true(done->reason.observed >= 30);
    assert_false(done->reason.state_lost);
    assert_int_equal(contexts_run(c, "get x")->flags, 0);
}

static void
test_time_limit_kills_what_does_not_stop(void **state)
{
    struct contexts *c = *state;
    const struct told *done;
    uint64_t number, waiting;

    contexts_start(c);
    contexts_run_well(c, "daemon");
    number = submit_with_limit(c, "stubborn", 500);
    waiting = contexts_submit(c, "print no");
    done = contexts_wait_done(c, number);
    assert_int_equal(done->outcome.end, CONTEXT_END_LOST);
    assert_int_equal(done->reason.kind, CONTEXT_REASON_TIMEOUT);
    assert_true(done->reason.state_lost);
    assert_int_equal(done->reason.limit, 500);
    assert_int_equal(contexts_wait_done(c, waiting)->outcome.end, CONTEXT_END_ABORTED);
    contexts_wait_state(c, c->told_count - 1, CONTEXT_IDLE);
    assert_int_equal(context_epoch(c->ctx), 2);
    contexts_wait_processes(c, 2);
}

static void
test_time_limit_counts_on_after_a_persons_interrupt(void **state)
{
    struct contexts *c = *state;
    uint64_t number;

    contexts_start(c);
    number = submit_with_limit(c, "stubborn", 500);
    contexts_wait_text(c, number, false, "stubborn");
    context_interrupt(c->ctx, false);
    assert_int_equal(contexts_wait_done(c, number)->outcome.end, CONTEXT_END_LOST);
    assert_int_equal(contexts_wait_done(c, number)->reason.kind, CONTEXT_REASON_TIMEOUT);
}

static void
test_run_within_its_limit_is_left_alone(void **state)
{
    struct contexts *c = *state;
    const struct told *done;

    contexts_start(c);
    done = contexts_wait_done(c, submit_with_limit(c, "print a", 60000));
    assert_int_equal(done->flags, 0);
    assert_int_equal(done->reason.kind, CONTEXT_REASON_NONE);
}

static void
test_fork_bomb_ends_with_its_time_limit(void **state)
{
    struct contexts *c = *state;

    c->options.limits.sandbox.processes = 200;
    contexts_start(c);
    assert_int_equal(
        contexts_wait_done(c, submit_with_limit(c, "forkbomb", 500))->outcome.end,
        CONTEXT_END_LOST);
    contexts_wait_processes(c, 2);
    assert_int_equal(contexts_run(c, "print a")->outcome.end, CONTEXT_END_REPLY);
}

static void
test_pipes_that_do_not_block_lose_no_frame(void **state)
{
    struct contexts *c = *state;
    long next = 0;

    contexts_start(c);
    contexts_run(c, "nonblock\nmix 2000");
    for (size_t i = 0; i < c->told_count; i++)
        if (c->told[i]->kind == TOLD_FRAME && strchr(c->told[i]->text, '<') != NULL)
            next++;
    assert_int_equal(next, 2000 / 5);
}

static void
test_contexts_do_not_disturb_each_other(void **state)
{
    struct contexts *c = *state;
    struct context *first;
    uint64_t number;

    contexts_start(c);
    first = c->ctx;
    number = contexts_submit(c, "print started\nflood 100000000000");
    contexts_wait_text(c, number, false, "started");
    c->ctx = NULL;
    contexts_create(c);
    contexts_wait_state(c, c->told_count, CONTEXT_IDLE);
    assert_int_equal(context_state(first), CONTEXT_BUSY);
    context_destroy(first);
}

int
main(void)
{
#define TEST(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, contexts_setup, contexts_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_output_of_all_kinds_is_in_order),
        TEST(test_pieces_of_one_print_are_one_message),
        TEST(test_everything_printed_is_told_before_the_end),
        TEST(test_output_over_budget_keeps_head_and_tail),
        TEST(test_paused_output_stops_the_program),
        TEST(test_interrupt_reaches_a_run_whose_output_is_paused),
        TEST(test_interrupted_run_keeps_its_state),
        TEST(test_interrupt_reaches_the_process_group),
        TEST(test_interrupt_aborts_what_is_queued),
        TEST(test_a_failure_aborts_its_own_group_alone),
        TEST(test_groups_take_turns),
        TEST(test_what_is_withdrawn_is_never_told_of),
        TEST(test_interrupt_when_nothing_runs_does_nothing),
        TEST(test_interrupts_never_hit_the_next_run),
        TEST(test_input_is_interrupted),
        TEST(test_stubborn_run_is_told_to_be_stuck_and_lives),
        TEST(test_time_limit_interrupts_and_keeps_state),
        TEST(test_time_limit_kills_what_does_not_stop),
        TEST(test_time_limit_counts_on_after_a_persons_interrupt),
        TEST(test_run_within_its_limit_is_left_alone),
        TEST(test_fork_bomb_ends_with_its_time_limit),
        TEST(test_pipes_that_do_not_block_lose_no_frame),
        TEST(test_contexts_do_not_disturb_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

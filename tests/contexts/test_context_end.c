/* SPDX-License-Identifier: MIT */
/* Interpreters that end: by themselves, by the rules, or because they are told to. */
#include "contexts/context.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "contexts/runtime.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/support/contexts.h"

/* Runs CODE, which ends the interpreter, with two requests waiting behind it, and checks
 * all that must be told. Returns the reason with the new state. */
static const struct told *
run_to_death(struct contexts *c, const char *code)
{
    uint64_t number, second, third, last;
    const struct told *done, *state;
    uint64_t epoch = context_epoch(c->ctx);
    size_t from = c->told_count;

    number = contexts_submit(c, code);
    second = contexts_submit(c, "print no");
    third = contexts_submit_other(c, FRAME_COMPLETE_REQUEST, "{}");
    done = contexts_wait_done(c, number);
    assert_int_equal(done->outcome.end, CONTEXT_END_LOST);
    assert_true(done->reason.state_lost);
    assert_int_equal(contexts_wait_done(c, second)->outcome.end, CONTEXT_END_ABORTED);
    assert_int_equal(contexts_wait_done(c, third)->outcome.end, CONTEXT_END_ABORTED);
    assert_int_equal(contexts_wait_done(c, third)->reason.kind, done->reason.kind);
    assert_string_equal(contexts_wait_done(c, third)->text, done->text);
    state = contexts_wait_state(c, from, CONTEXT_STARTING);
    assert_int_equal(state->epoch, epoch + 1);
    assert_int_equal(state->reason.kind, done->reason.kind);
    assert_string_equal(state->text, done->text);

    /* A fresh one follows, with nothing of the old one. */
    contexts_wait_state(c, from, CONTEXT_IDLE);
    last = contexts_submit(c, "set y 1\nget y");
    assert_int_equal(contexts_wait_done(c, last)->outcome.end, CONTEXT_END_REPLY);
    assert_int_equal(contexts_wait_done(c, last)->execution_count, 1);
    assert_int_equal(context_epoch(c->ctx), epoch + 1);
    return done;
}

static void
test_segmentation_fault_is_a_crash(void **state)
{
    struct contexts *c = *state;
    const struct told *done;

    contexts_start(c);
    contexts_run(c, "set x 1");
    done = run_to_death(c, "signal 11");
    assert_int_equal(done->reason.kind, CONTEXT_REASON_CRASHED);
    assert_int_equal(done->reason.signal, SIGSEGV);
    assert_int_equal(done->reason.exit_status, -1);
    assert_true(done->reason.peak_bytes > 0);
    assert_non_null(strstr(done->text, "signal 11 (Segmentation fault)"));
    assert_true(contexts_run(c, "get x")->flags & FRAME_FLAG_ERROR);
}

static void
test_sigkill_is_a_kill(void **state)
{
    struct contexts *c = *state;
    const struct told *done;

    contexts_start(c);
    done = run_to_death(c, "signal 9");
    assert_int_equal(done->reason.kind, CONTEXT_REASON_KILLED);
    assert_int_equal(done->reason.signal, SIGKILL);
}

static void
test_exit_is_a_crash_even_with_status_0(void **state)
{
    struct contexts *c = *state;
    const struct told *done;

    contexts_start(c);
    done = run_to_death(c, "exit 0");
    assert_int_equal(done->reason.kind, CONTEXT_REASON_CRASHED);
    assert_int_equal(done->reason.exit_status, 0);
    assert_string_equal(done->text, "the interpreter exited with status 0");
    done = run_to_death(c, "exit 3");
    assert_int_equal(done->reason.exit_status, 3);
}

static void
test_signal_for_cpu_time_and_file_size_name_the_limit(void **state)
{
    struct contexts *c = *state;
    char code[32];

    contexts_start(c);
    snprintf(code, sizeof code, "signal %d", SIGXCPU);
    assert_int_equal(run_to_death(c, code)->reason.kind, CONTEXT_REASON_CPU);
    snprintf(code, sizeof code, "signal %d", SIGXFSZ);
    assert_int_equal(run_to_death(c, code)->reason.kind, CONTEXT_REASON_DISK);
}

static void
test_output_before_the_death_is_told(void **state)
{
    struct contexts *c = *state;
    CLEANUP(freep) char *text = NULL;
    const struct told *done;

    contexts_start(c);
    done = run_to_death(c, "print a\nraw b\nrawerr last words\nprint c\nexit 1");
    text = contexts_text(c, done->number, false);
    assert_string_equal(text, "a\nb\nc\n");
    assert_string_equal(done->stderr_tail, "last words\n");
    assert_true(done->outcome.out.total_bytes == 6);
}

static void
test_grandchildren_do_not_hold_up_the_news(void **state)
{
    struct contexts *c = *state;

    contexts_start(c);
    run_to_death(c, "daemon\nexit 1");
    contexts_wait_processes(c, 2); /* the daemon has gone with its context */
}

static void
test_closed_channel_is_a_breach(void **state)
{
    struct contexts *c = *state;
    const struct told *done;

    contexts_start(c);
    done = run_to_death(c, "closechannel");
    assert_int_equal(done->reason.kind, CONTEXT_REASON_PROTOCOL);
    assert_non_null(strstr(done->text, "closed its channel"));
}

static void
test_closed_outputs_end_nothing(void **state)
{
    struct contexts *c = *state;

    contexts_start(c);
    assert_int_equal(contexts_run(c, "closeoutput\nprint a")->outcome.end,
                     CONTEXT_END_REPLY);
    contexts_run(c, "raw b");
    contexts_wait_text(c, 2, false, "b\n"); /* the runner has put them back */
}

static void
test_garbage_on_the_channel_is_a_breach(void **state)
{
    static const char *const packets[] = {
        "packet 00",
        "packet "
        "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526"
        "2728292a2b2c2d2e2f303132333435363738",
        /* A display that says it has 4 GiB of content. */
        "packet 010f0000000000000100000000000000030000000000000000000000000000000000000"
        "0ffffffff0000000000000000",
        "packet 01ff0000000000000100000000000000030000000000000000000000000000000000000"
        "0ffffffff0000000000000000",
    };
    struct contexts *c = *state;

    contexts_start(c);
    for (size_t i = 0; i < N_ELEMENTS(packets); i++)
        assert_int_equal(run_to_death(c, packets[i])->reason.kind,
                         CONTEXT_REASON_PROTOCOL);
}

static void
test_forged_frames_are_breaches(void **state)
{
    static const struct {
        enum frame_type type;
        int about; /* number, from that of the run */
        const char *content;
    } rows[] = {
        { FRAME_HELLO, 0, "{\"frame_version\":1}" },
        { FRAME_REPLY, 1, "{}" },
        { FRAME_REPLY, -1, "{}" },
        { FRAME_DISPLAY_DATA, 1, "{\"data\":{},\"metadata\":{}}" },
        { FRAME_EXECUTE_RESULT, -1, "{\"data\":{},\"metadata\":{}}" },
        { FRAME_INPUT_REQUEST, -1, "{\"prompt\":\"\"}" },
        { FRAME_CLEAR_OUTPUT, 0, "{\"wait\":" },
        { FRAME_CLEAR_OUTPUT, 0, "[]" },
        { FRAME_ERROR, 0, "{\"a\":\"\x01\"}" },
        { FRAME_DISPLAY_DATA, 0, "{\"data\":17}" },
        { FRAME_DISPLAY_DATA, 0, "{\"data\":{\"no type\":1},\"metadata\":{}}" },
    };
    struct contexts *c = *state;
    char code[128];

    contexts_start(c);
    contexts_run(c, "print");
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        uint64_t number = 0; /* of the next request */

        for (size_t k = 0; k < c->told_count; k++)
            if (c->told[k]->kind == TOLD_DONE && c->told[k]->number >= number)
                number = c->told[k]->number + 1;
        snprintf(code, sizeof code, "forge %d %llu %s", (int)rows[i].type,
                 (unsigned long long)number + (unsigned long long)(int64_t)rows[i].about,
                 rows[i].content);
        assert_int_equal(run_to_death(c, code)->reason.kind, CONTEXT_REASON_PROTOCOL);
    }
}

static void
test_second_open_input_request_is_a_breach(void **state)
{
    struct contexts *c = *state;
    char code[128];

    contexts_start(c);
    snprintf(code, sizeof code, "forge %d 1 {\"prompt\":\"a\"}\ninput b",
             FRAME_INPUT_REQUEST);
    assert_int_equal(run_to_death(c, code)->reason.kind, CONTEXT_REASON_PROTOCOL);
    assert_false(context_input_is_open(c->ctx));
}

static void
test_forged_reply_confuses_its_own_context_only(void **state)
{
    struct contexts *c = *state;
    const struct told *done;
    char code[64];

    contexts_start(c);
    snprintf(code, sizeof code, "forge %d 1 {\"status\":\"forged\"}", FRAME_REPLY);
    done = contexts_run(c, code);
    assert_int_equal(done->outcome.end, CONTEXT_END_REPLY);
    assert_non_null(strstr(done->text, "forged"));
    /* The runner's own reply is one too many. */
    assert_int_equal(contexts_wait_state(c, 0, CONTEXT_STARTING)->reason.kind,
                     CONTEXT_REASON_PROTOCOL);
}

static void
test_die_with_child_leaves_it_dead(void **state)
{
    struct contexts *c = *state;
    struct context_request request = { .type = FRAME_EXECUTE_REQUEST,
                                       .content = slice_text("{}") };
    const struct told *told;
    uint64_t number;

    c->options.die_with_child = true;
    contexts_start(c);
    contexts_submit(c, "exit 1");
    told = contexts_wait_state(c, 0, CONTEXT_DEAD);
    assert_int_equal(told->reason.kind, CONTEXT_REASON_CRASHED);
    assert_int_equal(told->epoch, 1);
    assert_int_equal(context_submit(c->ctx, &request, &number, NULL), CONTEXT_E_GONE);
    contexts_wait_processes(c, 0);
    /* But a restart that is asked for is obeyed. */
    assert_int_equal(context_restart(c->ctx), 0);
    contexts_wait_state(c, c->told_count, CONTEXT_IDLE);
    assert_int_equal(context_epoch(c->ctx), 2);
}

static void
test_start_that_fails_is_tried_three_times(void **state)
{
    struct contexts *c = *state;
    uint64_t first, second;
    const struct told *done;
    size_t from, failures = 0;
    CLEANUP(freep) char *program = NULL;

    /* A program that ends before it says hello, and says why. */
    program = c->runtime->argv[0];
    c->runtime->argv[0] = strdup("/bin/cat");
    contexts_create(c);
    first = contexts_submit(c, "print a");
    done = contexts_wait_done(c, first);
    assert_int_equal(done->outcome.end, CONTEXT_END_ABORTED);
    assert_int_equal(done->reason.kind, CONTEXT_REASON_START);
    assert_int_equal(done->reason.exit_status, 0);
    assert_false(done->reason.state_lost);
    contexts_wait_state(c, 0, CONTEXT_DEAD);
    for (size_t i = 0; i < c->told_count; i++)
        failures += c->told[i]->kind == TOLD_STATE &&
                    c->told[i]->reason.kind == CONTEXT_REASON_START;
    assert_int_equal(failures, 3);
    assert_int_equal(context_epoch(c->ctx), 1);

    from = c->told_count;
    second = contexts_submit(c, "print b");
    assert_int_equal(contexts_wait_done(c, second)->reason.kind, CONTEXT_REASON_START);
    contexts_wait_state(c, from, CONTEXT_DEAD);
}

static void
test_program_that_cannot_be_run_is_named(void **state)
{
    struct contexts *c = *state;
    CLEANUP(close_fdp) int fd = -1;
    const struct told *told;
    char path[128];

    snprintf(path, sizeof path, "%s/program", c->directory);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    free(c->runtime->argv[0]);
    c->runtime->argv[0] = strdup(path);
    contexts_create(c);
    told = contexts_wait_state(c, 0, CONTEXT_DEAD);
    assert_int_equal(told->reason.kind, CONTEXT_REASON_START);
    assert_non_null(strstr(told->text, path));
    assert_non_null(strstr(told->text, "Permission denied"));
}

static void
test_restart_gives_a_fresh_interpreter(void **state)
{
    struct contexts *c = *state;
    uint64_t running, waiting, after;
    size_t from;

    contexts_start(c);
    contexts_run(c, "set x 1");
    running = contexts_submit(c, "stubborn");
    waiting = contexts_submit(c, "print no");
    contexts_wait_text(c, running, false, "stubborn");
    from = c->told_count;
    assert_int_equal(context_restart(c->ctx), 0);
    after = contexts_submit(c, "get x"); /* for the fresh one */
    assert_int_equal(contexts_wait_done(c, running)->outcome.end, CONTEXT_END_LOST);
    assert_int_equal(contexts_wait_done(c, running)->reason.kind, CONTEXT_REASON_KILLED);
    assert_int_equal(contexts_wait_done(c, waiting)->outcome.end, CONTEXT_END_ABORTED);
    assert_int_equal(contexts_wait_done(c, after)->outcome.end, CONTEXT_END_REPLY);
    assert_true(contexts_wait_done(c, after)->flags & FRAME_FLAG_ERROR);
    assert_int_equal(contexts_wait_done(c, after)->execution_count, 1);
    assert_int_equal(contexts_wait_state(c, from, CONTEXT_STARTING)->epoch, 2);
    contexts_wait_processes(c, 2);
}

static void
test_restart_while_starting_and_twice_is_one(void **state)
{
    struct contexts *c = *state;

    contexts_create(c);
    assert_int_equal(context_restart(c->ctx), 0);
    assert_int_equal(context_restart(c->ctx), 0);
    contexts_wait_state(c, 0, CONTEXT_IDLE);
    contexts_wait_processes(c, 2);
    assert_int_equal(contexts_run(c, "print")->outcome.end, CONTEXT_END_REPLY);
}

static void
test_stop_ends_an_idle_one_in_order(void **state)
{
    struct contexts *c = *state;
    const struct told *told;
    uint64_t number;

    contexts_start(c);
    assert_int_equal(context_stop(c->ctx, 60000), 0);
    told = contexts_wait_state(c, 0, CONTEXT_DEAD);
    assert_int_equal(told->reason.kind, CONTEXT_REASON_NONE);
    assert_null(told->text);
    assert_int_equal(
        context_submit(c->ctx,
                       &(struct context_request){ .type = FRAME_EXECUTE_REQUEST,
                                                  .content = slice_text("{}") },
                       &number, NULL),
        CONTEXT_E_GONE);
    assert_int_equal(context_restart(c->ctx), CONTEXT_E_GONE);
    contexts_wait_processes(c, 0);
}

static void
test_stop_kills_a_busy_one_after_the_grace(void **state)
{
    struct contexts *c = *state;
    uint64_t running, waiting;

    contexts_start(c);
    running = contexts_submit(c, "stubborn");
    waiting = contexts_submit(c, "print no");
    contexts_wait_text(c, running, false, "stubborn");
    assert_int_equal(context_stop(c->ctx, 50), 0);
    contexts_wait_state(c, 0, CONTEXT_DEAD);
    assert_int_equal(contexts_wait_done(c, running)->outcome.end, CONTEXT_END_LOST);
    assert_string_equal(contexts_wait_done(c, running)->text,
                        "the interpreter was shut down");
    assert_int_equal(contexts_wait_done(c, waiting)->outcome.end, CONTEXT_END_ABORTED);
    contexts_wait_processes(c, 0);
}

static void
test_stop_lets_a_short_run_finish(void **state)
{
    struct contexts *c = *state;
    uint64_t running;

    contexts_start(c);
    running = contexts_submit(c, "print started\nmix 2000");
    contexts_wait_text(c, running, false, "started");
    assert_int_equal(context_stop(c->ctx, 60000), 0);
    assert_int_equal(contexts_wait_done(c, running)->outcome.end, CONTEXT_END_REPLY);
    contexts_wait_state(c, 0, CONTEXT_DEAD);
}

static void
test_stop_without_grace_or_while_starting_is_a_kill(void **state)
{
    struct contexts *c = *state;

    contexts_create(c);
    assert_int_equal(context_stop(c->ctx, 60000), 0);
    contexts_wait_state(c, 0, CONTEXT_DEAD);
    assert_int_equal(context_stop(c->ctx, 0), 0); /* told again */
    contexts_wait_state(c, c->told_count, CONTEXT_DEAD);
    contexts_wait_processes(c, 0);
}

static void
test_destroy_leaves_nothing(void **state)
{
    struct contexts *c = *state;
    size_t fds;

    contexts_start(c);
    context_destroy(c->ctx); /* the first one makes what the process keeps */
    c->ctx = NULL;
    fds = contexts_count_fds();
    for (int i = 0; i < 200; i++) {
        contexts_create(c);
        if (i % 4 == 1)
            contexts_submit(c, "daemon\nflood 100000000");
        if (i % 4 >= 1)
            contexts_wait_state(c, c->told_count, CONTEXT_IDLE);
        if (i % 4 == 2)
            contexts_run(c, "daemon");
        if (i % 4 == 3)
            contexts_submit(c, "exit 1");
        context_destroy(c->ctx);
        c->ctx = NULL;
    }
    contexts_wait_processes(c, 0);
    while (contexts_count_fds() != fds) /* answers for what was cancelled come in */
        assert_int_equal(loop_wait(c->loop, 10), 0);
}

static void
test_destroy_calls_nobody(void **state)
{
    struct contexts *c = *state;
    size_t told;

    contexts_start(c);
    contexts_submit(c, "print a\nblock");
    contexts_submit(c, "print b");
    contexts_wait_text(c, 1, false, "a");
    told = c->told_count;
    context_destroy(c->ctx);
    c->ctx = NULL;
    contexts_wait_processes(c, 0);
    assert_int_equal(c->told_count, told);
}

static void
call_everything(struct contexts *c, const struct told *told)
{
    char byte[4];
    int pid;

    if (c->hooked++ > 400)
        return;
    context_pause_output(c->ctx, c->hooked % 2 == 0);
    context_pids(c->ctx, &pid, 1);
    context_interrupt(c->ctx, c->hooked % 3 == 0);
    (void)context_input_reply(c->ctx, slice_text("{\"value\":\"a\"}"));
    if (told->kind == TOLD_DONE) {
        struct context_request request = { .type = FRAME_COMPLETE_REQUEST,
                                           .content = slice_text("{}") };
        uint64_t number;

        (void)context_submit(c->ctx, &request, &number, NULL);
        if (told->outcome.end == CONTEXT_END_LOST)
            (void)context_restart(c->ctx);
    }
    snprintf(byte, sizeof byte, "%d", (int)context_state(c->ctx));
}

static void
test_observer_may_call_everything_but_destroy(void **state)
{
    struct contexts *c = *state;

    c->hook = call_everything;
    contexts_create(c);
    contexts_submit(c, "print a\nmix 50");
    contexts_submit(c, "input a");
    contexts_submit(c, "signal 11");
    while (c->hooked < 400)
        assert_int_equal(loop_wait(c->loop, 20), 0);
    c->hook = NULL;
    context_pause_output(c->ctx, false);
    assert_int_equal(context_stop(c->ctx, 10), 0);
    contexts_wait_state(c, c->told_count, CONTEXT_DEAD);
}

int
main(void)
{
#define TEST(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, contexts_setup, contexts_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_segmentation_fault_is_a_crash),
        TEST(test_sigkill_is_a_kill),
        TEST(test_exit_is_a_crash_even_with_status_0),
        TEST(test_signal_for_cpu_time_and_file_size_name_the_limit),
        TEST(test_output_before_the_death_is_told),
        TEST(test_grandchildren_do_not_hold_up_the_news),
        TEST(test_closed_channel_is_a_breach),
        TEST(test_closed_outputs_end_nothing),
        TEST(test_garbage_on_the_channel_is_a_breach),
        TEST(test_forged_frames_are_breaches),
        TEST(test_second_open_input_request_is_a_breach),
        TEST(test_forged_reply_confuses_its_own_context_only),
        TEST(test_die_with_child_leaves_it_dead),
        TEST(test_start_that_fails_is_tried_three_times),
        TEST(test_program_that_cannot_be_run_is_named),
        TEST(test_restart_gives_a_fresh_interpreter),
        TEST(test_restart_while_starting_and_twice_is_one),
        TEST(test_stop_ends_an_idle_one_in_order),
        TEST(test_stop_kills_a_busy_one_after_the_grace),
        TEST(test_stop_lets_a_short_run_finish),
        TEST(test_stop_without_grace_or_while_starting_is_a_kill),
        TEST(test_destroy_leaves_nothing),
        TEST(test_destroy_calls_nobody),
        TEST(test_observer_may_call_everything_but_destroy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

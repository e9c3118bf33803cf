/* SPDX-License-Identifier: MIT */
/* Requests and their answers: the example runtime in the real sandbox. */
#include "contexts/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/runtime.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/support/contexts.h"

static void
assert_text(const struct contexts *c, uint64_t number, bool is_stderr,
            const char *expected)
{
    CLEANUP(freep) char *text = contexts_text(c, number, is_stderr);

    assert_string_equal(text, expected);
}

static void
test_context_becomes_idle_and_says_hello(void **state)
{
    struct contexts *c = *state;
    int pids[8];

    contexts_create(c);
    assert_int_equal(context_state(c->ctx), CONTEXT_STARTING);
    assert_int_equal(context_hello(c->ctx).length, 0);
    contexts_wait_state(c, 0, CONTEXT_IDLE);
    assert_int_equal(context_epoch(c->ctx), 1);
    assert_int_equal(context_execution_count(c->ctx), 0);
    assert_non_null(memmem(context_hello(c->ctx).data, context_hello(c->ctx).length,
                           "\"frame_version\"", 15));
    assert_int_equal(context_pids(c->ctx, pids, 8), 2); /* init and runner */
    assert_true(pids[0] > 0 && pids[1] > 0);
    assert_int_equal(context_pids(c->ctx, pids, 1), 1);
}

static void
test_request_is_started_then_answered(void **state)
{
    struct contexts *c = *state;
    const struct told *done;
    uint64_t number;
    size_t from;

    contexts_start(c);
    from = c->told_count;
    number = contexts_submit(c, "print hello\nresult 42");
    assert_int_equal(number, 1);
    assert_int_equal(c->told_count, from); /* nothing before submit has returned */
    done = contexts_wait_done(c, number);
    assert_int_equal(done->outcome.end, CONTEXT_END_REPLY);
    assert_int_equal(done->flags, 0);
    assert_int_equal(done->reason.kind, CONTEXT_REASON_NONE);
    assert_non_null(strstr(done->text, "\"status\":\"ok\""));
    assert_int_equal(done->execution_count, 1);
    assert_true(done->outcome.usage.started_us > 0);
    assert_text(c, number, false, "hello\n");
    assert_int_equal(c->told[from]->kind, TOLD_STATE);
    assert_int_equal(c->told[from]->state, CONTEXT_BUSY);
    assert_int_equal(c->told[from + 1]->kind, TOLD_STARTED);
    assert_int_equal(c->told[from + 2]->kind, TOLD_STREAM);
    assert_int_equal(c->told[from + 3]->kind, TOLD_FRAME);
    assert_int_equal(c->told[from + 3]->type, FRAME_EXECUTE_RESULT);
    assert_string_equal(c->told[from + 3]->metadata, "{}");
    assert_int_equal(c->told[from + 4]->kind, TOLD_DONE);
    assert_int_equal(context_state(c->ctx), CONTEXT_IDLE);
}

static void
test_variables_persist(void **state)
{
    struct contexts *c = *state;

    contexts_start(c);
    contexts_run(c, "set x 17");
    contexts_run(c, "get x");
    assert_non_null(strstr(contexts_wait_frame(c, FRAME_EXECUTE_RESULT)->text, "17"));
}

static void
test_requests_submitted_early_wait_for_readiness(void **state)
{
    struct contexts *c = *state;
    uint64_t first, second;

    contexts_create(c);
    first = contexts_submit(c, "print a");
    second = contexts_submit(c, "print b");
    contexts_wait_done(c, second);
    assert_text(c, first, false, "a\n");
    assert_text(c, second, false, "b\n");
}

static void
test_requests_run_in_order(void **state)
{
    struct contexts *c = *state;
    uint64_t last = 0, done = 0, started = 0;

    contexts_start(c);
    for (int i = 0; i < 200; i++)
        last = i % 3 == 0 ? contexts_submit_other(c, FRAME_COMPLETE_REQUEST,
                                                  "{\"code\":\"p\",\"cursor_pos\":1}")
                          : contexts_submit(c, "print x");
    contexts_wait_done(c, last);
    for (size_t i = 0; i < c->told_count; i++) {
        if (c->told[i]->kind == TOLD_STARTED) {
            assert_int_equal(done, started);
            assert_int_equal(c->told[i]->number, ++started);
        } else if (c->told[i]->kind == TOLD_DONE) {
            assert_int_equal(c->told[i]->number, ++done);
        }
    }
    assert_int_equal(done, last);
}

static void
test_only_stored_runs_advance_the_count(void **state)
{
    struct contexts *c = *state;
    struct context_request silent = { .silent = true, .store_history = true };
    struct context_request unstored = { .silent = false };
    uint64_t number;

    contexts_start(c);
    assert_int_equal(contexts_run(c, "print")->execution_count, 1);
    assert_int_equal(contexts_run(c, "print")->execution_count, 2);
    number = contexts_submit_request(c, unstored, "print");
    assert_int_equal(contexts_wait_done(c, number)->execution_count, 2);
    number = contexts_submit_request(c, silent, "print");
    assert_int_equal(contexts_wait_done(c, number)->execution_count, 2);
    assert_non_null(strstr(contexts_wait_done(c, number)->text, "\"execution_count\":2"));
    number = contexts_submit_other(c, FRAME_IS_COMPLETE_REQUEST, "{\"code\":\"a\"}");
    contexts_wait_done(c, number);
    assert_int_equal(contexts_run(c, "print")->execution_count, 3);
    assert_int_equal(context_execution_count(c->ctx), 3);
}

static void
test_other_requests_are_answered(void **state)
{
    static const struct {
        enum frame_type type;
        const char *content, *answer;
    } rows[] = {
        { FRAME_COMPLETE_REQUEST, "{\"code\":\"p\",\"cursor_pos\":1}", "matches" },
        { FRAME_INSPECT_REQUEST, "{\"code\":\"p\",\"cursor_pos\":1}", "found" },
        { FRAME_IS_COMPLETE_REQUEST, "{\"code\":\"p\\\\\"}", "incomplete" },
        { FRAME_COMM_OPEN, "{\"comm_id\":\"1\",\"target_name\":\"t\",\"data\":{}}",
          "{}" },
        { FRAME_COMM_MSG, "{\"comm_id\":\"1\",\"data\":{}}", "{}" },
        { FRAME_COMM_CLOSE, "{\"comm_id\":\"1\",\"data\":{}}", "{}" },
    };
    struct contexts *c = *state;

    contexts_start(c);
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        uint64_t number = contexts_submit_other(c, rows[i].type, rows[i].content);
        const struct told *done = contexts_wait_done(c, number);

        assert_int_equal(done->outcome.end, CONTEXT_END_REPLY);
        assert_non_null(strstr(done->text, rows[i].answer));
    }
    assert_non_null(contexts_wait_frame(c, FRAME_COMM_MSG)); /* the echo */
}

static void
test_frames_carry_buffers(void **state)
{
    struct contexts *c = *state;

    contexts_start(c);
    contexts_run(c, "comm 17");
    assert_int_equal(contexts_wait_frame(c, FRAME_COMM_OPEN)->buffer_count, 1);
}

static void
test_input_is_asked_and_answered(void **state)
{
    struct contexts *c = *state;
    uint64_t number;

    contexts_start(c);
    assert_int_equal(context_input_reply(c->ctx, slice_text("{}")),
                     CONTEXT_E_NOT_WAITING);
    number = contexts_submit(c, "input name?");
    contexts_wait_frame(c, FRAME_INPUT_REQUEST);
    assert_true(context_input_is_open(c->ctx));
    assert_int_equal(context_input_reply(c->ctx, slice_text("{\"value\":\"Ada\"}")), 0);
    assert_false(context_input_is_open(c->ctx));
    assert_int_equal(context_input_reply(c->ctx, slice_text("{}")),
                     CONTEXT_E_NOT_WAITING);
    contexts_wait_done(c, number);
    assert_non_null(strstr(contexts_wait_frame(c, FRAME_EXECUTE_RESULT)->text, "Ada"));
}

static void
test_failure_aborts_the_executions_then_queued(void **state)
{
    struct contexts *c = *state;
    uint64_t failing, second, complete, third, last;

    contexts_start(c);
    failing = contexts_submit(c, "raise oops");
    second = contexts_submit(c, "print no");
    complete = contexts_submit_other(c, FRAME_COMPLETE_REQUEST,
                                     "{\"code\":\"p\",\"cursor_pos\":1}");
    third = contexts_submit(c, "print no");
    assert_true(contexts_wait_done(c, failing)->flags & FRAME_FLAG_ERROR);
    assert_int_equal(contexts_wait_done(c, second)->outcome.end, CONTEXT_END_ABORTED);
    assert_int_equal(contexts_wait_done(c, third)->outcome.end, CONTEXT_END_ABORTED);
    assert_int_equal(contexts_wait_done(c, third)->reason.kind, CONTEXT_REASON_NONE);
    assert_int_equal(contexts_wait_done(c, complete)->outcome.end, CONTEXT_END_REPLY);
    last = contexts_submit(c, "print yes");
    assert_int_equal(contexts_wait_done(c, last)->outcome.end, CONTEXT_END_REPLY);
    assert_null(contexts_find(c, TOLD_STARTED, second));
    assert_int_equal(context_execution_count(c->ctx), 2);
}

static void
test_failure_aborts_nothing_when_silent_or_not_asked_to(void **state)
{
    struct context_request silent = { .silent = true, .stop_on_error = true };
    struct context_request going_on = { .store_history = true };
    struct contexts *c = *state;
    uint64_t last;

    contexts_start(c);
    contexts_submit_request(c, silent, "raise a");
    contexts_submit_request(c, going_on, "raise b");
    last = contexts_submit(c, "print yes");
    assert_int_equal(contexts_wait_done(c, last)->outcome.end, CONTEXT_END_REPLY);
}

static void
submit_when_done(struct contexts *c, const struct told *told)
{
    if (told->kind == TOLD_DONE && c->hooked == 0) {
        c->hooked = 1;
        assert_int_equal(contexts_submit(c, "print later"), 3);
    }
}

static void
test_what_the_observer_submits_on_a_failure_is_not_aborted(void **state)
{
    struct contexts *c = *state;

    contexts_start(c);
    c->hook = submit_when_done;
    contexts_submit(c, "raise oops");
    contexts_submit(c, "print no");
    assert_int_equal(contexts_wait_done(c, 3)->outcome.end, CONTEXT_END_REPLY);
    assert_int_equal(contexts_wait_done(c, 2)->outcome.end, CONTEXT_END_ABORTED);
}

static void
test_requests_expire_while_a_run_goes_on(void **state)
{
    struct contexts *c = *state;
    struct context_request request = { .type = FRAME_COMPLETE_REQUEST,
                                       .content = slice_text("{}"),
                                       .queue_ms = 20 };
    uint64_t blocking, patient, expiring;

    contexts_start(c);
    blocking = contexts_submit(c, "print started\nblock");
    contexts_wait_text(c, blocking, false, "started");
    patient = contexts_submit_other(c, FRAME_COMPLETE_REQUEST,
                                    "{\"code\":\"p\",\"cursor_pos\":1}");
    assert_int_equal(context_submit(c->ctx, &request, &expiring, NULL), 0);
    assert_int_equal(contexts_wait_done(c, expiring)->outcome.end, CONTEXT_END_EXPIRED);
    assert_null(contexts_find(c, TOLD_DONE, patient));
    context_interrupt(c->ctx, false);
    contexts_wait_done(c, blocking);
    assert_int_equal(contexts_wait_done(c, patient)->outcome.end, CONTEXT_END_REPLY);
    assert_null(contexts_find(c, TOLD_STARTED, expiring));
}

static void
test_queue_is_bounded(void **state)
{
    struct contexts *c = *state;
    struct context_request request = { .type = FRAME_COMPLETE_REQUEST,
                                       .content = slice_text("{}") };
    struct error err = { 0 };
    uint64_t number;
    int r = 0, queued = 0;

    contexts_create(c);
    while ((r = context_submit(c->ctx, &request, &number, &err)) == 0)
        queued++;
    assert_int_equal(r, CONTEXT_E_QUEUE_FULL);
    assert_int_equal(queued, CONTEXT_QUEUE_MAX);
    assert_string_not_equal(err.text, "");
    contexts_wait_done(c, number);
}

static void
test_queue_is_bounded_in_bytes(void **state)
{
    struct contexts *c = *state;
    size_t length = (size_t)60 * 1024 * 1024;
    CLEANUP(freep) char *text = malloc(length + 1);
    struct context_request request = { .type = FRAME_COMPLETE_REQUEST };
    uint64_t number;
    int r = 0, queued = 0;

    assert_non_null(text);
    memset(text, ' ', length);
    text[length] = '\0';
    request.content = slice_text(text);
    contexts_create(c);
    while ((r = context_submit(c->ctx, &request, &number, NULL)) == 0)
        queued++;
    assert_int_equal(r, CONTEXT_E_QUEUE_FULL);
    assert_int_equal(queued, (int)(CONTEXT_QUEUE_BYTES_MAX / length));
}

static void
test_request_larger_than_a_frame_is_refused(void **state)
{
    struct contexts *c = *state;
    size_t length = (size_t)64 * 1024 * 1024 + 1;
    CLEANUP(freep) char *text = malloc(length + 1);
    struct context_request request = { .type = FRAME_EXECUTE_REQUEST };
    uint64_t number;

    assert_non_null(text);
    memset(text, ' ', length);
    text[length] = '\0';
    request.content = slice_text(text);
    contexts_start(c);
    assert_int_equal(context_submit(c->ctx, &request, &number, NULL),
                     CONTEXT_E_TOO_LARGE);
    assert_int_equal(contexts_run(c, "print")->outcome.end, CONTEXT_END_REPLY);
}

static void
test_large_request_arrives(void **state)
{
    struct contexts *c = *state;
    size_t length = (size_t)4 * 1024 * 1024;
    CLEANUP(freep) char *code = malloc(length + 64);

    assert_non_null(code);
    memset(code, '\n', length);
    strcpy(code + length, "result end");
    contexts_start(c);
    contexts_run(c, code);
    assert_non_null(strstr(contexts_wait_frame(c, FRAME_EXECUTE_RESULT)->text, "end"));
}

static void
test_files_are_in_the_contexts_directory(void **state)
{
    struct contexts *c = *state;
    char path[128];

    contexts_start(c);
    contexts_run(c, "write here.txt");
    snprintf(path, sizeof path, "%s/here.txt", c->directory);
    assert_int_equal(access(path, R_OK), 0);
}

static void
test_missing_directory_is_refused(void **state)
{
    struct contexts *c = *state;
    struct error err = { 0 };

    c->options.directory = "/nonexistent/directory";
    assert_int_equal(context_create(&c->ctx, c->loop, &c->options, &err),
                     CONTEXT_E_OPTIONS);
    assert_null(c->ctx);
    assert_string_not_equal(err.text, "");
}

static void
test_names_are_those_of_the_wire(void **state)
{
    (void)state;
    assert_string_equal(context_state_name(CONTEXT_INTERRUPTING), "interrupting");
    assert_string_equal(context_reason_name(CONTEXT_REASON_TIMEOUT), "timeout");
    assert_string_equal(context_reason_name(CONTEXT_REASON_START), "start");
}

int
main(void)
{
#define TEST(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, contexts_setup, contexts_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_context_becomes_idle_and_says_hello),
        TEST(test_request_is_started_then_answered),
        TEST(test_variables_persist),
        TEST(test_requests_submitted_early_wait_for_readiness),
        TEST(test_requests_run_in_order),
        TEST(test_only_stored_runs_advance_the_count),
        TEST(test_other_requests_are_answered),
        TEST(test_frames_carry_buffers),
        TEST(test_input_is_asked_and_answered),
        TEST(test_failure_aborts_the_executions_then_queued),
        TEST(test_failure_aborts_nothing_when_silent_or_not_asked_to),
        TEST(test_what_the_observer_submits_on_a_failure_is_not_aborted),
        TEST(test_requests_expire_while_a_run_goes_on),
        TEST(test_queue_is_bounded),
        TEST(test_queue_is_bounded_in_bytes),
        TEST(test_request_larger_than_a_frame_is_refused),
        TEST(test_large_request_arrives),
        TEST(test_files_are_in_the_contexts_directory),
        TEST(test_missing_directory_is_refused),
        cmocka_unit_test(test_names_are_those_of_the_wire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

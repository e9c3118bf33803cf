/* SPDX-License-Identifier: MIT */
/* What an execution's client is told at its end. The context is a real one, for its epoch
 * and what it has used; the outcomes are made up. */
#include "kernel/agent/agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contexts/context.h"
#include "contexts/loop.h"
#include "kernel/agent/events.h"
#include "kernel/agent/tally.h"
#include "protocol/cleanup.h"
#include "protocol/frame.h"
#include "protocol/tree.h"
#include "tests/support/contexts.h"

#define RESULTS_BYTES 1000

struct fixture {
    void *contexts;
    struct agent agent;
    struct agent_bounds bounds;
    struct owner owner;
    struct agent_context context;
    struct run *run;
    json_t *told;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct contexts *c;

    assert_non_null(f);
    contexts_setup(&f->contexts);
    c = f->contexts;
    contexts_start(c);
    bounds_init(&f->bounds);
    f->bounds.results_bytes = RESULTS_BYTES;
    f->agent.bounds = &f->bounds;
    f->agent.loop = c->loop;
    f->context.agent = &f->agent;
    f->context.owner = &f->owner;
    f->context.context = c->ctx;
    snprintf(f->context.id, sizeof f->context.id, "ctx_1");
    assert_int_equal(run_create(&f->run, &f->context), 0);
    f->run->state = RUN_RUNNING;
    f->owner.open_runs = 1;
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    json_decref(f->told);
    run_free(f->run);
    contexts_teardown(&f->contexts);
    free(f);
    return 0;
}

static void
read_outcome(struct fixture *f, struct slice text)
{
    static const struct json_limits limits = { 1 << 20, 32 };

    json_decref(f->told);
    f->told = NULL;
    if (tree_load_object(&f->told, text, &limits, NULL) != 0)
        fail_msg("not JSON: %.*s", (int)text.length, (const char *)text.data);
}

static void
append(struct fixture *f, const struct context_outcome *outcome)
{
    struct buffer out;

    buffer_init(&out, 1 << 20);
    assert_int_equal(outcome_append(&out, f->run, outcome), 0);
    read_outcome(f, buffer_slice(&out));
    buffer_fini(&out);
}

/* The member at PATH, "a.b". */
static json_t *
at(const json_t *told, const char *path)
{
    char name[64];

    for (;;) {
        size_t length = strcspn(path, ".");

        snprintf(name, sizeof name, "%.*s", (int)length, path);
        told = json_object_get(told, name);
        if (told == NULL)
            fail_msg("no member %s", name);
        if (path[length] == '\0')
            return (json_t *)told;
        path += length + 1;
    }
}

static void
assert_text(const struct fixture *f, const char *path, const char *expected)
{
    assert_string_equal(json_string_value(at(f->told, path)), expected);
}

static void
assert_null_at(const struct fixture *f, const char *path)
{
    assert_true(json_is_null(at(f->told, path)));
}

static void
test_a_run_that_went_well_has_everything_it_showed(void **state)
{
    struct fixture *f = *state;
    const struct frame reply = {
        .type = FRAME_REPLY,
        .content = slice_text("{\"status\":\"ok\",\"user_expressions\":{\"a\":1}}")
    };
    const struct frame result = { .type = FRAME_EXECUTE_RESULT,
                                  .content =
                                      slice_text("{\"data\":{\"text/plain\":\"2\"}}") };

    assert_int_equal(tally_add_text(f->run->tally, false, slice_text("out")), 0);
    assert_int_equal(tally_add_text(f->run->tally, true, slice_text("err")), 0);
    assert_int_equal(tally_add_frame(f->run->tally, &result), 0);
    append(f, &(struct context_outcome){ .end = CONTEXT_END_REPLY,
                                         .reply = &reply,
                                         .execution_count = 7,
                                         .usage = { .wall_us = 2500 } });
    assert_text(f, "status", "ok");
    assert_text(f, "execution_id", f->run->id);
    assert_int_equal(json_integer_value(at(f->told, "execution_count")), 7);
    assert_text(f, "logs.stdout", "out");
    assert_text(f, "logs.stderr", "err");
    assert_int_equal(json_array_size(at(f->told, "results")), 1);
    assert_null_at(f, "error");
    assert_null_at(f, "reason");
    assert_null_at(f, "truncated");
    assert_int_equal(json_integer_value(at(f->told, "user_expressions.a")), 1);
    assert_true(json_real_value(at(f->told, "usage.wall_ms")) == 2.5);
    assert_true(json_real_value(at(f->told, "usage.queued_ms")) >= 0);
    assert_text(f, "context.id", "ctx_1");
    assert_text(f, "context.state", "idle");
    assert_int_equal(json_integer_value(at(f->told, "context.epoch")), 1);
}

static void
test_an_exception_is_told_as_it_came(void **state)
{
    struct fixture *f = *state;
    const struct frame reply = {
        .type = FRAME_REPLY,
        .flags = FRAME_FLAG_ERROR,
        .content = slice_text("{\"status\":\"error\",\"ename\":\"E\",\"evalue\":\"v\","
                              "\"traceback\":[\"one\",\"two\"]}")
    };

    append(f, &(struct context_outcome){ .end = CONTEXT_END_REPLY, .reply = &reply });
    assert_text(f, "status", "error");
    assert_text(f, "error.ename", "E");
    assert_text(f, "error.evalue", "v");
    assert_int_equal(json_array_size(at(f->told, "error.traceback")), 2);
    assert_null_at(f, "reason"); /* it is the code's own */
    assert_int_equal(json_object_size(at(f->told, "user_expressions")), 0);
    assert_text(f, "context.state", "idle");
}

/* The runner is not to be trusted to say all. */
static void
test_what_a_reply_lacks_is_made_up_for(void **state)
{
    static const char *const replies[] = { "{}", "" };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(replies); i++) {
        const struct frame reply = { .type = FRAME_REPLY,
                                     .flags = FRAME_FLAG_ERROR,
                                     .content = slice_text(replies[i]) };

        append(f, &(struct context_outcome){ .end = CONTEXT_END_REPLY, .reply = &reply });
        assert_text(f, "status", "error");
        assert_text(f, "error.ename", "Error");
        assert_text(f, "error.evalue", "");
        assert_int_equal(json_array_size(at(f->told, "error.traceback")), 0);
    }
}

static void
test_a_lost_interpreter_is_an_error_with_its_reason_and_the_next_epoch(void **state)
{
    struct fixture *f = *state;

    append(f, &(struct context_outcome){ .end = CONTEXT_END_LOST,
                                         .reason = { .kind = CONTEXT_REASON_MEMORY,
                                                     .exit_status = -1,
                                                     .state_lost = true,
                                                     .limit = 1000,
                                                     .peak_bytes = 1000,
                                                     .text = "it needed more memory" } });
    assert_text(f, "status", "error");
    assert_true(json_is_object(at(f->told, "error")));
    assert_string_not_equal(json_string_value(at(f->told, "error.ename")), "");
    assert_text(f, "reason.kind", "memory");
    assert_text(f, "reason.text", "it needed more memory");
    assert_text(f, "context.state", "starting");
    assert_int_equal(json_integer_value(at(f->told, "context.epoch")), 2);
    f->context.deleted = true;
    append(f, &(struct context_outcome){ .end = CONTEXT_END_LOST,
                                         .reason = { .kind = CONTEXT_REASON_KILLED,
                                                     .exit_status = -1,
                                                     .state_lost = true,
                                                     .text = "it was deleted" } });
    assert_text(f, "context.state", "dead");
    assert_int_equal(json_integer_value(at(f->told, "context.epoch")), 1);
}

static void
test_what_was_left_out_is_told_where_something_was(void **state)
{
    struct fixture *f = *state;
    const struct frame reply = { .type = FRAME_REPLY, .content = slice_text("{}") };
    struct context_outcome outcome = { .end = CONTEXT_END_REPLY,
                                       .reply = &reply,
                                       .out = { 100, 100 },
                                       .err = { 2000, 1000 } };
    char content[2 * RESULTS_BYTES];
    struct frame result = { .type = FRAME_DISPLAY_DATA };

    append(f, &outcome);
    assert_int_equal(json_object_size(at(f->told, "truncated")), 1);
    assert_int_equal(json_integer_value(at(f->told, "truncated.stderr.total_bytes")),
                     2000);
    assert_int_equal(json_integer_value(at(f->told, "truncated.stderr.kept_bytes")),
                     1000);
    snprintf(content, sizeof content, "{\"data\":\"%0*d\"}", RESULTS_BYTES, 0);
    result.content = slice_text(content);
    assert_int_equal(tally_add_frame(f->run->tally, &result), 0);
    append(f, &outcome);
    assert_int_equal(json_object_size(at(f->told, "truncated")), 2);
    assert_int_equal(json_integer_value(at(f->told, "truncated.results.total_bytes")),
                     RESULTS_BYTES + 4);
    assert_int_equal(json_integer_value(at(f->told, "truncated.results.kept_bytes")), 0);
}

static void
test_an_outcome_that_has_no_room_is_told(void **state)
{
    struct fixture *f = *state;
    const struct frame reply = { .type = FRAME_REPLY, .content = slice_text("{}") };

    for (size_t limit = 0; limit < 400; limit++) {
        struct buffer out;

        buffer_init(&out, limit);
        if (outcome_append(&out, f->run,
                           &(struct context_outcome){ .end = CONTEXT_END_REPLY,
                                                      .reply = &reply }) == 0)
            read_outcome(f, buffer_slice(&out)); /* then it is whole */
        buffer_fini(&out);
    }
    assert_non_null(f->told);
}

/* What code prints may be six times as long as JSON: that ends nothing but its run. */
static void
test_a_run_whose_outcome_is_too_large_is_answered_all_the_same(void **state)
{
    struct fixture *f = *state;
    const struct frame reply = { .type = FRAME_REPLY, .content = slice_text("{}") };
    char text[1000] = "";

    memset(text, 1, sizeof text - 1);
    assert_int_equal(tally_add_text(f->run->tally, false, slice_text(text)), 0);
    f->run->outcome.limit = 5000;
    assert_int_equal(run_done(f->run, &(struct context_outcome){ .end = CONTEXT_END_REPLY,
                                                                 .reply = &reply }),
                     0);
    assert_int_equal(f->run->state, RUN_DONE);
    assert_int_equal(f->owner.open_runs, 0);
    read_outcome(f, buffer_slice(&f->run->outcome));
    assert_text(f, "status", "error");
    assert_text(f, "code", "TOO_LARGE");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_that_went_well_has_everything_it_showed),
        TEST(test_an_exception_is_told_as_it_came),
        TEST(test_what_a_reply_lacks_is_made_up_for),
        TEST(test_a_lost_interpreter_is_an_error_with_its_reason_and_the_next_epoch),
        TEST(test_what_was_left_out_is_told_where_something_was),
        TEST(test_an_outcome_that_has_no_room_is_told),
        TEST(test_a_run_whose_outcome_is_too_large_is_answered_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

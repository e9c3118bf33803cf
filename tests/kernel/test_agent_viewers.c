/* SPDX-License-Identifier: MIT */
/* Those who follow an execution: real clients at a real door, of a run that says what the
 * test has it say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "kernel/agent/agent.h"
#include "kernel/agent/events.h"
#include "protocol/cleanup.h"
#include "tests/kernel/desk.h"

#define LOG_BYTES 3000
#define LARGE ((size_t)1 << 16)
#define OUTCOME "{\"status\":\"ok\"}"

struct fixture {
    struct desk *desk; /* owned */
    struct owner owner;
    struct run run;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    void *desk = NULL;

    assert_int_equal(desk_setup(&desk), 0);
    f->desk = desk;
    f->run = (struct run){
        .agent = &f->desk->agent, .owner = &f->owner, .id = "run_1", .state = RUN_RUNNING
    };
    f->owner.open_runs = 1;
    assert_int_equal(events_create(&f->run.events, LOG_BYTES), 0);
    buffer_init(&f->run.outcome, 1 << 20);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    void *desk = f->desk;

    run_remove_viewers(&f->run);
    events_destroy(f->run.events);
    buffer_fini(&f->run.outcome);
    free(f);
    return desk_teardown(&desk);
}

/* SOCKET's client follows the run. */
static struct client *
follow(struct fixture *f, void *socket, bool streams, uint64_t after, bool attached)
{
    struct message message = { .wire = { .header = slice_text("{\"msg_id\":\"1\"}") } };
    struct client *client = desk_meet(f->desk, socket);
    const struct call call = { .client = client,
                               .message = &message,
                               .reply = attached ? "attach_reply" : "run_code_reply" };

    assert_int_equal(run_add_viewer(&f->run, &call, streams, after, attached), 0);
    client_leave(&f->desk->agent, client);
    return client;
}

static void *
enter(struct fixture *f)
{
    return doorway_enter(f->desk->doorway, NULL);
}

static void
say(struct fixture *f, const char *type, const char *content)
{
    const struct event_parts parts = { .type = type, .content = slice_text(content) };

    assert_int_equal(events_add(f->run.events, &parts), 0);
    assert_int_equal(run_pump(&f->run), 0);
}

/* Says {"n":FROM} to {"n":TO}, which no log holds when they are many. */
static void
count(struct fixture *f, int from, int to)
{
    char text[32];

    for (int i = from; i <= to; i++) {
        snprintf(text, sizeof text, "{\"n\":%d}", i);
        say(f, "stream", text);
    }
}

/* Until a follower does not take any more. Of messages so large its socket has few, so
 * that it stays so: ZeroMQ takes new ones when half of those that wait are gone. */
static void
say_until_blocked(struct fixture *f)
{
    CLEANUP(freep) char *text = calloc(1, LARGE + 1);

    assert_non_null(text);
    memset(text, '1', LARGE);
    while (f->run.viewers->blocked_us == 0)
        say(f, "stream", text);
}

static void
end(struct fixture *f)
{
    assert_int_equal(buffer_append_text(&f->run.outcome, OUTCOME), 0);
    f->run.state = RUN_DONE;
    assert_int_equal(run_pump(&f->run), 0);
}

static void
assert_nobody_waits(const struct fixture *f)
{
    assert_null(f->run.viewers);
    assert_int_equal(desk_count_clients(f->desk), 0);
}

static void
test_a_follower_gets_all_events_in_order_and_then_the_reply(void **state)
{
    struct fixture *f = *state;
    void *a = enter(f);

    follow(f, a, true, 0, false);
    count(f, 1, 3);
    end(f);
    desk_hear(a, "stream", "{\"n\":1}");
    desk_hear(a, "stream", "{\"n\":2}");
    desk_hear(a, "stream", "{\"n\":3}");
    desk_hear(a, "run_code_reply", OUTCOME);
    assert_nobody_waits(f);
}

static void
test_one_that_only_waits_gets_the_reply_alone(void **state)
{
    struct fixture *f = *state;
    void *a = enter(f), *b = enter(f);

    follow(f, a, false, 0, false);
    follow(f, b, true, 0, true);
    count(f, 1, 1);
    end(f);
    desk_hear(a, "run_code_reply", OUTCOME);
    desk_hear(b, "stream", "{\"n\":1}");
    desk_hear(b, "attach_reply", "{\"status\":\"ok\",\"missed_events\":0}");
    assert_nobody_waits(f);
}

static void
test_one_that_comes_back_goes_on_behind_what_it_has(void **state)
{
    struct fixture *f = *state;
    void *a = enter(f);

    count(f, 1, 5);
    follow(f, a, true, 3, true);
    count(f, 6, 6);
    end(f);
    for (int i = 4; i <= 6; i++) {
        char text[32];

        snprintf(text, sizeof text, "{\"n\":%d}", i);
        desk_hear(a, "stream", text);
    }
    desk_hear(a, "attach_reply", "{\"status\":\"ok\",\"missed_events\":0}");
}

static void
test_one_that_comes_too_late_is_told_how_much_it_has_missed(void **state)
{
    struct fixture *f = *state;
    CLEANUP(buffer_fini) struct buffer content;
    void *a = enter(f);
    char type[64], told[64];
    uint64_t first;

    count(f, 1, 100);
    first = events_after(f->run.events, 0)->seq;
    assert_true(first > 10);
    follow(f, a, true, 4, true);
    end(f);
    buffer_init(&content, 1 << 20);
    for (uint64_t i = first; i <= 100; i++) {
        snprintf(told, sizeof told, "{\"n\":%d}", (int)i);
        desk_hear(a, "stream", told);
    }
    desk_hear_any(a, type, &content);
    snprintf(told, sizeof told, "{\"status\":\"ok\",\"missed_events\":%d}",
             (int)first - 5);
    assert_string_equal((const char *)content.data, told);
}

static void
test_one_that_follows_an_ended_run_gets_all_at_once(void **state)
{
    struct fixture *f = *state;
    void *a = enter(f);

    count(f, 1, 2);
    end(f);
    follow(f, a, true, 0, true);
    assert_int_equal(run_pump(&f->run), 0);
    desk_hear(a, "stream", "{\"n\":1}");
    desk_hear(a, "stream", "{\"n\":2}");
    desk_hear(a, "attach_reply", "{\"status\":\"ok\",\"missed_events\":0}");
    assert_nobody_waits(f);
}

static void
test_only_the_newest_follower_is_asked_for_input(void **state)
{
    struct fixture *f = *state;
    void *a = enter(f), *b = enter(f), *c = enter(f);

    follow(f, a, true, 0, false);
    follow(f, b, true, 0, true);
    follow(f, c, false, 0, true); /* it sees no events at all */
    f->run.input_open = true;
    say(f, "input_request", "{\"prompt\":\"?\"}");
    f->run.input_open = false;
    count(f, 1, 1);
    end(f);
    desk_hear(b, "input_request", "{\"prompt\":\"?\"}");
    desk_hear(b, "stream", "{\"n\":1}");
    desk_hear(a, "stream", "{\"n\":1}");
    desk_hear(c, "attach_reply", "{\"status\":\"ok\",\"missed_events\":0}");
}

/* What was asked before it came is still to be answered; what was answered is not. */
static void
test_a_follower_is_asked_again_what_is_not_answered_yet(void **state)
{
    struct fixture *f = *state;
    void *a = enter(f), *b = enter(f), *c = enter(f);

    follow(f, a, true, 0, false);
    f->run.input_open = true;
    say(f, "input_request", "{\"prompt\":\"?\"}");
    follow(f, b, true, 0, true);
    assert_int_equal(run_pump(&f->run), 0);
    f->run.input_open = false;
    follow(f, c, true, 0, true);
    count(f, 1, 1);
    desk_hear(a, "input_request", "{\"prompt\":\"?\"}");
    desk_hear(b, "input_request", "{\"prompt\":\"?\"}");
    desk_hear(c, "stream", "{\"n\":1}");
}

static void
test_a_slow_follower_holds_up_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct client *deaf = follow(f, desk_deaf(f->desk, DOORWAY_ME), true, 0, false);
    void *b = enter(f);

    say_until_blocked(f);
    assert_true(f->desk->agent.retry_armed);
    follow(f, b, true, events_next_seq(f->run.events) - 1, false);
    count(f, 7, 7);
    end(f);
    desk_hear(b, "stream", "{\"n\":7}");
    desk_hear(b, "run_code_reply", OUTCOME);
    assert_ptr_equal(f->run.viewers->client, deaf); /* it is still to be told the rest */
    assert_null(f->run.viewers->next);
}

static void
test_a_follower_that_stands_still_loses_the_stream_and_not_the_reply(void **state)
{
    struct fixture *f = *state;
    struct client *deaf = follow(f, desk_deaf(f->desk, DOORWAY_ME), true, 0, false);

    say_until_blocked(f);
    end(f);
    assert_non_null(f->run.viewers);
    assert_true(f->run.viewers->streams);
    assert_int_equal(f->desk->agent.letters, 0);
    f->run.viewers->blocked_us -= AGENT_STALL_US; /* as if it were that long */
    assert_int_equal(run_pump(&f->run), 0);
    assert_null(f->run.viewers);
    assert_int_equal(deaf->letter_count, 1); /* the reply */
}

/* A queued run of a context that never gets to it. */
static void
queue(struct fixture *f, struct agent_context *context)
{
    *context = (struct agent_context){ .agent = &f->desk->agent,
                                       .owner = &f->owner,
                                       .queue = &f->run,
                                       .last = &f->run.next,
                                       .queued = 1 };
    f->run.context = context;
    f->run.state = RUN_QUEUED;
}

static void
test_code_that_nobody_waits_for_any_more_is_cancelled(void **state)
{
    struct fixture *f = *state;
    struct agent_context context;
    struct client *a = follow(f, enter(f), true, 0, false);
    struct client *b = follow(f, enter(f), true, 0, true);

    queue(f, &context);
    client_use(a);
    assert_int_equal(run_lose_client(&f->run, b), 0);
    assert_int_equal(f->run.state, RUN_QUEUED); /* somebody does */
    assert_int_equal(desk_count_clients(f->desk), 1);
    assert_int_equal(run_lose_client(&f->run, a), 0);
    assert_int_equal(f->run.state, RUN_DONE);
    assert_int_equal(context.queued, 0);
    assert_int_equal(f->owner.open_runs, 0);
    assert_non_null(
        memmem(f->run.outcome.data, f->run.outcome.length, "\"CANCELLED\"", 11));
    assert_int_equal(run_lose_client(&f->run, a), 0); /* it follows it no more */
    client_leave(&f->desk->agent, a);
    assert_nobody_waits(f);
}

static void
test_code_that_was_to_go_on_goes_on_without_followers(void **state)
{
    struct fixture *f = *state;
    struct agent_context context;
    struct client *a = follow(f, enter(f), true, 0, false);

    queue(f, &context);
    f->run.continues = true;
    assert_int_equal(run_lose_client(&f->run, a), 0);
    assert_int_equal(f->run.state, RUN_QUEUED);
    assert_int_equal(context.queued, 1);
    assert_nobody_waits(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_follower_gets_all_events_in_order_and_then_the_reply),
        TEST(test_one_that_only_waits_gets_the_reply_alone),
        TEST(test_one_that_comes_back_goes_on_behind_what_it_has),
        TEST(test_one_that_comes_too_late_is_told_how_much_it_has_missed),
        TEST(test_one_that_follows_an_ended_run_gets_all_at_once),
        TEST(test_only_the_newest_follower_is_asked_for_input),
        TEST(test_a_follower_is_asked_again_what_is_not_answered_yet),
        TEST(test_a_slow_follower_holds_up_nobody_else),
        TEST(test_a_follower_that_stands_still_loses_the_stream_and_not_the_reply),
        TEST(test_code_that_nobody_waits_for_any_more_is_cancelled),
        TEST(test_code_that_was_to_go_on_goes_on_without_followers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

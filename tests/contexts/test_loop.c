/* SPDX-License-Identifier: MIT */
#include "contexts/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define PEERS 8

struct fixture {
    struct loop *loop;
    struct peer {
        struct fixture *fixture;
        struct loop_source *source;
        int fd;
        int calls;
        uint32_t events;
    } peers[PEERS];
    int result; /* of the callbacks */
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(loop_create(&f->loop), 0);
    for (size_t i = 0; i < PEERS; i++) {
        f->peers[i].fixture = f;
        f->peers[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        assert_true(f->peers[i].fd >= 0);
    }
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < PEERS; i++) {
        loop_source_destroy(f->peers[i].source);
        close(f->peers[i].fd);
    }
    loop_destroy(f->loop);
    free(f);
    return 0;
}

static void
wake(struct peer *peer)
{
    assert_int_equal(eventfd_write(peer->fd, 1), 0);
}

static int
on_event(int fd, uint32_t events, void *arg)
{
    struct peer *peer = arg;
    eventfd_t value;

    assert_int_equal(fd, peer->fd);
    peer->calls++;
    peer->events = events;
    if (events & EPOLLIN)
        assert_int_equal(eventfd_read(fd, &value), 0);
    return peer->fixture->result;
}

static int
on_event_leave_unread(int fd, uint32_t events, void *arg)
{
    (void)fd, (void)events;
    ((struct peer *)arg)->calls++;
    return 0;
}

/* Removes every source of the fixture, its own too. */
static int
on_event_remove_all(int fd, uint32_t events, void *arg)
{
    struct peer *peer = arg;
    struct fixture *f = peer->fixture;

    (void)fd, (void)events;
    peer->calls++;
    for (size_t i = 0; i < PEERS; i++) {
        loop_source_destroy(f->peers[i].source);
        f->peers[i].source = NULL;
    }
    return 0;
}

/* Removes all, then watches the same fds again: what was fetched is for the old ones. */
static int
on_event_replace_all(int fd, uint32_t events, void *arg)
{
    struct fixture *f = ((struct peer *)arg)->fixture;

    on_event_remove_all(fd, events, arg);
    for (size_t i = 0; i < PEERS; i++)
        assert_int_equal(loop_add_fd(&f->peers[i].source, f->loop, f->peers[i].fd,
                                     EPOLLIN, on_event, &f->peers[i]),
                         0);
    return 0;
}

static void
add(struct fixture *f, size_t i, uint32_t events, loop_fd_fn *fn)
{
    assert_int_equal(loop_add_fd(&f->peers[i].source, f->loop, f->peers[i].fd, events, fn,
                                 &f->peers[i]),
                     0);
}

static int
total_calls(const struct fixture *f)
{
    int total = 0;

    for (size_t i = 0; i < PEERS; i++)
        total += f->peers[i].calls;
    return total;
}

static void
test_a_readable_fd_is_told_until_it_is_read(void **state)
{
    struct fixture *f = *state;

    add(f, 0, EPOLLIN, on_event_leave_unread);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(f->peers[0].calls, 0);
    wake(&f->peers[0]);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(loop_wait(f->loop, -1), 0);
    assert_int_equal(f->peers[0].calls, 2);
}

static void
test_events_can_be_changed(void **state)
{
    struct fixture *f = *state;

    add(f, 0, 0, on_event);
    wake(&f->peers[0]);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(f->peers[0].calls, 0);
    assert_int_equal(loop_source_set_events(f->peers[0].source, EPOLLIN | EPOLLOUT), 0);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(f->peers[0].calls, 1);
    assert_int_equal(f->peers[0].events, EPOLLIN | EPOLLOUT);
}

static void
test_hang_up_is_told_without_any_event_asked_for(void **state)
{
    struct fixture *f = *state;
    struct loop_source *source;
    struct peer peer = { .fixture = f };
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    peer.fd = ends[0];
    assert_int_equal(loop_add_fd(&source, f->loop, ends[0], 0, on_event, &peer), 0);
    close(ends[1]);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(peer.events, EPOLLHUP);
    loop_source_destroy(source);
    close(ends[0]);
}

static void
test_an_fd_is_watched_once(void **state)
{
    struct fixture *f = *state;
    struct loop_source *source = NULL;

    add(f, 0, EPOLLIN, on_event);
    assert_int_equal(loop_add_fd(&source, f->loop, f->peers[0].fd, 0, on_event, NULL),
                     -EEXIST);
    assert_null(source);
    assert_int_equal(loop_add_fd(&source, f->loop, -1, 0, on_event, NULL), -EBADF);
}

static void
test_sources_removed_in_a_turn_are_not_called_by_what_it_had_fetched(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < PEERS; i++) {
        add(f, i, EPOLLIN, on_event_remove_all);
        wake(&f->peers[i]);
    }
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(total_calls(f), 1);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(total_calls(f), 1);
}

static void
test_sources_added_in_a_turn_wait_for_the_next(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < PEERS; i++) {
        add(f, i, EPOLLIN, on_event_replace_all);
        wake(&f->peers[i]);
    }
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(total_calls(f), 1);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(total_calls(f), 1 + PEERS);
}

static void
test_a_negative_result_stops_the_turn_and_loses_nothing(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < PEERS; i++) {
        add(f, i, EPOLLIN, on_event);
        wake(&f->peers[i]);
    }
    f->result = -EIO;
    assert_int_equal(loop_turn(f->loop), -EIO);
    assert_int_equal(total_calls(f), 1);
    f->result = 0;
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(total_calls(f), PEERS);
}

static void
test_a_removed_source_is_not_called(void **state)
{
    struct fixture *f = *state;

    add(f, 0, EPOLLIN, on_event);
    wake(&f->peers[0]);
    loop_source_destroy(f->peers[0].source);
    f->peers[0].source = NULL;
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(f->peers[0].calls, 0);
}

static void
test_the_fd_of_the_loop_is_readable_when_a_source_is(void **state)
{
    struct fixture *f = *state;
    struct loop *outer;
    struct loop_source *source;
    struct peer peer = { .fixture = f, .fd = loop_fd(f->loop) };

    assert_int_equal(loop_create(&outer), 0);
    assert_int_equal(loop_add_fd(&source, outer, loop_fd(f->loop), EPOLLIN,
                                 on_event_leave_unread, &peer),
                     0);
    add(f, 0, EPOLLIN, on_event);
    assert_int_equal(loop_turn(outer), 0);
    assert_int_equal(peer.calls, 0);
    wake(&f->peers[0]);
    assert_int_equal(loop_turn(outer), 0);
    assert_int_equal(peer.calls, 1);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(loop_turn(outer), 0);
    assert_int_equal(peer.calls, 1);
    loop_source_destroy(source);
    loop_destroy(outer);
}

/* Timers write down that they fired. */
struct alarm_clock {
    struct loop_timer *timer;
    struct loop_timer *victim; /* destroyed when this one fires */
    int *log; /* of marks, in order */
    int mark;
    bool rearm;
};

static int log_count;

static int
on_timer(void *arg)
{
    struct alarm_clock *clock = arg;

    clock->log[log_count++] = clock->mark;
    if (clock->rearm)
        loop_timer_arm(clock->timer, 0);
    loop_timer_destroy(clock->victim);
    return 0;
}

static void
test_due_timers_fire_once_in_order(void **state)
{
    struct fixture *f = *state;
    struct alarm_clock clocks[100];
    int log[200];

    log_count = 0;
    for (int i = 0; i < 100; i++) {
        clocks[i] = (struct alarm_clock){ .log = log, .mark = i };
        assert_int_equal(loop_add_timer(&clocks[i].timer, f->loop, on_timer, &clocks[i]),
                         0);
    }
    assert_int_equal(loop_timeout_ms(f->loop), -1);
    for (int i = 0; i < 100; i++) /* all of one delay: in the order of arming */
        loop_timer_arm(clocks[(i * 37) % 100].timer, 0);
    for (int i = 0; i < 100; i += 2)
        loop_timer_arm(clocks[i].timer, UINT64_MAX);
    for (int i = 0; i < 100; i += 4)
        loop_timer_disarm(clocks[i].timer);
    assert_int_equal(loop_timeout_ms(f->loop), 0);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(log_count, 50);
    for (int i = 0; i < 50; i++)
        assert_int_equal(log[i], ((2 * i + 1) * 37) % 100);
    assert_true(loop_timeout_ms(f->loop) > 1000000);
    for (int i = 0; i < 100; i++)
        loop_timer_destroy(clocks[i].timer);
    assert_int_equal(loop_timeout_ms(f->loop), -1);
}

static void
test_later_timers_fire_after_earlier_ones(void **state)
{
    struct fixture *f = *state;
    struct alarm_clock clocks[3];
    static const uint64_t delays_us[] = { 3000, 1000, 2000 };
    int log[3];

    log_count = 0;
    for (int i = 0; i < 3; i++) {
        clocks[i] = (struct alarm_clock){ .log = log, .mark = i };
        assert_int_equal(loop_add_timer(&clocks[i].timer, f->loop, on_timer, &clocks[i]),
                         0);
        loop_timer_arm(clocks[i].timer, delays_us[i]);
    }
    while (log_count < 3)
        assert_int_equal(loop_wait(f->loop, -1), 0);
    assert_int_equal(log[0], 1);
    assert_int_equal(log[1], 2);
    assert_int_equal(log[2], 0);
    for (int i = 0; i < 3; i++)
        loop_timer_destroy(clocks[i].timer);
}

static void
test_a_timer_armed_in_its_own_call_waits_for_the_next_turn(void **state)
{
    struct fixture *f = *state;
    int log[10];
    struct alarm_clock clock = { .log = log, .rearm = true };

    log_count = 0;
    assert_int_equal(loop_add_timer(&clock.timer, f->loop, on_timer, &clock), 0);
    loop_timer_arm(clock.timer, 0);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(loop_turn(f->loop), 0);
        assert_int_equal(log_count, i);
    }
    loop_timer_destroy(clock.timer);
}

static void
test_a_timer_may_destroy_itself_and_another_that_is_due(void **state)
{
    struct fixture *f = *state;
    int log[10];
    struct alarm_clock first = { .log = log, .mark = 1 };
    struct alarm_clock second = { .log = log, .mark = 2 };
    struct alarm_clock third = { .log = log, .mark = 3 };

    log_count = 0;
    assert_int_equal(loop_add_timer(&first.timer, f->loop, on_timer, &first), 0);
    assert_int_equal(loop_add_timer(&second.timer, f->loop, on_timer, &second), 0);
    assert_int_equal(loop_add_timer(&third.timer, f->loop, on_timer, &third), 0);
    first.victim = second.timer;
    third.victim = third.timer;
    loop_timer_arm(first.timer, 0);
    loop_timer_arm(second.timer, 0);
    loop_timer_arm(third.timer, 0);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(log_count, 2);
    assert_int_equal(log[0], 1);
    assert_int_equal(log[1], 3);
    loop_timer_destroy(first.timer);
}

static void
test_a_bounded_wait_returns_without_events(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(loop_wait(f->loop, 0), 0);
    assert_int_equal(loop_wait(f->loop, 1), 0);
    assert_int_equal(total_calls(f), 0);
}

static int
on_timer_read_clock(void *arg)
{
    struct fixture *f = arg;

    /* One time for the whole turn. */
    assert_true(loop_now_us(f->loop) == loop_now_us(f->loop));
    return -ECANCELED;
}

static void
test_a_timer_can_stop_the_turn(void **state)
{
    struct fixture *f = *state;
    struct loop_timer *timer;
    uint64_t before = loop_now_us(f->loop);

    assert_int_equal(loop_add_timer(&timer, f->loop, on_timer_read_clock, f), 0);
    loop_timer_arm(timer, 0);
    assert_int_equal(loop_turn(f->loop), -ECANCELED);
    assert_true(loop_now_us(f->loop) >= before);
    loop_timer_destroy(timer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_a_readable_fd_is_told_until_it_is_read),
        TEST(test_events_can_be_changed),
        TEST(test_hang_up_is_told_without_any_event_asked_for),
        TEST(test_an_fd_is_watched_once),
        TEST(test_sources_removed_in_a_turn_are_not_called_by_what_it_had_fetched),
        TEST(test_sources_added_in_a_turn_wait_for_the_next),
        TEST(test_a_negative_result_stops_the_turn_and_loses_nothing),
        TEST(test_a_removed_source_is_not_called),
        TEST(test_the_fd_of_the_loop_is_readable_when_a_source_is),
        TEST(test_due_timers_fire_once_in_order),
        TEST(test_later_timers_fire_after_earlier_ones),
        TEST(test_a_timer_armed_in_its_own_call_waits_for_the_next_turn),
        TEST(test_a_timer_may_destroy_itself_and_another_that_is_due),
        TEST(test_a_bounded_wait_returns_without_events),
        TEST(test_a_timer_can_stop_the_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Owns one epoll set and a heap of timers. A source that is removed while a turn runs may
 * still be named by events that were fetched before: it is marked dead and freed when the
 * turn ends, so that its address cannot be taken by a new one meanwhile.
 */
#include "contexts/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "protocol/cleanup.h"

#define EVENTS_A_TURN 64
#define DISARMED SIZE_MAX

struct loop_source {
    struct loop *loop; /* borrowed */
    struct loop_source *next_dead;
    int fd; /* borrowed */
    bool dead;
    loop_fd_fn *fn;
    void *arg;
};

struct loop_timer {
    struct loop *loop; /* borrowed */
    size_t place; /* in the heap, or DISARMED */
    uint64_t due_us;
    uint64_t order; /* of arming: first armed, first fired */
    loop_timer_fn *fn;
    void *arg;
};

struct loop {
    int epoll; /* owned */
    bool turning;
    uint64_t now_us; /* while turning */
    size_t source_count;
    struct loop_source *dead; /* owned: freed when the turn ends */
    struct loop_timer **heap; /* owned; the timers are their makers' */
    size_t armed; /* timers in the heap */
    size_t timer_count; /* all timers: the heap has room for them */
    size_t heap_capacity;
    uint64_t arms; /* orders given so far */
};

static uint64_t
clock_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int
loop_create(struct loop **ret)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (loop == NULL)
        return -ENOMEM;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        int r = -errno;

        free(loop);
        return r;
    }
    *ret = loop;
    return 0;
}

void
loop_destroy(struct loop *loop)
{
    if (loop == NULL)
        return;
    assert(!loop->turning && loop->source_count == 0 && loop->timer_count == 0);
    close(loop->epoll);
    free(loop->heap);
    free(loop);
}

int
loop_add_fd(struct loop_source **ret, struct loop *loop, int fd, uint32_t events,
            loop_fd_fn *fn, void *arg)
{
    CLEANUP(freep) struct loop_source *source = calloc(1, sizeof *source);
    struct epoll_event event = { .events = events };

    if (source == NULL)
        return -ENOMEM;
    *source = (struct loop_source){ .loop = loop, .fd = fd, .fn = fn, .arg = arg };
    event.data.ptr = source;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    loop->source_count++;
    *ret = source;
    source = NULL;
    return 0;
}

int
loop_source_set_events(struct loop_source *source, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = source };

    if (epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &event) < 0)
        return -errno;
    return 0;
}

void
loop_source_destroy(struct loop_source *source)
{
    struct loop *loop;

    if (source == NULL)
        return;
    loop = source->loop;
    assert(!source->dead);
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    loop->source_count--;
    if (!loop->turning) {
        free(source);
        return;
    }
    source->dead = true;
    source->next_dead = loop->dead;
    loop->dead = source;
}

void
loop_source_destroyp(struct loop_source **source)
{
    loop_source_destroy(*source);
}

static bool
timer_is_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void
heap_put(struct loop *loop, size_t place, struct loop_timer *timer)
{
    loop->heap[place] = timer;
    timer->place = place;
}

/* Puts TIMER at PLACE or wherever above or below it belongs. */
static void
heap_settle(struct loop *loop, size_t place, struct loop_timer *timer)
{
    struct loop_timer **heap = loop->heap;

    while (place > 0 && timer_is_before(timer, heap[(place - 1) / 2])) {
        heap_put(loop, place, heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * place + 1;

        if (child + 1 < loop->armed && timer_is_before(heap[child + 1], heap[child]))
            child++;
        if (child >= loop->armed || !timer_is_before(heap[child], timer))
            break;
        heap_put(loop, place, heap[child]);
        place = child;
    }
    heap_put(loop, place, timer);
}

int
loop_add_timer(struct loop_timer **ret, struct loop *loop, loop_timer_fn *fn, void *arg)
{
    struct loop_timer *timer;

    if (loop->timer_count == loop->heap_capacity) { /* so that arming cannot fail */
        size_t capacity = loop->heap_capacity == 0 ? 16 : 2 * loop->heap_capacity;
        struct loop_timer **heap = reallocarray(loop->heap, capacity, sizeof *heap);

        if (heap == NULL)
            return -ENOMEM;
        loop->heap = heap;
        loop->heap_capacity = capacity;
    }
    timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return -ENOMEM;
    *timer = (struct loop_timer){ .loop = loop, .place = DISARMED, .fn = fn, .arg = arg };
    loop->timer_count++;
    *ret = timer;
    return 0;
}

void
loop_timer_disarm(struct loop_timer *timer)
{
    struct loop *loop = timer->loop;
    size_t place = timer->place;
    struct loop_timer *last;

    if (place == DISARMED)
        return;
    timer->place = DISARMED;
    last = loop->heap[--loop->armed];
    if (last != timer)
        heap_settle(loop, place, last);
}

void
loop_timer_arm(struct loop_timer *timer, uint64_t delay_us)
{
    struct loop *loop = timer->loop;
    uint64_t now = loop_now_us(loop);

    loop_timer_disarm(timer);
    timer->due_us = delay_us > UINT64_MAX - now ? UINT64_MAX : now + delay_us;
    timer->order = ++loop->arms;
    heap_settle(loop, loop->armed++, timer);
}

void
loop_timer_destroy(struct loop_timer *timer)
{
    if (timer == NULL)
        return;
    loop_timer_disarm(timer);
    timer->loop->timer_count--;
    free(timer);
}

uint64_t
loop_now_us(const struct loop *loop)
{
    return loop->turning ? loop->now_us : clock_us();
}

int
loop_fd(const struct loop *loop)
{
    return loop->epoll;
}

int
loop_timeout_ms(const struct loop *loop)
{
    uint64_t now, wait_ms;

    if (loop->armed == 0)
        return -1;
    now = loop_now_us(loop);
    if (loop->heap[0]->due_us <= now)
        return 0;
    wait_ms = (loop->heap[0]->due_us - now - 1) / 1000 + 1;
    return wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
}

static int
run_sources(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct loop_source *source = events[i].data.ptr;
        int r;

        if (source->dead)
            continue;
        r = source->fn(source->fd, events[i].events, source->arg);
        assert(r <= 0);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Only timers that were armed before the first of them is called: one that arms itself
 * with no delay waits for the next turn. It is never ahead of one that is still to come,
 * because no timer is armed for a time before the turn's. */
static int
run_timers(struct loop *loop)
{
    uint64_t last = loop->arms;

    while (loop->armed > 0 && loop->heap[0]->due_us <= loop->now_us &&
           loop->heap[0]->order <= last) {
        struct loop_timer *timer = loop->heap[0];
        int r;

        loop_timer_disarm(timer);
        r = timer->fn(timer->arg); /* may destroy the timer */
        assert(r <= 0);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
turn(struct loop *loop, int wait_ms)
{
    struct epoll_event events[EVENTS_A_TURN];
    int count, r;

    assert(!loop->turning);
    count = epoll_wait(loop->epoll, events, EVENTS_A_TURN, wait_ms);
    if (count < 0 && errno != EINTR)
        return -errno;

    loop->now_us = clock_us();
    loop->turning = true;
    r = run_sources(events, count);
    if (r == 0)
        r = run_timers(loop);
    loop->turning = false;

    while (loop->dead != NULL) {
        struct loop_source *source = loop->dead;

        loop->dead = source->next_dead;
        free(source);
    }
    return r;
}

int
loop_turn(struct loop *loop)
{
    return turn(loop, 0);
}

int
loop_wait(struct loop *loop, int max_wait_ms)
{
    int wait_ms = loop_timeout_ms(loop);

    if (wait_ms < 0 || (max_wait_ms >= 0 && max_wait_ms < wait_ms))
        wait_ms = max_wait_ms;
    return turn(loop, wait_ms);
}

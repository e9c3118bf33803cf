/* SPDX-License-Identifier: MIT */
/*
 * loop - waits for fds and timers
 *
 * One epoll set, which is itself one fd: a program with other things to wait for (ZeroMQ
 * sockets) polls loop_fd beside them and calls loop_turn when it is readable or
 * loop_timeout_ms has passed.
 *
 * The rule for removal: a source may be removed at any time, from any callback, its own
 * included. After loop_source_destroy its callback is never called again, not even for
 * events that the turn under way had already fetched. Remove before you close the fd.
 *
 * Callbacks return 0, or < 0 to stop: loop_turn returns that value.
 */
#ifndef CONTEXTS_LOOP_H
#define CONTEXTS_LOOP_H

#include <stdint.h>

struct loop; /* opaque */
struct loop_source; /* opaque: an fd that is watched */
struct loop_timer; /* opaque */

/* EVENTS: EPOLLIN, EPOLLOUT, EPOLLHUP, ... as epoll gives them. */
typedef int loop_fd_fn(int fd, uint32_t events, void *arg);
typedef int loop_timer_fn(void *arg);

int loop_create(struct loop **ret);

/* All sources and timers must be gone. NULL is allowed. */
void loop_destroy(struct loop *loop);

/* Level-triggered, unless EVENTS has EPOLLET. FD is borrowed. EVENTS may be 0: only
 * errors and hang-ups then. */
int loop_add_fd(struct loop_source **ret, struct loop *loop, int fd, uint32_t events,
                loop_fd_fn *fn, void *arg);
int loop_source_set_events(struct loop_source *source, uint32_t events);
void loop_source_destroy(struct loop_source *source); /* NULL is allowed */
void loop_source_destroyp(struct loop_source **source);

/* A timer is made disarmed. It fires once for each time it is armed. */
int loop_add_timer(struct loop_timer **ret, struct loop *loop, loop_timer_fn *fn,
                   void *arg);
void loop_timer_arm(struct loop_timer *timer, uint64_t delay_us);
void loop_timer_disarm(struct loop_timer *timer);
void loop_timer_destroy(struct loop_timer *timer); /* NULL is allowed */

/* CLOCK_MONOTONIC, read once a turn. */
uint64_t loop_now_us(const struct loop *loop);

/* Readable when a source has events. Timers do not show here: see loop_timeout_ms. */
int loop_fd(const struct loop *loop);

/* Milliseconds until the next timer, rounded up; -1: none; 0: due. */
int loop_timeout_ms(const struct loop *loop);

/* Runs what is ready without waiting, then the timers that are due. */
int loop_turn(struct loop *loop);

/* Waits up to MAX_WAIT_MS (-1: no bound) and turns once; for programs without ZeroMQ. */
int loop_wait(struct loop *loop, int max_wait_ms);

#endif

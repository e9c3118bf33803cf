/* SPDX-License-Identifier: MIT */
/*
 * context_parts - a context from the inside, for the files context*.c alone
 *
 * context.c has the interface and the table of states x events; context_start.c brings an
 * interpreter up, context_run.c runs requests, context_frames.c judges what the runner
 * sends, context_end.c brings an interpreter to its end, context_tier.c finds another
 * kind of sandbox.
 *
 * Everything happens from callbacks of the loop, one event after the other: the public
 * functions only note what is wanted and arm a timer, so an observer may call them.
 */
#ifndef CONTEXTS_CONTEXT_PARTS_H
#define CONTEXTS_CONTEXT_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "contexts/context.h"
#include "contexts/queue.h"
#include "protocol/error.h"

#define CONTEXT_START_MS 60000 /* from the wish to the hello */
#define CONTEXT_STARTS_MAX 3 /* failures in a row */
#define CONTEXT_LINGER_MS 1000 /* from the channel's end to the runner's */
#define CONTEXT_KILL_MS 2000 /* from the kill to init's report of it */
#define CONTEXT_TEXT_BYTES (ERROR_TEXT_BYTES + 128)

struct child;
struct child_observer;
struct output;
struct output_fds;
struct output_observer;
struct profile;
struct tier_probe;
struct transcript;
struct workspace;

enum context_event {
    CONTEXT_EVENT_READY, /* confined, and the hello was good */
    CONTEXT_EVENT_WORK, /* something is waiting */
    CONTEXT_EVENT_REPLY, /* the run was answered */
    CONTEXT_EVENT_PONG, /* the ping was answered */
    CONTEXT_EVENT_INTERRUPT, /* wanted */
    CONTEXT_EVENT_TIMEOUT, /* the running request has had its time */
    CONTEXT_EVENT_LADDER, /* the time between two rungs is over */
    CONTEXT_EVENT_CLOSED, /* the runner's end of the channel is closed */
    CONTEXT_EVENT_LOST, /* the interpreter is dead, or shall be at once */
    CONTEXT_EVENT_RESTART, /* wanted */
    CONTEXT_EVENT_STOP, /* wanted */
    CONTEXT_EVENT_END
};

/* What was asked for and not yet done; or-ed. */
enum {
    CONTEXT_WANT_INTERRUPT = 1,
    CONTEXT_WANT_FORCE = 2, /* with the interrupt */
    CONTEXT_WANT_RESTART = 4,
    CONTEXT_WANT_STOP = 8
};

/* The request that the runner has. */
struct context_run {
    bool active;
    enum frame_type type;
    bool stop_on_error; /* and not silent */
    unsigned group;
    bool input_is_open;
    uint64_t number;
    uint64_t timeout_ms;
    bool kill_on_timeout;
    uint32_t execution_count;
    uint64_t started_us; /* CLOCK_MONOTONIC */
    uint64_t started_real_us;
};

/* Why an interpreter ends: what we have against it, or what became of it by itself. */
struct context_fate {
    bool known;
    enum context_reason_kind kind;
    int signal;
    int exit_status; /* -1: it did not exit by itself */
    uint64_t limit, observed;
    char text[CONTEXT_TEXT_BYTES];
};

struct context {
    struct loop *loop; /* borrowed */
    struct spawner *spawner; /* borrowed */
    const struct runtime *runtime; /* borrowed */
    struct profile *profile; /* owned */
    char *session; /* owned; NULL: none */
    struct workspace *workspace; /* a use of it, NULL: none */
    const struct context_observer *observer; /* borrowed */
    void *arg;
    bool die_with_child;

    enum context_state state;
    uint64_t epoch;
    unsigned failed_starts; /* in a row */
    unsigned wanted;
    uint64_t stop_grace_ms;
    uint64_t restart_before; /* a restart ends only requests with lower numbers */
    bool paused;
    bool ended; /* for good */
    int failure; /* our own, from a function that could not return it */

    enum sandbox_tier tier; /* that is accepted */
    bool tier_asked; /* what the machine gives: once */
    struct tier_probe *tier_probe; /* owned; NULL: none is under way */
    char tier_text[CONTEXT_TEXT_BYTES]; /* what is missing, or the whole refusal */

    /* The interpreter there is. */
    struct child *child; /* owned; NULL: none */
    struct output *output; /* owned; NULL: none */
    struct buffer hello; /* owned */
    bool confined; /* init has reported STARTED */
    bool greeted; /* the hello has come */
    bool was_ready; /* it has been idle once: there is state to lose */
    bool killing; /* the kill was sent */
    bool restarting; /* asked for: a fresh one follows in any case */
    bool is_lost; /* to be acted on by the next kick */
    bool refuse_frames; /* what it has sent is not read any more */
    bool dying; /* inside context_lose: nothing new is begun */
    struct context_fate cause; /* why we end it */
    struct context_fate fate; /* how it has ended */
    uint64_t peak_bytes;

    struct transcript *transcript; /* owned */
    struct queue queue;
    uint64_t next_number;
    uint64_t last_started; /* frames may not be about later numbers */
    uint32_t last_count; /* execution count of the last stored run */
    struct context_run run;
    uint64_t ping_number; /* 0: none is under way */
    bool may_kill; /* the ladder of this interrupt goes up to the kill */
    enum context_reason_kind interrupt_kind; /* TIMEOUT or INTERRUPTED */

    struct loop_timer *kick; /* owned: wants and losses are acted on when it fires */
    struct loop_timer *ladder; /* owned: what it means depends on the state */
    struct loop_timer *limit; /* owned: of the running request */
    struct loop_timer *expiry; /* owned: of the queue */
};

/* context.c */
int context_handle(struct context *ctx, enum context_event event);
int context_set_state(struct context *ctx, enum context_state state,
                      const struct context_reason *reason);
void context_kick(struct context *ctx); /* acts before the turn ends */
bool context_is_gone(const struct context *ctx); /* takes no requests any more */

/* context_start.c. The first is no action: 0, or a failed start that the next kick
 * finds. */
void context_start(struct context *ctx);
int context_born(struct context *ctx, const struct output_fds *fds);
int context_become_ready(struct context *ctx);
int context_start_late(struct context *ctx);
int context_revive(struct context *ctx);
int context_check_hello(struct context *ctx, struct slice content);

/* context_run.c: actions, and what frames and ends need of it */
int context_run_next(struct context *ctx); /* or IDLE */
int context_ping(struct context *ctx);
int context_interrupt_run(struct context *ctx);
int context_interrupt_again(struct context *ctx);
int context_time_is_up(struct context *ctx);
int context_climb(struct context *ctx);
int context_run_answered(struct context *ctx, const struct frame *reply);
int context_run_lost(struct context *ctx, const struct context_reason *reason);
int context_abort_before(struct context *ctx, uint64_t number,
                         const struct context_reason *reason);
int context_expire(struct context *ctx);
void context_arm_expiry(struct context *ctx);

/* context_frames.c: callbacks of the output */
extern const struct output_observer context_output_observer;

/* PROTOCOL: what the runner sent ends it. Always > 0. */
__attribute__((format(printf, 2, 3))) int context_violated(struct context *ctx,
                                                           const char *format, ...);

/* context_tier.c. True: a failed start is looked into, and is no loss yet. */
bool context_asks_tier(struct context *ctx);

/* context_end.c: actions, and callbacks of the child */
int context_lose(struct context *ctx);
int context_linger(struct context *ctx);
int context_kill_now(struct context *ctx);
int context_restart_now(struct context *ctx);
int context_stop_now(struct context *ctx);
int context_end_dead(struct context *ctx);
extern const struct child_observer context_child_observer;

/* Notes why the interpreter will be ended; the first reason counts. */
__attribute__((format(printf, 3, 4))) struct context_fate *
context_blame(struct context *ctx, enum context_reason_kind kind, const char *format,
              ...);

/* Begins to end it, for the cause that was noted. */
int context_kill(struct context *ctx);

/* It is lost: the next kick acts on it. */
void context_give_up(struct context *ctx);

#endif

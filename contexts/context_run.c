/* SPDX-License-Identifier: MIT */
/* Requests: begun one at a time, answered, interrupted, or ended without having run. */
#include "contexts/context_parts.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "contexts/channel.h"
#include "contexts/child.h"
#include "contexts/loop.h"
#include "contexts/output.h"
#include "contexts/transcript.h"
#include "protocol/cleanup.h"

CLEANUP_DEFINE(struct request, request_destroy);

static uint64_t
clock_us(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
arm_ms(struct loop_timer *timer, uint64_t delay_ms)
{
    loop_timer_arm(timer, delay_ms > UINT64_MAX / 1000 ? UINT64_MAX : delay_ms * 1000);
}

static int
send(struct context *ctx, const struct frame *frame)
{
    int r = channel_send(output_channel(ctx->output), frame, NULL);

    assert(r != CHANNEL_E_ILLEGAL && r != CHANNEL_E_TOO_LARGE); /* checked when queued */
    if (r == CHANNEL_E_FULL)
        context_violated(ctx, "it does not read its requests");
    return r < 0 ? r : 0; /* if the runner is gone: that is told soon */
}

static void
note_run(struct context *ctx, const struct request *request)
{
    uint32_t count = ctx->last_count;

    if (request_is_execute(request) && request->store_history && !request->silent)
        count = ++ctx->last_count;
    ctx->run = (struct context_run){
        .active = true,
        .type = request->frame.type,
        .stop_on_error = request->stop_on_error && !request->silent,
        .group = request->group,
        .number = request->number,
        .timeout_ms = request->timeout_ms,
        .kill_on_timeout = request->kill_on_timeout,
        .execution_count = request_is_execute(request) ? count : 0,
        .started_us = loop_now_us(ctx->loop), /* as its limit is counted from */
        .started_real_us = clock_us(CLOCK_REALTIME),
    };
    ctx->last_started = request->number;
    /* An interrupt that was wanted for the last run is not for this one. */
    ctx->wanted &= ~(unsigned)(CONTEXT_WANT_INTERRUPT | CONTEXT_WANT_FORCE);
}

static int
run(struct context *ctx, struct request *request)
{
    int r;

    note_run(ctx, request);
    request->frame.execution_count = ctx->run.execution_count;
    r = transcript_begin(ctx->transcript, request->number);
    if (r == 0)
        r = context_set_state(ctx, CONTEXT_BUSY, NULL);
    if (r == 0)
        r = send(ctx, &request->frame); /* first: it works while we tell */
    if (r == 0)
        r = ctx->observer->on_started(request->number, ctx->run.execution_count,
                                      ctx->arg);
    child_hurry(ctx->child);
    if (r == 0 && ctx->run.timeout_ms > 0)
        arm_ms(ctx->limit, ctx->run.timeout_ms);
    return r;
}

int
context_run_next(struct context *ctx)
{
    CLEANUP(request_destroyp) struct request *request = NULL;

    if (ctx->is_lost)
        return 0;
    request = queue_take_turn(&ctx->queue, ctx->run.group);
    if (request == NULL)
        return context_set_state(ctx, CONTEXT_IDLE, NULL);
    return run(ctx, request);
}

/* After an interrupt: whatever signal was meant for that run has arrived when the runner
 * answers, and it does answer. The ping has the number of the run. */
int
context_ping(struct context *ctx)
{
    struct frame frame = { .type = FRAME_PING, .number = ctx->last_started };

    ctx->ping_number = ctx->last_started;
    arm_ms(ctx->ladder, ctx->may_kill ? CONTEXT_GRACE_MS : CONTEXT_INTERRUPT_STUCK_MS);
    return send(ctx, &frame);
}

/* Ends the run towards the observer. OUTCOME has all but usage and truncation. */
static int
finish(struct context *ctx, struct context_outcome *outcome)
{
    int r;

    loop_timer_disarm(ctx->limit);
    outcome->execution_count = ctx->run.execution_count;
    outcome->usage.started_us = ctx->run.started_real_us;
    outcome->usage.wall_us = clock_us(CLOCK_MONOTONIC) - ctx->run.started_us;
    ctx->run.active = false;
    r = transcript_end(ctx->transcript, &outcome->out, &outcome->err);
    if (r < 0)
        return r;
    return ctx->observer->on_done(ctx->run.number, outcome, ctx->arg);
}

static uint64_t
run_ms(const struct context *ctx)
{
    return (clock_us(CLOCK_MONOTONIC) - ctx->run.started_us) / 1000;
}

/* What the platform did to a run that has answered nevertheless. */
static struct context_reason
reason_of_reply(const struct context *ctx, const struct frame *reply, char *text,
                size_t size)
{
    struct context_reason reason = { .exit_status = -1, .text = text, .stderr_tail = "" };

    text[0] = '\0';
    if (ctx->state != CONTEXT_INTERRUPTING ||
        (reply->flags & (FRAME_FLAG_ERROR | FRAME_FLAG_INTERRUPTED)) == 0)
        return reason;
    reason.kind = ctx->interrupt_kind;
    if (reason.kind != CONTEXT_REASON_TIMEOUT) {
        snprintf(text, size, "the run was interrupted");
        return reason;
    }
    reason.limit = ctx->run.timeout_ms;
    reason.observed = run_ms(ctx);
    snprintf(text, size, "the run was interrupted at its time limit of %llu ms",
             (unsigned long long)reason.limit);
    return reason;
}

bool
context_is_timing_out(const struct context *ctx, struct context_reason *ret)
{
    if (ctx->state != CONTEXT_INTERRUPTING ||
        ctx->interrupt_kind != CONTEXT_REASON_TIMEOUT)
        return false;
    *ret = (struct context_reason){ .kind = CONTEXT_REASON_TIMEOUT,
                                    .exit_status = -1,
                                    .limit = ctx->run.timeout_ms,
                                    .observed = run_ms(ctx),
                                    .text = "the run was interrupted at its time limit" };
    return true;
}

/* Tells the end of requests that never ran, in order. */
static int
tell_unrun(struct context *ctx, struct queue *queue, enum context_end end,
           const struct context_reason *reason)
{
    struct context_outcome outcome = { .end = end, .execution_count = ctx->last_count };
    struct request *request;
    int r = 0;

    outcome.reason = (struct context_reason){ .exit_status = -1 };
    if (reason != NULL)
        outcome.reason = *reason;
    if (outcome.reason.text == NULL)
        outcome.reason.text = "";
    if (outcome.reason.stderr_tail == NULL)
        outcome.reason.stderr_tail = "";
    if (queue->count > 0)
        r = transcript_flush(ctx->transcript);
    while (r == 0 && (request = queue_take(queue)) != NULL) {
        r = ctx->observer->on_done(request->number, &outcome, ctx->arg);
        request_destroy(request);
    }
    queue_fini(queue);
    return r;
}

static bool
is_execute(const struct request *request, uint64_t group)
{
    return request_is_execute(request) && request->group == group;
}

static bool
is_before(const struct request *request, uint64_t number)
{
    return request->number < number;
}

static bool
is_expired(const struct request *request, uint64_t now_us)
{
    return request->expires_us <= now_us;
}

static bool
is_number(const struct request *request, uint64_t number)
{
    return request->number == number;
}

static bool
is_of_group(const struct request *request, uint64_t group)
{
    return request->group == group;
}

static size_t
withdraw(struct context *ctx, queue_is_fn *is, uint64_t value)
{
    struct queue withdrawn;
    size_t count;

    queue_init(&withdrawn);
    queue_move(&ctx->queue, &withdrawn, is, value);
    count = withdrawn.count;
    queue_fini(&withdrawn);
    return count;
}

bool
context_withdraw(struct context *ctx, uint64_t number)
{
    return withdraw(ctx, is_number, number) > 0;
}

void
context_withdraw_group(struct context *ctx, unsigned group)
{
    (void)withdraw(ctx, is_of_group, group);
}

size_t
context_waiting_runs(const struct context *ctx, unsigned group)
{
    return queue_count_runs(&ctx->queue, group);
}

int
context_abort_before(struct context *ctx, uint64_t number,
                     const struct context_reason *reason)
{
    struct queue aborted;

    queue_init(&aborted);
    queue_move(&ctx->queue, &aborted, is_before, number);
    return tell_unrun(ctx, &aborted, CONTEXT_END_ABORTED, reason);
}

int
context_run_answered(struct context *ctx, const struct frame *reply)
{
    char text[CONTEXT_TEXT_BYTES];
    struct context_outcome outcome = { .end = CONTEXT_END_REPLY, .reply = reply };
    bool aborts = ctx->run.type == FRAME_EXECUTE_REQUEST && ctx->run.stop_on_error &&
                  (reply->flags & FRAME_FLAG_ERROR) != 0;
    struct queue aborted;
    int r;

    /* What is queued at this moment; not what the observer submits when it hears of it.
     */
    queue_init(&aborted);
    if (aborts)
        queue_move(&ctx->queue, &aborted, is_execute, ctx->run.group);
    outcome.reason = reason_of_reply(ctx, reply, text, sizeof text);
    r = finish(ctx, &outcome);
    if (r < 0) {
        queue_fini(&aborted);
        return r;
    }
    r = tell_unrun(ctx, &aborted, CONTEXT_END_ABORTED, NULL);
    if (r < 0 || ctx->dying)
        return r;
    return context_handle(ctx, CONTEXT_EVENT_REPLY);
}

int
context_run_lost(struct context *ctx, const struct context_reason *reason)
{
    struct context_outcome outcome = { .end = CONTEXT_END_LOST, .reason = *reason };

    return ctx->run.active ? finish(ctx, &outcome) : 0;
}

void
context_arm_expiry(struct context *ctx)
{
    uint64_t next = queue_next_expiry(&ctx->queue), now = loop_now_us(ctx->loop);

    if (next == UINT64_MAX)
        loop_timer_disarm(ctx->expiry);
    else
        loop_timer_arm(ctx->expiry, next > now ? next - now : 0);
}

int
context_expire(struct context *ctx)
{
    struct queue expired;
    int r;

    queue_init(&expired);
    queue_move(&ctx->queue, &expired, is_expired, loop_now_us(ctx->loop));
    r = tell_unrun(ctx, &expired, CONTEXT_END_EXPIRED, NULL);
    if (r == 0)
        context_arm_expiry(ctx);
    return r;
}

static int
interrupt(struct context *ctx, enum context_reason_kind kind, bool may_kill)
{
    ctx->interrupt_kind = kind;
    ctx->may_kill = may_kill;
    arm_ms(ctx->ladder, may_kill ? CONTEXT_GRACE_MS : CONTEXT_INTERRUPT_STUCK_MS);
    child_interrupt(ctx->child);
    return context_set_state(ctx, CONTEXT_INTERRUPTING, NULL);
}

int
context_interrupt_run(struct context *ctx)
{
    return interrupt(ctx, CONTEXT_REASON_INTERRUPTED,
                     (ctx->wanted & CONTEXT_WANT_FORCE) != 0);
}

int
context_interrupt_again(struct context *ctx)
{
    bool force = (ctx->wanted & CONTEXT_WANT_FORCE) != 0;

    if (ctx->run.active) /* a ping is not to be interrupted */
        child_interrupt(ctx->child);
    if (force && !ctx->may_kill) {
        ctx->may_kill = true;
        arm_ms(ctx->ladder, CONTEXT_GRACE_MS);
    }
    return 0;
}

int
context_time_is_up(struct context *ctx)
{
    struct context_fate *cause;

    if (ctx->run.kill_on_timeout) {
        cause = context_blame(ctx, CONTEXT_REASON_TIMEOUT,
                              "the run had reached its time limit of %llu ms and was "
                              "killed",
                              (unsigned long long)ctx->run.timeout_ms);
        cause->limit = ctx->run.timeout_ms;
        cause->observed = run_ms(ctx);
        return context_kill(ctx);
    }
    return interrupt(ctx, CONTEXT_REASON_TIMEOUT, true);
}

int
context_climb(struct context *ctx)
{
    struct context_fate *cause;

    if (!ctx->may_kill)
        return ctx->observer->on_stuck(ctx->last_started, ctx->arg);
    if (ctx->interrupt_kind == CONTEXT_REASON_TIMEOUT) {
        cause = context_blame(ctx, CONTEXT_REASON_TIMEOUT,
                              "the run had reached its time limit of %llu ms, did not "
                              "stop when it was interrupted, and was killed",
                              (unsigned long long)ctx->run.timeout_ms);
        cause->limit = ctx->run.timeout_ms;
        cause->observed = run_ms(ctx);
    } else {
        context_blame(ctx, CONTEXT_REASON_INTERRUPTED,
                      "the run did not stop when it was interrupted, and was killed");
    }
    return context_kill(ctx);
}

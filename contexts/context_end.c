/* SPDX-License-Identifier: MIT */
/*
 * The end of an interpreter: why, what is told to whom, and what follows. Death is what
 * init reports, or init's own end; never that a pipe was closed.
 */
#include "contexts/context_parts.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "contexts/channel.h"
#include "contexts/child.h"
#include "contexts/loop.h"
#include "contexts/output.h"
#include "contexts/profile.h"
#include "contexts/transcript.h"

__attribute__((format(printf, 3, 0))) static void
write_fate(struct context_fate *fate, enum context_reason_kind kind, const char *format,
           va_list ap)
{
    if (fate->known)
        return;
    *fate = (struct context_fate){ .known = true, .kind = kind, .exit_status = -1 };
    vsnprintf(fate->text, sizeof fate->text, format, ap);
}

struct context_fate *
context_blame(struct context *ctx, enum context_reason_kind kind, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    write_fate(&ctx->cause, kind, format, ap);
    va_end(ap);
    return &ctx->cause;
}

__attribute__((format(printf, 3, 4))) static void
note_fate(struct context *ctx, enum context_reason_kind kind, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    write_fate(&ctx->fate, kind, format, ap);
    va_end(ap);
}

void
context_give_up(struct context *ctx)
{
    ctx->is_lost = true;
    context_kick(ctx);
}

/* Signals that say who has sent them. */
static enum context_reason_kind
kind_of_signal(int signal)
{
    switch (signal) {
    case SIGXCPU:
        return CONTEXT_REASON_CPU;
    case SIGXFSZ:
        return CONTEXT_REASON_DISK;
    case SIGKILL:
    case SIGTERM:
    case SIGHUP:
    case SIGINT:
        return CONTEXT_REASON_KILLED;
    default:
        return CONTEXT_REASON_CRASHED;
    }
}

/* That it is ended for its memory. */
static void
blame_memory(struct context *ctx, uint64_t peak_bytes)
{
    uint64_t limit = profile_spec(ctx->profile)->limits.memory_bytes;
    struct context_fate *cause = context_blame(
        ctx, CONTEXT_REASON_MEMORY,
        "the code used more memory than its limit of %" PRIu64 " MiB", limit >> 20);

    if (cause->kind != CONTEXT_REASON_MEMORY)
        return;
    cause->limit = limit;
    cause->observed = ctx->peak_bytes = peak_bytes;
}

/* The kernel ends one process after the other; without some of them the others are of no
 * use, and their state is nobody's guess. */
static int
on_full(void *arg)
{
    struct context *ctx = arg;

    blame_memory(ctx, child_read_meter(ctx->child).memory_peak_bytes);
    context_give_up(ctx);
    return 0;
}

static void
note_exit(struct context *ctx, const struct control_report *report)
{
    struct meter_reading reading = child_read_meter(ctx->child);

    ctx->peak_bytes =
        reading.memory_peak_bytes != 0 ? reading.memory_peak_bytes : report->peak_bytes;
    if (reading.memory_kills > 0)
        blame_memory(ctx, ctx->peak_bytes);
    if (WIFSIGNALED(report->status)) {
        int signal = WTERMSIG(report->status);

        note_fate(ctx, kind_of_signal(signal),
                  "the interpreter was ended by signal %d (%s)", signal,
                  strsignal(signal));
        ctx->fate.signal = signal;
        return;
    }
    note_fate(ctx, CONTEXT_REASON_CRASHED, "the interpreter exited with status %d",
              WEXITSTATUS(report->status));
    ctx->fate.exit_status = WEXITSTATUS(report->status);
}

static int
on_report(const struct control_report *report, void *arg)
{
    struct context *ctx = arg;

    switch (report->kind) {
    case CONTROL_STARTED:
        ctx->confined = true;
        return ctx->greeted && !ctx->is_lost ? context_handle(ctx, CONTEXT_EVENT_READY)
                                             : 0;
    case CONTROL_FAILED:
        note_fate(ctx, CONTEXT_REASON_START, "the sandbox could not be made: %s: %s",
                  report->step, strerror(report->error));
        break;
    case CONTROL_EXITED:
        note_exit(ctx, report);
        break;
    }
    context_give_up(ctx);
    return 0;
}

static int
on_born(const struct output_fds *fds, void *arg)
{
    return context_born(arg, fds);
}

static int
on_gone(const struct error *err, void *arg)
{
    struct context *ctx = arg;

    if (err == NULL && ctx->child != NULL &&
        child_read_meter(ctx->child).memory_kills > 0) /* init was one of them */
        blame_memory(ctx, child_read_meter(ctx->child).memory_peak_bytes);
    if (err != NULL)
        note_fate(ctx, CONTEXT_REASON_START, "the sandbox could not be made: %s",
                  err->text);
    else
        note_fate(ctx, CONTEXT_REASON_KILLED, "the sandbox was ended from outside");
    context_give_up(ctx);
    return 0;
}

const struct child_observer context_child_observer = {
    .on_born = on_born, .on_full = on_full, .on_report = on_report, .on_gone = on_gone
};

int
context_kill(struct context *ctx)
{
    ctx->killing = true;
    loop_timer_disarm(ctx->limit);
    loop_timer_arm(ctx->ladder, (uint64_t)CONTEXT_KILL_MS * 1000);
    child_kill(ctx->child);
    return context_set_state(ctx, CONTEXT_STOPPING, NULL);
}

int
context_linger(struct context *ctx)
{
    loop_timer_arm(ctx->ladder, (uint64_t)CONTEXT_LINGER_MS * 1000);
    return context_set_state(ctx, CONTEXT_STOPPING, NULL);
}

/* STOPPING: it has had its time to end by itself, or init to report the kill. */
int
context_kill_now(struct context *ctx)
{
    if (ctx->killing)
        return context_lose(ctx);
    if (!ctx->ended)
        context_blame(ctx, CONTEXT_REASON_PROTOCOL,
                      "the runner closed its channel and went on");
    return context_kill(ctx);
}

int
context_restart_now(struct context *ctx)
{
    if (ctx->killing)
        return 0; /* a fresh one follows anyway */
    context_blame(ctx, CONTEXT_REASON_KILLED, "the interpreter was restarted");
    return context_kill(ctx);
}

static const struct context_reason stopped = {
    .kind = CONTEXT_REASON_KILLED,
    .exit_status = -1,
    .state_lost = true,
    .text = "the interpreter was shut down",
    .stderr_tail = "",
};

int
context_stop_now(struct context *ctx)
{
    struct frame frame = { .type = FRAME_SHUTDOWN };
    bool is_up = ctx->state != CONTEXT_STARTING && ctx->state != CONTEXT_STOPPING;
    int r = context_abort_before(ctx, UINT64_MAX, &stopped);

    if (r < 0 || ctx->killing)
        return r;
    if (!is_up || ctx->stop_grace_ms == 0)
        return context_kill(ctx);
    r = channel_send(output_channel(ctx->output), &frame, NULL);
    if (r < 0)
        return r;
    loop_timer_arm(ctx->ladder, ctx->stop_grace_ms > UINT64_MAX / 1000
                                    ? UINT64_MAX
                                    : ctx->stop_grace_ms * 1000);
    return context_set_state(ctx, CONTEXT_STOPPING, NULL);
}

/* Whoever stops it waits for word of it. */
int
context_end_dead(struct context *ctx)
{
    int r = context_abort_before(ctx, UINT64_MAX, &stopped);

    return r < 0 ? r : ctx->observer->on_state(CONTEXT_DEAD, ctx->epoch, NULL, ctx->arg);
}

/* What we did to it goes before what it did, unless it never was ready: then whatever
 * happened is a failed start. */
static struct context_reason
judge(const struct context *ctx, const char *tail, char *text, size_t size)
{
    const struct context_fate *why = ctx->cause.known ? &ctx->cause : &ctx->fate;
    struct context_reason reason = {
        .kind = why->kind,
        .signal = ctx->fate.signal,
        .exit_status = ctx->fate.exit_status,
        .state_lost = ctx->was_ready,
        .limit = why->limit,
        .observed = why->observed,
        .peak_bytes = ctx->peak_bytes,
        .text = text,
        .stderr_tail = tail,
    };

    if (ctx->ended && !ctx->cause.known) {
        reason.kind = stopped.kind;
        snprintf(text, size, "%s", stopped.text);
    } else if (!ctx->was_ready && !ctx->cause.known &&
               why->kind != CONTEXT_REASON_START) {
        reason.kind = CONTEXT_REASON_START;
        snprintf(text, size, "the interpreter could not be started: %s", why->text);
    } else {
        snprintf(text, size, "%s", why->text);
    }
    return reason;
}

/* Everybody who waits is told; nobody reads from the child any more. */
static int
tell_loss(struct context *ctx, const struct context_reason *reason)
{
    uint64_t before = ctx->ended ? UINT64_MAX : ctx->restart_before;
    int r = context_run_lost(ctx, reason);

    if (r == 0)
        r = transcript_flush(ctx->transcript);
    return r < 0 ? r : context_abort_before(ctx, before, reason);
}

/* The state that follows. A start that failed is tried again, but not for ever. */
static int
succeed(struct context *ctx, const struct context_reason *reason)
{
    bool fresh = !ctx->ended && (!ctx->die_with_child || ctx->restarting);

    if (ctx->restarting)
        ctx->failed_starts = 0;
    else if (!ctx->was_ready && ctx->failed_starts < CONTEXT_STARTS_MAX)
        ctx->failed_starts++;
    if (!fresh || ctx->failed_starts >= CONTEXT_STARTS_MAX)
        return context_set_state(ctx, CONTEXT_DEAD, ctx->ended ? NULL : reason);
    context_start(ctx);
    return context_set_state(ctx, CONTEXT_STARTING, reason);
}

static int
lose(struct context *ctx, struct buffer *tail)
{
    char text[2 * CONTEXT_TEXT_BYTES];
    struct context_reason reason;
    int r = 0;

    if (ctx->output != NULL)
        r = output_drain(ctx->output, !ctx->refuse_frames);
    if (r == 0)
        r = transcript_stderr_tail(ctx->transcript, tail);
    if (r == 0)
        r = buffer_append(tail, "", 1);
    if (r < 0)
        return r;
    reason = judge(ctx, (const char *)tail->data, text, sizeof text);
    child_destroy(ctx->child);
    ctx->child = NULL;
    output_destroy(ctx->output);
    ctx->output = NULL;
    r = tell_loss(ctx, &reason);
    ctx->dying = false;
    return r < 0 ? r : succeed(ctx, &reason);
}

int
context_lose(struct context *ctx)
{
    struct buffer tail;
    int r;

    if (context_asks_tier(ctx))
        return 0;
    ctx->dying = true;
    loop_timer_disarm(ctx->ladder);
    loop_timer_disarm(ctx->limit);
    ctx->is_lost = false;
    buffer_init(&tail, 2 * CONTEXT_STDERR_TAIL_BYTES);
    r = lose(ctx, &tail);
    buffer_fini(&tail);
    return r;
}

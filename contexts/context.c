/* SPDX-License-Identifier: MIT */
/* The interface, and the table: what happens in each state at each event. */
#include "contexts/context_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/channel.h"
#include "contexts/child.h"
#include "contexts/loop.h"
#include "contexts/output.h"
#include "contexts/profile.h"
#include "contexts/spawner.h"
#include "contexts/tier.h"
#include "contexts/transcript.h"
#include "contexts/workspace.h"
#include "protocol/cleanup.h"

CLEANUP_DEFINE(struct context, context_destroy);
CLEANUP_DEFINE(struct request, request_destroy);

static const char *const state_names[] = {
    [CONTEXT_STARTING] = "starting", [CONTEXT_IDLE] = "idle",
    [CONTEXT_BUSY] = "busy",         [CONTEXT_INTERRUPTING] = "interrupting",
    [CONTEXT_STOPPING] = "stopping", [CONTEXT_DEAD] = "dead",
};
static_assert(N_ELEMENTS(state_names) == CONTEXT_STATE_END, "each state has a name");

static const char *const reason_names[] = {
    [CONTEXT_REASON_NONE] = "none",
    [CONTEXT_REASON_TIMEOUT] = "timeout",
    [CONTEXT_REASON_MEMORY] = "memory",
    [CONTEXT_REASON_CPU] = "cpu",
    [CONTEXT_REASON_PIDS] = "pids",
    [CONTEXT_REASON_DISK] = "disk",
    [CONTEXT_REASON_KILLED] = "killed",
    [CONTEXT_REASON_CRASHED] = "crashed",
    [CONTEXT_REASON_INTERRUPTED] = "interrupted",
    [CONTEXT_REASON_PROTOCOL] = "protocol",
    [CONTEXT_REASON_START] = "start",
};
static_assert(N_ELEMENTS(reason_names) == CONTEXT_REASON_END, "each reason has a name");

typedef int action_fn(struct context *ctx);

/* NULL: nothing is to be done. */
static action_fn *const actions[][CONTEXT_EVENT_END] = {
    [CONTEXT_STARTING] = {
        [CONTEXT_EVENT_READY] = context_become_ready,
        [CONTEXT_EVENT_LADDER] = context_start_late,
        [CONTEXT_EVENT_CLOSED] = context_linger,
        [CONTEXT_EVENT_LOST] = context_lose,
        [CONTEXT_EVENT_RESTART] = context_restart_now,
        [CONTEXT_EVENT_STOP] = context_stop_now,
    },
    [CONTEXT_IDLE] = {
        [CONTEXT_EVENT_WORK] = context_run_next,
        [CONTEXT_EVENT_CLOSED] = context_linger,
        [CONTEXT_EVENT_LOST] = context_lose,
        [CONTEXT_EVENT_RESTART] = context_restart_now,
        [CONTEXT_EVENT_STOP] = context_stop_now,
    },
    [CONTEXT_BUSY] = {
        [CONTEXT_EVENT_REPLY] = context_run_next,
        [CONTEXT_EVENT_INTERRUPT] = context_interrupt_run,
        [CONTEXT_EVENT_TIMEOUT] = context_time_is_up,
        [CONTEXT_EVENT_CLOSED] = context_linger,
        [CONTEXT_EVENT_LOST] = context_lose,
        [CONTEXT_EVENT_RESTART] = context_restart_now,
        [CONTEXT_EVENT_STOP] = context_stop_now,
    },
    [CONTEXT_INTERRUPTING] = {
        [CONTEXT_EVENT_REPLY] = context_ping,
        [CONTEXT_EVENT_PONG] = context_run_next,
        [CONTEXT_EVENT_INTERRUPT] = context_interrupt_again,
        [CONTEXT_EVENT_TIMEOUT] = context_time_is_up,
        [CONTEXT_EVENT_LADDER] = context_climb,
        [CONTEXT_EVENT_CLOSED] = context_linger,
        [CONTEXT_EVENT_LOST] = context_lose,
        [CONTEXT_EVENT_RESTART] = context_restart_now,
        [CONTEXT_EVENT_STOP] = context_stop_now,
    },
    [CONTEXT_STOPPING] = {
        [CONTEXT_EVENT_LADDER] = context_kill_now,
        [CONTEXT_EVENT_LOST] = context_lose,
        [CONTEXT_EVENT_RESTART] = context_restart_now,
        [CONTEXT_EVENT_STOP] = context_stop_now,
    },
    [CONTEXT_DEAD] = {
        [CONTEXT_EVENT_WORK] = context_revive,
        [CONTEXT_EVENT_RESTART] = context_revive,
        [CONTEXT_EVENT_STOP] = context_end_dead,
    },
};
static_assert(N_ELEMENTS(actions) == CONTEXT_STATE_END, "each state has a row");

const char *
context_state_name(enum context_state state)
{
    assert((unsigned)state < CONTEXT_STATE_END);
    return state_names[state];
}

const char *
context_reason_name(enum context_reason_kind kind)
{
    assert((unsigned)kind < CONTEXT_REASON_END);
    return reason_names[kind];
}

int
context_handle(struct context *ctx, enum context_event event)
{
    action_fn *action = actions[ctx->state][event];

    return action != NULL ? action(ctx) : 0;
}

/* While a run is being stopped its pipes are read whatever a slow client says: the runner
 * must not be stuck in a write then. */
static int
update_reading(struct context *ctx)
{
    bool urgent = ctx->state != CONTEXT_IDLE && ctx->state != CONTEXT_BUSY;

    if (ctx->output == NULL)
        return 0;
    return output_set_reading(ctx->output, urgent || !ctx->paused);
}

int
context_set_state(struct context *ctx, enum context_state state,
                  const struct context_reason *reason)
{
    int r;

    if (ctx->state == state && reason == NULL)
        return 0;
    r = transcript_flush(ctx->transcript);
    if (r < 0)
        return r;
    ctx->state = state;
    r = update_reading(ctx);
    if (r < 0)
        return r;
    return ctx->observer->on_state(state, ctx->epoch, reason, ctx->arg);
}

void
context_kick(struct context *ctx)
{
    loop_timer_arm(ctx->kick, 0);
}

/* Takes what is wanted, the strongest first; what it makes needless is forgotten. */
static enum context_event
next_event(struct context *ctx)
{
    unsigned wanted = ctx->wanted;

    if (ctx->is_lost)
        return CONTEXT_EVENT_LOST;
    if ((wanted & CONTEXT_WANT_STOP) != 0) {
        ctx->wanted = 0;
        return CONTEXT_EVENT_STOP;
    }
    if ((wanted & CONTEXT_WANT_RESTART) != 0) {
        ctx->wanted = 0;
        return CONTEXT_EVENT_RESTART;
    }
    if ((wanted & CONTEXT_WANT_INTERRUPT) != 0) {
        ctx->wanted &= ~(unsigned)CONTEXT_WANT_INTERRUPT;
        return CONTEXT_EVENT_INTERRUPT;
    }
    return CONTEXT_EVENT_WORK;
}

static int
on_kick(void *arg)
{
    struct context *ctx = arg;
    enum context_event event = next_event(ctx);
    int r = ctx->failure;

    if (r == 0 && (event != CONTEXT_EVENT_WORK || ctx->queue.count > 0))
        r = context_handle(ctx, event);
    if (event == CONTEXT_EVENT_INTERRUPT)
        ctx->wanted &= ~(unsigned)CONTEXT_WANT_FORCE;
    if (r == 0 && event != CONTEXT_EVENT_WORK)
        context_kick(ctx); /* there may be more */
    return r;
}

static int
on_ladder(void *arg)
{
    return context_handle(arg, CONTEXT_EVENT_LADDER);
}

static int
on_limit(void *arg)
{
    return context_handle(arg, CONTEXT_EVENT_TIMEOUT);
}

static int
on_expiry(void *arg)
{
    return context_expire(arg);
}

static int
on_stream(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    struct context *ctx = arg;

    return ctx->observer->on_stream(number, is_stderr, text, ctx->arg);
}

static int
make_parts(struct context *ctx, const struct context_options *options)
{
    int r = transcript_create(&ctx->transcript, ctx->loop, options->limits.output_bytes,
                              on_stream, ctx);

    if (r == 0)
        r = loop_add_timer(&ctx->kick, ctx->loop, on_kick, ctx);
    if (r == 0)
        r = loop_add_timer(&ctx->ladder, ctx->loop, on_ladder, ctx);
    if (r == 0)
        r = loop_add_timer(&ctx->limit, ctx->loop, on_limit, ctx);
    if (r == 0)
        r = loop_add_timer(&ctx->expiry, ctx->loop, on_expiry, ctx);
    return r;
}

int
context_create(struct context **ret, struct loop *loop,
               const struct context_options *options, struct error *err)
{
    CLEANUP(context_destroyp) struct context *ctx = malloc(sizeof *ctx);
    const struct profile_programs *programs = NULL;
    int r;

    if (ctx == NULL)
        return -ENOMEM;
    *ctx = (struct context){
        .loop = loop,
        .spawner = options->spawner,
        .runtime = options->runtime,
        .tier = options->tier,
        .observer = options->observer,
        .arg = options->arg,
        .die_with_child = options->die_with_child,
        .state = CONTEXT_STARTING,
        .epoch = 1,
        .restart_before = UINT64_MAX,
        .next_number = 1,
    };
    queue_init(&ctx->queue);
    buffer_init(&ctx->hello, FRAME_CONTENT_BYTES_MAX);
    r = spawner_programs(ctx->spawner, &programs, err);
    if (r == 0)
        r = profile_create(&ctx->profile, options, programs, err);
    if (r != 0)
        return r < 0 ? r : CONTEXT_E_OPTIONS;
    if (options->session != NULL && (ctx->session = strdup(options->session)) == NULL)
        return -ENOMEM;
    if (options->workspace != NULL && options->profile == CONTEXT_PROFILE_AGENT)
        ctx->workspace = workspace_ref(options->workspace);
    r = make_parts(ctx, options);
    if (r < 0)
        return r;
    context_start(ctx);

    *ret = ctx;
    ctx = NULL;
    return 0;
}

void
context_destroy(struct context *ctx)
{
    if (ctx == NULL)
        return;
    tier_probe_cancel(ctx->tier_probe);
    child_destroy(ctx->child);
    output_destroy(ctx->output);
    transcript_destroy(ctx->transcript);
    profile_destroy(ctx->profile);
    free(ctx->session);
    workspace_unref(ctx->workspace);
    loop_timer_destroy(ctx->kick);
    loop_timer_destroy(ctx->ladder);
    loop_timer_destroy(ctx->limit);
    loop_timer_destroy(ctx->expiry);
    queue_fini(&ctx->queue);
    buffer_fini(&ctx->hello);
    free(ctx);
}

bool
context_is_gone(const struct context *ctx)
{
    bool ends = ctx->state == CONTEXT_DEAD || ctx->dying;

    return ctx->ended || (ends && ctx->die_with_child && !ctx->restarting);
}

static bool
is_request(enum frame_type type)
{
    return type == FRAME_EXECUTE_REQUEST || type == FRAME_COMPLETE_REQUEST ||
           type == FRAME_INSPECT_REQUEST || type == FRAME_IS_COMPLETE_REQUEST ||
           type == FRAME_COMM_OPEN || type == FRAME_COMM_MSG || type == FRAME_COMM_CLOSE;
}

int
context_submit(struct context *ctx, const struct context_request *wish,
               uint64_t *ret_number, struct error *err)
{
    CLEANUP(request_destroyp) struct request *request = NULL;
    int r;

    assert(is_request(wish->type));
    if (context_is_gone(ctx))
        return error_set(err, CONTEXT_E_GONE, "the interpreter has ended");
    r = request_create(&request, wish, ctx->next_number, loop_now_us(ctx->loop), err);
    if (r != 0)
        return r;
    r = queue_add(&ctx->queue, request);
    if (r != 0)
        return error_set(err, r, "%zu requests are waiting already", ctx->queue.count);
    if (request->expires_us != UINT64_MAX)
        context_arm_expiry(ctx);
    request = NULL;
    *ret_number = ctx->next_number++;
    context_kick(ctx);
    return 0;
}

bool
context_input_is_open(const struct context *ctx)
{
    return ctx->run.active && ctx->run.input_is_open;
}

int
context_input_reply(struct context *ctx, struct slice content)
{
    struct frame frame = { .type = FRAME_INPUT_REPLY,
                           .number = ctx->run.number,
                           .content = content };
    int r;

    if (!context_input_is_open(ctx) || ctx->output == NULL)
        return CONTEXT_E_NOT_WAITING;
    r = channel_send(output_channel(ctx->output), &frame, NULL);
    if (r == CHANNEL_E_TOO_LARGE)
        return CONTEXT_E_TOO_LARGE;
    if (r < 0)
        return r;
    assert(r != CHANNEL_E_ILLEGAL);
    if (r == CHANNEL_E_FULL)
        context_violated(ctx, "it asks for input and does not read the answers");
    ctx->run.input_is_open = false;
    return 0; /* if the runner is gone: its end is told soon */
}

int
context_interrupt(struct context *ctx, bool force)
{
    if (ctx->state != CONTEXT_BUSY && ctx->state != CONTEXT_INTERRUPTING)
        return 0;
    ctx->wanted |= CONTEXT_WANT_INTERRUPT | (force ? CONTEXT_WANT_FORCE : 0);
    context_kick(ctx);
    return 0;
}

int
context_restart(struct context *ctx)
{
    if (ctx->ended)
        return CONTEXT_E_GONE;
    ctx->restarting = true;
    ctx->restart_before = ctx->next_number;
    ctx->wanted |= CONTEXT_WANT_RESTART;
    context_kick(ctx);
    return 0;
}

int
context_stop(struct context *ctx, uint64_t grace_ms)
{
    ctx->ended = true;
    ctx->stop_grace_ms = grace_ms;
    ctx->wanted |= CONTEXT_WANT_STOP;
    context_kick(ctx);
    return 0;
}

void
context_pause_output(struct context *ctx, bool paused)
{
    int r;

    ctx->paused = paused;
    r = update_reading(ctx);
    if (r < 0) {
        ctx->failure = r;
        context_kick(ctx);
    }
}

enum context_state
context_state(const struct context *ctx)
{
    return ctx->state;
}

uint64_t
context_epoch(const struct context *ctx)
{
    return ctx->epoch;
}

uint64_t
context_next_epoch(const struct context *ctx)
{
    return ctx->epoch + ctx->was_ready;
}

uint32_t
context_execution_count(const struct context *ctx)
{
    return ctx->last_count;
}

struct slice
context_hello(const struct context *ctx)
{
    return buffer_slice(&ctx->hello);
}

size_t
context_pids(const struct context *ctx, int *ret, size_t max)
{
    return ctx->child != NULL ? child_pids(ctx->child, ret, max) : 0;
}

struct context_use
context_use(const struct context *ctx)
{
    struct meter_reading reading = { 0 };

    if (ctx->child != NULL)
        reading = child_read_meter(ctx->child);
    return (struct context_use){ reading.cpu_us, reading.memory_peak_bytes };
}

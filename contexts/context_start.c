/* SPDX-License-Identifier: MIT */
/* From a spec to an interpreter that is ready. */
#include "contexts/context_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "contexts/channel.h"
#include "contexts/child.h"
#include "contexts/loop.h"
#include "contexts/output.h"
#include "contexts/profile.h"
#include "contexts/runtime.h"
#include "contexts/spawner.h"
#include "contexts/transcript.h"
#include "protocol/json.h"
#include "protocol/text.h"

#define CONFIGURE_BYTES_MAX ((size_t)64 * 1024) /* with the session's name escaped */

/* Why there will be no interpreter; found by the kick. */
static void
start_failed(struct context *ctx, const char *text)
{
    context_blame(ctx, CONTEXT_REASON_START, "the interpreter could not be started: %s",
                  text);
    context_give_up(ctx);
}

static int
send_configure(struct context *ctx, const uint8_t nonce[FRAME_NONCE_BYTES])
{
    char hex[2 * FRAME_NONCE_BYTES + 1];
    struct frame frame = { .type = FRAME_CONFIGURE };
    struct buffer content;
    int r;

    text_hex(hex, nonce, FRAME_NONCE_BYTES);
    buffer_init(&content, CONFIGURE_BYTES_MAX);
    r = buffer_append_format(
        &content, "{\"nonce\": \"%s\", \"frame_version\": %d, \"runtime\": ", hex,
        FRAME_VERSION);
    if (r == 0)
        r = text_append_json(&content, ctx->runtime->name, strlen(ctx->runtime->name));
    if (r == 0 && ctx->session != NULL) {
        r = buffer_append_text(&content, ", \"session\": ");
        if (r == 0)
            r = text_append_json(&content, ctx->session, strlen(ctx->session));
    }
    if (r == 0)
        r = buffer_append_text(&content, "}");
    if (r == 0) {
        frame.content = buffer_slice(&content);
        r = channel_send(output_channel(ctx->output), &frame, NULL);
    }
    buffer_fini(&content);
    return r < 0 ? r : 0; /* if it is closed already, that is told soon */
}

static void
forget_last(struct context *ctx)
{
    if (ctx->was_ready) {
        ctx->epoch++;
        ctx->last_count = 0;
    }
    buffer_clear(&ctx->hello, 0);
    ctx->confined = ctx->greeted = ctx->was_ready = ctx->killing = false;
    ctx->restarting = ctx->is_lost = ctx->refuse_frames = false;
    ctx->restart_before = UINT64_MAX;
    ctx->cause = ctx->fate = (struct context_fate){ .exit_status = -1 };
    ctx->peak_bytes = 0;
    ctx->ping_number = 0;
    ctx->may_kill = false;
}

int
context_born(struct context *ctx, const struct output_fds *fds)
{
    uint8_t nonce[FRAME_NONCE_BYTES];
    int r;

    if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
        return -errno;
    r = output_create(&ctx->output, ctx->loop, fds, nonce, &context_output_observer, ctx);
    return r < 0 ? r : send_configure(ctx, nonce);
}

static struct spawner_wish
wish_of(const struct context *ctx)
{
    return (struct spawner_wish){ .spec = profile_spec(ctx->profile),
                                  .zygote = profile_zygote_spec(ctx->profile) };
}

uint64_t
context_generation(const struct context *ctx)
{
    const struct spawner_wish wish = wish_of(ctx);

    return spawner_generation(ctx->spawner, &wish);
}

static int
make_child(struct context *ctx, struct error *err)
{
    const struct spawner_wish wish = wish_of(ctx);
    int r = transcript_restart(ctx->transcript);

    return r < 0 ? r
                 : child_create(&ctx->child, ctx->loop, ctx->spawner, &wish,
                                &context_child_observer, ctx, err);
}

/* That a child cannot be had, for want of fds or memory too, ends a start, not us. */
void
context_start(struct context *ctx)
{
    struct error err = { 0 };
    int r;

    forget_last(ctx);
    loop_timer_arm(ctx->ladder, (uint64_t)CONTEXT_START_MS * 1000);
    r = make_child(ctx, &err);
    if (r < 0)
        error_set(&err, r, "%s", strerror(-r));
    if (r != 0)
        start_failed(ctx, err.text);
}

int
context_check_hello(struct context *ctx, struct slice content)
{
    int64_t version;

    if (json_member_int(content, "frame_version", &version) != 0)
        return context_violated(ctx, "its hello has no frame version");
    if (version != FRAME_VERSION)
        return context_violated(ctx,
                                "it speaks frame version %lld, this program version %d",
                                (long long)version, FRAME_VERSION);
    return buffer_append(&ctx->hello, content.data, content.length);
}

int
context_become_ready(struct context *ctx)
{
    int r;

    loop_timer_disarm(ctx->ladder);
    ctx->was_ready = true;
    ctx->failed_starts = 0;
    r = context_set_state(ctx, CONTEXT_IDLE, NULL);
    return r < 0 ? r : context_run_next(ctx);
}

int
context_start_late(struct context *ctx)
{
    struct context_fate *cause = context_blame(
        ctx, CONTEXT_REASON_START, "the interpreter was not ready within %d seconds",
        CONTEXT_START_MS / 1000);

    cause->limit = CONTEXT_START_MS;
    return context_kill(ctx);
}

int
context_revive(struct context *ctx)
{
    if (ctx->restarting)
        ctx->failed_starts = 0;
    context_start(ctx);
    return context_set_state(ctx, CONTEXT_STARTING, NULL);
}

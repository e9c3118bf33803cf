/* SPDX-License-Identifier: MIT */
/*
 * What the runner sends, judged: is this frame legal now, is it what it says it is. A
 * runner that breaks the rules is not to be trusted with the next frame either.
 */
#include "contexts/context_parts.h"

#include <stdarg.h>
#include <stdio.h>

#include "contexts/channel.h"
#include "contexts/child.h"
#include "contexts/output.h"
#include "contexts/transcript.h"
#include "protocol/json.h"
#include "protocol/mime.h"

/* Which requests a frame may be about. */
enum about {
    NEVER, /* runners may not send it at all */
    ABOUT_NOBODY, /* the hello */
    ABOUT_ANY, /* any request so far, or none */
    ABOUT_THE_RUN, /* the one under way */
    ABOUT_EXECUTION /* it must be an execution, too */
};

typedef int frame_fn(struct context *ctx, const struct frame *frame);

static frame_fn on_hello, on_reply, on_stream, on_input_request, forward, forward_mime;

static const struct law {
    enum about about;
    frame_fn *fn; /* > 0: no more frames */
} laws[FRAME_TYPE_END] = {
    [FRAME_HELLO] = { ABOUT_NOBODY, on_hello },
    [FRAME_REPLY] = { ABOUT_ANY, on_reply }, /* which looks closer: it may be a ping's */
    [FRAME_STREAM] = { ABOUT_ANY, on_stream },
    [FRAME_DISPLAY_DATA] = { ABOUT_ANY, forward_mime },
    [FRAME_UPDATE_DISPLAY_DATA] = { ABOUT_ANY, forward_mime },
    [FRAME_EXECUTE_RESULT] = { ABOUT_THE_RUN, forward_mime },
    [FRAME_ERROR] = { ABOUT_THE_RUN, forward },
    [FRAME_CLEAR_OUTPUT] = { ABOUT_ANY, forward },
    [FRAME_INPUT_REQUEST] = { ABOUT_EXECUTION, on_input_request },
    [FRAME_COMM_OPEN] = { ABOUT_ANY, forward },
    [FRAME_COMM_MSG] = { ABOUT_ANY, forward },
    [FRAME_COMM_CLOSE] = { ABOUT_ANY, forward },
};

int
context_violated(struct context *ctx, const char *format, ...)
{
    char text[CONTEXT_TEXT_BYTES];
    va_list ap;

    if (ctx->dying)
        return 1; /* it has ended already, and why is known */
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    context_blame(ctx, CONTEXT_REASON_PROTOCOL, "the runner broke the protocol: %s",
                  text);
    ctx->refuse_frames = true;
    context_give_up(ctx);
    return 1;
}

static bool
is_about(const struct context *ctx, enum about about, uint64_t number)
{
    const struct context_run *run = &ctx->run;

    switch (about) {
    case ABOUT_NOBODY:
        return number == 0;
    case ABOUT_ANY:
        return number <= ctx->last_started;
    case ABOUT_THE_RUN:
        return run->active && number == run->number;
    case ABOUT_EXECUTION:
        return run->active && number == run->number && run->type == FRAME_EXECUTE_REQUEST;
    default:
        return false;
    }
}

/* 0, or > 0: violated. TEXT is not empty. */
static int
check_part(struct context *ctx, const struct frame *frame, struct slice text,
           const char *part)
{
    const struct json_limits limits = { FRAME_CONTENT_BYTES_MAX, JSON_DEPTH_MAX };
    struct error err = { 0 };

    if (json_scan_object(text, &limits, &err) == 0)
        return 0;
    return context_violated(ctx, "%s of a %s frame: %s", part,
                            frame_type_name(frame->type), err.text);
}

static int
check_json(struct context *ctx, const struct frame *frame)
{
    int r = 0;

    if (frame->content.length > 0)
        r = check_part(ctx, frame, frame->content, "content");
    if (r == 0 && frame->metadata.length > 0)
        r = check_part(ctx, frame, frame->metadata, "metadata");
    return r;
}

static int
on_frame(const struct frame *frame, void *arg)
{
    struct context *ctx = arg;
    const struct law *law = &laws[frame->type];

    if (ctx->greeted != (frame->type != FRAME_HELLO))
        return context_violated(ctx, "a %s frame %s its hello",
                                frame_type_name(frame->type),
                                ctx->greeted ? "after" : "before");
    if (!is_about(ctx, law->about, frame->number))
        return context_violated(ctx, "a %s frame with number %llu at the wrong time",
                                frame_type_name(frame->type),
                                (unsigned long long)frame->number);
    if (check_json(ctx, frame) != 0)
        return 1;
    return law->fn(ctx, frame);
}

static int
on_hello(struct context *ctx, const struct frame *frame)
{
    int r = context_check_hello(ctx, frame->content), peer;

    if (r != 0)
        return r;
    peer = channel_take_peer(output_channel(ctx->output));
    if (peer >= 0)
        child_set_runner(ctx->child, peer);
    ctx->greeted = true;
    return ctx->confined ? context_handle(ctx, CONTEXT_EVENT_READY) : 0;
}

static int
on_reply(struct context *ctx, const struct frame *frame)
{
    if (ctx->ping_number != 0 && frame->number == ctx->ping_number) {
        ctx->ping_number = 0;
        return ctx->dying ? 0 : context_handle(ctx, CONTEXT_EVENT_PONG);
    }
    if (!is_about(ctx, ABOUT_THE_RUN, frame->number))
        return context_violated(ctx, "a reply to request %llu, which is not under way",
                                (unsigned long long)frame->number);
    return context_run_answered(ctx, frame);
}

static int
on_stream(struct context *ctx, const struct frame *frame)
{
    return transcript_add_text(ctx->transcript, frame->number,
                               (frame->flags & FRAME_FLAG_STDERR) != 0,
                               frame->buffers[0]);
}

static int
forward(struct context *ctx, const struct frame *frame)
{
    struct frame clean = *frame;
    int r = transcript_flush(ctx->transcript);

    if (r < 0)
        return r;
    clean.header = (struct slice){ 0 }; /* a request's, not a runner's, to write */
    if (clean.metadata.length == 0)
        clean.metadata = slice_text("{}");
    return ctx->observer->on_frame(&clean, ctx->arg);
}

static int
forward_mime(struct context *ctx, const struct frame *frame)
{
    struct error err = { 0 };

    if (mime_check_content(frame->content, &err) != 0)
        return context_violated(ctx, "a %s frame: %s", frame_type_name(frame->type),
                                err.text);
    return forward(ctx, frame);
}

static int
on_input_request(struct context *ctx, const struct frame *frame)
{
    /* Code may catch the interrupt of a question, and ask another one. */
    if (ctx->run.input_is_open && ctx->state != CONTEXT_INTERRUPTING)
        return context_violated(ctx, "two input requests at a time");
    ctx->run.input_is_open = true;
    return forward(ctx, frame);
}

static int
on_text(bool is_stderr, struct slice bytes, void *arg)
{
    struct context *ctx = arg;

    return transcript_add_bytes(ctx->transcript, is_stderr, bytes);
}

static int
on_closed(const struct error *err, void *arg)
{
    struct context *ctx = arg;

    if (ctx->dying)
        return 0;
    if (err != NULL) {
        context_violated(ctx, "%s", err->text);
        return 0;
    }
    return context_handle(ctx, CONTEXT_EVENT_CLOSED);
}

const struct output_observer context_output_observer = { .on_text = on_text,
                                                         .on_frame = on_frame,
                                                         .on_closed = on_closed };

/* SPDX-License-Identifier: MIT */
/* What the context tells, as Jupyter messages. */
#include <errno.h>
#include <string.h>

#include "kernel/command.h"
#include "kernel/dispatch.h"
#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"
#include "protocol/text.h"

#define STREAM_HEAD_BYTES 64 /* of a stream's content beside its text */

static int
on_started(uint64_t number, uint32_t execution_count, void *arg)
{
    struct kernel *kernel = arg;
    struct parent *parent = parents_find(kernel->parents, number);
    int r;

    if (parent == NULL)
        return 0;
    parent->started = true;
    r = dispatch_busy(kernel, parent);
    if (r < 0 || !parent->is_run)
        return r;
    return execute_started(kernel, parent, execution_count);
}

static int
publish_stream(struct kernel *kernel, struct slice parent_header, bool is_stderr,
               struct slice text)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = buffer_reserve(&content, text.length + text.length / 16 + STREAM_HEAD_BYTES);
    if (r == 0)
        r = buffer_append_format(
            &content, "{\"name\":\"%s\",\"text\":", is_stderr ? "stderr" : "stdout");
    if (r == 0)
        r = text_append_json(&content, text.data, text.length);
    if (r == 0)
        r = buffer_append_text(&content, "}");
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return kernel_publish(kernel,
                          &(struct kernel_broadcast){
                              .parent_header = parent_header,
                              .topic = is_stderr ? "stream.stderr" : "stream.stdout",
                              .type = "stream",
                              .content = buffer_slice(&content),
                          });
}

static int
on_stream(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    struct kernel *kernel = arg;

    return publish_stream(kernel, kernel_parent_header(kernel, number), is_stderr, text);
}

static int
on_frame(const struct frame *frame, void *arg)
{
    CLEANUP(buffer_fini) struct buffer why = { 0 };
    struct kernel *kernel = arg;
    struct slice metadata = frame->metadata;
    struct context_reason reason;
    int r = 0;

    if (frame->type == FRAME_INPUT_REQUEST)
        return stdin_ask(kernel, frame);
    if (frame->type == FRAME_EXECUTE_RESULT)
        r = execute_note_result(kernel, frame);
    else if (frame->type == FRAME_COMM_OPEN || frame->type == FRAME_COMM_CLOSE)
        r = comm_note_frame(kernel, frame);
    if (r == 0 && frame->type == FRAME_ERROR &&
        context_is_timing_out(kernel->context, &reason)) {
        buffer_init(&why, KERNEL_CONTENT_BYTES_MAX);
        r = metadata_append_error(&why, &reason);
        metadata = buffer_slice(&why);
    }
    if (r < 0)
        return r;
    return kernel_publish(
        kernel, &(struct kernel_broadcast){
                    .parent_header = kernel_parent_header(kernel, frame->number),
                    .type = frame_type_name(frame->type),
                    .metadata = metadata,
                    .content = frame->content,
                    .buffers = frame->buffers,
                    .buffer_count = frame->buffer_count,
                });
}

static int
on_done(uint64_t number, const struct context_outcome *outcome, void *arg)
{
    struct kernel *kernel = arg;
    struct parent *parent = parents_find(kernel->parents, number);

    return parent != NULL ? dispatch_done(kernel, parent, outcome) : 0;
}

/* An interpreter ended. If a cell ran, its reply has said so already. */
static int
lost(struct kernel *kernel, const struct context_reason *reason, uint64_t next_epoch)
{
    CLEANUP(loss_fini) struct loss loss;
    bool told = kernel->loss_told;
    int r = loss_init(&loss, loss_outlook_of(kernel), reason, next_epoch);

    kernel->loss_told = false;
    kernel->input.number = 0;
    if (r == 0 && !told)
        r = loss_publish(kernel, &loss, kernel_parent_header(kernel, 0));
    if (r == 0 && !kernel_is_guest(kernel)) /* a host says it for all its guests */
        log_line("%s: %.*s", loss.name, (int)loss.value.length,
                 (const char *)loss.value.data);
    return r != 0 ? r : comm_close_all(kernel);
}

static void
tell_tier(struct kernel *kernel)
{
    const char *missing;

    if (kernel->tier_told || kernel_is_guest(kernel) ||
        context_tier(kernel->context, &missing) == SANDBOX_TIER_FULL)
        return;
    kernel->tier_told = true;
    log_line("the interpreter is in a nested sandbox, which is weaker (docs/sandbox.md): "
             "this machine gives no full one: %s",
             missing);
}

static int
on_state(enum context_state state, uint64_t epoch, const struct context_reason *reason,
         void *arg)
{
    struct kernel *kernel = arg;
    int r = 0;

    if (state == CONTEXT_IDLE)
        tell_tier(kernel);
    if (reason != NULL && !kernel->stopping)
        r = lost(kernel, reason, state == CONTEXT_DEAD ? 0 : epoch);
    if (r < 0 || state != CONTEXT_DEAD)
        return r;
    if (kernel->stopping)
        kernel->stopped = true;
    else if (kernel->options->die_with_child && !kernel_is_guest(kernel))
        r = kernel_stop(kernel, EXIT_STATUS_FAILED);
    return r;
}

static int
on_stuck(uint64_t number, void *arg)
{
    static const char text[] = "\nThe code has not reacted to the interrupt for 5 "
                               "seconds: it is probably inside "
                               "a library that does not look.\nRestarting the kernel "
                               "would stop it; all variables "
                               "would be lost.\n";
    struct kernel *kernel = arg;

    return publish_stream(kernel, kernel_parent_header(kernel, number), true,
                          slice_text(text));
}

const struct context_observer kernel_observer = {
    .on_started = on_started,
    .on_stream = on_stream,
    .on_frame = on_frame,
    .on_done = on_done,
    .on_state = on_state,
    .on_stuck = on_stuck,
};

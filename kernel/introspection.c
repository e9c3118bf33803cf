/* SPDX-License-Identifier: MIT */
/* complete, inspect, is_complete: asked of the interpreter, and answered with nothing
 * when it is busy, because a front end queues behind such a question. */
#include <errno.h>
#include <inttypes.h>

#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define WAIT_MS 500

static int
submit(struct kernel *kernel, struct request *request, enum frame_type type,
       struct error *err)
{
    const struct message *message = request->message;
    struct context_request wish = { .type = type, .queue_ms = WAIT_MS };
    struct parent *parent;
    int r = dispatch_submit(kernel, request, &wish, (struct slice){ 0 }, &parent, err);

    if (r != 0)
        return r;
    parent->cursor = json_integer_value(json_object_get(message->content, "cursor_pos"));
    return 0;
}

int
handle_complete(struct kernel *kernel, struct request *request, struct error *err)
{
    return submit(kernel, request, FRAME_COMPLETE_REQUEST, err);
}

int
handle_inspect(struct kernel *kernel, struct request *request, struct error *err)
{
    return submit(kernel, request, FRAME_INSPECT_REQUEST, err);
}

int
handle_is_complete(struct kernel *kernel, struct request *request, struct error *err)
{
    return submit(kernel, request, FRAME_IS_COMPLETE_REQUEST, err);
}

/* The runner's answer, or EMPTY in its place. */
static int
reply(struct kernel *kernel, const struct parent *parent,
      const struct context_outcome *outcome, const char *empty)
{
    struct slice content = slice_text(empty);

    if (outcome->end == CONTEXT_END_REPLY)
        content = outcome->reply->content;
    return kernel_reply(kernel, &parent->origin, parent->handler->reply, slice_text("{}"),
                        content);
}

int
done_complete(struct kernel *kernel, struct parent *parent,
              const struct context_outcome *outcome)
{
    CLEANUP(buffer_fini) struct buffer empty;
    int r;

    buffer_init(&empty, 256);
    r = buffer_append_format(&empty,
                             "{\"status\":\"ok\",\"matches\":[],\"cursor_start\":%" PRId64
                             ",\"cursor_end\":%" PRId64 ",\"metadata\":{}}",
                             parent->cursor, parent->cursor);
    if (r == 0)
        r = buffer_append(&empty, "", 1);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return reply(kernel, parent, outcome, (const char *)empty.data);
}

int
done_inspect(struct kernel *kernel, struct parent *parent,
             const struct context_outcome *outcome)
{
    return reply(kernel, parent, outcome,
                 "{\"status\":\"ok\",\"found\":false,\"data\":{},\"metadata\":{}}");
}

int
done_is_complete(struct kernel *kernel, struct parent *parent,
                 const struct context_outcome *outcome)
{
    return reply(kernel, parent, outcome, "{\"status\":\"unknown\"}");
}

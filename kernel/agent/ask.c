/* SPDX-License-Identifier: MIT */
/* complete, inspect, is_complete: asked of the interpreter, which is not waited for long
 * when it is busy. */
#include <errno.h>
#include <inttypes.h>

#include "kernel/agent/agent.h"
#include "kernel/agent/fields.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/frame.h"
#include "protocol/tree.h"

#define WAIT_MS 500

static int
ask(struct agent *agent, struct call *call, enum frame_type type, struct refusal *no)
{
    CLEANUP(buffer_fini) struct buffer content;
    CLEANUP(tree_decrefp) json_t *wanted = json_copy(call->message->content);
    struct context_request wish = { .type = type, .queue_ms = WAIT_MS };
    struct error err = { 0 };
    struct pending *pending;
    uint64_t number;
    int r;

    (void)agent;
    buffer_init(&content, AGENT_REPLY_BYTES_MAX);
    if (wanted == NULL)
        return -ENOMEM;
    json_object_del(wanted, "context");
    r = tree_append(&content, wanted, JSON_COMPACT);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    wish.header = call->message->wire.header;
    wish.content = buffer_slice(&content);
    r = context_submit(call->context->context, &wish, &number, &err);
    if (r > 0)
        return refusal_set(
            no, r == CONTEXT_E_TOO_LARGE ? REFUSAL_TOO_LARGE : REFUSAL_QUEUE_FULL, "%s",
            err.text);
    if (r == 0)
        r = pending_add(call->context, call, PENDING_ASK, &pending);
    if (r < 0)
        return r;
    pending->number = number;
    pending->ask = type;
    pending->cursor = fields_integer(call->message->content, "cursor_pos", 0);
    return agent_context_touch(call->context);
}

int
request_complete(struct agent *agent, struct call *call, struct refusal *no)
{
    return ask(agent, call, FRAME_COMPLETE_REQUEST, no);
}

int
request_inspect(struct agent *agent, struct call *call, struct refusal *no)
{
    return ask(agent, call, FRAME_INSPECT_REQUEST, no);
}

int
request_is_complete(struct agent *agent, struct call *call, struct refusal *no)
{
    return ask(agent, call, FRAME_IS_COMPLETE_REQUEST, no);
}

static int
append_empty(struct buffer *ret, const struct pending *pending)
{
    switch (pending->ask) {
    case FRAME_COMPLETE_REQUEST:
        return buffer_append_format(ret,
                                    "{\"status\":\"ok\",\"matches\":[],\"cursor_start\":"
                                    "%" PRId64 ",\"cursor_end\":%" PRId64
                                    ",\"metadata\":{}}",
                                    pending->cursor, pending->cursor);
    case FRAME_INSPECT_REQUEST:
        return buffer_append_text(
            ret, "{\"status\":\"ok\",\"found\":false,\"data\":{},\"metadata\":{}}");
    default:
        return buffer_append_text(ret, "{\"status\":\"unknown\"}");
    }
}

int
ask_done(struct agent_context *context, struct pending *pending,
         const struct context_outcome *outcome)
{
    CLEANUP(buffer_fini) struct buffer empty;
    int r;

    buffer_init(&empty, 1024);
    if (outcome->end == CONTEXT_END_REPLY)
        return pending_answer(context->agent, pending, outcome->reply->content);
    r = append_empty(&empty, pending);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return pending_answer(context->agent, pending, buffer_slice(&empty));
}

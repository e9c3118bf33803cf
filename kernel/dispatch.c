/* SPDX-License-Identifier: MIT */
/* Here alone "busy" and "idle" are published. A request that the context serves is told
 * as busy when its turn comes, so that the front end shows "idle" only when nothing runs.
 */
#include "kernel/dispatch.h"

#include <errno.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"

#define SHELL DISPATCH_SHELL
#define CONTROL DISPATCH_CONTROL

static const struct handler handlers[] = {
    { "execute_request", "execute_reply", SHELL, handle_execute, done_execute },
    { "complete_request", "complete_reply", SHELL, handle_complete, done_complete },
    { "inspect_request", "inspect_reply", SHELL, handle_inspect, done_inspect },
    { "is_complete_request", "is_complete_reply", SHELL, handle_is_complete,
      done_is_complete },
    { "comm_open", NULL, SHELL, handle_comm_open, done_comm },
    { "comm_msg", NULL, SHELL, handle_comm_msg, done_comm },
    { "comm_close", NULL, SHELL, handle_comm_close, done_comm },
    { "comm_info_request", "comm_info_reply", SHELL | CONTROL, handle_comm_info, NULL },
    { "kernel_info_request", "kernel_info_reply", SHELL | CONTROL, handle_kernel_info,
      NULL },
    { "connect_request", "connect_reply", SHELL | CONTROL, handle_connect, NULL },
    { "history_request", "history_reply", SHELL | CONTROL, handle_history, NULL },
    { "usage_request", "usage_reply", SHELL | CONTROL, handle_usage, NULL },
    { "interrupt_request", "interrupt_reply", CONTROL, handle_interrupt, NULL },
    /* On shell it is deprecated, and still sent by old clients. */
    { "shutdown_request", "shutdown_reply", SHELL | CONTROL, handle_shutdown, NULL },
    { "debug_request", "debug_reply", CONTROL, handle_unsupported, NULL },
    { "create_subshell_request", "create_subshell_reply", CONTROL, handle_unsupported,
      NULL },
    { "delete_subshell_request", "delete_subshell_reply", CONTROL, handle_unsupported,
      NULL },
    { "list_subshell_request", "list_subshell_reply", CONTROL, handle_unsupported, NULL },
};

int
dispatch_find(const char *type, enum connection_port channel, const struct handler **ret)
{
    for (size_t i = 0; i < N_ELEMENTS(handlers); i++) {
        if (strcmp(handlers[i].type, type) != 0)
            continue;
        *ret = &handlers[i];
        return (handlers[i].channels & (1u << channel)) != 0 ? 0
                                                             : DISPATCH_E_WRONG_CHANNEL;
    }
    return DISPATCH_E_UNKNOWN_TYPE;
}

/* "EName: sentence" in TEXT, or the sentence alone. */
static int
append_refusal(struct buffer *ret, const char *text)
{
    size_t length = strcspn(text, ": ");
    const char *sentence = text;
    int r = buffer_append_text(ret, "{\"status\":\"error\",\"ename\":");

    if (r == 0 && length > 0 && strncmp(text + length, ": ", 2) == 0) {
        r = text_append_json(ret, text, length);
        sentence = text + length + 2;
    } else if (r == 0) {
        r = buffer_append_text(ret, "\"RequestError\"");
    }
    if (r == 0)
        r = buffer_append_text(ret, ",\"evalue\":");
    if (r == 0)
        r = text_append_json(ret, sentence, strlen(sentence));
    return r != 0 ? r : buffer_append_text(ret, ",\"traceback\":[]");
}

static int
refuse(struct kernel *kernel, const struct request *request, const char *text)
{
    CLEANUP(buffer_fini) struct buffer content = { 0 };
    int r;

    if (request->handler->reply == NULL)
        return 0;
    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = append_refusal(&content, text);
    if (r == 0 && request->handler->done == done_execute)
        r = buffer_append_format(
            &content, ",\"execution_count\":%u,\"user_expressions\":{},\"payload\":[]",
            (unsigned)context_execution_count(kernel->context));
    if (r == 0)
        r = buffer_append_text(&content, "}");
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return kernel_reply(kernel, &request->origin, request->handler->reply,
                        slice_text("{}"), buffer_slice(&content));
}

static int
tell_busy(struct kernel *kernel, struct request *request)
{
    if (request->busy_told)
        return 0;
    request->busy_told = true;
    return kernel_publish_status(kernel, request->origin.header, "busy");
}

/* 0; HANDLER_E_REFUSED, and ERR says why; < 0. */
static int
serve(struct kernel *kernel, struct request *request, int found, struct error *err)
{
    struct message *message = request->message;
    int r;

    if (found == DISPATCH_E_WRONG_CHANNEL)
        return error_set(err, HANDLER_E_REFUSED, "WrongChannel: %s is not served on %s",
                         message->type, connection_port_name(request->origin.channel));
    if (message->subshell_id[0] != '\0')
        return error_set(err, HANDLER_E_REFUSED,
                         "SubshellNotFound: this kernel has no subshells");
    r = message_check(message, err);
    if (r > 0)
        return error_wrap(err, HANDLER_E_REFUSED, "InvalidRequest: %s", message->type);
    return r < 0 ? r : request->handler->fn(kernel, request, err);
}

/* The request is the first one, but its turn does not come at once: if the context is
 * idle, the request is told as busy when it has begun, which is no later. */
static bool
is_front(const struct kernel *kernel)
{
    return parents_open_count(kernel->parents) == 0 &&
           context_state(kernel->context) != CONTEXT_IDLE;
}

static int
run(struct kernel *kernel, struct request *request, int found)
{
    bool deferred = request->handler->done != NULL;
    struct error err = { 0 };
    int r = 0;

    if (!deferred || is_front(kernel))
        r = tell_busy(kernel, request);
    if (r == 0)
        r = serve(kernel, request, found, &err);
    if (r < 0 || (r == 0 && deferred))
        return r;
    if (r > 0) {
        r = tell_busy(kernel, request);
        if (r == 0)
            r = refuse(kernel, request, err.text);
    }
    if (r < 0)
        return r;
    return kernel_publish_status(kernel, request->origin.header, "idle");
}

/* Nobody waits for a reply of a type that we do not know. */
static int
run_unknown(struct kernel *kernel, struct request *request)
{
    uint64_t held;
    int r = tell_busy(kernel, request);

    if (r < 0)
        return r;
    if (log_allows(&kernel->unknown_limit, loop_now_us(kernel->options->loop), &held))
        log_line("ignored a message of unknown type %s", request->message->type);
    return kernel_publish_status(kernel, request->origin.header, "idle");
}

int
dispatch(struct kernel *kernel, enum connection_port channel, struct message *message)
{
    struct request request = {
        .origin = {
            .channel = channel,
            .identities = message->wire.identities,
            .identity_count = message->wire.identity_count,
            .header = message->wire.header,
        },
        .message = message,
    };
    int found = dispatch_find(message->type, channel, &request.handler);

    if (found == DISPATCH_E_UNKNOWN_TYPE)
        return run_unknown(kernel, &request);
    return run(kernel, &request, found);
}

int
dispatch_busy(struct kernel *kernel, struct parent *parent)
{
    if (parent->busy_told)
        return 0;
    parent->busy_told = true;
    return kernel_publish_status(kernel, parent->origin.header, "busy");
}

static size_t
bytes_of(const struct wire *wire)
{
    size_t bytes = wire->header.length + wire->metadata.length + wire->content.length;

    for (size_t i = 0; i < wire->buffer_count; i++)
        bytes += wire->buffers[i].length;
    return bytes;
}

/* The queue of a host's context has room left for the host, whatever our clients do. */
static bool
has_share(const struct kernel *kernel)
{
    return !kernel_is_guest(kernel) || (kernel->share_count < KERNEL_SHARE_MAX &&
                                        kernel->share_bytes < KERNEL_SHARE_BYTES_MAX);
}

static void
take_share(struct kernel *kernel, struct parent *parent, size_t bytes)
{
    parent->share_bytes = bytes;
    kernel->share_count++;
    kernel->share_bytes += bytes;
}

static void
give_share(struct kernel *kernel, const struct parent *parent)
{
    if (parent->adopted)
        return;
    kernel->share_count--;
    kernel->share_bytes -= parent->share_bytes;
}

int
dispatch_submit(struct kernel *kernel, const struct request *request,
                struct context_request *wish, struct slice code, struct parent **ret,
                struct error *err)
{
    const struct wire *wire = &request->message->wire;
    uint64_t number;
    int r;

    if (!has_share(kernel))
        return error_set(err, HANDLER_E_REFUSED,
                         "QueueFull: %zu requests are waiting already",
                         kernel->share_count);
    wish->header = wire->header;
    wish->metadata = wire->metadata;
    wish->content = wire->content;
    wish->group = KERNEL_GROUP;
    r = context_submit(kernel->context, wish, &number, err);
    if (r > 0)
        return error_wrap(err, HANDLER_E_REFUSED, "%s",
                          r == CONTEXT_E_QUEUE_FULL  ? "QueueFull"
                          : r == CONTEXT_E_TOO_LARGE ? "RequestTooLarge"
                                                     : "InterpreterGone");
    if (r == 0)
        r = parents_add(kernel->parents, number, &request->origin, code, ret);
    if (r < 0)
        return r;
    take_share(kernel, *ret, bytes_of(wire));
    (*ret)->handler = request->handler;
    (*ret)->busy_told = request->busy_told;
    return 0;
}

int
dispatch_done(struct kernel *kernel, struct parent *parent,
              const struct context_outcome *outcome)
{
    int r = dispatch_busy(kernel, parent);

    if (r == 0)
        r = parent->handler->done(kernel, parent, outcome);
    if (r == 0)
        r = kernel_publish_status(kernel, parent->origin.header, "idle");
    if (r < 0)
        return r;
    give_share(kernel, parent);
    parents_end(kernel->parents, parent);
    return 0;
}

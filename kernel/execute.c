/* SPDX-License-Identifier: MIT */
/* execute_request: from the queue of the context to its reply. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"

static bool
flag(const json_t *content, const char *name)
{
    return json_is_true(json_object_get(content, name));
}

/* Nothing but white space runs, but is no line of its own: neither IPython nor a person
 * would count it. */
static bool
is_blank(const char *code)
{
    while (isspace((unsigned char)*code))
        code++;
    return *code == '\0';
}

int
handle_execute(struct kernel *kernel, struct request *request, struct error *err)
{
    const struct message *message = request->message;
    const json_t *content = message->content;
    const json_t *text = json_object_get(content, "code");
    bool blank = strlen(json_string_value(text)) == json_string_length(text) &&
                 is_blank(json_string_value(text));
    struct context_request wish = {
        .type = FRAME_EXECUTE_REQUEST,
        .silent = flag(content, "silent"),
        .store_history = flag(content, "store_history") && !blank,
        .stop_on_error = flag(content, "stop_on_error"),
        .timeout_ms = kernel->options->limits.run_ms,
    };
    struct slice code;
    struct parent *parent;
    int r;

    if (json_member(message->wire.content, "code", &code) != 0)
        return error_set(err, HANDLER_E_REFUSED, "InvalidRequest: no code");
    r = dispatch_submit(kernel, request, &wish, wish.silent ? (struct slice){ 0 } : code,
                        &parent, err);
    if (r != 0)
        return r;
    parent->is_run = true;
    parent->silent = wish.silent;
    parent->stored = wish.store_history && !wish.silent;
    return 0;
}

static int
publish_input(struct kernel *kernel, const struct parent *parent, uint32_t count)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = buffer_append_text(&content, "{\"code\":");
    if (r == 0)
        r = buffer_append(&content, parent->code.data, parent->code.length);
    if (r == 0)
        r = buffer_append_format(&content, ",\"execution_count\":%u}", (unsigned)count);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return kernel_publish(kernel, &(struct kernel_broadcast){
                                      .parent_header = parent->origin.header,
                                      .type = "execute_input",
                                      .content = buffer_slice(&content),
                                  });
}

static int
remember_input(struct kernel *kernel, struct parent *parent, uint32_t count)
{
    CLEANUP(buffer_fini) struct buffer code;
    int r;

    buffer_init(&code, WIRE_CONTENT_BYTES_MAX);
    r = json_decode_string(parent->code, &code);
    if (r != 0)
        return r < 0 ? r : -EINVAL; /* it was checked */
    parent->has_history = true;
    parent->session = context_epoch(kernel->context);
    parent->line = count;
    return history_add(kernel->history, parent->session, count, buffer_slice(&code));
}

int
execute_started(struct kernel *kernel, struct parent *parent, uint32_t count)
{
    int r = 0;

    kernel->running = parent->number;
    if (!parent->silent)
        r = publish_input(kernel, parent, count);
    if (r == 0 && parent->stored)
        r = remember_input(kernel, parent, count);
    parents_drop_code(kernel->parents, parent);
    return r;
}

int
execute_note_result(struct kernel *kernel, const struct frame *frame)
{
    CLEANUP(buffer_fini) struct buffer text = { 0 };
    const struct parent *parent = parents_find(kernel->parents, frame->number);
    struct slice data, value;
    int r;

    if (parent == NULL || !parent->has_history ||
        json_member(frame->content, "data", &data) != 0 ||
        json_member(data, "text/plain", &value) != 0)
        return 0;
    buffer_init(&text, HISTORY_OUTPUT_BYTES_MAX);
    r = json_decode_string(value, &text);
    if (r != 0)
        return r < 0 ? r : 0; /* too long, or no string */
    return history_set_output(kernel->history, parent->session, parent->line,
                              buffer_slice(&text));
}

/* "error" or "aborted" without a word of the runner. */
static int
append_end(struct buffer *ret, const struct context_outcome *outcome,
           const struct loss *loss)
{
    int r = buffer_append_format(ret, "{\"status\":\"%s\",\"execution_count\":%u,",
                                 loss != NULL ? "error" : "aborted",
                                 (unsigned)outcome->execution_count);

    if (r == 0 && loss != NULL) {
        r = loss_append(loss, ret);
        if (r == 0)
            r = buffer_append_text(ret, ",");
    }
    return r != 0 ? r
                  : buffer_append_text(ret, "\"user_expressions\":{},\"payload\":[]}");
}

static int
reply(struct kernel *kernel, const struct parent *parent,
      const struct context_outcome *outcome, const char *status, struct slice content)
{
    CLEANUP(buffer_fini) struct buffer metadata;
    int r;

    buffer_init(&metadata, KERNEL_CONTENT_BYTES_MAX);
    r = metadata_append(&metadata, kernel, outcome, status);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return kernel_reply(kernel, &parent->origin, parent->handler->reply,
                        buffer_slice(&metadata), content);
}

static int
reply_end(struct kernel *kernel, const struct parent *parent,
          const struct context_outcome *outcome, const struct loss *loss)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = append_end(&content, outcome, loss);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return reply(kernel, parent, outcome, loss != NULL ? "error" : "aborted",
                 buffer_slice(&content));
}

bool
execute_is_lost(const struct kernel *kernel, const struct context_outcome *outcome)
{
    return outcome->end == CONTEXT_END_LOST ||
           (outcome->reason.kind == CONTEXT_REASON_START && !kernel->loss_told);
}

int
execute_tell_loss(struct kernel *kernel, const struct parent *parent,
                  const struct context_outcome *outcome, struct loss *ret)
{
    int r = loss_init(ret, loss_outlook_of(kernel), &outcome->reason,
                      context_epoch(kernel->context) + 1);

    if (r == 0)
        r = comm_close_all(kernel);
    if (r == 0 && !kernel->stopping)
        r = loss_publish(kernel, ret, parent->origin.header);
    kernel->loss_told = true;
    return r;
}

static int
done_lost(struct kernel *kernel, const struct parent *parent,
          const struct context_outcome *outcome)
{
    CLEANUP(loss_fini) struct loss loss;
    int r = execute_tell_loss(kernel, parent, outcome, &loss);

    return r != 0 ? r : reply_end(kernel, parent, outcome, &loss);
}

int
done_execute(struct kernel *kernel, struct parent *parent,
             const struct context_outcome *outcome)
{
    char status[16];

    if (kernel->input.number == parent->number)
        kernel->input.number = 0;
    if (execute_is_lost(kernel, outcome))
        return done_lost(kernel, parent, outcome);
    if (outcome->end != CONTEXT_END_REPLY)
        return reply_end(kernel, parent, outcome, NULL);
    if (json_member_string(outcome->reply->content, "status", status, sizeof status) != 0)
        strcpy(status, (outcome->reply->flags & FRAME_FLAG_ERROR) != 0 ? "error" : "ok");
    return reply(kernel, parent, outcome, strcmp(status, "ok") == 0 ? "ok" : "error",
                 outcome->reply->content);
}

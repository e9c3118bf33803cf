/* SPDX-License-Identifier: MIT */
/* Comms: forwarded between clients and the interpreter; the table of open ones is kept
 * here, so that comm_info is answered while code runs. */
#include <errno.h>
#include <string.h>

#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/text.h"

static int
forward(struct kernel *kernel, struct request *request, enum frame_type type,
        struct error *err)
{
    const struct wire *wire = &request->message->wire;
    struct context_request wish = {
        .type = type,
        .buffers = wire->buffers,
        .buffer_count = (uint32_t)wire->buffer_count,
    };
    struct parent *parent;

    return dispatch_submit(kernel, request, &wish, (struct slice){ 0 }, &parent, err);
}

static const char *
text_of(const struct request *request, const char *name)
{
    return json_string_value(json_object_get(request->message->content, name));
}

/* When the interpreter does not know the target it closes the comm again. */
int
handle_comm_open(struct kernel *kernel, struct request *request, struct error *err)
{
    int r = forward(kernel, request, FRAME_COMM_OPEN, err);

    if (r != 0)
        return r;
    r = comms_open(kernel->comms, text_of(request, "comm_id"),
                   text_of(request, "target_name"), text_of(request, "target_module"));
    return r < 0 ? r : 0;
}

int
handle_comm_msg(struct kernel *kernel, struct request *request, struct error *err)
{
    return forward(kernel, request, FRAME_COMM_MSG, err);
}

int
handle_comm_close(struct kernel *kernel, struct request *request, struct error *err)
{
    int r = forward(kernel, request, FRAME_COMM_CLOSE, err);

    if (r == 0)
        comms_close(kernel->comms, text_of(request, "comm_id"));
    return r;
}

int
done_comm(struct kernel *kernel, struct parent *parent,
          const struct context_outcome *outcome)
{
    (void)kernel, (void)parent, (void)outcome; /* "idle" says it all */
    return 0;
}

int
handle_comm_info(struct kernel *kernel, struct request *request, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    (void)err;
    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = buffer_append_text(&content, "{\"status\":\"ok\",\"comms\":");
    if (r == 0)
        r = comms_append(kernel->comms, text_of(request, "target_name"), &content);
    if (r == 0)
        r = buffer_append_text(&content, "}");
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return kernel_reply(kernel, &request->origin, request->handler->reply,
                        slice_text("{}"), buffer_slice(&content));
}

int
comm_note_frame(struct kernel *kernel, const struct frame *frame)
{
    char id[COMMS_NAME_BYTES], target[COMMS_NAME_BYTES], module[COMMS_NAME_BYTES];
    bool has_module;
    int r;

    if (frame->type == FRAME_COMM_MSG ||
        json_member_string(frame->content, "comm_id", id, sizeof id) != 0)
        return 0;
    if (frame->type == FRAME_COMM_CLOSE) {
        comms_close(kernel->comms, id);
        return 0;
    }
    if (json_member_string(frame->content, "target_name", target, sizeof target) != 0)
        return 0;
    has_module =
        json_member_string(frame->content, "target_module", module, sizeof module) == 0;
    r = comms_open(kernel->comms, id, target, has_module ? module : NULL);
    return r < 0 ? r : 0;
}

static int
close_one(struct kernel *kernel, const char *id)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = buffer_append_text(&content, "{\"comm_id\":");
    if (r == 0)
        r = text_append_json(&content, id, strlen(id));
    if (r == 0)
        r = buffer_append_text(&content, ",\"data\":{}}");
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return kernel_publish(kernel, &(struct kernel_broadcast){
                                      .parent_header = kernel_parent_header(kernel, 0),
                                      .type = "comm_close",
                                      .content = buffer_slice(&content),
                                  });
}

int
comm_close_all(struct kernel *kernel)
{
    for (const char *id = comms_any(kernel->comms); id != NULL;
         id = comms_any(kernel->comms)) {
        int r = close_one(kernel, id);

        if (r < 0)
            return r;
        comms_close(kernel->comms, id);
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* What the kernel says: broadcasts, replies, and the greeting of subscribers. */
#include "kernel/kernel.h"

#include <errno.h>
#include <stdio.h>

#include "contexts/loop.h"
#include "protocol/cleanup.h"
#include "protocol/text.h"

#define TOPIC_BYTES 128

int
kernel_publish(struct kernel *kernel, const struct kernel_broadcast *broadcast)
{
    char text[TOPIC_BYTES];
    struct slice topic;
    struct outgoing message = {
        .prefix = &topic,
        .prefix_count = 1,
        .type = broadcast->type,
        .parent_header = broadcast->parent_header,
        .metadata = broadcast->metadata,
        .content = broadcast->content,
        .buffers = broadcast->buffers,
        .buffer_count = broadcast->buffer_count,
    };
    const struct slice *frames;
    size_t count;
    int r;

    snprintf(text, sizeof text, "kernel.%s.%s", session_id(kernel->session),
             broadcast->type);
    topic = slice_text(broadcast->topic != NULL ? broadcast->topic : text);
    r = session_compose(kernel->session, &message, &frames, &count);
    return r < 0 ? r : iopub_send(kernel->iopub, frames, count);
}

int
kernel_publish_status(struct kernel *kernel, struct slice parent_header,
                      const char *state)
{
    char content[64];

    snprintf(content, sizeof content, "{\"execution_state\":\"%s\"}", state);
    return kernel_publish(kernel, &(struct kernel_broadcast){
                                      .parent_header = parent_header,
                                      .type = "status",
                                      .content = slice_text(content),
                                  });
}

static int
send_to(struct kernel *kernel, enum connection_port channel,
        const struct outgoing *message)
{
    const struct slice *frames;
    size_t count;
    int r = session_compose(kernel->session, message, &frames, &count);

    return r < 0 ? r : endpoint_send(kernel->endpoint, channel, frames, count);
}

int
kernel_reply(struct kernel *kernel, const struct origin *origin, const char *type,
             struct slice metadata, struct slice content)
{
    uint64_t held;
    int r = send_to(kernel, origin->channel,
                    &(struct outgoing){
                        .prefix = origin->identities,
                        .prefix_count = origin->identity_count,
                        .type = type,
                        .parent_header = origin->header,
                        .metadata = metadata,
                        .content = content,
                    });

    if (r <= 0)
        return r;
    if (log_allows(&kernel->reply_limit, loop_now_us(kernel->options->loop), &held))
        log_line("a client %s: it loses a %s",
                 r == ENDPOINT_E_GONE ? "has gone" : "does not read its replies", type);
    return 0;
}

int
kernel_send(struct kernel *kernel, enum connection_port channel,
            const struct origin *origin, const char *type, struct slice content)
{
    return send_to(kernel, channel,
                   &(struct outgoing){
                       .prefix = origin->identities,
                       .prefix_count = origin->identity_count,
                       .type = type,
                       .parent_header = origin->header,
                       .content = content,
                   });
}

struct slice
kernel_parent_header(const struct kernel *kernel, uint64_t number)
{
    const struct parent *parent = NULL;

    if (number != 0)
        parent = parents_find(kernel->parents, number);
    if (parent == NULL && kernel->running != 0)
        parent = parents_find(kernel->parents, kernel->running);
    return parent != NULL ? parent->origin.header : (struct slice){ 0 };
}

/* "starting" is the first status, and waits for somebody to hear it. */
static int
put_starting(struct kernel *kernel)
{
    const struct slice topic = slice_text("kernel.status");
    const struct outgoing starting = {
        .prefix = &topic,
        .prefix_count = 1,
        .type = "status",
        .content = slice_text("{\"execution_state\":\"starting\"}"),
    };
    const struct slice *frames;
    size_t count;
    int r = session_compose(kernel->session, &starting, &frames, &count);

    return r < 0 ? r : iopub_send_first(kernel->iopub, frames, count);
}

int
kernel_open_iopub(struct kernel *kernel)
{
    int r;

    if (iopub_is_open(kernel->iopub))
        return 0;
    loop_timer_disarm(kernel->open_timer);
    r = put_starting(kernel);
    return r < 0 ? r : iopub_open(kernel->iopub);
}

/* It goes before all that waits: for the first subscriber, all that was held back. */
static int
send_welcome(struct kernel *kernel, const struct outgoing *welcome)
{
    const struct slice *frames = NULL;
    size_t count = 0;
    int r = iopub_is_open(kernel->iopub) ? 0 : put_starting(kernel);

    if (r == 0)
        r = session_compose(kernel->session, welcome, &frames, &count);
    if (r == 0)
        r = iopub_send_first(kernel->iopub, frames, count);
    if (r < 0)
        return r;
    loop_timer_disarm(kernel->open_timer);
    return iopub_open(kernel->iopub);
}

/* Each subscriber is told that it will miss nothing from now on. */
int
kernel_welcome(struct kernel *kernel, struct slice topic)
{
    CLEANUP(buffer_fini) struct buffer content;
    struct outgoing message = {
        .prefix = &topic,
        .prefix_count = topic.length > 0,
        .type = "iopub_welcome",
    };
    int r;

    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = buffer_append_text(&content, "{\"subscription\":");
    if (r == 0)
        r = text_append_json(&content, topic.data, topic.length);
    if (r == 0)
        r = buffer_append_text(&content, "}");
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    message.content = buffer_slice(&content);
    return send_welcome(kernel, &message);
}

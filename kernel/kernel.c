/* SPDX-License-Identifier: MIT */
/* The turn: wait for the sockets and the loop together, read a batch of each socket, let
 * the loop do what is ready. */
#include "kernel/kernel.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "kernel/dispatch.h"
#include "kernel/handlers.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/replay.h"
#include "protocol/signature.h"
#include "protocol/text.h"

#define TOPIC_BYTES 128

CLEANUP_DEFINE(struct kernel, kernel_destroy);

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
    uint64_t held;
    int r = session_compose(kernel->session, message, &frames, &count);

    if (r == 0)
        r = endpoint_send(kernel->endpoint, channel, frames, count);
    if (r <= 0)
        return r;
    if (log_allows(&kernel->reply_limit, loop_now_us(kernel->options->loop), &held))
        log_line("a client %s: it loses a %s",
                 r == ENDPOINT_E_GONE ? "has gone" : "does not read its replies",
                 message->type);
    return 0;
}

int
kernel_reply(struct kernel *kernel, const struct origin *origin, const char *type,
             struct slice metadata, struct slice content)
{
    return send_to(kernel, origin->channel,
                   &(struct outgoing){
                       .prefix = origin->identities,
                       .prefix_count = origin->identity_count,
                       .type = type,
                       .parent_header = origin->header,
                       .metadata = metadata,
                       .content = content,
                   });
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

/* A slow client slows its program. */
static int
on_pressure(bool high, void *arg)
{
    struct kernel *kernel = arg;

    if (kernel->context != NULL)
        context_pause_output(kernel->context, high);
    return 0;
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

static int
open_iopub(struct kernel *kernel)
{
    int r;

    if (iopub_is_open(kernel->iopub))
        return 0;
    loop_timer_disarm(kernel->open_timer);
    r = put_starting(kernel);
    return r < 0 ? r : iopub_open(kernel->iopub);
}

static int
on_open_timer(void *arg)
{
    return open_iopub(arg);
}

/* The time to end in order is over: destroying the context kills what is left. */
static int
on_stop_timer(void *arg)
{
    struct kernel *kernel = arg;

    kernel->stopped = true;
    return 0;
}

static int
make_parts(struct kernel *kernel, struct connection *connection, struct error *err)
{
    int r = signature_key_create(&kernel->key, connection->key);

    if (r == SIGNATURE_E_KEY)
        return error_set(err, KERNEL_E_START, "the key is longer than %d bytes",
                         SIGNATURE_KEY_BYTES_MAX);
    if (r == 0)
        r = replay_create(&kernel->replay, REPLAY_CAPACITY);
    if (r == 0)
        r = session_create(&kernel->session, kernel->key);
    if (r == 0)
        r = parents_create(&kernel->parents);
    if (r == 0)
        r = history_create(&kernel->history);
    if (r == 0)
        r = comms_create(&kernel->comms);
    if (r == 0)
        r = loop_add_timer(&kernel->open_timer, kernel->options->loop, on_open_timer,
                           kernel);
    if (r == 0)
        r = loop_add_timer(&kernel->stop_timer, kernel->options->loop, on_stop_timer,
                           kernel);
    if (r != 0)
        return r;
    r = endpoint_create(&kernel->endpoint, connection, err);
    if (r != 0)
        return r < 0 ? r : KERNEL_E_START;
    return iopub_create(&kernel->iopub, kernel->endpoint, kernel->options->loop,
                        on_pressure, kernel);
}

static int
make_context(struct kernel *kernel, struct error *err)
{
    const struct kernel_options *options = kernel->options;
    const char *session = getenv("JPY_SESSION_NAME");
    CLEANUP(freep) char *variable = NULL;
    const char *env[] = { NULL, NULL };
    struct context_options wish = {
        .runtime = options->runtime,
        .spawner = options->spawner,
        .interpreter = options->environment->interpreter,
        .directory = options->directory,
        .env = env,
        .mounts = options->environment->mounts,
        .network = options->network,
        .limits = context_limits_notebook(),
        .die_with_child = options->die_with_child,
        .observer = &kernel_observer,
        .arg = kernel,
    };
    int r;

    if (session != NULL) {
        if (asprintf(&variable, "JPY_SESSION_NAME=%s", session) < 0)
            return -ENOMEM;
        env[0] = variable;
    }
    r = context_create(&kernel->context, options->loop, &wish, err);
    return r > 0 ? KERNEL_E_START : r;
}

int
kernel_create(struct kernel **ret, const struct kernel_options *options,
              struct connection *connection, struct error *err)
{
    CLEANUP(kernel_destroyp) struct kernel *kernel = calloc(1, sizeof *kernel);
    int r;

    if (kernel == NULL)
        return -ENOMEM;
    kernel->options = options;
    kernel->connection = connection;
    r = make_parts(kernel, connection, err);
    if (r == 0)
        r = make_context(kernel, err);
    if (r != 0)
        return r;
    loop_timer_arm(kernel->open_timer, KERNEL_OPEN_US);
    *ret = kernel;
    kernel = NULL;
    return 0;
}

void
kernel_destroy(struct kernel *kernel)
{
    if (kernel == NULL)
        return;
    context_destroy(kernel->context); /* first: it is killed while messages go out */
    iopub_destroy(kernel->iopub);
    endpoint_destroy(kernel->endpoint);
    loop_timer_destroy(kernel->open_timer);
    loop_timer_destroy(kernel->stop_timer);
    comms_destroy(kernel->comms);
    history_destroy(kernel->history);
    parents_destroy(kernel->parents);
    session_destroy(kernel->session);
    replay_destroy(kernel->replay);
    signature_key_destroy(kernel->key);
    free(kernel);
}

int
kernel_stop(struct kernel *kernel, int status)
{
    if (kernel->stopping)
        return 0;
    kernel->stopping = true;
    kernel->exit_status = status;
    loop_timer_arm(kernel->stop_timer, KERNEL_STOP_LIMIT_US);
    if (context_state(kernel->context) == CONTEXT_DEAD)
        kernel->stopped = true;
    return context_stop(kernel->context, KERNEL_STOP_GRACE_MS);
}

int
kernel_interrupt(struct kernel *kernel)
{
    return context_interrupt(kernel->context, false);
}

int
kernel_exit_status(const struct kernel *kernel)
{
    return kernel->exit_status;
}

/* Counted by kind, and told now and then. */
static void
drop(struct kernel *kernel, enum connection_port channel, int why)
{
    uint64_t held;

    kernel->dropped[why]++;
    if (log_allows(&kernel->drop_limit, loop_now_us(kernel->options->loop), &held))
        log_line("dropped a message on %s: %s (%llu more since the last such line)",
                 connection_port_name(channel), wire_drop_name(why),
                 (unsigned long long)held);
}

static int
on_message(struct kernel *kernel, enum connection_port channel,
           const struct slice *frames, size_t count)
{
    struct message message;
    int r = message_init(&message, frames, count, kernel->key, kernel->replay, NULL);

    if (r != 0) {
        if (r > 0)
            drop(kernel, channel, r);
        return r < 0 ? r : 0;
    }
    r = channel == CONNECTION_STDIN ? stdin_receive(kernel, &message)
                                    : dispatch(kernel, channel, &message);
    message_fini(&message);
    return r;
}

static int
on_heartbeat(struct kernel *kernel, enum connection_port channel,
             const struct slice *frames, size_t count)
{
    int r = endpoint_send(kernel->endpoint, channel, frames, count);

    return r < 0 ? r : 0; /* whoever does not read its echo misses it */
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
static int
welcome(struct kernel *kernel, struct slice topic)
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

static int
on_subscription(struct kernel *kernel, enum connection_port channel,
                const struct slice *frames, size_t count)
{
    struct slice topic = frames[0];
    bool subscribed;
    int r;

    (void)channel;
    if (count != 1 || topic.length == 0 || topic.data[0] > 1)
        return 0; /* nonsense */
    subscribed = topic.data[0] == 1;
    topic.data++;
    topic.length--;
    r = endpoint_subscribe(kernel->endpoint, topic, subscribed);
    return r < 0 || !subscribed ? r : welcome(kernel, topic);
}

typedef int receive_fn(struct kernel *kernel, enum connection_port channel,
                       const struct slice *frames, size_t count);

/* In the order in which they are served. */
static const struct channel {
    enum connection_port port;
    receive_fn *fn;
    bool publishes; /* what comes here makes broadcasts: not read when there are too many
                     */
} channels[] = {
    { CONNECTION_HB, on_heartbeat, false },  { CONNECTION_CONTROL, on_message, true },
    { CONNECTION_STDIN, on_message, false }, { CONNECTION_IOPUB, on_subscription, true },
    { CONNECTION_SHELL, on_message, true },
};

static int
read_channel(struct kernel *kernel, const struct channel *channel)
{
    for (int i = 0; i < KERNEL_BATCH; i++) {
        const struct slice *frames;
        size_t count;
        int r = endpoint_receive(kernel->endpoint, channel->port, &frames, &count);

        if (r == ENDPOINT_E_AGAIN)
            return 0;
        if (r == ENDPOINT_E_TOO_LARGE)
            drop(kernel, channel->port, WIRE_E_TOO_LARGE);
        else if (r == 0)
            r = channel->fn(kernel, channel->port, frames, count);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
turn(struct kernel *kernel)
{
    struct loop *loop = kernel->options->loop;
    zmq_pollitem_t items[N_ELEMENTS(channels) + 1] = { 0 };
    bool full = iopub_is_full(kernel->iopub);
    int r = 0;

    for (size_t i = 0; i < N_ELEMENTS(channels); i++)
        items[i] = (zmq_pollitem_t){
            .socket = endpoint_socket(kernel->endpoint, channels[i].port),
            .events = full && channels[i].publishes ? 0 : ZMQ_POLLIN,
        };
    items[N_ELEMENTS(channels)] =
        (zmq_pollitem_t){ .fd = loop_fd(loop), .events = ZMQ_POLLIN };
    if (zmq_poll(items, N_ELEMENTS(items), loop_timeout_ms(loop)) < 0 && errno != EINTR)
        return -errno;
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(channels); i++) {
        if ((items[i].revents & ZMQ_POLLIN) != 0)
            r = read_channel(kernel, &channels[i]);
    }
    return r < 0 ? r : loop_turn(loop);
}

int
kernel_serve(struct kernel *kernel)
{
    uint64_t limit_us;
    int r = 0;

    while (r == 0 && !kernel->stopped)
        r = turn(kernel);
    if (r == 0)
        r = open_iopub(kernel); /* what was held back for a first subscriber */
    limit_us = loop_now_us(kernel->options->loop) + KERNEL_DRAIN_LIMIT_US;
    while (r == 0 && iopub_queued(kernel->iopub) > 0 &&
           loop_now_us(kernel->options->loop) < limit_us)
        r = turn(kernel);
    return r;
}

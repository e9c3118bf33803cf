/* SPDX-License-Identifier: MIT */
/* The turn: read a batch of each socket, then wait in the loop, which knows the sockets
 * too, and let it do what is ready. A host does the same with the parts. */
#include "kernel/kernel.h"

#include "contexts/loop.h"
#include "kernel/dispatch.h"
#include "kernel/handlers.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

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
    return r < 0 || !subscribed ? r : kernel_welcome(kernel, topic);
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
    for (int i = 0; i < KERNEL_BATCH && !kernel->stopped; i++) {
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

static bool
is_read_now(const struct kernel *kernel, const struct channel *channel)
{
    return !(channel->publishes && iopub_is_full(kernel->iopub));
}

int
kernel_watch(struct kernel *kernel)
{
    return endpoint_watch(kernel->endpoint, kernel->options->loop);
}

int
kernel_read(struct kernel *kernel)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(channels); i++) {
        if (is_read_now(kernel, &channels[i]) &&
            !endpoint_is_quiet(kernel->endpoint, channels[i].port))
            r = read_channel(kernel, &channels[i]);
    }
    return r;
}

bool
kernel_may_wait(const struct kernel *kernel)
{
    for (size_t i = 0; i < N_ELEMENTS(channels) && !kernel->stopped; i++) {
        if (is_read_now(kernel, &channels[i]) &&
            !endpoint_is_quiet(kernel->endpoint, channels[i].port))
            return false;
    }
    return true;
}

static int
turn(struct kernel *kernel)
{
    int r = kernel_read(kernel);

    if (r < 0 || kernel->stopped)
        return r;
    return loop_wait(kernel->options->loop, kernel_may_wait(kernel) ? -1 : 0);
}

int
kernel_serve(struct kernel *kernel)
{
    struct loop *loop = kernel->options->loop;
    uint64_t limit_us;
    int r = kernel_watch(kernel);

    while (r == 0 && !kernel->stopped)
        r = turn(kernel);
    if (r == 0)
        r = kernel_open_iopub(kernel); /* what was held back for a first subscriber */
    limit_us = loop_now_us(loop) + KERNEL_DRAIN_LIMIT_US;
    while (r == 0 && iopub_queued(kernel->iopub) > 0 && loop_now_us(loop) < limit_us)
        r = loop_wait(loop, KERNEL_DRAIN_LIMIT_US / 1000);
    return r;
}

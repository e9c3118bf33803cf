/* SPDX-License-Identifier: MIT */
#include "kernel/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "contexts/loop.h"
#include "kernel/handlers.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/replay.h"
#include "protocol/signature.h"

CLEANUP_DEFINE(struct kernel, kernel_destroy);

/* One that has stopped does not press any more. */
static int
press(struct kernel *kernel, bool high)
{
    const struct kernel_options *options = kernel->options;

    high = high && !kernel->stopped;
    if (kernel->pressing == high)
        return 0;
    kernel->pressing = high;
    return options->host->on_pressure(high, options->host_arg);
}

/* A slow client slows its program. */
static int
on_pressure(bool high, void *arg)
{
    struct kernel *kernel = arg;

    if (kernel_is_guest(kernel))
        return press(kernel, high);
    if (kernel->context != NULL)
        context_pause_output(kernel->context, high);
    return 0;
}

static int
on_open_timer(void *arg)
{
    return kernel_open_iopub(arg);
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
    if (r == 0)
        r = loop_add_timer(&kernel->input.again, kernel->options->loop, stdin_ask_again,
                           kernel);
    buffer_init(&kernel->input.question, KERNEL_CONTENT_BYTES_MAX);
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
    struct context_options wish = {
        .runtime = options->runtime,
        .spawner = options->spawner,
        .interpreter = options->environment->interpreter,
        .directory = options->directory,
        .session = getenv("JPY_SESSION_NAME"), /* the notebook's path */
        .mounts = options->environment->mounts,
        .tier = options->tier,
        .network = options->network,
        .profile = options->profile,
        .limits = options->limits,
        .die_with_child = options->die_with_child,
        .observer = &kernel_observer,
        .arg = kernel,
    };
    int r;

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
    kernel->context = options->context;
    r = make_parts(kernel, connection, err);
    if (r == 0 && !kernel_is_guest(kernel))
        r = make_context(kernel, err);
    if (r != 0)
        return r;
    loop_timer_arm(kernel->open_timer, KERNEL_OPEN_US);
    *ret = kernel;
    kernel = NULL;
    return 0;
}

/* So that clients need not find it out by silence. */
static void
say_goodbye(struct kernel *kernel)
{
    if (!kernel->stopping && kernel->iopub != NULL)
        (void)kernel_publish(
            kernel, &(struct kernel_broadcast){
                        .type = "shutdown_reply",
                        .content = slice_text("{\"status\":\"ok\",\"restart\":false}"),
                    });
}

/* Others go on using the context, and nothing of theirs may wait for us. */
static void
leave_host(struct kernel *kernel)
{
    context_withdraw_group(kernel->context, KERNEL_GROUP);
    say_goodbye(kernel);
    if (kernel->input.number != 0 && context_input_is_open(kernel->context))
        context_interrupt(kernel->context, false); /* nobody will answer any more */
    press(kernel, false);
    if (kernel->endpoint != NULL)
        endpoint_set_linger(kernel->endpoint, KERNEL_GUEST_LINGER_MS);
}

void
kernel_destroy(struct kernel *kernel)
{
    if (kernel == NULL)
        return;
    if (kernel_is_guest(kernel))
        leave_host(kernel);
    else
        context_destroy(kernel->context); /* first: it is killed while messages go out */
    iopub_destroy(kernel->iopub);
    endpoint_destroy(kernel->endpoint);
    loop_timer_destroy(kernel->open_timer);
    loop_timer_destroy(kernel->stop_timer);
    loop_timer_destroy(kernel->input.again);
    buffer_fini(&kernel->input.question);
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
    kernel->stopped = kernel_is_guest(kernel);
    if (kernel->stopped)
        return press(kernel, false);
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

bool
kernel_has_stopped(const struct kernel *kernel)
{
    return kernel->stopped;
}

bool
kernel_is_guest(const struct kernel *kernel)
{
    return kernel->options->context != NULL;
}

/* SPDX-License-Identifier: MIT */
#include "kernel/agent/agent.h"

#include <errno.h>
#include <stdlib.h>

#include "contexts/loop.h"
#include "kernel/agent/jupyter.h"
#include "kernel/agent/spares.h"
#include "kernel/session.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/replay.h"
#include "protocol/signature.h"

enum { AGENT_E_START = 1 };

CLEANUP_DEFINE(struct agent, agent_destroy);

/* Somebody does not read: what there is room for by now. */
static int
on_retry(void *arg)
{
    struct agent *agent = arg;
    int r;

    agent->retry_armed = false;
    r = clients_flush(agent);
    return r < 0 ? r : runs_pump(agent);
}

static int
on_tick(void *arg)
{
    struct agent *agent = arg;
    int r = clients_keep_alive(agent);

    if (r == 0)
        r = agent_contexts_tick(agent);
    loop_timer_arm(agent->tick, AGENT_KEEPALIVE_US);
    return r;
}

static int
on_reap(void *arg)
{
    return agent_contexts_reap(arg);
}

static int
make_parts(struct agent *agent, struct error *err)
{
    const struct agent_options *options = agent->options;
    const struct door_options door = {
        .addresses = options->addresses,
        .address_count = options->address_count,
        .keys = options->keys,
        .anyone_may_run_code = options->anyone_may_run_code,
    };
    int r = signature_key_create(&agent->key, slice_text(options->message_key));

    if (r == 0)
        r = replay_create(&agent->replay, REPLAY_CAPACITY);
    if (r == 0)
        r = session_create(&agent->session, agent->key);
    if (r == 0)
        r = loop_add_timer(&agent->retry, agent->loop, on_retry, agent);
    if (r == 0)
        r = loop_add_timer(&agent->tick, agent->loop, on_tick, agent);
    if (r == 0)
        r = loop_add_timer(&agent->reaper, agent->loop, on_reap, agent);
    if (r == 0)
        r = spares_create(&agent->spares, agent, options->reserve);
    if (r == 0)
        r = door_create(&agent->door, agent->loop, &door, err);
    return r > 0 ? AGENT_E_START : r;
}

int
agent_create(struct agent **ret, const struct agent_options *options, struct error *err)
{
    CLEANUP(agent_destroyp) struct agent *agent = calloc(1, sizeof *agent);
    int r;

    if (agent == NULL)
        return -ENOMEM;
    agent->options = options;
    agent->bounds = options->bounds;
    agent->loop = options->loop;
    agent->started_us = loop_now_us(options->loop);
    r = make_parts(agent, err);
    if (r != 0)
        return r;
    loop_timer_arm(agent->tick, AGENT_KEEPALIVE_US);
    *ret = agent;
    agent = NULL;
    return 0;
}

static void
free_owner(struct owner *owner)
{
    while (owner->contexts != NULL)
        agent_context_free(owner->contexts);
    while (owner->runs != NULL) {
        struct run *run = owner->runs;

        owner->runs = run->next_of_owner;
        run_free(run);
    }
    free(owner);
}

void
agent_destroy(struct agent *agent)
{
    if (agent == NULL)
        return;
    spares_destroy(agent->spares);
    while (agent->owners != NULL) {
        struct owner *owner = agent->owners;

        agent->owners = owner->next;
        free_owner(owner);
    }
    clients_free(agent);
    door_destroy(agent->door);
    loop_timer_destroy(agent->retry);
    loop_timer_destroy(agent->tick);
    loop_timer_destroy(agent->reaper);
    session_destroy(agent->session);
    replay_destroy(agent->replay);
    signature_key_destroy(agent->key);
    free(agent);
}

size_t
agent_address_count(const struct agent *agent)
{
    return door_address_count(agent->door);
}

const char *
agent_address(const struct agent *agent, size_t index)
{
    return door_address(agent->door, index);
}

/* Calls FN for each open kernel until it says something else than 0. */
static int
each_jupyter(const struct agent *agent, int (*fn)(struct jupyter *jupyter))
{
    int r = 0;

    if (agent->jupyter_count == 0)
        return 0;
    for (struct owner *owner = agent->owners; r == 0 && owner != NULL;
         owner = owner->next) {
        for (struct agent_context *context = owner->contexts; r == 0 && context != NULL;
             context = context->next) {
            if (context->jupyter != NULL)
                r = fn(context->jupyter);
        }
    }
    return r;
}

static int
is_unread(struct jupyter *jupyter)
{
    return jupyter_may_wait(jupyter) ? 0 : 1;
}

static void
note_stranger(struct agent *agent, int why)
{
    uint64_t held;

    if (log_allows(&agent->stranger_limit, loop_now_us(agent->loop), &held))
        log_line("dropped a message: %s (%llu more since the last such line)",
                 why == DOOR_E_TOO_LARGE ? "it is too large"
                                         : "its sender is a stranger, or has an identity "
                                           "of less than 16 bytes",
                 (unsigned long long)held);
}

int
agent_read(struct agent *agent)
{
    for (int i = 0; i < AGENT_BATCH && !door_is_quiet(agent->door); i++) {
        struct door_message message;
        int r = door_receive(agent->door, &message);

        if (r == DOOR_E_AGAIN)
            break;
        if (r == 0)
            r = agent_serve_message(agent, &message);
        else if (r > 0)
            note_stranger(agent, r);
        if (r < 0)
            return r;
    }
    return each_jupyter(agent, jupyter_read);
}

bool
agent_may_wait(const struct agent *agent)
{
    return door_is_quiet(agent->door) && each_jupyter(agent, is_unread) == 0;
}

int
agent_stop(struct agent *agent)
{
    int r = 0;

    agent->stopping = true;
    for (struct owner *owner = agent->owners; r == 0 && owner != NULL;
         owner = owner->next) {
        for (struct agent_context *context = owner->contexts; r == 0 && context != NULL;
             context = context->next)
            r = agent_context_delete(context);
    }
    return r == 0 ? clients_flush(agent) : r;
}

bool
agent_is_drained(const struct agent *agent)
{
    return agent->letters == 0;
}

/* SPDX-License-Identifier: MIT */
/* The life of an agent's context. It is destroyed by the reaper alone: a timer, so never
 * from within a callback of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "contexts/runtime.h"
#include "contexts/workspace.h"
#include "kernel/agent/agent.h"
#include "kernel/agent/events.h"
#include "kernel/agent/jupyter.h"
#include "kernel/agent/languages.h"
#include "kernel/agent/spares.h"
#include "kernel/probe.h"
#include "kernel/session.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

static int
make_workspace(struct workspace **ret, const struct agent_context *context,
               struct refusal *no)
{
    const struct workspace_limits limits = { context->limits.disk_bytes,
                                             context->limits.disk_inodes };
    struct error err = { 0 };
    int r = workspace_create(ret, context->agent->options->spawner, &limits, NULL, NULL,
                             &err);

    return r <= 0 ? r
                  : refusal_set(no, REFUSAL_START_FAILED, "the workspace: %s", err.text);
}

static struct shared *
find_shared(const struct owner *owner, const char *name)
{
    for (struct shared *shared = owner->shared; shared != NULL; shared = shared->next) {
        if (strcmp(shared->name, name) == 0)
            return shared;
    }
    return NULL;
}

static int
use_shared(struct agent_context *context, const char *name, struct refusal *no)
{
    struct shared *shared = find_shared(context->owner, name);
    int r;

    if (shared == NULL) {
        shared = calloc(1, sizeof *shared);
        if (shared == NULL)
            return -ENOMEM;
        r = make_workspace(&shared->workspace, context, no);
        if (r != 0) {
            free(shared);
            return r;
        }
        snprintf(shared->name, sizeof shared->name, "%s", name);
        shared->next = context->owner->shared;
        context->owner->shared = shared;
    }
    shared->uses++;
    context->shared = shared;
    context->workspace = shared->workspace;
    return 0;
}

static void
leave_workspace(struct agent_context *context)
{
    struct shared **at = &context->owner->shared;

    if (context->shared == NULL) {
        workspace_destroy(context->workspace);
        return;
    }
    if (--context->shared->uses > 0)
        return;
    while (*at != context->shared)
        at = &(*at)->next;
    *at = context->shared->next;
    workspace_destroy(context->shared->workspace);
    free(context->shared);
}

/* A nested sandbox has no mounts, so no workspace but its own. */
static int
use_workspace(struct agent_context *context, const struct context_wish *wish,
              struct refusal *no)
{
    if (context->agent->options->missing != NULL)
        return wish->workspace == NULL
                   ? 0
                   : refusal_set(no, REFUSAL_FILES_UNAVAILABLE,
                                 "contexts cannot share files in a nested sandbox");
    if (wish->workspace != NULL)
        return use_shared(context, wish->workspace, no);
    return make_workspace(&context->workspace, context, no);
}

static void
free_variables(char ***variables)
{
    for (char **variable = *variables; variable != NULL && *variable != NULL; variable++)
        free(*variable);
    free(*variables);
}

static int
list_variables(char ***ret, const json_t *env, struct refusal *no)
{
    CLEANUP(free_variables)
    char **variables = calloc(json_object_size(env) + 1, sizeof *variables);
    const char *name;
    json_t *value;
    size_t count = 0;

    if (variables == NULL)
        return -ENOMEM;
    json_object_foreach((json_t *)env, name, value)
    {
        if (*name == '\0' || strchr(name, '=') != NULL) {
            refusal_set(no, REFUSAL_INVALID_ARGUMENT,
                        "\"env\": \"%.64s\" is no name of a variable", name);
            return refusal_detail(no, "field", json_string("env"));
        }
        if (asprintf(&variables[count], "%s=%s", name, json_string_value(value)) < 0) {
            variables[count] = NULL;
            return -ENOMEM;
        }
        count++;
    }
    *ret = variables;
    variables = NULL;
    return 0;
}

static int
start(struct agent_context *context, const struct context_wish *wish, struct refusal *no)
{
    const struct agent_options *options = context->agent->options;
    const struct language *language = wish->language;
    CLEANUP(free_variables) char **variables = NULL;
    struct error err = { 0 };
    int r = list_variables(&variables, wish->env, no);
    struct context_options wanted = {
        .runtime = language->runtime,
        .spawner = options->spawner,
        .interpreter = language->environment->interpreter,
        .profile = CONTEXT_PROFILE_AGENT,
        .workspace = context->workspace,
        .cwd = wish->cwd,
        .env = (const char *const *)variables,
        .mounts = language->environment->mounts,
        .tier = options->tier,
        .network = wish->network,
        .limits = wish->limits,
        .observer = &agent_observer,
        .arg = context,
    };

    if (r != 0)
        return r;
    r = context_create(&context->context, context->agent->loop, &wanted, &err);
    if (r <= 0)
        return r;
    refusal_set(no, REFUSAL_INVALID_ARGUMENT, "%s", err.text);
    return wish->cwd == NULL ? AGENT_E_REFUSED
                             : refusal_detail(no, "field", json_string("cwd"));
}

static int
check_quota(const struct agent *agent, const struct owner *owner, struct refusal *no)
{
    size_t in_use = agent->context_count - spares_count(agent->spares);
    int64_t limit = agent->bounds->contexts_per_owner;

    if ((int64_t)owner->context_count >= limit)
        refusal_set(no, REFUSAL_QUOTA_EXCEEDED, "you have %zu contexts",
                    owner->context_count);
    else if ((int64_t)in_use >= (limit = agent->bounds->contexts))
        refusal_set(no, REFUSAL_QUOTA_EXCEEDED, "the server has %zu contexts", in_use);
    else
        return 0;
    return refusal_detail(no, "limit", json_integer(limit));
}

/* Also one that was a spare. */
static int
fill(struct agent_context *context, const struct context_wish *wish)
{
    context->limits = wish->limits;
    context->network = wish->network;
    context->language = wish->language;
    context->idle_timeout_us = wish->idle_timeout_us;
    context->is_default = wish->is_default;
    context->last = &context->queue;
    context->created_real_us = context->used_real_us = session_time_us();
    context->used_us = loop_now_us(context->agent->loop);
    snprintf(context->name, sizeof context->name, "%s",
             wish->name != NULL ? wish->name : "");
    agent_make_id(context->id, "ctx_");
    json_decref(context->labels);
    context->labels = wish->labels != NULL ? json_deep_copy(wish->labels) : json_object();
    return context->labels == NULL ? -ENOMEM : 0;
}

static void
enter(struct agent_context *context, struct owner *owner)
{
    context->owner = owner;
    context->next = owner->contexts;
    owner->contexts = context;
    owner->context_count++;
    context->agent->context_count++;
}

static void
leave(struct agent_context *context)
{
    struct agent_context **at = &context->owner->contexts;

    while (*at != context)
        at = &(*at)->next;
    *at = context->next;
    context->owner->context_count--;
    context->agent->context_count--;
}

static int
make(struct agent_context **ret, struct agent *agent, struct owner *owner,
     const struct context_wish *wish, struct refusal *no)
{
    struct agent_context *context = calloc(1, sizeof *context);
    int r;

    if (context == NULL)
        return -ENOMEM;
    context->agent = agent;
    enter(context, owner);
    context->cwd = strdup(wish->cwd != NULL ? wish->cwd : WORKSPACE_PATH);
    r = context->cwd != NULL ? fill(context, wish) : -ENOMEM;
    if (r == 0)
        r = use_workspace(context, wish, no);
    if (r == 0)
        r = start(context, wish, no);
    if (r != 0) {
        agent_context_free(context);
        return r;
    }
    *ret = context;
    return 0;
}

int
agent_context_create(struct agent_context **ret, struct agent *agent, struct owner *owner,
                     const struct context_wish *wish, struct refusal *no)
{
    int r = check_quota(agent, owner, no);

    if (r != 0)
        return r;
    *ret = spares_find(agent->spares, owner, wish);
    if (*ret == NULL)
        return make(ret, agent, owner, wish, no);
    leave(*ret);
    enter(*ret, owner);
    return fill(*ret, wish);
}

static void
free_pending(struct agent *agent, struct pending *pending)
{
    client_answered(pending->client);
    client_leave(agent, pending->client);
    free((void *)pending->header.data);
    free(pending);
}

void
agent_context_free(struct agent_context *context)
{
    struct agent *agent = context->agent;

    leave(context);
    agent_context_close_jupyter(context);
    context_destroy(context->context);
    leave_workspace(context);
    while (context->pending != NULL) {
        struct pending *pending = context->pending;

        context->pending = pending->next;
        free_pending(agent, pending);
    }
    while (context->watchers != NULL) {
        struct watcher *watcher = context->watchers;

        context->watchers = watcher->next;
        client_leave(agent, watcher->client);
        free((void *)watcher->header.data);
        free(watcher);
    }
    for (struct run *run = context->queue; run != NULL; run = run->next)
        run->context = NULL;
    if (context->foreign != NULL)
        run_free(context->foreign);
    json_decref(context->labels);
    free(context->cwd);
    free(context);
}

int
agent_context_restart(struct agent_context *context)
{
    struct refusal no = { .details = NULL };
    int r;

    refusal_set(&no, REFUSAL_ABORTED, "the interpreter was replaced before it ran");
    r = runs_refuse(context, &no);
    if (r == 0)
        r = agent_context_touch(context);
    if (r < 0)
        return r;
    if (context_next_epoch(context->context) > context_epoch(context->context))
        context->replaced = context_epoch(context->context);
    return context_restart(context->context);
}

int
agent_context_touch(struct agent_context *context)
{
    context->used_us = loop_now_us(context->agent->loop);
    context->used_real_us = session_time_us();
    return 0;
}

int
agent_context_pressure(struct agent_context *context)
{
    context_pause_output(context->context,
                         context->slow_readers || context->slow_jupyter);
    return 0;
}

static int
copy_header(struct slice *ret, struct slice header)
{
    uint8_t *copy = malloc(header.length + 1);

    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, header.data, header.length);
    *ret = (struct slice){ copy, header.length };
    return 0;
}

int
pending_add(struct agent_context *context, const struct call *call,
            enum pending_kind kind, struct pending **ret)
{
    struct pending *pending = calloc(1, sizeof *pending);

    if (pending == NULL)
        return -ENOMEM;
    if (copy_header(&pending->header, call->message->wire.header) < 0) {
        free(pending);
        return -ENOMEM;
    }
    pending->kind = kind;
    pending->reply = call->reply;
    pending->client = call->client;
    client_use(call->client);
    client_wait(context->agent, call->client);
    pending->next = context->pending;
    context->pending = pending;
    *ret = pending;
    return 0;
}

/* PENDING is out of its list already. */
int
pending_answer(struct agent *agent, struct pending *pending, struct slice content)
{
    int r = client_reply(agent, pending->client,
                         &(struct client_message){
                             .type = pending->reply,
                             .header = pending->header,
                             .content = content,
                         });

    free_pending(agent, pending);
    return r;
}

int
pending_answer_tree(struct agent *agent, struct pending *pending, const json_t *content)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, AGENT_REPLY_BYTES_MAX);
    r = tree_append(&text, content, JSON_COMPACT);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return pending_answer(agent, pending, buffer_slice(&text));
}

int
pending_refuse(struct agent *agent, struct pending *pending, const struct refusal *no)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    buffer_init(&content, AGENT_REPLY_BYTES_MAX);
    r = refusal_append(no, &content);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return pending_answer(agent, pending, buffer_slice(&content));
}

static int
refuse_pending(struct agent_context *context, const struct refusal *no)
{
    int r = 0;

    while (r == 0 && context->pending != NULL) {
        struct pending *pending = context->pending;

        context->pending = pending->next;
        r = pending_refuse(context->agent, pending, no);
    }
    return r;
}

/* What ran ends as a killed one; what waited never begins. */
static int
end_runs(struct agent_context *context, const struct refusal *no)
{
    struct context_outcome killed = {
        .end = CONTEXT_END_LOST,
        .reason = { .kind = CONTEXT_REASON_KILLED,
                    .exit_status = -1,
                    .state_lost = true,
                    .text = "the context was deleted",
                    .stderr_tail = "" },
    };
    int r = 0;

    while (r == 0 && context->queue != NULL) {
        struct run *run = context->queue;

        context->queue = run->next;
        context->queued--;
        killed.execution_count = run->count;
        killed.usage.wall_us = loop_now_us(context->agent->loop) - run->started_us;
        r = run->state == RUN_RUNNING ? run_done(run, &killed) : run_refuse(run, no);
        run->context = NULL;
    }
    context->last = &context->queue;
    if (r == 0 && context->foreign != NULL) {
        r = run_done(context->foreign, &killed);
        run_free(context->foreign);
        context->foreign = NULL;
    }
    return r;
}

int
agent_context_delete(struct agent_context *context)
{
    struct refusal no = { .details = NULL };
    int r;

    if (context->deleted)
        return 0;
    context->deleted = true;
    loop_timer_arm(context->agent->reaper, 0);
    refusal_set(&no, REFUSAL_CONTEXT_DELETED, "the context %s was deleted", context->id);
    r = end_runs(context, &no);
    return r < 0 ? r : refuse_pending(context, &no);
}

int
agent_contexts_reap(struct agent *agent)
{
    for (struct owner *owner = agent->owners; owner != NULL; owner = owner->next) {
        struct agent_context *next;

        for (struct agent_context *context = owner->contexts; context != NULL;
             context = next) {
            next = context->next;
            if (context->deleted)
                agent_context_free(context);
            else if (context->jupyter != NULL && jupyter_has_ended(context->jupyter))
                agent_context_close_jupyter(context);
        }
    }
    return 0;
}

int
agent_contexts_tick(struct agent *agent)
{
    uint64_t now = loop_now_us(agent->loop);
    int r = 0;

    for (struct owner *owner = agent->owners; r == 0 && owner != NULL;
         owner = owner->next) {
        for (struct agent_context *context = owner->contexts; r == 0 && context != NULL;
             context = context->next) {
            if (context->idle_timeout_us != 0 && context->queue == NULL &&
                context->foreign == NULL && context->pending == NULL &&
                now - context->used_us >= context->idle_timeout_us)
                r = agent_context_delete(context);
        }
        if (r == 0)
            runs_forget(agent, owner);
    }
    return r;
}

/* What a kernel in front of the context asks of its host. */
static int
on_restart(void *arg)
{
    return agent_context_restart(arg);
}

static int
on_pressure(bool high, void *arg)
{
    struct agent_context *context = arg;

    context->slow_jupyter = high;
    return agent_context_pressure(context);
}

static int
on_end(void *arg)
{
    const struct agent_context *context = arg;

    loop_timer_arm(context->agent->reaper, 0);
    return 0;
}

const struct kernel_host agent_kernel_host = {
    .on_restart = on_restart,
    .on_pressure = on_pressure,
    .on_end = on_end,
};

int
agent_context_open_jupyter(struct agent_context *context, struct refusal *no)
{
    struct agent *agent = context->agent;
    const struct jupyter_options options = {
        .loop = agent->loop,
        .context = context->context,
        .runtime = context->language->runtime,
        .environment = context->language->environment,
        .host = &agent_kernel_host,
        .host_arg = context,
        .id = context->id,
        .name = context->name[0] != '\0' ? context->name : NULL,
        .connection_dir = agent->options->connection_dir,
        .profile = CONTEXT_PROFILE_AGENT,
        .network = context->network,
        .limits = context->limits,
    };
    struct error err = { 0 };
    int r;

    if (context->jupyter != NULL)
        return 0;
    if ((int64_t)agent->jupyter_count >= agent->bounds->jupyter) {
        refusal_set(no,
                    agent->bounds->jupyter == 0 ? REFUSAL_NOT_ALLOWED
                                                : REFUSAL_QUOTA_EXCEEDED,
                    "%zu Jupyter endpoints are open", agent->jupyter_count);
        return refusal_detail(no, "limit", json_integer(agent->bounds->jupyter));
    }
    r = jupyter_open(&context->jupyter, &options, &err);
    if (r != 0)
        return r < 0 ? r : refusal_set(no, REFUSAL_INTERNAL_ERROR, "%s", err.text);
    agent->jupyter_count++;
    if (context->queue != NULL && context->queue->state == RUN_RUNNING)
        return run_show(context->queue);
    return context->foreign != NULL ? run_show(context->foreign) : 0;
}

void
agent_context_close_jupyter(struct agent_context *context)
{
    if (context->jupyter == NULL)
        return;
    jupyter_close(context->jupyter);
    context->jupyter = NULL;
    context->agent->jupyter_count--;
    context->slow_jupyter = false;
    if (context->context != NULL)
        (void)agent_context_pressure(context);
}

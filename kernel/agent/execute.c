/* SPDX-License-Identifier: MIT */
/* Requests about executions. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "kernel/agent/agent.h"
#include "kernel/agent/events.h"
#include "kernel/agent/fields.h"
#include "kernel/agent/languages.h"
#include "protocol/cleanup.h"
#include "protocol/json.h"
#include "protocol/tree.h"

static const char *
boolean(bool value)
{
    return value ? "true" : "false";
}

/* The owner's default context of a language. */
static int
use_default(struct agent *agent, struct call *call, struct refusal *no)
{
    const char *name = fields_text(call->message->content, "language", "python");
    struct context_wish wish = {
        .language = languages_find(agent->options->languages, name, NULL),
        .network = SANDBOX_NETWORK_NONE,
        .limits = agent->bounds->defaults,
        .idle_timeout_us = (uint64_t)agent->bounds->idle_timeout_s * 1000000,
        .is_default = true,
    };

    if (wish.language == NULL)
        return languages_refuse(agent->options->languages, name, no);
    for (struct agent_context *context = call->owner->contexts; context != NULL;
         context = context->next) {
        if (context->is_default && !context->deleted &&
            context->language == wish.language) {
            call->context = context;
            return 0;
        }
    }
    return agent_context_create(&call->context, agent, call->owner, &wish, no);
}

static int
find_context(struct agent *agent, struct call *call, struct refusal *no)
{
    if (call->context == NULL)
        return use_default(agent, call, no);
    if (json_object_get(call->message->content, "language") == NULL)
        return 0;
    return fields_refuse(no, "language", "is not for a request that names a context");
}

static int
check_room(const struct agent *agent, const struct call *call, struct refusal *no)
{
    const struct agent_context *context = call->context;
    enum context_state state = context_state(context->context);

    if (fields_flag(call->message->content, "reject_if_busy", false) &&
        (context->queue != NULL || state == CONTEXT_BUSY ||
         state == CONTEXT_INTERRUPTING))
        return refusal_set(no, REFUSAL_CONTEXT_BUSY, "the context runs something");
    if ((int64_t)context->queued > agent->bounds->queue_per_context) {
        refusal_set(no, REFUSAL_QUEUE_FULL, "%zu executions are before it",
                    context->queued);
        return refusal_detail(no, "limit",
                              json_integer(agent->bounds->queue_per_context));
    }
    if ((int64_t)call->owner->open_runs >= agent->bounds->executions_per_owner) {
        refusal_set(no, REFUSAL_QUOTA_EXCEEDED, "you have %zu executions",
                    call->owner->open_runs);
        return refusal_detail(no, "limit",
                              json_integer(agent->bounds->executions_per_owner));
    }
    return 0;
}

static int
take_timeout(const struct call *call, struct run *run, struct refusal *no)
{
    uint64_t most = call->context->limits.run_ms;
    uint64_t wanted = (uint64_t)fields_integer(call->message->content, "timeout_ms", 0);

    run->kill_on_timeout =
        strcmp(fields_text(call->message->content, "on_timeout", "interrupt"),
               "restart") == 0;
    run->timeout_ms = wanted == 0 ? most : wanted;
    if (most == 0 || run->timeout_ms <= most)
        return 0;
    refusal_set(no, REFUSAL_LIMIT_TOO_HIGH,
                "\"timeout_ms\" may be at most the context's run_ms, %" PRIu64, most);
    return refusal_detail(no, "ceiling", json_integer((json_int_t)most));
}

/* What the runner is sent: its header is the client's, for Jupyter's front ends. */
static int
fill_parts(const struct call *call, struct run *run)
{
    const struct wire *wire = &call->message->wire;
    const json_t *env = json_object_get(call->message->content, "env");
    struct slice code = slice_text("\"\""), expressions = slice_text("{}");
    int r = buffer_append(&run->header, wire->header.data, wire->header.length);

    (void)json_member(wire->content, "code", &code);
    if (json_object_get(call->message->content, "user_expressions") != NULL)
        (void)json_member(wire->content, "user_expressions", &expressions);
    if (r == 0)
        r = buffer_append_text(&run->content, "{\"code\":");
    if (r == 0)
        r = buffer_append(&run->content, code.data, code.length);
    if (r == 0)
        r = buffer_append_text(&run->content, ",\"user_expressions\":");
    if (r == 0)
        r = buffer_append(&run->content, expressions.data, expressions.length);
    if (r == 0)
        r = buffer_append_format(&run->content,
                                 ",\"silent\":%s,\"store_history\":%s,\"allow_stdin\":%s,"
                                 "\"stop_on_error\":false}",
                                 boolean(run->silent), boolean(run->store_history),
                                 boolean(run->allow_stdin));
    if (r == 0 && env != NULL) {
        r = buffer_append_text(&run->metadata, "{\"cellwall\":{\"env\":");
        if (r == 0)
            r = tree_append(&run->metadata, env, JSON_COMPACT);
        if (r == 0)
            r = buffer_append_text(&run->metadata, "}}");
    }
    return r > 0 ? -EMSGSIZE : r;
}

static int
make_run(struct run **ret, const struct call *call, struct refusal *no)
{
    const json_t *content = call->message->content;
    bool streams = fields_flag(content, "stream", false);
    bool detach = fields_flag(content, "detach", false);
    struct run *run;
    int r = run_create(&run, call->context);

    if (r < 0)
        return r;
    run->silent = fields_flag(content, "silent", false);
    run->store_history = fields_flag(content, "store_history", !run->silent);
    run->stop_on_error = fields_flag(content, "stop_on_error", false);
    run->allow_stdin = (streams || detach) && fields_flag(content, "allow_stdin", false);
    run->continues =
        strcmp(fields_text(content, "on_disconnect", detach ? "continue" : "interrupt"),
               "continue") == 0;
    r = take_timeout(call, run, no);
    if (r == 0)
        r = fill_parts(call, run);
    if (r == 0 && !detach)
        r = run_add_viewer(run, call, streams, 0, false);
    if (r != 0) {
        run_free(run);
        return r;
    }
    *ret = run;
    return 0;
}

static void
enqueue(struct run *run)
{
    struct agent_context *context = run->context;
    struct owner *owner = run->owner;

    *context->last = run;
    context->last = &run->next;
    context->queued++;
    run->next_of_owner = owner->runs;
    owner->runs = run;
    owner->open_runs++;
}

static int
tell_queued(struct run *run)
{
    CLEANUP(buffer_fini) struct buffer text;
    CLEANUP(tree_decrefp)
    json_t *content = json_pack("{s:o}", "execution", describe_run(run));
    int r;

    buffer_init(&text, AGENT_REPLY_BYTES_MAX);
    if (content == NULL)
        return -ENOMEM;
    r = tree_append(&text, content, JSON_COMPACT);
    return r != 0 ? (r < 0 ? r : -EMSGSIZE)
                  : run_tell(run, "execution_queued", buffer_slice(&text));
}

static int
reply_run(struct agent *agent, const struct call *call, const struct run *run)
{
    CLEANUP(tree_decrefp)
    json_t *content =
        json_pack("{s:s, s:o}", "status", "ok", "execution", describe_run(run));

    return call_reply_tree(agent, call, content);
}

int
request_run_code(struct agent *agent, struct call *call, struct refusal *no)
{
    struct run *run;
    int r = find_context(agent, call, no);

    if (r == 0)
        r = check_room(agent, call, no);
    if (r == 0)
        r = make_run(&run, call, no);
    if (r != 0)
        return r;
    enqueue(run);
    agent_context_touch(call->context);
    r = tell_queued(run);
    if (r == 0 && fields_flag(call->message->content, "detach", false))
        r = reply_run(agent, call, run);
    return r < 0 ? r : run_submit_next(call->context);
}

int
request_attach(struct agent *agent, struct call *call, struct refusal *no)
{
    const json_t *content = call->message->content;
    struct run *run = call->run;
    bool wait = fields_flag(content, "wait", true);
    int r;

    (void)no;
    if (!wait && run->state != RUN_DONE)
        return reply_run(agent, call, run);
    r = run_add_viewer(run, call, wait && fields_flag(content, "stream", true),
                       (uint64_t)fields_integer(content, "after_seq", 0), true);
    return r < 0 ? r : run_pump(run);
}

int
request_cancel(struct agent *agent, struct call *call, struct refusal *no)
{
    static const char *const states[] = { [RUN_QUEUED] = "queued",
                                          [RUN_RUNNING] = "running",
                                          [RUN_DONE] = "done" };
    struct refusal cancelled = { .details = NULL };
    struct run *run = call->run;
    const char *was = states[run->state];
    CLEANUP(tree_decrefp) json_t *content = NULL;
    int r;

    (void)no;
    refusal_set(&cancelled, REFUSAL_CANCELLED, "the execution was cancelled");
    r = run_cancel(run, &cancelled, fields_flag(call->message->content, "force", false));
    if (r < 0)
        return r;
    content = json_pack("{s:s, s:o, s:s}", "status", "ok", "execution", describe_run(run),
                        "was", was);
    return call_reply_tree(agent, call, content);
}

int
request_input_reply(struct agent *agent, struct call *call, struct refusal *no)
{
    CLEANUP(buffer_fini) struct buffer content;
    struct slice value;
    struct run *run = call->run;
    int r;

    (void)agent;
    buffer_init(&content, AGENT_REPLY_BYTES_MAX);
    if (!run->input_open || run->context == NULL ||
        json_member(call->message->wire.content, "value", &value) != 0)
        return refusal_set(no, REFUSAL_NOT_WAITING, "nothing waits for input");
    r = buffer_append_text(&content, "{\"value\":");
    if (r == 0)
        r = buffer_append(&content, value.data, value.length);
    if (r == 0)
        r = buffer_append_text(&content, "}");
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    r = context_input_reply(run->context->context, buffer_slice(&content));
    if (r != CONTEXT_E_TOO_LARGE)
        run->input_open = false;
    return r < 0 ? r : 0;
}

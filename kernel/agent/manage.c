/* SPDX-License-Identifier: MIT */
/* Requests about contexts, and about the server. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "contexts/runtime.h"
#include "kernel/agent/agent.h"
#include "kernel/agent/fields.h"
#include "kernel/agent/jupyter.h"
#include "kernel/agent/languages.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

static int
reply_context(struct agent *agent, const struct call *call, const char *name,
              json_t *value)
{
    CLEANUP(tree_decrefp)
    json_t *content = json_pack("{s:s, s:o}", "status", "ok", "context",
                                describe_context(call->context));

    if (content == NULL)
        return -ENOMEM;
    if (name != NULL)
        json_object_set_new(content, name, value);
    return call_reply_tree(agent, call, content);
}

static json_t *
list_languages(const struct languages *languages)
{
    json_t *list = json_array();

    for (size_t i = 0; i < languages->count; i++) {
        const struct language *language = &languages->items[i];
        const json_t *version =
            json_object_get(language->environment->language_info, "version");

        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:O*}", "language",
                                              language->environment->language, "runtime",
                                              language->environment->name, "display_name",
                                              language->environment->display_name,
                                              "version", version));
    }
    return list;
}

int
request_server_info(struct agent *agent, struct call *call, struct refusal *no)
{
    const struct agent_options *options = agent->options;
    const struct agent_bounds *bounds = agent->bounds;
    CLEANUP(tree_decrefp)
    json_t *content = json_pack(
        "{s:s, s:s, s:i, s:s, s:o, s:{s:s, s:s?}, s:{s:o, s:o}, s:o, s:s, s:b, s:I, s:I, "
        "s:f}",
        "status", "ok", "version", CELLWALL_VERSION, "protocol", 1, "owner",
        call->owner->name, "languages", list_languages(options->languages), "isolation",
        "tier", options->missing == NULL ? "full" : "nested", "missing", options->missing,
        "limits", "defaults", bounds_describe_limits(&bounds->defaults), "ceilings",
        bounds_describe_limits(&bounds->ceilings), "bounds", bounds_describe(bounds),
        "network", bounds->network_host ? "host" : "none", "jupyter", bounds->jupyter > 0,
        "contexts", (json_int_t)call->owner->context_count, "executions",
        (json_int_t)call->owner->open_runs, "uptime_s",
        (double)(loop_now_us(agent->loop) - agent->started_us) / 1e6);

    (void)no;
    return call_reply_tree(agent, call, content);
}

static int
check_name(const char *what, const char *name, struct refusal *no)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";

    if (name == NULL)
        return 0;
    if (strspn(name, allowed) == strlen(name) && strncmp(name, "ctx_", 4) != 0)
        return 0;
    refusal_set(no, REFUSAL_INVALID_ARGUMENT,
                "\"%s\" must have letters, digits, '.', '_' and '-' alone, and not begin "
                "with \"ctx_\"",
                what);
    return refusal_detail(no, "field", json_string(what));
}

static int
find_language(const struct agent *agent, const char *language, const char *runtime,
              const struct language **ret, struct refusal *no)
{
    if (language == NULL && runtime == NULL)
        language = "python";
    *ret = languages_find(agent->options->languages, language, runtime);
    if (*ret != NULL)
        return 0;
    return languages_refuse(agent->options->languages,
                            language != NULL ? language : runtime, no);
}

static int
take_limits(const struct agent *agent, const json_t *content, struct context_wish *wish,
            struct refusal *no)
{
    const json_t *limits = json_object_get(content, "limits");
    struct error err = { 0 };
    const char *high = NULL;

    wish->limits = agent->bounds->defaults;
    wish->has_limits = limits != NULL;
    if (limits == NULL || bounds_take_limits(&wish->limits, limits,
                                             &agent->bounds->ceilings, &high, &err) == 0)
        return 0;
    refusal_set(no, high != NULL ? REFUSAL_LIMIT_TOO_HIGH : REFUSAL_INVALID_ARGUMENT,
                "\"limits\": %s", err.text);
    if (high == NULL)
        return refusal_detail(no, "field", json_string("limits"));
    return refusal_detail(no, "ceiling",
                          bounds_describe_limits(&agent->bounds->ceilings));
}

static int
take_idle_timeout(const struct agent *agent, const json_t *content,
                  struct context_wish *wish, struct refusal *no)
{
    const json_t *value = json_object_get(content, "idle_timeout_s");
    double seconds =
        value != NULL ? json_number_value(value) : (double)agent->bounds->idle_timeout_s;
    double most = (double)agent->bounds->idle_timeout_max_s;

    if (most > 0 && (seconds == 0 || seconds > most)) {
        refusal_set(no, REFUSAL_LIMIT_TOO_HIGH, "\"idle_timeout_s\" may be at most %.0f",
                    most);
        return refusal_detail(no, "ceiling", json_real(most));
    }
    wish->idle_timeout_us = (uint64_t)(seconds * 1e6);
    return 0;
}

static int
read_wish(const struct agent *agent, const json_t *content, struct context_wish *wish,
          struct refusal *no)
{
    int r;

    wish->name = fields_text(content, "name", NULL);
    wish->cwd = fields_text(content, "cwd", NULL);
    wish->workspace = fields_text(content, "workspace", NULL);
    wish->env = json_object_get(content, "env");
    wish->labels = json_object_get(content, "labels");
    if (strcmp(fields_text(content, "network", "none"), "host") == 0) {
        if (!agent->bounds->network_host)
            return refusal_set(no, REFUSAL_NOT_ALLOWED,
                               "this server gives contexts no network");
        wish->network = SANDBOX_NETWORK_HOST;
    }
    r = check_name("name", wish->name, no);
    if (r == 0)
        r = check_name("workspace", wish->workspace, no);
    if (r == 0)
        r = find_language(agent, fields_text(content, "language", NULL),
                          fields_text(content, "runtime", NULL), &wish->language, no);
    if (r == 0)
        r = take_limits(agent, content, wish, no);
    return r != 0 ? r : take_idle_timeout(agent, content, wish, no);
}

int
request_create_context(struct agent *agent, struct call *call, struct refusal *no)
{
    const json_t *content = call->message->content;
    struct context_wish wish = { .network = SANDBOX_NETWORK_NONE };
    struct pending *pending;
    int r = read_wish(agent, content, &wish, no);

    if (r != 0)
        return r;
    if (wish.name != NULL)
        call->context = owner_find_context(call->owner, wish.name);
    if (call->context != NULL) {
        if (strcmp(fields_text(content, "if_exists", "error"), "use") == 0)
            return reply_context(agent, call, "created", json_false());
        refusal_set(no, REFUSAL_NAME_TAKEN, "you have a context \"%s\"", wish.name);
        return refusal_detail(no, "context", json_string(call->context->id));
    }
    r = agent_context_create(&call->context, agent, call->owner, &wish, no);
    if (r == 0 && fields_flag(content, "jupyter", false)) {
        r = agent_context_open_jupyter(call->context, no);
        if (r > 0)
            agent_context_delete(call->context);
    }
    if (r == 0 && context_state(call->context->context) == CONTEXT_IDLE) /* a spare */
        return reply_context(agent, call, "created", json_true());
    return r != 0 ? r : pending_add(call->context, call, PENDING_CREATE, &pending);
}

static bool
has_labels(const struct agent_context *context, const json_t *labels)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)labels, name, value)
    {
        if (!json_equal(json_object_get(context->labels, name), value))
            return false;
    }
    return true;
}

int
request_list_contexts(struct agent *agent, struct call *call, struct refusal *no)
{
    const json_t *labels = json_object_get(call->message->content, "labels");
    json_t *list = json_array();
    CLEANUP(tree_decrefp)
    json_t *content = json_pack("{s:s, s:o}", "status", "ok", "contexts", list);

    (void)no;
    if (content == NULL)
        return -ENOMEM;
    for (const struct agent_context *context = call->owner->contexts; context != NULL;
         context = context->next) {
        if (!context->deleted && has_labels(context, labels))
            json_array_append_new(list, describe_context(context));
    }
    return call_reply_tree(agent, call, content);
}

int
request_get_context(struct agent *agent, struct call *call, struct refusal *no)
{
    json_t *list = json_array();

    (void)no;
    if (call->context->foreign != NULL)
        json_array_append_new(list, describe_run(call->context->foreign));
    for (const struct run *run = call->context->queue; run != NULL; run = run->next)
        json_array_append_new(list, describe_run(run));
    return reply_context(agent, call, "executions", list);
}

int
request_delete_context(struct agent *agent, struct call *call, struct refusal *no)
{
    CLEANUP(tree_decrefp)
    json_t *content =
        json_pack("{s:s, s:s}", "status", "ok", "context", call->context->id);
    int r = agent_context_delete(call->context);

    (void)no;
    call->context = NULL;
    if (r == 0)
        r = agent_contexts_reap(agent); /* no callback of a context is under way */
    return r < 0 ? r : call_reply_tree(agent, call, content);
}

int
request_restart_context(struct agent *agent, struct call *call, struct refusal *no)
{
    struct agent_context *context = call->context;
    struct pending *pending;
    int r = pending_add(context, call, PENDING_RESTART, &pending);

    (void)agent, (void)no;
    if (r != 0)
        return r;
    pending->epoch = context_next_epoch(context->context);
    return agent_context_restart(context);
}

int
request_interrupt_context(struct agent *agent, struct call *call, struct refusal *no)
{
    const struct agent_context *context = call->context;
    enum context_state state = context_state(context->context);
    bool ran = state == CONTEXT_BUSY || state == CONTEXT_INTERRUPTING;
    int r = context_interrupt(context->context,
                              fields_flag(call->message->content, "force", false));

    (void)no;
    return r < 0 ? r : reply_context(agent, call, "interrupted", json_boolean(ran));
}

int
request_open_jupyter(struct agent *agent, struct call *call, struct refusal *no)
{
    CLEANUP(tree_decrefp) json_t *content = NULL;
    int r = agent_context_open_jupyter(call->context, no);

    if (r != 0)
        return r;
    content = json_pack("{s:s, s:o, s:s}", "status", "ok", "connection",
                        jupyter_connection(call->context->jupyter), "file",
                        jupyter_file(call->context->jupyter));
    return call_reply_tree(agent, call, content);
}

int
request_close_jupyter(struct agent *agent, struct call *call, struct refusal *no)
{
    (void)no;
    agent_context_close_jupyter(call->context);
    return reply_context(agent, call, NULL, NULL);
}

static int
add_watcher(struct agent_context *context, const struct call *call)
{
    struct slice header = call->message->wire.header;
    struct watcher *watcher = malloc(sizeof *watcher);
    uint8_t *copy = malloc(header.length + 1);

    if (watcher == NULL || copy == NULL) {
        free(watcher);
        free(copy);
        return -ENOMEM;
    }
    memcpy(copy, header.data, header.length);
    *watcher = (struct watcher){ .next = context->watchers,
                                 .client = call->client,
                                 .header = { copy, header.length } };
    client_use(call->client);
    context->watchers = watcher;
    return 0;
}

void
agent_context_remove_watchers(struct agent_context *context, const struct client *client)
{
    struct watcher **at = &context->watchers;

    while (*at != NULL) {
        struct watcher *watcher = *at;

        if (watcher->client != client) {
            at = &watcher->next;
            continue;
        }
        *at = watcher->next;
        client_leave(context->agent, watcher->client);
        free((void *)watcher->header.data);
        free(watcher);
    }
}

int
request_watch_context(struct agent *agent, struct call *call, struct refusal *no)
{
    int r = 0;

    (void)no;
    agent_context_remove_watchers(call->context, call->client);
    if (fields_flag(call->message->content, "on", true))
        r = add_watcher(call->context, call);
    return r < 0 ? r : reply_context(agent, call, NULL, NULL);
}

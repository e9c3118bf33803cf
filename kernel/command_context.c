/* SPDX-License-Identifier: MIT */
/* cellwall context: the contexts of a running server, and their lives. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/cli/context.h"
#include "kernel/cli/pairs.h"
#include "kernel/cli/table.h"
#include "kernel/cli/visit.h"
#include "kernel/limits.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define AGE_BYTES 32
#define LABELS_BYTES 256

struct arguments {
    struct visit_arguments common;
    const char *name;
    const char *language;
    const char *limits;
    const char *network;
    const char *cwd;
    const char *workspace;
    const char *idle;
    struct option_list env;
    struct option_list labels;
    bool use;
    bool force;
};

#define OFFSET(member) offsetof(struct arguments, member)
#define SERVER_ROW                                                                       \
    { "server", 0, OPTION_TEXT, "FILE", NULL, OFFSET(common.server), CONTEXT_SERVER_HELP }
#define JSON_ROW                                                                         \
    { "json", 0, OPTION_FLAG, NULL, NULL, OFFSET(common.json), CONTEXT_JSON_HELP }
#define NAME_ROW(name, help)                                                             \
    { name, 0, OPTION_WORDS, NULL, NULL, OFFSET(common.words), help }

static const char *
text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text != NULL ? text : "";
}

static json_int_t
number_of(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

/* "2026-01-31T12:00:00.000000Z" as "5 min ago". */
static void
format_age(char ret[AGE_BYTES], const char *date)
{
    static const struct {
        int64_t seconds;
        const char *unit;
    } units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    struct tm tm = { 0 };
    int64_t age;

    if (strptime(date, "%Y-%m-%dT%H:%M:%S", &tm) == NULL) {
        snprintf(ret, AGE_BYTES, "%.20s", date);
        return;
    }
    age = (int64_t)(time(NULL) - timegm(&tm));
    snprintf(ret, AGE_BYTES, "now");
    for (size_t i = 0; i < N_ELEMENTS(units); i++) {
        if (age >= units[i].seconds) {
            snprintf(ret, AGE_BYTES, "%" PRId64 " %s ago", age / units[i].seconds,
                     units[i].unit);
            return;
        }
    }
}

static void
format_labels(char ret[LABELS_BYTES], const json_t *labels)
{
    const char *name;
    const json_t *value;
    size_t used = 0;

    ret[0] = '\0';
    json_object_foreach((json_t *)labels, name, value)
    {
        int n = snprintf(ret + used, LABELS_BYTES - used, "%s%s=%s", used > 0 ? "," : "",
                         name, json_string_value(value));

        if (n < 0 || (size_t)n >= LABELS_BYTES - used)
            return;
        used += (size_t)n;
    }
}

static int
add_context(struct table *table, const json_t *context)
{
    char used[AGE_BYTES], labels[LABELS_BYTES], count[32];
    const char *const row[] = { text_of(context, "id"),
                                text_of(context, "name"),
                                text_of(context, "language"),
                                text_of(context, "state"),
                                count,
                                used,
                                labels,
                                NULL };

    format_age(used, text_of(context, "last_used"));
    format_labels(labels, json_object_get(context, "labels"));
    snprintf(count, sizeof count, "%" JSON_INTEGER_FORMAT,
             number_of(context, "execution_count"));
    return table_add(table, row);
}

static int
add_texts(json_t *content, const struct arguments *arguments)
{
    const struct {
        const char *member, *value;
    } texts[] = {
        { "name", arguments->name },           { "language", arguments->language },
        { "network", arguments->network },     { "cwd", arguments->cwd },
        { "workspace", arguments->workspace },
    };

    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        if (texts[i].value != NULL &&
            json_object_set_new(content, texts[i].member, json_string(texts[i].value)) <
                0)
            return -EINVAL;
    }
    return 0;
}

static int
make_creation(json_t *content, const struct arguments *arguments, struct error *err)
{
    json_t *limits;
    char *end;
    int r = 0;

    if (add_texts(content, arguments) != 0)
        return error_set(err, VISIT_E_FAILED, "an argument is not UTF-8 text");
    if (arguments->limits != NULL) {
        limits = json_object();
        json_object_set_new(content, "limits", limits);
        r = limits_parse_members(limits, arguments->limits, err);
    }
    if (r == 0 && arguments->env.count > 0)
        r = pairs_add(content, "env", &arguments->env, err);
    if (r == 0 && arguments->labels.count > 0)
        r = pairs_add(content, "labels", &arguments->labels, err);
    if (r == 0 && arguments->idle != NULL) {
        double seconds = strtod(arguments->idle, &end);

        if (end == arguments->idle || *end != '\0' || !(seconds >= 0 && seconds < 1e9))
            return error_set(err, VISIT_E_FAILED,
                             "--idle-timeout %s: it must be seconds, such as 600",
                             arguments->idle);
        json_object_set_new(content, "idle_timeout_s", json_real(seconds));
    }
    if (r == 0 && arguments->use)
        json_object_set_new(content, "if_exists", json_string("use"));
    return r;
}

static int
run_create(char *const *argv)
{
    CLEANUP(tree_decrefp) json_t *content = json_object();
    struct arguments arguments = { 0 };
    struct client_reply reply = { 0 };
    struct error err = { 0 };
    struct visit visit;
    const json_t *context;
    int status = visit_begin(&visit, &command_context_create, &arguments,
                             &arguments.common, argv, 0, 0);

    if (status >= 0)
        return status;
    if (make_creation(content, &arguments, &err) != 0)
        visit_fail(&visit, EXIT_STATUS_USAGE, "%s", err.text);
    else if (visit_ask(&visit, "create_context_request", json_incref(content),
                       (struct slice){ 0 }, &reply) == 0) {
        context = json_object_get(reply.content, "context");
        if (arguments.common.json)
            visit_print_json(&visit, context);
        else if (visit_print(&visit, slice_text(text_of(context, "id"))) == 0)
            visit_print(&visit, slice_text("\n"));
        json_decref(reply.content);
    }
    return visit_fini(&visit);
}

static int
print_contexts(struct visit *visit, const json_t *contexts)
{
    static const char *const headings[] = { "ID",   "NAME", "LANGUAGE", "STATE",
                                            "RUNS", "USED", "LABELS",   NULL };
    CLEANUP(table_fini) struct table table = { 0 };
    const json_t *context;
    size_t i;
    int r = table_add(&table, headings);

    json_array_foreach(contexts, i, context)
    {
        if (r == 0)
            r = add_context(&table, context);
    }
    return r != 0 ? r : visit_print_table(visit, &table);
}

static int
run_list(char *const *argv)
{
    CLEANUP(tree_decrefp) json_t *content = json_object();
    struct arguments arguments = { 0 };
    struct client_reply reply = { 0 };
    struct error err = { 0 };
    struct visit visit;
    int status = visit_begin(&visit, &command_context_list, &arguments, &arguments.common,
                             argv, 0, 0);

    if (status >= 0)
        return status;
    if (arguments.labels.count > 0 &&
        pairs_add(content, "labels", &arguments.labels, &err) != 0)
        visit_fail(&visit, EXIT_STATUS_USAGE, "--label: %s", err.text);
    else if (visit_ask(&visit, "list_contexts_request", json_incref(content),
                       (struct slice){ 0 }, &reply) == 0) {
        const json_t *contexts = json_object_get(reply.content, "contexts");

        if (arguments.common.json)
            visit_print_json(&visit, contexts);
        else
            print_contexts(&visit, contexts);
        json_decref(reply.content);
    }
    return visit_fini(&visit);
}

/* A value as "NAME: VALUE"; strings without quotes, the rest as JSON. */
static int
add_fact(struct table *table, const char *prefix, const char *name, const json_t *value)
{
    char key[128];
    CLEANUP(freep) char *text = NULL;

    snprintf(key, sizeof key, "%s%s", prefix, name);
    if (json_is_string(value))
        text = strdup(json_string_value(value));
    else
        text = json_is_null(value)
                   ? strdup("")
                   : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    return text == NULL ? -ENOMEM
                        : table_add(table, (const char *const[]){ key, text, NULL });
}

static int
add_facts(struct table *table, const char *prefix, const json_t *object)
{
    const char *name;
    json_t *value;
    int r = 0;

    json_object_foreach((json_t *)object, name, value)
    {
        if (r == 0 && json_is_object(value) && prefix[0] == '\0') {
            char below[128];

            snprintf(below, sizeof below, "%s.", name);
            r = add_facts(table, below, value);
        } else if (r == 0) {
            r = add_fact(table, prefix, name, value);
        }
    }
    return r;
}

/* How many files there are and what they hold; a context that shows none has no line. */
static int
add_files(struct visit *visit, struct table *table, const char *name)
{
    json_t *content = json_pack("{ss sb}", "context", name, "recursive", 1);
    const struct client_request request = { .type = "list_files_request",
                                            .content = content };
    struct client_reply reply = { 0 };
    const json_t *entries, *entry;
    json_int_t bytes = 0;
    char text[96];
    size_t i;
    int r = content == NULL ? -ENOMEM : client_ask(visit->client, &request, &reply, NULL);

    json_decref(content);
    entries = json_object_get(reply.content, "entries");
    json_array_foreach(entries, i, entry) bytes += number_of(entry, "size");
    snprintf(text, sizeof text, "%zu%s, %" JSON_INTEGER_FORMAT " bytes",
             json_array_size(entries),
             json_is_true(json_object_get(reply.content, "truncated")) ? " or more" : "",
             bytes);
    if (r == 0)
        r = table_add(table, (const char *const[]){ "files", text, NULL });
    json_decref(reply.content);
    return r < 0 ? r : 0;
}

static int
print_context(struct visit *visit, const json_t *reply, const char *name)
{
    CLEANUP(table_fini) struct table table = { 0 };
    const json_t *executions = json_object_get(reply, "executions"), *execution;
    size_t i;
    int r = add_facts(&table, "", json_object_get(reply, "context"));

    json_array_foreach(executions, i, execution)
    {
        char text[128];

        snprintf(text, sizeof text, "%s %s", text_of(execution, "id"),
                 text_of(execution, "state"));
        if (r == 0)
            r = table_add(&table, (const char *const[]){ "execution", text, NULL });
    }
    if (r == 0)
        r = add_files(visit, &table, name);
    return r != 0 ? r : visit_print_table(visit, &table);
}

static int
run_show(char *const *argv)
{
    struct arguments arguments = { 0 };
    struct client_reply reply = { 0 };
    struct visit visit;
    int status = visit_begin(&visit, &command_context_show, &arguments, &arguments.common,
                             argv, 1, 1);

    if (status >= 0)
        return status;
    if (visit_ask(&visit, "get_context_request",
                  json_pack("{ss}", "context", arguments.common.words.items[0]),
                  (struct slice){ 0 }, &reply) == 0) {
        json_object_del(reply.content, "status");
        if (arguments.common.json)
            visit_print_json(&visit, reply.content);
        else
            print_context(&visit, reply.content, arguments.common.words.items[0]);
        json_decref(reply.content);
    }
    return visit_fini(&visit);
}

/* The same request for each of several contexts; one that fails does not keep the others
 * from it. */
static int
run_each(const struct command *command, char *const *argv, const char *type)
{
    CLEANUP(tree_decrefp) json_t *results = json_array();
    struct arguments arguments = { 0 };
    struct visit visit;
    int status = visit_begin(&visit, command, &arguments, &arguments.common, argv, 1,
                             OPTION_LIST_MAX);

    if (status >= 0)
        return status;
    for (size_t i = 0; i < arguments.common.words.count; i++) {
        json_t *content = json_pack("{ss}", "context", arguments.common.words.items[i]);
        struct client_reply reply = { 0 };

        if (content != NULL && arguments.force)
            json_object_set_new(content, "force", json_true());
        if (visit_ask(&visit, type, content, (struct slice){ 0 }, &reply) != 0)
            continue;
        json_object_del(reply.content, "status");
        json_array_append_new(results, reply.content);
    }
    if (arguments.common.json)
        visit_print_json(&visit, results);
    return visit_fini(&visit);
}

static int
run_delete(char *const *argv)
{
    return run_each(&command_context_delete, argv, "delete_context_request");
}

static int
run_restart(char *const *argv)
{
    return run_each(&command_context_restart, argv, "restart_context_request");
}

static int
run_interrupt(char *const *argv)
{
    return run_each(&command_context_interrupt, argv, "interrupt_context_request");
}

static const struct option_spec create_options[] = {
    { "name", 'n', OPTION_TEXT, "NAME", NULL, OFFSET(name),
      "A name to call it by: 1 to 64 letters, digits, \"._-\"." },
    { "use", 0, OPTION_FLAG, NULL, NULL, OFFSET(use),
      "With --name: take the context that has the name, if there is one." },
    { "language", 'l', OPTION_TEXT, "NAME", NULL, OFFSET(language),
      "The language. The default is python." },
    { "limits", 0, OPTION_TEXT, "LIST", NULL, OFFSET(limits),
      "Other limits than the server's defaults: memory=2G,cpus=1.5 and so on, as for\n"
      "\"cellwall kernel --help\"." },
    { "env", 0, OPTION_LIST, "NAME=VALUE", NULL, OFFSET(env),
      "An environment variable of the interpreter. May be given several times." },
    { "label", 0, OPTION_LIST, "NAME=VALUE", NULL, OFFSET(labels),
      "A label, for \"cellwall context list\". May be given several times." },
    { "network", 0, OPTION_CHOICE, NULL, "none|host", OFFSET(network),
      "Whether the code sees the host's network. The default is none; host only where\n"
      "the server allows it." },
    { "cwd", 0, OPTION_TEXT, "PATH", NULL, OFFSET(cwd),
      "The working directory, within /workspace." },
    { "workspace", 0, OPTION_TEXT, "NAME", NULL, OFFSET(workspace),
      "Share the files of all contexts that were made with this workspace." },
    { "idle-timeout", 0, OPTION_TEXT, "SECONDS", NULL, OFFSET(idle),
      "Delete it when it was not used for so long; 0: never." },
    JSON_ROW,
    SERVER_ROW,
};

const struct command command_context_create = {
    .name = "context create",
    .summary = "make a context, and print its id",
    .synopsis = "[OPTION]...",
    .description = "      Makes a context and waits until its interpreter is ready.\n",
    .options = create_options,
    .option_count = N_ELEMENTS(create_options),
    .notes = CONTEXT_NOTES
    "EXAMPLES\n"
    "      cellwall context create --name notes --limits memory=2G,time=300\n"
    "      id=$(cellwall context create --label job=7)\n",
    .run = run_create,
};

static const struct option_spec list_options[] = {
    { "label", 0, OPTION_LIST, "NAME=VALUE", NULL, OFFSET(labels),
      "Only those that have this label. May be given several times." },
    JSON_ROW,
    SERVER_ROW,
};

const struct command command_context_list = {
    .name = "context list",
    .summary = "list the contexts",
    .synopsis = "[OPTION]...",
    .description = "      Lists the contexts that are yours.\n",
    .options = list_options,
    .option_count = N_ELEMENTS(list_options),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context list --label job=7\n",
    .run = run_list,
};

static const struct option_spec show_options[] = {
    NAME_ROW("NAME", "The name or id of a context."),
    JSON_ROW,
    SERVER_ROW,
};

const struct command command_context_show = {
    .name = "context show",
    .summary = "show limits, isolation, executions and files",
    .synopsis = "[OPTION]... NAME",
    .description = "      Shows what there is to know of a context.\n",
    .options = show_options,
    .option_count = N_ELEMENTS(show_options),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context show notes\n",
    .run = run_show,
};

static const struct option_spec each_options[] = {
    NAME_ROW("NAME...", "Names or ids of contexts."),
    JSON_ROW,
    SERVER_ROW,
};

const struct command command_context_delete = {
    .name = "context delete",
    .summary = "end contexts",
    .synopsis = "[OPTION]... NAME...",
    .description =
        "      Ends contexts, with what runs in them, their variables and their\n"
        "      files. Files of a shared workspace stay for the others.\n",
    .options = each_options,
    .option_count = N_ELEMENTS(each_options),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context delete notes\n",
    .run = run_delete,
};

const struct command command_context_restart = {
    .name = "context restart",
    .summary = "give contexts fresh interpreters",
    .synopsis = "[OPTION]... NAME...",
    .description =
        "      Replaces the interpreters. Variables are lost, files are kept.\n",
    .options = each_options,
    .option_count = N_ELEMENTS(each_options),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context restart notes\n",
    .run = run_restart,
};

static const struct option_spec interrupt_options[] = {
    NAME_ROW("NAME...", "Names or ids of contexts."),
    { "force", 'f', OPTION_FLAG, NULL, NULL, OFFSET(force),
      "Kill the interpreter when it does not stop within 2 s." },
    JSON_ROW,
    SERVER_ROW,
};

const struct command command_context_interrupt = {
    .name = "context interrupt",
    .summary = "interrupt what runs in contexts",
    .synopsis = "[OPTION]... NAME...",
    .description =
        "      Interrupts what runs, as Ctrl-C does; variables are kept, if the code\n"
        "      lets itself be interrupted.\n",
    .options = interrupt_options,
    .option_count = N_ELEMENTS(interrupt_options),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context interrupt --force notes\n",
    .run = run_interrupt,
};

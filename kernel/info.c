/* SPDX-License-Identifier: MIT */
/* What is answered at once, whatever the interpreter does. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "contexts/runtime.h"
#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"
#include "protocol/tree.h"

static int
answer(struct kernel *kernel, const struct request *request, int r,
       const struct buffer *content)
{
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return kernel_reply(kernel, &request->origin, request->handler->reply,
                        slice_text("{}"), buffer_slice(content));
}

static int
append_limits(const struct context_limits *limits, struct buffer *text)
{
    const struct sandbox_limits *all = &limits->sandbox;
    int r = buffer_append_format(text, "Limits: %" PRIu64 " processes", all->processes);

    if (r == 0 && all->memory_bytes > 0)
        r = buffer_append_format(text, ", %" PRIu64 " MiB of memory",
                                 all->memory_bytes >> 20);
    if (r == 0 && all->cpu_milli > 0)
        r = buffer_append_format(text, ", %g processors", (double)all->cpu_milli / 1000);
    if (r == 0 && limits->run_ms > 0)
        r = buffer_append_format(text, ", %g seconds a run",
                                 (double)limits->run_ms / 1000);
    return r != 0 ? r : buffer_append_text(text, ".\n");
}

static int
append_banner(const struct kernel *kernel, struct buffer *ret)
{
    CLEANUP(buffer_fini) struct buffer text;
    const struct environment *environment = kernel->options->environment;
    bool host = kernel->options->network == SANDBOX_NETWORK_HOST;
    bool is_agent = kernel->options->profile == CONTEXT_PROFILE_AGENT;
    int r;

    buffer_init(&text, PROBE_BYTES_MAX);
    r = buffer_append_text(&text, environment->banner != NULL
                                      ? environment->banner
                                      : kernel->options->environment->display_name);
    if (r == 0)
        r = buffer_append_format(
            &text,
            "\nCellwall %s: the interpreter runs in namespaces of its own under Landlock "
            "and seccomp.\nWritable: %s and temporary folders. Network: %s.\n",
            CELLWALL_VERSION, is_agent ? "its own workspace" : kernel->options->directory,
            host ? "the host's" : "none");
    if (r == 0)
        r = append_limits(&kernel->options->limits, &text);
    if (r == 0 && kernel_is_guest(kernel))
        r = buffer_append_format(
            &text,
            "It is the context %s of an agent, who works in it too: variables, execution "
            "counts and outputs are shared.\n",
            kernel->options->name != NULL ? kernel->options->name : "");
    return r != 0 ? r : text_append_json(ret, text.data, text.length);
}

int
handle_kernel_info(struct kernel *kernel, struct request *request, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    (void)err;
    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = buffer_append_text(&content,
                           "{\"status\":\"ok\",\"protocol_version\":\"" MESSAGE_VERSION
                           "\",\"implementation\":\"" KERNEL_IMPLEMENTATION
                           "\",\"implementation_version\":\"" CELLWALL_VERSION
                           "\",\"language_info\":");
    if (r == 0)
        r = tree_append(&content, kernel->options->environment->language_info,
                        JSON_COMPACT);
    if (r == 0)
        r = buffer_append_text(&content, ",\"banner\":");
    if (r == 0)
        r = append_banner(kernel, &content);
    if (r == 0)
        r = buffer_append_text(&content, ",\"help_links\":[],\"debugger\":false,"
                                         "\"supported_features\":[\"iopub_welcome\"]}");
    return answer(kernel, request, r, &content);
}

int
handle_connect(struct kernel *kernel, struct request *request, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    (void)err;
    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = buffer_append_text(&content, "{\"status\":\"ok\"");
    for (int port = 0; r == 0 && port < CONNECTION_PORTS; port++)
        r = buffer_append_format(&content, ",\"%s_port\":%u",
                                 connection_port_name((enum connection_port)port),
                                 (unsigned)kernel->connection->ports[port]);
    if (r == 0)
        r = buffer_append_text(&content, "}");
    return answer(kernel, request, r, &content);
}

int
handle_usage(struct kernel *kernel, struct request *request, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer content;
    size_t own = kernel_is_guest(kernel) ? 0 : 1; /* a host serves others too */
    int pids[USAGE_PIDS_MAX] = { getpid() };
    size_t count = own + context_pids(kernel->context, pids + own, USAGE_PIDS_MAX - own);
    int r;

    (void)err;
    if (count > USAGE_PIDS_MAX)
        count = USAGE_PIDS_MAX;
    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = buffer_append_text(&content, "{\"status\":\"ok\",");
    if (r == 0)
        r = usage_append(&kernel->usage, pids, count, loop_now_us(kernel->options->loop),
                         &content);
    if (r == 0)
        r = buffer_append_text(&content, "}");
    return answer(kernel, request, r, &content);
}

static int64_t
number(const json_t *content, const char *name)
{
    return json_integer_value(json_object_get(content, name));
}

static struct history_query
query_of(const json_t *content)
{
    const char *access = json_string_value(json_object_get(content, "hist_access_type"));
    const json_t *pattern = json_object_get(content, "pattern");

    return (struct history_query){
        .access = strcmp(access, "range") == 0    ? HISTORY_RANGE
                  : strcmp(access, "search") == 0 ? HISTORY_SEARCH
                                                  : HISTORY_TAIL,
        .output = json_is_true(json_object_get(content, "output")),
        .unique = json_is_true(json_object_get(content, "unique")),
        .has_stop = json_object_get(content, "stop") != NULL,
        .session = number(content, "session"),
        .start = number(content, "start"),
        .stop = number(content, "stop"),
        .n = number(content, "n"),
        .pattern = { (const uint8_t *)json_string_value(pattern),
                     json_string_length(pattern) },
    };
}

int
handle_history(struct kernel *kernel, struct request *request, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer content;
    struct history_query query = query_of(request->message->content);
    int r;

    (void)err;
    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = buffer_append_text(&content, "{\"status\":\"ok\",\"history\":");
    if (r == 0)
        r = history_append(kernel->history, &query, context_epoch(kernel->context),
                           &content);
    if (r == 0)
        r = buffer_append_text(&content, "}");
    return answer(kernel, request, r, &content);
}

/* SPDX-License-Identifier: MIT */
/* Contexts and executions as the protocol says them. */
#include "kernel/agent/agent.h"
#include "kernel/agent/events.h"
#include "kernel/agent/jupyter.h"
#include "kernel/agent/languages.h"
#include "kernel/probe.h"

json_t *
describe_time(int64_t time_us)
{
    char text[MESSAGE_DATE_BYTES];

    message_format_date(text, time_us);
    return json_string(text);
}

static json_t *
describe_jupyter(const struct agent_context *context)
{
    if (context->jupyter == NULL)
        return json_null();
    return json_pack("{s:o, s:s}", "connection", jupyter_connection(context->jupyter),
                     "file", jupyter_file(context->jupyter));
}

json_t *
describe_context(const struct agent_context *context)
{
    const struct context *ctx = context->context;
    const struct environment *environment = context->language->environment;
    const char *missing;
    bool full = context_tier(ctx, &missing) == SANDBOX_TIER_FULL;
    const char *name = context->name[0] != '\0' ? context->name : NULL;
    const char *shared = context->shared != NULL ? context->shared->name : NULL;

    return json_pack(
        "{s:s, s:s?, s:s, s:s, s:s, s:I, s:s, s:o, s:o, s:I, s:I, s:O, s:s, s:s, s:s?, "
        "s:f, s:s, s:o, s:o}",
        "id", context->id, "name", name, "language", environment->language, "runtime",
        environment->name, "state", context_state_name(context_state(ctx)), "epoch",
        (json_int_t)context_epoch(ctx), "owner", context->owner->name, "created",
        describe_time(context->created_real_us), "last_used",
        describe_time(context->used_real_us), "execution_count",
        (json_int_t)context_execution_count(ctx), "queued",
        (json_int_t)(context->queued > 0 ? context->queued - 1 : 0), "labels",
        context->labels, "cwd", context->cwd, "network",
        context->network == SANDBOX_NETWORK_HOST ? "host" : "none", "workspace", shared,
        "idle_timeout_s", (double)context->idle_timeout_us / 1e6, "isolation",
        full ? "full" : "nested", "limits", bounds_describe_limits(&context->limits),
        "jupyter", describe_jupyter(context));
}

json_t *
describe_run(const struct run *run)
{
    static const char *const states[] = { [RUN_QUEUED] = "queued",
                                          [RUN_RUNNING] = "running",
                                          [RUN_DONE] = "done" };

    return json_pack("{s:s, s:s, s:I, s:s, s:I, s:o, s:I}", "id", run->id, "context",
                     run->context_id, "epoch", (json_int_t)run->epoch, "state",
                     states[run->state], "position",
                     (json_int_t)(run->state == RUN_DONE ? 0 : run_position(run)),
                     "created", describe_time(run->created_real_us), "seq",
                     (json_int_t)(events_next_seq(run->events) - 1));
}

/* SPDX-License-Identifier: MIT */
/* What the client of an execution is told at its end. */
#include <inttypes.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/agent/agent.h"
#include "kernel/agent/tally.h"
#include "kernel/handlers.h"
#include "protocol/cleanup.h"
#include "protocol/frame.h"
#include "protocol/json.h"

int
outcome_append_loss(struct buffer *ret, const struct run *run,
                    const struct context_reason *reason)
{
    CLEANUP(loss_fini) struct loss loss;
    int r = loss_init(&loss, run->context->deleted ? LOSS_DELETED : LOSS_GOES_ON, reason,
                      run->epoch + 1);

    if (r == 0)
        r = buffer_append_text(ret, "{");
    if (r == 0)
        r = loss_append(&loss, ret);
    return r != 0 ? r : buffer_append_text(ret, "}");
}

static int
append_member(struct buffer *ret, const char *name, struct slice object,
              const char *fallback)
{
    struct slice value = slice_text(fallback);
    int r;

    if (object.length > 0)
        (void)json_member(object, name, &value);
    r = buffer_append_format(ret, "\"%s\":", name);
    return r != 0 ? r : buffer_append(ret, value.data, value.length);
}

/* Null, or the object of an exception. */
static int
append_error(struct buffer *ret, const struct run *run,
             const struct context_outcome *outcome)
{
    struct slice content;
    int r = buffer_append_text(ret, ",\"error\":");

    if (r != 0)
        return r;
    if (outcome->end != CONTEXT_END_REPLY)
        return outcome_append_loss(ret, run, &outcome->reason);
    if ((outcome->reply->flags & FRAME_FLAG_ERROR) == 0)
        return buffer_append_text(ret, "null");
    content = outcome->reply->content;
    r = buffer_append_text(ret, "{");
    if (r == 0)
        r = append_member(ret, "ename", content, "\"Error\"");
    if (r == 0)
        r = buffer_append_text(ret, ",");
    if (r == 0)
        r = append_member(ret, "evalue", content, "\"\"");
    if (r == 0)
        r = buffer_append_text(ret, ",");
    if (r == 0)
        r = append_member(ret, "traceback", content, "[]");
    return r != 0 ? r : buffer_append_text(ret, "}");
}

static int
append_reason(struct buffer *ret, const struct context_outcome *outcome)
{
    int r = buffer_append_text(ret, ",\"reason\":");

    if (r != 0)
        return r;
    return outcome->reason.kind == CONTEXT_REASON_NONE
               ? buffer_append_text(ret, "null")
               : metadata_append_reason(ret, &outcome->reason);
}

static int
append_usage(struct buffer *ret, const struct run *run,
             const struct context_outcome *outcome)
{
    struct context_use use = context_use(run->context->context);
    uint64_t started = run->started_us != 0 ? run->started_us : run->created_us;
    int r = buffer_append_format(ret, ",\"usage\":{\"wall_ms\":%.3f,\"queued_ms\":%.3f",
                                 (double)outcome->usage.wall_us / 1000,
                                 (double)(started - run->created_us) / 1000);

    /* Ticks of processes that have ended can make it a little less than before. */
    if (r == 0 && use.cpu_us != 0)
        r = buffer_append_format(
            ret, ",\"cpu_ms\":%.3f",
            use.cpu_us > run->cpu_us ? (double)(use.cpu_us - run->cpu_us) / 1000 : 0.0);
    else if (r == 0)
        r = buffer_append_text(ret, ",\"cpu_ms\":null");
    if (use.memory_peak_bytes == 0)
        use.memory_peak_bytes = outcome->reason.peak_bytes;
    if (r == 0 && use.memory_peak_bytes != 0)
        r = buffer_append_format(ret, ",\"peak_memory_bytes\":%" PRIu64 "}",
                                 use.memory_peak_bytes);
    else if (r == 0)
        r = buffer_append_text(ret, ",\"peak_memory_bytes\":null}");
    return r;
}

static int
append_truncation(struct buffer *ret, const struct run *run,
                  const struct context_outcome *outcome)
{
    struct context_truncation results;
    const struct {
        const char *name;
        const struct context_truncation *what;
    } rows[] = { { "stdout", &outcome->out },
                 { "stderr", &outcome->err },
                 { "results", &results } };
    const char *before = ",\"truncated\":{";
    int r = 0;

    tally_results(run->tally, &results.total_bytes, &results.kept_bytes);
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(rows); i++) {
        if (rows[i].what->total_bytes == rows[i].what->kept_bytes)
            continue;
        r = buffer_append_format(
            ret, "%s\"%s\":{\"total_bytes\":%" PRIu64 ",\"kept_bytes\":%" PRIu64 "}",
            before, rows[i].name, rows[i].what->total_bytes, rows[i].what->kept_bytes);
        before = ",";
    }
    if (r != 0)
        return r;
    return buffer_append_text(ret, before[1] != '\0' ? ",\"truncated\":null" : "}");
}

static int
append_context(struct buffer *ret, const struct run *run,
               const struct context_outcome *outcome)
{
    bool lost = outcome->end != CONTEXT_END_REPLY;

    return buffer_append_format(
        ret, ",\"context\":{\"id\":\"%s\",\"epoch\":%" PRIu64 ",\"state\":\"%s\"}}",
        run->context_id,
        context_epoch(run->context->context) + (lost && !run->context->deleted ? 1 : 0),
        run->context->deleted ? "dead"
        : lost                ? "starting"
                              : "idle");
}

int
outcome_append(struct buffer *ret, const struct run *run,
               const struct context_outcome *outcome)
{
    struct slice reply = { 0 };
    bool failed = outcome->end != CONTEXT_END_REPLY;
    int r;

    if (outcome->end == CONTEXT_END_REPLY) {
        reply = outcome->reply->content;
        failed = (outcome->reply->flags & FRAME_FLAG_ERROR) != 0;
    }
    r = buffer_append_format(
        ret, "{\"status\":\"%s\",\"execution_id\":\"%s\",\"execution_count\":%u,",
        failed ? "error" : "ok", run->id, (unsigned)outcome->execution_count);
    if (r == 0)
        r = tally_append(run->tally, ret);
    if (r == 0)
        r = append_error(ret, run, outcome);
    if (r == 0)
        r = append_reason(ret, outcome);
    if (r == 0)
        r = buffer_append_text(ret, ",");
    if (r == 0)
        r = append_member(ret, "user_expressions", reply, "{}");
    if (r == 0)
        r = append_usage(ret, run, outcome);
    if (r == 0)
        r = append_truncation(ret, run, outcome);
    return r != 0 ? r : append_context(ret, run, outcome);
}

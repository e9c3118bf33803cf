/* SPDX-License-Identifier: MIT */
/* What replies carry beside Jupyter's content: under "cellwall", where stock clients do
 * not look. */
#include <inttypes.h>
#include <string.h>

#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "protocol/text.h"

int
metadata_append_reason(struct buffer *ret, const struct context_reason *reason)
{
    int r = buffer_append_format(ret, "{\"kind\":\"%s\",\"state\":\"%s\"",
                                 context_reason_name(reason->kind),
                                 reason->state_lost ? "lost" : "kept");

    if (r == 0 && reason->signal != 0)
        r = buffer_append_format(ret, ",\"signal\":%d", reason->signal);
    if (r == 0 && reason->exit_status >= 0)
        r = buffer_append_format(ret, ",\"exit_status\":%d", reason->exit_status);
    if (r == 0 && reason->limit != 0)
        r = buffer_append_format(ret, ",\"limit\":%" PRIu64, reason->limit);
    if (r == 0 && reason->observed != 0)
        r = buffer_append_format(ret, ",\"observed\":%" PRIu64, reason->observed);
    if (r == 0 && reason->peak_bytes != 0)
        r = buffer_append_format(ret, ",\"peak_bytes\":%" PRIu64, reason->peak_bytes);
    if (r == 0 && reason->text != NULL) {
        r = buffer_append_text(ret, ",\"text\":");
        if (r == 0)
            r = text_append_json(ret, reason->text, strlen(reason->text));
    }
    return r != 0 ? r : buffer_append_text(ret, "}");
}

int
metadata_append_error(struct buffer *ret, const struct context_reason *reason)
{
    int r = buffer_append_text(ret, "{\"cellwall\":{\"reason\":");

    if (r == 0)
        r = metadata_append_reason(ret, reason);
    return r != 0 ? r : buffer_append_text(ret, "}}");
}

static int
append_truncation(struct buffer *ret, const struct context_outcome *outcome)
{
    const struct {
        const char *name;
        const struct context_truncation *stream;
    } streams[] = { { "stdout", &outcome->out }, { "stderr", &outcome->err } };
    const char *comma = "";
    int r = buffer_append_text(ret, ",\"truncated\":{");

    for (int i = 0; r == 0 && i < 2; i++) {
        const struct context_truncation *stream = streams[i].stream;

        if (stream->total_bytes == stream->kept_bytes)
            continue;
        r = buffer_append_format(
            ret, "%s\"%s\":{\"total_bytes\":%" PRIu64 ",\"kept_bytes\":%" PRIu64 "}",
            comma, streams[i].name, stream->total_bytes, stream->kept_bytes);
        comma = ",";
    }
    return r != 0 ? r : buffer_append_text(ret, "}");
}

int
metadata_append(struct buffer *ret, const struct kernel *kernel,
                const struct context_outcome *outcome, const char *status)
{
    char date[MESSAGE_DATE_BYTES];
    int r = buffer_append_format(ret, "{\"status\":\"%s\"", status);

    if (r == 0 && outcome->usage.started_us != 0) {
        message_format_date(date, (int64_t)outcome->usage.started_us);
        r = buffer_append_format(ret, ",\"started\":\"%s\"", date);
    }
    if (r == 0)
        r = buffer_append_format(ret,
                                 ",\"cellwall\":{\"context\":{\"epoch\":%" PRIu64
                                 "},\"usage\":{\"wall_ms\":%.3f}",
                                 context_epoch(kernel->context),
                                 (double)outcome->usage.wall_us / 1000);
    if (r == 0 && (outcome->out.total_bytes != outcome->out.kept_bytes ||
                   outcome->err.total_bytes != outcome->err.kept_bytes))
        r = append_truncation(ret, outcome);
    if (r == 0 && outcome->reason.kind != CONTEXT_REASON_NONE) {
        r = buffer_append_text(ret, ",\"reason\":");
        if (r == 0)
            r = metadata_append_reason(ret, &outcome->reason);
    }
    return r != 0 ? r : buffer_append_text(ret, "}}");
}

/* SPDX-License-Identifier: MIT */
/*
 * The events as they are, one a line, but not those that tell the progress. An event that
 * is too large goes without what makes it so, and says that.
 */
#include <errno.h>
#include <stdlib.h>

#include "kernel/notebook/report.h"
#include "kernel/notebook/report_parts.h"
#include "protocol/cleanup.h"
#include "protocol/tree.h"

#define EVENT_BYTES_MAX ((size_t)32 * 1024 * 1024)
#define KEPT_BYTES ((size_t)1024 * 1024) /* of memory between events */

struct jsonl {
    const struct report_options *options; /* borrowed */
    struct buffer line; /* owned */
};

static int
jsonl_create(void **ret, const struct report_options *options)
{
    struct jsonl *jsonl = malloc(sizeof *jsonl);

    if (jsonl == NULL)
        return -ENOMEM;
    jsonl->options = options;
    buffer_init(&jsonl->line, EVENT_BYTES_MAX);
    *ret = jsonl;
    return 0;
}

static void
jsonl_destroy(void *report)
{
    struct jsonl *jsonl = report;

    if (jsonl == NULL)
        return;
    buffer_fini(&jsonl->line);
    free(jsonl);
}

static int
append_line(struct buffer *ret, const json_t *event)
{
    int r = tree_append(ret, event, JSON_COMPACT);

    return r != 0 ? r : buffer_append(ret, "\n", 1);
}

/* What stays of EVENT are its members that are short; "left_out" is true. */
static int
append_shortened(struct buffer *ret, const json_t *event)
{
    static const char *const kept[] = { "event",           "path",     "cell",
                                        "position",        "id",       "line",
                                        "status",          "compared", "seconds",
                                        "execution_count", "counts" };
    CLEANUP(tree_decrefp) json_t *shorter = json_pack("{s:b}", "left_out", 1);

    if (shorter == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < N_ELEMENTS(kept); i++) {
        json_t *value = json_object_get(event, kept[i]);

        if (value != NULL && json_object_set(shorter, kept[i], value) != 0)
            return -ENOMEM;
    }
    return append_line(ret, shorter);
}

static int
jsonl_event(void *report, const json_t *event)
{
    struct jsonl *jsonl = report;
    int r;

    if (parts_is_event(event, "progress"))
        return 0;
    buffer_clear(&jsonl->line, KEPT_BYTES);
    r = append_line(&jsonl->line, event);
    if (r == BUFFER_E_FULL) {
        buffer_clear(&jsonl->line, KEPT_BYTES);
        r = append_shortened(&jsonl->line, event);
    }
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    return jsonl->options->write(buffer_slice(&jsonl->line), jsonl->options->arg);
}

const struct report_kind report_jsonl = {
    .name = "jsonl",
    .create = jsonl_create,
    .event = jsonl_event,
    .destroy = jsonl_destroy,
};

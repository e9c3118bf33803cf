/* SPDX-License-Identifier: MIT */
/*
 * Annotations of a GitHub workflow, as workflow commands on its standard output: an error
 * for each cell that failed, at its line of the notebook's file, a warning for each note.
 */
#include <errno.h>
#include <stdlib.h>

#include "kernel/notebook/report.h"
#include "kernel/notebook/report_parts.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"

/* GitHub shows ten errors and ten warnings of a step; more only make its log longer. */
#define ANNOTATIONS_MAX 100
#define MESSAGE_BYTES_MAX ((size_t)4096)
#define COMMAND_BYTES_MAX ((size_t)4 * 1024 * 1024)

struct github {
    const struct report_options *options; /* borrowed */
    struct buffer out; /* owned: commands that are about to be written */
    struct buffer plain; /* owned: a text before it is escaped */
    size_t count; /* annotations that there were */
};

static int
github_create(void **ret, const struct report_options *options)
{
    struct github *github = calloc(1, sizeof *github);

    if (github == NULL)
        return -ENOMEM;
    github->options = options;
    buffer_init(&github->out, COMMAND_BYTES_MAX);
    buffer_init(&github->plain, COMMAND_BYTES_MAX);
    *ret = github;
    return 0;
}

static void
github_destroy(void *report)
{
    struct github *github = report;

    if (github == NULL)
        return;
    buffer_fini(&github->out);
    buffer_fini(&github->plain);
    free(github);
}

/* Appends what is in github->plain, which is empty then; ESCAPED: these bytes are written
 * as "%" and two digits. */
static int
append_escaped(struct github *github, const char *escaped)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < github->plain.length; i++) {
        char byte = (char)github->plain.data[i];
        bool is_escaped = false;

        for (const char *at = escaped; *at != '\0'; at++)
            is_escaped |= *at == byte;
        r = is_escaped
                ? buffer_append_format(&github->out, "%%%02X", (unsigned)(uint8_t)byte)
                : buffer_append(&github->out, &byte, 1);
    }
    buffer_clear(&github->plain, COMMAND_BYTES_MAX);
    return r;
}

static int
append_property(struct github *github)
{
    return append_escaped(github, "%\r\n:,");
}

static int
append_data(struct github *github)
{
    return append_escaped(github, "%\r\n");
}

/* "::LEVEL file=PATH,line=N", with the title still to come. */
static int
begin_command(struct github *github, const char *level, const json_t *event)
{
    const json_t *line = json_object_get(event, "line");
    int r = buffer_append_format(&github->out, "::%s file=", level);

    if (r == 0)
        r = parts_append_line(&github->plain, parts_string(event, "path"),
                              PARTS_LINE_BYTES_MAX);
    if (r == 0)
        r = append_property(github);
    if (r == 0 && json_is_integer(line) && json_integer_value(line) > 0)
        r = buffer_append_format(&github->out, ",line=%lld",
                                 (long long)json_integer_value(line));
    return r;
}

/* All about EVENT, cut to what an annotation may hold. */
static int
append_message(struct github *github, const json_t *event)
{
    CLEANUP(buffer_fini) struct buffer all;
    int r;

    buffer_init(&all, COMMAND_BYTES_MAX);
    r = parts_append_cell(&all, event);
    while (r == 0 && all.length > 0 && all.data[all.length - 1] == '\n')
        all.length--;
    if (r == 0)
        r = parts_append_plain(&github->plain, buffer_slice(&all), MESSAGE_BYTES_MAX);
    if (r == 0 && github->plain.length == 0) /* an empty one is not shown */
        r = buffer_append_text(&github->plain, parts_status_name(parts_status(event)));
    return r != 0 ? r : append_data(github);
}

/* An error for EVENT: a cell, or a notebook as a whole. */
static int
append_error(struct github *github, const json_t *event)
{
    bool is_cell = parts_is_event(event, "cell");
    int r;

    if (github->count++ >= ANNOTATIONS_MAX)
        return 0;
    r = begin_command(github, "error", event);
    if (r == 0)
        r = buffer_append_text(&github->out, ",title=");
    if (r == 0)
        r = is_cell ? parts_append_cell_name(&github->plain, event)
                    : buffer_append_text(&github->plain, "Notebook");
    if (r == 0)
        r = buffer_append_format(&github->plain, " %s",
                                 parts_status(event) == PARTS_FAILED ? "failed"
                                                                     : "was ended");
    if (r == 0)
        r = append_property(github);
    if (r == 0)
        r = buffer_append_text(&github->out, "::");
    if (r == 0)
        r = append_message(github, event);
    return r != 0 ? r : buffer_append(&github->out, "\n", 1);
}

static int
append_notes(struct github *github, const json_t *event)
{
    const json_t *note;
    size_t i;
    int r = 0;

    json_array_foreach(json_object_get(event, "notes"), i, note)
    {
        if (r != 0 || github->count++ >= ANNOTATIONS_MAX)
            continue;
        r = begin_command(github, "warning", event);
        if (r == 0)
            r = buffer_append_text(&github->out, "::");
        if (r == 0)
            r = parts_append_line(&github->plain, parts_slice(note),
                                  PARTS_LINE_BYTES_MAX);
        if (r == 0)
            r = append_data(github);
        if (r == 0)
            r = buffer_append(&github->out, "\n", 1);
    }
    return r;
}

/* A notebook that failed has an error of its own where no cell's tells it. */
static int
append_notebook(struct github *github, const json_t *event)
{
    const json_t *counts = json_object_get(event, "counts");
    double bad = parts_number(counts, "failed", 0) + parts_number(counts, "error", 0);
    enum parts_status status = parts_status(event);
    int r = 0;

    if ((status == PARTS_FAILED || status == PARTS_ERROR) &&
        (bad <= 0 || json_is_object(json_object_get(event, "reason"))))
        r = append_error(github, event);
    return r != 0 ? r : append_notes(github, event);
}

static int
append_end(struct github *github)
{
    if (github->count <= ANNOTATIONS_MAX)
        return 0;
    return buffer_append_format(&github->out, "::notice::%zu more are not shown here\n",
                                github->count - ANNOTATIONS_MAX);
}

static int
github_event(void *report, const json_t *event)
{
    struct github *github = report;
    enum parts_status status = parts_status(event);
    int r = 0;

    buffer_clear(&github->out, COMMAND_BYTES_MAX);
    if (parts_is_event(event, "cell")) {
        if (status == PARTS_FAILED || status == PARTS_ERROR)
            r = append_error(github, event);
    } else if (parts_is_event(event, "notebook")) {
        r = append_notebook(github, event);
    } else if (parts_is_event(event, "end")) {
        r = append_end(github);
    }
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    if (github->out.length == 0)
        return 0;
    return github->options->write(buffer_slice(&github->out), github->options->arg);
}

const struct report_kind report_github = {
    .name = "github",
    .create = github_create,
    .event = github_event,
    .destroy = github_destroy,
};

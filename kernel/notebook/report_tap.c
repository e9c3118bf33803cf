/* SPDX-License-Identifier: MIT */
/*
 * Test Anything Protocol, version 14: a test point for each notebook, with a subtest that
 * has one for each of its cells. What failed is told in a block of YAML below its point.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/notebook/report.h"
#include "kernel/notebook/report_open.h"
#include "kernel/notebook/report_parts.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define TAP_BYTES_MAX ((size_t)1024 * 1024 * 1024) /* of a notebook with its cells */
#define KEPT_BYTES ((size_t)1024 * 1024) /* of memory between notebooks */
#define NOTES_MAX 100 /* of a notebook */
#define SUBTEST "    " /* before its lines */
#define YAML "  " /* before a block's lines, and within it before a text's */

struct tap {
    const struct report_options *options; /* borrowed */
    struct report_open *open; /* owned: notebooks that have not ended */
    struct buffer out; /* owned: what is about to be written */
    struct buffer plain; /* owned: a text before it is escaped */
    size_t points; /* notebooks that were written */
    bool has_plan;
};

static int
tap_create(void **ret, const struct report_options *options)
{
    struct tap *tap = calloc(1, sizeof *tap);

    if (tap == NULL)
        return -ENOMEM;
    tap->options = options;
    buffer_init(&tap->out, TAP_BYTES_MAX);
    buffer_init(&tap->plain, TAP_BYTES_MAX);
    *ret = tap;
    return 0;
}

static void
tap_destroy(void *report)
{
    struct tap *tap = report;

    if (tap == NULL)
        return;
    report_open_fini(&tap->open);
    buffer_fini(&tap->out);
    buffer_fini(&tap->plain);
    free(tap);
}

/* The functions below return the results of buffer_append. */

/* What is in tap->plain, one line, as a description: "#" would begin a directive. */
static int
append_escaped(struct tap *tap, struct buffer *ret)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < tap->plain.length; i++) {
        char byte = (char)tap->plain.data[i];

        if (byte == '#' || byte == '\\')
            r = buffer_append(ret, "\\", 1);
        if (r == 0)
            r = buffer_append(ret, &byte, 1);
    }
    buffer_clear(&tap->plain, PARTS_CELL_BYTES_MAX);
    return r;
}

/* "not ok 3 - NAME # SKIP REASON", NAME being in tap->plain. */
static int
append_point(struct tap *tap, struct buffer *ret, size_t number, const json_t *event)
{
    enum parts_status status = parts_status(event);
    bool is_bad = status == PARTS_FAILED || status == PARTS_ERROR;
    bool is_skipped = status == PARTS_SKIPPED || status == PARTS_NOT_RUN;
    int r = buffer_append_format(ret, "%sok %zu - ", is_bad ? "not " : "", number);

    if (r == 0)
        r = append_escaped(tap, ret);
    if (r == 0 && is_skipped)
        r = buffer_append_text(ret, " # SKIP ");
    if (r == 0 && is_skipped)
        r = parts_append_reason(&tap->plain, event);
    if (r == 0)
        r = append_escaped(tap, ret);
    return r != 0 ? r : buffer_append(ret, "\n", 1);
}

/* 'KEY: "TEXT"' as a line of a block, JSON being YAML, too; nothing for an empty text. */
static int
append_scalar(struct tap *tap, struct buffer *ret, const char *indent, const char *key,
              struct slice text)
{
    int r = parts_append_line(&tap->plain, text, PARTS_LINE_BYTES_MAX);

    if (r == 0 && tap->plain.length > 0) {
        r = buffer_append_format(ret, "%s%s: ", indent, key);
        if (r == 0)
            r = text_append_json(ret, tap->plain.data, tap->plain.length);
        if (r == 0)
            r = buffer_append(ret, "\n", 1);
    }
    buffer_clear(&tap->plain, PARTS_CELL_BYTES_MAX);
    return r;
}

/* Where a cell is: file and line. */
static int
append_place(struct tap *tap, struct buffer *ret, const char *indent, const char *path,
             const json_t *event)
{
    const json_t *line = json_object_get(event, "line");
    int r;

    if (!json_is_integer(line))
        return 0;
    r = append_scalar(tap, ret, indent, "file", slice_text(path));
    return r != 0 ? r
                  : buffer_append_format(ret, "%sline: %lld\n", indent,
                                         (long long)json_integer_value(line));
}

/* All about a cell, as a literal text. Its lines are indented further than the end of the
 * block, so that none of them is one. */
static int
append_details(struct tap *tap, struct buffer *ret, const char *indent,
               const json_t *event)
{
    int r = parts_append_cell(&tap->plain, event);

    if (r == 0 && tap->plain.length > 0) {
        CLEANUP(freep) char *prefix = NULL;

        prefix = malloc(strlen(indent) + sizeof YAML);
        if (prefix == NULL)
            return -ENOMEM;
        strcpy(stpcpy(prefix, indent), YAML);
        bool is_indented = tap->plain.data[0] == ' ' || tap->plain.data[0] == '\n';

        /* Where it can be guessed the indentation is left out: not all readers know it.
         */
        r = buffer_append_format(ret, "%sdetails: |%s\n", indent, is_indented ? "2" : "");
        if (r == 0)
            r = parts_append_lines(ret, prefix, buffer_slice(&tap->plain),
                                   tap->plain.length);
    }
    buffer_clear(&tap->plain, PARTS_CELL_BYTES_MAX);
    return r;
}

/* The block below a test point that is not ok; INDENT: of its lines. */
static int
append_block(struct tap *tap, struct buffer *ret, const char *indent, const char *path,
             const json_t *event)
{
    const json_t *reason = json_object_get(event, "reason");
    enum parts_status status = parts_status(event);
    int r;

    if (status != PARTS_FAILED && status != PARTS_ERROR)
        return 0;
    r = buffer_append_format(ret, "%s---\n%sseverity: %s\n", indent, indent,
                             status == PARTS_FAILED ? "fail" : "error");
    if (r == 0)
        r = buffer_append_format(ret, "%sduration_ms: %.3f\n", indent,
                                 parts_seconds(event) * 1e3);
    if (r == 0)
        r = append_scalar(tap, ret, indent, "kind", parts_string(reason, "kind"));
    if (r == 0)
        r = append_place(tap, ret, indent, path, event);
    if (r == 0)
        r = append_details(tap, ret, indent, event);
    return r != 0 ? r : buffer_append_format(ret, "%s...\n", indent);
}

static int
append_cell(struct tap *tap, struct report_open *one, const json_t *event)
{
    struct buffer *ret = &one->text;
    int r;

    one->counts[parts_status(event)]++;
    r = buffer_append_text(ret, SUBTEST);
    if (r == 0)
        r = parts_append_cell_name(&tap->plain, event);
    if (r == 0)
        r = append_point(tap, ret, ++one->cells, event);
    return r != 0 ? r : append_block(tap, ret, SUBTEST YAML, one->path, event);
}

/* "# Subtest: PATH", the points of its cells, and their plan. */
static int
append_subtest(struct tap *tap, const struct report_open *one)
{
    struct buffer *ret = &tap->out;
    int r;

    if (one->cells == 0)
        return 0;
    r = buffer_append_text(ret, "# Subtest: ");
    if (r == 0)
        r = parts_append_line(&tap->plain, slice_text(one->path), PARTS_LINE_BYTES_MAX);
    if (r == 0)
        r = append_escaped(tap, ret);
    if (r == 0)
        r = buffer_append_format(ret, "\n" SUBTEST "1..%zu\n", one->cells);
    return r != 0 ? r : buffer_append(ret, one->text.data, one->text.length);
}

static int
append_notes(struct tap *tap, const json_t *event)
{
    const json_t *note;
    size_t i;
    int r = 0;

    json_array_foreach(json_object_get(event, "notes"), i, note)
    {
        if (i == NOTES_MAX)
            break;
        r = buffer_append_text(&tap->out, "# ");
        if (r == 0)
            r = parts_append_line(&tap->out, parts_slice(note), PARTS_LINE_BYTES_MAX);
        if (r == 0)
            r = buffer_append(&tap->out, "\n", 1);
        if (r != 0)
            break;
    }
    return r;
}

/* ONE is over: EVENT tells how it ended. */
static int
append_notebook(struct tap *tap, struct report_open *one, const json_t *event)
{
    int r = append_subtest(tap, one);

    if (r == 0)
        r = parts_append_line(&tap->plain, slice_text(one->path), PARTS_LINE_BYTES_MAX);
    if (r == 0)
        r = append_point(tap, &tap->out, ++tap->points, event);
    if (r == 0)
        r = append_block(tap, &tap->out, YAML, one->path, event);
    if (r == 0)
        r = append_notes(tap, event);
    report_open_close(&tap->open, one);
    return r;
}

static int
append_begin(struct tap *tap, const json_t *event)
{
    const json_t *notebooks = json_object_get(event, "notebooks");
    int r = buffer_append_text(&tap->out, "TAP version 14\n");

    tap->has_plan = json_is_array(notebooks);
    if (r != 0 || !tap->has_plan)
        return r;
    return buffer_append_format(&tap->out, "1..%zu\n", json_array_size(notebooks));
}

static int
append_end(struct tap *tap, const json_t *event)
{
    CLEANUP(tree_decrefp)
    json_t *lost =
        json_pack("{s:s,s:{s:s,s:s}}", "status", "error", "reason", "kind", "interrupted",
                  "text", "The run ended before the notebook did.");
    int r = 0;

    if (lost == NULL)
        return -ENOMEM;
    while (r == 0 && tap->open != NULL)
        r = append_notebook(tap, tap->open, lost);
    if (r == 0 && slice_equals_text(parts_string(event, "status"), "interrupted"))
        return buffer_append_text(&tap->out, "Bail out! The run was interrupted.\n");
    if (r == 0 && !tap->has_plan)
        r = buffer_append_format(&tap->out, "1..%zu\n", tap->points);
    return r;
}

static int
tap_event(void *report, const json_t *event)
{
    struct tap *tap = report;
    struct report_open *one = NULL;
    int r = 0;

    buffer_clear(&tap->out, KEPT_BYTES);
    if (parts_is_event(event, "begin")) {
        r = append_begin(tap, event);
    } else if (parts_is_event(event, "end")) {
        r = append_end(tap, event);
    } else if (parts_is_event(event, "cell")) {
        r = report_open_find(&tap->open, event, &one);
        if (r == 0)
            r = append_cell(tap, one, event);
    } else if (parts_is_event(event, "notebook")) {
        r = report_open_find(&tap->open, event, &one);
        if (r == 0)
            r = append_notebook(tap, one, event);
    }
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    if (tap->out.length == 0)
        return 0;
    return tap->options->write(buffer_slice(&tap->out), tap->options->arg);
}

const struct report_kind report_tap = {
    .name = "tap",
    .create = tap_create,
    .event = tap_event,
    .destroy = tap_destroy,
};

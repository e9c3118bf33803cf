/* SPDX-License-Identifier: MIT */
/*
 * JUnit XML: a suite for each notebook, a case for each of its cells of code. Suites and
 * the whole begin with their counts, so that nothing can be written before the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/notebook/report.h"
#include "kernel/notebook/report_open.h"
#include "kernel/notebook/report_parts.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/tree.h"

#define JUNIT_BYTES_MAX ((size_t)1024 * 1024 * 1024)
#define JUNIT_TEXTS_BYTES_MAX ((size_t)64 * 1024 * 1024) /* beyond, messages alone */
#define NOTES_MAX 100 /* of a notebook */
#define NOTEBOOK_SUFFIX ".ipynb"

struct totals {
    size_t tests, failures, errors, skipped;
    double seconds;
};

struct junit {
    const struct report_options *options; /* borrowed */
    struct report_open *open; /* owned: notebooks that have not ended */
    struct buffer suites; /* owned: of those that have */
    struct buffer plain; /* owned: a text before it is escaped */
    struct totals totals;
};

static int
junit_create(void **ret, const struct report_options *options)
{
    struct junit *junit = calloc(1, sizeof *junit);

    if (junit == NULL)
        return -ENOMEM;
    junit->options = options;
    buffer_init(&junit->suites, JUNIT_BYTES_MAX);
    buffer_init(&junit->plain, JUNIT_BYTES_MAX);
    *ret = junit;
    return 0;
}

static void
junit_destroy(void *report)
{
    struct junit *junit = report;

    if (junit == NULL)
        return;
    report_open_fini(&junit->open);
    buffer_fini(&junit->suites);
    buffer_fini(&junit->plain);
    free(junit);
}

/* The functions below return the results of buffer_append. */

/* ' NAME="..."' of what is in junit->plain, which is empty then. */
static int
append_attribute(struct junit *junit, struct buffer *ret, const char *name)
{
    int r = buffer_append_format(ret, " %s=\"", name);

    if (r == 0)
        r = parts_append_xml(ret, buffer_slice(&junit->plain));
    buffer_clear(&junit->plain, PARTS_CELL_BYTES_MAX);
    return r != 0 ? r : buffer_append(ret, "\"", 1);
}

static int
append_text_attribute(struct junit *junit, struct buffer *ret, const char *name,
                      struct slice text)
{
    int r = parts_append_line(&junit->plain, text, PARTS_LINE_BYTES_MAX);

    return r != 0 ? r : append_attribute(junit, ret, name);
}

/* The path without its suffix, with dots between its parts: "examples.plots". */
static int
append_class(struct junit *junit, struct buffer *ret, const char *path)
{
    size_t length = strlen(path), suffix = strlen(NOTEBOOK_SUFFIX);
    int r;

    if (length > suffix && strcmp(path + length - suffix, NOTEBOOK_SUFFIX) == 0)
        length -= suffix;
    while (length > 0 && (*path == '/' || *path == '.')) {
        path++;
        length--;
    }
    r = parts_append_line(&junit->plain, (struct slice){ (const uint8_t *)path, length },
                          PARTS_LINE_BYTES_MAX);
    for (size_t i = 0; i < junit->plain.length; i++) {
        if (junit->plain.data[i] == '/')
            junit->plain.data[i] = '.';
    }
    return r != 0 ? r : append_attribute(junit, ret, "classname");
}

/* '<testcase ...>' for the notebook ONE, or for a cell of it. */
static int
begin_case(struct junit *junit, struct report_open *one, const json_t *event)
{
    const json_t *line = json_object_get(event, "line");
    bool is_cell = parts_is_event(event, "cell");
    int r;

    r = buffer_append_text(&one->text, "    <testcase");
    if (r == 0)
        r = append_class(junit, &one->text, one->path);
    if (r == 0)
        r = is_cell ? parts_append_cell_name(&junit->plain, event)
                    : buffer_append_text(&junit->plain, "Notebook");
    if (r == 0)
        r = append_attribute(junit, &one->text, "name");
    if (r == 0)
        r = append_text_attribute(junit, &one->text, "file", slice_text(one->path));
    if (r == 0 && json_is_integer(line) && json_integer_value(line) > 0)
        r = buffer_append_format(&one->text, " line=\"%lld\"",
                                 (long long)json_integer_value(line));
    return r != 0
               ? r
               : buffer_append_format(&one->text, " time=\"%.3f\"", parts_seconds(event));
}

/* Reports with very many failures tell what failed, but not how. */
static bool
has_room_for_texts(const struct junit *junit, const struct report_open *one)
{
    return junit->suites.length + one->text.length < JUNIT_TEXTS_BYTES_MAX;
}

/* '<ELEMENT type="..." message="...">...</ELEMENT>': why a case did not pass. */
static int
append_outcome(struct junit *junit, struct report_open *one, const char *element,
               const json_t *event)
{
    bool has_text = strcmp(element, "skipped") != 0 && has_room_for_texts(junit, one);
    const json_t *reason = json_object_get(event, "reason");
    int r;

    r = buffer_append_format(&one->text, "      <%s", element);
    if (r == 0)
        r = append_text_attribute(junit, &one->text, "type",
                                  parts_string(reason, "kind"));
    if (r == 0)
        r = parts_append_reason(&junit->plain, event);
    if (r == 0)
        r = append_attribute(junit, &one->text, "message");
    if (r == 0 && has_text)
        r = parts_append_cell(&junit->plain, event);
    if (r == 0)
        r = buffer_append(&one->text, ">", 1);
    if (r == 0)
        r = parts_append_xml(&one->text, buffer_slice(&junit->plain));
    buffer_clear(&junit->plain, PARTS_CELL_BYTES_MAX);
    return r != 0 ? r : buffer_append_format(&one->text, "</%s>\n", element);
}

/* A case for EVENT: a cell, or what happened to the notebook as a whole. */
static int
append_case(struct junit *junit, struct report_open *one, const json_t *event)
{
    static const char *const elements[PARTS_STATUSES] = {
        [PARTS_FAILED] = "failure",
        [PARTS_ERROR] = "error",
        [PARTS_SKIPPED] = "skipped",
        [PARTS_NOT_RUN] = "skipped",
    };
    enum parts_status status = parts_status(event);
    int r = begin_case(junit, one, event);

    one->cells++;
    one->counts[status]++;
    if (r != 0)
        return r;
    if (elements[status] == NULL)
        return buffer_append_text(&one->text, "/>\n");
    r = buffer_append_text(&one->text, ">\n");
    if (r == 0)
        r = append_outcome(junit, one, elements[status], event);
    return r != 0 ? r : buffer_append_text(&one->text, "    </testcase>\n");
}

static int
append_counts(struct buffer *ret, const struct totals *totals)
{
    return buffer_append_format(
        ret,
        " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\"",
        totals->tests, totals->failures, totals->errors, totals->skipped,
        totals->seconds);
}

static int
append_property(struct junit *junit, const char *name, const char *value)
{
    struct buffer *ret = &junit->suites;
    int r;

    if (value == NULL)
        return 0;
    r = buffer_append_format(ret, "      <property name=\"%s\"", name);
    if (r == 0)
        r = append_text_attribute(junit, ret, "value", slice_text(value));
    return r != 0 ? r : buffer_append_text(ret, "/>\n");
}

static int
append_properties(struct junit *junit, const struct report_open *one)
{
    int r;

    if (one->kernel == NULL && one->language == NULL)
        return 0;
    r = buffer_append_text(&junit->suites, "    <properties>\n");
    if (r == 0)
        r = append_property(junit, "kernel", one->kernel);
    if (r == 0)
        r = append_property(junit, "language", one->language);
    return r != 0 ? r : buffer_append_text(&junit->suites, "    </properties>\n");
}

/* What is worth saying of the notebook: each note on a line. */
static int
append_notes(struct junit *junit, const json_t *event)
{
    struct slice pending = parts_string(event, "pending");
    const json_t *notes = json_object_get(event, "notes"), *note;
    struct buffer *plain = &junit->plain;
    size_t i;
    int r = 0;

    json_array_foreach(notes, i, note)
    {
        if (r == 0 && i < NOTES_MAX)
            r = parts_append_line(plain, parts_slice(note), PARTS_LINE_BYTES_MAX);
        if (r == 0 && i < NOTES_MAX)
            r = buffer_append(plain, "\n", 1);
    }
    if (r == 0 && pending.length > 0) {
        r = buffer_append_text(plain, "recorded: ");
        if (r == 0)
            r = parts_append_line(plain, pending, PARTS_LINE_BYTES_MAX);
    }
    if (r != 0 || plain->length == 0)
        return r;
    r = buffer_append_text(&junit->suites, "    <system-out>");
    if (r == 0)
        r = parts_append_xml(&junit->suites, buffer_slice(plain));
    buffer_clear(plain, PARTS_CELL_BYTES_MAX);
    return r != 0 ? r : buffer_append_text(&junit->suites, "</system-out>\n");
}

/* Adds the suite of ONE, which is over. */
static int
append_suite(struct junit *junit, const struct report_open *one, const json_t *event)
{
    const struct totals own = {
        .tests = one->cells,
        .failures = one->counts[PARTS_FAILED],
        .errors = one->counts[PARTS_ERROR],
        .skipped = one->counts[PARTS_SKIPPED] + one->counts[PARTS_NOT_RUN],
        .seconds = parts_seconds(event),
    };
    struct buffer *ret = &junit->suites;
    int r;

    junit->totals.tests += own.tests;
    junit->totals.failures += own.failures;
    junit->totals.errors += own.errors;
    junit->totals.skipped += own.skipped;
    r = buffer_append_text(ret, "  <testsuite");
    if (r == 0)
        r = append_text_attribute(junit, ret, "name", slice_text(one->path));
    if (r == 0)
        r = append_counts(ret, &own);
    if (r == 0)
        r = buffer_append_text(ret, ">\n");
    if (r == 0)
        r = append_properties(junit, one);
    if (r == 0)
        r = buffer_append(ret, one->text.data, one->text.length);
    if (r == 0)
        r = append_notes(junit, event);
    return r != 0 ? r : buffer_append_text(ret, "  </testsuite>\n");
}

/* What happened to a notebook is a case of its own where no cell tells it. */
static bool
needs_own_case(const struct report_open *one, const json_t *event)
{
    enum parts_status status = parts_status(event);
    size_t bad = one->counts[PARTS_FAILED] + one->counts[PARTS_ERROR];

    if (status == PARTS_PASSED)
        return false;
    if (status == PARTS_SKIPPED || status == PARTS_NOT_RUN)
        return one->cells == 0;
    return bad == 0 || (status == PARTS_ERROR && one->counts[PARTS_ERROR] == 0);
}

static int
close_notebook(struct junit *junit, struct report_open *one, const json_t *event)
{
    int r = 0;

    if (needs_own_case(one, event))
        r = append_case(junit, one, event);
    if (r == 0)
        r = append_suite(junit, one, event);
    report_open_close(&junit->open, one);
    return r;
}

/* The run has ended before some notebooks have. */
static int
close_rest(struct junit *junit)
{
    CLEANUP(tree_decrefp)
    json_t *lost = json_pack("{s:s,s:s,s:{s:s,s:s}}", "event", "notebook", "status",
                             "error", "reason", "kind", "interrupted", "text",
                             "The run ended before the notebook did.");
    int r = 0;

    if (lost == NULL)
        return -ENOMEM;
    while (r == 0 && junit->open != NULL)
        r = close_notebook(junit, junit->open, lost);
    return r;
}

static int
write_all(struct junit *junit, const json_t *end)
{
    static const char head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                               "<testsuites name=\"cellwall\"";
    const struct report_options *options = junit->options;
    int r;

    junit->totals.seconds = parts_seconds(end);
    buffer_clear(&junit->plain, PARTS_CELL_BYTES_MAX);
    r = buffer_append_text(&junit->plain, head);
    if (r == 0)
        r = append_counts(&junit->plain, &junit->totals);
    if (r == 0)
        r = buffer_append_text(&junit->plain, ">\n");
    if (r == 0)
        r = buffer_append_text(&junit->suites, "</testsuites>\n");
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    r = options->write(buffer_slice(&junit->plain), options->arg);
    return r != 0 ? r : options->write(buffer_slice(&junit->suites), options->arg);
}

static int
junit_event(void *report, const json_t *event)
{
    struct junit *junit = report;
    bool is_cell = parts_is_event(event, "cell");
    bool is_notebook = parts_is_event(event, "notebook");
    struct report_open *one = NULL;
    int r = 0;

    if (parts_is_event(event, "end")) {
        r = close_rest(junit);
        if (r == 0)
            return write_all(junit, event);
    } else if (is_cell || is_notebook || parts_is_event(event, "notebook_begin")) {
        r = report_open_find(&junit->open, event, &one);
        if (r == 0 && is_cell)
            r = append_case(junit, one, event);
        if (r == 0 && is_notebook)
            r = close_notebook(junit, one, event);
    }
    return r > 0 ? -ENOBUFS : r;
}

const struct report_kind report_junit = {
    .name = "junit",
    .create = junit_create,
    .event = junit_event,
    .destroy = junit_destroy,
};

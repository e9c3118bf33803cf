/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/differ.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/compare/compare.h"
#include "kernel/file.h"
#include "kernel/notebook/artefacts.h"
#include "kernel/notebook/comparer.h"
#include "kernel/notebook/criteria.h"
#include "kernel/notebook/directives.h"
#include "kernel/notebook/matching.h"
#include "kernel/notebook/project.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/notebook.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define SIDE_BYTES_MAX (COMPARE_MESSAGE_BYTES_MAX / 2 - ((size_t)4 << 20))
#define SETTINGS_BYTES_MAX ((size_t)1024 * 1024) /* of a notebook's metadata */
#define SETTINGS_DEPTH_MAX 32
#define NAME_BYTES_MAX 64 /* of a kernel or a language */

/* What is known while two notebooks are compared. */
struct work {
    const struct differ_pair *pair;
    const struct differ_options *options;
    struct notebook *before, *after; /* owned */
    json_t *settings; /* owned */
    json_t *notes; /* owned */
    json_t *events; /* owned */
    struct matching matching; /* owned */
    char kernel[NAME_BYTES_MAX], language[NAME_BYTES_MAX]; /* or "" */
    const char *trouble; /* static: the kind of what is wrong with it all, or NULL */
    struct error why;
};

static void
work_fini(struct work *work)
{
    notebook_destroy(work->before);
    notebook_destroy(work->after);
    json_decref(work->settings);
    json_decref(work->notes);
    json_decref(work->events);
    matching_fini(&work->matching);
}

int
differ_read(struct notebook **ret, const char *path, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, NOTEBOOK_BYTES_MAX);
    r = file_read_regular(path, &text, err);
    if (r == 0) {
        r = notebook_read(ret, buffer_slice(&text), err);
        if (r > 0)
            error_wrap(err, r, "%.300s", path);
    }
    return r <= 0 ? r : DIFFER_E_FAILED;
}

size_t
differ_count(const struct notebook *notebook)
{
    size_t count = 0;

    for (size_t i = 0; i < notebook->cell_count; i++)
        count += notebook->cells[i].type == NOTEBOOK_CODE;
    return count;
}

int
differ_settings(json_t **ret, const char *path, const struct differ_options *options,
                struct error *err)
{
    CLEANUP(project_destroyp) struct project *project = NULL;
    CLEANUP(tree_decrefp) json_t *settings = NULL;
    char absolute[PATH_MAX], folder[PATH_MAX], found[PATH_MAX];
    const char *config = options->config;
    int r;

    if (realpath(path, absolute) == NULL)
        return error_set(err, DIFFER_E_FAILED, "%.300s: %s", path, strerror(errno));
    snprintf(folder, sizeof folder, "%s", absolute);
    folder[strrchr(folder, '/') == folder ? 1 : strrchr(folder, '/') - folder] = '\0';
    if (config == NULL && project_locate(folder, found, sizeof found))
        config = found;
    r = project_read(&project, config, err);
    if (r != 0)
        return r < 0 ? r : DIFFER_E_FAILED;
    if (project_excludes(project, absolute))
        return DIFFER_E_EXCLUDED;
    settings = project_settings(project, absolute);
    if (settings == NULL)
        return -ENOMEM;
    r = criteria_merge(settings, options->overrides);
    if (r < 0)
        return r;
    *ret = settings;
    settings = NULL;
    return 0;
}

/* Member "name" of member KEY of the notebook's metadata, or "". */
static void
read_name(const struct notebook *notebook, const char *key, char ret[NAME_BYTES_MAX])
{
    struct slice value;

    if (json_member(notebook->metadata, key, &value) != 0 ||
        json_member_string(value, "name", ret, NAME_BYTES_MAX) != 0)
        ret[0] = '\0';
}

/* What the notebook's metadata says goes over the project's. */
static int
read_metadata(struct work *work)
{
    static const struct json_limits limits = { SETTINGS_BYTES_MAX, SETTINGS_DEPTH_MAX };
    CLEANUP(tree_decrefp) json_t *ours = NULL;
    struct slice value;
    int r;

    read_name(work->after, "kernelspec", work->kernel);
    read_name(work->after, "language_info", work->language);
    if (json_member(work->after->metadata, "cellwall", &value) != 0)
        return 0;
    r = tree_load_object(&ours, value, &limits, &work->why);
    if (r == 0)
        r = criteria_check(ours, &work->why);
    if (r > 0)
        return error_wrap(&work->why, DIFFER_E_FAILED,
                          "%.200s: \"cellwall\" of its metadata", work->pair->after);
    return r < 0 ? r : criteria_merge(work->settings, ours);
}

static int
open_work(struct work *work)
{
    int r;

    work->notes = json_array();
    work->events = json_array();
    if (work->notes == NULL || work->events == NULL)
        return -ENOMEM;
    work->trouble = "notebook";
    r = differ_read(&work->before, work->pair->before, &work->why);
    if (r == 0)
        r = differ_read(&work->after, work->pair->after, &work->why);
    if (r != 0)
        return r;
    work->trouble = "settings";
    r = differ_settings(&work->settings, work->pair->after, work->options, &work->why);
    if (r == DIFFER_E_EXCLUDED) /* it was not when it was listed */
        error_set(&work->why, r, "the configuration has changed");
    if (r == 0)
        r = read_metadata(work);
    if (r != 0)
        return r;
    work->trouble = NULL;
    return matching_create(&work->matching, work->before, work->after);
}

static bool
wants_outputs(const struct work *work, const struct directives *directives)
{
    const char *compare = json_string_value(json_object_get(work->settings, "compare"));

    if (directives->compare == DIRECTIVES_IGNORE)
        return false;
    if (directives->compare == DIRECTIVES_COMPARE || compare == NULL)
        return compare == NULL || strcmp(compare, "none") != 0;
    return strcmp(compare, "all") == 0;
}

/* Asks the comparer. *RET_DIFFERENCES is the caller's: NULL when the two agree, or when
 * VERDICT has got the reason why that is not known. */
static int
ask(const struct work *work, const json_t *settings, const json_t *cell,
    const struct buffer *before, const struct buffer *after, struct verdict *verdict,
    json_t **ret_differences)
{
    CLEANUP(buffer_fini) struct buffer request;
    CLEANUP(tree_decrefp) json_t *answer = NULL;
    struct error why = { 0 };
    const char *refused;
    int r;

    *ret_differences = NULL;
    buffer_init(&request, COMPARE_MESSAGE_BYTES_MAX);
    r = comparer_append_request(&request, settings, cell, buffer_slice(before),
                                buffer_slice(after), false);
    if (r == 0)
        r = comparer_wait(work->options->comparer, &request, &answer, &why);
    else if (r > 0)
        error_set(&why, r, "what is to be compared is too large");
    if (r > 0)
        return verdict_set(verdict, VERDICT_ERROR, "comparison", "%s", why.text);
    if (r < 0)
        return r;
    refused = json_string_value(json_object_get(answer, "error"));
    if (refused != NULL)
        return verdict_set(verdict, VERDICT_ERROR, "comparison", "%s", refused);
    if (json_is_true(json_object_get(answer, "agree")))
        return 0;
    *ret_differences = json_incref(json_object_get(answer, "differences"));
    return *ret_differences != NULL ? 0 : -ENOMEM;
}

static bool
is_equal(const struct buffer *one, const struct buffer *other)
{
    return one->length == other->length &&
           (one->length == 0 || memcmp(one->data, other->data, one->length) == 0);
}

static int
compare_outputs(const struct work *work, const struct matching_pair *at,
                const json_t *cell, struct verdict *verdict)
{
    CLEANUP(buffer_fini) struct buffer before;
    CLEANUP(buffer_fini) struct buffer after;
    int r;

    buffer_init(&before, SIDE_BYTES_MAX);
    buffer_init(&after, SIDE_BYTES_MAX);
    verdict->compared = true;
    r = notebook_append_outputs(&work->before->cells[at->before], &before);
    if (r == 0)
        r = notebook_append_outputs(&work->after->cells[at->after], &after);
    if (r > 0)
        return verdict_set(verdict, VERDICT_ERROR, "comparison",
                           "its outputs are too large to be compared: more than %zu MiB",
                           SIDE_BYTES_MAX >> 20);
    if (r < 0 || is_equal(&before, &after))
        return r;
    return ask(work, work->settings, cell, &before, &after, verdict,
               &verdict->differences);
}

/* TEXT as the output of a cell. */
static int
append_as_output(struct buffer *ret, struct slice text)
{
    int r = buffer_append_text(
        ret, "[{\"output_type\":\"stream\",\"name\":\"stdout\",\"text\":");

    if (r == 0)
        r = text_append_json(ret, text.data, text.length);
    return r != 0 ? r : buffer_append_text(ret, "}]");
}

static json_t *
text_of(struct slice text)
{
    if (text.length > COMPARE_TEXT_BYTES_MAX)
        text.length = text_utf8_whole(text.data, COMPARE_TEXT_BYTES_MAX);
    return json_stringn(text.length > 0 ? (const char *)text.data : "", text.length);
}

/* The difference of two sources, in the form of one of outputs. LINES is taken. */
static int
add_source(struct verdict *verdict, struct slice before, struct slice after,
           json_t *lines)
{
    json_t *difference = json_pack(
        "{s:s, s:n, s:s, s:s, s:s, s:o, s:o, s:o, s:[], s:n, s:[]}", "type", "source",
        "output", "kind", "differs", "policy", "exact", "message", "the source differs",
        "expected", text_of(before), "actual", text_of(after), "lines",
        lines != NULL ? lines : json_null(), "numbers", "image", "rules");

    if (verdict->differences == NULL)
        verdict->differences = json_array();
    return json_array_insert_new(verdict->differences, 0, difference) == 0 ? 0 : -ENOMEM;
}

/* The comparing program makes the diff of lines, as of two texts in which all counts. */
static int
compare_sources(const struct work *work, const struct matching_pair *at,
                struct verdict *verdict)
{
    static const char exact[] =
        "{\"rtol\":0,\"atol\":0,\"whitespace\":\"exact\",\"normalise\":{\"ansi\":false,"
        "\"carriage\":false,\"addresses\":false,\"figures\":false,\"cells\":false,"
        "\"timings\":false,\"temporary\":false,\"widgets\":false}}";
    struct slice sources[] = { work->before->cells[at->before].source,
                               work->after->cells[at->after].source };
    CLEANUP(tree_decrefp) json_t *settings = json_loads(exact, 0, NULL);
    CLEANUP(tree_decrefp) json_t *differences = NULL;
    CLEANUP(buffer_fini) struct buffer before;
    CLEANUP(buffer_fini) struct buffer after;
    struct verdict ignored = { .status = VERDICT_PASSED };
    int r;

    buffer_init(&before, SIDE_BYTES_MAX);
    buffer_init(&after, SIDE_BYTES_MAX);
    if (settings == NULL)
        return -ENOMEM;
    r = append_as_output(&before, sources[0]);
    if (r == 0)
        r = append_as_output(&after, sources[1]);
    if (r == 0)
        r = ask(work, settings, NULL, &before, &after, &ignored, &differences);
    verdict_fini(&ignored); /* there are no lines then, but the sources differ */
    if (r < 0)
        return r;
    return add_source(
        verdict, sources[0], sources[1],
        json_incref(json_object_get(json_array_get(differences, 0), "lines")));
}

static bool
has_same_source(const struct work *work, const struct matching_pair *at)
{
    struct slice before = work->before->cells[at->before].source;
    struct slice after = work->after->cells[at->after].source;

    return before.length == after.length &&
           (before.length == 0 || memcmp(before.data, after.data, before.length) == 0);
}

static int
judge(const struct work *work, const struct matching_pair *at, struct verdict *verdict)
{
    bool changed = work->options->sources && !has_same_source(work, at);
    const char *first;
    int r = 0;

    first = json_string_value(
        json_object_get(json_array_get(verdict->differences, 0), "message"));
    if (changed)
        r = verdict_set(verdict, VERDICT_FAILED, "changed",
                        first != NULL ? "its source and its outputs differ"
                                      : "its source differs");
    else if (verdict->differences != NULL)
        r = verdict_set(verdict, VERDICT_FAILED, "differs", "its outputs differ%s%s",
                        first != NULL ? ": " : "", first != NULL ? first : "");
    return r == 0 && changed ? compare_sources(work, at, verdict) : r;
}

/* Of a cell that both have. */
static int
compare_cells(struct work *work, const struct matching_pair *at, size_t number,
              struct verdict *verdict)
{
    CLEANUP(directives_fini) struct directives directives = { 0 };
    struct error why = { 0 };
    int r = directives_read(&directives, &work->after->cells[at->after], work->language,
                            work->notes, &why);

    if (r > 0)
        return verdict_set(verdict, VERDICT_ERROR, "settings", "%s", why.text);
    if (r == 0 && wants_outputs(work, &directives))
        r = compare_outputs(work, at, directives.comparison, verdict);
    if (r == 0)
        r = judge(work, at, verdict);
    if (r == 0 && verdict->differences != NULL)
        r = artefacts_save(work->options->artefacts, work->pair->path, number,
                           verdict->differences);
    return r;
}

static int
add_event(struct work *work, json_t *event)
{
    return json_array_append_new(work->events, event) == 0 ? 0 : -ENOMEM;
}

/* NUMBER: among the cells of code, of one that was removed those of the file before. */
static int
add_cell(struct work *work, const struct matching_pair *at, size_t number,
         struct verdict_counts *counts)
{
    CLEANUP(verdict_fini)
    struct verdict verdict = { .seconds = -1, .execution_count = -1 };
    bool removed = at->after == MATCHING_NONE;
    json_t *event;
    int r;

    if (removed)
        r = verdict_set(&verdict, VERDICT_FAILED, "removed", "it is only in %.300s",
                        work->pair->before);
    else if (at->before == MATCHING_NONE)
        r = verdict_set(&verdict, VERDICT_FAILED, "added", "it is only in %.300s",
                        work->pair->after);
    else
        r = compare_cells(work, at, number, &verdict);
    if (r < 0)
        return r;
    counts->of[verdict.status]++;
    event =
        verdict_event(&verdict, work->pair->path, removed ? work->before : work->after,
                      removed ? at->before : at->after, number, NULL);
    if (event != NULL && removed) /* the path is of the other file */
        json_object_set_new(event, "line", json_null());
    return add_event(work, event);
}

static size_t
number_of(const struct notebook *notebook, size_t cell)
{
    size_t number = 0;

    for (size_t i = 0; i < cell; i++)
        number += notebook->cells[i].type == NOTEBOOK_CODE;
    return number;
}

static double
now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static json_t *
notebook_event(const char *path, enum verdict_status status, double seconds,
               const struct verdict_counts *counts, json_t *reason, const json_t *notes)
{
    return json_pack(
        "{s:s, s:o, s:s, s:f, s:o, s:o, s:o, s:n, s:i}", "event", "notebook", "path",
        verdict_text(path), "status", verdict_status_name(status), "seconds", seconds,
        "counts", verdict_counts_object(counts), "reason", reason, "notes",
        notes != NULL ? json_deep_copy(notes) : json_array(), "pending", "recorded", 0);
}

json_t *
differ_event(const char *path, enum verdict_status status, const char *kind,
             const char *text)
{
    const struct verdict_counts none = { { 0 } };

    return notebook_event(path, status, 0, &none, verdict_reason(kind, text), NULL);
}

static int
compare_all(struct work *work, struct verdict_counts *counts)
{
    int r = add_event(work, json_pack("{s:s, s:o, s:s, s:s}", "event", "notebook_begin",
                                      "path", verdict_text(work->pair->path), "kernel",
                                      work->kernel, "language", work->language));

    for (size_t i = 0; r == 0 && i < work->matching.count; i++) {
        const struct matching_pair *at = &work->matching.pairs[i];
        size_t number = at->after != MATCHING_NONE ? number_of(work->after, at->after)
                                                   : number_of(work->before, at->before);

        r = add_cell(work, at, number, counts);
    }
    return r;
}

int
differ_compare(json_t **ret, const struct differ_pair *pair,
               const struct differ_options *options, struct verdict_counts *counts,
               enum verdict_status *ret_status)
{
    CLEANUP(work_fini) struct work work = { .pair = pair, .options = options };
    struct verdict_counts own = { { 0 } };
    double begun_s = now_s();
    int r = open_work(&work);

    if (r > 0) {
        *ret_status = VERDICT_ERROR;
        r = add_event(
            &work, differ_event(pair->path, VERDICT_ERROR, work.trouble, work.why.text));
    } else if (r == 0) {
        r = compare_all(&work, &own);
        *ret_status = verdict_worst(&own);
        if (r == 0)
            r = add_event(&work,
                          notebook_event(pair->path, *ret_status, now_s() - begun_s, &own,
                                         json_null(), work.notes));
    }
    if (r < 0)
        return r;
    for (size_t i = 0; i < VERDICT_STATUS_END; i++)
        counts->of[i] += own.of[i];
    *ret = work.events;
    work.events = NULL;
    return 0;
}

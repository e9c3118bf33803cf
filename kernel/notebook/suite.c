/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/agent/languages.h"
#include "kernel/notebook/comparer.h"
#include "kernel/notebook/durations.h"
#include "kernel/notebook/item.h"
#include "kernel/notebook/reporting.h"
#include "kernel/probe.h"
#include "kernel/warm.h"
#include "protocol/error.h"
#include "protocol/notebook.h"
#include "protocol/tree.h"

#define UNKNOWN_S 1.0 /* a notebook that was never run, and for each of its cells: */
#define UNKNOWN_CELL_S 0.1
#define KNOWN_DONE 0.05 /* before that nobody can say how long it takes */

/* One of the notebooks that are tested at the same time. */
struct seat {
    struct item *item; /* borrowed, NULL: free */
    struct job *job; /* owned */
    struct comparer *comparer; /* owned */
    bool ended; /* its job has */
};

struct suite {
    struct suite_options options;
    struct item **items; /* owned, each owned; in the order in which they were added */
    struct item **order; /* owned: in which they are run */
    size_t count, capacity, next;
    struct seat seats[SUITE_JOBS_MAX];
    struct loop_timer *timer; /* owned: for progress */
    struct verdict_counts notebooks, cells;
    double done_s, all_s; /* expected seconds of those that have ended, and of all */
    size_t recorded;
    uint64_t started_us, running_us; /* since when there is something to report, to run */
    bool interrupted, progress_due;
};

static int
on_timer(void *arg)
{
    struct suite *suite = arg;

    suite->progress_due = true;
    return 0;
}

int
suite_create(struct suite **ret, const struct suite_options *options)
{
    CLEANUP(suite_destroyp) struct suite *suite = calloc(1, sizeof *suite);
    int r;

    if (suite == NULL)
        return -ENOMEM;
    suite->options = *options;
    suite->started_us = loop_now_us(options->loop);
    r = loop_add_timer(&suite->timer, options->loop, on_timer, suite);
    if (r < 0)
        return r;
    *ret = suite;
    suite = NULL;
    return 0;
}

void
suite_destroy(struct suite *suite)
{
    if (suite == NULL)
        return;
    for (size_t i = 0; i < SUITE_JOBS_MAX; i++) {
        job_destroy(suite->seats[i].job);
        comparer_destroy(suite->seats[i].comparer);
    }
    for (size_t i = 0; i < suite->count; i++)
        item_destroy(suite->items[i]);
    loop_timer_destroy(suite->timer);
    free(suite->items);
    free(suite->order);
    free(suite);
}

static int
grow(struct suite *suite)
{
    size_t capacity = suite->capacity == 0 ? 64 : 2 * suite->capacity;
    struct item **items, **order;

    if (suite->count < suite->capacity)
        return 0;
    items = realloc(suite->items, capacity * sizeof *items);
    if (items == NULL)
        return -ENOMEM;
    suite->items = items;
    order = realloc(suite->order, capacity * sizeof *order);
    if (order == NULL)
        return -ENOMEM;
    suite->order = order;
    suite->capacity = capacity;
    return 0;
}

int
suite_add(struct suite *suite, const char *path)
{
    struct item *item;
    int r = grow(suite);

    if (r == 0)
        r = item_create(&item, path, suite->options.items);
    if (r != 0)
        return r < 0 ? r : 0;
    item->expected_s = durations_of(suite->options.durations, item->absolute);
    suite->items[suite->count] = suite->order[suite->count] = item;
    suite->count++;
    return 0;
}

size_t
suite_count(const struct suite *suite)
{
    return suite->count;
}

static size_t
count_runs(const struct suite *suite, const struct language *language)
{
    size_t count = 0;

    for (size_t i = 0; i < suite->count; i++)
        count += suite->items[i]->language == language;
    return count * suite->options.runs;
}

static bool
is_first_of(const struct suite *suite, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (suite->items[i]->language == suite->items[at]->language)
            return false;
    }
    return true;
}

int
suite_warm(struct suite *suite, size_t least, size_t *ret_begun)
{
    *ret_begun = 0;
    for (size_t i = 0; i < suite->count; i++) {
        const struct language *language = suite->items[i]->language;
        bool begun = false;
        int r;

        if (language == NULL || !is_first_of(suite, i) ||
            count_runs(suite, language) < least)
            continue;
        r = warm_zygote(suite->options.spawner, CONTEXT_PROFILE_NOTEBOOK,
                        language->runtime, language->environment, &begun, NULL);
        if (r < 0)
            return r;
        *ret_begun += begun;
    }
    return 0;
}

static double
weight_of(const struct item *item)
{
    return item->expected_s >= 0 ? item->expected_s
                                 : UNKNOWN_S + UNKNOWN_CELL_S * (double)item->cell_count;
}

static int
compare_weights(const void *a, const void *b)
{
    double first = weight_of(*(struct item *const *)a);
    double second = weight_of(*(struct item *const *)b);

    return (first < second) - (first > second);
}

static int
tell(struct suite *suite, json_t *event, struct error *err)
{
    int r = reporting_tell(suite->options.reporting, event, err);

    return r == REPORTING_E_FAILED ? SUITE_E_FAILED : r;
}

static int
tell_begin(struct suite *suite, struct error *err)
{
    static const char *const modes[] = { [JOB_TEST] = "test",
                                         [JOB_RECORD] = "record",
                                         [JOB_FLAKY] = "flaky",
                                         [JOB_AGAINST] = "against" };
    json_t *notebooks = json_array();

    for (size_t i = 0; i < suite->count; i++) {
        const struct item *item = suite->items[i];

        json_array_append_new(
            notebooks,
            json_pack("{s:o, s:I, s:o}", "path", verdict_text(item->path), "cells",
                      (json_int_t)item->cell_count, "expected_seconds",
                      item->expected_s >= 0 ? json_real(item->expected_s) : json_null()));
        suite->all_s += weight_of(item);
    }
    return tell(suite,
                json_pack("{s:s, s:i, s:s, s:s, s:i, s:o}", "event", "begin", "version",
                          1, "cellwall", CELLWALL_VERSION, "mode",
                          modes[suite->options.mode], "jobs", (int)suite->options.jobs,
                          "notebooks", notebooks),
                err);
}

static int
list_item(struct suite *suite, struct item *item, struct error *err)
{
    CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
    const struct verdict none = { .seconds = -1, .execution_count = -1 };
    struct directives *directives;
    size_t number = 0;
    int r = item->trouble == NULL ? item_load(item, &notebook, &directives) : 1;

    if (r > 0)
        return tell(suite,
                    json_pack("{s:s, s:o, s:s, s:o}", "event", "notebook", "path",
                              verdict_text(item->path), "status", "error", "reason",
                              verdict_reason(item->trouble, item->why.text)),
                    err);
    for (size_t i = 0; r == 0 && i < notebook->cell_count; i++) {
        if (notebook->cells[i].type == NOTEBOOK_CODE)
            r = tell(suite,
                     verdict_event(&none, item->path, notebook, i, number++, "listed"),
                     err);
    }
    if (r >= 0)
        item_free_directives(directives, notebook->cell_count);
    return r;
}

int
suite_list(struct suite *suite, struct error *err)
{
    int r = tell_begin(suite, err);

    for (size_t i = 0; r == 0 && i < suite->count; i++)
        r = list_item(suite, suite->items[i], err);
    return r;
}

static void
on_job_ended(void *arg)
{
    struct seat *seat = arg;

    seat->ended = true;
}

static int
begin_job(struct suite *suite, struct seat *seat, struct item *item, struct error *err)
{
    const struct job_options options = {
        .loop = suite->options.loop,
        .spawner = suite->options.spawner,
        .artefacts = suite->options.artefacts,
        .tier = suite->options.tier,
        .mode = suite->options.mode,
        .runs = suite->options.runs,
        .on_ended = on_job_ended,
        .arg = seat,
    };
    struct job_options with = options;
    int r = 0;

    if (seat->comparer == NULL)
        r = comparer_create(&seat->comparer, suite->options.loop, NULL, err);
    if (r != 0)
        return r < 0 ? r : SUITE_E_FAILED;
    with.comparer = seat->comparer;
    seat->item = item;
    seat->ended = false;
    r = tell(suite,
             json_pack("{s:s, s:o, s:s, s:s}", "event", "notebook_begin", "path",
                       verdict_text(item->path), "kernel",
                       item->language->environment->name, "language",
                       item->language->environment->language),
             err);
    return r == 0 ? job_create(&seat->job, item, &with) : r;
}

/* One that cannot be run is told, without a seat. */
static int
tell_trouble(struct suite *suite, const struct item *item, struct error *err)
{
    suite->notebooks.of[VERDICT_ERROR]++;
    suite->done_s += weight_of(item);
    return tell(suite,
                json_pack("{s:s, s:o, s:s, s:f, s:{}, s:o, s:O, s:n, s:i}", "event",
                          "notebook", "path", verdict_text(item->path), "status", "error",
                          "seconds", 0.0, "counts", "reason",
                          verdict_reason(item->trouble, item->why.text), "notes",
                          item->notes, "pending", "recorded", 0),
                err);
}

static int
end_job(struct suite *suite, struct seat *seat, struct error *err)
{
    CLEANUP(tree_decrefp) json_t *events = NULL;
    enum verdict_status status;
    json_t *event;
    size_t i;
    int r = job_result(seat->job);

    if (r < 0)
        return r;
    events = job_events(seat->job, &suite->cells, &status);
    if (events == NULL)
        return -ENOMEM;
    suite->notebooks.of[status]++;
    suite->done_s += weight_of(seat->item);
    json_array_foreach(events, i, event)
    {
        if (r == 0)
            r = tell(suite, json_incref(event), err);
    }
    event = json_array_get(events, json_array_size(events) - 1);
    suite->recorded += (size_t)json_integer_value(json_object_get(event, "recorded"));
    if (r == 0)
        r = durations_add(suite->options.durations, seat->item->absolute,
                          json_real_value(json_object_get(event, "seconds")));
    job_destroy(seat->job);
    seat->job = NULL;
    seat->item = NULL;
    return r;
}

/* Ends what has ended, and begins what may begin. *RET_BUSY: something goes on. */
static int
shift(struct suite *suite, bool *ret_busy, struct error *err)
{
    int r = 0;

    *ret_busy = false;
    for (size_t i = 0; r == 0 && i < suite->options.jobs; i++) {
        struct seat *seat = &suite->seats[i];

        if (seat->item != NULL && seat->ended)
            r = end_job(suite, seat, err);
        while (r == 0 && seat->item == NULL && suite->next < suite->count) {
            struct item *item = suite->order[suite->next++];

            r = item->trouble != NULL ? tell_trouble(suite, item, err)
                                      : begin_job(suite, seat, item, err);
        }
        *ret_busy |= seat->item != NULL;
    }
    return r;
}

static int
tell_progress(struct suite *suite, struct error *err)
{
    json_t *running = json_array();
    double done_s = suite->done_s;
    double passed_s =
        (double)(loop_now_us(suite->options.loop) - suite->running_us) / 1e6;
    double done;

    for (size_t i = 0; i < suite->options.jobs; i++) {
        const struct seat *seat = &suite->seats[i];
        size_t cell;

        if (seat->item == NULL)
            continue;
        done_s += weight_of(seat->item) * job_progress(seat->job, &cell);
        json_array_append_new(running, json_pack("{s:o, s:I, s:I}", "path",
                                                 verdict_text(seat->item->path), "cell",
                                                 (json_int_t)cell, "cells",
                                                 (json_int_t)seat->item->cell_count));
    }
    done = suite->all_s > 0 ? done_s / suite->all_s : 1;
    suite->progress_due = false;
    loop_timer_arm(suite->timer, SUITE_PROGRESS_MS * UINT64_C(1000));
    return tell(suite,
                json_pack("{s:s, s:f, s:o, s:o}", "event", "progress", "done", done,
                          "left_seconds",
                          done > KNOWN_DONE ? json_real(passed_s / done * (1 - done))
                                            : json_null(),
                          "running", running),
                err);
}

static const char *
status_of(const struct suite *suite)
{
    if (suite->interrupted)
        return "interrupted";
    /* That a cell was ended fails the run; an error is what could not be tested at all.
     */
    if (suite->cells.of[VERDICT_ERROR] > 0)
        return verdict_status_name(VERDICT_FAILED);
    return verdict_status_name(verdict_worst(&suite->notebooks));
}

static int
tell_end(struct suite *suite, const char **ret_status, struct error *err)
{
    *ret_status = status_of(suite);
    return tell(
        suite,
        json_pack("{s:s, s:s, s:o, s:o, s:f, s:o}", "event", "end", "status", *ret_status,
                  "notebooks", verdict_counts_object(&suite->notebooks), "cells",
                  verdict_counts_object(&suite->cells), "seconds",
                  (double)(loop_now_us(suite->options.loop) - suite->started_us) / 1e6,
                  "accept",
                  suite->recorded > 0 ? json_string("cellwall test --accept")
                                      : json_null()),
        err);
}

int
suite_run(struct suite *suite, const char **ret_status, struct error *err)
{
    bool busy = true;
    int r;

    qsort(suite->order, suite->count, sizeof *suite->order, compare_weights);
    r = tell_begin(suite, err);
    suite->running_us = loop_now_us(suite->options.loop);
    suite->progress_due = true;
    while (r == 0 && busy && !suite->interrupted) {
        r = shift(suite, &busy, err);
        if (r == 0 && suite->progress_due)
            r = tell_progress(suite, err);
        if (r == 0 && busy && !suite->interrupted)
            r = loop_wait(suite->options.loop, -1);
    }
    return r == 0 ? tell_end(suite, ret_status, err) : r;
}

void
suite_interrupt(struct suite *suite)
{
    suite->interrupted = true;
}

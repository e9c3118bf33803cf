/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/agent/languages.h"
#include "kernel/compare/compare.h"
#include "kernel/notebook/artefacts.h"
#include "kernel/notebook/comparer.h"
#include "kernel/notebook/item.h"
#include "kernel/notebook/outputs.h"
#include "kernel/notebook/pending.h"
#include "kernel/notebook/play.h"
#include "kernel/probe.h"
#include "protocol/json.h"
#include "protocol/notebook.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define SIDE_BYTES_MAX (COMPARE_MESSAGE_BYTES_MAX / 2) /* of a cell, as JSON */
#define NAME_SHOWN_BYTES 200 /* of an exception */
#define VALUE_SHOWN_BYTES 300
#define PRINTED_BYTES_MAX ((size_t)4 * 1024)
#define TRACEBACK_BYTES_MAX ((size_t)16 << 20) /* of the outputs that have it */

struct job {
    struct job_options options;
    struct item *item; /* borrowed */
    struct notebook *notebook; /* owned; NULL: it could not be read again */
    struct directives *directives; /* owned: one for each cell */
    struct verdict *verdicts; /* owned: one for each cell */
    json_t *settings; /* owned: those that the comparer knows */
    struct play *plays[JOB_RUNS_MAX]; /* owned */
    unsigned run, runs;
    struct loop_timer *timer; /* owned: tells an end that came at once */
    size_t comparing; /* the cell that is compared */
    unsigned against; /* ... with which run */
    size_t recorded;
    char pending[PATH_MAX]; /* "": none */
    uint64_t started_us;
    double seconds;
    bool judged; /* there are verdicts */
    int result;
};

static int on_timer(void *arg);
static void on_play_ended(void *arg);
static int compare_next(struct job *job);

/* What of the settings is about comparisons. */
static json_t *
comparison_of(const json_t *settings)
{
    static const char *const names[] = { "types",      "sanitize", "normalise", "decide",
                                         "rtol",       "atol",     "rms",       "pixels",
                                         "whitespace", "ignore" };
    json_t *ret = json_object();

    for (size_t i = 0; i < N_ELEMENTS(names); i++) {
        json_t *value = json_object_get(settings, names[i]);

        if (value != NULL)
            json_object_set(ret, names[i], value);
    }
    return ret;
}

static unsigned
runs_of(const struct job_options *options)
{
    if (options->mode == JOB_FLAKY)
        return options->runs;
    return options->mode == JOB_AGAINST ? 2 : 1;
}

/* Of an error of our own the loop hears by the job's end. */
static void
end(struct job *job, int result)
{
    if (result < 0)
        job->result = result;
    job->seconds = (double)(loop_now_us(job->options.loop) - job->started_us) / 1e6;
    job->options.on_ended(job->options.arg);
}

static int
on_timer(void *arg)
{
    end(arg, 0);
    return 0;
}

/* The next run, of the other kernel perhaps. Positive: the item has a trouble. */
static int
start_play(struct job *job)
{
    const struct item *item = job->item;
    bool other = job->options.mode == JOB_AGAINST && job->run == 1;
    const struct play_options options = {
        .loop = job->options.loop,
        .spawner = job->options.spawner,
        .language = other ? item->other : item->language,
        .directory = item->directory,
        .shown = item->shown,
        .network = item->network,
        .tier = job->options.tier,
        .limits = &item->limits,
        .notebook = job->notebook,
        .directives = job->directives,
        .cell_ms = item->cell_ms,
        .notebook_ms = item->notebook_ms,
        .on_ended = on_play_ended,
        .arg = job,
    };
    struct error why = { 0 };
    int r = item_check_place(job->item);

    if (r == 0)
        r = play_create(&job->plays[job->run], &options, &why);
    return r <= 0 ? r : item_fail(job->item, "start", &why);
}

int
job_create(struct job **ret, struct item *item, const struct job_options *options)
{
    CLEANUP(job_destroyp) struct job *job = calloc(1, sizeof *job);
    int r;

    if (job == NULL)
        return -ENOMEM;
    job->options = *options;
    job->item = item;
    job->runs = runs_of(options);
    job->against = 1;
    job->started_us = loop_now_us(options->loop);
    job->settings = comparison_of(item->settings);
    r = loop_add_timer(&job->timer, options->loop, on_timer, job);
    if (r == 0)
        r = item_load(item, &job->notebook, &job->directives);
    if (r == 0) {
        job->verdicts = calloc(job->notebook->cell_count + 1, sizeof *job->verdicts);
        r = job->verdicts == NULL ? -ENOMEM : start_play(job);
    }
    if (r < 0)
        return r;
    if (r > 0)
        loop_timer_arm(job->timer, 0);
    *ret = job;
    job = NULL;
    return 0;
}

void
job_destroy(struct job *job)
{
    if (job == NULL)
        return;
    for (unsigned i = 0; i < job->runs; i++)
        play_destroy(job->plays[i]);
    if (job->notebook != NULL) {
        for (size_t i = 0; job->verdicts != NULL && i < job->notebook->cell_count; i++)
            verdict_fini(&job->verdicts[i]);
        item_free_directives(job->directives, job->notebook->cell_count);
    }
    free(job->verdicts);
    notebook_destroy(job->notebook);
    json_decref(job->settings);
    loop_timer_destroy(job->timer);
    free(job);
}

int
job_result(const struct job *job)
{
    return job->result;
}

static size_t
number_of(const struct job *job, size_t cell)
{
    size_t number = 0;

    for (size_t i = 0; i < cell && i < job->notebook->cell_count; i++)
        number += job->notebook->cells[i].type == NOTEBOOK_CODE;
    return number;
}

double
job_progress(const struct job *job, size_t *ret_cell)
{
    double runs = job->runs;
    size_t count, at;

    *ret_cell = 0;
    if (job->notebook == NULL || job->run == job->runs || job->plays[job->run] == NULL)
        return 1;
    count = job->notebook->cell_count;
    at = play_position(job->plays[job->run]);
    *ret_cell = number_of(job, at);
    return (job->run + (count > 0 ? (double)at / (double)count : 1)) / runs;
}

/* --- verdicts ------------------------------------------------------------------- */

static bool
has_error(const struct notebook_cell *cell)
{
    struct slice type;

    for (size_t i = 0; i < cell->output_count; i++) {
        if (json_member(cell->outputs[i], "output_type", &type) == 0 &&
            json_string_equals(type, "error"))
            return true;
    }
    return false;
}

static bool
was_never_run(const struct notebook_cell *cell)
{
    return cell->execution_count < 0 && cell->output_count == 0;
}

static bool
wants_comparison(const struct job *job, size_t cell)
{
    const struct directives *directives = &job->directives[cell];

    if (directives->compare == DIRECTIVES_IGNORE)
        return false;
    if (job->options.mode == JOB_FLAKY || job->options.mode == JOB_AGAINST)
        return true;
    if (was_never_run(&job->notebook->cells[cell]))
        return false;
    return job->item->compare == ITEM_COMPARE_ALL ||
           (job->item->compare == ITEM_COMPARE_MARKED &&
            directives->compare == DIRECTIVES_COMPARE);
}

/* Keeps the last of the text that OUTPUT is, if it is text. */
static int
keep_tail(struct buffer *tail, const json_t *output)
{
    const json_t *text = json_object_get(output, "text");
    const char *at = json_string_value(text);
    size_t length = json_string_length(text);

    if (at == NULL)
        return 0;
    if (length > PRINTED_BYTES_MAX) {
        at += length - PRINTED_BYTES_MAX;
        length = PRINTED_BYTES_MAX;
    }
    if (tail->length + length > PRINTED_BYTES_MAX)
        buffer_consume(tail, tail->length + length - PRINTED_BYTES_MAX);
    return buffer_append(tail, at, length);
}

/* TAIL as a text of its own, from the first whole character on. */
static char *
copy_tail(const struct buffer *tail)
{
    size_t at = 0;

    while (at < tail->length && (tail->data[at] & 0xc0) == 0x80)
        at++;
    return tail->length > at ? strndup((const char *)tail->data + at, tail->length - at)
                             : NULL;
}

/* What helps to see why the cell failed: the traceback, and what it had printed. */
static int
add_circumstances(const struct job *job, size_t cell)
{
    const struct json_limits limits = { TRACEBACK_BYTES_MAX, JSON_DEPTH_MAX };
    struct verdict *verdict = &job->verdicts[cell];
    CLEANUP(buffer_fini) struct buffer text;
    CLEANUP(buffer_fini) struct buffer tail;
    CLEANUP(tree_decrefp) json_t *outputs = NULL;
    json_t *output;
    size_t i;
    int r;

    buffer_init(&text, TRACEBACK_BYTES_MAX);
    buffer_init(&tail, PRINTED_BYTES_MAX);
    r = outputs_append(play_outputs(job->plays[0]), cell, &text);
    if (r == 0)
        r = tree_load(&outputs, buffer_slice(&text), &limits, NULL);
    if (r != 0)
        return r < 0 ? r : 0; /* what is too large is left out */
    json_array_foreach(outputs, i, output)
    {
        json_t *lines = json_object_get(output, "traceback");

        if (lines != NULL && verdict->traceback == NULL)
            verdict->traceback = json_incref(lines);
        if (r == 0)
            r = keep_tail(&tail, output);
    }
    if (verdict->printed == NULL)
        verdict->printed = copy_tail(&tail);
    return r < 0 ? r : 0;
}

/* How much of TEXT is shown: whole characters. */
static int
shown(struct slice text, size_t max)
{
    return (int)(text.length <= max ? text.length : text_utf8_whole(text.data, max));
}

static int
judge_raised(struct job *job, size_t cell)
{
    struct verdict *verdict = &job->verdicts[cell];
    struct slice name = { 0 }, value = { 0 };
    int r;

    outputs_error(play_outputs(job->plays[0]), cell, &name, &value);
    r = verdict_set(verdict, VERDICT_FAILED, "raised",
                    "it raised an exception: %.*s%s%.*s", shown(name, NAME_SHOWN_BYTES),
                    name.length > 0 ? (const char *)name.data : "",
                    value.length > 0 ? ": " : "", shown(value, VALUE_SHOWN_BYTES),
                    value.length > 0 ? (const char *)value.data : "");
    return r == 0 ? add_circumstances(job, cell) : r;
}

/* Whether it should have raised, or not. */
static int
judge_exception(struct job *job, size_t cell)
{
    const struct play_cell *played = play_cell(job->plays[0], cell);
    enum directives_raises expected = job->directives[cell].raises;

    if (!played->raised && expected == DIRECTIVES_MUST_RAISE)
        return verdict_set(&job->verdicts[cell], VERDICT_FAILED, "no_exception",
                           "it should have raised an exception, and did not");
    if (!played->raised || expected != DIRECTIVES_NEVER || job->item->allows_errors)
        return 0;
    if (wants_comparison(job, cell) && has_error(&job->notebook->cells[cell]))
        return 0; /* it is stored, so it is compared like any other output */
    return judge_raised(job, cell);
}

/* How run RUN of the cell went. BROKEN: the number of the cell that ended that run. */
static int
judge_run(struct job *job, size_t cell, unsigned run, size_t broken)
{
    const struct play_cell *played = play_cell(job->plays[run], cell);
    struct verdict *verdict = &job->verdicts[cell];
    char prefix[160] = "";
    int r;

    if (run > 0 && job->options.mode == JOB_FLAKY)
        snprintf(prefix, sizeof prefix, "run %u: ", run + 1);
    else if (run > 0)
        snprintf(prefix, sizeof prefix, "%.100s: ", job->item->other->environment->name);
    if (played->status == PLAY_NOT_RUN)
        return verdict_set(verdict, VERDICT_NOT_RUN, "not_run",
                           "%sit was not run: cell %zu ended the run", prefix, broken);
    if (played->status != PLAY_BROKEN)
        return 0;
    r = verdict_set(verdict, VERDICT_ERROR, played->reason, "%s%s", prefix, played->text);
    if (r == 0 && played->stderr_tail != NULL && verdict->stderr_tail == NULL)
        verdict->stderr_tail = strdup(played->stderr_tail);
    return r == 0 ? add_circumstances(job, cell) : r;
}

/* The number of the cell that ended a run before its end. */
static size_t
find_broken(const struct job *job, unsigned run)
{
    for (size_t i = 0; i < job->notebook->cell_count; i++) {
        if (play_cell(job->plays[run], i)->status == PLAY_BROKEN)
            return number_of(job, i);
    }
    return 0;
}

static int
judge_cell(struct job *job, size_t cell, const size_t *broken)
{
    const struct play_cell *played = play_cell(job->plays[0], cell);
    struct verdict *verdict = &job->verdicts[cell];
    bool is_test = job->options.mode == JOB_TEST || job->options.mode == JOB_RECORD;
    int r = 0;

    verdict->seconds = played->seconds;
    verdict->execution_count = played->execution_count;
    if (job->directives[cell].skip)
        return verdict_set(verdict, VERDICT_SKIPPED, "skipped",
                           "it says that it is to be skipped");
    for (unsigned run = 0; r == 0 && run < job->runs; run++)
        r = judge_run(job, cell, run, broken[run]);
    if (r == 0 && verdict->status == VERDICT_PASSED && is_test &&
        played->status == PLAY_RAN)
        r = judge_exception(job, cell);
    /* A cell with nothing in it is not run: it shows nothing. */
    verdict->compared = verdict->status == VERDICT_PASSED &&
                        (played->status == PLAY_RAN || played->status == PLAY_SKIPPED) &&
                        wants_comparison(job, cell);
    verdict->recorded = verdict->status == VERDICT_PASSED &&
                        job->options.mode == JOB_RECORD && played->status == PLAY_RAN &&
                        was_never_run(&job->notebook->cells[cell]);
    return r;
}

static int
judge(struct job *job)
{
    size_t broken[JOB_RUNS_MAX] = { 0 };
    int r = 0;

    job->judged = true;
    for (unsigned run = 0; run < job->runs; run++)
        broken[run] = find_broken(job, run);
    for (size_t i = 0; r == 0 && i < job->notebook->cell_count; i++) {
        if (job->notebook->cells[i].type == NOTEBOOK_CODE)
            r = judge_cell(job, i, broken);
    }
    return r;
}

/* --- recording ------------------------------------------------------------------ */

/* Only a run that went as it should is worth keeping. */
static bool
may_record(struct job *job)
{
    for (size_t i = 0; i < job->notebook->cell_count; i++) {
        const struct verdict *verdict = &job->verdicts[i];

        if (verdict->status == VERDICT_PASSED || verdict->status == VERDICT_SKIPPED ||
            verdict->recorded)
            continue;
        json_array_append_new(job->item->notes,
                              json_sprintf("it is not recorded: cell %zu: %s",
                                           number_of(job, i), verdict->text));
        return false;
    }
    return true;
}

static int
write_pending(struct job *job, struct notebook_change *changes, struct buffer *texts)
{
    struct error why = { 0 };
    size_t count = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < job->notebook->cell_count; i++) {
        if (!job->verdicts[i].recorded)
            continue;
        buffer_init(&texts[count], SIDE_BYTES_MAX);
        r = outputs_append(play_outputs(job->plays[0]), i, &texts[count]);
        changes[count] = (struct notebook_change){
            .cell = i,
            .outputs = buffer_slice(&texts[count]),
            .execution_count = job->verdicts[i].execution_count,
        };
        count++;
    }
    if (r == 0 && count > 0)
        r = pending_write(job->item->path, job->notebook, changes, count, &why);
    if (r == 0 && count > 0 && pending_path(job->pending, job->item->path, &why) == 0)
        job->recorded = count;
    for (size_t i = 0; i < count; i++)
        buffer_fini(&texts[i]);
    return r <= 0 ? r : item_fail(job->item, "record", &why);
}

static int
record(struct job *job)
{
    size_t count = job->notebook->cell_count + 1;
    CLEANUP(freep) struct notebook_change *changes = calloc(count, sizeof *changes);
    CLEANUP(freep) struct buffer *texts = calloc(count, sizeof *texts);
    int r;

    if (changes == NULL || texts == NULL)
        return -ENOMEM;
    if (!may_record(job) || item_check_place(job->item) != 0)
        return 0;
    r = write_pending(job, changes, texts);
    return r < 0 ? r : 0;
}

/* --- comparisons ---------------------------------------------------------------- */

static int
append_stored(const struct notebook_cell *cell, struct buffer *ret)
{
    int r = buffer_append_text(ret, "[");

    for (size_t i = 0; r == 0 && i < cell->output_count; i++) {
        if (i > 0)
            r = buffer_append_text(ret, ",");
        if (r == 0)
            r = buffer_append(ret, cell->outputs[i].data, cell->outputs[i].length);
    }
    return r != 0 ? r : buffer_append_text(ret, "]");
}

/* Which run is to agree with which one, or with what is stored. */
static int
append_sides(const struct job *job, struct buffer *expected, struct buffer *actual)
{
    const struct notebook_cell *cell = &job->notebook->cells[job->comparing];
    unsigned first = 0, second = 0;
    int r;

    if (job->options.mode == JOB_AGAINST)
        first = 1;
    else if (job->options.mode == JOB_FLAKY)
        second = job->against;
    r = job->options.mode == JOB_FLAKY || job->options.mode == JOB_AGAINST
            ? outputs_append(play_outputs(job->plays[first]), job->comparing, expected)
            : append_stored(cell, expected);
    if (r == 0)
        r = outputs_append(play_outputs(job->plays[second]), job->comparing, actual);
    return r;
}

static int
note_differences(struct job *job, json_t *differences)
{
    struct verdict *verdict = &job->verdicts[job->comparing];
    const char *first =
        json_string_value(json_object_get(json_array_get(differences, 0), "message"));
    char who[160] = "its outputs differ";
    int r;

    if (job->options.mode == JOB_FLAKY)
        snprintf(who, sizeof who, "runs 1 and %u differ", job->against + 1);
    else if (job->options.mode == JOB_AGAINST)
        snprintf(who, sizeof who, "it differs from %.100s",
                 job->item->other->environment->name);
    r = verdict_set(verdict, VERDICT_FAILED, "differs", "%s%s%s", who,
                    first != NULL ? ": " : "", first != NULL ? first : "");
    verdict->differences = json_incref(differences);
    verdict->recorded = job->options.mode == JOB_RECORD;
    return r == 0 ? artefacts_save(job->options.artefacts, job->item->path,
                                   number_of(job, job->comparing), differences)
                  : r;
}

static int
on_answer(const json_t *answer, const struct error *err, void *arg)
{
    struct job *job = arg;
    struct verdict *verdict = &job->verdicts[job->comparing];
    const char *refused = json_string_value(json_object_get(answer, "error"));
    int r = 0;

    if (answer == NULL || refused != NULL)
        r = verdict_set(verdict, VERDICT_ERROR, "comparison", "%s",
                        answer == NULL ? err->text : refused);
    else if (!json_is_true(json_object_get(answer, "agree")))
        r = note_differences(job, json_object_get(answer, "differences"));
    if (++job->against >= job->runs || verdict->status != VERDICT_PASSED) {
        job->against = 1;
        job->comparing++;
    }
    if (r == 0)
        r = compare_next(job);
    return r;
}

static int
ask(struct job *job)
{
    CLEANUP(buffer_fini) struct buffer expected;
    CLEANUP(buffer_fini) struct buffer actual;
    CLEANUP(buffer_fini) struct buffer request;
    int r;

    buffer_init(&expected, SIDE_BYTES_MAX);
    buffer_init(&actual, SIDE_BYTES_MAX);
    buffer_init(&request, COMPARE_MESSAGE_BYTES_MAX);
    r = append_sides(job, &expected, &actual);
    if (r == 0)
        r = comparer_append_request(&request, job->settings,
                                    job->directives[job->comparing].comparison,
                                    buffer_slice(&expected), buffer_slice(&actual),
                                    job->options.mode == JOB_FLAKY);
    if (r == 0)
        r = comparer_ask(job->options.comparer, &request, on_answer, job);
    return r;
}

/* Asks about the next cell, or ends the job. One that is too large is not compared: that
 * is told. */
static int
compare_next(struct job *job)
{
    int r = 0;

    for (; job->comparing < job->notebook->cell_count; job->comparing++) {
        struct verdict *verdict = &job->verdicts[job->comparing];

        if (!verdict->compared)
            continue;
        r = ask(job);
        if (r <= 0)
            return r;
        r = verdict_set(verdict, VERDICT_ERROR, "comparison",
                        "its outputs are too large to be compared: more than %zu MiB",
                        SIDE_BYTES_MAX >> 20);
        if (r < 0)
            return r;
    }
    if (job->options.mode == JOB_RECORD)
        r = record(job);
    end(job, r);
    return 0;
}

static void
on_play_ended(void *arg)
{
    struct job *job = arg;
    int r = play_result(job->plays[job->run]);

    job->run++;
    if (r == 0 && job->run < job->runs) {
        r = start_play(job);
        if (r == 0)
            return;
        end(job, r);
        return;
    }
    if (r == 0)
        r = judge(job);
    if (r == 0)
        r = compare_next(job);
    if (r < 0)
        end(job, r);
}

/* --- events --------------------------------------------------------------------- */

static json_t *
notebook_event(const struct job *job, const struct verdict_counts *counts,
               enum verdict_status status)
{
    const struct item *item = job->item;

    return json_pack(
        "{s:s, s:o, s:s, s:f, s:o, s:o, s:O, s:o, s:I}", "event", "notebook", "path",
        verdict_text(item->path), "status", verdict_status_name(status), "seconds",
        job->seconds, "counts", verdict_counts_object(counts), "reason",
        verdict_reason(item->trouble, item->why.text), "notes", item->notes, "pending",
        job->recorded > 0 ? verdict_text(job->pending) : json_null(), "recorded",
        (json_int_t)job->recorded);
}

json_t *
job_events(const struct job *job, struct verdict_counts *counts, enum verdict_status *ret)
{
    CLEANUP(tree_decrefp) json_t *events = json_array();
    struct verdict_counts own = { { 0 } };
    json_t *handed;
    size_t number = 0;

    for (size_t i = 0; job->judged && i < job->notebook->cell_count; i++) {
        const struct verdict *verdict = &job->verdicts[i];

        if (job->notebook->cells[i].type != NOTEBOOK_CODE)
            continue;
        own.of[verdict->status]++;
        counts->of[verdict->status]++;
        if (json_array_append_new(events,
                                  verdict_event(verdict, job->item->path, job->notebook,
                                                i, number++, NULL)) < 0)
            return NULL;
    }
    *ret = job->item->trouble != NULL ? VERDICT_ERROR : verdict_worst(&own);
    if (json_array_append_new(events, notebook_event(job, &own, *ret)) < 0)
        return NULL;
    handed = events;
    events = NULL;
    return handed;
}

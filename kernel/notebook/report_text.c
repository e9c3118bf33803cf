/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/report_text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cli/printable.h"
#include "kernel/cli/screen.h"
#include "kernel/notebook/report.h"
#include "kernel/notebook/report_read.h"
#include "protocol/cleanup.h"

#define OUT_BYTES_MAX ((size_t)16 * 1024 * 1024) /* of one event */
#define FAILURES_BYTES_MAX ((size_t)8 * 1024 * 1024) /* of all blocks of failed cells */
#define BLOCK_BYTES_MAX ((size_t)1024 * 1024) /* of one */
#define PATH_COLUMNS_MIN 20
#define PATH_COLUMNS_MAX 64
#define OTHER_COLUMNS 40 /* of a notebook's line, for all but the path */
#define STATUS_BYTES_MAX 512
#define BAR_COLUMNS 20
#define RUNNING_MAX 8 /* that the status line names */

struct report_text {
    struct screen *screen; /* borrowed */
    bool verbose;
    bool is_diff; /* nothing is run: two notebooks are compared */
    const struct text_look *look;
    unsigned path_columns;
    unsigned long long differing; /* failed cells whose outputs differ */
    struct ink out; /* owned: what this event prints */
    struct ink cells; /* owned: lines of the next notebook's cells */
    struct ink failures; /* owned: the blocks of failed cells, for the end */
    unsigned long long left_out; /* of them: there were too many */
    char status[STATUS_BYTES_MAX]; /* what runs, or "" */
};

static int
create(void **ret, const struct report_options *options)
{
    struct report_text *report = calloc(1, sizeof *report);
    const struct screen_options *screen = &options->screen->options;

    if (report == NULL)
        return -ENOMEM;
    report->screen = options->screen;
    report->verbose = options->verbose;
    report->look = screen->colours && screen->is_terminal[SCREEN_OUT]
                       ? &text_look_coloured
                       : &text_look_plain;
    report->path_columns = PATH_COLUMNS_MIN;
    ink_init(&report->out, OUT_BYTES_MAX);
    ink_init(&report->cells, OUT_BYTES_MAX / 4);
    ink_init(&report->failures, FAILURES_BYTES_MAX);
    *ret = report;
    return 0;
}

static void
destroy(void *arg)
{
    struct report_text *report = arg;

    if (report == NULL)
        return;
    ink_fini(&report->out);
    ink_fini(&report->cells);
    ink_fini(&report->failures);
    free(report);
}

static struct text_paper
paper_on(const struct report_text *report, struct ink *ink)
{
    const struct screen_options *screen = &report->screen->options;

    return (struct text_paper){
        .ink = ink,
        .look = report->look,
        .columns = screen->is_terminal[SCREEN_OUT] ? screen->columns : 0,
    };
}

static int
on_begin(struct report_text *report, const json_t *event)
{
    const json_t *notebooks = json_object_get(event, "notebooks"), *notebook;
    const struct screen_options *screen = &report->screen->options;
    unsigned long long jobs = report_read_count(event, "jobs");
    size_t i, most = PATH_COLUMNS_MAX;

    if (screen->is_terminal[SCREEN_OUT] && screen->columns < most + OTHER_COLUMNS)
        most = screen->columns > OTHER_COLUMNS + PATH_COLUMNS_MIN
                   ? screen->columns - OTHER_COLUMNS
                   : PATH_COLUMNS_MIN;
    json_array_foreach(notebooks, i, notebook)
    {
        size_t columns = printable_columns(report_read_text(notebook, "path"));

        if (columns > report->path_columns)
            report->path_columns = (unsigned)(columns < most ? columns : most);
    }
    report->is_diff = strcmp(report_read_text(event, "mode"), "diff") == 0;
    ink_text(&report->out, report->look->faint);
    ink_count(&report->out, json_array_size(notebooks), "notebook", NULL);
    if (jobs > 1 && json_array_size(notebooks) > 1)
        ink_format(&report->out, ", %llu at a time", jobs);
    ink_format(&report->out, "%s\n", report->look->end);
    return 0;
}

/* How a status is said, and looks. */
struct word {
    const char *status, *words[2]; /* of a test, of a diff */
    const char *(*style)(const struct text_look *look);
};

static const char *
style_good(const struct text_look *look)
{
    return look->good;
}

static const char *
style_warn(const struct text_look *look)
{
    return look->warn;
}

static const char *
style_bad(const struct text_look *look)
{
    return look->bad;
}

static const struct word words[] = {
    { "passed", { "passed ", "same   " }, style_good },
    { "failed", { "FAILED ", "differs" }, style_bad },
    { "error", { "ERROR  ", "ERROR  " }, style_bad },
    { "skipped", { "skipped", "skipped" }, style_warn },
    { "not_run", { "not run", "not run" }, style_warn },
};

static void
put_word(struct report_text *report, struct ink *ink, const json_t *event)
{
    static const struct word unknown = { "", { "?      ", "?      " }, style_warn };
    const char *status = report_read_text(event, "status");
    const struct word *word = &unknown;

    for (size_t i = 0; i < N_ELEMENTS(words); i++) {
        if (strcmp(words[i].status, status) == 0)
            word = &words[i];
    }
    ink_format(ink, "%s%s%s", word->style(report->look), word->words[report->is_diff],
               report->look->end);
}

static void
put_cell_line(struct report_text *report, const json_t *event)
{
    const json_t *reason = json_object_get(event, "reason");
    double seconds = parts_number(event, "seconds", NAN);
    struct ink *ink = &report->cells;

    ink_text(ink, "    ");
    put_word(report, ink, event);
    ink_format(ink, "  cell %llu", report_read_count(event, "cell"));
    if (report_read_count(event, "line") > 0)
        ink_format(ink, " (line %llu)", report_read_count(event, "line"));
    if (!isnan(seconds)) {
        ink_text(ink, ", ");
        ink_seconds(ink, seconds);
    }
    if (json_object_size(reason) > 0) {
        ink_text(ink, ": ");
        text_put_line(ink, parts_string(reason, "text"));
    }
    ink_text(ink, "\n");
}

/* A block is there as a whole, or not at all. */
static int
keep_block(struct report_text *report, const json_t *event)
{
    struct ink block;
    struct text_paper paper = paper_on(report, &block);
    size_t length = report->failures.buffer.length;
    int r;

    ink_init(&block, BLOCK_BYTES_MAX);
    text_put_cell(&paper, event);
    if (block.failure > 0) { /* too long: its beginning tells enough */
        struct slice begun = buffer_slice(&block.buffer);

        while (begun.length > 0 && begun.data[begun.length - 1] != '\n')
            begun.length--;
        ink_cut(&block, begun.length);
        ink_cut(&block, BLOCK_BYTES_MAX - 128);
        ink_format(&block, "%s\n  ... the rest is too long\n\n", report->look->end);
    }
    ink_slice(&report->failures, buffer_slice(&block.buffer));
    r = block.failure < 0 ? block.failure : report->failures.failure;
    ink_fini(&block);
    if (r <= 0)
        return r;
    ink_cut(&report->failures, length);
    report->left_out++;
    return 0;
}

static bool
has_failed(const json_t *event)
{
    const char *status = report_read_text(event, "status");

    return strcmp(status, "failed") == 0 || strcmp(status, "error") == 0;
}

/* A cell that is not run at all, by the name that --accept takes. */
static void
put_listed(struct report_text *report, const json_t *event)
{
    struct slice source = parts_string(event, "source"), line = { NULL, 0 };
    struct ink *ink = &report->out;

    while (source.length > 0 && line.length == 0)
        line = report_read_line(&source);
    text_put_line(ink, parts_string(event, "path"));
    ink_format(ink, ":%llu  %s", report_read_count(event, "cell"), report->look->faint);
    text_put_line(ink, line);
    ink_format(ink, "%s\n", report->look->end);
}

static int
on_cell(struct report_text *report, const json_t *event)
{
    const char *kind = report_read_text(json_object_get(event, "reason"), "kind");
    const char *status = report_read_text(event, "status");

    if (strcmp(status, "listed") == 0) {
        put_listed(report, event);
        return 0;
    }
    /* Those that were not run would say the same again and again. */
    if (report->verbose || has_failed(event) || strcmp(status, "skipped") == 0)
        put_cell_line(report, event);
    if (!has_failed(event))
        return 0;
    if (strcmp(status, "failed") == 0 && strcmp(kind, "differs") == 0)
        report->differing++;
    return keep_block(report, event);
}

static void
put_counts(struct ink *ink, const json_t *counts)
{
    unsigned long long all = 0;
    const char *status;
    const json_t *count;

    json_object_foreach((json_t *)counts, status, count)
    {
        if (json_integer_value(count) > 0)
            all += (unsigned long long)json_integer_value(count);
    }
    ink_format(ink, "%5llu cell%s  ", all, all == 1 ? " " : "s");
}

static void
put_notebook_end(struct report_text *report, const json_t *event)
{
    static const char *const statuses[] = { "failed", "error", "not_run", "skipped" };
    const char *const sayings[] = { report->is_diff ? "differ" : "failed",
                                    "ended by force", "not run", "skipped" };
    const json_t *counts = json_object_get(event, "counts");
    struct ink *ink = &report->out;
    const char *before = "   ";

    for (size_t i = 0; i < N_ELEMENTS(statuses); i++) {
        unsigned long long count = report_read_count(counts, statuses[i]);

        if (count == 0)
            continue;
        ink_format(ink, "%s%llu %s", before, count, sayings[i]);
        before = ", ";
    }
    if (report_read_count(event, "recorded") > 0) {
        ink_format(ink, "%s", before);
        ink_count(ink, report_read_count(event, "recorded"), "cell recorded",
                  "cells recorded");
    }
    ink_text(ink, "\n");
}

static void
put_sentence(struct report_text *report, const char *label, struct slice text)
{
    if (text.length == 0)
        return;
    ink_format(&report->out, "    %s%s", report->look->warn, label);
    text_put_line(&report->out, text);
    ink_format(&report->out, "%s\n", report->look->end);
}

static int
on_notebook(struct report_text *report, const json_t *event)
{
    const json_t *notes = json_object_get(event, "notes"), *note;
    const char *path = report_read_text(event, "path");
    size_t columns = printable_columns(path), length, i;
    struct ink *ink = &report->out;

    put_word(report, ink, event);
    ink_text(ink, "  ");
    text_put_line(ink, slice_text(path));
    ink_repeat(ink, ' ',
               columns < report->path_columns ? report->path_columns - columns : 0);
    put_counts(ink, json_object_get(event, "counts"));
    length = ink->buffer.length;
    ink_seconds(ink, parts_number(event, "seconds", NAN));
    length = ink->buffer.length - length;
    if (ink->failure == 0 && length < 9) { /* to the right */
        ink_cut(ink, ink->buffer.length - length);
        ink_repeat(ink, ' ', 9 - length);
        ink_seconds(ink, parts_number(event, "seconds", NAN));
    }
    put_notebook_end(report, event);
    put_sentence(report, "", parts_string(json_object_get(event, "reason"), "text"));
    ink_slice(ink, buffer_slice(&report->cells.buffer));
    if (report->cells.failure < 0)
        ink->failure = report->cells.failure;
    ink_clear(&report->cells);
    json_array_foreach(notes, i, note) put_sentence(report, "note: ", parts_slice(note));
    put_sentence(report, "recorded in ", parts_string(event, "pending"));
    return 0;
}

/* Appends to the status line what is ASCII of TEXT. */
static void
status_append(struct report_text *report, const char *text)
{
    size_t length = strlen(report->status);

    for (; *text != '\0' && length + 1 < sizeof report->status; text++) {
        if (((unsigned char)*text & 0xc0) == 0x80)
            continue; /* one place for each character */
        report->status[length++] = isprint((unsigned char)*text) ? *text : '?';
    }
    report->status[length] = '\0';
}

static void
status_begin(struct report_text *report, double done, double left)
{
    char bar[BAR_COLUMNS + 1];
    int filled;

    if (isnan(done) || done < 0)
        done = 0;
    if (done > 1)
        done = 1;
    filled = (int)(done * BAR_COLUMNS);
    memset(bar, '#', (size_t)filled);
    memset(bar + filled, '-', (size_t)(BAR_COLUMNS - filled));
    bar[BAR_COLUMNS] = '\0';
    snprintf(report->status, sizeof report->status, "[%s] %3d %%", bar,
             (int)(100 * done));
    if (!isnan(left) && left >= 0 && left < 1e6) {
        char text[48];

        if (left < 100)
            snprintf(text, sizeof text, ", %d s left", (int)left + 1);
        else
            snprintf(text, sizeof text, ", %d min left", (int)(left / 60) + 1);
        status_append(report, text);
    }
}

static int
on_progress(struct report_text *report, const json_t *event)
{
    const json_t *running = json_object_get(event, "running"), *one;
    size_t i;

    status_begin(report, parts_number(event, "done", NAN),
                 parts_number(event, "left_seconds", NAN));
    json_array_foreach(running, i, one)
    {
        const char *path = report_read_text(one, "path"), *name = strrchr(path, '/');
        char text[64];

        if (i == RUNNING_MAX)
            break;
        status_append(report, i == 0 ? "  " : ", ");
        status_append(report, name != NULL ? name + 1 : path);
        snprintf(text, sizeof text, " %llu/%llu", report_read_count(one, "cell"),
                 report_read_count(one, "cells"));
        if (report_read_count(one, "cells") > 0)
            status_append(report, text);
    }
    return 0;
}

/* What is said of one, and of several: in a test, in a diff. */
static const char *const failed_words[2][2] = { { "failed", "failed" },
                                                { "differs", "differ" } };
static const char *const passed_words[2][2] = { { "passed", "passed" },
                                                { "is the same", "are the same" } };

/* One of "2 notebooks failed, 28 passed": only the first says of what. */
static void
put_sum(struct ink *ink, const char **noun, unsigned long long count, const char *text)
{
    if (count == 0)
        return;
    if (*noun != NULL)
        ink_format(ink, "%llu %s%s %s", count, *noun, count == 1 ? "" : "s", text);
    else
        ink_format(ink, ", %llu %s", count, text);
    *noun = NULL;
}

static void
put_notebook_sums(struct report_text *report, const json_t *counts)
{
    unsigned long long failed = report_read_count(counts, "failed");
    unsigned long long passed = report_read_count(counts, "passed");
    struct ink *ink = &report->out;
    const char *noun = "notebook";

    put_sum(ink, &noun, failed, failed_words[report->is_diff][failed != 1]);
    put_sum(ink, &noun, report_read_count(counts, "error"), "in error");
    put_sum(ink, &noun, passed, passed_words[report->is_diff][passed != 1]);
    put_sum(ink, &noun, report_read_count(counts, "skipped"), "skipped");
    if (noun != NULL)
        ink_text(ink, report->is_diff ? "no notebooks" : "no notebook was run");
}

static void
put_cell_sums(struct report_text *report, const json_t *counts)
{
    unsigned long long failed = report_read_count(counts, "failed");
    unsigned long long passed = report_read_count(counts, "passed");
    unsigned long long differ =
        report->is_diff || report->differing > failed ? failed : report->differing;
    struct ink *ink = &report->out;
    const char *noun = "cell";
    size_t length = ink->buffer.length;

    ink_text(ink, "; ");
    put_sum(ink, &noun, differ, failed_words[1][differ != 1]);
    put_sum(ink, &noun, failed - differ, "failed");
    put_sum(ink, &noun, report_read_count(counts, "error"), "in error");
    put_sum(ink, &noun, passed, passed_words[report->is_diff][passed != 1]);
    put_sum(ink, &noun, report_read_count(counts, "skipped"), "skipped");
    put_sum(ink, &noun, report_read_count(counts, "not_run"), "not run");
    if (noun != NULL && ink->failure == 0)
        ink_cut(ink, length); /* there was none */
}

static int
on_end(struct report_text *report, const json_t *event)
{
    const char *status = report_read_text(event, "status");
    const char *accept = report_read_text(event, "accept");
    const struct text_look *look = report->look;
    struct ink *ink = &report->out;

    report->status[0] = '\0';
    ink_text(ink, "\n");
    ink_slice(ink, buffer_slice(&report->failures.buffer));
    if (report->left_out > 0) {
        ink_count(ink, report->left_out, "more failed cell is", "more failed cells are");
        ink_text(ink, " not shown here; other reports have them all\n\n");
    }
    ink_text(ink, strcmp(status, "passed") == 0 ? look->good : look->bad);
    if (strcmp(status, "interrupted") == 0)
        ink_text(ink, "interrupted: ");
    put_notebook_sums(report, json_object_get(event, "notebooks"));
    put_cell_sums(report, json_object_get(event, "cells"));
    ink_text(ink, " in ");
    ink_seconds(ink, parts_number(event, "seconds", NAN));
    ink_format(ink, "%s\n", look->end);
    if (accept[0] != '\0') {
        ink_format(ink, "To accept what was recorded: %s", look->title);
        text_put_line(ink, slice_text(accept));
        ink_format(ink, "%s\n", look->end);
    }
    return 0;
}

static const struct handler {
    const char *type;
    int (*fn)(struct report_text *report, const json_t *event);
} handlers[] = {
    { "begin", on_begin },       { "cell", on_cell }, { "progress", on_progress },
    { "notebook", on_notebook }, { "end", on_end },
};

/* What the event has made, and below it what still runs. */
static int
show(struct report_text *report)
{
    struct screen *screen = report->screen;
    int r = report->out.failure < 0 ? report->out.failure : 0;

    if (r == 0 && report->out.buffer.length > 0) {
        r = screen_begin_line(screen, SCREEN_OUT);
        if (r == 0)
            r = screen_print(screen, SCREEN_OUT, buffer_slice(&report->out.buffer));
    }
    if (r == 0 && report->status[0] != '\0')
        r = screen_show_status(screen, report->status);
    else if (r == 0)
        r = screen_hide_status(screen);
    return r;
}

static int
event(void *arg, const json_t *object)
{
    struct report_text *report = arg;
    const char *type = report_read_text(object, "event");
    int r = 0;

    ink_clear(&report->out);
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(handlers); i++) {
        if (strcmp(handlers[i].type, type) == 0)
            r = handlers[i].fn(report, object);
    }
    return r != 0 ? r : show(report);
}

const struct report_kind report_text = {
    .name = "text",
    .create = create,
    .event = event,
    .destroy = destroy,
};

/* SPDX-License-Identifier: MIT */
/* cellwall diff: what two notebooks, or two folders of them, have stored. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "contexts/loop.h"
#include "kernel/cli/console.h"
#include "kernel/command.h"
#include "kernel/log.h"
#include "kernel/notebook/artefacts.h"
#include "kernel/notebook/comparer.h"
#include "kernel/notebook/differ.h"
#include "kernel/notebook/find.h"
#include "kernel/notebook/project.h"
#include "kernel/notebook/reporting.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/notebook.h"
#include "protocol/tree.h"

#define EXIT_STATUS_UNREADABLE 3 /* nothing differs, but something cannot be read */
#define RESULTS "cellwall-results"

enum {
    DIFF_E_USAGE = 1,
    DIFF_E_UNREADABLE, /* see ERR */
    DIFF_E_START, /* it cannot begin; see ERR */
    DIFF_E_STOPPED = 100 /* by a signal, or since nobody reads */
};

struct arguments {
    struct option_list words;
    const char *config, *source, *results;
    struct option_list sanitize, reports;
    bool quiet, verbose;
};

static const struct option_spec options[] = {
    { "A B", 0, OPTION_WORDS, NULL, NULL, offsetof(struct arguments, words),
      "Two notebooks, or two folders: all *.ipynb below them, by their paths there." },
    { "source", 0, OPTION_CHOICE, NULL, "yes|no", offsetof(struct arguments, source),
      "Whether the source of cells counts, or their outputs alone. The default is\n"
      "yes." },
    { "config", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, config),
      "The configuration. The default is, for each notebook of B, the nearest\n"
      "cellwall-test.json in its folder or above." },
    { "sanitize", 0, OPTION_LIST, "FILE", NULL, offsetof(struct arguments, sanitize),
      "Further rules: a file as for nbval's --nbval-sanitize-with. May be given several\n"
      "times." },
    { "report", 0, OPTION_LIST, "KIND=FILE", NULL, offsetof(struct arguments, reports),
      reporting_help },
    { "results", 0, OPTION_TEXT, "DIR", NULL, offsetof(struct arguments, results),
      "Where pictures that differ, and their difference, are written. The default is\n"
      "cellwall-results in the working directory; it is made when it is needed." },
    { "quiet", 'q', OPTION_FLAG, NULL, NULL, offsetof(struct arguments, quiet),
      "Print nothing for a person." },
    { "verbose", 'v', OPTION_FLAG, NULL, NULL, offsetof(struct arguments, verbose),
      "Print cells that are the same, too." },
};

/* Two versions of a notebook, or the only one that there is. */
struct pair {
    const char *before, *after; /* borrowed from the found ones; or NULL */
    size_t cells; /* of code */
};

struct program {
    struct console console; /* owned */
    struct loop *loop; /* owned */
    struct loop_source *signals; /* owned */
    struct reporting *reporting; /* owned */
    struct comparer *comparer; /* owned */
    struct artefacts artefacts; /* owned */
    struct found before, after; /* owned */
    struct pair *pairs; /* owned */
    size_t count;
    json_t *overrides; /* owned */
    struct verdict_counts notebooks, cells;
    uint64_t begun_us;
    bool has_console, stopped;
};

static void
program_fini(struct program *program)
{
    comparer_destroy(program->comparer);
    reporting_destroy(program->reporting);
    artefacts_fini(&program->artefacts);
    loop_source_destroy(program->signals);
    if (program->has_console)
        console_fini(&program->console);
    loop_destroy(program->loop);
    found_fini(&program->before);
    found_fini(&program->after);
    free(program->pairs);
    json_decref(program->overrides);
}

static int
on_signal(int number, void *arg)
{
    struct program *program = arg;

    (void)number;
    program->stopped = true;
    return DIFF_E_STOPPED;
}

static int
on_signals_readable(int fd, uint32_t events, void *arg)
{
    struct program *program = arg;
    int r = console_take_signal(&program->console);

    (void)fd, (void)events;
    return r > 0 ? -EINTR : r; /* a comparison that goes on is left, too */
}

/* --- which notebooks ------------------------------------------------------------- */

static const char *
path_of(const struct pair *pair)
{
    return pair->after != NULL ? pair->after : pair->before;
}

/* What stands before the names in the paths that were found in FOLDER. */
static size_t
prefix_length(const char *folder)
{
    size_t length = strlen(folder);

    while (length > 1 && folder[length - 1] == '/')
        length--;
    if (length == 1 && (folder[0] == '.' || folder[0] == '/'))
        return folder[0] == '/' ? 1 : 0;
    return length + 1;
}

static int
compare_paths(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* By the order of names: where both have one, the two are a pair. */
static void
merge(struct program *program, size_t skip_before, size_t skip_after)
{
    const struct found *before = &program->before, *after = &program->after;
    size_t i = 0, j = 0;

    while (i < before->count || j < after->count) {
        struct pair *pair = &program->pairs[program->count++];
        int order = i == before->count  ? 1
                    : j == after->count ? -1
                                        : strcmp(before->paths[i] + skip_before,
                                                 after->paths[j] + skip_after);

        if (order <= 0)
            pair->before = before->paths[i++];
        if (order >= 0)
            pair->after = after->paths[j++];
    }
}

static int
find_in(struct found *found, const char *folder, struct error *err)
{
    int r = find_notebooks(found, folder, err);

    if (r == 0)
        qsort(found->paths, found->count, sizeof *found->paths, compare_paths);
    return r <= 0 ? r : DIFF_E_UNREADABLE;
}

static int
check_path(const char *path, bool *ret_folder, struct error *err)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return error_set(err, DIFF_E_UNREADABLE, "%.300s: %s", path, strerror(errno));
    *ret_folder = S_ISDIR(status.st_mode);
    return 0;
}

static int
find_pairs(struct program *program, const struct arguments *arguments, struct error *err)
{
    const char *before = arguments->words.items[0], *after = arguments->words.items[1];
    bool folders[2] = { false, false };
    int r = check_path(before, &folders[0], err);

    if (r == 0)
        r = check_path(after, &folders[1], err);
    if (r == 0 && folders[0] != folders[1])
        r = error_set(err, DIFF_E_USAGE,
                      "%.200s and %.200s: two notebooks, or two folders, not one of each",
                      before, after);
    if (r == 0)
        r = find_in(&program->before, before, err);
    if (r == 0)
        r = find_in(&program->after, after, err);
    if (r != 0)
        return r;
    program->pairs =
        calloc(program->before.count + program->after.count, sizeof *program->pairs);
    if (program->pairs == NULL)
        return -ENOMEM;
    if (folders[0]) {
        merge(program, prefix_length(before), prefix_length(after));
    } else {
        program->pairs[program->count++] =
            (struct pair){ .before = program->before.paths[0],
                           .after = program->after.paths[0] };
    }
    return 0;
}

static int
read_overrides(struct program *program, const struct arguments *arguments,
               struct error *err)
{
    int r = 0;

    program->overrides = json_object();
    if (program->overrides == NULL)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < arguments->sanitize.count; i++)
        r = project_add_sanitize_file(program->overrides, arguments->sanitize.items[i],
                                      err);
    return r <= 0 ? r : DIFF_E_USAGE;
}

/* Leaves out what the configuration excludes, and counts cells. What cannot be read is
 * told when its turn comes. */
static int
look(struct program *program, const struct differ_options *wanted)
{
    size_t kept = 0;

    for (size_t i = 0; i < program->count; i++) {
        CLEANUP(tree_decrefp) json_t *settings = NULL;
        CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
        struct pair pair = program->pairs[i];
        int r = differ_settings(&settings, path_of(&pair), wanted, NULL);

        if (r == DIFFER_E_EXCLUDED)
            continue;
        if (r >= 0)
            r = differ_read(&notebook, path_of(&pair), NULL);
        if (r < 0)
            return r;
        pair.cells = notebook != NULL ? differ_count(notebook) : 0;
        program->pairs[kept++] = pair;
    }
    program->count = kept;
    return 0;
}

/* --- the run ---------------------------------------------------------------------- */

static int
tell(struct program *program, json_t *event, struct error *err)
{
    int r = reporting_tell(program->reporting, event, err);

    return r == REPORTING_E_FAILED ? DIFF_E_START : r;
}

static int
tell_begin(struct program *program, struct error *err)
{
    json_t *notebooks = json_array();

    for (size_t i = 0; i < program->count; i++)
        json_array_append_new(notebooks,
                              json_pack("{s:o, s:I, s:n}", "path",
                                        verdict_text(path_of(&program->pairs[i])),
                                        "cells", (json_int_t)program->pairs[i].cells,
                                        "expected_seconds"));
    return tell(program,
                json_pack("{s:s, s:i, s:s, s:s, s:i, s:o}", "event", "begin", "version",
                          1, "cellwall", CELLWALL_VERSION, "mode", "diff", "jobs", 1,
                          "notebooks", notebooks),
                err);
}

static int
tell_progress(struct program *program, size_t at, struct error *err)
{
    const struct pair *pair = &program->pairs[at];

    return tell(program,
                json_pack("{s:s, s:f, s:n, s:[{s:o, s:i, s:I}]}", "event", "progress",
                          "done", (double)at / (double)program->count, "left_seconds",
                          "running", "path", verdict_text(path_of(pair)), "cell", 0,
                          "cells", (json_int_t)pair->cells),
                err);
}

/* A notebook that only one side has. */
static int
tell_alone(struct program *program, const struct pair *pair, struct error *err)
{
    const char *kind = pair->after != NULL ? "added" : "removed";
    char text[512];

    snprintf(text, sizeof text, "there is only %.450s", path_of(pair));
    program->notebooks.of[VERDICT_FAILED]++;
    return tell(program, differ_event(path_of(pair), VERDICT_FAILED, kind, text), err);
}

static int
compare_pair(struct program *program, const struct pair *pair,
             const struct differ_options *wanted, struct error *err)
{
    const struct differ_pair named = { path_of(pair), pair->before, pair->after };
    CLEANUP(tree_decrefp) json_t *events = NULL;
    enum verdict_status status;
    json_t *event;
    size_t i;
    int r;

    if (pair->before == NULL || pair->after == NULL)
        return tell_alone(program, pair, err);
    r = differ_compare(&events, &named, wanted, &program->cells, &status);
    if (r != 0)
        return r;
    program->notebooks.of[status]++;
    json_array_foreach(events, i, event)
    {
        if (r == 0)
            r = tell(program, json_incref(event), err);
    }
    return r;
}

static int
tell_end(struct program *program, struct error *err)
{
    const char *status = verdict_status_name(verdict_worst(&program->notebooks));
    int r = loop_turn(program->loop); /* for its clock */

    if (r < 0)
        return r;
    return tell(program,
                json_pack("{s:s, s:s, s:o, s:o, s:f, s:n}", "event", "end", "status",
                          status, "notebooks", verdict_counts_object(&program->notebooks),
                          "cells", verdict_counts_object(&program->cells), "seconds",
                          (double)(loop_now_us(program->loop) - program->begun_us) / 1e6,
                          "accept"),
                err);
}

static int
compare_all(struct program *program, const struct differ_options *wanted,
            struct error *err)
{
    int r = tell_begin(program, err);

    for (size_t i = 0; r == 0 && i < program->count; i++) {
        r = tell_progress(program, i, err);
        if (r == 0)
            r = compare_pair(program, &program->pairs[i], wanted, err);
        if (r == 0)
            r = loop_turn(program->loop); /* signals */
    }
    return r == 0 ? tell_end(program, err) : r;
}

static int
open_program(struct program *program, const struct arguments *arguments,
             struct error *err)
{
    int r = console_init(&program->console, DIFF_E_STOPPED, err);

    program->has_console = r == 0;
    if (r == 0)
        r = loop_create(&program->loop);
    if (r != 0)
        return r < 0 ? r : DIFF_E_START;
    program->begun_us = loop_now_us(program->loop);
    program->console.on_signal = on_signal;
    program->console.arg = program;
    r = loop_add_fd(&program->signals, program->loop, program->console.signals, EPOLLIN,
                    on_signals_readable, program);
    if (r == 0)
        r = comparer_create(&program->comparer, program->loop, NULL, err);
    if (r != 0)
        return r < 0 ? r : DIFF_E_START;
    r = reporting_create(&program->reporting, &arguments->reports, &program->console,
                         arguments->quiet, arguments->verbose, err);
    return r <= 0 ? r : r == REPORTING_E_USAGE ? DIFF_E_USAGE : DIFF_E_START;
}

static int
status_of(const struct program *program, int result)
{
    if (program->console.failure == EPIPE)
        return EXIT_STATUS_PIPE_CLOSED;
    if (program->stopped || result == DIFF_E_STOPPED)
        return EXIT_STATUS_INTERRUPTED;
    if (result == DIFF_E_USAGE)
        return EXIT_STATUS_USAGE;
    if (result == DIFF_E_UNREADABLE)
        return EXIT_STATUS_UNREADABLE;
    if (result != 0)
        return EXIT_STATUS_NOT_STARTED;
    switch (verdict_worst(&program->notebooks)) {
    case VERDICT_FAILED:
        return EXIT_STATUS_FAILED;
    case VERDICT_ERROR:
        return EXIT_STATUS_UNREADABLE;
    default:
        return EXIT_STATUS_OK;
    }
}

static int
run(char *const *argv)
{
    CLEANUP(program_fini)
    struct program program = { .artefacts = { .parent = -1, .fd = -1 } };
    struct arguments arguments = { .source = "yes", .results = RESULTS };
    struct differ_options wanted = { .artefacts = &program.artefacts };
    struct error err = { 0 };
    int r = 0, status = command_parse(&command_diff, &arguments, argv, NULL);

    if (status >= 0)
        return status;
    if (arguments.words.count != 2)
        r = error_set(&err, DIFF_E_USAGE, "it takes two notebooks, or two folders");
    if (r == 0)
        r = read_overrides(&program, &arguments, &err);
    if (r == 0)
        r = find_pairs(&program, &arguments, &err);
    wanted.config = arguments.config;
    wanted.overrides = program.overrides;
    wanted.sources = strcmp(arguments.source, "yes") == 0;
    if (r == 0)
        r = artefacts_init(&program.artefacts, arguments.results, &err);
    if (r == 0)
        r = open_program(&program, &arguments, &err);
    wanted.comparer = program.comparer;
    if (r == 0)
        r = look(&program, &wanted);
    if (r == 0)
        r = compare_all(&program, &wanted, &err);
    if (r != 0 && r != DIFF_E_STOPPED && !program.stopped)
        log_line("diff: %s", err.text[0] != '\0' ? err.text : strerror(-r));
    return status_of(&program, r);
}

const struct command command_diff = {
    .name = "diff",
    .summary = "compare what two notebooks have stored, and run nothing",
    .synopsis = "[OPTION]... A B",
    .description =
        "      Compares two versions of a notebook, or of all notebooks in two folders,\n"
        "      cell by cell: their sources, and what they have stored as outputs, by "
        "the\n"
        "      rules of \"cellwall test\": text by its numbers and without addresses "
        "and\n"
        "      timings, tables and pictures by what one sees, JSON by its values.\n"
        "\n"
        "      Cells are the same that have the same id, or the same source, or stand\n"
        "      between those. What is expected is A's; the configuration, and the tags\n"
        "      and comments that count, are B's.\n",
    .options = options,
    .option_count = N_ELEMENTS(options),
    .notes =
        "EXAMPLES\n"
        "      cellwall diff before.ipynb after.ipynb\n"
        "      cellwall diff --source no --report html=diff.html results-3.11 "
        "results-3.12\n"
        "\n"
        "EXIT STATUS\n"
        "      0    they are the same\n"
        "      1    they differ\n"
        "      2    wrong usage\n"
        "      3    what could be compared is the same, but something could not be read\n"
        "      125  it could not start\n"
        "      130  interrupted\n"
        "      141  the reader of stdout has gone\n"
        "\n"
        "ENVIRONMENT\n"
        "      NO_COLOR          no colours on a terminal\n",
    .run = run,
};

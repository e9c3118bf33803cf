/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/reporting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/cli/console.h"
#include "kernel/notebook/report.h"
#include "protocol/error.h"

static const struct report_kind *const kinds[] = {
    &report_html, &report_junit, &report_tap, &report_jsonl, &report_github,
};

const char reporting_help[] =
    "Write a report to FILE; - is stdout, and replaces what a person reads there.\n"
    "May be given several times. KIND is html (one page), junit (XML, a test case\n"
    "for each cell), tap, jsonl (events, one a line) or github (annotations).";

/* Where one report goes. */
struct sink {
    const struct report_kind *kind;
    struct report_options options; /* the report's, as long as it is */
    void *report; /* owned */
    const char *path; /* borrowed */
    int fd; /* owned, -1: a console writes it */
    struct console *console; /* borrowed */
    int failure; /* errno of a write */
};

struct reporting {
    struct sink sinks[OPTION_LIST_MAX + 1];
    size_t count;
};

static int
write_file(struct slice text, void *arg)
{
    struct sink *sink = arg;

    while (text.length > 0) {
        ssize_t n = write(sink->fd, text.data, text.length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            sink->failure = errno;
            return REPORTING_E_FAILED;
        }
        text.data += n;
        text.length -= (size_t)n;
    }
    return 0;
}

static int
write_stdout(struct slice text, void *arg)
{
    const struct sink *sink = arg;

    return screen_print_raw(&sink->console->screen, SCREEN_OUT, text);
}

static int
add(struct reporting *reporting, const struct report_kind *kind, struct console *console,
    const char *path, bool verbose, struct error *err)
{
    struct sink *sink = &reporting->sinks[reporting->count];

    *sink = (struct sink){ .kind = kind, .path = path, .fd = -1, .console = console };
    sink->options =
        (struct report_options){ .write = write_stdout, .arg = sink, .verbose = verbose };
    if (path == NULL) {
        sink->options.screen = &console->screen;
    } else if (console == NULL) {
        sink->options.write = write_file;
        sink->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (sink->fd < 0)
            return error_set(err, REPORTING_E_FAILED, "--report %s=%s: %s", kind->name,
                             path, strerror(errno));
    }
    reporting->count++;
    return kind->create(&sink->report, &sink->options);
}

static const struct report_kind *
find_kind(const char *wish)
{
    for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
        size_t length = strlen(kinds[i]->name);

        if (strncmp(wish, kinds[i]->name, length) == 0 && wish[length] == '=')
            return kinds[i];
    }
    return NULL;
}

static int
check_path(const struct reporting *reporting, const char *wish, const char *path,
           struct error *err)
{
    if (path[0] == '\0')
        return error_set(err, REPORTING_E_USAGE, "--report %s: the file is missing",
                         wish);
    for (size_t i = 0; i < reporting->count; i++) {
        if (strcmp(reporting->sinks[i].path, path) == 0)
            return error_set(err, REPORTING_E_USAGE,
                             "--report %s: another report goes to %s", wish,
                             strcmp(path, "-") == 0 ? "stdout" : "that file");
    }
    return 0;
}

static int
add_wish(struct reporting *reporting, const char *wish, struct console *console,
         bool *ret_stdout, struct error *err)
{
    const struct report_kind *kind = find_kind(wish);
    const char *path;
    bool is_stdout;
    int r;

    if (kind == NULL)
        return error_set(
            err, REPORTING_E_USAGE,
            "--report %s: it must be KIND=FILE with html, junit, tap, jsonl or github",
            wish);
    path = strchr(wish, '=') + 1;
    is_stdout = strcmp(path, "-") == 0;
    r = check_path(reporting, wish, path, err);
    if (r == 0)
        r = add(reporting, kind, is_stdout ? console : NULL, path, false, err);
    *ret_stdout |= is_stdout;
    return r;
}

int
reporting_create(struct reporting **ret, const struct option_list *wishes,
                 struct console *console, bool quiet, bool verbose, struct error *err)
{
    CLEANUP(reporting_destroyp)
    struct reporting *reporting = calloc(1, sizeof *reporting);
    bool has_stdout = quiet;
    int r = reporting == NULL ? -ENOMEM : 0;

    for (size_t i = 0; r == 0 && i < wishes->count; i++)
        r = add_wish(reporting, wishes->items[i], console, &has_stdout, err);
    if (r == 0 && !has_stdout)
        r = add(reporting, &report_text, console, NULL, verbose, err);
    if (r != 0)
        return r;
    *ret = reporting;
    reporting = NULL;
    return 0;
}

void
reporting_destroy(struct reporting *reporting)
{
    if (reporting == NULL)
        return;
    for (size_t i = 0; i < reporting->count; i++) {
        reporting->sinks[i].kind->destroy(reporting->sinks[i].report);
        close_fdp(&reporting->sinks[i].fd);
    }
    free(reporting);
}

int
reporting_tell(struct reporting *reporting, json_t *event, struct error *err)
{
    int r = event == NULL ? -ENOMEM : 0;

    for (size_t i = 0; r == 0 && i < reporting->count; i++) {
        struct sink *sink = &reporting->sinks[i];

        r = sink->kind->event(sink->report, event);
        if (r > 0 && sink->failure != 0)
            error_set(err, r, "the report %s cannot be written: %s", sink->path,
                      strerror(sink->failure));
    }
    json_decref(event);
    return r;
}

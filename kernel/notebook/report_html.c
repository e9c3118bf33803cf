/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/report_html.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "kernel/notebook/report.h"
#include "kernel/notebook/report_read.h"
#include "protocol/cleanup.h"

#define PAGE_BYTES_MAX ((size_t)64 * 1024 * 1024) /* of all details */
#define CELL_BYTES_MAX ((size_t)24 * 1024 * 1024) /* of one cell's */
#define BOOK_BYTES_MAX (2 * PAGE_BYTES_MAX) /* never reached: see is_full */
#define HEAD_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define LINES_BYTES_MAX ((size_t)16 * 1024 * 1024) /* beyond them, of cells in a line */
#define BOOKS_MAX 20000 /* notebooks */
#define INDEX_MAX 100 /* failed cells that the index names */
#define OPEN_ENTRIES_MAX 10 /* of it: more are folded at first */
#define OPEN_MAX 5 /* so many failed notebooks are open at first */
#define NOTES_MAX 100 /* of a notebook */
#define FIRST_LINE_BYTES_MAX ((size_t)160) /* of a source, in the table of cells */

/* A notebook that has ended. */
struct book {
    char *path; /* owned */
    enum parts_status status;
    unsigned long long counts[PARTS_STATUSES];
    double seconds;
    struct ink inside; /* owned: what is seen when it is opened */
};

struct report_html {
    report_write_fn *write;
    void *arg; /* borrowed */
    struct book *books; /* owned */
    size_t count, capacity;
    size_t bytes; /* of all that is to be seen inside */
    size_t left_out; /* notebooks beyond BOOKS_MAX */
    size_t cells_left_out; /* for which the page has no place */
    struct ink index; /* owned: the list of failed cells */
    size_t indexed;
    char version[64], mode[16];
    /* Of the notebook that comes next. */
    struct ink strip, sections, rows; /* owned */
};

static int
create(void **ret, const struct report_options *options)
{
    struct report_html *report = calloc(1, sizeof *report);

    if (report == NULL)
        return -ENOMEM;
    report->write = options->write;
    report->arg = options->arg;
    ink_init(&report->index, HEAD_BYTES_MAX);
    ink_init(&report->strip, HEAD_BYTES_MAX);
    ink_init(&report->rows, HEAD_BYTES_MAX);
    ink_init(&report->sections, BOOK_BYTES_MAX);
    *ret = report;
    return 0;
}

static void
destroy(void *arg)
{
    struct report_html *report = arg;

    if (report == NULL)
        return;
    for (size_t i = 0; i < report->count; i++) {
        free(report->books[i].path);
        ink_fini(&report->books[i].inside);
    }
    free(report->books);
    ink_fini(&report->index);
    ink_fini(&report->strip);
    ink_fini(&report->sections);
    ink_fini(&report->rows);
    free(report);
}

/* Whether nothing was run: two notebooks were compared. */
static bool
is_diff(const struct report_html *report)
{
    return strcmp(report->mode, "diff") == 0;
}

static const char *
say(const struct report_html *report, enum parts_status status)
{
    static const char *const of_diff[PARTS_STATUSES] = {
        [PARTS_PASSED] = "same",     [PARTS_FAILED] = "differs",  [PARTS_ERROR] = "error",
        [PARTS_SKIPPED] = "skipped", [PARTS_NOT_RUN] = "not run",
    };
    static const char *const sayings[PARTS_STATUSES] = {
        [PARTS_PASSED] = "passed",   [PARTS_FAILED] = "failed",   [PARTS_ERROR] = "error",
        [PARTS_SKIPPED] = "skipped", [PARTS_NOT_RUN] = "not run",
    };

    return is_diff(report) ? of_diff[status] : sayings[status];
}

static int
on_begin(struct report_html *report, const json_t *event)
{
    snprintf(report->version, sizeof report->version, "%s",
             report_read_text(event, "cellwall"));
    snprintf(report->mode, sizeof report->mode, "%s", report_read_text(event, "mode"));
    return 0;
}

static bool
has_failed(enum parts_status status)
{
    return status == PARTS_FAILED || status == PARTS_ERROR;
}

/* A square for the cell, in the picture of the whole notebook. */
static void
put_square(struct report_html *report, const json_t *event, const char *anchor)
{
    enum parts_status status = parts_status(event);
    unsigned long long cell = report_read_count(event, "cell");
    struct ink *ink = &report->strip;

    if (has_failed(status))
        ink_format(ink, "<li><a class=\"%s\" href=\"#%s\"", parts_status_name(status),
                   anchor);
    else
        ink_format(ink, "<li><span class=\"%s\"", parts_status_name(status));
    ink_format(ink, " title=\"cell %llu: %s\"", cell, say(report, status));
    if (has_failed(status))
        ink_format(ink, " aria-label=\"cell %llu: %s\"", cell, say(report, status));
    ink_text(ink, has_failed(status) ? "></a></li>" : "></span></li>");
}

static void
put_row(struct report_html *report, const json_t *event, const char *anchor)
{
    enum parts_status status = parts_status(event);
    struct slice source = parts_string(event, "source"), line = { NULL, 0 };
    double seconds = parts_number(event, "seconds", NAN);
    struct ink *ink = &report->rows;

    (void)anchor;
    while (source.length > 0 && line.length == 0)
        line = report_read_line(&source);
    ink_format(ink, "<tr><td>%llu</td><td class=\"badge %s\">%s</td><td class=\"time\">",
               report_read_count(event, "cell"), parts_status_name(status),
               say(report, status));
    if (!isnan(seconds))
        ink_seconds(ink, seconds);
    ink_text(ink, "</td><td><code>");
    html_put_text(ink, line, FIRST_LINE_BYTES_MAX);
    ink_text(ink, "</code> ");
    if (!has_failed(status))
        html_put_name(ink, report_read_text(json_object_get(event, "reason"), "text"));
    ink_text(ink, "</td></tr>\n");
}

static void
put_entry(struct report_html *report, const json_t *event, const char *anchor)
{
    struct ink *ink = &report->index;

    if (++report->indexed > INDEX_MAX)
        return;
    ink_format(ink, "<li><a href=\"#%s\">", anchor);
    html_put_name(ink, report_read_text(event, "path"));
    ink_format(ink, ", cell %llu</a> <span>", report_read_count(event, "cell"));
    html_put_name(ink, report_read_text(json_object_get(event, "reason"), "text"));
    ink_text(ink, "</span></li>\n");
}

/* A section is there as a whole, or the reason alone. */
static int
put_section(struct report_html *report, const json_t *event, const char *anchor)
{
    struct ink section, *sections = &report->sections;
    int r;

    ink_init(&section, CELL_BYTES_MAX);
    html_put_cell(&section, event, anchor, say(report, parts_status(event)));
    r = section.failure;
    if (r > 0 || report->bytes + sections->buffer.length + section.buffer.length >
                     PAGE_BYTES_MAX) {
        ink_format(sections,
                   "<section class=\"cell\" id=\"%s\"><h4>Cell %llu</h4>"
                   "<p class=\"reason\">",
                   anchor, report_read_count(event, "cell"));
        html_put_name(sections,
                      report_read_text(json_object_get(event, "reason"), "text"));
        ink_text(sections, "</p><p>Its details are too large for this page; the other "
                           "reports have them.</p></section>\n");
    } else {
        ink_slice(sections, buffer_slice(&section.buffer));
    }
    ink_fini(&section);
    return r < 0 ? r : sections->failure < 0 ? sections->failure : 0;
}

/* What PUT appends is there as a whole, or not at all. 0 or -ENOMEM. */
static int
put_whole(struct report_html *report, struct ink *ink, const json_t *event,
          const char *anchor,
          void (*put)(struct report_html *report, const json_t *event,
                      const char *anchor))
{
    size_t length = ink->buffer.length;

    put(report, event, anchor);
    if (ink->failure > 0)
        ink_cut(ink, length);
    return ink->failure;
}

/* Whether not even lines fit any more: a few million cells. */
static bool
is_full(const struct report_html *report)
{
    return report->bytes + report->strip.buffer.length + report->rows.buffer.length +
               report->sections.buffer.length >
           PAGE_BYTES_MAX + LINES_BYTES_MAX;
}

static int
on_cell(struct report_html *report, const json_t *event)
{
    char anchor[64];
    int r;

    if (is_full(report)) {
        report->cells_left_out++;
        return 0;
    }
    snprintf(anchor, sizeof anchor, "n%zu-c%llu", report->count,
             report_read_count(event, "cell"));
    r = put_whole(report, &report->strip, event, anchor, put_square);
    if (r == 0)
        r = put_whole(report, &report->rows, event, anchor, put_row);
    if (r != 0 || !has_failed(parts_status(event)))
        return r;
    r = put_whole(report, &report->index, event, anchor, put_entry);
    return r != 0 ? r : put_section(report, event, anchor);
}

static int
grow(struct report_html *report)
{
    size_t capacity = report->capacity > 0 ? 2 * report->capacity : 16;
    struct book *books;

    if (report->count < report->capacity)
        return 0;
    books = realloc(report->books, capacity * sizeof *books);
    if (books == NULL)
        return -ENOMEM;
    report->books = books;
    report->capacity = capacity;
    return 0;
}

static void
put_sentence(struct ink *ink, const char *class, const char *label, const char *text)
{
    if (text[0] == '\0')
        return;
    ink_format(ink, "<p class=\"%s\">%s", class, label);
    html_put_name(ink, text);
    ink_text(ink, "</p>\n");
}

static void
put_inside(struct report_html *report, struct ink *ink, const json_t *event)
{
    const json_t *notes = json_object_get(event, "notes"), *note;
    size_t i;

    put_sentence(ink, "trouble", "",
                 report_read_text(json_object_get(event, "reason"), "text"));
    json_array_foreach(notes, i, note)
    {
        if (i < NOTES_MAX && json_is_string(note))
            put_sentence(ink, "note", "", json_string_value(note));
    }
    put_sentence(ink, "note", "Recorded in ", report_read_text(event, "pending"));
    if (report->rows.buffer.length == 0)
        return;
    ink_text(ink, "<ol class=\"strip\" aria-label=\"cells\">");
    ink_slice(ink, buffer_slice(&report->strip.buffer));
    ink_text(ink, "</ol>\n");
    ink_slice(ink, buffer_slice(&report->sections.buffer));
    ink_text(ink, "<details class=\"more\"><summary>All cells</summary>\n"
                  "<table class=\"plain\"><thead><tr><th scope=\"col\">cell</th>"
                  "<th scope=\"col\">status</th><th scope=\"col\">time</th>"
                  "<th scope=\"col\">begins with</th></tr></thead><tbody>\n");
    ink_slice(ink, buffer_slice(&report->rows.buffer));
    ink_text(ink, "</tbody></table></details>\n");
}

static int
on_notebook(struct report_html *report, const json_t *event)
{
    const json_t *counts = json_object_get(event, "counts");
    struct book book = { .status = parts_status(event), .seconds = parts_seconds(event) };

    if (report->count == BOOKS_MAX) {
        report->left_out++;
    } else {
        if (grow(report) != 0)
            return -ENOMEM;
        book.path = strndup(report_read_text(event, "path"), PATH_MAX);
        if (book.path == NULL)
            return -ENOMEM;
        for (size_t i = 0; i < PARTS_STATUSES; i++)
            book.counts[i] = report_read_count(counts, parts_status_name(i));
        ink_init(&book.inside, BOOK_BYTES_MAX);
        put_inside(report, &book.inside, event);
        report->bytes += book.inside.buffer.length;
        report->books[report->count++] = book;
    }
    ink_clear(&report->strip);
    ink_clear(&report->sections);
    ink_clear(&report->rows);
    return book.inside.failure < 0 ? book.inside.failure : 0;
}

/* Failures first, most of them first of all; then by name. */
static int
compare_books(const void *left, const void *right)
{
    const struct book *one = left, *other = right;
    unsigned long long failures[] = {
        one->counts[PARTS_FAILED] + one->counts[PARTS_ERROR],
        other->counts[PARTS_FAILED] + other->counts[PARTS_ERROR],
    };

    if (has_failed(one->status) != has_failed(other->status))
        return has_failed(one->status) ? -1 : 1;
    if (failures[0] != failures[1])
        return failures[0] > failures[1] ? -1 : 1;
    return strcmp(one->path, other->path);
}

/* A bar with a part for each status, and what its colours mean. */
static void
put_sums(const struct report_html *report, struct ink *ink, const char *title,
         const json_t *counts)
{
    unsigned long long all = 0;

    for (size_t i = 0; i < PARTS_STATUSES; i++)
        all += report_read_count(counts, parts_status_name(i));
    ink_format(ink, "<div><h2>%s</h2><div class=\"bar\" aria-hidden=\"true\">", title);
    for (size_t i = 0; i < PARTS_STATUSES; i++) {
        unsigned long long count = report_read_count(counts, parts_status_name(i));

        if (count > 0)
            ink_format(ink, "<i class=\"%s\" style=\"flex:%llu 0 0\"></i>",
                       parts_status_name(i), count);
    }
    ink_text(ink, "</div><ul class=\"key\">");
    for (size_t i = 0; i < PARTS_STATUSES; i++) {
        unsigned long long count = report_read_count(counts, parts_status_name(i));

        if (count > 0)
            ink_format(ink, "<li><i class=\"%s\"></i><b>%llu</b> %s</li>",
                       parts_status_name(i), count, say(report, i));
    }
    if (all == 0)
        ink_text(ink, "<li>none</li>");
    ink_text(ink, "</ul></div>\n");
}

static void
put_policy(struct ink *ink)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[sodium_base64_ENCODED_LEN(sizeof hash, sodium_base64_VARIANT_ORIGINAL)];

    crypto_hash_sha256(hash, (const unsigned char *)html_script, strlen(html_script));
    sodium_bin2base64(text, sizeof text, hash, sizeof hash,
                      sodium_base64_VARIANT_ORIGINAL);
    ink_format(ink,
               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
               "'none'; style-src 'unsafe-inline'; script-src 'sha256-%s'; img-src "
               "data:; base-uri 'none'; form-action 'none'\">\n",
               text);
}

/* "2 of 30 notebooks failed" */
static void
put_headline(const struct report_html *report, struct ink *ink, const json_t *event)
{
    const json_t *counts = json_object_get(event, "notebooks");
    const char *status = report_read_text(event, "status");
    unsigned long long all = 0, failed = report_read_count(counts, "failed") +
                                         report_read_count(counts, "error");

    for (size_t i = 0; i < PARTS_STATUSES; i++)
        all += report_read_count(counts, parts_status_name(i));
    if (failed > 0)
        ink_format(ink, "%llu of %llu notebooks %s", failed, all,
                   is_diff(report) ? "differ" : "failed");
    else if (all == 0)
        ink_text(ink, is_diff(report) ? "No notebooks" : "No notebook was run");
    else if (is_diff(report))
        ink_count(ink, all, "notebook is the same", "notebooks are the same");
    else
        ink_count(ink, all, "notebook passed", "notebooks passed");
    if (strcmp(status, "interrupted") == 0)
        ink_text(ink, " until it was interrupted");
}

static void
put_head(struct report_html *report, struct ink *ink, const json_t *event)
{
    time_t now = time(NULL);
    struct tm tm = { 0 };
    char date[32] = "";

    if (gmtime_r(&now, &tm) != NULL)
        strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
    ink_text(ink, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
                  "<meta charset=\"utf-8\">\n");
    put_policy(ink);
    ink_text(ink, "<meta name=\"viewport\" content=\"width=device-width\">\n"
                  "<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    put_headline(report, ink, event);
    ink_format(ink, "</title>\n<style>%s</style>\n</head>\n<body>\n<header>\n<h1>",
               html_style);
    put_headline(report, ink, event);
    ink_text(ink, "</h1>\n<p>In ");
    ink_seconds(ink, parts_seconds(event));
    ink_format(ink, ", until %s. Mode: ", date);
    html_put_name(ink, report->mode[0] != '\0' ? report->mode : "test");
    ink_text(ink, ".</p>\n<div class=\"sums\">\n");
    put_sums(report, ink, "Notebooks", json_object_get(event, "notebooks"));
    put_sums(report, ink, "Cells", json_object_get(event, "cells"));
    ink_text(ink, "</div>\n");
    if (report->indexed > 0) {
        ink_format(ink, "<details class=\"index\"%s><summary>",
                   report->indexed <= OPEN_ENTRIES_MAX ? " open" : "");
        ink_count(ink, report->indexed, is_diff(report) ? "cell differs" : "failed cell",
                  is_diff(report) ? "cells differ" : NULL);
        ink_text(ink, "</summary>\n<ol>\n");
        ink_slice(ink, buffer_slice(&report->index.buffer));
        ink_text(ink, "</ol></details>\n");
    }
    put_sentence(ink, "note",
                 "To accept what was recorded: ", report_read_text(event, "accept"));
    ink_text(ink, "</header>\n");
}

static void
put_tools(const struct report_html *report, struct ink *ink)
{
    ink_text(ink, "<main>\n<div class=\"tools\" role=\"search\" hidden>\n"
                  "<div class=\"group\" role=\"group\" aria-label=\"Which notebooks\">"
                  "<button type=\"button\" id=\"all\" aria-pressed=\"true\">All</button>"
                  "<button type=\"button\" id=\"failed\" aria-pressed=\"false\">");
    ink_text(ink, is_diff(report) ? "Differ" : "Failed");
    ink_text(
        ink,
        "</button></div>\n"
        "<input type=\"search\" id=\"search\" placeholder=\"Path, source, or reason\" "
        "aria-label=\"Look for\">\n"
        "<output id=\"shown\"></output>\n"
        "<select id=\"order\" aria-label=\"Order\"><option value=\"failures\">Worst "
        "first</option><option value=\"name\">By name</option><option "
        "value=\"duration\">Slowest first</option></select>\n"
        "<button type=\"button\" id=\"unfold\" aria-pressed=\"false\">Unfold</button>\n"
        "</div>\n<div class=\"head\" aria-hidden=\"true\"><span>Status</span>"
        "<span>Notebook</span><span>Cells</span><span>Time</span></div>\n");
}

static void
put_book_head(const struct report_html *report, struct ink *ink, size_t place,
              bool is_open)
{
    const struct book *book = &report->books[place];
    const char *before = "";

    ink_format(ink, "<details class=\"book %s\" data-place=\"%zu\" data-seconds=\"%.3f\"",
               parts_status_name(book->status), place, book->seconds);
    ink_text(ink, " data-path=\"");
    html_put_attribute(ink, slice_text(book->path));
    ink_format(ink, "\"%s>\n<summary><span class=\"badge %s\">%s</span><h3>",
               is_open ? " open" : "", parts_status_name(book->status),
               say(report, book->status));
    html_put_name(ink, book->path);
    ink_text(ink, "</h3><span class=\"counts\">");
    for (size_t i = 0; i < PARTS_STATUSES; i++) {
        if (book->counts[i] == 0)
            continue;
        ink_format(ink, "%s%llu %s", before, book->counts[i], say(report, i));
        before = ", ";
    }
    ink_text(ink, "</span><span class=\"time\">");
    ink_seconds(ink, book->seconds);
    ink_text(ink, "</span></summary>\n<div class=\"inside\">\n");
}

static int
flush(struct report_html *report, struct ink *ink)
{
    int r = ink->failure;

    if (r == 0)
        r = report->write(buffer_slice(&ink->buffer), report->arg);
    else if (r > 0)
        r = -EFBIG; /* no bound that is not checked before */
    ink_clear(ink);
    return r;
}

static int
write_books(struct report_html *report, struct ink *ink)
{
    size_t open = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < report->count; i++) {
        struct book *book = &report->books[i];
        bool is_open = has_failed(book->status) && open++ < OPEN_MAX;

        put_book_head(report, ink, i, is_open);
        r = flush(report, ink);
        if (r == 0)
            r = report->write(buffer_slice(&book->inside.buffer), report->arg);
        ink_text(ink, "</div></details>\n");
    }
    if (report->cells_left_out > 0)
        ink_format(ink, "<p class=\"note\">%zu cells have no place here.</p>\n",
                   report->cells_left_out);
    if (report->left_out > 0)
        ink_format(ink, "<p class=\"note\">%zu more notebooks are not shown.</p>\n",
                   report->left_out);
    return r;
}

static int
on_end(struct report_html *report, const json_t *event)
{
    CLEANUP(ink_fini) struct ink ink;
    int r;

    ink_init(&ink, 2 * HEAD_BYTES_MAX);
    if (report->count > 0)
        qsort(report->books, report->count, sizeof report->books[0], compare_books);
    put_head(report, &ink, event);
    put_tools(report, &ink);
    r = flush(report, &ink);
    if (r == 0)
        r = write_books(report, &ink);
    if (r != 0)
        return r;
    ink_text(&ink, "</main>\n<footer>Cellwall ");
    html_put_name(&ink, report->version);
    ink_format(&ink, "</footer>\n<script>%s</script>\n</body>\n</html>\n", html_script);
    return flush(report, &ink);
}

static const struct handler {
    const char *type;
    int (*fn)(struct report_html *report, const json_t *event);
} handlers[] = {
    { "begin", on_begin },
    { "cell", on_cell },
    { "notebook", on_notebook },
    { "end", on_end },
};

static int
event(void *arg, const json_t *object)
{
    for (size_t i = 0; i < N_ELEMENTS(handlers); i++) {
        if (parts_is_event(object, handlers[i].type))
            return handlers[i].fn(arg, object);
    }
    return 0;
}

const struct report_kind report_html = {
    .name = "html",
    .create = create,
    .event = event,
    .destroy = destroy,
};

/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/report_read.h"
#include "kernel/notebook/report_text.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE_LINES_MAX 12 /* that are shown of a cell */
#define TRACEBACK_LINES_MAX 40
#define TRACEBACK_BYTES_MAX ((size_t)1024 * 1024) /* that are looked at */
#define STDERR_LINES_MAX 30
#define DIFFERENCES_MAX 20 /* that are shown of a cell */
#define INDENT 4

void
text_put_place(const struct text_paper *paper, const json_t *event)
{
    struct ink *ink = paper->ink;
    unsigned long long line = report_read_count(event, "line");

    ink_text(ink, paper->look->title);
    text_put_line(ink, parts_string(event, "path"));
    ink_format(ink, ", cell %llu", report_read_count(event, "cell"));
    if (line > 0)
        ink_format(ink, " (line %llu)", line);
    ink_text(ink, paper->look->end);
}

static void
put_source(const struct text_paper *paper, struct slice source)
{
    struct ink *ink = paper->ink;
    size_t lines = report_count_lines(source);

    for (size_t i = 1; source.length > 0; i++) {
        struct slice line = report_read_line(&source);

        /* The last line is shown rather than that there is one more. */
        if (i > SOURCE_LINES_MAX && i < lines) {
            ink_format(ink, "%s%*s ... %zu more lines%s\n", paper->look->faint,
                       INDENT + 3, "", lines - SOURCE_LINES_MAX, paper->look->end);
            return;
        }
        ink_format(ink, "%s%*zu |%s ", paper->look->faint, INDENT + 3, i,
                   paper->look->end);
        text_put_line(ink, line);
        ink_text(ink, "\n");
    }
}

static void
put_traceback(const struct text_paper *paper, const json_t *lines)
{
    struct buffer text;
    int r;

    if (json_array_size(lines) == 0)
        return;
    buffer_init(&text, TRACEBACK_BYTES_MAX);
    r = report_read_lines(&text, lines);
    ink_text(paper->ink, "\n");
    if (r < 0)
        paper->ink->failure = r;
    else
        text_put_coloured(paper, buffer_slice(&text), INDENT, TRACEBACK_LINES_MAX);
    buffer_fini(&text);
}

static void
put_words(const struct text_paper *paper, const char *title, struct slice text)
{
    if (text.length == 0)
        return;
    ink_format(paper->ink, "\n  %s:\n", title);
    text_put_coloured(paper, text, INDENT, STDERR_LINES_MAX);
}

static void
put_differences(const struct text_paper *paper, const json_t *differences)
{
    size_t i, count = json_array_size(differences);

    for (i = 0; i < count && i < DIFFERENCES_MAX; i++) {
        ink_text(paper->ink, "\n");
        text_put_difference(paper, json_array_get(differences, i));
    }
    if (i < count) {
        ink_text(paper->ink, "\n  ... ");
        ink_count(paper->ink, count - i, "more difference", NULL);
        ink_text(paper->ink, "\n");
    }
}

void
text_put_cell(const struct text_paper *paper, const json_t *event)
{
    const json_t *reason = json_object_get(event, "reason");

    text_put_place(paper, event);
    ink_text(paper->ink, "\n  ");
    text_put_styled(paper, paper->look->bad,
                    json_object_size(reason) > 0 ? report_read_text(reason, "text")
                                                 : report_read_text(event, "status"));
    ink_text(paper->ink, "\n\n");
    put_source(paper, parts_string(event, "source"));
    put_traceback(paper, json_object_get(event, "traceback"));
    put_words(paper, "The last that it printed", parts_string(event, "printed"));
    put_words(paper, "The interpreter's last words", parts_string(event, "stderr_tail"));
    put_differences(paper, json_object_get(event, "differences"));
    ink_text(paper->ink, "\n");
}

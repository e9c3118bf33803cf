/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "kernel/notebook/report_html.h"
#include "kernel/notebook/report_read.h"

#define SOURCE_LINES_MAX 400
#define SOURCE_LINE_BYTES_MAX ((size_t)4 * 1024)
#define TRACEBACK_BYTES_MAX ((size_t)1024 * 1024) /* that are looked at */
#define DIFFERENCES_MAX 50 /* of a cell */

static void
put_title(struct ink *ink, const json_t *event, const char *status)
{
    double seconds = parts_number(event, "seconds", NAN);
    const char *id = report_read_text(event, "id");

    ink_format(ink, "<h4>Cell %llu <span class=\"badge %s\">%s</span><small>",
               report_read_count(event, "cell"), parts_status_name(parts_status(event)),
               status);
    if (report_read_count(event, "line") > 0)
        ink_format(ink, "line %llu ", report_read_count(event, "line"));
    if (!isnan(seconds)) {
        ink_text(ink, "&middot; ");
        ink_seconds(ink, seconds);
    }
    if (id[0] != '\0') {
        ink_text(ink, " &middot; id <span class=\"mono\">");
        html_put_name(ink, id);
        ink_text(ink, "</span>");
    }
    ink_text(ink, "</small></h4>\n");
}

static void
put_source(struct ink *ink, struct slice source)
{
    size_t lines = report_count_lines(source);

    if (lines == 0)
        return;
    ink_text(ink, "<pre class=\"source\" tabindex=\"0\" aria-label=\"source\">");
    for (size_t i = 0; i < lines && i < SOURCE_LINES_MAX; i++) {
        ink_text(ink, "<span>");
        html_put_text(ink, report_read_line(&source), SOURCE_LINE_BYTES_MAX);
        ink_text(ink, "</span>\n");
    }
    if (lines > SOURCE_LINES_MAX)
        ink_format(ink, "... %zu more lines\n", lines - SOURCE_LINES_MAX);
    ink_text(ink, "</pre>\n");
}

static void
put_traceback(struct ink *ink, const json_t *lines)
{
    struct buffer text;
    int r;

    if (json_array_size(lines) == 0)
        return;
    buffer_init(&text, TRACEBACK_BYTES_MAX);
    r = report_read_lines(&text, lines);
    if (r < 0)
        ink->failure = r;
    ink_text(ink, "<p class=\"label\">Traceback</p>\n<pre tabindex=\"0\">");
    html_put_coloured(ink, buffer_slice(&text), HTML_TEXT_BYTES_MAX);
    ink_text(ink, "</pre>\n");
    buffer_fini(&text);
}

static void
put_words(struct ink *ink, const char *title, struct slice text)
{
    if (text.length == 0)
        return;
    ink_format(ink, "<p class=\"label\">%s</p>\n<pre tabindex=\"0\">", title);
    html_put_coloured(ink, text, HTML_TEXT_BYTES_MAX);
    ink_text(ink, "</pre>\n");
}

void
html_put_cell(struct ink *ink, const json_t *event, const char *anchor,
              const char *status)
{
    const json_t *differences = json_object_get(event, "differences");
    size_t count = json_array_size(differences);

    ink_format(ink, "<section class=\"cell\" id=\"%s\">\n", anchor);
    put_title(ink, event, status);
    ink_text(ink, "<p class=\"reason\">");
    html_put_name(ink, report_read_text(json_object_get(event, "reason"), "text"));
    ink_text(ink, "</p>\n");
    put_source(ink, parts_string(event, "source"));
    put_traceback(ink, json_object_get(event, "traceback"));
    put_words(ink, "The last that it printed", parts_string(event, "printed"));
    put_words(ink, "The interpreter's last words", parts_string(event, "stderr_tail"));
    for (size_t i = 0; i < count && i < DIFFERENCES_MAX; i++)
        html_put_difference(ink, json_array_get(differences, i));
    if (count > DIFFERENCES_MAX)
        ink_format(ink, "<p class=\"label\">%zu more differences</p>\n",
                   count - DIFFERENCES_MAX);
    ink_text(ink, "</section>\n");
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/notebook/report_html.h"
#include "kernel/notebook/report_read.h"
#include "kernel/notebook/sides.h"
#include "protocol/cleanup.h"

#define ROWS_MAX 1000 /* of one diff */
#define LINE_BYTES_MAX ((size_t)16 * 1024) /* of one line of it */
#define SIDE_BYTES_MAX ((size_t)32 * 1024) /* of a side that has no line diff */
#define SHOWN_BYTES_MAX ((size_t)256 * 1024) /* of what is shown as a browser does */
#define PICTURE_BYTES_MAX ((size_t)3 * 1024 * 1024) /* of one file */
#define NUMBERS_MAX 50
#define RULES_MAX 20

static const char *const roles[SIDES_COUNT] = { "expected", "actual" };

/* The words of a line: what has changed is between tags. */
static void
put_line(struct ink *ink, struct slice text, const struct sides_changes *changes,
         size_t side)
{
    const char *tag = side == SIDES_EXPECTED ? "del" : "ins";
    size_t at = 0;

    if (text.length > LINE_BYTES_MAX) {
        html_put_text(ink, text, LINE_BYTES_MAX);
        return;
    }
    for (size_t i = 0; i < changes->counts[side]; i++) {
        const struct sides_span *span = &changes->spans[side][i];

        html_put_text(ink, (struct slice){ text.data + at, span->begin - at },
                      LINE_BYTES_MAX);
        ink_format(ink, "<%s>", tag);
        html_put_text(ink,
                      (struct slice){ text.data + span->begin, span->end - span->begin },
                      LINE_BYTES_MAX);
        ink_format(ink, "</%s>", tag);
        at = span->end;
    }
    html_put_text(ink, (struct slice){ text.data + at, text.length - at },
                  LINE_BYTES_MAX);
}

static void
put_row(struct ink *ink, const struct sides_row *row)
{
    static const char *const classes[SIDES_COUNT] = { "minus", "plus" };
    struct sides_changes changes;

    ink_text(ink, "<tr>");
    if (row->mark == '.') {
        ink_text(ink, "<td class=\"gap\" colspan=\"2\">&#8943; ");
        html_put_text(ink, row->text[0], LINE_BYTES_MAX);
        ink_text(ink, "</td></tr>\n");
        return;
    }
    sides_compare(&changes, row);
    for (size_t side = 0; side < SIDES_COUNT; side++) {
        bool is_there = row->mark != (side == SIDES_EXPECTED ? '+' : '-');

        ink_format(ink, "<td class=\"mono%s%s\">", !sides_is_change(row) ? "" : " ",
                   !sides_is_change(row) ? ""
                   : is_there            ? classes[side]
                                         : "none");
        if (is_there)
            put_line(ink, row->text[side], &changes, side);
        ink_text(ink, "</td>");
    }
    ink_text(ink, "</tr>\n");
}

static void
begin_diff(struct ink *ink)
{
    ink_text(ink, "<div class=\"scroll\" tabindex=\"0\"><table class=\"diff\">"
                  "<thead><tr><th scope=\"col\">expected</th>"
                  "<th scope=\"col\">actual</th></tr></thead><tbody>\n");
}

static void
end_diff(struct ink *ink)
{
    ink_text(ink, "</tbody></table></div>\n");
}

static void
put_diff(struct ink *ink, const json_t *lines)
{
    CLEANUP(sides_fini) struct sides sides = { 0 };
    int r = sides_read(&sides, lines);

    if (r != 0) {
        ink->failure = r;
        return;
    }
    begin_diff(ink);
    for (size_t i = 0; i < sides.count && i < ROWS_MAX; i++)
        put_row(ink, &sides.rows[i]);
    if (sides.count > ROWS_MAX || sides.is_cut)
        ink_text(ink, "<tr><td class=\"gap\" colspan=\"2\">more rows</td></tr>\n");
    end_diff(ink);
}

/* Both sides as they are, where the event has no line diff. */
static void
put_sides(struct ink *ink, const json_t *difference)
{
    static const char *const classes[SIDES_COUNT] = { "minus", "plus" };

    begin_diff(ink);
    ink_text(ink, "<tr>");
    for (size_t side = 0; side < SIDES_COUNT; side++) {
        const json_t *text = json_object_get(difference, roles[side]);

        ink_format(ink, "<td class=\"mono %s\">",
                   json_is_string(text) ? classes[side] : "none");
        html_put_text(ink, parts_slice(text), SIDE_BYTES_MAX);
        ink_text(ink, "</td>");
    }
    ink_text(ink, "</tr>\n");
    end_diff(ink);
}

static void
put_numbers(struct ink *ink, const json_t *numbers)
{
    size_t count = json_array_size(numbers);

    if (count == 0)
        return;
    ink_text(ink, "<table class=\"plain numbers\"><thead><tr>");
    for (size_t i = 0; i < REPORT_COLUMNS; i++)
        ink_format(ink, "<th scope=\"col\">%s</th>", report_columns[i].member);
    ink_text(ink, "</tr></thead><tbody>\n");
    for (size_t row = 0; row < count && row < NUMBERS_MAX; row++) {
        const json_t *number = json_array_get(numbers, row);

        ink_text(ink, "<tr>");
        for (size_t i = 0; i < REPORT_COLUMNS; i++) {
            char text[REPORT_NUMBER_BYTES];

            report_columns[i].write(text,
                                    json_object_get(number, report_columns[i].member));
            ink_text(ink, "<td class=\"mono\">");
            html_put_name(ink, text);
            ink_text(ink, "</td>");
        }
        ink_text(ink, "</tr>\n");
    }
    ink_text(ink, "</tbody></table>\n");
    if (count > NUMBERS_MAX)
        ink_format(ink, "<p class=\"label\">%zu more numbers</p>\n", count - NUMBERS_MAX);
}

/* Of the kinds that a browser shows; told by its first bytes, not by its name. */
static const char *
mime_of(struct slice bytes)
{
    static const struct kind {
        const char *begin, *mime;
        size_t length;
    } kinds[] = {
        { "\x89PNG\r\n\x1a\n", "image/png", 8 },
        { "\xff\xd8\xff", "image/jpeg", 3 },
        { "GIF8", "image/gif", 4 },
    };

    for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
        if (bytes.length > kinds[i].length &&
            memcmp(bytes.data, kinds[i].begin, kinds[i].length) == 0)
            return kinds[i].mime;
    }
    return NULL;
}

/* 0: PATH was read as a whole, -ENOMEM, or 1: it cannot be. What is no plain file is not
 * waited for. */
static int
read_picture(const char *path, struct buffer *ret)
{
    /* Code may have put a link there, for what it cannot read itself. */
    CLEANUP(close_fdp)
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    struct stat st;
    size_t size;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
        (uintmax_t)st.st_size > PICTURE_BYTES_MAX)
        return 1;
    size = (size_t)st.st_size;
    r = buffer_reserve(ret, size);
    if (r != 0)
        return r;
    while (ret->length < size) {
        ssize_t n = read(fd, ret->data + ret->length, size - ret->length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 1;
        ret->length += (size_t)n;
    }
    return 0;
}

static void
put_size(struct ink *ink, const json_t *size)
{
    if (json_array_size(size) == 2)
        ink_format(ink, ", %lld &times; %lld",
                   (long long)json_integer_value(json_array_get(size, 0)),
                   (long long)json_integer_value(json_array_get(size, 1)));
}

static void
put_figure(struct ink *ink, const json_t *image, const char *role)
{
    CLEANUP(buffer_fini) struct buffer bytes;
    const char *path = report_read_text(image, role), *mime = NULL;
    char size[32];
    int r;

    buffer_init(&bytes, PICTURE_BYTES_MAX);
    if (path[0] == '\0')
        return;
    snprintf(size, sizeof size, "%s_size", role);
    ink_format(ink, "<figure><figcaption>%s", role);
    put_size(ink, json_object_get(image, size));
    ink_text(ink, "</figcaption>");
    r = read_picture(path, &bytes);
    if (r == 0)
        mime = mime_of(buffer_slice(&bytes));
    else if (r < 0)
        ink->failure = r;
    if (mime != NULL) {
        html_put_image(ink, mime, buffer_slice(&bytes), role);
    } else {
        ink_text(ink, "<span class=\"label\">not shown here: ");
        html_put_name(ink, path);
        ink_text(ink, "</span>");
    }
    ink_text(ink, "</figure>\n");
}

static void
put_measure(struct ink *ink, const char *name, double measured, double limit,
            const char *unit)
{
    if (isnan(measured))
        return;
    ink_format(ink, "<tr><th scope=\"row\">%s</th><td>%.4g%s</td>", name, measured, unit);
    if (isnan(limit))
        ink_text(ink, "<td></td></tr>\n");
    else
        ink_format(ink, "<td>at most %.4g%s</td></tr>\n", limit, unit);
}

static void
put_picture(struct ink *ink, const json_t *image)
{
    static const char *const figures[] = { "expected", "actual", "difference" };

    ink_text(ink, "<table class=\"plain\"><tbody>\n");
    put_measure(ink, "RMS of the difference of samples", parts_number(image, "rms", NAN),
                parts_number(image, "rms_limit", NAN), "");
    put_measure(ink, "pixels that differ visibly",
                100 * parts_number(image, "share", NAN),
                100 * parts_number(image, "share_limit", NAN), " %");
    ink_text(ink, "</tbody></table>\n<div class=\"pictures\">\n");
    for (size_t i = 0; i < N_ELEMENTS(figures); i++)
        put_figure(ink, image, figures[i]);
    ink_text(ink, "</div>\n");
}

/* A side of a difference as a document that a browser can show. 0 or -ENOMEM; RET is
 * empty where there is none, or too much of it. */
static int
make_document(struct ink *ret, const json_t *difference, size_t side)
{
    struct slice text = parts_string(difference, roles[side]);
    const char *policy = report_read_text(difference, "policy");

    ink_clear(ret);
    if (strcmp(policy, "html") == 0 || strcmp(policy, "svg") == 0)
        html_put_ends(ret, text);
    else
        ink_slice(ret, text);
    if (ret->failure > 0)
        ink_clear(ret);
    return ret->failure;
}

/* Drawings as pictures: a script in one has no effect there. */
static void
put_drawings(struct ink *ink, const json_t *difference)
{
    CLEANUP(ink_fini) struct ink document;

    ink_init(&document, SHOWN_BYTES_MAX);
    ink_text(ink, "<div class=\"pictures\">\n");
    for (size_t side = 0; side < SIDES_COUNT; side++) {
        if (make_document(&document, difference, side) != 0)
            ink->failure = -ENOMEM;
        if (document.buffer.length == 0)
            continue;
        ink_format(ink, "<figure><figcaption>%s</figcaption>", roles[side]);
        html_put_image(ink, "image/svg+xml", buffer_slice(&document.buffer), roles[side]);
        ink_text(ink, "</figure>\n");
    }
    ink_text(ink, "</div>\n");
}

/* About as a notebook shows it, which styles such HTML itself. */
static const char frame_style[] =
    "<style>body{font:13px system-ui,sans-serif;margin:8px}"
    "table{border-collapse:collapse}td,th{padding:2px 8px;text-align:right}</style>";

/* HTML in frames that may do nothing; the policy of the page holds for them, too. */
static void
put_frames(struct ink *ink, const json_t *difference)
{
    CLEANUP(ink_fini) struct ink document;

    ink_init(&document, SHOWN_BYTES_MAX);
    ink_text(ink, "<details class=\"more\"><summary>As a browser shows them</summary>\n"
                  "<div class=\"frames\">\n");
    for (size_t side = 0; side < SIDES_COUNT; side++) {
        if (make_document(&document, difference, side) != 0)
            ink->failure = -ENOMEM;
        if (document.buffer.length == 0)
            continue;
        ink_format(ink,
                   "<figure><figcaption>%s</figcaption><iframe sandbox=\"\" "
                   "loading=\"lazy\" title=\"%s\" srcdoc=\"",
                   roles[side], roles[side]);
        html_put_attribute(ink, slice_text(frame_style));
        html_put_attribute(ink, buffer_slice(&document.buffer));
        ink_text(ink, "\"></iframe></figure>\n");
    }
    ink_text(ink, "</div></details>\n");
}

static void
put_rules(struct ink *ink, const json_t *rules)
{
    size_t count = json_array_size(rules);

    if (count == 0)
        return;
    if (count > RULES_MAX)
        count = RULES_MAX;
    ink_text(ink, "<p class=\"label\">In cellwall-test.json this makes them equal:</p>\n"
                  "<pre tabindex=\"0\">&quot;sanitize&quot;: [\n");
    for (size_t i = 0; i < count; i++) {
        char *rule =
            json_dumps(json_array_get(rules, i), JSON_ENSURE_ASCII | JSON_ENCODE_ANY);

        if (rule == NULL) {
            ink->failure = -ENOMEM;
            return;
        }
        ink_text(ink, "  ");
        html_put_text(ink, slice_text(rule), HTML_TEXT_BYTES_MAX);
        ink_text(ink, i + 1 < count ? ",\n" : "\n");
        free(rule);
    }
    ink_text(ink, "]</pre>\n");
}

static void
put_heading(struct ink *ink, const json_t *difference)
{
    const json_t *output = json_object_get(difference, "output");
    const char *type = report_read_text(difference, "type");
    const char *message = report_read_text(difference, "message");

    ink_text(ink, "<h5><b>");
    html_put_name(ink, type[0] != '\0' ? type : "an output");
    ink_text(ink, "</b><small>");
    if (json_is_integer(output))
        ink_format(ink, "output %lld", (long long)json_integer_value(output));
    ink_text(ink, "</small>");
    html_put_name(ink,
                  message[0] != '\0' ? message : report_read_text(difference, "kind"));
    ink_text(ink, "</h5>\n");
}

static bool
has_text(const json_t *difference)
{
    return parts_string(difference, "expected").length > 0 ||
           parts_string(difference, "actual").length > 0;
}

void
html_put_difference(struct ink *ink, const json_t *difference)
{
    const json_t *lines = json_object_get(difference, "lines");
    const json_t *image = json_object_get(difference, "image");
    const char *type = report_read_text(difference, "type");

    ink_text(ink, "<div class=\"change\">\n");
    put_heading(ink, difference);
    if (json_array_size(lines) > 0)
        put_diff(ink, lines);
    else if (json_object_size(image) == 0 && has_text(difference))
        put_sides(ink, difference);
    put_numbers(ink, json_object_get(difference, "numbers"));
    if (json_object_size(image) > 0)
        put_picture(ink, image);
    else if (strcmp(type, "image/svg+xml") == 0 && has_text(difference))
        put_drawings(ink, difference);
    else if (strcmp(type, "text/html") == 0 && has_text(difference))
        put_frames(ink, difference);
    put_rules(ink, json_object_get(difference, "rules"));
    ink_text(ink, "</div>\n");
}

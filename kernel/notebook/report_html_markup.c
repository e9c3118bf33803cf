/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <string.h>

#include "kernel/notebook/report_html.h"
#include "kernel/notebook/report_read.h"
#include "protocol/cleanup.h"

#define DEPTH_MAX 300 /* more than the canonical form has */

struct element {
    struct slice name;
    size_t indent;
};

static size_t
indent_of(struct slice line)
{
    size_t indent = 0;

    while (indent < line.length && line.data[indent] == ' ')
        indent++;
    return indent;
}

/* The name of the element that LINE begins; empty where it is none. */
static struct slice
name_of(struct slice line, size_t indent)
{
    struct slice name = { line.data + indent + 1, 0 };

    if (indent >= line.length || line.data[indent] != '<')
        return name;
    while (indent + 1 + name.length < line.length &&
           (isalnum(name.data[name.length]) || strchr(":_.-", name.data[name.length])))
        name.length++;
    return name;
}

static void
put_end(struct ink *ink, const struct element *element)
{
    if (slice_equals_text(element->name, "br")) /* its end would be another */
        return;
    ink_text(ink, "</");
    ink_slice(ink, element->name);
    ink_text(ink, ">");
}

void
html_put_ends(struct ink *ink, struct slice canonical)
{
    struct element open[DEPTH_MAX];
    size_t depth = 0;

    while (canonical.length > 0) {
        struct slice line = report_read_line(&canonical);
        size_t indent = indent_of(line);
        struct slice name = name_of(line, indent);

        while (line.length > 0 && depth > 0 && open[depth - 1].indent >= indent)
            put_end(ink, &open[--depth]);
        ink_slice(ink, line);
        ink_text(ink, "\n");
        if (name.length > 0 && depth < DEPTH_MAX)
            open[depth++] = (struct element){ name, indent };
    }
    while (depth > 0)
        put_end(ink, &open[--depth]);
}

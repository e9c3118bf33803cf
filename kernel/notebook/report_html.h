/* SPDX-License-Identifier: MIT */
/*
 * report_html - what the parts of the page have in common
 *
 * All text of notebooks is hostile: here it becomes text of a page, or a value of an
 * attribute, and nothing else. What is shown as a notebook had it (a picture, HTML) is
 * an image from a data: URI, or in a frame without any rights.
 */
#ifndef KERNEL_NOTEBOOK_REPORT_HTML_H
#define KERNEL_NOTEBOOK_REPORT_HTML_H

#include <jansson.h>

#include "kernel/notebook/ink.h"

#define HTML_TEXT_BYTES_MAX ((size_t)128 * 1024) /* of one text of a notebook */
#define HTML_NAME_BYTES_MAX ((size_t)1024) /* of a path, a sentence, a name */

/* Made from report_html.css and report_html.js when the program is built. */
extern const char html_style[], html_script[];

/* TEXT as text: at most MAX bytes of it, control characters and hidden ones as something
 * that is seen. */
void html_put_text(struct ink *ink, struct slice text, size_t max);
void html_put_name(struct ink *ink, const char *text);

/* TEXT as a value between double quotes. */
void html_put_attribute(struct ink *ink, struct slice text);

/* Text with the colours that its escape sequences ask for. */
void html_put_coloured(struct ink *ink, struct slice text, size_t max);

/* An element img with the class and the other text ROLE, of bytes that are MIME. */
void html_put_image(struct ink *ink, const char *mime, struct slice bytes,
                    const char *role);

/* CANONICAL, a document with one node a line and its depth as indentation, with the end
 * tags that it is without: markup, not text. */
void html_put_ends(struct ink *ink, struct slice canonical);

/* One difference of a cell. */
void html_put_difference(struct ink *ink, const json_t *difference);

/* The section of a cell that did not pass. ANCHOR: its id. STATUS: as it is said. */
void html_put_cell(struct ink *ink, const json_t *event, const char *anchor,
                   const char *status);

#endif

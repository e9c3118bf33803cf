/* SPDX-License-Identifier: MIT */
/*
 * report_parts - what reports have in common: reading events, harmless and bounded text
 *
 * Events carry what notebooks have printed. Nothing of it is trusted here: a member that
 * is missing or of another type counts as not there, and every text has a bound.
 */
#ifndef KERNEL_NOTEBOOK_REPORT_PARTS_H
#define KERNEL_NOTEBOOK_REPORT_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "protocol/buffer.h"

#define PARTS_LINE_BYTES_MAX ((size_t)1024) /* of what is shown on one line */
#define PARTS_TEXT_BYTES_MAX ((size_t)16 * 1024) /* of one text */
#define PARTS_CELL_BYTES_MAX ((size_t)64 * 1024) /* of all that is said of one cell */
#define PARTS_DIFFERENCES_MAX 50 /* of a cell that are told */
#define PARTS_NUMBERS_MAX 20 /* of a difference that are told; rules, too */
#define PARTS_SECONDS_MAX 1e9

/* Of a cell or of a notebook. */
enum parts_status {
    PARTS_PASSED,
    PARTS_FAILED,
    PARTS_ERROR, /* also for a status that is not known */
    PARTS_SKIPPED,
    PARTS_NOT_RUN,
    PARTS_STATUSES
};

/* Whether EVENT is of the kind NAME: "cell". */
bool parts_is_event(const json_t *event, const char *name);

/* A member that is a string (borrowed; empty where there is none), or a number
 * (OTHERWISE where there is none). */
struct slice parts_string(const json_t *object, const char *key);
struct slice parts_slice(const json_t *string);
double parts_number(const json_t *object, const char *key, double otherwise);

enum parts_status parts_status(const json_t *event);
const char *parts_status_name(enum parts_status status); /* "not_run" */

/* Seconds that EVENT tells, within bounds; 0 where it tells none. */
double parts_seconds(const json_t *event);

/* The functions below append to RET; results of buffer_append. */

/* TEXT without escape sequences, and with pictures for all control characters but \n and
 * \t: characters that XML, YAML and terminals all take. What is beyond MAX bytes of TEXT
 * is left out, and that is said. */
int parts_append_plain(struct buffer *ret, struct slice text, size_t max);

/* The same on one line: a space for any run of white space, none at the ends, and "..."
 * for what is left out. */
int parts_append_line(struct buffer *ret, struct slice text, size_t max);

/* The lines of TEXT as parts_append_plain has them, each behind PREFIX and ended. */
int parts_append_lines(struct buffer *ret, const char *prefix, struct slice text,
                       size_t max);

/* TEXT, harmless already, for XML and HTML: also within quotes. A line end is kept. */
int parts_append_xml(struct buffer *ret, struct slice text);

/* "Cell 3 (a1b2)": its number among the cells of code, and its id if it has one. */
int parts_append_cell_name(struct buffer *ret, const json_t *cell);

/* The sentence of EVENT's reason, on one line, or nothing. */
int parts_append_reason(struct buffer *ret, const json_t *event);

/* One difference as plain lines: what it says, the line diff, numbers with their
 * distances, files of pictures, rules. */
int parts_append_difference(struct buffer *ret, const json_t *difference);

/* All about a cell that did not pass, as plain lines of at most PARTS_CELL_BYTES_MAX:
 * its reason, traceback, the interpreter's last words, and its differences. */
int parts_append_cell(struct buffer *ret, const json_t *cell);

#endif

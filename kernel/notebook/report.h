/* SPDX-License-Identifier: MIT */
/*
 * report - what a test run tells, to people and to programs
 *
 * Every report is made of the same events, JSON objects that docs/notebook-tests.md
 * describes under "Events"; the report "jsonl" is these events themselves.
 */
#ifndef KERNEL_NOTEBOOK_REPORT_H
#define KERNEL_NOTEBOOK_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "protocol/buffer.h"

struct screen;

/* Writes all of TEXT. Its results other than 0 are passed on. */
typedef int report_write_fn(struct slice text, void *arg);

/* Plain data, borrowed as long as the report. */
struct report_options {
    report_write_fn *write; /* where it goes; not for "text" */
    void *arg;
    struct screen *screen; /* for "text" alone */
    bool verbose; /* "text": cells that passed, too */
};

/* A row of the table of reports. */
struct report_kind {
    const char *name; /* "junit" */
    int (*create)(void **ret, const struct report_options *options); /* 0, -ENOMEM */
    /* 0, results of write, or < 0. "end" is the last event that comes. */
    int (*event)(void *report, const json_t *event);
    void (*destroy)(void *report); /* NULL is allowed */
};

extern const struct report_kind report_text; /* for a person, on a terminal or not */
extern const struct report_kind report_html; /* one self-contained page */
extern const struct report_kind report_junit; /* JUnit XML, a test case per cell */
extern const struct report_kind report_tap; /* Test Anything Protocol 14 */
extern const struct report_kind report_jsonl; /* the events, one per line */
extern const struct report_kind report_github; /* annotations of a workflow */

#endif

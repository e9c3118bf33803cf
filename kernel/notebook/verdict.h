/* SPDX-License-Identifier: MIT */
/*
 * verdict - what a test has found of one cell of code, and of a notebook, and the events
 * that tell it
 *
 * docs/notebook-tests.md, "Events", has the meaning of all members.
 */
#ifndef KERNEL_NOTEBOOK_VERDICT_H
#define KERNEL_NOTEBOOK_VERDICT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum verdict_status {
    VERDICT_PASSED,
    VERDICT_FAILED,
    VERDICT_ERROR,
    VERDICT_SKIPPED,
    VERDICT_NOT_RUN,
    VERDICT_STATUS_END
};

const char *verdict_status_name(enum verdict_status status); /* "passed", ... */

/* Of one cell. Plain data, zeroed: it passed. */
struct verdict {
    enum verdict_status status;
    const char *kind; /* static: of the reason, NULL: none */
    char *text; /* owned: the reason, a sentence */
    char *stderr_tail; /* owned, or NULL */
    json_t *traceback; /* owned, or NULL */
    char *printed; /* owned, or NULL: the last that it printed before it failed */
    json_t *differences; /* owned, or NULL: none */
    bool compared;
    bool recorded; /* its outputs are to be recorded */
    double seconds; /* < 0: none */
    json_int_t execution_count; /* < 0: none */
};

/* Status and reason, unless it has another one than "passed" already. KIND is static. 0
 * or -ENOMEM. */
__attribute__((format(printf, 4, 5))) int verdict_set(struct verdict *verdict,
                                                      enum verdict_status status,
                                                      const char *kind,
                                                      const char *format, ...);
void verdict_fini(struct verdict *verdict);

struct notebook;

/* The event "cell": NUMBER among the cells of code. STATUS: in place of the verdict's, or
 * NULL. The caller owns the event; NULL: no memory. */
json_t *verdict_event(const struct verdict *verdict, const char *path,
                      const struct notebook *notebook, size_t cell, size_t number,
                      const char *status);

/* TEXT, of which nobody knows that it is UTF-8: a path, what a system or a dead process
 * has said. NULL: "". The caller owns it; NULL: no memory. */
json_t *verdict_text(const char *text);

/* {"kind", "text"}, or null when KIND is NULL. */
json_t *verdict_reason(const char *kind, const char *text);

/* How many there are of each status; as an object of those that are not 0. */
struct verdict_counts {
    size_t of[VERDICT_STATUS_END];
};
json_t *verdict_counts_object(const struct verdict_counts *counts);

/* Of all counts: ERROR only where nothing FAILED. */
enum verdict_status verdict_worst(const struct verdict_counts *counts);

#endif

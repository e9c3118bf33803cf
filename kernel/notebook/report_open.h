/* SPDX-License-Identifier: MIT */
/*
 * report_open - notebooks that have begun to be reported, and are not done
 *
 * Notebooks run side by side, and how many of their cells failed is known at their end
 * only: until then a report keeps what it has made of each one's cells.
 */
#ifndef KERNEL_NOTEBOOK_REPORT_OPEN_H
#define KERNEL_NOTEBOOK_REPORT_OPEN_H

#include <jansson.h>

#include "kernel/notebook/report_parts.h"
#include "protocol/buffer.h"

#define REPORT_OPEN_BYTES_MAX ((size_t)512 * 1024 * 1024) /* of a notebook's cells */

struct report_open {
    char *path; /* owned */
    char *kernel, *language; /* owned, or NULL: not told */
    struct buffer text; /* owned: what the report has made of its cells */
    size_t cells; /* that were reported */
    size_t counts[PARTS_STATUSES]; /* of them */
    struct report_open *next; /* owned */
};

/* Finds the notebook whose path EVENT has, or adds it to *LIST: no path is "". What
 * EVENT tells of its kernel is kept. 0 or -ENOMEM. */
int report_open_find(struct report_open **list, const json_t *event,
                     struct report_open **ret);

/* Takes ONE, which is in *LIST, out of it and frees it. */
void report_open_close(struct report_open **list, struct report_open *one);

/* Closes all. */
void report_open_fini(struct report_open **list);

#endif

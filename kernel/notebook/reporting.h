/* SPDX-License-Identifier: MIT */
/*
 * reporting - the reports that a command line asks for, as one receiver of events
 */
#ifndef KERNEL_NOTEBOOK_REPORTING_H
#define KERNEL_NOTEBOOK_REPORTING_H

#include <jansson.h>
#include <stdbool.h>

#include "kernel/options.h"
#include "protocol/cleanup.h"

enum {
    REPORTING_E_USAGE = 1, /* no such kind, or the same file twice; see ERR */
    REPORTING_E_FAILED /* a file cannot be written; see ERR */
};

struct console;
struct error;
struct reporting; /* opaque */

/* What --report's help says: a line for each kind. */
extern const char reporting_help[];

/* WISHES: "KIND=FILE", "-" is stdout. The report for a person goes to CONSOLE (borrowed),
 * unless stdout has another one, or QUIET. The caller owns *ret. */
int reporting_create(struct reporting **ret, const struct option_list *wishes,
                     struct console *console, bool quiet, bool verbose,
                     struct error *err);
void reporting_destroy(struct reporting *reporting); /* NULL is allowed */
CLEANUP_DEFINE(struct reporting, reporting_destroy);

/* Takes EVENT; NULL is -ENOMEM. 0, REPORTING_E_FAILED, the console's "stop", or < 0. */
int reporting_tell(struct reporting *reporting, json_t *event, struct error *err);

#endif

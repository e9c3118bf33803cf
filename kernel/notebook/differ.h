/* SPDX-License-Identifier: MIT */
/*
 * differ - what two notebooks have stored, compared without running them
 *
 * What is expected is BEFORE's; settings and what cells say of their tests are AFTER's.
 * The outcome is the events of docs/notebook-tests.md.
 */
#ifndef KERNEL_NOTEBOOK_DIFFER_H
#define KERNEL_NOTEBOOK_DIFFER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "kernel/notebook/verdict.h"

struct artefacts;
struct comparer;
struct error;
struct notebook;

enum {
    DIFFER_E_FAILED = 1, /* the file cannot be read; see ERR, which names it */
    DIFFER_E_EXCLUDED /* by the project */
};

/* Plain data, borrowed. */
struct differ_options {
    struct comparer *comparer;
    struct artefacts *artefacts;
    const char *config; /* the project's; NULL: the nearest one of the notebook */
    const json_t *overrides; /* members that go first */
    bool sources; /* whether they count */
};

/* Two versions of a notebook. Plain data, borrowed. */
struct differ_pair {
    const char *path; /* as it is shown */
    const char *before, *after; /* files */
};

/* 0, DIFFER_E_FAILED, < 0. The caller owns *ret. */
int differ_read(struct notebook **ret, const char *path, struct error *err);

/* How many cells of code it has. */
size_t differ_count(const struct notebook *notebook);

/* The members of the configuration that count for the notebook PATH, OVERRIDES too. The
 * caller owns *ret. 0, DIFFER_E_FAILED, DIFFER_E_EXCLUDED, < 0. */
int differ_settings(json_t **ret, const char *path, const struct differ_options *options,
                    struct error *err);

/* The events "notebook_begin", "cell" and "notebook", in an array that the caller owns.
 * Adds its cells to COUNTS. Waits for the comparer. What cannot be read is told by the
 * event. 0 or < 0. */
int differ_compare(json_t **ret, const struct differ_pair *pair,
                   const struct differ_options *options, struct verdict_counts *counts,
                   enum verdict_status *ret_status);

/* The event "notebook" of one that has no cells to tell of. NULL: no memory. */
json_t *differ_event(const char *path, enum verdict_status status, const char *kind,
                     const char *text);

#endif

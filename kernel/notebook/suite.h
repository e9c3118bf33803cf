/* SPDX-License-Identifier: MIT */
/*
 * suite - a test run of many notebooks, several at a time
 */
#ifndef KERNEL_NOTEBOOK_SUITE_H
#define KERNEL_NOTEBOOK_SUITE_H

#include <jansson.h>
#include <stdbool.h>

#include "kernel/notebook/job.h"
#include "protocol/cleanup.h"

#define SUITE_JOBS_MAX 64
#define SUITE_PROGRESS_MS 200

struct durations;
struct error;
struct item_options;
struct reporting;
struct suite; /* opaque */

/* Borrowed as long as the suite. Plain data. */
struct suite_options {
    struct loop *loop;
    struct spawner *spawner; /* NULL: nothing is run, see suite_list */
    struct reporting *reporting;
    struct durations *durations;
    const struct item_options *items;
    struct artefacts *artefacts; /* where pictures go */
    enum sandbox_tier tier;
    enum job_mode mode;
    unsigned runs; /* of JOB_FLAKY */
    unsigned jobs; /* notebooks at a time */
};

enum { SUITE_E_FAILED = 1 }; /* see ERR */

/* The caller owns *ret. */
int suite_create(struct suite **ret, const struct suite_options *options);
void suite_destroy(struct suite *suite); /* NULL is allowed */
CLEANUP_DEFINE(struct suite, suite_destroy);

/* Adds the notebook at PATH, unless its configuration excludes it. 0 or < 0. */
int suite_add(struct suite *suite, const char *path);
size_t suite_count(const struct suite *suite);

/* Has a zygote started for each language that notebooks are in, but one that is used by
 * fewer than LEAST runs. *RET_BEGUN: how many that are. 0 or < 0; what fails is told by
 * cells. */
int suite_warm(struct suite *suite, size_t least, size_t *ret_begun);

/* Tells the notebooks and their cells, and runs none. */
int suite_list(struct suite *suite, struct error *err);

/* Runs all of them; what happens is told to the reports. RET_STATUS: what the event "end"
 * says. 0, SUITE_E_FAILED, the reports' other positive results, < 0. */
int suite_run(struct suite *suite, const char **ret_status, struct error *err);

/* From the loop: ends what runs, and suite_run. */
void suite_interrupt(struct suite *suite);

#endif

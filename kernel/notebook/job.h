/* SPDX-License-Identifier: MIT */
/*
 * job - the test of one notebook: its runs, the comparisons, and the verdicts
 */
#ifndef KERNEL_NOTEBOOK_JOB_H
#define KERNEL_NOTEBOOK_JOB_H

#include <jansson.h>
#include <stddef.h>

#include "contexts/sandbox/spec.h"
#include "kernel/notebook/verdict.h"
#include "protocol/cleanup.h"

#define JOB_RUNS_MAX 100

struct artefacts;
struct comparer;
struct item;
struct job; /* opaque */
struct loop;
struct spawner;

enum job_mode {
    JOB_TEST, /* what is stored is expected */
    JOB_RECORD, /* likewise, and what differs becomes pending */
    JOB_FLAKY, /* the first run is expected of the others */
    JOB_AGAINST /* another kernel is expected */
};

/* Borrowed as long as the job. Plain data. */
struct job_options {
    struct loop *loop;
    struct spawner *spawner;
    struct comparer *comparer;
    struct artefacts *artefacts;
    enum sandbox_tier tier;
    enum job_mode mode;
    unsigned runs; /* of JOB_FLAKY */
    void (*on_ended)(void *arg); /* once, from the loop; may destroy the job */
    void *arg;
};

/* Begins; ITEM is borrowed, and without trouble. The caller owns *ret. */
int job_create(struct job **ret, struct item *item, const struct job_options *options);
void job_destroy(struct job *job); /* NULL is allowed */
CLEANUP_DEFINE(struct job, job_destroy);

/* A failure of our own that ended it; 0: none. */
int job_result(const struct job *job);

/* 0 to 1: how much of it is done; and the cell of code that runs. */
double job_progress(const struct job *job, size_t *ret_cell);

/* Of a job that has ended: its events "cell" and "notebook", in an array that the caller
 * owns. Adds to COUNTS, and says what became of the notebook. NULL: no memory. */
json_t *job_events(const struct job *job, struct verdict_counts *counts,
                   enum verdict_status *ret);

#endif

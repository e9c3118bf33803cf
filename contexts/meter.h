/* SPDX-License-Identifier: MIT */
/*
 * meter - what a context uses, as its control groups tell
 *
 * Where there is no group for memory, its processes are looked at from time to time: that
 * finds what is used for longer, not what is used for a moment, nor files in a tmpfs.
 */
#ifndef CONTEXTS_METER_H
#define CONTEXTS_METER_H

#include <stdint.h>

struct cgroup;
struct loop;
struct meter; /* opaque */

/* The memory limit was reached: with a group, the kernel ends one of the processes now,
 * or has. 0 or < 0, as callbacks of the loop. May destroy the meter. */
typedef int meter_full_fn(void *arg);

/* What is not told is 0. */
struct meter_reading {
    uint64_t memory_peak_bytes; /* RAM and tmpfs, of all processes together */
    uint64_t cpu_us; /* of all processes; where no group tells it, of 64 of those that
                        live, and of those that these have waited for */
    uint64_t memory_kills; /* processes that the kernel has ended for want of it */
};

/* What is metered. */
struct meter_subject {
    struct cgroup *group; /* its directories are taken, even on failure */
    int init_pidfd; /* borrowed */
    uint64_t memory_limit_bytes; /* 0: none */
};

/* FN may be called from the loop. The caller owns *ret. 0 or < 0. */
int meter_create(struct meter **ret, struct loop *loop,
                 const struct meter_subject *subject, meter_full_fn *fn, void *arg);
void meter_destroy(struct meter *meter); /* NULL is allowed */

/* A program begins to run: there is more to see from now on. NULL is allowed. */
void meter_hurry(struct meter *meter);

/* NULL reads nothing. */
struct meter_reading meter_read(const struct meter *meter);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * meter - what a context uses, as its control groups tell
 */
#ifndef CONTEXTS_METER_H
#define CONTEXTS_METER_H

#include <stdint.h>

struct cgroup;
struct loop;
struct meter; /* opaque */

/* The memory limit was reached, and what cannot be reclaimed is more: the kernel ends one
 * of the processes now, or has. 0 or < 0, as callbacks of the loop. May destroy the
 * meter. */
typedef int meter_full_fn(void *arg);

/* What is not told is 0. */
struct meter_reading {
    uint64_t memory_peak_bytes; /* RAM and tmpfs, of all processes together */
    uint64_t memory_kills; /* processes that the kernel has ended for want of it */
};

/* Takes GROUP's directories, even on failure. FN may be called from the loop; where there
 * is no memory group it is not. The caller owns *ret. 0 or < 0. */
int meter_create(struct meter **ret, struct loop *loop, struct cgroup *group,
                 meter_full_fn *fn, void *arg);
void meter_destroy(struct meter *meter); /* NULL is allowed */

/* NULL reads nothing. */
struct meter_reading meter_read(const struct meter *meter);

#endif

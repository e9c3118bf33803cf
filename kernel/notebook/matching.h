/* SPDX-License-Identifier: MIT */
/*
 * matching - which cells of code of two notebooks are the same
 *
 * Those with the same id; of the others a longest common series of equal sources; and
 * what is then left between two matches, in its order.
 */
#ifndef KERNEL_NOTEBOOK_MATCHING_H
#define KERNEL_NOTEBOOK_MATCHING_H

#include <stddef.h>
#include <stdint.h>

#define MATCHING_NONE SIZE_MAX
#define MATCHING_WORK_MAX                                                                \
    ((size_t)16 * 1024 * 1024) /* pairs of cells that are looked at;                     \
                                  beyond, the next equal source is                       \
                                  taken */

struct notebook;

/* Indices in the two notebooks' cells. Plain data. */
struct matching_pair {
    size_t before, after; /* one may be MATCHING_NONE: removed, or added */
};

struct matching {
    struct matching_pair *pairs; /* owned: in AFTER's order, what was removed behind what
                                    it stood behind */
    size_t count;
};

/* 0 or -ENOMEM. */
int matching_create(struct matching *ret, const struct notebook *before,
                    const struct notebook *after);
void matching_fini(struct matching *matching);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * layers - what this machine gives, one layer at a time, for a person (libc only)
 *
 * Each is tried in a child, with this process's rights. Whether a whole sandbox can be
 * made is found by making one (contexts/tier.h), not from these.
 */
#ifndef CONTEXTS_SANDBOX_LAYERS_H
#define CONTEXTS_SANDBOX_LAYERS_H

#include <stddef.h>

#define LAYERS_MAX 16
#define LAYER_DETAIL_BYTES 160

enum layer_state {
    LAYER_OK,
    LAYER_MISSING,
    LAYER_WEAK /* not needed, or not all of it is there */
};

struct layer {
    const char *name; /* static, as is remedy */
    enum layer_state state;
    char detail[LAYER_DETAIL_BYTES]; /* why, or what there is; may be empty */
    const char *remedy; /* NULL when OK */
};

/* DIRECTORY: whose file system is looked at. Forks: call it from a process with one
 * thread. Returns how many. */
size_t layers_find(struct layer ret[LAYERS_MAX], const char *directory);

#endif

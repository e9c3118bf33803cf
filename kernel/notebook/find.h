/* SPDX-License-Identifier: MIT */
/*
 * find - the notebooks that paths name
 *
 * A file counts whatever its name is; of a folder all "*.ipynb" below it, ordered by
 * name, but not hidden ones, ".ipynb_checkpoints", "*.pending.ipynb", "node_modules",
 * folders that are virtual environments ("pyvenv.cfg"), and what a link to a folder leads
 * to.
 */
#ifndef KERNEL_NOTEBOOK_FIND_H
#define KERNEL_NOTEBOOK_FIND_H

#include <stddef.h>

#define FIND_MAX 100000 /* notebooks */
#define FIND_DEPTH_MAX 64
#define FIND_ENTRIES_MAX 2000000 /* of one PATH, in all folders below it */

enum { FIND_E_FAILED = 1 }; /* no such path, not readable, too many; see ERR */

struct error;

/* Plain data, zeroed at first. */
struct found {
    char **paths; /* owned, as they are to be shown: relative as PATHS are */
    size_t count, capacity;
    void *known; /* owned: their absolute paths (tsearch) */
};

/* Adds what PATH names; no notebook twice (by its absolute path). 0, FIND_E_FAILED: also
 * when a folder has none; -ENOMEM. */
int find_notebooks(struct found *found, const char *path, struct error *err);
void found_fini(struct found *found);

#endif

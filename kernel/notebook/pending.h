/* SPDX-License-Identifier: MIT */
/*
 * pending - recorded notebooks that wait beside their sources, and their acceptance
 *
 * "NAME.ipynb" has its pending outputs in "NAME.pending.ipynb", a notebook that can be
 * opened like any other.
 */
#ifndef KERNEL_NOTEBOOK_PENDING_H
#define KERNEL_NOTEBOOK_PENDING_H

#include <limits.h>
#include <stddef.h>

#include "protocol/buffer.h"

#define PENDING_SUFFIX ".pending.ipynb"

enum {
    PENDING_E_FAILED = 1, /* see ERR, which names the file */
    PENDING_E_NONE /* pending_accept alone: nothing is pending; see ERR, too */
};

struct error;
struct notebook;
struct notebook_change;

/* Where the pending one of notebook PATH is. 0, PENDING_E_FAILED: too long. */
int pending_path(char ret[PATH_MAX], const char *path, struct error *err);

/* Writes NOTEBOOK, read from PATH, with CHANGES as pending. An earlier one is replaced.
 * 0, PENDING_E_FAILED, -ENOMEM. */
int pending_write(const char *path, const struct notebook *notebook,
                  const struct notebook_change *changes, size_t count, struct error *err);

/* Plain data. */
struct pending_accepted {
    size_t cells; /* whose outputs were taken */
    size_t left; /* that still wait */
};

/* Takes the pending outputs of the notebook PATH over into it: of CELL (the number of a
 * code cell as reports tell it, 0, 1, ..., or its id), or of all (NULL). A cell waits
 * when its outputs or its execution count are others in the pending file. A cell whose
 * source has changed since is refused, and then nothing is taken. The pending file goes
 * when nothing is left. The notebook's mode is kept, and a link stays one. 0,
 * PENDING_E_FAILED, PENDING_E_NONE, -ENOMEM. */
int pending_accept(const char *path, const char *cell, struct pending_accepted *ret,
                   struct error *err);

#endif

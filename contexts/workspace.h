/* SPDX-License-Identifier: MIT */
/*
 * workspace - files that outlive the interpreters which use them
 *
 * A tmpfs with a bound on bytes and inodes, kept by a process of the launcher's (see
 * keeper.h). A context shows it at WORKSPACE_PATH in all its epochs, several contexts
 * may show the same, and the server has its directory. Nothing of it is on a disk: it
 * ends with the server, however that ends.
 */
#ifndef CONTEXTS_WORKSPACE_H
#define CONTEXTS_WORKSPACE_H

#include <stdbool.h>
#include <stdint.h>

#define WORKSPACE_PATH "/workspace" /* inside */

struct error;
struct spawner;
struct workspace; /* opaque */

struct workspace_limits {
    uint64_t bytes; /* of all files */
    uint64_t inodes; /* files, directories and links, the workspace itself among them */
};

/* Once for each workspace_create that returned 0, from the loop, unless it is destroyed
 * before. ERR NULL: its folder is there. Else there will be none, and contexts with it
 * cannot start; its owner still destroys it. 0 or < 0, as callbacks of the loop. May
 * destroy WORKSPACE. */
typedef int workspace_done_fn(struct workspace *workspace, const struct error *err,
                              void *arg);

enum {
    WORKSPACE_E_LIMITS = 1, /* no bytes, or no inodes; see ERR */
    WORKSPACE_E_GONE, /* SPAWNER has no launcher of its own, or it has ended */
    WORKSPACE_E_FULL /* too many requests wait */
};

/* Asks for it; contexts may be created with it at once, before it is there. SPAWNER
 * (attached, borrowed) outlives it. FN may be NULL. The caller owns *ret. */
int workspace_create(struct workspace **ret, struct spawner *spawner,
                     const struct workspace_limits *limits, workspace_done_fn *fn,
                     void *arg, struct error *err);

/* Gives it up: its folder is closed, and no further context may be created with it.
 * Contexts that have it keep it over their restarts; the files are gone when the last of
 * their sandboxes is. Calls nobody. NULL is allowed. */
void workspace_destroy(struct workspace *workspace);

/* Its directory, for workspace_files.h; borrowed. -1: not there yet, or never. */
int workspace_folder(const struct workspace *workspace);

struct workspace_limits workspace_limits(const struct workspace *workspace);

/* For contexts: a use keeps it, even when its owner has destroyed it. */
struct workspace *workspace_ref(struct workspace *workspace);
void workspace_unref(struct workspace *workspace); /* NULL is allowed */

/* What names it in a sandbox's spec; > 0. */
uint64_t workspace_number(const struct workspace *workspace);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * nested - the tier for machines without user namespaces (internal to this folder)
 *
 * For containers that deny namespaces and mounts. Landlock is the only wall around files,
 * and pids are the machine's, so three processes make a context: the warden, a child
 * subreaper that kills what is left when init has ended and then removes the context's
 * private directory; init, the usual one; and the runner. What belongs to a tmpfs in the
 * full tier is in the private directory here, and variables that name such a place are
 * changed to name that. docs/sandbox.md has the steps, SECURITY.md what is missing.
 */
#ifndef CONTEXTS_SANDBOX_NESTED_H
#define CONTEXTS_SANDBOX_NESTED_H

#include <limits.h>

#include "contexts/sandbox/sandbox.h"
#include "contexts/sandbox/steps.h"

#define SANDBOX_PRIVATE_PREFIX "cellwall-nested-" /* of the directory's name */

/* The directory of a context. Its lock is held as long as one of init and warden lives.
 */
struct sandbox_private {
    int folder; /* owned: in which it is; -1: none */
    int fd; /* owned; -1: not made */
    char name[48];
    char path[PATH_MAX];
};

extern const struct sandbox_steps sandbox_nested_build_steps; /* the warden */
extern const struct sandbox_steps sandbox_nested_confine_steps; /* the runner */

/* nested_private.c: steps of the warden. */
int sandbox_private_check(struct sandbox_work *work); /* can it be had without mounts? */
int sandbox_private_make(struct sandbox_work *work);
int sandbox_private_fill(struct sandbox_work *work);
int sandbox_private_name(struct sandbox_work *work); /* in the spec, in place of tmpfs */

/* The path that PATH, a path inside, has here; into RET, which is at least PATH_MAX. */
bool sandbox_private_translate(const struct sandbox_work *work, const char *path,
                               char *ret);

/* nested_grants.c: a step of the runner. */
int sandbox_nested_landlock(struct sandbox_work *work);

/* nested_end.c */
/* Ends every process of the context but the caller, its subreaper, and reaps them. */
void sandbox_nested_kill(const struct sandbox_work *work);
/* Removes the private directory and what the context left in shared memory. */
void sandbox_nested_remove(const struct sandbox_work *work);
/* Removes directories beside it whose wardens did not live to do it. */
void sandbox_nested_sweep(const struct sandbox_work *work);

#endif

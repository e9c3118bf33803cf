/* SPDX-License-Identifier: MIT */
/*
 * keeper - a process that holds the file systems of workspaces, and its parent's hand
 *
 * A mount can only be copied from the mount namespace that it is in, and an ordinary user
 * has a right to mount in none but its own. So one process has such a namespace, with a
 * tmpfs for each workspace in it and nothing else, and passes copies on. It has one
 * parent, from whom alone it reads, holds no other fds, and ends with it: with the
 * namespace go the file systems that no sandbox shows any more.
 */
#ifndef CONTEXTS_SANDBOX_KEEPER_H
#define CONTEXTS_SANDBOX_KEEPER_H

#include <stdint.h>

struct error;

/* Plain data. */
struct keeper {
    int socket; /* owned; -1: there is none */
    int pid; /* its process, a child to be reaped; 0: none was started */
};

#define KEEPER_NONE { .socket = -1 }

struct keeper_wish {
    uint64_t number; /* > 0, and never used twice */
    uint64_t bytes, inodes; /* bounds, > 0 */
};

/* What a workspace is to its user; fds, owned. */
struct keeper_workspace {
    int folder; /* its directory */
    int lease; /* the keeper gives it up when all copies of this are closed */
};

/* Makes a workspace, owned by this process's user; and a keeper first, if there is none:
 * call it from a process with one thread. 0 or < 0; ERR names the step that failed. */
int keeper_make(struct keeper *keeper, const struct keeper_wish *wish,
                struct keeper_workspace *ret, struct error *err);

/* A detached mount of workspace NUMBER, for one sandbox; the caller owns *ret. */
int keeper_show(struct keeper *keeper, uint64_t number, int *ret, struct error *err);

/* The keeper ends by itself when it notices. */
void keeper_fini(struct keeper *keeper);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * processes - which processes a process has started, from /proc
 */
#ifndef CONTEXTS_PROCESSES_H
#define CONTEXTS_PROCESSES_H

#include <stddef.h>

/* The process id behind PIDFD, as seen from here; 0: it has ended, or is not to be had.
 */
int processes_of_pidfd(int pidfd);

/* ROOT and its descendants, parents first; writes at most MAX. It is a snapshot: some of
 * them may have ended. */
size_t processes_tree(int root, int *ret, size_t max);

#endif

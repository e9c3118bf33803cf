/* SPDX-License-Identifier: MIT */
/*
 * processes - which processes a process has started, and what they use, from /proc
 */
#ifndef CONTEXTS_PROCESSES_H
#define CONTEXTS_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The process id behind PIDFD, as seen from here; 0: it has ended, or is not to be had.
 */
int processes_of_pidfd(int pidfd);

/* ROOT and its descendants, parents first; writes at most MAX. It is a snapshot: some of
 * them may have ended. */
size_t processes_tree(int root, int *ret, size_t max);

/* Bytes of RAM that the processes have for themselves. What two of them share is counted
 * twice, or, EXACT, in parts, which takes the kernel much longer. */
uint64_t processes_memory(const int *pids, size_t count, bool exact);

/* Microseconds of processor time of the processes, and of those that they have started
 * and waited for; these are told to a tick, often 10 ms. */
uint64_t processes_cpu_us(const int *pids, size_t count);

/* PID is in the same user namespace as this process; false, too, when it is not to be
 * had. What runs in a context cannot leave its own. */
bool processes_shares_users(int pid);

#endif

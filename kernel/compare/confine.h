/* SPDX-License-Identifier: MIT */
/*
 * confine - a process that can read, write, reckon and end, and nothing else
 */
#ifndef KERNEL_COMPARE_CONFINE_H
#define KERNEL_COMPARE_CONFINE_H

struct error;

enum { CONFINE_E_FAILED = 1 }; /* see ERR, which names the step */

#define CONFINE_EXIT 125 /* the status of a program that could not confine itself */

/* Confines the calling process for good: no files but 0, 1 and 2, no new ones, no
 * sockets, no processes, 4 GiB of memory, no longer than its parent lives. When a step
 * fails, the process must end. 0 or CONFINE_E_FAILED. */
int confine_self(struct error *err);

#endif

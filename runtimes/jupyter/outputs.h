/* SPDX-License-Identifier: MIT */
/*
 * outputs - what a kernel's processes write to fds 1 and 2
 *
 * It is passed on to ours, so that the output of C libraries and of programs is shown.
 * Some kernels watch these fds themselves, publish what comes there, and write it to the
 * fds that they were given as well: then only the last words of stderr are kept, for the
 * case that the kernel dies.
 */
#ifndef RUNTIMES_JUPYTER_OUTPUTS_H
#define RUNTIMES_JUPYTER_OUTPUTS_H

#include <stdbool.h>
#include <sys/types.h>

struct error;
struct outputs; /* opaque */

int outputs_create(struct outputs **ret, struct error *err);
void outputs_destroy(struct outputs *outputs); /* NULL is allowed */

/* In the kernel's process: puts the pipes on fds 1 and 2. 0 or < 0. */
int outputs_take_place(const struct outputs *outputs);

/* The pipes' ends that can be read, to be polled. I: 0 or 1. */
int outputs_fd(const struct outputs *outputs, int i);

/* The kernel is PID, and has started: does it watch its outputs itself? */
void outputs_judge(struct outputs *outputs, pid_t pid);

/* Passes on what there is, up to a bound. While our own fds are not read, the group of
 * PID is stopped. */
void outputs_pass(struct outputs *outputs, pid_t pid);

/* The kernel has died: what was kept goes to fd 2. */
void outputs_tell_last_words(struct outputs *outputs);

#endif

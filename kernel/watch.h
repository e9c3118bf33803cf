/* SPDX-License-Identifier: MIT */
/*
 * watch - signals and the end of the parent, as events of the loop
 */
#ifndef KERNEL_WATCH_H
#define KERNEL_WATCH_H

#include <stdbool.h>

struct error;
struct kernel;
struct loop;
struct watch; /* opaque */

enum { WATCH_E_ORPHAN = 1 }; /* the parent has ended already */

/* Whether the program was started to ignore a signal, as behind nohup, or by a script in
 * the background. Blocked, it would come all the same. */
bool watch_is_ignored(int signal);

/* Blocks SIGINT, SIGTERM and, unless it is ignored, SIGHUP, and ignores SIGPIPE, for the
 * whole process: call it before there are threads. */
void watch_prepare(void);

/* A signalfd for these, non-blocking; the caller's. < 0. */
int watch_open_signals(struct error *err);

/* A pidfd of the process that has started this one, readable when it has ended; the
 * caller's. < 0. */
int watch_open_parent(struct error *err);

/* SIGINT interrupts KERNEL; SIGTERM, SIGHUP, and the end of the process that the
 * environment variable JPY_PARENT_PID names, stop it. LOOP and KERNEL are borrowed. 0,
 * WATCH_E_ORPHAN, < 0. */
int watch_create(struct watch **ret, struct loop *loop, struct kernel *kernel,
                 struct error *err);
void watch_destroy(struct watch *watch); /* NULL is allowed */

#endif

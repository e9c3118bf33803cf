/* SPDX-License-Identifier: MIT */
/*
 * child - one confined child: its init, its runner, its control socket
 *
 * Owns the life of the processes, not what they say: the ends of pipes and channel are
 * handed to the maker. When a child is destroyed, all its processes end.
 */
#ifndef CONTEXTS_CHILD_H
#define CONTEXTS_CHILD_H

#include <stddef.h>

#include "contexts/meter.h"
#include "contexts/output.h"
#include "contexts/sandbox/control.h"

struct child; /* opaque */
struct error;
struct loop;
struct spawner;
struct spawner_wish;

/* Each returns 0, or < 0 to stop the loop. None may destroy the child. */
struct child_observer {
    /* It exists; FDS are the receiver's. Called once, before the others. */
    int (*on_born)(const struct output_fds *fds, void *arg);
    /* Its memory limit was reached. May be called again. */
    int (*on_full)(void *arg);
    /* What its init reports. */
    int (*on_report)(const struct control_report *report, void *arg);
    /* None of its processes is left, or, with ERR, none was ever made. Called once; there
     * is no report after it. */
    int (*on_gone)(const struct error *err, void *arg);
};

enum { CHILD_E_SPAWN = 1 }; /* the spawner cannot; see ERR */

/* Asks for a child; what becomes of it is told to OBSERVER (borrowed). The caller owns
 * *ret. 0, CHILD_E_SPAWN, < 0. */
int child_create(struct child **ret, struct loop *loop, struct spawner *spawner,
                 const struct spawner_wish *wish, const struct child_observer *observer,
                 void *arg, struct error *err);

/* Kills all of it, without waiting. NULL is allowed. */
void child_destroy(struct child *child);

/* The pidfd of the runner (taken), by which it is interrupted from then on. */
void child_set_runner(struct child *child, int pidfd);

/* SIGINT for the runner's process group. */
void child_interrupt(struct child *child);

/* Kills all but init, which reports how the runner ended. One that is not born yet is
 * gone at once. */
void child_kill(struct child *child);

/* As meter_hurry. */
void child_hurry(struct child *child);

/* What it has used so far. */
struct meter_reading child_read_meter(const struct child *child);

/* As context_pids. */
size_t child_pids(const struct child *child, int *ret, size_t max);

#endif

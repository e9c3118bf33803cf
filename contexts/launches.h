/* SPDX-License-Identifier: MIT */
/*
 * launches - the server's client of the launcher
 *
 * The launcher is a process forked before the server has threads, keys or sockets. It
 * makes confined children on request; the server itself never forks again.
 */
#ifndef CONTEXTS_LAUNCHES_H
#define CONTEXTS_LAUNCHES_H

#include <stdint.h>

#include "contexts/sandbox/sandbox.h"

struct error;
struct loop;
struct sandbox_spec;
struct launches; /* opaque */

#define LAUNCHES_PENDING_MAX 1024 /* requests without an answer */
#define LAUNCHES_SENT_MAX 16 /* of these, on their way; the others wait here */

/* Once for each launches_spawn that returned 0 and was not cancelled. CHILD is the
 * receiver's to take over and close; what becomes of it is told on its control socket,
 * and its group goes when it does. Or it is NULL, and ERR says why. Returns 0 or < 0, as
 * callbacks of the loop do. May spawn and cancel, but not destroy the launches. */
typedef int launches_done_fn(const struct sandbox_child *child, const struct error *err,
                             void *arg);

/* Forks the launcher. Call it first in main: before threads, keys and other sockets. */
int launches_create(struct launches **ret, struct error *err);

/* Closes the socket, which ends the launcher, and reaps it; blocks until then, two
 * seconds at most. Destroy the contexts before. Calls nobody. NULL is allowed. */
void launches_destroy(struct launches *launches);
void launches_destroyp(struct launches **launches);

/* The launcher's process id, for a person. */
int launches_pid(const struct launches *launches);

/* Lets LOOP (borrowed, outlives the launches) read the launcher's answers. Call it once,
 * before launches_spawn. */
int launches_attach(struct launches *launches, struct loop *loop);

enum {
    LAUNCHES_E_SPEC = 1, /* the spec is out of bounds; see ERR */
    LAUNCHES_E_GONE, /* the launcher has ended */
    LAUNCHES_E_FULL /* LAUNCHES_PENDING_MAX requests wait, or there are no more fds */
};

/* Sends the request; FDS and those of ZYGOTE (NULL: the runner is started by exec) are
 * borrowed until return. FN is called later from the loop. The
 * ticket names the request for launches_cancel. */
int launches_spawn(struct launches *launches, const struct sandbox_spec *spec,
                   const int fds[SANDBOX_FD_COUNT], const struct sandbox_zygote *zygote,
                   launches_done_fn *fn, void *arg, uint64_t *ret_ticket,
                   struct error *err);

/* Once for each launches_workspace that returned 0 and was not cancelled. FOLDER and
 * LEASE (see keeper.h) are the receiver's; -1 and ERR: there is none. 0 or < 0, as
 * callbacks of the loop do. */
typedef int launches_workspace_fn(int folder, int lease, const struct error *err,
                                  void *arg);

struct launches_bounds {
    uint64_t bytes, inodes;
};

/* Asks for a workspace, of number *RET_TICKET; requests that are made after it may be for
 * specs with it. Otherwise as launches_spawn. One that is cancelled ceases to be. */
int launches_workspace(struct launches *launches, const struct launches_bounds *bounds,
                       launches_workspace_fn *fn, void *arg, uint64_t *ret_ticket,
                       struct error *err);

/* Tells the launcher to end what it keeps ready inside the sandboxes of zygotes. */
void launches_forget_shells(struct launches *launches);

/* FN of that request will not be called. Unknown tickets are ignored. */
void launches_cancel(struct launches *launches, uint64_t ticket);

#endif

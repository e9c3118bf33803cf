/* SPDX-License-Identifier: MIT */
/*
 * spawner - the server's client of the launcher
 *
 * The launcher is a process forked before the server has threads, keys or sockets. It
 * makes confined children on request; the server itself never forks again.
 */
#ifndef CONTEXTS_SPAWNER_H
#define CONTEXTS_SPAWNER_H

#include <stdint.h>

#include "contexts/sandbox/sandbox.h"

struct error;
struct loop;
struct sandbox_spec;
struct spawner; /* opaque */

#define SPAWNER_PENDING_MAX 1024 /* requests without an answer */
#define SPAWNER_SENT_MAX 16 /* of these, on their way; the others wait here */

/* Once for each spawner_spawn that returned 0 and was not cancelled. ERR is NULL when the
 * child exists: then INIT_PIDFD is the caller's to close; what becomes of the child is
 * told on its control socket. Else there is no child, and ERR says why. Returns 0 or < 0,
 * as callbacks of the loop do. May spawn and cancel, but not destroy the spawner. */
typedef int spawner_done_fn(int init_pidfd, const struct error *err, void *arg);

/* Forks the launcher. Call it first in main: before threads, keys and other sockets. */
int spawner_create(struct spawner **ret, struct error *err);

/* Closes the socket, which ends the launcher, and reaps it; blocks until then, two
 * seconds at most. Destroy the contexts before. Calls nobody. NULL is allowed. */
void spawner_destroy(struct spawner *spawner);
void spawner_destroyp(struct spawner **spawner);

/* The launcher's process id, for a person. */
int spawner_pid(const struct spawner *spawner);

/* Lets LOOP (borrowed, outlives the spawner) read the launcher's answers. Call it once,
 * before spawner_spawn. */
int spawner_attach(struct spawner *spawner, struct loop *loop);

enum {
    SPAWNER_E_SPEC = 1, /* the spec is out of bounds; see ERR */
    SPAWNER_E_GONE, /* the launcher has ended */
    SPAWNER_E_FULL /* SPAWNER_PENDING_MAX requests wait, or there are no more fds */
};

/* Sends the request; FDS and those of ZYGOTE (NULL: the runner is started by exec) are
 * borrowed until return. FN is called later from the loop. The
 * ticket names the request for spawner_cancel. */
int spawner_spawn(struct spawner *spawner, const struct sandbox_spec *spec,
                  const int fds[SANDBOX_FD_COUNT], const struct sandbox_zygote *zygote,
                  spawner_done_fn *fn, void *arg, uint64_t *ret_ticket,
                  struct error *err);

/* FN of that request will not be called. Unknown tickets are ignored. */
void spawner_cancel(struct spawner *spawner, uint64_t ticket);

#endif

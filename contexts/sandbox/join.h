/* SPDX-License-Identifier: MIT */
/*
 * join - a zygote's part of a new context: the runner, as a fork of the zygote
 *
 * The launcher makes a sandbox whose init asks the zygote for a runner, by one packet
 * with its spec and fds. The zygote's helper enters the sandbox's namespaces and forks
 * there; the fork is confined by the same steps as a runner that was started by exec, and
 * goes on in the zygote's program. libc only; the zygote must have one thread.
 */
#ifndef CONTEXTS_SANDBOX_JOIN_H
#define CONTEXTS_SANDBOX_JOIN_H

#include "contexts/sandbox/spec.h"

struct error;

/* What the zygote's language needs around a fork. Each may be NULL. */
struct sandbox_join_hooks {
    void (*before)(void);
    void (*after_in_zygote)(void);
    void (*after_in_runner)(void); /* the runner is confined already */
};

enum sandbox_join {
    SANDBOX_JOIN_ENDED, /* in the zygote: nobody can ask any more */
    SANDBOX_JOIN_RUNNER /* in a runner */
};

/* Serves requests on SOCKET (borrowed, SOCK_SEQPACKET). Returns < 0 or an enum
 * sandbox_join; in a runner *ret is its spec, owned by the caller, fds 0 to 3 are as its
 * spawner promised, and all others are closed. A request that cannot be served is
 * answered with a failure, by init's report. When a context ends in the very moment of
 * the fork, the zygote's memory is not to be trusted any more: the process ends. */
int sandbox_join_serve(int socket, const struct sandbox_join_hooks *hooks,
                       struct sandbox_spec_copy *ret, struct error *err);

#endif

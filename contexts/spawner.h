/* SPDX-License-Identifier: MIT */
/*
 * spawner - where interpreters come from
 *
 * A spawner of one's own forks the launcher, which starts children by exec; told to use
 * zygotes, it has them forked from warm interpreters instead, and keeps a few ready. One
 * that is connected asks a running server for the same; one of one's own may ask one,
 * too, and do the work itself when there is none.
 */
#ifndef CONTEXTS_SPAWNER_H
#define CONTEXTS_SPAWNER_H

#include <stddef.h>

#include "contexts/sandbox/cgroup.h"

struct error;
struct launches;
struct loop;
struct profile_programs;
struct sandbox_spec;
struct spawner; /* opaque */
struct spawner_order; /* opaque: a child that was asked for */

/* What is wanted; borrowed until return. */
struct spawner_wish {
    const struct sandbox_spec *spec; /* NULL in spawner_prepare: the zygote alone */
    const struct sandbox_spec *zygote; /* of the zygote that may fork it; NULL: by exec */
};

/* A child in the making: whether it gets ready is told on its control socket. */
struct spawner_child {
    int init_pidfd;
    int control; /* our end of init's control socket */
    int out, err; /* read ends of its stdout and stderr, non-blocking */
    int channel; /* our end of its frame channel */
    struct cgroup group; /* what it uses is told there */
};

#define SPAWNER_CHILD_NONE { -1, -1, -1, -1, -1, { .count = 0 } }

/* Closes what is not -1. */
void spawner_child_fini(struct spawner_child *child);

/* Once for each spawner_spawn that returned 0 and was not cancelled, from the loop; the
 * order is gone by then. CHILD is the receiver's, who sets to -1 what it keeps; or NULL,
 * and ERR says why there is none. 0 or < 0, as callbacks of the loop. May spawn and
 * cancel, but not destroy the spawner. */
typedef int spawner_done_fn(struct spawner_child *child, const struct error *err,
                            void *arg);

/* Forks the launcher. Call it first in main: before threads, keys and other sockets. */
int spawner_create(struct spawner **ret, struct error *err);

enum {
    SPAWNER_E_SPEC = 1, /* the spec is out of bounds; see ERR */
    SPAWNER_E_GONE, /* the launcher has ended, or the server; or there is none */
    SPAWNER_E_FULL /* too many requests wait, or there are no more fds */
};

#define SPAWNER_ADDRESS_BYTES 108 /* with a NUL: the path of a Unix socket */

/* Asks the server that listens at ADDRESS, the path of its socket, and is of the same
 * user; if it ends, whoever listens there at the next wish. 0, SPAWNER_E_GONE, < 0. */
int spawner_connect(struct spawner **ret, const char *address, struct error *err);

/* The launcher and all zygotes end, with the contexts that those have made; blocks until
 * the launcher has ended, two seconds at most. Calls nobody. NULL is allowed. */
void spawner_destroy(struct spawner *spawner);

/* The launcher's process id, for a person; 0: not ours. */
int spawner_pid(const struct spawner *spawner);

/* The client of its own launcher, for workspaces; borrowed. NULL: it has none. */
struct launches *spawner_launches(const struct spawner *spawner);

/* Lets LOOP (borrowed, outlives the spawner) work for it. Call it once, before the
 * others. */
int spawner_attach(struct spawner *spawner, struct loop *loop);

/* Compiled when they are first asked for. Borrowed, valid as long as the spawner. */
int spawner_programs(struct spawner *spawner, const struct profile_programs **ret,
                     struct error *err);

/* The program of a runner in the nested tier; likewise. */
int spawner_nested_program(struct spawner *spawner, enum sandbox_network network,
                           struct slice *ret, struct error *err);

/* From now on wishes for a weaker sandbox than the full one are SPAWNER_E_SPEC. */
void spawner_require_full(struct spawner *spawner);

/* TEXT: one line for the log: on a zygote, that it is ready, why it is not; or on a
 * server that cannot be used. */
typedef void spawner_told_fn(const char *text, void *arg);

/* Which server to ask. 0, SPAWNER_E_GONE: there is none. */
typedef int spawner_find_fn(char ret[SPAWNER_ADDRESS_BYTES], void *arg);

/* From now on children are asked of the server that FIND names, which is called when a
 * connection is needed; what that cannot do, SPAWNER does. TOLD is told so. Both with
 * ARG. For one of one's own, attached. */
int spawner_use_server(struct spawner *spawner, spawner_find_fn *find,
                       spawner_told_fn *told, void *arg);

/* From now on wishes with a zygote get their child by its fork, once it is ready; until
 * then, and when it cannot be had, by exec. RESERVE children are kept ready for each of
 * the last few kinds of wishes. Not for one that is connected: the server decides. */
int spawner_use_zygotes(struct spawner *spawner, unsigned reserve, spawner_told_fn *fn,
                        void *arg);

/* Starts the zygote of WISH, and its reserve, ahead of the first child. */
void spawner_prepare(struct spawner *spawner, const struct spawner_wish *wish);

/* Which zygote WISH's child would be made from, or, being started, will be: children of
 * different ones may have different modules. 0: it has none, or the server knows. */
uint64_t spawner_generation(struct spawner *spawner, const struct spawner_wish *wish);

/* *RET is for spawner_cancel alone. What shows a workspace is made here, without a spare,
 * whoever else might be asked. */
int spawner_spawn(struct spawner_order **ret, struct spawner *spawner,
                  const struct spawner_wish *wish, spawner_done_fn *fn, void *arg,
                  struct error *err);

/* FN will not be called. NULL is allowed. */
void spawner_cancel(struct spawner_order *order);

#endif

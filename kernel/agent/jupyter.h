/* SPDX-License-Identifier: MIT */
/*
 * jupyter - a Jupyter kernel in front of an agent's context, for people who look into it
 *
 * Owns the kernel, its key, its sockets and its connection file; the context is the
 * host's, who uses it too (kernel.h). The sockets are files in a folder that only this
 * user can enter: on tcp a peer without the key could make the server grow.
 *
 * The host hands on each event of the context, and has its own runs adopted:
 *
 *     on_started: jupyter_adopt(jupyter, number, &adoption) if NUMBER is its own, else
 *                 jupyter_find_run(); then
 *                 jupyter_observer.on_started(number, execution_count, jupyter)
 */
#ifndef KERNEL_AGENT_JUPYTER_H
#define KERNEL_AGENT_JUPYTER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/kernel.h"

#define JUPYTER_MAX 32 /* open at once, for whoever opens them: each has two threads */

enum {
    JUPYTER_E_FAILED = 1 /* a folder or file cannot be made, an address is in use, ...;
                            see ERR */
};

struct jupyter; /* opaque */

/* Plain data. Strings are copied, the rest is borrowed and outlives the jupyter. */
struct jupyter_options {
    struct loop *loop;
    struct context *context;
    const struct runtime *runtime;
    const struct environment *environment;
    const struct kernel_host *host;
    void *host_arg;
    const char *id; /* of the context */
    const char *name; /* of the context, for people; NULL: its id */
    const char *connection_dir; /* an absolute path, made if need be; NULL: that of the
                                   sockets, jupyter_files_folder */
    /* How the context was made: what people are told, and run_ms for their cells. */
    enum context_profile profile;
    enum sandbox_network network;
    struct context_limits limits;
};

/* Binds the sockets, writes kernel-cellwall-NAME-CHANCE.json and lets the loop wake up
 * for it. On success the caller owns *ret. 0, JUPYTER_E_FAILED, < 0. */
int jupyter_open(struct jupyter **ret, const struct jupyter_options *options,
                 struct error *err);

/* Removes file and sockets. The context stays. Requests of clients that wait in it never
 * run; a cell that runs goes on, but one that waits for input is interrupted, as nobody
 * can answer any more, and so should the host interrupt one that asks later. Blocks for
 * KERNEL_GUEST_LINGER_MS at most. Not from a function of the host. NULL is allowed. */
void jupyter_close(struct jupyter *jupyter);

/* As kernel_read, kernel_may_wait, kernel_adopt, kernel_find_run. */
int jupyter_read(struct jupyter *jupyter);
bool jupyter_may_wait(const struct jupyter *jupyter);
int jupyter_adopt(struct jupyter *jupyter, uint64_t number,
                  const struct kernel_adoption *adoption);
bool jupyter_find_run(const struct jupyter *jupyter, uint64_t number,
                      struct kernel_run *ret);

/* A client has shut it down, or it has failed (which is logged): the file is gone and the
 * host's on_end was called; jupyter_close is due. Until then nothing more happens here.
 */
bool jupyter_has_ended(const struct jupyter *jupyter);

/* For the context's events: ARG is the jupyter. */
extern const struct context_observer jupyter_observer;

/* The members of the connection file, its key among them. A new reference; NULL: no
 * memory. */
json_t *jupyter_connection(const struct jupyter *jupyter);

/* The path of the connection file. Borrowed. */
const char *jupyter_file(const struct jupyter *jupyter);

#endif

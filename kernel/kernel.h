/* SPDX-License-Identifier: MIT */
/*
 * kernel - one Jupyter kernel: five sockets in front of one context
 *
 * Owns everything between the sockets and the context, and the turn of the program's
 * loop. What each message means is the handlers' business (dispatch.h).
 *
 * The context is its own, or somebody else's who uses it too (a host). A host is the
 * context's observer, hands each event on to kernel_observer, and has its own runs
 * adopted, so that clients see them as those of another front end. It also has the turn:
 * kernel_watch once; then, each turn, kernel_read, and a wait in the loop that is none
 * unless kernel_may_wait.
 */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "contexts/context.h"
#include "kernel/comms.h"
#include "kernel/endpoint.h"
#include "kernel/history.h"
#include "kernel/iopub.h"
#include "kernel/log.h"
#include "kernel/origin.h"
#include "kernel/parents.h"
#include "kernel/session.h"
#include "kernel/usage.h"
#include "protocol/message.h"

#define KERNEL_IMPLEMENTATION "cellwall"
#define KERNEL_CONTENT_BYTES_MAX ((size_t)256 * 1024 * 1024) /* of what we compose */
#define KERNEL_BATCH 16 /* messages of one socket in one turn */
#define KERNEL_OPEN_US 1000000 /* iopub waits so long for its first subscriber */
#define KERNEL_STOP_GRACE_MS 300 /* the interpreter may end in order, ... */
#define KERNEL_STOP_LIMIT_US 700000 /* ... is killed, and is waited for so long */
#define KERNEL_DRAIN_LIMIT_US 200000 /* then for what is still to be sent */
#define KERNEL_GUEST_LINGER_MS 20 /* kernel_destroy blocks a host at most so long */
/* Of requests: they take turns with those of a host, which has 0, and a failed cell
 * aborts no run of it. */
#define KERNEL_GROUP 1
#define KERNEL_SHARE_MAX (CONTEXT_QUEUE_MAX / 2) /* requests in a host's context */
#define KERNEL_SHARE_BYTES_MAX (CONTEXT_QUEUE_BYTES_MAX / 2)

struct environment;
struct error;
struct runtime;
struct spawner;

/* What the owner of a context does for a kernel in front of it. All are needed; each
 * returns 0, or < 0: our own failure. None may destroy the kernel. */
struct kernel_host {
    /* A client wants a fresh interpreter: context_restart does it. */
    int (*on_restart)(void *arg);
    /* Clients do not read as fast as the context tells (HIGH), or have caught up, which
     * is told in any case before the kernel is gone. While it is high the context must be
     * paused, or the kernel grows; a client that reads nothing is waited for for
     * IOPUB_STALL_US, once, and then misses what it has no room for. */
    int (*on_pressure)(bool high, void *arg);
    /* A client has shut the kernel down: it reads no more, and waits to be destroyed. */
    int (*on_end)(void *arg);
};

/* Plain data, all borrowed; must outlive the kernel. */
struct kernel_options {
    struct loop *loop;
    struct context *context; /* a host's; NULL: one is made as the rest says, else the
                                rest but die_with_child tells how it was made */
    const struct kernel_host *host; /* of a context that is given */
    void *host_arg;
    const char *name; /* of that context, for people; may be NULL */
    struct spawner *spawner;
    const struct runtime *runtime;
    const struct environment *environment;
    const char *directory; /* the notebook's */
    enum sandbox_tier tier; /* the weakest that will do */
    enum sandbox_network network;
    enum context_profile profile;
    struct context_limits limits;
    bool die_with_child;
};

/* The input request that a client has not answered yet. */
struct kernel_input {
    uint64_t number; /* of the run that asks; 0: none is open */
    char id[MESSAGE_ID_BYTES]; /* msg_id of our input_request */
    struct buffer question; /* owned: the content, until the client could be asked */
    struct loop_timer *again; /* owned: asks */
    uint64_t again_us;
};

/* Open to the handlers, to nobody else. */
struct kernel {
    const struct kernel_options *options; /* borrowed */
    struct signature_key *key; /* owned, as are the next ten */
    struct replay *replay;
    struct session *session;
    struct endpoint *endpoint;
    struct iopub *iopub;
    struct parents *parents;
    struct history *history;
    struct comms *comms;
    struct context *context; /* of a guest: borrowed */
    struct loop_timer *open_timer;
    struct loop_timer *stop_timer;
    struct usage usage;
    struct kernel_input input;
    const struct connection *connection; /* borrowed: ports for connect_reply */
    uint64_t running; /* number of the execute request that started last; 0: none yet */
    bool pressing; /* the host was told of high pressure */
    size_t share_count, share_bytes; /* of our requests that the context has */
    bool tier_told; /* the log has it that the sandbox is a weaker one */
    bool loss_told; /* clients know already why the interpreter was lost */
    bool stopping;
    bool stopped;
    int exit_status;
    uint64_t dropped[WIRE_E_END]; /* messages, by WIRE_E_* */
    struct log_limit drop_limit, unknown_limit, reply_limit;
};

enum { KERNEL_E_START = 1 }; /* an address is in use, ...; see ERR */

/* Binds the sockets of CONNECTION (borrowed; free ports are filled in) and begins to
 * start an interpreter. On success the caller owns *ret. */
int kernel_create(struct kernel **ret, const struct kernel_options *options,
                  struct connection *connection, struct error *err);
void kernel_destroy(struct kernel *kernel); /* NULL is allowed */

/* Serves until it is stopped. 0, or < 0: our own failure. */
int kernel_serve(struct kernel *kernel);

/* The same in parts. Lets the loop wake up for its sockets. 0 or < 0. */
int kernel_watch(struct kernel *kernel);

/* Reads a batch of each socket. 0 or < 0. */
int kernel_read(struct kernel *kernel);

/* All has been read for which the loop would not wake up. */
bool kernel_may_wait(const struct kernel *kernel);

/* Begins to end: the interpreter in order, then the program with STATUS. Repeated calls
 * change nothing. With a host's context it only reads no more. */
int kernel_stop(struct kernel *kernel, int status);
bool kernel_has_stopped(const struct kernel *kernel);

/* A run of somebody else. Plain data, copied. */
struct kernel_adoption {
    struct slice header; /* raw JSON; becomes parent_header */
    struct slice code; /* a raw JSON string */
    bool silent;
    bool store_history;
};

/* Clients see run NUMBER of the context from now on as one of another client: to be
 * called before kernel_observer's on_started is, which may be handed on late, if the run
 * began before there was this kernel. Nobody here is replied to, or asked for its input.
 * 0, or -ENOMEM. */
int kernel_adopt(struct kernel *kernel, uint64_t number,
                 const struct kernel_adoption *adoption);

/* A run of this kernel's clients. Plain data, borrowed until the kernel is called again.
 */
struct kernel_run {
    struct slice header; /* raw JSON */
    struct slice code; /* a raw JSON string; empty for a silent run, and for all when
                          kernel_observer's on_started has been called */
    bool silent;
    bool stored; /* in the history, and counted */
};

/* Whether NUMBER is one, adopted ones aside. */
bool kernel_find_run(const struct kernel *kernel, uint64_t number,
                     struct kernel_run *ret);

/* SIGINT: as an interrupt_request. */
int kernel_interrupt(struct kernel *kernel);

int kernel_exit_status(const struct kernel *kernel);

/* Its context is a host's. */
bool kernel_is_guest(const struct kernel *kernel);

/* For handlers. A broadcast; TOPIC is informal. Empty parts become {}. */
struct kernel_broadcast {
    struct slice parent_header;
    const char *topic; /* NULL: "kernel.<session>.<type>" */
    const char *type;
    struct slice metadata, content;
    const struct slice *buffers;
    size_t buffer_count;
};

int kernel_publish(struct kernel *kernel, const struct kernel_broadcast *broadcast);
int kernel_publish_status(struct kernel *kernel, struct slice parent_header,
                          const char *state);

/* Sends to the client that ORIGIN names, on its channel. A client that is gone, or that
 * does not read its replies, loses it, counted. */
int kernel_reply(struct kernel *kernel, const struct origin *origin, const char *type,
                 struct slice metadata, struct slice content);

/* On any channel. ENDPOINT_E_GONE, ENDPOINT_E_AGAIN: the client is not there, or does not
 * read; nothing was sent. */
int kernel_send(struct kernel *kernel, enum connection_port channel,
                const struct origin *origin, const char *type, struct slice content);

/* Sends what iopub holds back, "starting" first; again: nothing. */
int kernel_open_iopub(struct kernel *kernel);

/* Tells a new subscriber of TOPIC that it misses nothing from now on, before all else. */
int kernel_welcome(struct kernel *kernel, struct slice topic);

/* Whom output belongs to: request NUMBER, or the last cell. May be empty. */
struct slice kernel_parent_header(const struct kernel *kernel, uint64_t number);

/* What the context tells: observer.c. A host hands it on, with the kernel as ARG; it may
 * be about requests that the kernel does not know. */
extern const struct context_observer kernel_observer;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * link - a client's sockets to a kernel, and the messages on them
 *
 * What arrives is hostile, though signed: user code has the kernel's key. Each message is
 * bounded before it is looked at, and its metadata and content are known to be objects in
 * sound JSON when it is handed out.
 */
#ifndef RUNTIMES_JUPYTER_LINK_H
#define RUNTIMES_JUPYTER_LINK_H

#include <stdint.h>
#include <zmq.h>

#include "protocol/message.h"
#include "runtimes/jupyter/process.h"

#define LINK_ID_BYTES 64 /* of an id that LINK makes, with its NUL */
#define LINK_CHANNELS PROCESS_HEARTBEAT /* shell, iopub, stdin, control */

enum {
    LINK_E_AGAIN = 1, /* nothing has arrived */
    LINK_E_DROPPED, /* what has arrived is of no use; see ERR */
    LINK_E_FULL /* the kernel does not read */
};

struct error;
struct link; /* opaque */
struct signature_key;

/* Connects to the sockets of PROCESS, which all have endpoints. */
int link_create(struct link **ret, const struct process *process, struct error *err);
void link_destroy(struct link *link); /* NULL is allowed */
void link_destroyp(struct link **link);

/* To be polled for ZMQ_POLLIN. Borrowed. */
void *link_socket(const struct link *link, enum process_socket channel);

/* A message to send; slices are borrowed, empty ones become "{}". */
struct link_wish {
    const char *type;
    const char *id; /* of link_make_id */
    struct slice parent_header, metadata, content;
    const struct slice *buffers;
    size_t buffer_count;
};

/* 0, LINK_E_FULL, < 0. */
int link_send(struct link *link, enum process_socket channel,
              const struct link_wish *wish, struct error *err);

/* The next message, borrowed until the next call; never waits. 0, LINK_E_AGAIN,
 * LINK_E_DROPPED, < 0. */
int link_receive(struct link *link, enum process_socket channel, struct message *ret,
                 struct error *err);

/* The id of the request of NUMBER; the same for the same number. */
void link_make_id(const struct link *link, uint64_t number, char ret[LINK_ID_BYTES]);

/* The number of a request by its id; 0: it is none of ours. */
uint64_t link_number(const struct link *link, const char *id);

/* As link_receive, for frames that lie in memory; for tests. */
int link_open(struct message *ret, const struct slice *frames, size_t count,
              const struct signature_key *key, struct error *err);

#endif

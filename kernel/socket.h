/* SPDX-License-Identifier: MIT */
/*
 * socket - ZeroMQ's calls under the result rule: whole messages, and never waiting
 *
 * ZeroMQ's fd of a socket has an edge when its mailbox gets something to read after it
 * was found empty, and whatever looks into the mailbox takes in all of it: a receive that
 * finds no message, but a send now and then, too. So only after socket_receive said
 * SOCKET_E_AGAIN, and until something is sent, is the next message sure to have its edge.
 */
#ifndef KERNEL_SOCKET_H
#define KERNEL_SOCKET_H

#include <stddef.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "protocol/buffer.h"

enum {
    SOCKET_E_AGAIN = 1, /* nothing to receive, or no room to send: nothing was sent */
    SOCKET_E_TOO_LARGE, /* too many frames or bytes: the message was dropped */
    SOCKET_E_GONE /* send: no such client any more */
};

/* A message that was received, and room for the next. The arrays are the owner's. */
struct socket_message {
    zmq_msg_t *parts; /* the first COUNT are initialised */
    struct slice *frames; /* their bytes */
    size_t capacity; /* of both arrays */
    size_t bytes_max; /* of all frames together */
    size_t count;
};

/* 0 or -errno. */
int socket_set(void *socket, int option, const void *value, size_t length);
int socket_set_int(void *socket, int option, int value);

/* Calls FN at each edge of SOCKET's fd. 0 or < 0. */
int socket_watch(struct loop_source **ret, void *socket, struct loop *loop,
                 loop_fd_fn *fn, void *arg);

/* Takes one message in place of the one before. 0, SOCKET_E_AGAIN, SOCKET_E_TOO_LARGE,
 * < 0. */
int socket_receive(void *socket, struct socket_message *message);

/* Frees the frames. Harmless when repeated. */
void socket_forget(struct socket_message *message);

/* Sends COUNT frames, whole or not at all. 0, SOCKET_E_AGAIN, SOCKET_E_GONE (only of a
 * ROUTER with ROUTER_MANDATORY), < 0. */
int socket_send(void *socket, const struct slice *frames, size_t count);

#endif

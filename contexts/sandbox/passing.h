/* SPDX-License-Identifier: MIT */
/*
 * passing - packets that carry fds, over SOCK_SEQPACKET sockets
 */
#ifndef CONTEXTS_SANDBOX_PASSING_H
#define CONTEXTS_SANDBOX_PASSING_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/buffer.h"

#define PASSING_FDS_MAX 16 /* in one packet */

/* What came with a packet besides its bytes. */
struct passing {
    size_t length; /* 0 is an empty packet or the end: see passing_is_ended */
    bool cut; /* the packet was larger than the room for it */
    bool fds_lost; /* it had more fds than PASSING_FDS_MAX, or than we may have */
    size_t fd_count;
    int fds[PASSING_FDS_MAX]; /* owned by the receiver, CLOEXEC */
};

/* Sends HEAD and BODY as one packet; FDS are borrowed. FLAGS as for send. 0 or < 0. */
int passing_send(int socket, struct slice head, struct slice body, const int *fds,
                 size_t fd_count, int flags);

/* FLAGS as for recv. 0 or < 0. */
int passing_receive(int socket, void *data, size_t size, int flags, struct passing *ret);

/* Closes the fds that are still there. */
void passing_fini(struct passing *passing);

/* True when the other end of SOCKET is closed. */
bool passing_is_ended(int socket);

#endif

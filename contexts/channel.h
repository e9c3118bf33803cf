/* SPDX-License-Identifier: MIT */
/*
 * channel - the server's end of a runner's SOCK_SEQPACKET channel
 *
 * Reads packets and puts them together to frames; sends frames in packets, from a bounded
 * queue. Never blocks, and takes no fds from the runner but its pidfd, which the kernel
 * itself sends. Everything that arrives is hostile.
 */
#ifndef CONTEXTS_CHANNEL_H
#define CONTEXTS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/frame.h"

#define CHANNEL_QUEUE_FRAMES_MAX 64 /* not yet sent */
#define CHANNEL_SOCKET_BYTES (1024 * 1024) /* of the kernel's buffer, each way */

struct channel; /* opaque */
struct error;
struct loop;

enum {
    CHANNEL_E_AGAIN = 1, /* nothing whole has arrived */
    CHANNEL_E_CLOSED, /* the runner's end is closed */
    CHANNEL_E_ILLEGAL, /* what has arrived is no frame; see ERR */
    CHANNEL_E_FULL, /* the queue is: the runner does not read */
    CHANNEL_E_TOO_LARGE /* larger than a frame may be; see ERR */
};

/* A pair for one context, both ends CLOEXEC: ours with options set, and the runner's. */
int channel_pair(int *ret_ours, int *ret_theirs);

/* Something may be read. As a loop_fd_fn: 0 or < 0. */
typedef int channel_readable_fn(void *arg);

/* Takes FD, our end, on success. The channel does not read by itself: FN is called when
 * channel_next should be, once channel_set_reading has been told so. */
int channel_create(struct channel **ret, struct loop *loop, int fd,
                   channel_readable_fn *fn, void *arg);
void channel_destroy(struct channel *channel); /* NULL is allowed */
void channel_destroyp(struct channel **channel);

int channel_set_reading(struct channel *channel, bool reading);

/* The next frame, whose parts are borrowed until the next call. Reads packets as long as
 * *BUDGET, which it lowers by their bytes, is not 0. 0, CHANNEL_E_AGAIN (the budget is
 * spent, too), CHANNEL_E_CLOSED, CHANNEL_E_ILLEGAL. */
int channel_next(struct channel *channel, size_t *budget, struct frame *ret,
                 struct error *err);

/* Sends FRAME (borrowed until return), or queues what the socket does not take. 0,
 * CHANNEL_E_CLOSED, CHANNEL_E_FULL, CHANNEL_E_ILLEGAL, CHANNEL_E_TOO_LARGE. */
int channel_send(struct channel *channel, const struct frame *frame, struct error *err);

/* The pidfd of the process that sent the first packet, the caller's from then on; -1:
 * none has come, or the kernel gives none. */
int channel_take_peer(struct channel *channel);

#endif

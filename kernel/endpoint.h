/* SPDX-License-Identifier: MIT */
/*
 * endpoint - the five sockets of a Jupyter kernel
 *
 * Owns the ZeroMQ context and sockets; knows frames of bytes, not messages. Nothing here
 * blocks but the end, for at most ENDPOINT_LINGER_MS.
 */
#ifndef KERNEL_ENDPOINT_H
#define KERNEL_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/socket.h"
#include "protocol/buffer.h"
#include "protocol/connection.h"

#define ENDPOINT_LINGER_MS 1000
#define ENDPOINT_REPLIES_MAX 8192 /* that one client has not read yet */
#define ENDPOINT_REQUESTS_MAX 256 /* of one client that we have not read yet */
#define ENDPOINT_IOPUB_MAX 256 /* that one subscriber has not read, beside our queue */
#define ENDPOINT_HEARTBEAT_BYTES_MAX 4096
#define ENDPOINT_TOPIC_BYTES_MAX 4096 /* of a subscription */

enum {
    ENDPOINT_E_AGAIN = SOCKET_E_AGAIN,
    ENDPOINT_E_TOO_LARGE = SOCKET_E_TOO_LARGE,
    ENDPOINT_E_GONE = SOCKET_E_GONE,
    ENDPOINT_E_BIND /* an address is in use or not ours; see ERR */
};

struct endpoint; /* opaque */
struct error;
struct loop;

/* Binds all five. A port of 0 becomes a free one, which CONNECTION then has. On success
 * the caller owns *ret. Sockets of ipc files are as the umask says. */
int endpoint_create(struct endpoint **ret, struct connection *connection,
                    struct error *err);

/* How long endpoint_destroy waits, in place of ENDPOINT_LINGER_MS. */
void endpoint_set_linger(struct endpoint *endpoint, int linger_ms);

/* Closes the sockets and waits until what was sent is out. NULL is allowed. */
void endpoint_destroy(struct endpoint *endpoint);

/* Lets LOOP (borrowed) wake up when a message may have come. 0 or < 0. */
int endpoint_watch(struct endpoint *endpoint, struct loop *loop);

/* There is no message, and LOOP will wake up for the next one: true from the time that
 * endpoint_receive says AGAIN until then, or until something is sent on CHANNEL. Wait
 * only when all that you want to receive from are quiet. */
bool endpoint_is_quiet(const struct endpoint *endpoint, enum connection_port channel);

/* Takes one message. The array and its bytes are borrowed until the next call. 0,
 * ENDPOINT_E_AGAIN, ENDPOINT_E_TOO_LARGE, < 0. */
int endpoint_receive(struct endpoint *endpoint, enum connection_port channel,
                     const struct slice **ret, size_t *ret_count);

/* For the client whose request was received last on iopub: from now on it gets what is
 * sent under TOPIC and longer ones, or no more. Until then it gets nothing, so that it
 * can be greeted first. 0 or < 0. */
int endpoint_subscribe(struct endpoint *endpoint, struct slice topic, bool subscribed);

/* Sends one message of COUNT frames, whole or not at all. 0, ENDPOINT_E_AGAIN,
 * ENDPOINT_E_GONE, < 0. */
int endpoint_send(struct endpoint *endpoint, enum connection_port channel,
                  const struct slice *frames, size_t count);

/* Sends on iopub, and subscribers that have no room do not get it. 0 or < 0. */
int endpoint_send_lossy(struct endpoint *endpoint, const struct slice *frames,
                        size_t count);

#endif

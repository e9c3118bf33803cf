/* SPDX-License-Identifier: MIT */
/*
 * remote - a client of the spawner of a running server
 *
 * Over a SOCK_SEQPACKET socket in the file system. Request: one packet with an id (8
 * bytes), the length of the first spec (4), and two encoded specs, the second of them
 * empty or of a zygote. Answer: one packet with the same id, a result (4; 0: the fds of a
 * struct spawner_child come along, in its order) and text for a person. All integers are
 * little-endian. An answer is as trustworthy as the server, which is of the same user.
 */
#ifndef CONTEXTS_REMOTE_H
#define CONTEXTS_REMOTE_H

#include <stdint.h>

#include "contexts/sandbox/spec.h"
#include "contexts/spawner.h"

#define REMOTE_ID_BYTES 8
#define REMOTE_LENGTH_BYTES 4 /* of a length, and of a result */
#define REMOTE_HEAD_BYTES (REMOTE_ID_BYTES + REMOTE_LENGTH_BYTES)
#define REMOTE_REQUEST_BYTES_MAX (REMOTE_HEAD_BYTES + 2 * SANDBOX_SPEC_BYTES_MAX)
#define REMOTE_PENDING_MAX 256 /* requests without an answer */

enum remote_fd {
    REMOTE_FD_INIT,
    REMOTE_FD_CONTROL,
    REMOTE_FD_OUT,
    REMOTE_FD_ERR,
    REMOTE_FD_CHANNEL,
    REMOTE_FD_COUNT
};

struct remote; /* opaque */

/* As spawner_connect. Blocks at most for the connect of a local socket. */
int remote_create(struct remote **ret, const char *address, struct error *err);
void remote_destroy(struct remote *remote); /* calls nobody; NULL is allowed */

int remote_attach(struct remote *remote, struct loop *loop);

/* As spawner_spawn; the ticket is for remote_cancel. */
int remote_spawn(struct remote *remote, const struct spawner_wish *wish,
                 spawner_done_fn *fn, void *arg, uint64_t *ret_ticket, struct error *err);
void remote_cancel(struct remote *remote, uint64_t ticket);

/* Integers of the packets. */
void remote_put(uint8_t *ret, uint64_t value, int size);
uint64_t remote_get(const uint8_t *data, int size);

#endif

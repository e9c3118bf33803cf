/* SPDX-License-Identifier: MIT */
/*
 * remote - a client of the spawner of a running server
 *
 * Over a SOCK_SEQPACKET socket in the file system. Request: one packet with an id (8
 * bytes), the length of the first spec (4), and the bytes of a wish. Answer: one packet
 * with the same id, a result (4; 0: the fds of a struct spawner_child come along, in the
 * order of enum remote_fd) and text for a person. All integers are little-endian. An
 * answer is as trustworthy as the server, which is of the same user.
 *
 * A connection lasts as long as it is used, and a little longer: many clients can share a
 * server that has few of them open.
 */
#ifndef CONTEXTS_REMOTE_H
#define CONTEXTS_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "contexts/spawner.h"
#include "contexts/wish.h"

#define REMOTE_ID_BYTES 8
#define REMOTE_LENGTH_BYTES 4 /* of a length, and of a result */
#define REMOTE_HEAD_BYTES (REMOTE_ID_BYTES + REMOTE_LENGTH_BYTES)
#define REMOTE_REQUEST_BYTES_MAX (REMOTE_HEAD_BYTES + WISH_BYTES_MAX)
#define REMOTE_PENDING_MAX 256 /* requests without an answer */
#define REMOTE_IDLE_MS 2000 /* a connection without requests is closed then */
#define REMOTE_SILENT_MS 20000 /* one with requests but no answer is given up then */

/* Behind them come the directories of the child's control groups. */
enum remote_fd {
    REMOTE_FD_INIT,
    REMOTE_FD_CONTROL,
    REMOTE_FD_OUT,
    REMOTE_FD_ERR,
    REMOTE_FD_CHANNEL,
    REMOTE_FD_COUNT,
    REMOTE_FDS_MAX = REMOTE_FD_COUNT + CGROUP_HIERARCHIES_MAX
};

struct remote; /* opaque */

/* Without a connection. */
int remote_create(struct remote **ret);
void remote_destroy(struct remote *remote); /* calls nobody; NULL is allowed */

/* ADDRESS: the path of the server's socket. Does not block. 0, SPAWNER_E_GONE, < 0. */
int remote_connect(struct remote *remote, const char *address, struct error *err);
bool remote_is_connected(const struct remote *remote);
/* Closes the connection, unless requests wait there for their answers: false. */
bool remote_drop(struct remote *remote);

/* Call it once, before remote_spawn. */
int remote_attach(struct remote *remote, struct loop *loop);

/* As spawner_spawn; SPAWNER_E_GONE: it is not connected, or not any more. The ticket, not
 * 0, is for remote_cancel. */
int remote_spawn(struct remote *remote, const struct wish *wish, spawner_done_fn *fn,
                 void *arg, uint64_t *ret_ticket, struct error *err);
void remote_cancel(struct remote *remote, uint64_t ticket);

/* Integers of the packets. */
void remote_put(uint8_t *ret, uint64_t value, int size);
uint64_t remote_get(const uint8_t *data, int size);

#endif

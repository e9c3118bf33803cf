/* SPDX-License-Identifier: MIT */
/*
 * door - the ROUTER sockets of the agent endpoint, and who stands behind each message
 *
 * Owns a ZeroMQ context with one socket for each address, and the socket on which ZeroMQ
 * asks who may come in (zap.h). Knows frames of bytes, not messages. Nothing here blocks
 * but the end, for at most DOOR_LINGER_MS.
 *
 * An owner is who a message comes from, as the kernel or CURVE have it: "uid:1000" on
 * ipc, "key:NAME" on tcp with CURVE, "anyone" on tcp without.
 */
#ifndef KERNEL_AGENT_DOOR_H
#define KERNEL_AGENT_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define DOOR_LINGER_MS 1000
#define DOOR_ADDRESSES_MAX 16
#define DOOR_ADDRESS_BYTES 256 /* with the NUL */
#define DOOR_OWNER_BYTES 96 /* with the NUL */
#define DOOR_IDENTITY_BYTES_MIN 16 /* of an identity that a client chose */
#define DOOR_FRAME_BYTES_MAX                                                             \
    ((32 * 1024 + 64) * 1024) /* beyond, the client is cut off                           \
                               */
#define DOOR_MESSAGE_BYTES_MAX ((size_t)64 * 1024 * 1024) /* all frames together */

enum {
    DOOR_E_BIND = 1, /* an address is in use, not ours, or must not be; see ERR */
    DOOR_E_AGAIN, /* nothing to receive, or no room to send: nothing was sent */
    DOOR_E_TOO_LARGE, /* too many frames or bytes: the message was dropped */
    DOOR_E_GONE, /* send: no such client any more */
    DOOR_E_STRANGER /* its owner is not known, or its identity is too short: dropped */
};

struct door; /* opaque */
struct error;
struct keys;
struct loop;

/* Plain data, borrowed until return unless noted. */
struct door_options {
    const char *const *addresses; /* ipc://PATH, tcp://HOST:PORT; PORT may be * */
    size_t address_count;
    struct keys *keys; /* of the server and of its clients; outlives the door; NULL: no
                          tcp unless anyone_may_run_code */
    bool anyone_may_run_code; /* tcp without CURVE */
};

/* Binds all. Sockets of ipc files are for this user alone, and only its processes come
 * in (root's too, when it is root's server). On success the caller owns *ret. */
int door_create(struct door **ret, struct loop *loop, const struct door_options *wanted,
                struct error *err);
void door_destroy(struct door *door); /* NULL is allowed; removes the ipc files */

/* The addresses that clients can use, with the ports that were chosen. Borrowed. */
size_t door_address_count(const struct door *door);
const char *door_address(const struct door *door, size_t index);

/* How many connections were refused for their keys. */
uint64_t door_refused(const struct door *door);

/* Nobody new comes in over tcp: this process is short of file descriptors (crowd.h). */
bool door_is_crowded(const struct door *door);

/* One message. Plain data, borrowed until the next door_receive. */
struct door_message {
    const struct slice *frames; /* the first is the client's identity */
    size_t count;
    const char *owner;
    unsigned socket; /* at which it came: for door_send */
};

/* Takes one message of any socket, in turns. 0, DOOR_E_AGAIN, DOOR_E_TOO_LARGE,
 * DOOR_E_STRANGER, < 0. After DOOR_E_AGAIN the loop wakes up for the next message. */
int door_receive(struct door *door, struct door_message *ret);

/* No socket has a message that the loop would not wake up for: it may wait. True from
 * the time that door_receive says AGAIN until then, or until something is sent. */
bool door_is_quiet(const struct door *door);

/* Sends one message of COUNT frames, the client's identity first, whole or not at all. 0,
 * DOOR_E_AGAIN, DOOR_E_GONE, < 0. */
int door_send(struct door *door, unsigned socket, const struct slice *frames,
              size_t count);

#endif

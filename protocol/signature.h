/* SPDX-License-Identifier: MIT */
/*
 * signature - HMAC-SHA256 over the four JSON frames of a Jupyter message
 *
 * It covers the bytes as they are received or sent, never the buffers. An empty key means
 * that messages are not signed: the signature frame is then empty.
 */
#ifndef PROTOCOL_SIGNATURE_H
#define PROTOCOL_SIGNATURE_H

#include <stdbool.h>

#include "protocol/buffer.h"

#define SIGNATURE_BYTES 32 /* of the digest */
#define SIGNATURE_HEX_BYTES (2 * SIGNATURE_BYTES) /* on the wire, lower case */
#define SIGNATURE_KEY_BYTES_MAX 4096
#define SIGNATURE_PARTS 4 /* header, parent_header, metadata, content */

enum {
    SIGNATURE_E_KEY = 1, /* the key is longer than SIGNATURE_KEY_BYTES_MAX */
    SIGNATURE_E_MISSING, /* a signature is needed and there is none */
    SIGNATURE_E_WRONG /* not the signature of these parts */
};

struct signature_key; /* opaque */

/* On success the caller owns *ret; the bytes of KEY are not kept, only what HMAC makes of
 * them. 0, SIGNATURE_E_KEY, -ENOMEM. */
int signature_key_create(struct signature_key **ret, struct slice key);

/* Wipes and frees. NULL is allowed. */
void signature_key_destroy(struct signature_key *key);

/* True when messages are not signed. */
bool signature_key_is_empty(const struct signature_key *key);

/* Writes the signature and a NUL; with an empty key only the NUL. */
void signature_compute(const struct signature_key *key,
                       const struct slice parts[SIGNATURE_PARTS],
                       char ret[SIGNATURE_HEX_BYTES + 1]);

/* Checks the length first, then the digits in constant time. With an empty key RECEIVED
 * must be empty. 0, SIGNATURE_E_MISSING, SIGNATURE_E_WRONG. On success RET_DIGEST (may be
 * NULL) gets the digest; with an empty key zeros. */
int signature_verify(const struct signature_key *key,
                     const struct slice parts[SIGNATURE_PARTS], struct slice received,
                     uint8_t ret_digest[SIGNATURE_BYTES]);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * replay - remembers the last signatures, so that no message is taken twice
 *
 * A ring of the last CAPACITY digests in order of arrival and a hash set over it. All
 * memory is allocated at the start; when full, the oldest digest is forgotten.
 */
#ifndef PROTOCOL_REPLAY_H
#define PROTOCOL_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/signature.h"

#define REPLAY_CAPACITY 65536 /* what an endpoint uses */
#define REPLAY_CAPACITY_MAX ((size_t)1 << 24)

enum { REPLAY_E_SEEN = 1 };

struct replay; /* opaque */

/* CAPACITY: 1 to REPLAY_CAPACITY_MAX. On success the caller owns *ret. 0 or -ENOMEM. */
int replay_create(struct replay **ret, size_t capacity);

/* NULL is allowed. */
void replay_destroy(struct replay *replay);

/* Adds DIGEST, which must be of a verified message: its bytes serve as the hash. 0, or
 * REPLAY_E_SEEN (then nothing changes, its age neither). */
int replay_add(struct replay *replay, const uint8_t digest[SIGNATURE_BYTES]);

#endif

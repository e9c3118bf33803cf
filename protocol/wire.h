/* SPDX-License-Identifier: MIT */
/*
 * wire - the frames of one Jupyter message
 *
 *     identity*, "<IDS|MSG>", signature, header, parent_header, metadata, content,
 * buffer*
 *
 * Counts, sizes, verifies the signature and refuses replays, in this order, and parses
 * nothing: that is message.h. Allocates nothing and copies nothing.
 */
#ifndef PROTOCOL_WIRE_H
#define PROTOCOL_WIRE_H

#include <stddef.h>

#include "protocol/buffer.h"
#include "protocol/signature.h"

#define WIRE_DELIMITER "<IDS|MSG>"
#define WIRE_IDENTITIES_MAX 16
#define WIRE_IDENTITY_BYTES_MAX 255 /* as ZeroMQ's */
#define WIRE_BUFFERS_MAX 1024
#define WIRE_FIXED_FRAMES 6 /* from the delimiter to the content */
#define WIRE_FRAMES_MAX (WIRE_IDENTITIES_MAX + WIRE_FIXED_FRAMES + WIRE_BUFFERS_MAX)
#define WIRE_HEADER_BYTES_MAX ((size_t)64 * 1024) /* also of a parent_header */
#define WIRE_METADATA_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define WIRE_CONTENT_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define WIRE_MESSAGE_BYTES_MAX ((size_t)128 * 1024 * 1024) /* all frames together */

/* Why a message is dropped without an answer. The values count from 1 to WIRE_E_END - 1,
 * so that an array of counters can be indexed by them. */
enum {
    WIRE_E_MALFORMED = 1, /* no delimiter, or fewer than four frames behind it */
    WIRE_E_TOO_LARGE, /* too many frames or too many bytes */
    WIRE_E_UNSIGNED, /* no signature where one is needed */
    WIRE_E_BAD_SIGNATURE,
    WIRE_E_REPLAYED,
    WIRE_E_BAD_HEADER, /* only from message_init: authentic, but nobody to answer to */
    WIRE_E_END
};

struct error;
struct replay;

/* The parts of a message. Everything is borrowed: the bytes, and the arrays, which are
 * ranges of the array that wire_open was given. */
struct wire {
    const struct slice *identities;
    size_t identity_count;
    struct slice header; /* raw JSON, as are the next three */
    struct slice parent_header;
    struct slice metadata;
    struct slice content;
    const struct slice *buffers;
    size_t buffer_count;
};

/* "malformed", "bad_signature" and so on: the name of the drop counter of a WIRE_E_*. */
const char *wire_drop_name(int code);

/* Finds the parts in FRAMES. REPLAY is not used with an empty KEY; NULL: who repeats a
 * message could have made another one just as well. Results: WIRE_E_* except
 * WIRE_E_BAD_HEADER. */
int wire_open(struct wire *ret, const struct slice *frames, size_t count,
              const struct signature_key *key, struct replay *replay, struct error *err);

/* Lays out an outgoing message: RET gets the delimiter, the signature (whose digits
 * are put into SIGNATURE), and the four parts. An empty PARENT_HEADER or METADATA becomes
 * "{}". The caller sends its identities or topic before RET, and the buffers after it. */
void wire_compose(struct slice ret[WIRE_FIXED_FRAMES],
                  char signature[SIGNATURE_HEX_BYTES + 1],
                  const struct signature_key *key,
                  const struct slice parts[SIGNATURE_PARTS]);

#endif

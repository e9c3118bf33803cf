/* SPDX-License-Identifier: MIT */
/*
 * frame - one message between the server and a runner
 *
 * A frame is a fixed header, three JSON texts (the Jupyter header of the request,
 * metadata, content) and raw buffers. It travels over a SOCK_SEQPACKET channel in packets
 * of at most FRAME_PACKET_BYTES: the first packet holds the whole fixed header with the
 * buffer lengths, each further packet continues where the last one stopped, and no packet
 * goes past the end of its frame. All integers are little-endian.
 *
 *     offset  size  field
 *      0       1    version, FRAME_VERSION
 *      1       1    type, enum frame_type
 *      2       2    flags, FRAME_FLAG_*
 *      4       4    lane: 0 (room for subshells and a debugger)
 *      8       8    number of the request it is, answers or belongs to; 0: of none
 *     16       8    sequence: from a runner 1, 2, 3, ...: the number of this frame's
 *                   output marker; from the server 0
 *     24       4    execution count (execute requests, else 0)
 *     28       4    bytes of the Jupyter header
 *     32       4    bytes of metadata
 *     36       4    bytes of content
 *     40       4    buffer count, at most FRAME_BUFFERS_MAX
 *     44       4    zero
 *     48       4 *  bytes of each buffer, then header, metadata, content, buffers
 *
 * The table in frame.c says of each type who may send it, how large it may be and which
 * parts it must have. docs/writing-a-runtime.md describes the conversation.
 *
 * Output markers. A runner writes, before each frame, FRAME_MARKER_BYTES into each of its
 * stdout and stderr pipes: the nonce of the configure frame and the frame's sequence
 * number. The server lets the frame pass when it has met the marker in both pipes, so
 * that frames and raw output keep the program's order.
 */
#ifndef PROTOCOL_FRAME_H
#define PROTOCOL_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define FRAME_VERSION 1
#define FRAME_PACKET_BYTES ((size_t)128 * 1024)
#define FRAME_FIXED_BYTES 48
#define FRAME_BUFFERS_MAX 1024
#define FRAME_BYTES_MAX ((size_t)160 * 1024 * 1024) /* all of a frame */
#define FRAME_CONTENT_BYTES_MAX ((size_t)128 * 1024 * 1024)
#define FRAME_NONCE_BYTES 16
#define FRAME_MARKER_BYTES (FRAME_NONCE_BYTES + 8)

enum frame_type {
    /* From the server. Every request is answered by exactly one FRAME_REPLY. */
    FRAME_CONFIGURE = 1, /* the first: {nonce (hex), ...}; no reply, but a hello */
    FRAME_EXECUTE_REQUEST,
    FRAME_COMPLETE_REQUEST,
    FRAME_INSPECT_REQUEST,
    FRAME_IS_COMPLETE_REQUEST,
    FRAME_INPUT_REPLY, /* {value} for the input request of the same number; no reply */
    FRAME_PING, /* answered by FRAME_REPLY with content {} */
    FRAME_SHUTDOWN, /* the runner ends in order; no reply */
    /* Both ways. From the server they are requests, answered by FRAME_REPLY {}. */
    FRAME_COMM_OPEN,
    FRAME_COMM_MSG,
    FRAME_COMM_CLOSE,
    /* From the runner. */
    FRAME_HELLO, /* the first: {frame_version, build, language_info, ...} */
    FRAME_REPLY, /* content as the Jupyter reply of the request's type */
    FRAME_STREAM, /* no content; buffer 0 is UTF-8 text; FRAME_FLAG_STDERR */
    FRAME_DISPLAY_DATA,
    FRAME_UPDATE_DISPLAY_DATA,
    FRAME_EXECUTE_RESULT,
    FRAME_ERROR,
    FRAME_CLEAR_OUTPUT,
    FRAME_INPUT_REQUEST,
    FRAME_TYPE_END
};

enum {
    FRAME_FLAG_STDERR = 1, /* FRAME_STREAM: stderr, else stdout */
    FRAME_FLAG_ERROR = 2, /* FRAME_REPLY: its status is not ok */
    FRAME_FLAG_INTERRUPTED = 4, /* FRAME_REPLY: it ended by an interrupt */
    FRAME_FLAGS_ALL = 7
};

enum frame_sender { FRAME_FROM_SERVER = 1, FRAME_FROM_RUNNER = 2 };

enum {
    FRAME_E_AGAIN = 1, /* more bytes are needed */
    FRAME_E_ILLEGAL, /* not a frame, or one that this sender may not send; see ERR */
    FRAME_E_TOO_LARGE /* a part is larger than its type allows; see ERR */
};

struct error;

struct frame {
    enum frame_type type;
    uint16_t flags;
    uint32_t lane;
    uint64_t number;
    uint64_t sequence;
    uint32_t execution_count;
    struct slice header; /* borrowed, as are the others */
    struct slice metadata;
    struct slice content;
    uint32_t buffer_count;
    const struct slice *buffers; /* buffer_count of them */
};

/* "execute_request" and so on: the Jupyter message type where there is one. */
const char *frame_type_name(enum frame_type type);

/* Checks FRAME against the table and appends its bytes to RET. 0, FRAME_E_ILLEGAL,
 * FRAME_E_TOO_LARGE, -ENOMEM. RET's limit must be FRAME_BYTES_MAX or more. */
int frame_encode(struct buffer *ret, const struct frame *frame, enum frame_sender sender,
                 struct error *err);

/* As frame_encode, but only the fixed header and the buffer lengths: a runner sends the
 * parts from where they are. RET has FRAME_FIXED_BYTES + 4 * buffer_count bytes. */
int frame_encode_head(uint8_t *ret, const struct frame *frame, enum frame_sender sender,
                      struct error *err);

/* Sum of head and parts; only for a frame that frame_encode_head took. */
size_t frame_bytes(const struct frame *frame);

/* Puts packets together to frames. Its memory grows with what has arrived, not with what
 * a header claims. */
struct frame_reader {
    enum frame_sender sender; /* whose frames are read */
    struct buffer bytes; /* owned: of the frame under way */
    size_t total; /* bytes of that frame, 0: no head yet */
    struct slice *buffers; /* owned: room for FRAME_BUFFERS_MAX, made when first needed */
};

void frame_reader_init(struct frame_reader *reader, enum frame_sender sender);
void frame_reader_fini(struct frame_reader *reader);

/* Takes one packet. 0: FRAME is whole, its parts borrowed until the next call; else
 * FRAME_E_AGAIN, FRAME_E_ILLEGAL, FRAME_E_TOO_LARGE, -ENOMEM. After an illegal packet the
 * reader is of no more use. JSON is not looked into. */
int frame_reader_take(struct frame_reader *reader, const void *packet, size_t length,
                      struct frame *ret, struct error *err);

/* Writes nonce and SEQUENCE as FRAME_MARKER_BYTES. */
void frame_marker(uint8_t ret[FRAME_MARKER_BYTES], const uint8_t nonce[FRAME_NONCE_BYTES],
                  uint64_t sequence);

/* The sequence number of a marker whose nonce was found. */
uint64_t frame_marker_sequence(const uint8_t marker[FRAME_MARKER_BYTES]);

#endif

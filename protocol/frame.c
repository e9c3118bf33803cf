/* SPDX-License-Identifier: MIT */
#include "protocol/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define KIB ((size_t)1024)
#define MIB (KIB * 1024)
#define KEEP_BYTES (256 * KIB) /* what a reader keeps between frames */

enum { CONTENT = 1, BUFFERS = 2 }; /* what a type must or may have */

static const struct frame_rule {
    const char *name;
    unsigned senders; /* enum frame_sender, or-ed */
    unsigned has; /* CONTENT: must have content; BUFFERS: may have buffers */
    size_t content_max; /* bytes */
} rules[FRAME_TYPE_END] = {
    [FRAME_CONFIGURE] = { "configure", FRAME_FROM_SERVER, CONTENT, 64 * KIB },
    [FRAME_EXECUTE_REQUEST] = { "execute_request", FRAME_FROM_SERVER, CONTENT, 64 * MIB },
    [FRAME_COMPLETE_REQUEST] = { "complete_request", FRAME_FROM_SERVER, CONTENT,
                                 64 * MIB },
    [FRAME_INSPECT_REQUEST] = { "inspect_request", FRAME_FROM_SERVER, CONTENT, 64 * MIB },
    [FRAME_IS_COMPLETE_REQUEST] = { "is_complete_request", FRAME_FROM_SERVER, CONTENT,
                                    64 * MIB },
    [FRAME_INPUT_REPLY] = { "input_reply", FRAME_FROM_SERVER, CONTENT, 64 * MIB },
    [FRAME_PING] = { "ping", FRAME_FROM_SERVER, 0, 0 },
    [FRAME_SHUTDOWN] = { "shutdown", FRAME_FROM_SERVER, 0, 0 },
    [FRAME_COMM_OPEN] = { "comm_open", FRAME_FROM_SERVER | FRAME_FROM_RUNNER,
                          CONTENT | BUFFERS, FRAME_CONTENT_BYTES_MAX },
    [FRAME_COMM_MSG] = { "comm_msg", FRAME_FROM_SERVER | FRAME_FROM_RUNNER,
                         CONTENT | BUFFERS, FRAME_CONTENT_BYTES_MAX },
    [FRAME_COMM_CLOSE] = { "comm_close", FRAME_FROM_SERVER | FRAME_FROM_RUNNER,
                           CONTENT | BUFFERS, FRAME_CONTENT_BYTES_MAX },
    [FRAME_HELLO] = { "hello", FRAME_FROM_RUNNER, CONTENT, 64 * KIB },
    [FRAME_REPLY] = { "reply", FRAME_FROM_RUNNER, CONTENT, FRAME_CONTENT_BYTES_MAX },
    [FRAME_STREAM] = { "stream", FRAME_FROM_RUNNER, BUFFERS, 0 },
    [FRAME_DISPLAY_DATA] = { "display_data", FRAME_FROM_RUNNER, CONTENT | BUFFERS,
                             FRAME_CONTENT_BYTES_MAX },
    [FRAME_UPDATE_DISPLAY_DATA] = { "update_display_data", FRAME_FROM_RUNNER,
                                    CONTENT | BUFFERS, FRAME_CONTENT_BYTES_MAX },
    [FRAME_EXECUTE_RESULT] = { "execute_result", FRAME_FROM_RUNNER, CONTENT,
                               FRAME_CONTENT_BYTES_MAX },
    [FRAME_ERROR] = { "error", FRAME_FROM_RUNNER, CONTENT, FRAME_CONTENT_BYTES_MAX },
    [FRAME_CLEAR_OUTPUT] = { "clear_output", FRAME_FROM_RUNNER, CONTENT, 4 * KIB },
    [FRAME_INPUT_REQUEST] = { "input_request", FRAME_FROM_RUNNER, CONTENT, 1 * MIB },
};

/* The fixed header as numbers, before anything of it is believed. */
struct head {
    uint8_t version, type;
    uint16_t flags;
    uint32_t lane;
    uint64_t number, sequence;
    uint32_t execution_count;
    uint32_t header_bytes, metadata_bytes, content_bytes;
    uint32_t buffer_count, zero;
};

static void
put(uint8_t *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t
get(const uint8_t *from, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

const char *
frame_type_name(enum frame_type type)
{
    if ((unsigned)type >= FRAME_TYPE_END || rules[type].name == NULL)
        return "unknown";
    return rules[type].name;
}

/* All bounds of one frame. BUFFER_BYTES is the sum of the buffers' lengths. */
static int
check(const struct head *head, uint64_t buffer_bytes, enum frame_sender sender,
      struct error *err)
{
    const struct frame_rule *rule;

    if (head->version != FRAME_VERSION)
        return error_set(err, FRAME_E_ILLEGAL, "frame version %u, this program speaks %u",
                         head->version, FRAME_VERSION);
    if (head->type >= FRAME_TYPE_END || rules[head->type].name == NULL)
        return error_set(err, FRAME_E_ILLEGAL, "frame of unknown type %u", head->type);
    rule = &rules[head->type];
    if ((rule->senders & sender) == 0)
        return error_set(err, FRAME_E_ILLEGAL, "%s frame from the wrong side",
                         rule->name);
    if ((head->flags & ~(unsigned)FRAME_FLAGS_ALL) != 0 || head->zero != 0 ||
        head->lane != 0)
        return error_set(err, FRAME_E_ILLEGAL, "%s frame with unknown flags or lane",
                         rule->name);
    if ((head->sequence == 0) != (sender == FRAME_FROM_SERVER))
        return error_set(err, FRAME_E_ILLEGAL, "%s frame with sequence %llu", rule->name,
                         (unsigned long long)head->sequence);
    if ((rule->has & CONTENT) != 0 && head->content_bytes == 0)
        return error_set(err, FRAME_E_ILLEGAL, "%s frame without content", rule->name);
    if ((rule->has & BUFFERS) == 0 && head->buffer_count != 0)
        return error_set(err, FRAME_E_ILLEGAL, "%s frame with buffers", rule->name);
    if (head->type == FRAME_STREAM && head->buffer_count != 1)
        return error_set(err, FRAME_E_ILLEGAL, "stream frame with %u buffers",
                         head->buffer_count);
    if (head->buffer_count > FRAME_BUFFERS_MAX)
        return error_set(err, FRAME_E_TOO_LARGE, "%s frame with %u buffers, at most %u",
                         rule->name, head->buffer_count, FRAME_BUFFERS_MAX);
    if (head->content_bytes > rule->content_max)
        return error_set(err, FRAME_E_TOO_LARGE, "%s of %u bytes, at most %zu",
                         rule->name, head->content_bytes, rule->content_max);
    if (head->header_bytes > MIB || head->metadata_bytes > 16 * MIB)
        return error_set(err, FRAME_E_TOO_LARGE,
                         "%s frame with too much header or metadata", rule->name);
    if (buffer_bytes > FRAME_BYTES_MAX ||
        FRAME_FIXED_BYTES + 4 * (uint64_t)head->buffer_count + head->header_bytes +
                head->metadata_bytes + head->content_bytes + buffer_bytes >
            FRAME_BYTES_MAX)
        return error_set(err, FRAME_E_TOO_LARGE, "%s frame larger than %zu bytes",
                         rule->name, FRAME_BYTES_MAX);
    return 0;
}

int
frame_encode_head(uint8_t *ret, const struct frame *frame, enum frame_sender sender,
                  struct error *err)
{
    uint64_t buffer_bytes = 0;
    struct head head = {
        .version = FRAME_VERSION,
        .type = (uint8_t)frame->type,
        .flags = frame->flags,
        .lane = frame->lane,
        .number = frame->number,
        .sequence = frame->sequence,
        .execution_count = frame->execution_count,
        .buffer_count = frame->buffer_count,
    };
    int r;

    if (frame->buffer_count > FRAME_BUFFERS_MAX)
        return error_set(err, FRAME_E_TOO_LARGE, "%s frame with %u buffers, at most %u",
                         frame_type_name(frame->type), frame->buffer_count,
                         FRAME_BUFFERS_MAX);
    for (uint32_t i = 0; i < frame->buffer_count; i++) {
        if (frame->buffers[i].length > FRAME_BYTES_MAX)
            return error_set(err, FRAME_E_TOO_LARGE, "%s frame: a buffer of %zu bytes",
                             frame_type_name(frame->type), frame->buffers[i].length);
        buffer_bytes += frame->buffers[i].length;
    }
    if (frame->header.length > UINT32_MAX || frame->metadata.length > UINT32_MAX ||
        frame->content.length > UINT32_MAX)
        return error_set(err, FRAME_E_TOO_LARGE, "%s frame larger than %zu bytes",
                         frame_type_name(frame->type), FRAME_BYTES_MAX);
    head.header_bytes = (uint32_t)frame->header.length;
    head.metadata_bytes = (uint32_t)frame->metadata.length;
    head.content_bytes = (uint32_t)frame->content.length;
    r = check(&head, buffer_bytes, sender, err);
    if (r != 0)
        return r;

    ret[0] = head.version;
    ret[1] = head.type;
    put(ret + 2, head.flags, 2);
    put(ret + 4, head.lane, 4);
    put(ret + 8, head.number, 8);
    put(ret + 16, head.sequence, 8);
    put(ret + 24, head.execution_count, 4);
    put(ret + 28, head.header_bytes, 4);
    put(ret + 32, head.metadata_bytes, 4);
    put(ret + 36, head.content_bytes, 4);
    put(ret + 40, head.buffer_count, 4);
    put(ret + 44, 0, 4);
    for (uint32_t i = 0; i < frame->buffer_count; i++)
        put(ret + FRAME_FIXED_BYTES + 4 * i, frame->buffers[i].length, 4);
    return 0;
}

size_t
frame_bytes(const struct frame *frame)
{
    size_t bytes = FRAME_FIXED_BYTES + 4 * (size_t)frame->buffer_count +
                   frame->header.length + frame->metadata.length + frame->content.length;

    for (uint32_t i = 0; i < frame->buffer_count; i++)
        bytes += frame->buffers[i].length;
    return bytes;
}

int
frame_encode(struct buffer *ret, const struct frame *frame, enum frame_sender sender,
             struct error *err)
{
    CLEANUP(freep) uint8_t *head = NULL;
    const struct slice *parts[] = { &frame->header, &frame->metadata, &frame->content };
    size_t head_bytes = FRAME_FIXED_BYTES + 4 * (size_t)frame->buffer_count;
    int r;

    head = malloc(head_bytes);
    if (head == NULL)
        return -ENOMEM;
    r = frame_encode_head(head, frame, sender, err);
    if (r != 0)
        return r;
    r = buffer_reserve(ret, frame_bytes(frame));
    if (r != 0)
        return r < 0 ? r : error_set(err, FRAME_E_TOO_LARGE, "no room for a frame");

    r = buffer_append(ret, head, head_bytes);
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(parts); i++)
        r = buffer_append(ret, parts[i]->data, parts[i]->length);
    for (uint32_t i = 0; r == 0 && i < frame->buffer_count; i++)
        r = buffer_append(ret, frame->buffers[i].data, frame->buffers[i].length);
    assert(r == 0); /* the room was reserved */
    return 0;
}

void
frame_reader_init(struct frame_reader *reader, enum frame_sender sender)
{
    *reader = (struct frame_reader){ .sender = sender };
    buffer_init(&reader->bytes, FRAME_BYTES_MAX);
}

void
frame_reader_fini(struct frame_reader *reader)
{
    buffer_fini(&reader->bytes);
    free(reader->buffers);
    reader->buffers = NULL;
}

static struct head
head_of(const uint8_t *bytes)
{
    return (struct head){
        .version = bytes[0],
        .type = bytes[1],
        .flags = (uint16_t)get(bytes + 2, 2),
        .lane = (uint32_t)get(bytes + 4, 4),
        .number = get(bytes + 8, 8),
        .sequence = get(bytes + 16, 8),
        .execution_count = (uint32_t)get(bytes + 24, 4),
        .header_bytes = (uint32_t)get(bytes + 28, 4),
        .metadata_bytes = (uint32_t)get(bytes + 32, 4),
        .content_bytes = (uint32_t)get(bytes + 36, 4),
        .buffer_count = (uint32_t)get(bytes + 40, 4),
        .zero = (uint32_t)get(bytes + 44, 4),
    };
}

/* Reads the head from the first packet of a frame and checks every bound. */
static int
begin(struct frame_reader *reader, const uint8_t *packet, size_t length,
      struct error *err)
{
    uint64_t buffer_bytes = 0;
    struct head head;
    int r;

    if (length < FRAME_FIXED_BYTES)
        return error_set(err, FRAME_E_ILLEGAL, "a packet of %zu bytes is no frame",
                         length);
    head = head_of(packet);
    if (head.buffer_count <= FRAME_BUFFERS_MAX) {
        if (length < FRAME_FIXED_BYTES + 4 * (size_t)head.buffer_count)
            return error_set(err, FRAME_E_ILLEGAL, "frame with a split head");
        for (uint32_t i = 0; i < head.buffer_count; i++)
            buffer_bytes += get(packet + FRAME_FIXED_BYTES + 4 * i, 4);
    }
    r = check(&head, buffer_bytes, reader->sender, err);
    if (r != 0)
        return r;
    reader->total = FRAME_FIXED_BYTES + 4 * (size_t)head.buffer_count +
                    head.header_bytes + head.metadata_bytes + head.content_bytes +
                    (size_t)buffer_bytes;
    buffer_clear(&reader->bytes, KEEP_BYTES);
    return 0;
}

static struct slice
part(const uint8_t **at, size_t length)
{
    struct slice slice = { .data = *at, .length = length };

    *at += length;
    return slice;
}

/* The frame's parts, pointing into the reader's bytes. */
static int
finish(struct frame_reader *reader, struct frame *ret)
{
    const uint8_t *bytes = reader->bytes.data, *at;
    struct head head = head_of(bytes);

    if (head.buffer_count > 0 && reader->buffers == NULL) {
        reader->buffers = calloc(FRAME_BUFFERS_MAX, sizeof *reader->buffers);
        if (reader->buffers == NULL)
            return -ENOMEM;
    }
    at = bytes + FRAME_FIXED_BYTES + 4 * (size_t)head.buffer_count;
    *ret = (struct frame){
        .type = (enum frame_type)head.type,
        .flags = head.flags,
        .lane = head.lane,
        .number = head.number,
        .sequence = head.sequence,
        .execution_count = head.execution_count,
        .buffer_count = head.buffer_count,
        .buffers = reader->buffers,
    };
    ret->header = part(&at, head.header_bytes);
    ret->metadata = part(&at, head.metadata_bytes);
    ret->content = part(&at, head.content_bytes);
    for (uint32_t i = 0; i < head.buffer_count; i++)
        reader->buffers[i] = part(&at, get(bytes + FRAME_FIXED_BYTES + 4 * i, 4));
    reader->total = 0;
    return 0;
}

int
frame_reader_take(struct frame_reader *reader, const void *packet, size_t length,
                  struct frame *ret, struct error *err)
{
    int r;

    if (reader->total == 0) {
        r = begin(reader, packet, length, err);
        if (r != 0)
            return r;
    }
    if (length == 0 || length > reader->total - reader->bytes.length)
        return error_set(err, FRAME_E_ILLEGAL, "packet goes past the end of its frame");
    r = buffer_append(&reader->bytes, packet, length);
    if (r != 0)
        return r < 0 ? r : error_set(err, FRAME_E_TOO_LARGE, "no room for a frame");
    if (reader->bytes.length < reader->total)
        return FRAME_E_AGAIN;
    return finish(reader, ret);
}

void
frame_marker(uint8_t ret[FRAME_MARKER_BYTES], const uint8_t nonce[FRAME_NONCE_BYTES],
             uint64_t sequence)
{
    memcpy(ret, nonce, FRAME_NONCE_BYTES);
    put(ret + FRAME_NONCE_BYTES, sequence, 8);
}

uint64_t
frame_marker_sequence(const uint8_t marker[FRAME_MARKER_BYTES])
{
    return get(marker + FRAME_NONCE_BYTES, 8);
}

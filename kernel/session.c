/* SPDX-License-Identifier: MIT */
#include "kernel/session.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/cleanup.h"
#include "protocol/message.h"
#include "protocol/text.h"
#include "protocol/wire.h"

#define UUID_BYTES 37
#define USERNAME "kernel"

struct session {
    const struct signature_key *key; /* borrowed */
    char id[UUID_BYTES];
    char last_id[MESSAGE_ID_BYTES];
    char signature[SIGNATURE_HEX_BYTES + 1];
    uint64_t counter;
    struct buffer header; /* owned */
    struct slice frames[WIRE_FRAMES_MAX];
};

static void
make_uuid(char ret[UUID_BYTES])
{
    uint8_t random[16];
    char hex[2 * sizeof random + 1];

    randombytes_buf(random, sizeof random);
    random[6] = (uint8_t)((random[6] & 0x0f) | 0x40); /* version 4 */
    random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
    text_hex(hex, random, sizeof random);
    snprintf(ret, UUID_BYTES, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
             hex + 16, hex + 20);
}

int
session_create(struct session **ret, const struct signature_key *key)
{
    struct session *session;

    if (sodium_init() < 0)
        return -ENOSYS;
    session = calloc(1, sizeof *session);
    if (session == NULL)
        return -ENOMEM;
    session->key = key;
    make_uuid(session->id);
    buffer_init(&session->header, WIRE_HEADER_BYTES_MAX);
    *ret = session;
    return 0;
}

void
session_destroy(struct session *session)
{
    if (session == NULL)
        return;
    buffer_fini(&session->header);
    free(session);
}

const char *
session_id(const struct session *session)
{
    return session->id;
}

const char *
session_last_id(const struct session *session)
{
    return session->last_id;
}

int64_t
session_time_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
append(struct session *session, size_t *count, const struct slice *frames, size_t more)
{
    assert(more <= WIRE_FRAMES_MAX - *count);
    if (more > 0)
        memcpy(&session->frames[*count], frames, more * sizeof *frames);
    *count += more;
}

int
session_compose(struct session *session, const struct outgoing *message,
                const struct slice **ret, size_t *ret_count)
{
    const struct message_header header = {
        .id = session->last_id,
        .session = session->id,
        .username = USERNAME,
        .type = message->type,
        .time_us = session_time_us(),
    };
    struct slice parts[SIGNATURE_PARTS], fixed[WIRE_FIXED_FRAMES];
    size_t count = 0;
    int r;

    message_make_id(session->last_id, session->id, ++session->counter);
    buffer_clear(&session->header, session->header.capacity);
    r = message_append_header(&session->header, &header);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    parts[0] = buffer_slice(&session->header);
    parts[1] = message->parent_header;
    parts[2] = message->metadata;
    parts[3] = message->content;
    if (parts[3].length == 0)
        parts[3] = slice_text("{}");
    wire_compose(fixed, session->signature, session->key, parts);
    append(session, &count, message->prefix, message->prefix_count);
    append(session, &count, fixed, WIRE_FIXED_FRAMES);
    append(session, &count, message->buffers, message->buffer_count);
    *ret = session->frames;
    *ret_count = count;
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * message - one Jupyter message from a client; headers for those that we send
 *
 * Reading has two steps, because a request is answered with "busy" before its content is
 * looked at, and because bad content gets an error reply while a bad header gets none:
 * message_init takes the frames and the header, message_check the rest.
 */
#ifndef PROTOCOL_MESSAGE_H
#define PROTOCOL_MESSAGE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"
#include "protocol/wire.h"

#define MESSAGE_VERSION "5.5" /* of the Jupyter protocol, in our headers */
#define MESSAGE_ID_BYTES 256 /* with the NUL: of ids, sessions, user names */
#define MESSAGE_TYPE_BYTES 64 /* with the NUL */
#define MESSAGE_DATE_BYTES 28 /* with the NUL: 2026-01-31T23:59:59.000000Z */
#define MESSAGE_DEPTH_MAX 128 /* nesting in any part of a client's message */

enum {
    MESSAGE_E_UNKNOWN_TYPE = 1, /* no such message type: busy, idle, no reply */
    MESSAGE_E_INVALID /* metadata or content is not what the type needs; see ERR */
};

struct error;

/* Plain data; ids are C strings. An absent member is an empty string. */
struct message {
    struct wire wire; /* borrowed */
    char id[MESSAGE_ID_BYTES]; /* msg_id, never empty */
    char type[MESSAGE_TYPE_BYTES]; /* msg_type, never empty */
    char session[MESSAGE_ID_BYTES];
    char username[MESSAGE_ID_BYTES];
    char subshell_id[MESSAGE_ID_BYTES]; /* empty: the main shell */
    char parent_id[MESSAGE_ID_BYTES]; /* msg_id in the parent_header */
    json_t *content; /* owned: by message_check, NULL before; defaults are filled in */
};

/* wire_open, then reads the header. FRAMES (the array, and the bytes) must outlive RET.
 * 0 or WIRE_E_*, all of which mean: drop and count. On success message_fini is due. */
int message_init(struct message *ret, const struct slice *frames, size_t count,
                 const struct signature_key *key, struct replay *replay,
                 struct error *err);

/* As message_init for parts that wire_open has opened already. 0 or WIRE_E_BAD_HEADER. */
int message_init_wire(struct message *ret, const struct wire *wire, struct error *err);

/* Checks metadata and content against the schema of the message's type and sets
 * message->content. 0, MESSAGE_E_UNKNOWN_TYPE, MESSAGE_E_INVALID, -ENOMEM. */
int message_check(struct message *message, struct error *err);

/* As message_check for a type that is not Jupyter's (the agent's requests): the content
 * must be an object, and its schema is the caller's business. */
int message_check_object(struct message *message, struct error *err);

/* Frees what message_check made. Harmless when repeated. */
void message_fini(struct message *message);

/* The header of an outgoing message. All borrowed, C strings of UTF-8. */
struct message_header {
    const char *id;
    const char *session;
    const char *username;
    const char *type;
    int64_t time_us; /* since 1970, UTC */
    const char *subshell_id; /* NULL: none */
};

/* Appends HEADER as JSON, with version MESSAGE_VERSION. 0, BUFFER_E_FULL, -ENOMEM. */
int message_append_header(struct buffer *ret, const struct message_header *header);

/* Writes "SESSION_COUNTER", cut off at MESSAGE_ID_BYTES: unique as long as the counter
 * is raised each time and the session's name is shorter than 200 bytes. */
void message_make_id(char ret[MESSAGE_ID_BYTES], const char *session, uint64_t counter);

/* Writes the time as ISO 8601 in UTC with microseconds. Times outside of the years 1970
 * to 9999 are taken for the nearest in it. */
void message_format_date(char ret[MESSAGE_DATE_BYTES], int64_t time_us);

#endif

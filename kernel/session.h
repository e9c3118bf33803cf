/* SPDX-License-Identifier: MIT */
/*
 * session - our side of the conversation: who we are, and messages ready to be sent
 *
 * One session lasts as long as the process and is in the header of everything that we
 * send. The wall clock and randomness are used here.
 */
#ifndef KERNEL_SESSION_H
#define KERNEL_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"

struct session; /* opaque */
struct signature_key;

/* KEY is borrowed and must outlive the session. */
int session_create(struct session **ret, const struct signature_key *key);
void session_destroy(struct session *session); /* NULL is allowed */

/* A random UUID. */
const char *session_id(const struct session *session);

/* A message to send. Plain data, all borrowed; empty parts become {}. */
struct outgoing {
    const struct slice *prefix; /* identities, or a topic */
    size_t prefix_count;
    const char *type;
    struct slice parent_header;
    struct slice metadata;
    struct slice content;
    const struct slice *buffers;
    size_t buffer_count;
};

/* Lays MESSAGE out as signed frames. They are borrowed: from MESSAGE, and from the
 * session until its next message. 0 or < 0. */
int session_compose(struct session *session, const struct outgoing *message,
                    const struct slice **ret, size_t *ret_count);

/* msg_id of the message composed last. */
const char *session_last_id(const struct session *session);

/* CLOCK_REALTIME in microseconds. */
int64_t session_time_us(void);

#endif

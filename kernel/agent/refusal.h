/* SPDX-License-Identifier: MIT */
/*
 * refusal - why a request is not served: a stable code, a sentence, a suggestion
 *
 * docs/agent-protocol.md has the codes and what they mean.
 */
#ifndef KERNEL_AGENT_REFUSAL_H
#define KERNEL_AGENT_REFUSAL_H

#include <jansson.h>

#include "protocol/buffer.h"

#define REFUSAL_TEXT_BYTES 640

enum { AGENT_E_REFUSED = 1 }; /* the refusal says why */

enum refusal_code {
    REFUSAL_INVALID_ARGUMENT,
    REFUSAL_UNKNOWN_REQUEST,
    REFUSAL_CONTEXT_NOT_FOUND,
    REFUSAL_STALE_CONTEXT,
    REFUSAL_CONTEXT_DELETED,
    REFUSAL_EXECUTION_NOT_FOUND,
    REFUSAL_LANGUAGE_NOT_FOUND,
    REFUSAL_NAME_TAKEN,
    REFUSAL_LIMIT_TOO_HIGH,
    REFUSAL_QUOTA_EXCEEDED,
    REFUSAL_QUEUE_FULL,
    REFUSAL_CONTEXT_BUSY,
    REFUSAL_RATE_LIMITED,
    REFUSAL_TOO_LARGE,
    REFUSAL_START_FAILED,
    REFUSAL_CANCELLED,
    REFUSAL_ABORTED,
    REFUSAL_NOT_ALLOWED,
    REFUSAL_NOT_WAITING,
    REFUSAL_FILE_NOT_FOUND,
    REFUSAL_FILE_EXISTS,
    REFUSAL_NOT_A_FILE,
    REFUSAL_IS_A_DIRECTORY,
    REFUSAL_NOT_EMPTY,
    REFUSAL_PATH_INVALID,
    REFUSAL_NO_SPACE,
    REFUSAL_PERMISSION_DENIED,
    REFUSAL_FILES_UNAVAILABLE,
    REFUSAL_SERVER_STOPPING,
    REFUSAL_INTERNAL_ERROR,
    REFUSAL_END
};

/* Plain data, zeroed. */
struct refusal {
    enum refusal_code code;
    char message[REFUSAL_TEXT_BYTES];
    json_t *details; /* owned; NULL: none */
};

/* Fills RET in, whatever it had; returns AGENT_E_REFUSED. */
__attribute__((format(printf, 3, 4))) int
refusal_set(struct refusal *ret, enum refusal_code code, const char *format, ...);

/* Adds a member to the details; takes VALUE. Returns AGENT_E_REFUSED. */
int refusal_detail(struct refusal *ret, const char *name, json_t *value);

const char *refusal_name(enum refusal_code code); /* "INVALID_ARGUMENT", ... */

/* Appends the content of a reply. 0, BUFFER_E_FULL, -ENOMEM. */
int refusal_append(const struct refusal *refusal, struct buffer *ret);
void refusal_fini(struct refusal *refusal);

#endif

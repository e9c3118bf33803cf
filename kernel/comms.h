/* SPDX-License-Identifier: MIT */
/*
 * comms - the comms that are open between clients and the interpreter
 */
#ifndef KERNEL_COMMS_H
#define KERNEL_COMMS_H

#include <stddef.h>

#include "protocol/buffer.h"

#define COMMS_MAX 16384
#define COMMS_NAME_BYTES 1025 /* with the NUL: of ids, targets and modules */

enum { COMMS_E_FULL = 1 }; /* not remembered; it works, but is not listed */

struct comms; /* opaque */

int comms_create(struct comms **ret);
void comms_destroy(struct comms *comms); /* NULL is allowed */

/* C strings of UTF-8, copied; MODULE may be NULL. An id that is known gets the new
 * target. 0, COMMS_E_FULL, -ENOMEM. */
int comms_open(struct comms *comms, const char *id, const char *target,
               const char *module);

/* Unknown ids are ignored. */
void comms_close(struct comms *comms, const char *id);

size_t comms_count(const struct comms *comms);

/* Some open comm's id, or NULL when there is none. Valid until it is closed. */
const char *comms_any(const struct comms *comms);

/* Appends the object of a comm_info_reply: those with TARGET, or all when it is NULL.
 * 0, BUFFER_E_FULL, -ENOMEM. */
int comms_append(const struct comms *comms, const char *target, struct buffer *ret);

#endif

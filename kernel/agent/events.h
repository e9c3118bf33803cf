/* SPDX-License-Identifier: MIT */
/*
 * events - what an execution has said, as messages, numbered and bounded
 *
 * Whoever reads it keeps the number of the event read last. When the log is full the
 * oldest events go.
 */
#ifndef KERNEL_AGENT_EVENTS_H
#define KERNEL_AGENT_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"

struct events; /* opaque */

/* A message without its header. Plain data; owned by the log. */
struct event {
    const char *type; /* static */
    uint64_t seq;
    uint64_t offset; /* bytes of all events before it */
    size_t bytes;
    struct slice metadata, content;
    const struct slice *buffers;
    size_t buffer_count;
};

/* What to add; borrowed until return. */
struct event_parts {
    const char *type; /* static */
    struct slice metadata, content;
    const struct slice *buffers;
    size_t buffer_count;
};

int events_create(struct events **ret, size_t bytes_max);
void events_destroy(struct events *events); /* NULL is allowed */

/* The number that the next event will have: 1, 2, ... */
uint64_t events_next_seq(const struct events *events);

/* An event that alone is larger than the log is kept until the next one comes. 0 or
 * -ENOMEM. */
int events_add(struct events *events, const struct event_parts *parts);

/* The first one behind AFTER that is still there; NULL: none. Valid until the next
 * events_add. */
const struct event *events_after(const struct events *events, uint64_t after);

/* Bytes of the events behind AFTER that are still there. */
uint64_t events_bytes_after(const struct events *events, uint64_t after);

/* How many events behind AFTER are gone. */
uint64_t events_missed(const struct events *events, uint64_t after);

/* Bytes kept. */
size_t events_bytes(const struct events *events);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * ring - keeps the last bytes of a stream
 */
#ifndef CONTEXTS_RING_H
#define CONTEXTS_RING_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"

/* Open, plain data but for DATA. Memory is taken when the first byte comes, and grows up
 * to CAPACITY. */
struct ring {
    struct buffer bytes; /* owned; once it is full, the oldest byte is at OLDEST */
    size_t oldest;
    uint64_t dropped; /* bytes that were pushed out */
};

void ring_init(struct ring *ring, size_t capacity);
void ring_fini(struct ring *ring);

/* Forgets all, and gives memory back. */
void ring_clear(struct ring *ring);

/* 0 or -ENOMEM. */
int ring_add(struct ring *ring, struct slice bytes);

/* The kept bytes in order: FIRST, then SECOND. Borrowed until the next change. */
void ring_slices(const struct ring *ring, struct slice *ret_first,
                 struct slice *ret_second);

#endif

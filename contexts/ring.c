/* SPDX-License-Identifier: MIT */
#include "contexts/ring.h"

#include <string.h>

void
ring_init(struct ring *ring, size_t capacity)
{
    *ring = (struct ring){ 0 };
    buffer_init(&ring->bytes, capacity);
}

void
ring_fini(struct ring *ring)
{
    buffer_fini(&ring->bytes);
}

void
ring_clear(struct ring *ring)
{
    buffer_clear(&ring->bytes, 0);
    ring->oldest = 0;
    ring->dropped = 0;
}

/* Writes over the oldest bytes; LENGTH is at most the capacity. */
static void
replace(struct ring *ring, const uint8_t *data, size_t length)
{
    size_t capacity = ring->bytes.limit, to_end = capacity - ring->oldest;

    if (length == 0)
        return;
    if (length < to_end) {
        memcpy(ring->bytes.data + ring->oldest, data, length);
        ring->oldest += length;
        return;
    }
    memcpy(ring->bytes.data + ring->oldest, data, to_end);
    memcpy(ring->bytes.data, data + to_end, length - to_end);
    ring->oldest = length - to_end;
}

int
ring_add(struct ring *ring, struct slice bytes)
{
    size_t capacity = ring->bytes.limit, room = capacity - ring->bytes.length, fresh;
    int r;

    if (bytes.length > capacity + room) { /* its beginning would be pushed out at once */
        size_t skip = bytes.length - capacity - room;

        ring->dropped += skip;
        bytes.data += skip;
        bytes.length -= skip;
    }
    fresh = bytes.length < room ? bytes.length : room;
    r = buffer_append(&ring->bytes, bytes.data, fresh);
    if (r < 0)
        return r;
    replace(ring, bytes.data + fresh, bytes.length - fresh);
    ring->dropped += bytes.length - fresh;
    return 0;
}

void
ring_slices(const struct ring *ring, struct slice *ret_first, struct slice *ret_second)
{
    size_t length = ring->bytes.length;

    *ret_first = (struct slice){ ring->bytes.data, 0 };
    *ret_second = (struct slice){ ring->bytes.data, ring->oldest };
    if (length > 0) {
        ret_first->data += ring->oldest;
        ret_first->length = length - ring->oldest;
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * The set is open addressing with linear probing over twice the capacity or more, so a
 * probe ends soon; removal shifts the rest of the run back, so there are no tombstones
 * and the cost stays the same for ever.
 */
#include "protocol/replay.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct replay {
    size_t capacity;
    size_t count; /* digests in the ring */
    size_t next; /* place of the next digest; when full, of the oldest */
    size_t mask; /* slots - 1 */
    uint8_t (*ring)[SIGNATURE_BYTES]; /* owned: capacity of them */
    uint32_t *slots; /* owned: 1 + place in the ring, 0: free */
};

int
replay_create(struct replay **ret, size_t capacity)
{
    struct replay *replay;
    size_t slots = 2;

    assert(capacity > 0 && capacity <= REPLAY_CAPACITY_MAX);
    while (slots < 2 * capacity)
        slots *= 2;
    replay = calloc(1, sizeof *replay);
    if (replay == NULL)
        return -ENOMEM;
    replay->capacity = capacity;
    replay->mask = slots - 1;
    replay->ring = calloc(capacity, sizeof *replay->ring);
    replay->slots = calloc(slots, sizeof *replay->slots);
    if (replay->ring == NULL || replay->slots == NULL) {
        replay_destroy(replay);
        return -ENOMEM;
    }
    *ret = replay;
    return 0;
}

void
replay_destroy(struct replay *replay)
{
    if (replay == NULL)
        return;
    free(replay->ring);
    free(replay->slots);
    free(replay);
}

static size_t
home_of(const struct replay *replay, const uint8_t *digest)
{
    uint64_t hash;

    memcpy(&hash, digest, sizeof hash);
    return (size_t)hash & replay->mask;
}

/* The slot that holds DIGEST, or the free one where it belongs. */
static size_t
find(const struct replay *replay, const uint8_t *digest)
{
    size_t slot = home_of(replay, digest);

    while (replay->slots[slot] != 0 &&
           memcmp(replay->ring[replay->slots[slot] - 1], digest, SIGNATURE_BYTES) != 0)
        slot = (slot + 1) & replay->mask;
    return slot;
}

static void
remove_slot(struct replay *replay, size_t hole)
{
    size_t slot = hole;

    for (;;) {
        size_t home;

        slot = (slot + 1) & replay->mask;
        if (replay->slots[slot] == 0)
            break;
        home = home_of(replay, replay->ring[replay->slots[slot] - 1]);
        /* It may move into the hole when that is not before its home. */
        if (((slot - home) & replay->mask) >= ((slot - hole) & replay->mask)) {
            replay->slots[hole] = replay->slots[slot];
            hole = slot;
        }
    }
    replay->slots[hole] = 0;
}

int
replay_add(struct replay *replay, const uint8_t digest[SIGNATURE_BYTES])
{
    if (replay->slots[find(replay, digest)] != 0)
        return REPLAY_E_SEEN;
    if (replay->count == replay->capacity)
        remove_slot(replay, find(replay, replay->ring[replay->next]));
    else
        replay->count++;
    memcpy(replay->ring[replay->next], digest, SIGNATURE_BYTES);
    replay->slots[find(replay, digest)] = (uint32_t)replay->next + 1;
    replay->next = (replay->next + 1) % replay->capacity;
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "runtimes/python/ext/murmur.h"

#define MULTIPLIER UINT32_C(0x5bd1e995)
#define SHIFT 24

static uint32_t
word_at(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
           (uint32_t)data[3] << 24;
}

uint32_t
murmur2(const uint8_t *data, size_t length, uint32_t seed)
{
    uint32_t hash = seed ^ (uint32_t)length;

    for (; length >= 4; data += 4, length -= 4) {
        uint32_t word = word_at(data) * MULTIPLIER;

        word ^= word >> SHIFT;
        hash = (hash * MULTIPLIER) ^ (word * MULTIPLIER);
    }
    if (length > 0) {
        for (size_t i = 0; i < length; i++)
            hash ^= (uint32_t)data[i] << (8 * i);
        hash *= MULTIPLIER;
    }
    hash ^= hash >> 13;
    hash *= MULTIPLIER;
    return hash ^ hash >> 15;
}

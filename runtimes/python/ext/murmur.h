/* SPDX-License-Identifier: MIT */
/*
 * murmur - MurmurHash2, 32 bits
 *
 * Jupyter's debugger computes the file name of a cell from its code by this hash, so the
 * names of compiled cells must be made the same way.
 */
#ifndef RUNTIMES_PYTHON_EXT_MURMUR_H
#define RUNTIMES_PYTHON_EXT_MURMUR_H

#include <stddef.h>
#include <stdint.h>

/* Words are read as little-endian on every machine. */
uint32_t murmur2(const uint8_t *data, size_t length, uint32_t seed);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * normalise - what differs from run to run and means nothing
 */
#ifndef KERNEL_COMPARE_NORMALISE_H
#define KERNEL_COMPARE_NORMALISE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"

enum normaliser {
    NORMALISE_ANSI,
    NORMALISE_CARRIAGE,
    NORMALISE_ADDRESSES,
    NORMALISE_FIGURES,
    NORMALISE_CELLS,
    NORMALISE_TIMINGS,
    NORMALISE_TEMPORARY,
    NORMALISE_WIDGETS,
    NORMALISE_ORDER,
    N_NORMALISERS
};

#define NORMALISE_DEFAULT (((1u << N_NORMALISERS) - 1) & ~(1u << NORMALISE_ORDER))

/* In all that a built-in rule writes, and in nothing else that it makes equal. */
#define NORMALISE_MARK "\xe2\x80\xa6" /* ... as one character */

struct error;
struct normalisers; /* opaque: expressions, compiled when they are first needed */

int normalisers_create(struct normalisers **ret);
void normalisers_destroy(struct normalisers *normalisers); /* NULL is allowed */

/* The member's name in "normalise", and back: false when there is none. */
const char *normaliser_name(enum normaliser normaliser);
bool normaliser_by_name(const char *name, enum normaliser *ret);

/* Appends TEXT without what ONE makes equal. 0, COMPARE_E_INVALID (as pattern_replace),
 * -ENOMEM. */
int normalise(struct normalisers *normalisers, enum normaliser one, struct slice text,
              struct buffer *ret, struct error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * ink - text that is put together from many small parts
 *
 * The first part that has no place ends it: what follows is ignored, and the failure is
 * asked for once, at the end.
 */
#ifndef KERNEL_NOTEBOOK_INK_H
#define KERNEL_NOTEBOOK_INK_H

#include <stdbool.h>

#include "protocol/buffer.h"

/* Plain data but for the buffer. */
struct ink {
    struct buffer buffer; /* owned */
    int failure; /* 0, BUFFER_E_FULL or -ENOMEM */
};

void ink_init(struct ink *ink, size_t limit);
void ink_fini(struct ink *ink);

void ink_text(struct ink *ink, const char *text);
void ink_slice(struct ink *ink, struct slice text);
void ink_repeat(struct ink *ink, char character, size_t count);
__attribute__((format(printf, 2, 3))) void ink_format(struct ink *ink, const char *format,
                                                      ...);

/* "1 cell", "3 cells": PLURAL is NULL where an "s" does it. */
void ink_count(struct ink *ink, unsigned long long count, const char *singular,
               const char *plural);

/* Seconds as a person says them: "0.41 s", "83 s", "12 min 3 s". */
void ink_seconds(struct ink *ink, double seconds);

/* Empties it, of its failure too. */
void ink_clear(struct ink *ink);

/* Takes back what was put behind the first LENGTH bytes, and its failure. */
void ink_cut(struct ink *ink, size_t length);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * pattern - regular expressions and replacements as Python's re has them
 *
 * Whoever writes an expression can write one that takes for ever: so every match has
 * limits, and all matches of one comparison together have a budget.
 */
#ifndef KERNEL_COMPARE_PATTERN_H
#define KERNEL_COMPARE_PATTERN_H

#include <stdint.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"

#define PATTERN_BYTES_MAX 4096 /* of an expression, and of a replacement */
#define PATTERN_STEPS_MAX ((uint64_t)50 * 1000 * 1000)

struct error;
struct pattern; /* opaque */

/* Compiles PATTERN; REPLACE has \1, \g<1>, \g<name> and Python's escapes. The caller owns
 * *ret. 0, COMPARE_E_SETTINGS (neither is what it should be), -ENOMEM. */
int pattern_create(struct pattern **ret, const char *pattern, const char *replace,
                   struct error *err);

/* As pattern_create, of an expression that is our own: it takes no steps. */
int pattern_create_trusted(struct pattern **ret, const char *pattern, const char *replace,
                           struct error *err);
void pattern_destroy(struct pattern *pattern); /* NULL is allowed */
CLEANUP_DEFINE(struct pattern, pattern_destroy);

/* Appends TEXT (valid UTF-8) with every match replaced. Takes what it needs from *STEPS.
 * 0, COMPARE_E_INVALID (the limits or the budget are used up, RET is full), -ENOMEM. */
int pattern_replace(const struct pattern *pattern, struct slice text, uint64_t *steps,
                    struct buffer *ret, struct error *err);

/* The length of the match that begins at AT of TEXT (valid UTF-8), 0: there is none. Only
 * for trusted expressions. */
size_t pattern_match_at(const struct pattern *pattern, struct slice text, size_t at);

/* Appends TEXT so that an expression, or a replacement, means it literally. Results of
 * buffer_append. */
int pattern_append_escaped(struct buffer *ret, struct slice text);
int pattern_append_replacement(struct buffer *ret, struct slice text);

#endif

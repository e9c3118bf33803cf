/* SPDX-License-Identifier: MIT */
/*
 * tally - the outcome of an execution, gathered as a front end would show it
 *
 * Text of the two streams and MIME bundles, with updates of displays and clear_output
 * applied.
 */
#ifndef KERNEL_AGENT_TALLY_H
#define KERNEL_AGENT_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"

struct frame;
struct tally; /* opaque */

#define TALLY_TEXT_BYTES_MAX ((size_t)256 * 1024 * 1024) /* the context keeps to less */
#define TALLY_RESULTS_MAX 4096

/* RESULTS_BYTES: of all MIME bundles together; those behind are left out. */
int tally_create(struct tally **ret, size_t results_bytes);
void tally_destroy(struct tally *tally); /* NULL is allowed */

/* TEXT is valid UTF-8. 0 or -ENOMEM. */
int tally_add_text(struct tally *tally, bool is_stderr, struct slice text);

/* Display data, its updates, results and clear_output; others are ignored. FRAME's parts
 * are checked JSON. 0 or -ENOMEM. */
int tally_add_frame(struct tally *tally, const struct frame *frame);

/* Appends the members "results" and "logs", without braces. */
int tally_append(const struct tally *tally, struct buffer *ret);

/* Bytes of results that there were, and that were kept. */
void tally_results(const struct tally *tally, uint64_t *ret_total, uint64_t *ret_kept);

#endif

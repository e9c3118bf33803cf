/* SPDX-License-Identifier: MIT */
/*
 * transcript - what requests print, from bytes to messages
 *
 * Makes UTF-8 of bytes, keeps each request's output within its budget, and merges what is
 * adjacent: text of one stream and one request becomes one message, held back for at most
 * TRANSCRIPT_MERGE_US and not at all when it is a whole line after a pause, or the first
 * one of a request.
 *
 * The budget: the first half passes as it comes; then the end is kept in a ring for each
 * stream, and told when the request ends, behind a line that says how much is missing.
 * Text of other requests than the running one (threads of old cells, processes that were
 * left behind) has a budget of its own, without an end to keep.
 */
#ifndef CONTEXTS_TRANSCRIPT_H
#define CONTEXTS_TRANSCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "contexts/context.h"
#include "protocol/buffer.h"

#define TRANSCRIPT_MERGE_US 20000
#define TRANSCRIPT_MERGE_BYTES ((size_t)64 * 1024)
#define TRANSCRIPT_TAIL_BYTES_MAX ((size_t)1024 * 1024) /* of one stream */

struct loop;
struct transcript; /* opaque */

/* TEXT is valid UTF-8, borrowed until return. 0 or < 0. */
typedef int transcript_fn(uint64_t number, bool is_stderr, struct slice text, void *arg);

int transcript_create(struct transcript **ret, struct loop *loop, uint64_t budget_bytes,
                      transcript_fn *fn, void *arg);
void transcript_destroy(struct transcript *transcript); /* tells nothing more */

/* Request NUMBER runs from here on; raw bytes are its until the next one begins. */
int transcript_begin(struct transcript *transcript, uint64_t number);

/* It has ended: everything that it printed is told before this returns. */
int transcript_end(struct transcript *transcript, struct context_truncation *ret_out,
                   struct context_truncation *ret_err);

/* Bytes from a pipe, cut anywhere. */
int transcript_add_bytes(struct transcript *transcript, bool is_stderr,
                         struct slice bytes);

/* Text that says whose it is; cut between characters. */
int transcript_add_text(struct transcript *transcript, uint64_t number, bool is_stderr,
                        struct slice text);

/* Tells what is held back: call it before anything else is told. */
int transcript_flush(struct transcript *transcript);

/* Another interpreter writes from now on: forgets partial characters and the tail. */
int transcript_restart(struct transcript *transcript);

/* Appends the last CONTEXT_STDERR_TAIL_BYTES that were written to stderr, or less, as
 * valid UTF-8 from the start of a line where there is one. 0 or -ENOMEM. */
int transcript_stderr_tail(const struct transcript *transcript, struct buffer *ret);

#endif

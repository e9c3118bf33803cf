/* SPDX-License-Identifier: MIT */
/*
 * comparer - asks the program cellwall-compare whether outputs agree
 *
 * A process of that program for each comparer, started with the first request and again
 * when it has died. kernel/compare/compare.h has the requests and answers.
 */
#ifndef KERNEL_NOTEBOOK_COMPARER_H
#define KERNEL_NOTEBOOK_COMPARER_H

#include <jansson.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"

#define COMPARER_TIMEOUT_MS 120000 /* for one answer */

struct comparer; /* opaque */
struct error;
struct loop;

enum { COMPARER_E_FAILED = 1 }; /* there is no answer; see ERR */

/* Once for each request that was taken, in their order, from the loop. ANSWER is
 * borrowed; NULL: the comparer died over it, or was too slow: ERR says so. 0 or < 0, as
 * callbacks of the loop. May ask again, but not destroy the comparer. */
typedef int comparer_done_fn(const json_t *answer, const struct error *err, void *arg);

/* LOOP is borrowed. PROGRAM: its path, NULL: the one beside this program. Starts nothing
 * yet. The caller owns *ret. 0, COMPARER_E_FAILED: it is not there; < 0. */
int comparer_create(struct comparer **ret, struct loop *loop, const char *program,
                    struct error *err);

/* Calls nobody. NULL is allowed. */
void comparer_destroy(struct comparer *comparer);
CLEANUP_DEFINE(struct comparer, comparer_destroy);

/* REQUEST: JSON text; takes its bytes, and empties it, even on failure. 0 or < 0; what is
 * wrong is told to FN. */
int comparer_ask(struct comparer *comparer, struct buffer *request, comparer_done_fn *fn,
                 void *arg);

/* The same, but waits for the answer in the loop, which the caller owns. 0,
 * COMPARER_E_FAILED, < 0. */
int comparer_wait(struct comparer *comparer, struct buffer *request, json_t **ret,
                  struct error *err);

/* Appends a request. EXPECTED and ACTUAL are JSON arrays of outputs. SETTINGS and CELL:
 * as in compare.h, or NULL. 0, BUFFER_E_FULL, -ENOMEM. */
int comparer_append_request(struct buffer *ret, const json_t *settings,
                            const json_t *cell, struct slice expected,
                            struct slice actual, bool propose);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * history - what was run in this kernel, in memory and bounded
 *
 * A session is the life of one interpreter (its epoch); a line is an execution count.
 * When it is full the oldest entries go.
 */
#ifndef KERNEL_HISTORY_H
#define KERNEL_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define HISTORY_ENTRIES_MAX 8192
#define HISTORY_BYTES_MAX ((size_t)16 * 1024 * 1024) /* inputs and outputs together */
#define HISTORY_OUTPUT_BYTES_MAX                                                         \
    ((size_t)64 * 1024) /* of one; longer ones are left out */
#define HISTORY_SEARCH_STEPS_MAX                                                         \
    UINT64_C(20000000) /* of one search's pattern matching                               \
                        */

struct history; /* opaque */

enum history_access { HISTORY_TAIL, HISTORY_RANGE, HISTORY_SEARCH };

/* A history_request. Plain data. */
struct history_query {
    enum history_access access;
    bool output; /* with outputs */
    bool unique; /* search: of equal inputs only the last */
    bool has_stop;
    int64_t session; /* range: 0 is the current one, negative ones count back */
    int64_t start, stop; /* range: lines, STOP excluded */
    int64_t n; /* tail, search: the last N; 0: all */
    struct slice pattern; /* search: the whole input; "*" and "?" are wild. borrowed */
};

int history_create(struct history **ret);
void history_destroy(struct history *history); /* NULL is allowed */

/* INPUT: UTF-8, copied; one that alone is too large is not kept. 0 or -ENOMEM. */
int history_add(struct history *history, uint64_t session, uint32_t line,
                struct slice input);

/* The text of the result of a line that was added; unknown lines are ignored. */
int history_set_output(struct history *history, uint64_t session, uint32_t line,
                       struct slice output);

/* Appends the array of a history_reply: [session, line, input], or with outputs
 * [session, line, [input, output]] with null for none. 0, BUFFER_E_FULL, -ENOMEM. */
int history_append(const struct history *history, const struct history_query *query,
                   uint64_t current_session, struct buffer *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * parents - who asked for what: requests that the context works on, by their number
 *
 * A request stays after its end, because threads that it started may still print; the
 * oldest ended ones are forgotten when there are too many.
 */
#ifndef KERNEL_PARENTS_H
#define KERNEL_PARENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/origin.h"

#define PARENTS_ENDED_MAX 512
#define PARENTS_ENDED_BYTES_MAX ((size_t)4 * 1024 * 1024) /* their headers */

struct handler;
struct parents; /* opaque */

struct parent {
    uint64_t number;
    struct origin origin; /* its bytes are owned */
    const struct handler *handler; /* borrowed */
    bool busy_told; /* "busy" was published */
    bool started; /* on_started was called */
    size_t share_bytes; /* that it counts for while it is open */
    int64_t cursor; /* complete: where an empty answer puts its matches */
    bool is_run; /* an execute request: */
    bool adopted; /* not a client's of ours */
    bool silent;
    bool stored; /* it is put into the history */
    bool has_history; /* it is there, at LINE of SESSION */
    uint64_t session;
    uint32_t line;
    struct slice code; /* owned: as raw JSON, until the run starts */
};

int parents_create(struct parents **ret);
void parents_destroy(struct parents *parents); /* NULL is allowed */

/* Copies ORIGIN and CODE (may be empty). *ret is owned by PARENTS. 0 or -ENOMEM. */
int parents_add(struct parents *parents, uint64_t number, const struct origin *origin,
                struct slice code, struct parent **ret);

/* NULL when it is not there, or not any more. Valid until its end and a later one's. */
struct parent *parents_find(const struct parents *parents, uint64_t number);

/* Frees the code. */
void parents_drop_code(struct parents *parents, struct parent *parent);

/* The request has ended: it may be forgotten from now on, but not before this returns. */
void parents_end(struct parents *parents, struct parent *parent);

/* How many have not ended. */
size_t parents_open_count(const struct parents *parents);

#endif

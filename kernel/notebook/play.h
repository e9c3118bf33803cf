/* SPDX-License-Identifier: MIT */
/*
 * play - one run of a notebook's cells, in order, in a fresh context
 *
 * What ends the run before its last cell is told of the cell that it was in; those behind
 * it are not run. The context has ended when the end is told.
 */
#ifndef KERNEL_NOTEBOOK_PLAY_H
#define KERNEL_NOTEBOOK_PLAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "contexts/context.h"
#include "protocol/cleanup.h"

struct directives;
struct error;
struct language;
struct notebook;
struct outputs;
struct play; /* opaque */

enum play_status {
    PLAY_NOT_RUN, /* an earlier cell ended it all */
    PLAY_SKIPPED, /* it says so, or there is nothing in it */
    PLAY_RAN, /* to its end, which an exception may have been */
    PLAY_BROKEN /* the platform ended it: see REASON */
};

/* What became of a cell of code. Plain data, owned by the play. */
struct play_cell {
    enum play_status status;
    bool raised;
    int64_t execution_count; /* -1: none */
    double seconds; /* < 0: none */
    const char *reason; /* static: the kind, as events tell it; NULL: none */
    char *text; /* a sentence; or NULL */
    char *stderr_tail; /* of an interpreter that died; or NULL */
};

/* Borrowed as long as the play, but for what is marked. */
struct play_options {
    struct loop *loop;
    struct spawner *spawner;
    const struct language *language;
    const char *directory; /* of the notebook, absolute; copied */
    const char *const *shown; /* NULL-terminated paths that it sees besides, or NULL */
    enum sandbox_network network;
    enum sandbox_tier tier;
    const struct context_limits *limits; /* copied */
    const struct notebook *notebook;
    const struct directives *directives; /* one for each cell of the notebook */
    uint64_t cell_ms, notebook_ms; /* 0: no end */
    void (*on_ended)(void *arg); /* once, from the loop; may destroy the play */
    void *arg;
};

enum { PLAY_E_START = 1 }; /* no context can be made; see ERR */

/* Begins. The caller owns *ret. */
int play_create(struct play **ret, const struct play_options *options, struct error *err);
void play_destroy(struct play *play); /* NULL is allowed */
CLEANUP_DEFINE(struct play, play_destroy);

/* A failure of our own that ended it; 0: none. */
int play_result(const struct play *play);

/* Those of the notebook's cells; of one that is no code PLAY_SKIPPED. Borrowed. */
const struct play_cell *play_cell(const struct play *play, size_t cell);
const struct outputs *play_outputs(const struct play *play);

/* The cell that runs; how many cells the notebook has: none does. */
size_t play_position(const struct play *play);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * made - workspaces for tests of real contexts
 */
#ifndef TESTS_CONTEXTS_MADE_H
#define TESTS_CONTEXTS_MADE_H

#include "contexts/workspace.h"
#include "protocol/error.h"
#include "tests/support/contexts.h"

#define MADE_BYTES ((uint64_t)1024 * 1024)
#define MADE_INODES 64

/* One workspace and what was told of it. Stays where it is. */
struct made {
    struct workspace *workspace; /* owned by the test */
    int told; /* how often */
    struct error err;
};

/* Asks for one, of LIMITS; of the bounds above. */
void made_ask_for(struct contexts *c, const struct workspace_limits *limits,
                  struct made *ret);
void made_ask(struct contexts *c, struct made *ret);
/* Asks, and waits until it is there. */
void made_make(struct contexts *c, struct made *ret);

/* The next context is an agent's in WORKSPACE; NULL: in none. */
void made_use(struct contexts *c, struct workspace *workspace);

#endif

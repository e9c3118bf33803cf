/* SPDX-License-Identifier: MIT */
/*
 * reserve - children that are ready before they are asked for
 *
 * A spare is a runner that was forked for a wish like one that came before, and waits for
 * its configure frame. The last few kinds of wishes have spares; they are made one at a
 * time, when nothing else was asked for lately.
 */
#ifndef CONTEXTS_RESERVE_H
#define CONTEXTS_RESERVE_H

#include <stdbool.h>

#include "contexts/spawner.h"

struct launches;
struct reserve; /* opaque */
struct zygotes;

#define RESERVE_KINDS_MAX 4
#define RESERVE_SIZE_MAX 64 /* spares of each */

/* SIZE (up to RESERVE_SIZE_MAX): spares of each kind; 0: none ever. ZYGOTES makes them.
 */
int reserve_create(struct reserve **ret, struct loop *loop, struct launches *launches,
                   struct zygotes *zygotes, unsigned size);
void reserve_destroy(struct reserve *reserve); /* NULL is allowed */

/* Notes that WISH is what is wanted these days: spares are made soon. */
void reserve_note(struct reserve *reserve, const struct spawner_wish *wish);

/* The zygotes have changed: there may be something to do. */
void reserve_wake(struct reserve *reserve);

/* Gives away a spare for WISH, whose fds are the caller's then. False: there is none. */
bool reserve_take(struct reserve *reserve, const struct spawner_wish *wish,
                  struct spawner_child *ret);

#endif

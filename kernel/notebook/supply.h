/* SPDX-License-Identifier: MIT */
/*
 * supply - where the interpreters of a test run come from
 *
 * From a running server, which has warm ones; else from zygotes of our own, where there
 * are enough runs to make up for their start; else by exec.
 */
#ifndef KERNEL_NOTEBOOK_SUPPLY_H
#define KERNEL_NOTEBOOK_SUPPLY_H

#include <jansson.h>
#include <stdbool.h>

#include "contexts/sandbox/spec.h"
#include "protocol/cleanup.h"

#define SUPPLY_ZYGOTE_RUNS 3 /* so many are worth a zygote */

enum { SUPPLY_E_FAILED = 1 }; /* see ERR */

struct error;
struct loop;
struct spawner;
struct suite;
struct supply; /* opaque */

/* Forks the launcher: call it before anything else. SERVER: its server.json or socket,
 * "none", or NULL: what the environment names, or this user's, if it runs. */
int supply_create(struct supply **ret, const char *server, struct error *err);
void supply_destroy(struct supply *supply); /* NULL is allowed */
CLEANUP_DEFINE(struct supply, supply_destroy);

/* LOOP is borrowed, and outlives it. Call it once, before the next. */
int supply_attach(struct supply *supply, struct loop *loop);

/* Plain data. */
struct supply_wish {
    enum sandbox_tier tier; /* the weakest that will do */
    bool may_fork; /* interpreters of the same hash seed and addresses will do */
    const bool *stopped; /* when it becomes true nothing is waited for any more */
};

/* Makes ready what SUITE needs; waits in the loop. */
int supply_prepare(struct supply *supply, struct suite *suite,
                   const struct supply_wish *wish, struct error *err);

/* Borrowed. The second: what the server's zygotes import, see settings.h, or NULL. */
struct spawner *supply_spawner(const struct supply *supply);
json_t *supply_preload(const struct supply *supply);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * zygotes - one zygote for each environment that is in use
 *
 * An environment is a zygote's spec: interpreter, preload list, network, variables and
 * mounts. Its zygote is started when it is first asked for, again when it has died, and
 * again when its files have changed; one that fails to start is tried again later.
 */
#ifndef CONTEXTS_ZYGOTES_H
#define CONTEXTS_ZYGOTES_H

#include <stdint.h>

#include "contexts/spawner.h"

struct launches;
struct sandbox_zygote;
struct zygote;
struct zygotes; /* opaque */

#define ZYGOTES_MAX 16 /* environments; the one that was not used for longest goes */

/* FN and ARG: for the log. CHANGED, with the same ARG, is called when a zygote has become
 * ready or has ended. */
typedef void zygotes_changed_fn(void *arg);

int zygotes_create(struct zygotes **ret, struct loop *loop, struct launches *launches,
                   spawner_told_fn *told, void *told_arg, zygotes_changed_fn *changed,
                   void *changed_arg);
void zygotes_destroy(struct zygotes *zygotes); /* NULL is allowed */

/* A zygote of SPEC that is ready and not out of date, or NULL: then one is being started,
 * or cannot be had. Borrowed until the loop turns. */
struct zygote *zygotes_find(struct zygotes *zygotes, const struct sandbox_spec *spec);

/* Which of the zygotes of SPEC it is that is there or being started, after such a look:
 * another number when the environment has changed. */
uint64_t zygotes_generation(struct zygotes *zygotes, const struct sandbox_spec *spec);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * birth - one child that the launcher is asked for, with all its pipes and sockets
 */
#ifndef CONTEXTS_BIRTH_H
#define CONTEXTS_BIRTH_H

#include "contexts/spawner.h"

struct birth; /* opaque */
struct launches;
struct sandbox_zygote;

/* ZYGOTE: NULL, or whose fork the runner is to be; borrowed until return. FN is called
 * later, once, and the birth is freed when it returns. As launches_spawn. */
int birth_begin(struct birth **ret, struct launches *launches,
                const struct sandbox_spec *spec, const struct sandbox_zygote *zygote,
                spawner_done_fn *fn, void *arg, struct error *err);

/* FN will not be called: the child, if there will be one, ends. */
void birth_cancel(struct birth *birth);

#endif

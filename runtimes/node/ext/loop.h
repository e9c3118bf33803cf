/* SPDX-License-Identifier: MIT */
/*
 * loop - which part of its turn Node's event loop is in
 *
 * A turn waits for events and calls what they are for, requests of the server among them;
 * then come immediates and timers, those of all requests together.
 */
#ifndef RUNTIMES_NODE_EXT_LOOP_H
#define RUNTIMES_NODE_EXT_LOOP_H

#include <stdbool.h>

#include "runtimes/node/ext/napi.h"

struct error;

/* Whether immediates and timers come next, or else events. On the main thread. */
typedef void loop_turn_fn(bool is_timers);

/* Calls TURN from now on, as long as the process lives. 0 or < 0. */
int loop_watch(napi_env env, loop_turn_fn *turn, struct error *err);

#endif

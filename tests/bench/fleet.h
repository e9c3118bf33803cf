/* SPDX-License-Identifier: MIT */
/*
 * fleet - many contexts in one loop, without ZeroMQ
 */
#ifndef TESTS_BENCH_FLEET_H
#define TESTS_BENCH_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contexts/context.h"

struct fleet; /* opaque */
struct member; /* one context of it; opaque */

/* All borrowed; they outlive the fleet. */
struct fleet_options {
    const char *runtimes; /* their folder */
    const char *runtime; /* "python" */
    const char *python; /* the interpreter, or NULL */
    const char *directory; /* what the contexts may write */
    /* "exec"; "zygote" and, from a reserve of up to N, "zygote:N"; or the address of a
     * running server. */
    const char *origin;
};

/* Call it before there are threads. Waits until a zygote is ready. Dies when it cannot.
 */
struct fleet *fleet_create(const struct fleet_options *options);
void fleet_destroy(struct fleet *fleet);

/* Begins to make a context. */
struct member *fleet_add(struct fleet *fleet);
size_t fleet_count(const struct fleet *fleet);
struct member *fleet_member(const struct fleet *fleet, size_t index);

/* Destroys the last COUNT contexts and waits until none of their processes is left. */
void fleet_drop(struct fleet *fleet, size_t count);

/* Queues CODE, a JSON string. One request at a time. */
void fleet_run(struct member *member, const char *code);
/* Queues a request that needs the runner, but runs nothing in it. */
void fleet_ask(struct member *member);

/* Turns the loop until MEMBER has said hello, or has no open request. */
void fleet_wait_hello(struct member *member);
void fleet_wait_done(struct member *member);
bool fleet_is_done(const struct member *member);
void fleet_turn(struct fleet *fleet);
/* Waits for MS while the loop turns: a reserve is filled in idle time. */
void fleet_pause(struct fleet *fleet, size_t ms);

/* When that happened, by measure_now_us. */
double fleet_created_us(const struct member *member);
double fleet_hello_us(const struct member *member);
double fleet_sent_us(const struct member *member); /* the last request */
double fleet_done_us(const struct member *member);

/* The content of its last execute result, JSON; "null": there was none. */
const char *fleet_result(const struct member *member);

/* Memory of all contexts together, by smaps_rollup, in KiB: of init and of the runner
 * with its children. False: it may not be read. */
struct fleet_memory {
    uint64_t init_private, init_pss;
    uint64_t runner_private, runner_pss;
};
bool fleet_memory(const struct fleet *fleet, struct fleet_memory *ret);

#endif

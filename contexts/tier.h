/* SPDX-License-Identifier: MIT */
/*
 * tier - what kind of sandbox this machine gives, by making one
 *
 * The whole sequence is done in a throw-away child, by the spawner that makes all others;
 * nothing is inferred. Which step fails, and why, is what init reports.
 */
#ifndef CONTEXTS_TIER_H
#define CONTEXTS_TIER_H

#include <stdbool.h>

#include "contexts/sandbox/spec.h"
#include "protocol/buffer.h"
#include "protocol/error.h"

struct loop;
struct spawner;
struct tier_probe; /* opaque */

struct tier_report {
    enum sandbox_tier tier;
    bool works;
    char missing[ERROR_TEXT_BYTES]; /* if not: "step: error" */
    const char *remedy; /* a clause for a person; static */
    struct slice output; /* of the program; borrowed */
};

const char *tier_name(enum sandbox_tier tier); /* "full", "nested" */

/* 0 or < 0, as callbacks of the loop. The probe is gone by then. */
typedef int tier_done_fn(const struct tier_report *report, void *arg);

/* PROGRAM: NULL-terminated, its first word a path outside; or NULL, for one of no
 * consequence. The caller owns *ret until FN is called. 0, > 0 (see ERR) or < 0. */
int tier_probe_begin(struct tier_probe **ret, struct loop *loop, struct spawner *spawner,
                     enum sandbox_tier tier, const char *const *program, tier_done_fn *fn,
                     void *arg, struct error *err);
void tier_probe_cancel(struct tier_probe *probe); /* NULL is allowed */

/* One line for a person: that REPORT's tier is not to be had, why, what helps; and, for
 * the full one, that a weaker one can be accepted. */
void tier_refusal(char *ret, size_t size, const struct tier_report *report);

/* What PROGRAM does when it is this one: tells how it is confined, a line each, "NAME
 * VALUE". Returns the exit status. */
int tier_look_around(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * spares - contexts that are ready before anybody asks for them
 *
 * For each language that was asked for lately, a few contexts as an ordinary request
 * would make them: no variables, no working directory, no limits of its own. They belong
 * to an owner whom no client can be, so no request finds them. Who asks for such a
 * context gets one, and another is made; one that would be made differently today is
 * thrown away.
 */
#ifndef KERNEL_AGENT_SPARES_H
#define KERNEL_AGENT_SPARES_H

#include <stddef.h>

struct agent;
struct agent_context;
struct context_wish;
struct owner;
struct spares; /* opaque */

/* COUNT for each language; 0: none. On success the caller owns *ret. 0 or < 0. */
int spares_create(struct spares **ret, struct agent *agent, unsigned count);

/* Before its agent's owners. NULL is allowed. */
void spares_destroy(struct spares *spares);

/* Notes that OWNER asks, and finds what fits, which is still a spare. NULL: none. */
struct agent_context *spares_find(struct spares *spares, const struct owner *owner,
                                  const struct context_wish *wish);

/* How many there are; they are no one's contexts. */
size_t spares_count(const struct spares *spares);

#endif

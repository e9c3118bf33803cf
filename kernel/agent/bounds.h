/* SPDX-License-Identifier: MIT */
/*
 * bounds - how much of everything the agent service gives, and to one owner
 *
 * Each is a member of the configuration's "bounds", "limits" or "ceilings".
 */
#ifndef KERNEL_AGENT_BOUNDS_H
#define KERNEL_AGENT_BOUNDS_H

#include <jansson.h>

#include "contexts/context.h"

struct error;

enum { BOUNDS_E_INVALID = 1 }; /* see ERR, which names the member */

/* Plain data. */
struct agent_bounds {
    int64_t contexts; /* of all owners */
    int64_t contexts_per_owner;
    int64_t executions_per_owner; /* that wait or run */
    int64_t queue_per_context;
    int64_t requests_per_second; /* of one owner; twice as many at once */
    int64_t results_bytes; /* of one execution */
    int64_t log_bytes; /* likewise */
    int64_t jupyter; /* endpoints at once */
    int64_t idle_timeout_s; /* when a client does not say, at most the next; 0: never */
    int64_t idle_timeout_max_s; /* 0: as long as they like */
    bool network_host; /* contexts may ask for it */
    struct context_limits defaults, ceilings;
};

void bounds_init(struct agent_bounds *bounds);

/* Reads the configuration's "bounds" (an object). 0, BOUNDS_E_INVALID. */
int bounds_take(struct agent_bounds *bounds, const json_t *document, struct error *err);

/* Reads LIMITS as the protocol has them, over what RET is; CEILINGS may be NULL.
 * *RET_HIGH (may be NULL): the name of one above its ceiling. 0, BOUNDS_E_INVALID. */
int bounds_take_limits(struct context_limits *ret, const json_t *limits,
                       const struct context_limits *ceilings, const char **ret_high,
                       struct error *err);

/* The other way round. A new reference; NULL: no memory. */
json_t *bounds_describe_limits(const struct context_limits *limits);
json_t *bounds_describe(const struct agent_bounds *bounds);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * limits - what a person says of a context's limits, as text
 *
 *     memory=2G,cpus=1.5,processes=256,files=1024,disk=1G,disk-files=20000,tmp=512M,
 *     tmp-files=20000,file=1G,output=8M,time=30
 *
 * Sizes are bytes, with K, M, G or T for powers of 1024; time is in seconds. "none" lifts
 * the limits that can be lifted: memory, cpus, file, time.
 */
#ifndef KERNEL_LIMITS_H
#define KERNEL_LIMITS_H

#include <jansson.h>

#include "contexts/context.h"

struct error;

enum { LIMITS_E_INVALID = 1 }; /* see ERR, which names the limit */

/* Over what LIMITS are. */
int limits_parse(struct context_limits *limits, const char *text, struct error *err);

/* Puts them into MEMBERS, an object, as the agent protocol's limits; a lifted one is 0.
 */
int limits_parse_members(json_t *members, const char *text, struct error *err);

#endif

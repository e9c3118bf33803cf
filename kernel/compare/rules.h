/* SPDX-License-Identifier: MIT */
/*
 * rules - proposals for "sanitize": what has differed, in general
 */
#ifndef KERNEL_COMPARE_RULES_H
#define KERNEL_COMPARE_RULES_H

#include <jansson.h>

#include "protocol/buffer.h"

#define RULES_MAX 20

struct policy;
struct settings;

/* The rules that make EXPECTED and ACTUAL (as they were before all rules) equal, of the
 * lines PAIRS (array of [expected, actual], after all rules) that differ: an array, empty
 * when none would do. The caller owns *ret. 0 or -ENOMEM. */
int rules_propose(json_t **ret, struct settings *settings, const struct policy *policy,
                  const json_t *pairs, struct slice expected, struct slice actual);

#endif

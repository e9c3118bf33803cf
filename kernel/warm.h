/* SPDX-License-Identifier: MIT */
/*
 * warm - has a runtime's zygote started before the first interpreter is wanted
 */
#ifndef KERNEL_WARM_H
#define KERNEL_WARM_H

#include <stdbool.h>

#include "contexts/context.h"

enum { WARM_E_FAILED = 1 }; /* see ERR */

struct environment;
struct error;
struct runtime;
struct spawner;

/* For contexts of PROFILE without a network of their own. *RET_BEGUN: whether the runtime
 * has zygotes; what became of it is told as spawner_use_zygotes says. 0, WARM_E_FAILED, <
 * 0. */
int warm_zygote(struct spawner *spawner, enum context_profile profile,
                const struct runtime *runtime, const struct environment *environment,
                bool *ret_begun, struct error *err);

#endif

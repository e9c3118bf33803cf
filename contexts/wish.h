/* SPDX-License-Identifier: MIT */
/*
 * wish - what is wanted of a spawner, as bytes: to be sent, compared, or kept
 *
 * Two encoded specs, the runner's and that of the zygote that may fork it, which may be
 * missing.
 */
#ifndef CONTEXTS_WISH_H
#define CONTEXTS_WISH_H

#include <stdbool.h>
#include <stddef.h>

#include "contexts/sandbox/spec.h"
#include "contexts/spawner.h"
#include "protocol/buffer.h"

#define WISH_BYTES_MAX (2 * SANDBOX_SPEC_BYTES_MAX)

struct wish {
    struct buffer bytes; /* owned */
    size_t first_length; /* of the runner's spec; the rest is the zygote's */
};

enum { WISH_E_INVALID = 1 }; /* out of bounds or malformed; see ERR */

/* 0, WISH_E_INVALID, -ENOMEM; on failure *ret needs no wish_fini. */
int wish_init(struct wish *ret, const struct spawner_wish *from, struct error *err);
void wish_fini(struct wish *wish);

bool wish_equals(const struct wish *a, const struct wish *b);

/* A decoded wish and what its pointers lead to, itself included: it stays in its place.
 */
struct wish_copy {
    struct spawner_wish wish;
    struct sandbox_spec_copy runner, zygote; /* owned */
};

/* BYTES may go away afterwards. 0, WISH_E_INVALID (also when the specs are not of a
 * runner and a zygote), -ENOMEM; on failure *ret needs no wish_copy_fini. */
int wish_copy_init(struct wish_copy *ret, struct slice bytes, size_t first_length,
                   struct error *err);
void wish_copy_fini(struct wish_copy *copy);

#endif

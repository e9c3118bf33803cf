/* SPDX-License-Identifier: MIT */
/*
 * authorised - the text of a file of authorised keys, as a table
 *
 *     # a comment
 *     ann  rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7
 *
 * One "NAME KEY" a line: a name of letters, digits, "._-", and a public key of CURVE in
 * Z85. Names and keys are there once. Lines without text do not count.
 */
#ifndef KERNEL_AUTHORISED_H
#define KERNEL_AUTHORISED_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/keys.h"
#include "protocol/buffer.h"

#define AUTHORISED_BYTES_MAX ((size_t)1024 * 1024)
#define AUTHORISED_KEYS_MAX 10000

enum { AUTHORISED_E_INVALID = 1 }; /* see ERR, which names the line */

struct authorised; /* opaque */
struct error;

/* On success the caller owns *ret. 0, AUTHORISED_E_INVALID, -ENOMEM. */
int authorised_create(struct authorised **ret, struct slice text, struct error *err);
void authorised_destroy(struct authorised *authorised); /* NULL is allowed */

size_t authorised_count(const struct authorised *authorised);

/* Whose key it is; NULL: nobody's. Borrowed. */
const char *authorised_name(const struct authorised *authorised,
                            const unsigned char key[KEYS_BINARY_BYTES]);

bool authorised_has_name(const struct authorised *authorised, const char *name);

/* May be the name of a key. */
bool authorised_is_name(const char *name);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * keys - the server's CURVE key pair, and the public keys of those who may come in
 */
#ifndef KERNEL_KEYS_H
#define KERNEL_KEYS_H

#include <stdbool.h>

#define KEYS_NAME_BYTES 64 /* with the NUL: of an authorised key: letters, digits, ._- */
#define KEYS_TEXT_BYTES 41 /* a key in Z85, with the NUL */
#define KEYS_BINARY_BYTES 32

struct error;
struct keys; /* opaque */
struct loop;

enum { KEYS_E_INVALID = 1 }; /* a file cannot be read or is malformed; see ERR */

/* SERVER_FILE: what "cellwall keygen --server" wrote (refused when others can read it).
 * AUTHORISED_FILE: one "NAME KEY" a line, "#" begins a comment line. On success the
 * caller owns *ret. */
int keys_create(struct keys **ret, const char *server_file, const char *authorised_file,
                struct error *err);
void keys_destroy(struct keys *keys); /* NULL is allowed; wipes the secret */

const char *keys_public(const struct keys *keys); /* Z85, borrowed */
const char *keys_secret(const struct keys *keys);

/* The name of the client with this public key, read again when the file has changed;
 * NULL: not authorised. Borrowed until the next call. A file that has become malformed
 * authorises those that it did before, and is logged. */
const char *keys_name(struct keys *keys, const unsigned char key[KEYS_BINARY_BYTES]);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * keys - the server's CURVE key pair, and the public keys of those who may come in
 */
#ifndef KERNEL_KEYS_H
#define KERNEL_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#define KEYS_NAME_BYTES                                                                  \
    64 /* with the NUL: of an authorised key: letters, digits, ._-                       \
        */
#define KEYS_TEXT_BYTES 41 /* a key in Z85, with the NUL */
#define KEYS_BINARY_BYTES 32
#define KEYS_MESSAGE_BYTES 65 /* the key of messages in hexadecimal, with the NUL */
#define KEYS_FILE_BYTES_MAX ((size_t)64 * 1024) /* of the server's file */

struct error;
struct keys; /* opaque */

enum { KEYS_E_INVALID = 1 }; /* a file cannot be read or is malformed; see ERR */

/* SERVER_FILE: what "cellwall keygen --server" wrote (refused when others can read it).
 * AUTHORISED_FILE: one "NAME KEY" a line, "#" begins a comment line (refused when others
 * can write it). NULL: nobody is authorised. On success the caller owns *ret. */
int keys_create(struct keys **ret, const char *server_file, const char *authorised_file,
                struct error *err);
void keys_destroy(struct keys *keys); /* NULL is allowed; wipes the secrets */

const char *keys_public(const struct keys *keys); /* Z85, borrowed */
const char *keys_secret(const struct keys *keys);

/* What messages are signed with: 64 characters, used as they are. Borrowed. */
const char *keys_message_key(const struct keys *keys);

/* The name of the client with this public key, read again when the file has changed;
 * NULL: not authorised. Borrowed until the next call. A file that has become malformed
 * authorises those that it did before, one that is gone nobody; both are logged. */
const char *keys_name(struct keys *keys, const unsigned char key[KEYS_BINARY_BYTES]);

/* Some key has this name now, as keys_name sees it. */
bool keys_is_authorised(struct keys *keys, const char *name);

#endif

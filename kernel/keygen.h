/* SPDX-License-Identifier: MIT */
/*
 * keygen - makes the files that keys.h reads, and those that clients find the server by
 */
#ifndef KERNEL_KEYGEN_H
#define KERNEL_KEYGEN_H

#include <stdbool.h>

enum { KEYGEN_E_FAILED = 1 }; /* see ERR, which names the file */

struct error;

/* A new client. Plain data, borrowed. */
struct keygen_client {
    const char *name;
    const char *public_key; /* of a pair that it has made itself, or NULL */
    const char *server_file; /* these three, or none: its file is not made */
    const char *endpoint;
    const char *path; /* of its file */
    const char *authorised_file; /* made if it is missing; NULL: not authorised */
};

/* Makes a server's file at PATH, which is not there. KEYGEN_E_FAILED, < 0. */
int keygen_make_server(const char *path, struct error *err);

/* All or nothing. KEYGEN_E_FAILED, < 0. */
int keygen_make_client(const struct keygen_client *client, struct error *err);

/* It is tcp://HOST:PORT, as a client can connect to. */
bool keygen_is_endpoint(const char *endpoint);

/* It is a public key in Z85. */
bool keygen_is_public_key(const char *text);

#endif

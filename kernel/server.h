/* SPDX-License-Identifier: MIT */
/*
 * server - how programs of one user find their running server
 *
 * The server holds a folder, file_server_folder, and has a file in it, server.json:
 *
 *     version     string: whose it is must be ours, or it is not asked
 *     pid         integer, for a person
 *     contexts    string: the path of the socket that makes contexts
 *     endpoint, endpoints, key, signature_scheme, server_public_key
 *                 for agents' clients: docs/agent-protocol.md
 *     namespaces  object of strings: what it sees the machine through
 *     preload     object of arrays of strings: by a runtime's name, what its zygotes
 * import ahead in place of what runtime.json says
 */
#ifndef KERNEL_SERVER_H
#define KERNEL_SERVER_H

#include <jansson.h>

#include "contexts/spawner.h"

struct error;
struct server_seat; /* opaque: the folder, held */

#define SERVER_FILE_BYTES_MAX ((size_t)256 * 1024)
#define SERVER_NOWHERE "none" /* the address that means: ask no server */

enum {
    SERVER_E_FAILED = 1, /* see ERR */
    SERVER_E_NONE /* there is no server */
};

/* Makes the folder and holds it; what a server that was killed has left there is removed.
 * SERVER_E_FAILED, also when another server holds it. */
int server_sit(struct server_seat **ret, struct error *err);

/* Where the server is to listen for kernels, and for agents (an address of ZeroMQ's).
 * Borrowed. */
const char *server_seat_address(const struct server_seat *seat);
const char *server_seat_endpoint(const struct server_seat *seat);

/* What clients are told beside where contexts are made. Borrowed. */
struct server_notice {
    json_t *preload; /* NULL, or as above */
    const char *const *endpoints;
    size_t endpoint_count;
    const char *message_key;
    const char *public_key; /* NULL: no CURVE */
};

/* Writes server.json. SERVER_E_FAILED, < 0. */
int server_announce(const struct server_seat *seat, const struct server_notice *notice,
                    struct error *err);

/* Removes server.json and the socket. NULL is allowed. */
void server_rise(struct server_seat *seat);

/* A server that may be there. */
struct server_found {
    char address[SPAWNER_ADDRESS_BYTES];
    json_t *document; /* owned: of server.json; NULL: the socket was named */
};

/* NAMED: the path of a server.json or of a socket, or NULL: the file in the folder. It is
 * not tried whether the server is alive. SERVER_E_NONE: there is no such file;
 * SERVER_E_FAILED: it is not one that this program can ask. */
int server_find(struct server_found *ret, const char *named, struct error *err);
void server_found_fini(struct server_found *found);

#endif

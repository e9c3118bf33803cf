/* SPDX-License-Identifier: MIT */
/*
 * connection - Jupyter connection files
 *
 * From bytes to checked fields and back; reading and writing the file is the caller's.
 * Members that we do not know stay in the document and are written back.
 */
#ifndef PROTOCOL_CONNECTION_H
#define PROTOCOL_CONNECTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define CONNECTION_BYTES_MAX ((size_t)64 * 1024) /* of a file */
#define CONNECTION_IP_BYTES 256 /* with the NUL; for ipc: a path's beginning */
#define CONNECTION_ENDPOINT_BYTES 320 /* with the NUL */
#define CONNECTION_CURVE_BYTES 41 /* a Z85 key with its NUL */
#define CONNECTION_NAME_BYTES 256 /* with the NUL */

enum {
    CONNECTION_E_INVALID = 1, /* see ERR, which names the member */
    CONNECTION_E_REGISTRATION /* it is a registration file, which is not supported */
};

enum connection_port {
    CONNECTION_SHELL,
    CONNECTION_IOPUB,
    CONNECTION_STDIN,
    CONNECTION_CONTROL,
    CONNECTION_HB,
    CONNECTION_PORTS
};

struct error;

struct connection {
    bool ipc; /* else tcp */
    char ip[CONNECTION_IP_BYTES];
    uint16_t ports[CONNECTION_PORTS]; /* 0: to be chosen */
    struct slice key; /* borrowed from document; empty: messages are not signed */
    char kernel_name[CONNECTION_NAME_BYTES]; /* empty when absent */
    bool curve; /* both keys are there */
    char curve_public_key[CONNECTION_CURVE_BYTES];
    char curve_secret_key[CONNECTION_CURVE_BYTES];
    json_t *document; /* owned: the whole file */
};

/* Reads the bytes of a file. On success connection_fini is due. 0, CONNECTION_E_INVALID,
 * CONNECTION_E_REGISTRATION, -ENOMEM. */
int connection_init(struct connection *ret, struct slice text, struct error *err);

/* Wipes the keys and frees. */
void connection_fini(struct connection *connection);

/* "shell", "iopub" and so on. */
const char *connection_port_name(enum connection_port port);

/* Sets a port here and in the document. 0 or -ENOMEM. */
int connection_set_port(struct connection *connection, enum connection_port port,
                        uint16_t number);

/* Writes ZeroMQ's endpoint to bind: tcp://IP:PORT (a port of 0 as "*", an IPv6 address in
 * brackets) or ipc://IP-PORT. 0, or CONNECTION_E_INVALID: an ipc port is 0, or its path
 * is too long for a socket (107 bytes). */
int connection_endpoint(const struct connection *connection, enum connection_port port,
                        char ret[CONNECTION_ENDPOINT_BYTES], struct error *err);

/* Appends the document, indented, with a newline. 0, BUFFER_E_FULL, -ENOMEM. */
int connection_append(const struct connection *connection, struct buffer *ret);

#endif

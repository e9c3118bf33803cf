/* SPDX-License-Identifier: MIT */
/*
 * connect - from a command line to a client of the right server
 */
#ifndef KERNEL_CLI_CONNECT_H
#define KERNEL_CLI_CONNECT_H

#include <stdbool.h>

struct client;
struct error;

/* Connects to the server that NAMED says (path of a server.json or of a client's own
 * file), or CELLWALL_SERVER, or to the one that this user runs. On success the caller
 * owns *ret. The results of client_server_find and client_create. */
int connect_server(struct client **ret, const char *named, struct error *err);

/* Whether the named one, or CELLWALL_SERVER, is "none". */
bool connect_forbids_server(const char *named);

#endif

/* SPDX-License-Identifier: MIT */
#include "kernel/cli/connect.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/client.h"
#include "kernel/server.h"
#include "protocol/cleanup.h"

static const char *
choose(const char *named)
{
    const char *variable = getenv("CELLWALL_SERVER");

    if (named != NULL)
        return named;
    return variable != NULL && variable[0] != '\0' ? variable : NULL;
}

bool
connect_forbids_server(const char *named)
{
    const char *chosen = choose(named);

    return chosen != NULL && strcmp(chosen, SERVER_NOWHERE) == 0;
}

int
connect_server(struct client **ret, const char *named, struct error *err)
{
    CLEANUP(client_server_fini) struct client_server server = { 0 };
    int r = client_server_find(&server, choose(named), err);

    return r != 0 ? r : client_create(ret, &server, err);
}

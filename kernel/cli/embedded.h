/* SPDX-License-Identifier: MIT */
/*
 * embedded - a server for one command, where none runs
 *
 * "cellwall serve" in a folder of its own. A small process beside it, the keeper, ends it
 * and removes the folder as soon as this program has ended, however that happens.
 */
#ifndef KERNEL_CLI_EMBEDDED_H
#define KERNEL_CLI_EMBEDDED_H

#include "protocol/cleanup.h"

enum {
    EMBEDDED_E_FAILED = 1, /* see ERR */
    EMBEDDED_E_INTERRUPTED /* STOP became readable */
};

struct embedded; /* opaque */
struct error;

/* ARGUMENTS: NULL-terminated, further ones for "cellwall serve". Forks, so there must be
 * no threads yet. Blocks until the server is ready, or STOP (an fd) is readable. On
 * success the caller owns *ret. */
int embedded_start(struct embedded **ret, const char *const *arguments, int stop,
                   struct error *err);

/* Path of its server.json. Borrowed. */
const char *embedded_file(const struct embedded *embedded);

/* Blocks until all is gone. NULL is allowed. */
void embedded_stop(struct embedded *embedded);

CLEANUP_DEFINE(struct embedded, embedded_stop);

#endif

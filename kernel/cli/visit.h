/* SPDX-License-Identifier: MIT */
/*
 * visit - a short command at a server: ask, print, leave
 */
#ifndef KERNEL_CLI_VISIT_H
#define KERNEL_CLI_VISIT_H

#include <jansson.h>

#include "kernel/cli/console.h"
#include "kernel/client.h"
#include "kernel/command.h"
#include "kernel/options.h"

struct table;

enum { VISIT_E_FAILED = 1 }; /* it has been told; STATUS is set */

struct visit {
    const char *name; /* borrowed: the command, for what is told */
    struct console console;
    struct client *client; /* owned */
    int status; /* to exit with */
};

/* What all of them are given. */
struct visit_arguments {
    const char *server;
    struct option_list words; /* the first is a context */
    bool json;
};

/* Reads ARGUMENTS, of which COMMON is a part, checks that there are LEAST to MOST words,
 * and connects. -1: visit_fini is due; else the exit status. */
int visit_begin(struct visit *visit, const struct command *command, void *arguments,
                const struct visit_arguments *common, char *const *argv, size_t least,
                size_t most);

/* Connects; SERVER as for connect_server. NAME is borrowed. visit_fini is due in any
 * case. 0 or VISIT_E_FAILED. */
int visit_init(struct visit *visit, const char *name, const char *server);

/* Leaves; returns the exit status. */
int visit_fini(struct visit *visit);

/* One request; takes CONTENT. BUFFER: bytes to send, data NULL: none. On success the
 * caller owns ret->content. 0 or VISIT_E_FAILED. */
int visit_ask(struct visit *visit, const char *type, json_t *content, struct slice buffer,
              struct client_reply *ret);

/* Tells what is wrong. Returns VISIT_E_FAILED. */
__attribute__((format(printf, 3, 4))) int visit_fail(struct visit *visit, int status,
                                                     const char *format, ...);

/* To stdout. Text that is ours, or harmless already. 0 or VISIT_E_FAILED. */
int visit_print(struct visit *visit, struct slice text);
int visit_print_json(struct visit *visit, const json_t *value);
int visit_print_table(struct visit *visit, const struct table *table);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * context - what the parts of "cellwall context" have in common
 */
#ifndef KERNEL_CLI_CONTEXT_H
#define KERNEL_CLI_CONTEXT_H

#include "kernel/command.h"

#define CONTEXT_SERVER_HELP                                                              \
    "The server.json of the server, or a client's own file made by \"cellwall\n"         \
    "keygen\". The default is CELLWALL_SERVER, or else this user's server."

#define CONTEXT_JSON_HELP "Print JSON instead."

/* The sections of each part's help before its examples. */
#define CONTEXT_NOTES                                                                    \
    "EXIT STATUS\n"                                                                      \
    "      0    done\n"                                                                  \
    "      1    the server refused: no such context or file, ...\n"                      \
    "      2    wrong usage\n"                                                           \
    "      125  there is no server, or the interpreter could not be started\n"           \
    "      130  interrupted\n"                                                           \
    "      141  the reader of stdout has gone\n"                                         \
    "\n"                                                                                 \
    "ENVIRONMENT\n"                                                                      \
    "      CELLWALL_SERVER  as --server\n"                                               \
    "      XDG_RUNTIME_DIR  where the server of this user is looked for\n"               \
    "\n"

extern const struct command command_context_create;
extern const struct command command_context_list;
extern const struct command command_context_show;
extern const struct command command_context_delete;
extern const struct command command_context_restart;
extern const struct command command_context_interrupt;
extern const struct command command_context_files;
extern const struct command command_context_put;
extern const struct command command_context_get;
extern const struct command command_context_rm;
extern const struct command command_context_jupyter;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * run - one run of code at a server, as a person or a script watches it
 */
#ifndef KERNEL_CLI_RUN_H
#define KERNEL_CLI_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/cli/pictures.h"

struct client;
struct console;
struct error;

/* Plain data, borrowed until return. */
struct run_options {
    const char *context; /* name of the one to use or make; NULL: a fresh one */
    json_t *creation; /* content of the create_context_request */
    json_t *content; /* content of the run_code_request, without its context */
    bool delete_context; /* the fresh one, at the end */
    bool json; /* print the reply, and nothing else */
    bool save_all; /* HTML and JSON, too */
    bool allow_stdin;
    struct pictures *pictures;
};

/* Runs the code and shows what it does. Returns the exit status; what is wrong has been
 * told. Does not end the console. */
int run_code(struct client *client, struct console *console,
             const struct run_options *options);

/* The exit status that a reply means. */
int run_status(const json_t *reply);

/* The exit status of a program that ended by SystemExit with this text. */
int run_exit_status(const char *text);

#endif

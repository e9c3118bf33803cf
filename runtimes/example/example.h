/* SPDX-License-Identifier: MIT */
/*
 * example - a complete runner for a language with two dozen commands
 *
 * Read it to learn how a runner is written; the tests run on it because it starts at once
 * and does precisely what it is told, hostile things included. A program is a list of
 * lines, each "COMMAND ARGUMENTS"; commands.c has the table.
 */
#ifndef RUNTIMES_EXAMPLE_EXAMPLE_H
#define RUNTIMES_EXAMPLE_EXAMPLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/frame.h"
#include "runtimes/lib/runner.h"

#define EXAMPLE_VARIABLES_MAX 64

/* The interpreter: what persists between requests, and the request under way. */
struct example {
    struct runner *runner; /* owned */
    json_t *variables; /* owned: name -> text */
    uint64_t number; /* of the request that runs */
    uint32_t execution_count;
    bool silent;
    bool allow_stdin;
    json_t *failure; /* owned: {ename, evalue, traceback} of the run, or NULL */
    bool interrupted;
};

/* Sends CONTENT (taken) as a frame of TYPE that belongs to the running request. */
void example_send(struct example *example, enum frame_type type, json_t *content);
void example_stream(struct example *example, bool is_stderr, const char *text);

/* Ends the run with an error; the first one counts. */
void example_fail(struct example *example, const char *name, const char *text);

/* True once after a SIGINT. */
bool example_interrupted(struct example *example);

/* Runs one line. */
void example_command(struct example *example, const char *line);

#endif

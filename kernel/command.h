/* SPDX-License-Identifier: MIT */
/*
 * command - what "cellwall NAME" can be
 */
#ifndef KERNEL_COMMAND_H
#define KERNEL_COMMAND_H

#include <stdio.h>

#include "kernel/options.h"

enum {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_FAILED = 1,
    EXIT_STATUS_USAGE = 2,
    EXIT_STATUS_TIMED_OUT = 124,
    EXIT_STATUS_NOT_STARTED = 125,
    EXIT_STATUS_INTERRUPTED = 130,
    EXIT_STATUS_KILLED = 137, /* as a shell has it: 128 and SIGKILL */
    EXIT_STATUS_PIPE_CLOSED = 141 /* 128 and SIGPIPE */
};

/* A row of the table of commands: all that the program knows of one. */
struct command {
    const char *name;
    const char *summary; /* one line, for the list of commands; NULL: not in it */
    const char *synopsis; /* one line */
    const char *description; /* paragraphs, indented by six */
    const char *notes; /* further sections, headings included */
    const struct option_spec *options;
    size_t option_count;
    const struct command *const *parts; /* "NAME PART": a command that is several */
    size_t part_count;
    /* ARGV: NULL-terminated, without the command's name. Returns the exit status. */
    int (*run)(char *const *argv);
};

extern const struct command command_kernel;
extern const struct command command_serve;
extern const struct command command_install_kernelspec;
extern const struct command command_doctor;
extern const struct command command_keygen;
extern const struct command command_run;
extern const struct command command_context;
extern const struct command command_test;
extern const struct command command_diff;
extern const struct command command_inside; /* what doctor runs in a sandbox */

/* The whole help text of one command. */
void command_print_help(const struct command *command, FILE *out);

/* Runs the part of COMMAND that ARGV names first, or prints the help. */
int command_run_part(const struct command *command, char *const *argv);

struct error;

/* Reads ARGV as options_parse does. -1: go on; else the status to exit with: the help or
 * what is wrong has been printed. */
int command_parse(const struct command *command, void *target, char *const *argv,
                  size_t *unknown_count);

#endif

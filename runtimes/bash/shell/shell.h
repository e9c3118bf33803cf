/* SPDX-License-Identifier: MIT */
/*
 * shell - the part of the runner that lives inside bash
 *
 * It is preloaded, and is also the builtin that bash is started to run, which serves the
 * runner's orders for good. Written in C, it uses no variable, function, option or
 * descriptor below 10 that user code could change; cells run in the shell itself.
 */
#ifndef RUNTIMES_BASH_SHELL_SHELL_H
#define RUNTIMES_BASH_SHELL_SHELL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtimes/bash/order.h"

/* An order with its texts. Plain data. */
struct shell_order {
    struct order head;
    char *texts; /* owned; ends in a NUL */
    size_t length; /* of all texts */
    int fds[3]; /* owned: stdin, stdout, stderr; -1: taken */
};

/* The first text, and the one behind TEXT or NULL. */
char *shell_first_text(const struct shell_order *order);
char *shell_next_text(const struct shell_order *order, const char *text);

/* Puts the order's fds at 0, 1 and 2. */
void shell_take_fds(struct shell_order *order);

/* Runs the code of ORDER and fills REPORT. */
void shell_run(const struct shell_order *order, struct report *report);

/* True while user code runs whose exit must not end the shell; set by shell_run. */
extern volatile bool shell_is_running;

/* The status that exit was called with, inside of a cell, by bash itself; else -1. */
extern volatile int shell_exited;

/* True in a shell or subshell that has been told to end what runs, and has not yet. */
bool shell_is_interrupted(void);

/* Around a fork: lets an interrupt come that ends what runs. BEFORE is the mask to put
 * back. */
void shell_before_fork(sigset_t *before);

/* In each child of the shell and of its subshells, first of all: all of it, and what
 * concerns cells. */
void shell_begin_child(void);
void shell_on_fork(void);

/* In whoever is about to become another program. */
void shell_before_exec(void);

/* The handler of SIGINT while a cell runs. */
void shell_on_sigint(int signal);

extern int shell_control; /* the socket to the runner; -1: none, as in children */
extern pid_t shell_pid; /* 0: the loop has not begun */

/* True in the shell, false in its children, which may do as they like. */
bool shell_is_itself(void);

/* Safe in a handler of signals. */
void shell_report(const struct report *report);
void shell_die_of_interrupt(void);

/* Answers ORDER on fds 1 and 2, in a child of the shell; returns its exit status. */
int shell_answer(const struct shell_order *order);

/* Variables for one run. Returns the index of the text that cannot be set, or 0. What
 * was set so far is then put back. */
uint32_t shell_set_variables(const struct shell_order *order);
void shell_restore_variables(void);

#endif

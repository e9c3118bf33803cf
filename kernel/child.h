/* SPDX-License-Identifier: MIT */
/*
 * child - runs a helper program of the host to its end and keeps what it prints
 */
#ifndef KERNEL_CHILD_H
#define KERNEL_CHILD_H

#include "protocol/buffer.h"

enum { CHILD_E_FAILED = 1 }; /* not started, ended badly, too long, too much; see ERR */

struct error;

/* Runs ARGV (NULL-terminated; argv[0] is a path) with this process's environment and no
 * input. Appends its standard output to OUT and its standard error to ERRORS, up to their
 * limits. Blocks up to TIMEOUT_MS, or until a signal comes that ends programs, which it
 * leaves pending; then it and its process group are killed. */
int child_run(char *const *argv, int timeout_ms, struct buffer *out,
              struct buffer *errors, struct error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernel - a kernel that has been started and has told what it is
 */
#ifndef RUNTIMES_JUPYTER_KERNEL_H
#define RUNTIMES_JUPYTER_KERNEL_H

#include <stdint.h>

#include "protocol/buffer.h"

enum {
    KERNEL_E_ENDED = 1, /* before it answered; see its status */
    KERNEL_E_LATE /* it did not answer in time; see ERR */
};

struct error;
struct kernel_json;
struct link;
struct process;

/* Open, plain data, zeroed. */
struct kernel {
    struct process *process; /* owned */
    struct link *link; /* owned */
    struct buffer info; /* owned: the content of its kernel_info_reply */
    int status; /* KERNEL_E_ENDED: as waitpid's */
};

/* Starts SPEC's kernel (borrowed) and waits until it has answered and its output comes
 * through. What it publishes meanwhile goes to fds 1 and 2. On failure too kernel_fini is
 * due.
 */
int kernel_start(struct kernel *kernel, const struct kernel_json *spec,
                 const char *session, struct error *err);
void kernel_fini(struct kernel *kernel);

int64_t kernel_clock_ms(void); /* CLOCK_MONOTONIC */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * iopub - the queue in front of the broadcast socket
 *
 * Nothing is lost in silence: what subscribers have no room for waits here. When one of
 * them has not read for IOPUB_STALL_MS, it alone loses a message, and from then on what
 * it has no room for; that is counted. Before it is opened everything waits.
 */
#ifndef KERNEL_IOPUB_H
#define KERNEL_IOPUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define IOPUB_HIGH_MESSAGES 1024 /* from here on programs are slowed, ... */
#define IOPUB_HIGH_BYTES ((size_t)8 * 1024 * 1024)
#define IOPUB_FULL_MESSAGES 16384 /* ... and from here on no requests are read */
#define IOPUB_FULL_BYTES ((size_t)256 * 1024 * 1024)
#define IOPUB_RETRY_US 2000
#define IOPUB_STALL_US UINT64_C(10000000)

struct endpoint;
struct iopub; /* opaque */
struct loop;

/* The queue has passed its high-water mark, or fallen below half of it. 0 or < 0. */
typedef int iopub_pressure_fn(bool high, void *arg);

/* ENDPOINT and LOOP are borrowed and must outlive it. */
int iopub_create(struct iopub **ret, struct endpoint *endpoint, struct loop *loop,
                 iopub_pressure_fn *fn, void *arg);
void iopub_destroy(struct iopub *iopub); /* NULL is allowed */

/* Sends a message, or copies it to the end of the queue. 0 or < 0. */
int iopub_send(struct iopub *iopub, const struct slice *frames, size_t count);

/* Puts a message before those that wait. */
int iopub_send_first(struct iopub *iopub, const struct slice *frames, size_t count);

/* Begins to send. */
int iopub_open(struct iopub *iopub);
bool iopub_is_open(const struct iopub *iopub);

/* Sends what there is room for now. */
int iopub_flush(struct iopub *iopub);

size_t iopub_queued(const struct iopub *iopub);
bool iopub_is_full(const struct iopub *iopub);

/* Times that a subscriber has lost messages. */
uint64_t iopub_losses(const struct iopub *iopub);

#endif

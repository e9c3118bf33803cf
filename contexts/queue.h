/* SPDX-License-Identifier: MIT */
/*
 * queue - requests that wait for an interpreter, in order
 */
#ifndef CONTEXTS_QUEUE_H
#define CONTEXTS_QUEUE_H

#include "contexts/context.h"

/* One request with its own copy of everything. */
struct request {
    struct request *next; /* owned by whoever owns this one */
    uint64_t number;
    uint64_t expires_us; /* on the loop's clock; UINT64_MAX: never */
    uint64_t timeout_ms;
    bool kill_on_timeout;
    bool silent, store_history, stop_on_error;
    unsigned group;
    size_t bytes; /* that it counts for in the queue */
    struct frame frame; /* its parts point into DATA */
    uint8_t *data; /* owned */
    struct slice *buffers; /* owned */
};

/* CONTEXT_E_TOO_LARGE (see ERR), -ENOMEM. */
int request_create(struct request **ret, const struct context_request *wish,
                   uint64_t number, uint64_t now_us, struct error *err);
void request_destroy(struct request *request); /* that one alone; NULL is allowed */
bool request_is_execute(const struct request *request);

/* Open, plain data but for the requests, which it owns. */
struct queue {
    struct request *first, **last;
    size_t count, bytes;
};

void queue_init(struct queue *queue);
void queue_fini(struct queue *queue);

/* Takes REQUEST on success. 0 or CONTEXT_E_QUEUE_FULL. */
int queue_add(struct queue *queue, struct request *request);

/* The first one, the caller's from then on; NULL: none. */
struct request *queue_take(struct queue *queue);

/* As that, but the first one that is not GROUP's, if there is one: two groups take turns.
 */
struct request *queue_take_turn(struct queue *queue, unsigned group);

/* Execute requests of GROUP. */
size_t queue_count_runs(const struct queue *queue, unsigned group);

/* Moves the requests for which IS says true to the end of RET, in order. */
typedef bool queue_is_fn(const struct request *request, uint64_t value);
void queue_move(struct queue *queue, struct queue *ret, queue_is_fn *is, uint64_t value);

/* The earliest time at which one expires, UINT64_MAX: none does. */
uint64_t queue_next_expiry(const struct queue *queue);

#endif

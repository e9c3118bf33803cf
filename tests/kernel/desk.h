/* SPDX-License-Identifier: MIT */
/*
 * desk - an agent service without contexts, at a real door, for tests
 *
 * Clients are real sockets (doorway.h); who waits for what is as the test says.
 */
#ifndef TESTS_KERNEL_DESK_H
#define TESTS_KERNEL_DESK_H

#include "kernel/agent/agent.h"
#include "tests/kernel/doorway.h"

struct desk {
    struct doorway *doorway; /* owned */
    struct agent agent;
    struct agent_bounds bounds;
    unsigned retries; /* how often the retry timer has fired */
};

/* cmocka's setup and teardown: the door is open on ipc. Teardown frees all clients and
 * owners, and sees to it that no owner has anything. */
int desk_setup(void **state);
int desk_teardown(void **state);

/* A client that is known since it has said something: a use of it. */
struct client *desk_meet(struct desk *desk, void *socket);

/* How many clients are known. */
size_t desk_count_clients(const struct desk *desk);

/* One that never reads, under IDENTITY, and has no room for much. */
void *desk_deaf(struct desk *desk, const char *identity);

/* The message that SOCKET gets next is of TYPE and has CONTENT. */
void desk_hear(void *socket, const char *type, const char *content);

/* SOCKET's next message; its content is TEXT's, with a NUL. */
void desk_hear_any(void *socket, char type[64], struct buffer *content);

/* Calls FN in a turn of the loop, in which time stands still. */
void desk_in_turn(struct desk *desk, void (*fn)(struct desk *desk, void *arg), void *arg);

#endif

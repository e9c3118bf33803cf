/* SPDX-License-Identifier: MIT */
/*
 * doorway - a door at which clients come and go, for tests
 */
#ifndef TESTS_KERNEL_DOORWAY_H
#define TESTS_KERNEL_DOORWAY_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/agent/door.h"
#include "tests/kernel/keyring.h"

#define DOORWAY_ME "a client of 16 or more bytes"
#define DOORWAY_OTHER "another one of 16 or more bytes"
#define DOORWAY_CLIENTS 200

struct error;
struct keys;
struct loop;

struct doorway {
    char folder[64];
    char path[96]; /* of the ipc socket */
    char address[128]; /* ipc */
    struct keyring keyring;
    struct loop *loop;
    struct keys *keys;
    struct door *door;
    void *context; /* of the clients */
    void *sockets[DOORWAY_CLIENTS + 8]; /* owned: of the clients, too */
    size_t socket_count;
    struct door_message message;
};

/* cmocka's setup and teardown: a folder, and a server's keys of which ann's and bob's are
 * authorised. No door is open yet. */
int doorway_setup(void **state);
int doorway_teardown(void **state);

/* Opens one door at one address: door_create's result. */
int doorway_try(struct doorway *f, struct door **ret, const char *address, bool anyone,
                struct error *err);
/* Each opens F's door. */
void doorway_open(struct doorway *f, const char *const *addresses, size_t count);
void doorway_open_ipc(struct doorway *f);
void doorway_open_curve(struct doorway *f); /* on tcp, with keys */

/* A socket of a client, which goes away with F; of a DEALER, under IDENTITY unless it is
 * NULL. */
void *doorway_socket(struct doorway *f, int type);
void *doorway_client(struct doorway *f, const char *identity);
void doorway_use_key(void *socket, const struct key_pair *pair, const char *server);
void doorway_connect(struct doorway *f, void *socket, size_t address);
/* A client that connects; with the key of NAME. */
void *doorway_enter(struct doorway *f, const char *identity);
void *doorway_enter_with_key(struct doorway *f, const char *identity, const char *name);
void doorway_leave(struct doorway *f, void *socket); /* the one that was made last */

void doorway_say(void *socket, const char *text);
void doorway_hear(void *socket, const char *text); /* what was said to it */

/* The next message, waited for as a program does that has nothing else to do. */
int doorway_receive(struct doorway *f);
/* It comes from OWNER and says TEXT. */
void doorway_expect(struct doorway *f, const char *owner, const char *text);
/* To whoever sent the last message. */
int doorway_answer(struct doorway *f, const char *text);

/* The owner that this process is on ipc. */
const char *doorway_me(void);

#endif

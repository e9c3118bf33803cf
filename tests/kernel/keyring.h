/* SPDX-License-Identifier: MIT */
/*
 * keyring - key files of a server and its clients in a temporary folder, for tests
 */
#ifndef TESTS_KERNEL_KEYRING_H
#define TESTS_KERNEL_KEYRING_H

#include "kernel/keys.h"

#define KEYRING_PAIRS_MAX 8

struct key_pair {
    char name[KEYS_NAME_BYTES];
    char public_key[KEYS_TEXT_BYTES];
    char secret_key[KEYS_TEXT_BYTES];
};

struct keyring {
    char folder[64];
    char server[96], authorised[96]; /* paths */
    struct key_pair server_pair;
    struct key_pair
        pairs[KEYRING_PAIRS_MAX]; /* by name, made when they are named first */
};

/* Makes the folder and the server's file in it, and authorises nobody. */
void keyring_init(struct keyring *keyring);
void keyring_fini(struct keyring *keyring);

/* The pair of NAME. */
const struct key_pair *keyring_pair(struct keyring *keyring, const char *name);

/* Writes the file of authorised keys: NAMES, with spaces between them, and their keys. */
void keyring_authorise(struct keyring *keyring, const char *names);

/* Writes TEXT into PATH in place of what is there, with MODE. */
void keyring_write(const char *path, const char *text, unsigned mode);

#endif

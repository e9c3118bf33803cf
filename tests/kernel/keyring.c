/* SPDX-License-Identifier: MIT */
#include "tests/kernel/keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

void
keyring_write(const char *path, const char *text, unsigned mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, (mode_t)mode), 0);
}

void
keyring_init(struct keyring *keyring)
{
    char text[512];

    *keyring = (struct keyring){ .folder = "/tmp/cellwall-keys-XXXXXX" };
    assert_non_null(mkdtemp(keyring->folder));
    snprintf(keyring->server, sizeof keyring->server, "%s/server", keyring->folder);
    snprintf(keyring->authorised, sizeof keyring->authorised, "%s/authorised",
             keyring->folder);
    zmq_curve_keypair(keyring->server_pair.public_key, keyring->server_pair.secret_key);
    snprintf(text, sizeof text,
             "{\"public_key\": \"%s\", \"secret_key\": \"%s\", \"key\": \"" KEY "\"}",
             keyring->server_pair.public_key, keyring->server_pair.secret_key);
    keyring_write(keyring->server, text, 0600);
    keyring_write(keyring->authorised, "# nobody\n", 0600);
}

void
keyring_fini(struct keyring *keyring)
{
    unlink(keyring->server);
    unlink(keyring->authorised);
    assert_int_equal(rmdir(keyring->folder), 0);
}

const struct key_pair *
keyring_pair(struct keyring *keyring, const char *name)
{
    for (size_t i = 0; i < KEYRING_PAIRS_MAX; i++) {
        struct key_pair *pair = &keyring->pairs[i];

        if (pair->name[0] == '\0') {
            snprintf(pair->name, sizeof pair->name, "%s", name);
            zmq_curve_keypair(pair->public_key, pair->secret_key);
        }
        if (strcmp(pair->name, name) == 0)
            return pair;
    }
    fail_msg("too many pairs");
    return NULL;
}

void
keyring_authorise(struct keyring *keyring, const char *names)
{
    char text[KEYRING_PAIRS_MAX * 128] = "", copy[256], *rest = copy, *name;
    size_t used = 0;

    snprintf(copy, sizeof copy, "%s", names);
    while ((name = strsep(&rest, " ")) != NULL)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %s\n", name,
                                 keyring_pair(keyring, name)->public_key);
    keyring_write(keyring->authorised, text, 0600);
}

/* SPDX-License-Identifier: MIT */
/*
 * The state of HMAC after the key is made once and copied for each message: it saves two
 * of the four or so blocks of SHA-256 that a small message takes.
 */
#include "protocol/signature.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/text.h"

static_assert(SIGNATURE_BYTES == crypto_auth_hmacsha256_BYTES, "HMAC-SHA256");

struct signature_key {
    bool empty;
    crypto_auth_hmacsha256_state state; /* after the key, before any byte */
};

int
signature_key_create(struct signature_key **ret, struct slice key)
{
    struct signature_key *created;

    if (key.length > SIGNATURE_KEY_BYTES_MAX)
        return SIGNATURE_E_KEY;
    created = calloc(1, sizeof *created);
    if (created == NULL)
        return -ENOMEM;
    created->empty = key.length == 0;
    if (!created->empty)
        crypto_auth_hmacsha256_init(&created->state, key.data, key.length);
    *ret = created;
    return 0;
}

void
signature_key_destroy(struct signature_key *key)
{
    if (key == NULL)
        return;
    sodium_memzero(key, sizeof *key);
    free(key);
}

bool
signature_key_is_empty(const struct signature_key *key)
{
    return key->empty;
}

static void
digest_of(const struct signature_key *key, const struct slice parts[SIGNATURE_PARTS],
          uint8_t ret[SIGNATURE_BYTES])
{
    crypto_auth_hmacsha256_state state = key->state;

    for (size_t i = 0; i < SIGNATURE_PARTS; i++) {
        if (parts[i].length > 0)
            crypto_auth_hmacsha256_update(&state, parts[i].data, parts[i].length);
    }
    crypto_auth_hmacsha256_final(&state, ret);
    sodium_memzero(&state, sizeof state);
}

void
signature_compute(const struct signature_key *key,
                  const struct slice parts[SIGNATURE_PARTS],
                  char ret[SIGNATURE_HEX_BYTES + 1])
{
    uint8_t digest[SIGNATURE_BYTES];

    if (key->empty) {
        ret[0] = '\0';
        return;
    }
    digest_of(key, parts, digest);
    text_hex(ret, digest, sizeof digest);
}

int
signature_verify(const struct signature_key *key,
                 const struct slice parts[SIGNATURE_PARTS], struct slice received,
                 uint8_t ret_digest[SIGNATURE_BYTES])
{
    uint8_t digest[SIGNATURE_BYTES] = { 0 };
    char hex[SIGNATURE_HEX_BYTES + 1];

    if (!key->empty) {
        if (received.length == 0)
            return SIGNATURE_E_MISSING;
        if (received.length != SIGNATURE_HEX_BYTES)
            return SIGNATURE_E_WRONG;
        digest_of(key, parts, digest);
        text_hex(hex, digest, sizeof digest);
        if (sodium_memcmp(hex, received.data, SIGNATURE_HEX_BYTES) != 0)
            return SIGNATURE_E_WRONG;
    } else if (received.length != 0) {
        return SIGNATURE_E_WRONG;
    }
    if (ret_digest != NULL)
        memcpy(ret_digest, digest, sizeof digest);
    return 0;
}

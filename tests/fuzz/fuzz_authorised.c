/* SPDX-License-Identifier: MIT */
/* Files of authorised keys: what an administrator's editor may leave. */
#include <string.h>
#include <zmq.h>

#include "kernel/authorised.h"
#include "protocol/error.h"
#include "tests/fuzz/fuzz.h"

/* Whoever is in the table stands in the text, with the key that it is found by. */
static void
check_names(const struct authorised *authorised, const uint8_t *data, size_t size)
{
    for (size_t at = 0; at + KEYS_TEXT_BYTES - 1 <= size; at++) {
        unsigned char key[KEYS_BINARY_BYTES];
        char text[KEYS_TEXT_BYTES];
        const char *name;

        memcpy(text, data + at, sizeof text - 1);
        text[sizeof text - 1] = '\0';
        if (strlen(text) != sizeof text - 1 || zmq_z85_decode(key, text) == NULL)
            continue;
        name = authorised_name(authorised, key);
        if (name == NULL)
            continue;
        CHECK(authorised_is_name(name));
        CHECK(authorised_has_name(authorised, name));
        CHECK(memmem(data, size, name, strlen(name)) != NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct authorised *authorised = NULL;
    struct error err = { 0 };
    int r = authorised_create(&authorised, (struct slice){ data, size }, &err);

    CHECK(r >= 0 && err.code == r);
    CHECK((r == 0) == (authorised != NULL));
    if (r != 0)
        return 0;
    CHECK(authorised_count(authorised) <= AUTHORISED_KEYS_MAX);
    CHECK(!authorised_has_name(authorised, ""));
    check_names(authorised, data, size);
    authorised_destroy(authorised);
    return 0;
}

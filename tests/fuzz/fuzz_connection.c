/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "protocol/connection.h"
#include "protocol/error.h"
#include "tests/fuzz/fuzz.h"

static void
check_endpoints(const struct connection *c)
{
    char endpoint[CONNECTION_ENDPOINT_BYTES];

    for (unsigned port = 0; port < CONNECTION_PORTS; port++) {
        int r = connection_endpoint(c, (enum connection_port)port, endpoint, NULL);

        CHECK(r == 0 || r == CONNECTION_E_INVALID);
        if (r == 0)
            CHECK(strncmp(endpoint, c->ipc ? "ipc://" : "tcp://", 6) == 0);
    }
}

/* A file that was written must read as the one that it came from. */
static void
check_written(const struct connection *c)
{
    struct connection again;
    struct buffer out;

    buffer_init(&out, 1 << 24);
    CHECK(connection_append(c, &out) == 0);
    if (out.length <= CONNECTION_BYTES_MAX) {
        CHECK(connection_init(&again, buffer_slice(&out), NULL) == 0);
        CHECK(again.ipc == c->ipc && again.curve == c->curve);
        CHECK(strcmp(again.ip, c->ip) == 0);
        CHECK(memcmp(again.ports, c->ports, sizeof c->ports) == 0);
        CHECK(again.key.length == c->key.length);
        CHECK(c->key.length == 0 ||
              memcmp(again.key.data, c->key.data, c->key.length) == 0);
        connection_fini(&again);
    }
    buffer_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct connection c;
    struct error err = { 0 };
    int r = connection_init(&c, (struct slice){ data, size }, &err);

    CHECK(r >= 0 && err.code == r);
    if (r != 0)
        return 0;
    check_endpoints(&c);
    CHECK(connection_set_port(&c, CONNECTION_HB, 1) == 0);
    /* Another port may have had this number. */
    for (unsigned port = 0; port < CONNECTION_HB; port++) {
        if (c.ports[port] == 1)
            CHECK(connection_set_port(&c, (enum connection_port)port, 0) == 0);
    }
    check_written(&c);
    connection_fini(&c);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "tests/kernel/doorway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "kernel/keys.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

int
doorway_setup(void **state)
{
    struct doorway *f = calloc(1, sizeof *f);

    snprintf(f->folder, sizeof f->folder, "/tmp/cellwall-door-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/agent.sock", f->folder);
    snprintf(f->address, sizeof f->address, "ipc://%s", f->path);
    keyring_init(&f->keyring);
    keyring_authorise(&f->keyring, "ann bob");
    assert_int_equal(loop_create(&f->loop), 0);
    f->context = zmq_ctx_new();
    zmq_ctx_set(f->context, ZMQ_MAX_SOCKETS, 4 * DOORWAY_CLIENTS);
    *state = f;
    return 0;
}

int
doorway_teardown(void **state)
{
    struct doorway *f = *state;

    while (f->socket_count > 0)
        zmq_close(f->sockets[--f->socket_count]);
    zmq_ctx_term(f->context);
    door_destroy(f->door);
    keys_destroy(f->keys);
    loop_destroy(f->loop);
    keyring_fini(&f->keyring);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

int
doorway_try(struct doorway *f, struct door **ret, const char *address, bool anyone,
            struct error *err)
{
    const struct door_options wanted = {
        .addresses = &address,
        .address_count = 1,
        .keys = f->keys,
        .anyone_may_run_code = anyone,
    };

    return door_create(ret, f->loop, &wanted, err);
}

void
doorway_open(struct doorway *f, const char *const *addresses, size_t count)
{
    const struct door_options wanted = { .addresses = addresses,
                                         .address_count = count,
                                         .keys = f->keys };
    struct error err = { 0 };

    if (door_create(&f->door, f->loop, &wanted, &err) != 0)
        fail_msg("%s", err.text);
}

void
doorway_open_ipc(struct doorway *f)
{
    const char *address = f->address;

    doorway_open(f, &address, 1);
}

void
doorway_open_curve(struct doorway *f)
{
    const char *address = "tcp://127.0.0.1:*";
    struct error err = { 0 };

    if (keys_create(&f->keys, f->keyring.server, f->keyring.authorised, &err) != 0)
        fail_msg("%s", err.text);
    doorway_open(f, &address, 1);
}

void *
doorway_socket(struct doorway *f, int type)
{
    void *socket = zmq_socket(f->context, type);

    assert_non_null(socket);
    assert_true(f->socket_count < N_ELEMENTS(f->sockets));
    f->sockets[f->socket_count++] = socket;
    return socket;
}

void
doorway_leave(struct doorway *f, void *socket)
{
    assert_ptr_equal(f->sockets[f->socket_count - 1], socket);
    zmq_close(f->sockets[--f->socket_count]);
}

void *
doorway_client(struct doorway *f, const char *identity)
{
    void *socket = doorway_socket(f, ZMQ_DEALER);
    int linger = 0, unbounded = 0;

    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unbounded, sizeof unbounded);
    if (identity != NULL)
        zmq_setsockopt(socket, ZMQ_ROUTING_ID, identity, strlen(identity));
    return socket;
}

void
doorway_use_key(void *socket, const struct key_pair *pair, const char *server)
{
    assert_int_equal(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, KEYS_TEXT_BYTES),
                     0);
    assert_int_equal(
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, pair->public_key, KEYS_TEXT_BYTES),
        0);
    assert_int_equal(
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, pair->secret_key, KEYS_TEXT_BYTES),
        0);
}

void
doorway_connect(struct doorway *f, void *socket, size_t address)
{
    assert_int_equal(zmq_connect(socket, door_address(f->door, address)), 0);
}

void *
doorway_enter(struct doorway *f, const char *identity)
{
    void *socket = doorway_client(f, identity);

    doorway_connect(f, socket, 0);
    return socket;
}

void
doorway_say(void *socket, const char *text)
{
    assert_int_equal(zmq_send(socket, text, strlen(text), 0), strlen(text));
}

int
doorway_receive(struct doorway *f)
{
    int r;

    do {
        while (door_is_quiet(f->door))
            assert_int_equal(loop_wait(f->loop, -1), 0);
        r = door_receive(f->door, &f->message);
    } while (r == DOOR_E_AGAIN);
    return r;
}

void
doorway_expect(struct doorway *f, const char *owner, const char *text)
{
    assert_int_equal(doorway_receive(f), 0);
    assert_int_equal(f->message.count, 2);
    assert_string_equal(f->message.owner, owner);
    assert_true(slice_equals_text(f->message.frames[1], text));
}

int
doorway_answer(struct doorway *f, const char *text)
{
    const struct slice frames[] = { f->message.frames[0], slice_text(text) };

    return door_send(f->door, f->message.socket, frames, 2);
}

void
doorway_hear(void *socket, const char *text)
{
    char heard[64];
    int n = zmq_recv(socket, heard, sizeof heard, 0);

    assert_int_equal(n, strlen(text));
    assert_memory_equal(heard, text, strlen(text));
}

const char *
doorway_me(void)
{
    static char owner[32];

    snprintf(owner, sizeof owner, "uid:%u", (unsigned)geteuid());
    return owner;
}

void *
doorway_enter_with_key(struct doorway *f, const char *identity, const char *name)
{
    void *socket = doorway_client(f, identity);

    doorway_use_key(socket, keyring_pair(&f->keyring, name),
                    f->keyring.server_pair.public_key);
    doorway_connect(f, socket, 0);
    return socket;
}

/* SPDX-License-Identifier: MIT */
#include "tests/kernel/desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <zmq.h>

#include "contexts/loop.h"
#include "kernel/session.h"
#include "protocol/cleanup.h"
#include "protocol/json.h"
#include "protocol/signature.h"
#include "protocol/wire.h"

#define CONTENT_BYTES_MAX ((size_t)1 << 26)

static int
on_retry(void *arg)
{
    struct desk *desk = arg;

    desk->agent.retry_armed = false;
    desk->retries++;
    return 0;
}

int
desk_setup(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);
    struct agent *agent = &desk->agent;
    void *doorway = NULL;

    assert_int_equal(doorway_setup(&doorway), 0);
    desk->doorway = doorway;
    doorway_open_ipc(desk->doorway);
    bounds_init(&desk->bounds);
    agent->bounds = &desk->bounds;
    agent->loop = desk->doorway->loop;
    agent->door = desk->doorway->door;
    assert_int_equal(signature_key_create(&agent->key, slice_text("")), 0);
    assert_int_equal(session_create(&agent->session, agent->key), 0);
    assert_int_equal(loop_add_timer(&agent->retry, agent->loop, on_retry, desk), 0);
    *state = desk;
    return 0;
}

int
desk_teardown(void **state)
{
    struct desk *desk = *state;
    void *doorway = desk->doorway;

    clients_free(&desk->agent);
    assert_int_equal(desk->agent.letters, 0);
    while (desk->agent.owners != NULL) {
        struct owner *owner = desk->agent.owners;

        assert_null(owner->runs);
        assert_null(owner->contexts);
        desk->agent.owners = owner->next;
        free(owner);
    }
    loop_timer_destroy(desk->agent.retry);
    session_destroy(desk->agent.session);
    signature_key_destroy(desk->agent.key);
    free(desk);
    return doorway_teardown(&doorway);
}

struct client *
desk_meet(struct desk *desk, void *socket)
{
    struct client *client = NULL;

    doorway_say(socket, "hello");
    doorway_expect(desk->doorway, doorway_me(), "hello");
    assert_int_equal(client_get(&client, &desk->agent, &desk->doorway->message), 0);
    return client;
}

size_t
desk_count_clients(const struct desk *desk)
{
    size_t count = 0;

    for (size_t i = 0; i < AGENT_CLIENT_BUCKETS; i++) {
        for (const struct client *client = desk->agent.clients[i]; client != NULL;
             client = client->next)
            count++;
    }
    return count;
}

void *
desk_deaf(struct desk *desk, const char *identity)
{
    void *socket = doorway_client(desk->doorway, identity);
    int one = 1;

    zmq_setsockopt(socket, ZMQ_RCVHWM, &one, sizeof one);
    doorway_connect(desk->doorway, socket, 0);
    return socket;
}

void
desk_hear_any(void *socket, char type[64], struct buffer *content)
{
    for (int part = 0, more = 1; more; part++) {
        size_t size = sizeof more;
        zmq_msg_t message;
        struct slice bytes, name;

        zmq_msg_init(&message);
        assert_true(zmq_msg_recv(&message, socket, 0) >= 0);
        bytes = (struct slice){ zmq_msg_data(&message), zmq_msg_size(&message) };
        if (part == 0)
            assert_true(slice_equals_text(bytes, WIRE_DELIMITER));
        if (part == 2) { /* the header */
            assert_int_equal(json_member(bytes, "msg_type", &name), 0);
            snprintf(type, 64, "%.*s", (int)name.length - 2, (const char *)name.data + 1);
        }
        if (part == 5) {
            buffer_clear(content, content->capacity);
            assert_int_equal(buffer_append(content, bytes.data, bytes.length), 0);
            assert_int_equal(buffer_append(content, "", 1), 0);
        }
        assert_int_equal(zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size), 0);
        zmq_msg_close(&message);
        assert_true(more || part >= 5);
    }
}

void
desk_hear(void *socket, const char *type, const char *content)
{
    CLEANUP(buffer_fini) struct buffer heard;
    char name[64] = "";

    buffer_init(&heard, CONTENT_BYTES_MAX);
    desk_hear_any(socket, name, &heard);
    assert_string_equal(name, type);
    assert_string_equal((const char *)heard.data, content);
}

struct turn {
    struct desk *desk;
    void (*fn)(struct desk *desk, void *arg);
    void *arg;
    bool done;
};

static int
on_turn(void *arg)
{
    struct turn *turn = arg;

    turn->fn(turn->desk, turn->arg);
    turn->done = true;
    return 0;
}

void
desk_in_turn(struct desk *desk, void (*fn)(struct desk *desk, void *arg), void *arg)
{
    struct turn turn = { .desk = desk, .fn = fn, .arg = arg };
    struct loop_timer *timer = NULL;

    assert_int_equal(loop_add_timer(&timer, desk->agent.loop, on_turn, &turn), 0);
    loop_timer_arm(timer, 0);
    while (!turn.done)
        assert_int_equal(loop_wait(desk->agent.loop, -1), 0);
    loop_timer_destroy(timer);
}

/* SPDX-License-Identifier: MIT */
#include "kernel/iopub.h"

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
#include "kernel/endpoint.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define FILE_TEXT                                                                        \
    "{\"transport\": \"tcp\", \"ip\": \"127.0.0.1\", \"shell_port\": 0,"                 \
    " \"iopub_port\": 0, \"stdin_port\": 0, \"control_port\": 0, \"hb_port\": 0,"        \
    " \"signature_scheme\": \"hmac-sha256\", \"key\": \"\"}"

struct fixture {
    struct connection connection;
    struct endpoint *endpoint;
    struct loop *loop;
    struct iopub *iopub;
    void *context, *subscriber;
    int rises, falls; /* of pressure */
};

static int
on_pressure(bool high, void *arg)
{
    struct fixture *f = arg;

    if (high)
        f->rises++;
    else
        f->falls++;
    return 0;
}

/* A subscriber that is known to the endpoint. */
static void
subscribe(struct fixture *f)
{
    char address[CONNECTION_ENDPOINT_BYTES];
    const struct slice *frames;
    size_t count;
    int hwm = 16, r;

    f->context = zmq_ctx_new();
    f->subscriber = zmq_socket(f->context, ZMQ_SUB);
    zmq_setsockopt(f->subscriber, ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt(f->subscriber, ZMQ_SUBSCRIBE, "", 0);
    connection_endpoint(&f->connection, CONNECTION_IOPUB, address, NULL);
    assert_int_equal(zmq_connect(f->subscriber, address), 0);
    while ((r = endpoint_receive(f->endpoint, CONNECTION_IOPUB, &frames, &count)) ==
           ENDPOINT_E_AGAIN)
        assert_int_equal(loop_wait(f->loop, -1), 0);
    assert_int_equal(r, 0);
    assert_int_equal(endpoint_subscribe(f->endpoint, slice_text(""), true), 0);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };

    assert_int_equal(connection_init(&f->connection, slice_text(FILE_TEXT), &err), 0);
    if (endpoint_create(&f->endpoint, &f->connection, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(endpoint_watch(f->endpoint, f->loop), 0);
    assert_int_equal(iopub_create(&f->iopub, f->endpoint, f->loop, on_pressure, f), 0);
    subscribe(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    zmq_close(f->subscriber);
    zmq_ctx_term(f->context);
    iopub_destroy(f->iopub);
    endpoint_destroy(f->endpoint);
    connection_fini(&f->connection);
    loop_destroy(f->loop);
    free(f);
    return 0;
}

static void
send_number(struct fixture *f, unsigned number, size_t bytes)
{
    CLEANUP(freep) char *text = calloc(1, bytes);
    struct slice frames[] = { slice_text("topic"), { (const uint8_t *)text, bytes } };

    memcpy(text, &number, sizeof number);
    assert_int_equal(iopub_send(f->iopub, frames, 2), 0);
}

/* Reads one message, while the queue goes on being sent. */
static unsigned
receive_number(struct fixture *f)
{
    zmq_pollitem_t items[] = { { .socket = f->subscriber, .events = ZMQ_POLLIN } };
    unsigned number;
    char topic[8];

    while (zmq_poll(items, 1, loop_timeout_ms(f->loop)) == 0)
        assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(zmq_recv(f->subscriber, topic, sizeof topic, 0), 5);
    assert_true(zmq_recv(f->subscriber, &number, sizeof number, 0) >= 4);
    return number;
}

static void
test_nothing_is_sent_before_it_is_opened(void **state)
{
    struct fixture *f = *state;

    send_number(f, 2, 4);
    send_number(f, 3, 4);
    assert_int_equal(iopub_queued(f->iopub), 2);
    assert_false(iopub_is_open(f->iopub));
    {
        unsigned first = 1;
        const struct slice frames[] = { slice_text("topic"),
                                        { (const uint8_t *)&first, sizeof first } };

        assert_int_equal(iopub_send_first(f->iopub, frames, 2), 0);
    }
    assert_int_equal(iopub_open(f->iopub), 0);
    assert_int_equal(iopub_queued(f->iopub), 0);
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(receive_number(f), i);
}

static void
test_a_slow_subscriber_gets_everything_in_order(void **state)
{
    struct fixture *f = *state;
    const unsigned count = 3000;

    assert_int_equal(iopub_open(f->iopub), 0);
    for (unsigned i = 0; i < count; i++)
        send_number(f, i, 16384); /* 48 MB: more than all buffers on the way hold */
    assert_true(iopub_queued(f->iopub) > 0);
    assert_int_equal(f->rises, 1);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(receive_number(f), i);
    assert_int_equal(iopub_queued(f->iopub), 0);
    assert_int_equal(f->falls, 1);
    assert_int_equal(iopub_losses(f->iopub), 0);
}

static void
test_it_is_full_at_its_bound(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < IOPUB_FULL_MESSAGES; i++) {
        assert_false(iopub_is_full(f->iopub));
        send_number(f, i, 4);
    }
    assert_true(iopub_is_full(f->iopub));
    assert_int_equal(f->rises, 1);
}

static void
test_a_subscriber_without_room_can_be_left_out(void **state)
{
    struct fixture *f = *state;
    CLEANUP(freep) char *text = calloc(1, 1 << 16);
    const struct slice frames[] = { { (const uint8_t *)text, 1 << 16 } };
    int r = 0;

    while (r == 0)
        r = endpoint_send(f->endpoint, CONNECTION_IOPUB, frames, 1);
    assert_int_equal(r, ENDPOINT_E_AGAIN);
    assert_int_equal(endpoint_send_lossy(f->endpoint, frames, 1), 0);
    /* It is out of the way: others would get this. */
    assert_int_equal(endpoint_send(f->endpoint, CONNECTION_IOPUB, frames, 1), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_sent_before_it_is_opened),
        TEST(test_a_slow_subscriber_gets_everything_in_order),
        TEST(test_it_is_full_at_its_bound),
        TEST(test_a_subscriber_without_room_can_be_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

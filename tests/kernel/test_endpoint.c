/* SPDX-License-Identifier: MIT */
#include "kernel/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <unistd.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/wire.h"

#define FILE_TEXT                                                                        \
    "{\"transport\": \"tcp\", \"ip\": \"127.0.0.1\", \"shell_port\": 0,"                 \
    " \"iopub_port\": 0, \"stdin_port\": 0, \"control_port\": 0, \"hb_port\": 0,"        \
    " \"signature_scheme\": \"hmac-sha256\", \"key\": \"\"}"

struct fixture {
    struct connection connection;
    struct loop *loop;
    struct endpoint *endpoint;
    void *context; /* of the clients */
    void *client;
};

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
    f->context = zmq_ctx_new();
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    if (f->client != NULL)
        zmq_close(f->client);
    zmq_ctx_term(f->context);
    endpoint_destroy(f->endpoint);
    loop_destroy(f->loop);
    connection_fini(&f->connection);
    free(f);
    return 0;
}

static void *
client_socket(struct fixture *f, int type, const char *identity,
              enum connection_port channel)
{
    char address[CONNECTION_ENDPOINT_BYTES];
    int linger = 0, never = -1;
    void *socket = zmq_socket(f->context, type);

    assert_non_null(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &never, sizeof never);
    if (identity != NULL)
        zmq_setsockopt(socket, ZMQ_IDENTITY, identity, strlen(identity));
    assert_int_equal(connection_endpoint(&f->connection, channel, address, NULL), 0);
    assert_int_equal(zmq_connect(socket, address), 0);
    return socket;
}

/* The next message, waited for as a program does that has nothing else to do. */
static int
receive(struct fixture *f, enum connection_port channel, const struct slice **ret,
        size_t *ret_count)
{
    int r;

    do {
        while (endpoint_is_quiet(f->endpoint, channel))
            assert_int_equal(loop_wait(f->loop, -1), 0);
        r = endpoint_receive(f->endpoint, channel, ret, ret_count);
    } while (r == ENDPOINT_E_AGAIN);
    return r;
}

static void
test_free_ports_are_told(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < CONNECTION_PORTS; i++)
        assert_int_not_equal(f->connection.ports[i], 0);
}

static void
test_a_port_in_use_is_told(void **state)
{
    struct fixture *f = *state;
    struct endpoint *second = NULL;
    struct error err = { 0 };

    assert_int_equal(endpoint_create(&second, &f->connection, &err), ENDPOINT_E_BIND);
    assert_null(second);
    assert_non_null(strstr(err.text, "shell"));
    assert_non_null(strstr(err.text, "in use"));
}

static void
test_a_request_comes_with_its_identity_and_the_answer_goes_there(void **state)
{
    struct fixture *f = *state;
    const struct slice *frames;
    struct slice answer[2];
    char text[16];
    size_t count;

    f->client = client_socket(f, ZMQ_DEALER, "me", CONNECTION_SHELL);
    assert_int_equal(zmq_send(f->client, "hello", 5, 0), 5);
    assert_int_equal(receive(f, CONNECTION_SHELL, &frames, &count), 0);
    assert_int_equal(count, 2);
    assert_true(slice_equals_text(frames[0], "me"));
    assert_true(slice_equals_text(frames[1], "hello"));
    answer[0] = frames[0];
    answer[1] = slice_text("world");
    assert_int_equal(endpoint_send(f->endpoint, CONNECTION_SHELL, answer, 2), 0);
    assert_int_equal(zmq_recv(f->client, text, sizeof text, 0), 5);
    assert_memory_equal(text, "world", 5);
    assert_int_equal(endpoint_receive(f->endpoint, CONNECTION_SHELL, &frames, &count),
                     ENDPOINT_E_AGAIN);
}

static void
test_a_client_that_is_gone_is_told(void **state)
{
    struct fixture *f = *state;
    const struct slice frames[] = { slice_text("nobody"), slice_text("x") };

    assert_int_equal(endpoint_send(f->endpoint, CONNECTION_SHELL, frames, 2),
                     ENDPOINT_E_GONE);
}

static void
test_a_client_that_comes_back_gets_its_replies(void **state)
{
    struct fixture *f = *state;
    void *old = client_socket(f, ZMQ_DEALER, "me", CONNECTION_SHELL);
    const struct slice answer[] = { slice_text("me"), slice_text("world") };
    const struct slice *frames;
    char text[16];
    size_t count;

    assert_int_equal(zmq_send(old, "1", 1, 0), 1);
    assert_int_equal(receive(f, CONNECTION_SHELL, &frames, &count), 0);
    f->client = client_socket(f, ZMQ_DEALER, "me", CONNECTION_SHELL);
    assert_int_equal(zmq_send(f->client, "2", 1, 0), 1);
    assert_int_equal(receive(f, CONNECTION_SHELL, &frames, &count), 0);
    assert_int_equal(endpoint_send(f->endpoint, CONNECTION_SHELL, answer, 2), 0);
    assert_int_equal(zmq_recv(f->client, text, sizeof text, 0), 5);
    zmq_close(old);
}

static void
test_a_message_of_too_many_frames_is_dropped_whole(void **state)
{
    struct fixture *f = *state;
    const struct slice *frames;
    size_t count;

    f->client = client_socket(f, ZMQ_DEALER, "me", CONNECTION_SHELL);
    for (int i = 0; i < WIRE_FRAMES_MAX + 5; i++)
        zmq_send(f->client, "x", 1, ZMQ_SNDMORE);
    zmq_send(f->client, "x", 1, 0);
    zmq_send(f->client, "next", 4, 0);
    assert_int_equal(receive(f, CONNECTION_SHELL, &frames, &count), ENDPOINT_E_TOO_LARGE);
    assert_int_equal(receive(f, CONNECTION_SHELL, &frames, &count), 0);
    assert_int_equal(count, 2);
    assert_true(slice_equals_text(frames[1], "next"));
}

static void
test_every_subscriber_shows(void **state)
{
    struct fixture *f = *state;
    void *subscribers[3];
    const struct slice *frames;
    size_t count;

    for (int i = 0; i < 3; i++) {
        subscribers[i] = client_socket(f, ZMQ_SUB, NULL, CONNECTION_IOPUB);
        zmq_setsockopt(subscribers[i], ZMQ_SUBSCRIBE, "", 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(receive(f, CONNECTION_IOPUB, &frames, &count), 0);
        assert_int_equal(count, 1);
        assert_int_equal(frames[0].length, 1);
        assert_int_equal(frames[0].data[0], 1);
    }
    for (int i = 0; i < 3; i++)
        zmq_close(subscribers[i]);
}

static void
test_a_subscriber_gets_nothing_before_it_is_let_in(void **state)
{
    struct fixture *f = *state;
    const struct slice early[] = { slice_text("early") };
    const struct slice late[] = { slice_text("late") };
    const struct slice *frames;
    char text[16];
    size_t count;

    f->client = client_socket(f, ZMQ_SUB, NULL, CONNECTION_IOPUB);
    zmq_setsockopt(f->client, ZMQ_SUBSCRIBE, "", 0);
    assert_int_equal(endpoint_send(f->endpoint, CONNECTION_IOPUB, early, 1), 0);
    assert_int_equal(receive(f, CONNECTION_IOPUB, &frames, &count), 0);
    assert_int_equal(endpoint_send(f->endpoint, CONNECTION_IOPUB, early, 1), 0);
    assert_int_equal(endpoint_subscribe(f->endpoint, slice_text(""), true), 0);
    assert_int_equal(endpoint_send(f->endpoint, CONNECTION_IOPUB, late, 1), 0);
    assert_int_equal(zmq_recv(f->client, text, sizeof text, 0), 4);
    assert_memory_equal(text, "late", 4);
}

/* The first send on a socket looks into its mailbox: it takes in what has come, and with
 * it the edge that the loop has not fetched yet. */
static void
test_no_request_is_forgotten_that_sending_takes_in(void **state)
{
    struct fixture *f = *state;
    struct pollfd edge = { .fd = loop_fd(f->loop), .events = POLLIN };
    const struct slice answer[] = { slice_text("me"), slice_text("world") };
    const struct slice *frames;
    size_t count;

    f->client = client_socket(f, ZMQ_DEALER, "me", CONNECTION_SHELL);
    assert_int_equal(zmq_send(f->client, "1", 1, 0), 1);
    assert_int_equal(receive(f, CONNECTION_SHELL, &frames, &count), 0);
    for (int i = 0; i < CONNECTION_PORTS; i++)
        assert_int_equal(
            endpoint_receive(f->endpoint, (enum connection_port)i, &frames, &count),
            ENDPOINT_E_AGAIN);
    assert_int_equal(loop_wait(f->loop, 0), 0);
    assert_int_equal(poll(&edge, 1, 0), 0);
    assert_int_equal(zmq_send(f->client, "2", 1, 0), 1);
    assert_int_equal(poll(&edge, 1, 60000), 1);
    assert_int_equal(endpoint_send(f->endpoint, CONNECTION_SHELL, answer, 2), 0);
    assert_int_equal(receive(f, CONNECTION_SHELL, &frames, &count), 0);
    assert_true(slice_equals_text(frames[1], "2"));
}

static void
test_a_channel_is_quiet_until_something_comes_or_is_sent(void **state)
{
    struct fixture *f = *state;
    const struct slice *frames;
    struct slice answer;
    size_t count;

    assert_false(endpoint_is_quiet(f->endpoint, CONNECTION_HB)); /* not looked at yet */
    assert_int_equal(endpoint_receive(f->endpoint, CONNECTION_HB, &frames, &count),
                     ENDPOINT_E_AGAIN);
    assert_true(endpoint_is_quiet(f->endpoint, CONNECTION_HB));
    f->client = client_socket(f, ZMQ_DEALER, "me", CONNECTION_HB);
    assert_int_equal(zmq_send(f->client, "ping", 4, 0), 4);
    assert_int_equal(receive(f, CONNECTION_HB, &frames, &count), 0);
    assert_int_equal(endpoint_receive(f->endpoint, CONNECTION_HB, &frames, &count),
                     ENDPOINT_E_AGAIN);
    answer = slice_text("me");
    assert_int_equal(endpoint_send(f->endpoint, CONNECTION_HB, &answer, 1), 0);
    assert_false(endpoint_is_quiet(f->endpoint, CONNECTION_HB));
}

static void
test_a_wrong_address_is_told(void **state)
{
    struct connection connection;
    struct endpoint *endpoint = NULL;
    struct error err = { 0 };

    (void)state;
    assert_int_equal(
        connection_init(&connection,
                        slice_text("{\"transport\": \"tcp\", \"ip\": \"192.0.2.1\","
                                   " \"shell_port\": 1, \"iopub_port\": 2,"
                                   " \"stdin_port\": 3, \"control_port\": 4,"
                                   " \"hb_port\": 5, \"key\": \"\","
                                   " \"signature_scheme\": \"hmac-sha256\"}"),
                        &err),
        0);
    assert_int_equal(endpoint_create(&endpoint, &connection, &err), ENDPOINT_E_BIND);
    assert_non_null(strstr(err.text, "tcp://192.0.2.1:1"));
    connection_fini(&connection);
}

static void
test_ipc_sockets_are_files_and_go_away(void **state)
{
    char folder[] = "/tmp/cellwall-ipc-XXXXXX", text[512], path[128];
    struct connection connection;
    struct endpoint *endpoint = NULL;
    struct error err = { 0 };

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(text, sizeof text,
             "{\"transport\": \"ipc\", \"ip\": \"%s/k\", \"shell_port\": 0,"
             " \"iopub_port\": 0, \"stdin_port\": 0, \"control_port\": 0, \"hb_port\": 0,"
             " \"signature_scheme\": \"hmac-sha256\", \"key\": \"\"}",
             folder);
    assert_int_equal(connection_init(&connection, slice_text(text), &err), 0);
    if (endpoint_create(&endpoint, &connection, &err) != 0)
        fail_msg("%s", err.text);
    snprintf(path, sizeof path, "%s/k-%d", folder, connection.ports[CONNECTION_SHELL]);
    assert_int_equal(access(path, F_OK), 0);
    endpoint_destroy(endpoint);
    connection_fini(&connection);
    assert_int_equal(rmdir(folder), 0); /* it is empty again */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_free_ports_are_told),
        TEST(test_a_port_in_use_is_told),
        TEST(test_a_request_comes_with_its_identity_and_the_answer_goes_there),
        TEST(test_a_client_that_is_gone_is_told),
        TEST(test_a_client_that_comes_back_gets_its_replies),
        TEST(test_a_message_of_too_many_frames_is_dropped_whole),
        TEST(test_every_subscriber_shows),
        TEST(test_a_subscriber_gets_nothing_before_it_is_let_in),
        TEST(test_no_request_is_forgotten_that_sending_takes_in),
        TEST(test_a_channel_is_quiet_until_something_comes_or_is_sent),
        cmocka_unit_test(test_a_wrong_address_is_told),
        cmocka_unit_test(test_ipc_sockets_are_files_and_go_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

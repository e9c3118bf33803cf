/* SPDX-License-Identifier: MIT */
/*
 * echo - a kernel that runs nothing: the floor of every client
 *
 *     bench-echo CONNECTION_FILE
 *
 * Answers each execute request at once, with all the messages that 1+1 has from any
 * kernel. What a client measures with it is its own work, ZeroMQ's and the signatures'.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <sodium.h>
#include <zmq.h>

#include "protocol/cleanup.h"
#include "protocol/connection.h"
#include "protocol/error.h"
#include "protocol/message.h"
#include "protocol/replay.h"
#include "tests/bench/measure.h"

#define PARTS_MAX 32

struct echo {
    struct connection connection;
    struct signature_key *key; /* owned */
    struct replay *replay; /* owned */
    void *context; /* owned, ZeroMQ's */
    void *sockets[CONNECTION_PORTS]; /* owned */
    uint64_t sent;
    uint32_t executed;
    bool ended;
};

static void
load(struct echo *echo, const char *file)
{
    char text[CONNECTION_BYTES_MAX];
    struct slice bytes = { .data = (const uint8_t *)text };
    struct error err = { 0 };
    FILE *in = fopen(file, "re");

    if (in == NULL)
        measure_die("%s: %s", file, strerror(errno));
    bytes.length = fread(text, 1, sizeof text, in);
    fclose(in);
    if (connection_init(&echo->connection, bytes, &err) != 0 ||
        signature_key_create(&echo->key, echo->connection.key) != 0 ||
        replay_create(&echo->replay, REPLAY_CAPACITY) != 0)
        measure_die("%s: %s", file, err.text);
}

static void
bind_all(struct echo *echo)
{
    static const int types[CONNECTION_PORTS] = { [CONNECTION_SHELL] = ZMQ_ROUTER,
                                                 [CONNECTION_IOPUB] = ZMQ_PUB,
                                                 [CONNECTION_STDIN] = ZMQ_ROUTER,
                                                 [CONNECTION_CONTROL] = ZMQ_ROUTER,
                                                 [CONNECTION_HB] = ZMQ_REP };
    char endpoint[CONNECTION_ENDPOINT_BYTES];
    const int linger = 100;

    echo->context = zmq_ctx_new();
    for (int port = 0; port < CONNECTION_PORTS; port++) {
        echo->sockets[port] = zmq_socket(echo->context, types[port]);
        zmq_setsockopt(echo->sockets[port], ZMQ_LINGER, &linger, sizeof linger);
        if (connection_endpoint(&echo->connection, (enum connection_port)port, endpoint,
                                NULL) != 0 ||
            zmq_bind(echo->sockets[port], endpoint) < 0)
            measure_die("%s: %s", endpoint, zmq_strerror(errno));
    }
}

/* To the requester, or (IOPUB) to all. */
static void
say(struct echo *echo, enum connection_port port, const struct message *asked,
    const char *type, const char *content)
{
    CLEANUP(buffer_fini) struct buffer header;
    char id[MESSAGE_ID_BYTES], signature[SIGNATURE_HEX_BYTES + 1];
    struct message_header head = { .id = id, .session = "echo", .username = "bench" };
    struct slice parts[SIGNATURE_PARTS], frames[WIRE_FIXED_FRAMES];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    head.type = type;
    head.time_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    message_make_id(id, "echo", ++echo->sent);
    buffer_init(&header, WIRE_HEADER_BYTES_MAX);
    if (message_append_header(&header, &head) != 0)
        measure_die("out of memory");
    parts[0] = buffer_slice(&header);
    parts[1] = asked->wire.header;
    parts[2] = slice_text("{}");
    parts[3] = slice_text(content);
    wire_compose(frames, signature, echo->key, parts);
    if (port == CONNECTION_IOPUB)
        zmq_send(echo->sockets[port], type, strlen(type), ZMQ_SNDMORE);
    else
        zmq_send(echo->sockets[port], asked->wire.identities[0].data,
                 asked->wire.identities[0].length, ZMQ_SNDMORE);
    for (size_t i = 0; i < WIRE_FIXED_FRAMES; i++)
        zmq_send(echo->sockets[port], frames[i].data, frames[i].length,
                 i + 1 < WIRE_FIXED_FRAMES ? ZMQ_SNDMORE : 0);
}

static void
execute(struct echo *echo, const struct message *asked)
{
    char text[256];
    unsigned count = ++echo->executed;

    snprintf(text, sizeof text, "{\"code\":\"1+1\",\"execution_count\":%u}", count);
    say(echo, CONNECTION_IOPUB, asked, "execute_input", text);
    snprintf(text, sizeof text,
             "{\"data\":{\"text/plain\":\"2\"},\"metadata\":{},\"execution_count\":%u}",
             count);
    say(echo, CONNECTION_IOPUB, asked, "execute_result", text);
    snprintf(text, sizeof text,
             "{\"status\":\"ok\",\"execution_count\":%u,\"user_expressions\":{},"
             "\"payload\":[]}",
             count);
    say(echo, CONNECTION_SHELL, asked, "execute_reply", text);
}

static void
answer(struct echo *echo, enum connection_port port, const struct message *asked)
{
    say(echo, CONNECTION_IOPUB, asked, "status", "{\"execution_state\":\"busy\"}");
    if (strcmp(asked->type, "execute_request") == 0) {
        execute(echo, asked);
    } else if (strcmp(asked->type, "kernel_info_request") == 0) {
        say(echo, port, asked, "kernel_info_reply",
            "{\"status\":\"ok\",\"protocol_version\":\"5.3\",\"implementation\":\"echo\","
            "\"implementation_version\":\"1\",\"banner\":\"\",\"help_links\":[],"
            "\"language_info\":{\"name\":\"echo\",\"version\":\"1\","
            "\"mimetype\":\"text/plain\",\"file_extension\":\".txt\"}}");
    } else if (strcmp(asked->type, "shutdown_request") == 0) {
        say(echo, port, asked, "shutdown_reply", "{\"status\":\"ok\",\"restart\":false}");
        echo->ended = true;
    }
    say(echo, CONNECTION_IOPUB, asked, "status", "{\"execution_state\":\"idle\"}");
}

static void
receive(struct echo *echo, enum connection_port port)
{
    zmq_msg_t messages[PARTS_MAX];
    struct slice frames[PARTS_MAX];
    struct message message;
    size_t count = 0;
    int more = 1;

    while (more != 0 && count < PARTS_MAX) {
        zmq_msg_init(&messages[count]);
        if (zmq_msg_recv(&messages[count], echo->sockets[port], 0) < 0)
            measure_die("receiving: %s", zmq_strerror(errno));
        frames[count] = (struct slice){ .data = zmq_msg_data(&messages[count]),
                                        .length = zmq_msg_size(&messages[count]) };
        more = zmq_msg_more(&messages[count]);
        count++;
    }
    if (port == CONNECTION_HB) {
        zmq_send(echo->sockets[port], frames[0].data, frames[0].length, 0);
    } else if (message_init(&message, frames, count, echo->key, echo->replay, NULL) ==
               0) {
        answer(echo, port, &message);
        message_fini(&message);
    }
    for (size_t i = 0; i < count; i++)
        zmq_msg_close(&messages[i]);
}

static void
serve(struct echo *echo)
{
    zmq_pollitem_t items[CONNECTION_PORTS];

    for (int port = 0; port < CONNECTION_PORTS; port++)
        items[port] =
            (zmq_pollitem_t){ .socket = echo->sockets[port], .events = ZMQ_POLLIN };
    items[CONNECTION_IOPUB].events = 0;
    while (!echo->ended) {
        if (zmq_poll(items, CONNECTION_PORTS, -1) < 0)
            measure_die("waiting: %s", zmq_strerror(errno));
        for (int port = 0; port < CONNECTION_PORTS; port++)
            if (items[port].revents != 0)
                receive(echo, (enum connection_port)port);
    }
}

int
main(int argc, char **argv)
{
    struct echo echo = { 0 };

    if (argc != 2)
        measure_die("usage: bench-echo CONNECTION_FILE");
    if (sodium_init() < 0)
        measure_die("libsodium does not start");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    load(&echo, argv[1]);
    bind_all(&echo);
    serve(&echo);
    for (int port = 0; port < CONNECTION_PORTS; port++)
        zmq_close(echo.sockets[port]);
    zmq_ctx_term(echo.context);
    replay_destroy(echo.replay);
    signature_key_destroy(echo.key);
    connection_fini(&echo.connection);
    return 0;
}

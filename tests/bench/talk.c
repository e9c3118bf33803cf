/* SPDX-License-Identifier: MIT */
#include "tests/bench/talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <zmq.h>

#include "protocol/connection.h"
#include "protocol/error.h"
#include "protocol/message.h"
#include "protocol/signature.h"
#include "protocol/wire.h"
#include "tests/bench/measure.h"

#define RECONNECT_MS 1
#define PARTS_MAX 64

struct talk {
    struct connection connection;
    struct signature_key *key; /* owned */
    void *context; /* owned, ZeroMQ's */
    void *sockets[2]; /* owned; by talk_socket */
    char session[33];
    uint64_t sent;
    const char *expected; /* borrowed */
};

static void *
open_socket(struct talk *talk, int type, enum connection_port port)
{
    void *socket = zmq_socket(talk->context, type);
    char endpoint[CONNECTION_ENDPOINT_BYTES];
    struct error err = { 0 };
    const int reconnect = RECONNECT_MS, none = 0;

    if (socket == NULL)
        measure_die("zmq_socket: %s", zmq_strerror(errno));
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &reconnect, sizeof reconnect);
    if (type == ZMQ_SUB)
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    if (connection_endpoint(&talk->connection, port, endpoint, &err) != 0)
        measure_die("%s", err.text);
    if (zmq_connect(socket, endpoint) < 0)
        measure_die("%s: %s", endpoint, zmq_strerror(errno));
    return socket;
}

static void
load_connection(struct talk *talk, const char *file)
{
    FILE *in = fopen(file, "re");
    char text[CONNECTION_BYTES_MAX];
    struct error err = { 0 };
    struct slice bytes = { .data = (const uint8_t *)text };

    if (in == NULL)
        measure_die("%s: %s", file, strerror(errno));
    bytes.length = fread(text, 1, sizeof text, in);
    fclose(in);
    if (connection_init(&talk->connection, bytes, &err) != 0)
        measure_die("%s: %s", file, err.text);
    if (signature_key_create(&talk->key, talk->connection.key) != 0)
        measure_die("%s: no key can be made of it", file);
}

struct talk *
talk_create(const char *file)
{
    struct talk *talk = calloc(1, sizeof *talk);
    uint8_t session[16];

    if (talk == NULL || sodium_init() < 0)
        measure_die("out of memory");
    load_connection(talk, file);
    randombytes_buf(session, sizeof session);
    sodium_bin2hex(talk->session, sizeof talk->session, session, sizeof session);
    talk->context = zmq_ctx_new();
    if (talk->context == NULL)
        measure_die("zmq_ctx_new: %s", zmq_strerror(errno));
    talk->sockets[TALK_SHELL] = open_socket(talk, ZMQ_DEALER, CONNECTION_SHELL);
    talk->sockets[TALK_IOPUB] = open_socket(talk, ZMQ_SUB, CONNECTION_IOPUB);
    return talk;
}

void
talk_destroy(struct talk *talk)
{
    if (talk == NULL)
        return;
    zmq_close(talk->sockets[TALK_SHELL]);
    zmq_close(talk->sockets[TALK_IOPUB]);
    zmq_ctx_term(talk->context);
    signature_key_destroy(talk->key);
    connection_fini(&talk->connection);
    free(talk);
}

void
talk_expect(struct talk *talk, const char *text)
{
    talk->expected = text;
}

uint64_t
talk_send(struct talk *talk, const char *type, const char *content)
{
    char header[512], signature[SIGNATURE_HEX_BYTES + 1];
    struct slice parts[SIGNATURE_PARTS], frames[WIRE_FIXED_FRAMES];

    talk->sent++;
    /* The date is not the kernel's business, and making it would be work. */
    snprintf(header, sizeof header,
             "{\"msg_id\":\"%s_%llu\",\"session\":\"%s\",\"username\":\"bench\","
             "\"date\":\"2026-01-01T00:00:00.000000Z\",\"msg_type\":\"%s\","
             "\"version\":\"5.3\"}",
             talk->session, (unsigned long long)talk->sent, talk->session, type);
    parts[0] = slice_text(header);
    parts[1] = parts[2] = slice_text("{}");
    parts[3] = slice_text(content);
    wire_compose(frames, signature, talk->key, parts);
    for (size_t i = 0; i < WIRE_FIXED_FRAMES; i++) {
        int flags = i + 1 < WIRE_FIXED_FRAMES ? ZMQ_SNDMORE : 0;

        if (zmq_send(talk->sockets[TALK_SHELL], frames[i].data, frames[i].length, flags) <
            0)
            measure_die("sending a request: %s", zmq_strerror(errno));
    }
    return talk->sent;
}

/* Behind "NAME":, blanks skipped; NULL when there is none. Kernels format JSON each in
 * their own way. */
static const char *
find_member(struct slice json, const char *name)
{
    char quoted[64];
    int length = snprintf(quoted, sizeof quoted, "\"%s\"", name);
    const char *end = (const char *)json.data + json.length;
    const char *at = memmem(json.data, json.length, quoted, (size_t)length);

    if (at == NULL)
        return NULL;
    at += length;
    while (at < end && (*at == ' ' || *at == ':'))
        at++;
    return at < end ? at : NULL;
}

static bool
member_is(struct slice json, const char *name, const char *value)
{
    const char *at = find_member(json, name);
    size_t length = strlen(value);

    return at != NULL && at + length < (const char *)json.data + json.length &&
           *at == '"' && strncmp(at + 1, value, length) == 0 && at[1 + length] == '"';
}

static void
copy_type(char ret[64], struct slice header)
{
    const char *at = find_member(header, "msg_type");
    const char *end = (const char *)header.data + header.length;
    size_t length = 0;

    if (at != NULL && *at == '"')
        for (at++; at < end && *at != '"' && length < 63; at++)
            ret[length++] = *at;
    ret[length] = '\0';
}

/* Our ids are SESSION_NUMBER. */
static uint64_t
find_number(const struct talk *talk, struct slice parent)
{
    size_t length = strlen(talk->session);
    const char *at = find_member(parent, "msg_id");

    if (at == NULL || at + length + 2 >= (const char *)parent.data + parent.length ||
        strncmp(at + 1, talk->session, length) != 0)
        return 0;
    return strtoull(at + 1 + length + 1, NULL, 10);
}

static void
read_message(const struct talk *talk, struct talk_message *ret,
             const struct slice parts[], size_t count)
{
    size_t at = 0;
    struct slice content;

    while (at < count && !slice_equals_text(parts[at], WIRE_DELIMITER))
        at++;
    if (at + WIRE_FIXED_FRAMES > count)
        measure_die("the kernel sent what is no message");
    if (signature_verify(talk->key, parts + at + 2, parts[at + 1], NULL) != 0)
        measure_die("the kernel sent a wrong signature");
    copy_type(ret->type, parts[at + 2]);
    ret->number = find_number(talk, parts[at + 3]);
    content = parts[at + 5];
    ret->content_bytes = content.length;
    if (ret->socket == TALK_SHELL) {
        ret->is_ok = member_is(content, "status", "ok");
        return;
    }
    ret->is_idle =
        strcmp(ret->type, "status") == 0 && member_is(content, "execution_state", "idle");
    ret->found =
        talk->expected != NULL && memmem(content.data, content.length, talk->expected,
                                         strlen(talk->expected)) != NULL;
}

static void
receive_from(struct talk *talk, enum talk_socket which, struct talk_message *ret)
{
    zmq_msg_t messages[PARTS_MAX];
    struct slice parts[PARTS_MAX];
    size_t count = 0;
    int more = 1;

    *ret = (struct talk_message){ .socket = which };
    while (more != 0) {
        if (count == PARTS_MAX)
            measure_die("a message of more than %d parts", PARTS_MAX);
        zmq_msg_init(&messages[count]);
        if (zmq_msg_recv(&messages[count], talk->sockets[which], 0) < 0)
            measure_die("receiving: %s", zmq_strerror(errno));
        parts[count] = (struct slice){ .data = zmq_msg_data(&messages[count]),
                                       .length = zmq_msg_size(&messages[count]) };
        ret->bytes += parts[count].length;
        more = zmq_msg_more(&messages[count]);
        count++;
    }
    read_message(talk, ret, parts, count);
    for (size_t i = 0; i < count; i++)
        zmq_msg_close(&messages[i]);
}

bool
talk_receive(struct talk *talk, struct talk_message *ret, int timeout_ms)
{
    zmq_pollitem_t items[] = {
        { .socket = talk->sockets[TALK_SHELL], .events = ZMQ_POLLIN },
        { .socket = talk->sockets[TALK_IOPUB], .events = ZMQ_POLLIN },
    };
    int n = zmq_poll(items, 2, timeout_ms);

    if (n < 0)
        measure_die("waiting: %s", zmq_strerror(errno));
    if (n == 0)
        return false;
    receive_from(talk, items[0].revents != 0 ? TALK_SHELL : TALK_IOPUB, ret);
    return true;
}

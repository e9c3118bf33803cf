/* SPDX-License-Identifier: MIT */
#include "kernel/client.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "kernel/session.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/message.h"
#include "protocol/replay.h"
#include "protocol/signature.h"
#include "protocol/tree.h"
#include "protocol/wire.h"

#define FRAMES_MAX (WIRE_FIXED_FRAMES + CLIENT_BUFFERS_MAX)
#define LINGER_MS 1000
#define WAIT_MS 1000 /* at a time */
#define REPLAYS 4096
#define MONITOR "inproc://monitor"
#define DEPTH_MAX 128

struct client {
    void *zmq, *socket, *monitor; /* owned */
    struct signature_key *key; /* owned */
    struct session *session; /* owned */
    struct replay *replay; /* owned */
    const struct client_watch *watches; /* borrowed */
    size_t watch_count;
    char endpoint[CLIENT_ENDPOINT_BYTES];
    char version[CLIENT_VERSION_BYTES];
    zmq_msg_t parts[FRAMES_MAX]; /* of the message received last */
    size_t part_count;
    bool answered; /* the server has said something */
};

static const struct json_limits limits = { CLIENT_MESSAGE_BYTES_MAX, DEPTH_MAX };

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
fail_zmq(struct error *err, const char *what, const char *endpoint)
{
    return error_set(err, CLIENT_E_FAILED, "cannot %s %s: %s", what, endpoint,
                     zmq_strerror(zmq_errno()));
}

static int
set_curve(struct client *client, const struct client_server *server, struct error *err)
{
    if (server->server_public_key[0] == '\0')
        return 0;
    if (server->public_key[0] == '\0')
        return error_set(err, CLIENT_E_FAILED,
                         "%s needs a key of yours: name a client's file, made by "
                         "\"cellwall keygen\", in CELLWALL_SERVER",
                         server->endpoint);
    if (zmq_setsockopt(client->socket, ZMQ_CURVE_SERVERKEY, server->server_public_key,
                       CLIENT_CURVE_BYTES) < 0 ||
        zmq_setsockopt(client->socket, ZMQ_CURVE_PUBLICKEY, server->public_key,
                       CLIENT_CURVE_BYTES) < 0 ||
        zmq_setsockopt(client->socket, ZMQ_CURVE_SECRETKEY, server->secret_key,
                       CLIENT_CURVE_BYTES) < 0)
        return fail_zmq(err, "use the keys for", server->endpoint);
    return 0;
}

/* Why a connection fails is told on a socket of its own. */
static int
set_monitor(struct client *client)
{
    const int events = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                       ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                       ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

    if (zmq_socket_monitor(client->socket, MONITOR, events) < 0)
        return -zmq_errno();
    client->monitor = zmq_socket(client->zmq, ZMQ_PAIR);
    if (client->monitor == NULL || zmq_connect(client->monitor, MONITOR) < 0)
        return -zmq_errno();
    return 0;
}

static int
open_socket(struct client *client, const struct client_server *server, struct error *err)
{
    const int64_t size = CLIENT_MESSAGE_BYTES_MAX;
    const int linger = LINGER_MS, ipv6 = 1;
    int r;

    client->zmq = zmq_ctx_new();
    if (client->zmq == NULL)
        return -zmq_errno();
    client->socket = zmq_socket(client->zmq, ZMQ_DEALER);
    if (client->socket == NULL ||
        zmq_setsockopt(client->socket, ZMQ_MAXMSGSIZE, &size, sizeof size) < 0 ||
        zmq_setsockopt(client->socket, ZMQ_LINGER, &linger, sizeof linger) < 0 ||
        zmq_setsockopt(client->socket, ZMQ_IPV6, &ipv6, sizeof ipv6) < 0)
        return -zmq_errno();
    r = set_curve(client, server, err);
    if (r == 0)
        r = set_monitor(client);
    if (r == 0 && zmq_connect(client->socket, server->endpoint) < 0)
        r = fail_zmq(err, "connect to", server->endpoint);
    return r;
}

int
client_create(struct client **ret, const struct client_server *server, struct error *err)
{
    struct client *client = calloc(1, sizeof *client);
    int r;

    if (client == NULL)
        return -ENOMEM;
    memcpy(client->endpoint, server->endpoint, sizeof client->endpoint);
    memcpy(client->version, server->version, sizeof client->version);
    r = signature_key_create(&client->key, slice_text(server->key));
    if (r == SIGNATURE_E_KEY)
        r = error_set(err, CLIENT_E_FAILED, "the key is too long");
    if (r == 0)
        r = session_create(&client->session, client->key);
    if (r == 0)
        r = replay_create(&client->replay, REPLAYS);
    if (r == 0)
        r = open_socket(client, server, err);
    if (r != 0) {
        client_destroy(client);
        return r;
    }
    *ret = client;
    return 0;
}

static void
drop_parts(struct client *client)
{
    while (client->part_count > 0)
        zmq_msg_close(&client->parts[--client->part_count]);
}

void
client_destroy(struct client *client)
{
    if (client == NULL)
        return;
    drop_parts(client);
    if (client->monitor != NULL) {
        zmq_socket_monitor(client->socket, NULL, 0);
        zmq_close(client->monitor);
    }
    if (client->socket != NULL)
        zmq_close(client->socket);
    if (client->zmq != NULL)
        zmq_ctx_term(client->zmq);
    session_destroy(client->session);
    signature_key_destroy(client->key);
    replay_destroy(client->replay);
    free(client);
}

void
client_watch(struct client *client, const struct client_watch *watches, size_t count)
{
    assert(count <= CLIENT_WATCHES_MAX);
    client->watches = watches;
    client->watch_count = count;
}

static int
send_frames(struct client *client, const struct slice *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int flags = i + 1 < count ? ZMQ_SNDMORE : 0;

        while (zmq_send(client->socket, frames[i].data, frames[i].length, flags) < 0) {
            if (zmq_errno() != EINTR)
                return -zmq_errno();
        }
    }
    return 0;
}

static int
send_request(struct client *client, const char *type, const json_t *content,
             struct slice buffer)
{
    CLEANUP(buffer_fini) struct buffer text;
    struct outgoing message = { .type = type,
                                .buffers = &buffer,
                                .buffer_count = buffer.data != NULL };
    const struct slice *frames;
    size_t count;
    int r;

    buffer_init(&text, WIRE_CONTENT_BYTES_MAX);
    r = tree_append(&text, content, JSON_COMPACT);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    message.content = buffer_slice(&text);
    r = session_compose(client->session, &message, &frames, &count);
    return r != 0 ? r : send_frames(client, frames, count);
}

int
client_post(struct client *client, const char *type, json_t *content)
{
    CLEANUP(tree_decrefp) json_t *owned = content;

    return owned == NULL ? -ENOMEM
                         : send_request(client, type, owned, (struct slice){ 0 });
}

/* Takes a message off the socket into client->parts. 0, or 1: there is none, or it has
 * more parts than we take. */
static int
receive(struct client *client)
{
    bool more = true, excess = false;

    drop_parts(client);
    while (more) {
        zmq_msg_t part;

        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, client->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            return 1;
        }
        more = zmq_msg_more(&part) != 0;
        if (client->part_count == FRAMES_MAX) {
            excess = true;
            zmq_msg_close(&part);
        } else {
            client->parts[client->part_count++] = part;
        }
    }
    return excess;
}

static int
load(json_t **ret, struct slice text)
{
    int r = tree_load_object(ret, text, &limits, NULL);

    return r < 0 ? r : r > 0;
}

/* What waits for one reply. */
struct call {
    const struct client_request *request;
    const char *id; /* of its message */
    struct error *err;
    struct client_reply *reply;
    bool done;
};

static bool
is_reply(const char *type)
{
    size_t length = strlen(type), suffix = strlen("_reply");

    return length > suffix && strcmp(type + length - suffix, "_reply") == 0;
}

/* A message that is ours, verified and parsed. */
static int
deliver(struct call *call, const struct message *message)
{
    CLEANUP(tree_decrefp) json_t *content = NULL;
    CLEANUP(tree_decrefp) json_t *metadata = NULL;
    const struct client_request *request = call->request;
    int r = load(&content, message->wire.content);

    if (r == 0)
        r = load(&metadata, message->wire.metadata);
    if (r > 0 && is_reply(message->type)) /* to wait on would be for ever */
        return error_set(call->err, CLIENT_E_FAILED, "the reply cannot be read");
    if (r != 0)
        return r < 0 ? r : 0;
    if (is_reply(message->type)) {
        call->done = true;
        call->reply->content = content;
        if (message->wire.buffer_count > 0)
            call->reply->buffer = message->wire.buffers[0];
        content = NULL;
        return 0;
    }
    return request->on_event == NULL
               ? 0
               : request->on_event(message->type, content, metadata, request->arg);
}

/* Everything that is not as it must be is dropped: nobody can be told. */
static int
on_message(struct client *client, struct call *call)
{
    struct slice frames[FRAMES_MAX];
    struct message message;
    int r;

    for (size_t i = 0; i < client->part_count; i++)
        frames[i] = (struct slice){ zmq_msg_data(&client->parts[i]),
                                    zmq_msg_size(&client->parts[i]) };
    r = message_init(&message, frames, client->part_count, client->key, client->replay,
                     NULL);
    if (r == WIRE_E_TOO_LARGE)
        return error_set(call->err, CLIENT_E_FAILED,
                         "the server has sent more than fits into a message");
    if (r != 0)
        return r < 0 ? r : 0;
    client->answered = true;
    r = strcmp(message.parent_id, call->id) == 0 ? deliver(call, &message) : 0;
    message_fini(&message);
    return r;
}

/* The connection has failed for a reason that will not go away. */
static int
on_monitor(struct client *client, struct error *err)
{
    uint8_t event[6];
    uint16_t kind;
    int n = zmq_recv(client->monitor, event, sizeof event, ZMQ_DONTWAIT);
    char address[CLIENT_ENDPOINT_BYTES];

    if (n != (int)sizeof event)
        return 0;
    (void)zmq_recv(client->monitor, address, sizeof address, ZMQ_DONTWAIT);
    memcpy(&kind, event, sizeof kind);
    /* ZeroMQ would connect again, but as somebody whom nothing is sent to. */
    if (kind == ZMQ_EVENT_DISCONNECTED)
        return error_set(err, CLIENT_E_LOST,
                         "the connection to the server at %s has ended, and the server "
                         "perhaps, too",
                         client->endpoint);
    if (kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        return error_set(err, CLIENT_E_FAILED,
                         "the server at %s does not know your key: have it added to its "
                         "authorised keys",
                         client->endpoint);
    return error_set(err, CLIENT_E_FAILED,
                     "the server at %s speaks otherwise: is it a Cellwall server, and "
                     "its server_public_key the one in your file?",
                     client->endpoint);
}

/* Waits for one thing of any kind and answers it. */
static int
turn(struct client *client, struct call *call, int timeout_ms, bool *ret_heard,
     struct error *err)
{
    zmq_pollitem_t items[2 + CLIENT_WATCHES_MAX] = {
        { .socket = client->socket, .events = ZMQ_POLLIN },
        { .socket = client->monitor, .events = ZMQ_POLLIN },
    };
    const struct client_watch *watches[CLIENT_WATCHES_MAX];
    int count = 2, r = 0;

    *ret_heard = false;
    for (size_t i = 0; i < client->watch_count; i++) {
        if (client->watches[i].fd < 0)
            continue;
        watches[count - 2] = &client->watches[i];
        items[count++] = (zmq_pollitem_t){ .fd = client->watches[i].fd,
                                           .events = ZMQ_POLLIN | ZMQ_POLLERR };
    }
    if (zmq_poll(items, count, timeout_ms) < 0)
        return zmq_errno() == EINTR ? 0 : -zmq_errno();
    for (int i = 2; r == 0 && i < count; i++) {
        if (items[i].revents != 0)
            r = watches[i - 2]->fn(watches[i - 2]->arg);
    }
    if (r == 0 && (items[0].revents & ZMQ_POLLIN) != 0 && receive(client) == 0) {
        *ret_heard = true;
        return on_message(client, call);
    }
    /* Only when all that has come was taken. */
    if (r == 0 && (items[1].revents & ZMQ_POLLIN) != 0)
        r = on_monitor(client, err);
    return r;
}

static int
fail_lost(const struct client *client, struct error *err)
{
    if (!client->answered && client->version[0] != '\0' &&
        strcmp(client->version, CELLWALL_VERSION) != 0)
        return error_set(err, CLIENT_E_LOST,
                         "the server at %s does not answer: it is Cellwall %s, and this "
                         "is %s",
                         client->endpoint, client->version, CELLWALL_VERSION);
    if (!client->answered)
        return error_set(err, CLIENT_E_LOST,
                         "the server at %s does not answer: it is stuck, or the key in "
                         "your file is not its own",
                         client->endpoint);
    return error_set(err, CLIENT_E_LOST,
                     "the server at %s has said nothing for %d s: it has ended, or "
                     "cannot be reached any more",
                     client->endpoint, CLIENT_LOST_MS / 1000);
}

int
client_call(struct client *client, const struct client_request *request,
            struct client_reply *ret, struct error *err)
{
    char id[MESSAGE_ID_BYTES];
    struct client_reply reply = { 0 };
    struct call call = { .request = request, .id = id, .err = err, .reply = &reply };
    int64_t silent_ms = 0;
    int r = send_request(client, request->type, request->content, request->buffer);

    if (r != 0)
        return r;
    strcpy(id, session_last_id(client->session));
    while (r == 0 && !call.done) {
        int64_t patience = client->answered ? CLIENT_LOST_MS : CLIENT_CONNECT_MS;
        int64_t before = now_ms(), passed;
        bool heard;

        if (silent_ms >= patience)
            return fail_lost(client, err);
        r = turn(client, &call, WAIT_MS, &heard, err);
        passed = now_ms() - before;
        /* What took longer was not waiting: we were stopped, or busy ourselves. */
        silent_ms = heard ? 0 : silent_ms + (passed < WAIT_MS ? passed : WAIT_MS);
    }
    if (r != 0) {
        json_decref(reply.content);
        return r;
    }
    *ret = reply;
    return 0;
}

const char *
client_refusal(const json_t *reply)
{
    const char *status = json_string_value(json_object_get(reply, "status"));

    return status != NULL && strcmp(status, "error") == 0
               ? json_string_value(json_object_get(reply, "code"))
               : NULL;
}

int
client_ask(struct client *client, const struct client_request *request,
           struct client_reply *ret, struct error *err)
{
    int r = client_call(client, request, ret, err);
    const char *code, *message, *suggestion;

    if (r != 0)
        return r;
    code = client_refusal(ret->content);
    if (code == NULL)
        return 0;
    message = json_string_value(json_object_get(ret->content, "message"));
    suggestion = json_string_value(json_object_get(ret->content, "suggestion"));
    return error_set(err, CLIENT_E_REFUSED, "%s%s%s",
                     message != NULL && message[0] != '\0' ? message : code,
                     suggestion != NULL && suggestion[0] != '\0' ? "; " : "",
                     suggestion != NULL ? suggestion : "");
}

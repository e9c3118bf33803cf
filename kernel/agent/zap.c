/* SPDX-License-Identifier: MIT */
#include "kernel/agent/zap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "contexts/processes.h"
#include "kernel/agent/ipc.h"
#include "kernel/keys.h"
#include "kernel/log.h"
#include "kernel/socket.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define ADDRESS "inproc://zeromq.zap.01"
#define BYTES_MAX 4096 /* of a request: it has two short names and a key */
#define SHOWN_BYTES 64 /* of a peer's address */

/* The frames of a request, behind which only a mechanism's credentials come. */
enum {
    FRAME_ROUTE,
    FRAME_DELIMITER,
    FRAME_VERSION,
    FRAME_REQUEST,
    FRAME_DOMAIN,
    FRAME_ADDRESS,
    FRAME_IDENTITY,
    FRAME_MECHANISM,
    FRAME_KEY,
    FRAMES
};

struct zap {
    void *socket; /* owned */
    struct loop *loop; /* borrowed */
    struct keys *keys; /* borrowed; NULL: none */
    struct loop_source *source; /* owned */
    struct log_limit limit;
    uint64_t refused;
    zmq_msg_t parts[FRAMES];
    struct slice frames[FRAMES];
    struct socket_message message; /* in the two above */
};

CLEANUP_DEFINE(struct zap, zap_destroy);

void
zap_destroy(struct zap *zap)
{
    if (zap == NULL)
        return;
    loop_source_destroy(zap->source);
    socket_forget(&zap->message);
    if (zap->socket != NULL)
        zmq_close(zap->socket);
    free(zap);
}

uint64_t
zap_refused(const struct zap *zap)
{
    return zap->refused;
}

/* The three below: NULL, it may come in, else why not. */
static const char *
judge_key(struct zap *zap, char user[KEYS_TEXT_BYTES])
{
    const struct slice *frames = zap->frames;

    if (zap->message.count != FRAMES || zap->keys == NULL ||
        !slice_equals_text(frames[FRAME_MECHANISM], "CURVE") ||
        frames[FRAME_KEY].length != KEYS_BINARY_BYTES)
        return "it does not use CURVE";
    if (keys_name(zap->keys, frames[FRAME_KEY].data) == NULL)
        return "its key is not authorised";
    if (zmq_z85_encode(user, frames[FRAME_KEY].data, KEYS_BINARY_BYTES) == NULL)
        return "its key has no text";
    return NULL;
}

static const char *
judge_process(const struct zap *zap)
{
    struct ipc_peer peer;

    if (!slice_equals_text(zap->frames[FRAME_MECHANISM], "NULL"))
        return "on ipc there are no keys";
    if (!ipc_read_peer(&peer, zap->frames[FRAME_ADDRESS]))
        return "it cannot be told who it is";
    if (!processes_shares_users(peer.pid))
        return "it runs in a sandbox or container with users of its own";
    return NULL;
}

/* USER: the name under which it may come in. */
static const char *
judge(struct zap *zap, char user[KEYS_TEXT_BYTES])
{
    const struct slice *frames = zap->frames;

    if (zap->message.count <= FRAME_MECHANISM || frames[FRAME_DELIMITER].length != 0 ||
        !slice_equals_text(frames[FRAME_VERSION], "1.0"))
        return "a request of another kind";
    if (slice_equals_text(frames[FRAME_DOMAIN], ZAP_DOMAIN))
        return judge_key(zap, user);
    return slice_equals_text(frames[FRAME_DOMAIN], ZAP_DOMAIN_IPC)
               ? judge_process(zap)
               : "a request of another kind";
}

static void
tell(struct zap *zap, const char *why)
{
    struct slice address = { (const uint8_t *)"?", 1 };
    uint64_t held;

    zap->refused++;
    if (!log_allows(&zap->limit, loop_now_us(zap->loop), &held))
        return;
    if (zap->message.count > FRAME_ADDRESS)
        address = zap->frames[FRAME_ADDRESS];
    log_line("refused a client at %.*s: %s (%llu more since the last such line)",
             (int)(address.length < SHOWN_BYTES ? address.length : SHOWN_BYTES),
             (const char *)address.data, why, (unsigned long long)held);
}

/* What is no request cannot be answered: ZeroMQ, which alone asks, gives whole ones. */
static int
answer(struct zap *zap)
{
    char user[KEYS_TEXT_BYTES] = "";
    const char *why = judge(zap, user);
    struct slice reply[] = {
        zap->frames[FRAME_ROUTE],
        slice_text(""),
        slice_text("1.0"),
        zap->frames[FRAME_REQUEST],
        slice_text(why == NULL ? "200" : "400"),
        slice_text(why == NULL ? "OK" : "No access"),
        slice_text(user),
        slice_text(""), /* no metadata */
    };
    int r;

    if (why != NULL)
        tell(zap, why);
    if (zap->message.count <= FRAME_REQUEST)
        return 0;
    r = socket_send(zap->socket, reply, N_ELEMENTS(reply));
    return r < 0 ? r : 0; /* it has gone meanwhile */
}

/* Answers all that have asked, so that the last receive finds nothing and the next
 * question has its edge. There is an end to it: a question comes of a whole handshake,
 * which takes ZeroMQ's thread much longer than the answer takes this one. */
static int
on_edge(int fd, uint32_t events, void *arg)
{
    struct zap *zap = arg;
    int r;

    (void)fd, (void)events;
    do {
        r = socket_receive(zap->socket, &zap->message);
        if (r == 0)
            r = answer(zap);
        else if (r == SOCKET_E_TOO_LARGE)
            r = 0; /* nobody waits for its answer: see above */
    } while (r == 0);
    return r < 0 ? r : 0;
}

int
zap_create(struct zap **ret, void *context, struct loop *loop, struct keys *keys,
           struct error *err)
{
    CLEANUP(zap_destroyp) struct zap *zap = calloc(1, sizeof *zap);
    int r;

    if (zap == NULL)
        return -ENOMEM;
    zap->loop = loop;
    zap->keys = keys;
    zap->message = (struct socket_message){
        .parts = zap->parts,
        .frames = zap->frames,
        .capacity = FRAMES,
        .bytes_max = BYTES_MAX,
    };
    zap->socket = zmq_socket(context, ZMQ_ROUTER);
    if (zap->socket == NULL)
        return error_errno(err, "zmq_socket");
    r = socket_set_int(zap->socket, ZMQ_LINGER, 0);
    if (r == 0 && zmq_bind(zap->socket, ADDRESS) != 0)
        return error_errno(err, "binding %s", ADDRESS);
    if (r == 0)
        r = socket_watch(&zap->source, zap->socket, loop, on_edge, zap);
    if (r == 0)
        r = on_edge(-1, 0, zap); /* finds nothing: from now on there are edges */
    if (r != 0)
        return r;
    *ret = zap;
    zap = NULL;
    return 0;
}

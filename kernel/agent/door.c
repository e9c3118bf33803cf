/* SPDX-License-Identifier: MIT */
/*
 * Socket options are rows of one table, each with its reason.
 *
 * What a client says of itself while it connects becomes properties of its messages, too,
 * but never in place of one that ZeroMQ has set: the address of a peer of ipc, which ends
 * in ":UID:GID:PID" as the kernel has them, and, where ZAP was asked, the User-Id. On
 * other sockets a User-Id is the client's own invention: nobody looks at it there.
 */
#include "kernel/agent/door.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "kernel/agent/crowd.h"
#include "kernel/agent/ipc.h"
#include "kernel/agent/zap.h"
#include "kernel/keys.h"
#include "kernel/socket.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/wire.h"

#define IPC "ipc://"
#define TCP "tcp://"
#define OWNER_KEY "key:"
#define OWNER_ANYONE "anyone"
#define MONITOR "inproc://listening" /* one socket at a time */

#define REPLIES_MAX 1024 /* that one client has not read yet */
#define REQUESTS_MAX 64 /* of one client that we have not read yet */
#define BACKLOG 1024
#define BACKLOG_TCP 256 /* they come in even when the crowd is too large */
#define HANDSHAKE_MS 10000
#define HEARTBEAT_MS 20000
#define HEARTBEAT_LOST_MS 60000

/* Not in the headers of stable releases, but in all libraries since 4.3. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

static_assert(CROWD_SOCKETS_MAX >= DOOR_ADDRESSES_MAX, "each may be one of tcp");

enum gate_kind { GATE_IPC = 1, GATE_CURVE = 2, GATE_OPEN = 4 };

#define TCPS (GATE_CURVE | GATE_OPEN)
#define ALL (GATE_IPC | TCPS)

static const struct option {
    int name;
    int value;
    unsigned kinds; /* of gates */
} options[] = {
    /* What was said last still goes out. */
    { ZMQ_LINGER, DOOR_LINGER_MS, ALL },
    /* A reply that cannot be delivered is told to us. */
    { ZMQ_ROUTER_MANDATORY, 1, ALL },
    /* Who connects under another's identity does not get that one's replies. */
    { ZMQ_ROUTER_HANDOVER, 0, ALL },
    /* A client that does not read, or writes faster than we, holds up itself. */
    { ZMQ_SNDHWM, REPLIES_MAX, ALL },
    { ZMQ_RCVHWM, REQUESTS_MAX, ALL },
    /* Many clients may start at the same time. */
    { ZMQ_BACKLOG, BACKLOG, GATE_IPC },
    { ZMQ_BACKLOG, BACKLOG_TCP, TCPS },
    /* Who connects and says nothing is not waited for. */
    { ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS, ALL },
    /* Machines that vanish say no farewell; processes of this one do. */
    { ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS, TCPS },
    { ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_LOST_MS, TCPS },
    { ZMQ_HEARTBEAT_TTL, HEARTBEAT_LOST_MS, TCPS },
    { ZMQ_CURVE_SERVER, 1, GATE_CURVE },
    /* If nobody could answer who may come in, nobody may. */
    { ZMQ_ZAP_ENFORCE_DOMAIN, 1, GATE_CURVE | GATE_IPC },
};

struct gate {
    enum gate_kind kind;
    void *socket; /* owned */
    struct loop_source *source; /* owned */
    struct ipc_file file; /* owned */
    bool quiet;
    char address[DOOR_ADDRESS_BYTES];
};

struct door {
    void *context; /* owned */
    struct zap *zap; /* owned */
    struct crowd *crowd; /* owned */
    struct keys *keys; /* borrowed; NULL: none */
    uid_t uid; /* whose processes come in at ipc */
    struct gate gates[DOOR_ADDRESSES_MAX];
    size_t gate_count;
    size_t turn; /* whose it is */
    zmq_msg_t parts[WIRE_FRAMES_MAX];
    struct slice frames[WIRE_FRAMES_MAX];
    struct socket_message message; /* in the two above */
    char owner[DOOR_OWNER_BYTES];
};

CLEANUP_DEFINE(struct door, door_destroy);

static int
fail_bind(struct error *err, const char *address)
{
    const char *hint = "";

    if (errno == ENODEV || errno == EINVAL)
        hint = ": it is tcp://HOST:PORT with a number, an interface or * as HOST, "
               "a number or * as PORT";
    return error_set(err, DOOR_E_BIND, "cannot listen at %s: %s%s", address,
                     zmq_strerror(errno), hint);
}

static int
set_text(void *socket, int option, const char *text)
{
    return socket_set(socket, option, text, strlen(text));
}

static int
set_curve(void *socket, const struct keys *keys)
{
    int r = set_text(socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN);

    if (r == 0)
        r = socket_set(socket, ZMQ_CURVE_PUBLICKEY, keys_public(keys), KEYS_TEXT_BYTES);
    if (r == 0)
        r = socket_set(socket, ZMQ_CURVE_SECRETKEY, keys_secret(keys), KEYS_TEXT_BYTES);
    return r;
}

static int
configure(const struct door *door, const struct gate *gate)
{
    const int64_t frame_max = DOOR_FRAME_BYTES_MAX;
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(options); i++) {
        if ((options[i].kinds & gate->kind) != 0)
            r = socket_set_int(gate->socket, options[i].name, options[i].value);
    }
    /* ZeroMQ checks each frame before it has memory for it. */
    if (r == 0)
        r = socket_set(gate->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    /* Others are shown out before they can say anything. */
    if (r == 0 && gate->kind == GATE_IPC)
        r = socket_set(gate->socket, ZMQ_IPC_FILTER_UID, &door->uid, sizeof door->uid);
    if (r == 0 && gate->kind == GATE_IPC)
        r = set_text(gate->socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN_IPC);
    if (r == 0 && gate->kind != GATE_IPC && strchr(gate->address, '[') != NULL)
        r = socket_set_int(gate->socket, ZMQ_IPV6, 1);
    if (r == 0 && gate->kind == GATE_CURVE)
        r = set_curve(gate->socket, door->keys);
    return r;
}

static int
bind_ipc(struct gate *gate, struct error *err)
{
    int fd, r = ipc_listen(&fd, &gate->file, gate->address + strlen(IPC), BACKLOG, err);

    if (r != 0)
        return r < 0 ? r : DOOR_E_BIND;
    r = socket_set_int(gate->socket, ZMQ_USE_FD, fd);
    if (r == 0 && zmq_bind(gate->socket, gate->address) != 0)
        r = -errno;
    if (r == 0)
        return 0; /* the fd is ZeroMQ's now */
    close(fd);
    return error_set(err, r, "listening at %s: %s", gate->address, zmq_strerror(-r));
}

/* ZeroMQ tells as soon as it listens: a number of 16 bits, and the fd as one of 32. */
static int
receive_listening(void *monitor)
{
    char event[sizeof(uint16_t) + sizeof(int32_t)];
    int32_t fd;

    if (zmq_recv(monitor, event, sizeof event, ZMQ_DONTWAIT) != (int)sizeof event)
        return -EPROTO;
    memcpy(&fd, event + sizeof(uint16_t), sizeof fd);
    return fd;
}

/* Binds, and has the crowd looked after. */
static int
bind_watched(struct door *door, struct gate *gate, void *monitor, struct error *err)
{
    int fd, r;

    if (zmq_socket_monitor(gate->socket, MONITOR, ZMQ_EVENT_LISTENING) < 0 ||
        zmq_connect(monitor, MONITOR) != 0)
        return error_errno(err, "watching a socket");
    r = zmq_bind(gate->socket, gate->address) == 0 ? 0 : fail_bind(err, gate->address);
    fd = r == 0 ? receive_listening(monitor) : -1;
    zmq_socket_monitor(gate->socket, NULL, 0);
    if (r != 0)
        return r;
    r = fd < 0 ? fd : crowd_add(door->crowd, fd);
    return r < 0 ? error_set(err, r, "watching %s: %s", gate->address, strerror(-r)) : 0;
}

static int
bind_tcp(struct door *door, struct gate *gate, struct error *err)
{
    size_t length = sizeof gate->address;
    void *monitor = zmq_socket(door->context, ZMQ_PAIR);
    int r;

    if (monitor == NULL)
        return error_errno(err, "zmq_socket");
    r = bind_watched(door, gate, monitor, err);
    zmq_close(monitor);
    if (r != 0)
        return r;
    /* With the port that was chosen. */
    if (zmq_getsockopt(gate->socket, ZMQ_LAST_ENDPOINT, gate->address, &length) != 0)
        return error_errno(err, "the address of a socket");
    return 0;
}

/* What kind of gate ADDRESS asks for, if it may be. */
static int
choose_kind(struct gate *gate, const struct door_options *wanted, const char *address,
            struct error *err)
{
    if (strlen(address) >= sizeof gate->address)
        return error_set(err, DOOR_E_BIND, "an address of %zu bytes, at most %zu: %s",
                         strlen(address), sizeof gate->address - 1, address);
    memcpy(gate->address, address, strlen(address) + 1);
    if (strncmp(address, IPC, strlen(IPC)) == 0) {
        gate->kind = GATE_IPC;
        return 0;
    }
    if (strncmp(address, TCP, strlen(TCP)) != 0)
        return error_set(err, DOOR_E_BIND,
                         "\"%s\" is neither ipc://PATH nor tcp://HOST:PORT", address);
    if (wanted->keys == NULL && !wanted->anyone_may_run_code)
        return error_set(err, DOOR_E_BIND,
                         "%s needs keys, for whoever connects runs code here: make them "
                         "with \"cellwall keygen\", or say "
                         "--tcp-without-keys-anyone-can-run-code",
                         address);
    gate->kind = wanted->keys != NULL ? GATE_CURVE : GATE_OPEN;
    return 0;
}

static int
on_edge(int fd, uint32_t events, void *arg)
{
    struct gate *gate = arg;

    (void)fd, (void)events;
    gate->quiet = false;
    return 0;
}

static int
open_gate(struct door *door, struct loop *loop, const struct door_options *wanted,
          const char *address, struct error *err)
{
    struct gate *gate = &door->gates[door->gate_count];
    int r = choose_kind(gate, wanted, address, err);

    if (r != 0)
        return r;
    gate->socket = zmq_socket(door->context, ZMQ_ROUTER);
    if (gate->socket == NULL)
        return error_errno(err, "zmq_socket");
    door->gate_count++; /* to be closed from here on */
    r = configure(door, gate);
    if (r < 0)
        return error_set(err, r, "configuring the socket of %s: %s", address,
                         zmq_strerror(-r));
    r = gate->kind == GATE_IPC ? bind_ipc(gate, err) : bind_tcp(door, gate, err);
    return r != 0 ? r : socket_watch(&gate->source, gate->socket, loop, on_edge, gate);
}

int
door_create(struct door **ret, struct loop *loop, const struct door_options *wanted,
            struct error *err)
{
    CLEANUP(door_destroyp) struct door *door = calloc(1, sizeof *door);
    int r;

    if (door == NULL)
        return -ENOMEM;
    if (wanted->address_count == 0 || wanted->address_count > DOOR_ADDRESSES_MAX)
        return error_set(err, DOOR_E_BIND, "%zu addresses; there are 1 to %d",
                         wanted->address_count, DOOR_ADDRESSES_MAX);
    door->message = (struct socket_message){
        .parts = door->parts,
        .frames = door->frames,
        .capacity = WIRE_FRAMES_MAX,
        .bytes_max = DOOR_MESSAGE_BYTES_MAX,
    };
    door->uid = geteuid();
    door->keys = wanted->keys;
    door->context = zmq_ctx_new();
    if (door->context == NULL)
        return error_errno(err, "zmq_ctx_new");
    r = crowd_create(&door->crowd, loop);
    if (r == 0)
        r = zap_create(&door->zap, door->context, loop, door->keys, err);
    for (size_t i = 0; r == 0 && i < wanted->address_count; i++)
        r = open_gate(door, loop, wanted, wanted->addresses[i], err);
    if (r != 0)
        return r;
    *ret = door;
    door = NULL;
    return 0;
}

static void
close_gate(struct gate *gate)
{
    loop_source_destroy(gate->source);
    ipc_file_remove(&gate->file); /* before somebody else can be there */
    zmq_close(gate->socket);
}

void
door_destroy(struct door *door)
{
    if (door == NULL)
        return;
    socket_forget(&door->message);
    for (size_t i = 0; i < door->gate_count; i++)
        close_gate(&door->gates[i]);
    crowd_destroy(door->crowd);
    zap_destroy(door->zap);
    if (door->context != NULL)
        zmq_ctx_term(door->context);
    free(door);
}

size_t
door_address_count(const struct door *door)
{
    return door->gate_count;
}

const char *
door_address(const struct door *door, size_t index)
{
    assert(index < door->gate_count);
    return door->gates[index].address;
}

uint64_t
door_refused(const struct door *door)
{
    return zap_refused(door->zap);
}

bool
door_is_crowded(const struct door *door)
{
    return crowd_is_shut(door->crowd);
}

/* One that a client chose is long enough that nobody guesses it. ZeroMQ's own are a zero
 * and four bytes. */
static bool
is_identity(struct slice identity)
{
    if (identity.length == 5 && identity.data[0] == 0)
        return true;
    return identity.length >= DOOR_IDENTITY_BYTES_MIN &&
           identity.length <= WIRE_IDENTITY_BYTES_MAX;
}

static bool
name_user(struct door *door, zmq_msg_t *part)
{
    const char *peer = zmq_msg_gets(part, "Peer-Address");
    struct ipc_peer who;

    if (peer == NULL || !ipc_read_peer(&who, slice_text(peer)) || who.uid != door->uid)
        return false;
    snprintf(door->owner, sizeof door->owner, "uid:%u", (unsigned)who.uid);
    return true;
}

/* Looked up again for each message: keys are taken away. */
static bool
name_key(struct door *door, zmq_msg_t *part)
{
    const char *text = zmq_msg_gets(part, "User-Id");
    unsigned char key[KEYS_BINARY_BYTES];
    const char *name;

    if (text == NULL || strlen(text) != KEYS_TEXT_BYTES - 1 ||
        zmq_z85_decode(key, text) == NULL)
        return false;
    name = keys_name(door->keys, key);
    if (name == NULL)
        return false;
    snprintf(door->owner, sizeof door->owner, "%s%s", OWNER_KEY, name);
    return true;
}

/* Where the message has been looked for before it is received, as a send to a client that
 * has gone does, ZeroMQ 4.3.4 says of the identity no more whose it is; of the frames
 * behind it, it does. */
static bool
name_owner(struct door *door, enum gate_kind kind)
{
    zmq_msg_t *part = &door->parts[door->message.count > 1 ? 1 : 0];

    switch (kind) {
    case GATE_IPC:
        return name_user(door, part);
    case GATE_CURVE:
        return name_key(door, part);
    case GATE_OPEN:
        memcpy(door->owner, OWNER_ANYONE, sizeof OWNER_ANYONE);
        return true;
    }
    return false;
}

static int
receive_at(struct door *door, unsigned index, struct door_message *ret)
{
    struct gate *gate = &door->gates[index];
    int r = socket_receive(gate->socket, &door->message);

    gate->quiet = r == SOCKET_E_AGAIN;
    if (r == SOCKET_E_AGAIN)
        return DOOR_E_AGAIN;
    if (r != 0)
        return r < 0 ? r : DOOR_E_TOO_LARGE;
    if (!is_identity(door->frames[0]) || !name_owner(door, gate->kind))
        return DOOR_E_STRANGER;
    *ret = (struct door_message){
        .frames = door->frames,
        .count = door->message.count,
        .owner = door->owner,
        .socket = index,
    };
    return 0;
}

int
door_receive(struct door *door, struct door_message *ret)
{
    for (size_t i = 0; i < door->gate_count; i++) {
        unsigned index = (unsigned)door->turn;
        int r;

        door->turn = (door->turn + 1) % door->gate_count;
        if (door->gates[index].quiet)
            continue;
        r = receive_at(door, index, ret);
        if (r != DOOR_E_AGAIN)
            return r;
    }
    return DOOR_E_AGAIN;
}

bool
door_is_quiet(const struct door *door)
{
    for (size_t i = 0; i < door->gate_count; i++) {
        if (!door->gates[i].quiet)
            return false;
    }
    return true;
}

int
door_send(struct door *door, unsigned socket, const struct slice *frames, size_t count)
{
    int r;

    assert(socket < door->gate_count);
    door->gates[socket].quiet = false;
    r = socket_send(door->gates[socket].socket, frames, count);
    if (r == SOCKET_E_AGAIN)
        return DOOR_E_AGAIN;
    return r == SOCKET_E_GONE ? DOOR_E_GONE : r;
}

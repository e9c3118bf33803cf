/* SPDX-License-Identifier: MIT */
/*
 * Socket options are rows of one table, each with its reason.
 *
 * ZeroMQ's fd of a socket has an edge when its mailbox gets something to read after it
 * was found empty, and whatever looks into the mailbox takes in all of it: a receive that
 * finds no message, but a send now and then, too. So after a send a message may be there
 * without another edge. A receive that finds none leaves the mailbox empty: then the next
 * message has its edge for certain.
 */
#include "kernel/endpoint.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/wire.h"

#define CHANNEL(port) (1u << (port))
#define ROUTERS                                                                          \
    (CHANNEL(CONNECTION_SHELL) | CHANNEL(CONNECTION_STDIN) | CHANNEL(CONNECTION_CONTROL))
#define HEARTBEAT CHANNEL(CONNECTION_HB)
#define IOPUB CHANNEL(CONNECTION_IOPUB)
#define ALL (ROUTERS | HEARTBEAT | IOPUB)

static const int socket_types[CONNECTION_PORTS] = {
    [CONNECTION_SHELL] = ZMQ_ROUTER, [CONNECTION_IOPUB] = ZMQ_XPUB,
    [CONNECTION_STDIN] = ZMQ_ROUTER, [CONNECTION_CONTROL] = ZMQ_ROUTER,
    [CONNECTION_HB] = ZMQ_ROUTER, /* an echo by hand: a REP would hold one peer at a time
                                   */
};

static const struct option {
    int name;
    int value;
    unsigned channels;
} options[] = {
    /* What was said last still goes out. */
    { ZMQ_LINGER, ENDPOINT_LINGER_MS, ALL },
    /* A client that comes back under its old identity gets its replies. */
    { ZMQ_ROUTER_HANDOVER, 1, ROUTERS },
    /* A reply that cannot be delivered is told to us, and so can be counted. */
    { ZMQ_ROUTER_MANDATORY, 1, ROUTERS },
    { ZMQ_SNDHWM, ENDPOINT_REPLIES_MAX, ROUTERS },
    { ZMQ_RCVHWM, ENDPOINT_REQUESTS_MAX, ROUTERS | HEARTBEAT },
    { ZMQ_SNDHWM, ENDPOINT_REQUESTS_MAX, HEARTBEAT },
    /* Each subscription is told to us and waits for endpoint_subscribe. */
    { ZMQ_XPUB_MANUAL, 1, IOPUB },
    /* No room is told to us, instead of losing output in silence. */
    { ZMQ_XPUB_NODROP, 1, IOPUB },
    { ZMQ_SNDHWM, ENDPOINT_IOPUB_MAX, IOPUB },
};

/* ZeroMQ checks each frame before it has memory for it. */
static const struct {
    int64_t bytes;
    unsigned channels;
} frame_limits[] = {
    { (int64_t)WIRE_MESSAGE_BYTES_MAX, ROUTERS },
    { ENDPOINT_HEARTBEAT_BYTES_MAX, HEARTBEAT },
    { ENDPOINT_TOPIC_BYTES_MAX, IOPUB },
};

/* A socket of ipc is a file, which ZeroMQ leaves behind. */
struct file {
    char path[CONNECTION_ENDPOINT_BYTES]; /* empty: none */
    dev_t device;
    ino_t inode;
};

struct watch {
    struct loop_source *source; /* owned; NULL: not watched */
    bool quiet;
};

struct endpoint {
    void *context; /* owned */
    struct watch watches[CONNECTION_PORTS]; /* owned */
    struct file files[CONNECTION_PORTS]; /* owned */
    void *sockets[CONNECTION_PORTS]; /* owned */
    zmq_msg_t parts[WIRE_FRAMES_MAX]; /* owned: of the message received last */
    struct slice frames[WIRE_FRAMES_MAX]; /* the bytes of PARTS */
    size_t count;
};

CLEANUP_DEFINE(struct endpoint, endpoint_destroy);

static int
set(void *socket, int option, const void *value, size_t length)
{
    return zmq_setsockopt(socket, option, value, length) == 0 ? 0 : -errno;
}

static int
set_int(void *socket, int option, int value)
{
    return set(socket, option, &value, sizeof value);
}

static int
configure(void *socket, enum connection_port channel, const struct connection *connection)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(options); i++) {
        if ((options[i].channels & CHANNEL(channel)) != 0)
            r = set_int(socket, options[i].name, options[i].value);
    }
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(frame_limits); i++) {
        if ((frame_limits[i].channels & CHANNEL(channel)) != 0)
            r = set(socket, ZMQ_MAXMSGSIZE, &frame_limits[i].bytes, sizeof(int64_t));
    }
    if (r == 0 && strchr(connection->ip, ':') != NULL && !connection->ipc)
        r = set_int(socket, ZMQ_IPV6, 1);
    if (r < 0 || !connection->curve)
        return r;
    r = set_int(socket, ZMQ_CURVE_SERVER, 1);
    if (r == 0)
        r = set(socket, ZMQ_CURVE_PUBLICKEY, connection->curve_public_key,
                CONNECTION_CURVE_BYTES);
    if (r == 0)
        r = set(socket, ZMQ_CURVE_SECRETKEY, connection->curve_secret_key,
                CONNECTION_CURVE_BYTES);
    return r;
}

/* The port that a bind to port 0 has chosen. */
static int
learn_port(void *socket, struct connection *connection, enum connection_port channel)
{
    char bound[CONNECTION_ENDPOINT_BYTES];
    size_t length = sizeof bound;
    const char *colon;
    long port;

    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &length) != 0)
        return -errno;
    colon = strrchr(bound, ':');
    port = colon != NULL ? strtol(colon + 1, NULL, 10) : 0;
    if (port <= 0 || port > UINT16_MAX)
        return -EADDRNOTAVAIL;
    return connection_set_port(connection, channel, (uint16_t)port);
}

static void
remember_file(struct file *file, const char *address)
{
    struct stat st;

    snprintf(file->path, sizeof file->path, "%s", address + strlen("ipc://"));
    if (stat(file->path, &st) < 0) {
        file->path[0] = '\0';
        return;
    }
    file->device = st.st_dev;
    file->inode = st.st_ino;
}

/* Unless somebody else has taken its place, as a kernel that is started again would. */
static void
remove_file(const struct file *file)
{
    struct stat st;

    if (file->path[0] != '\0' && stat(file->path, &st) == 0 &&
        st.st_dev == file->device && st.st_ino == file->inode)
        unlink(file->path);
}

static int
bind_socket(struct endpoint *endpoint, struct connection *connection,
            enum connection_port channel, struct error *err)
{
    char address[CONNECTION_ENDPOINT_BYTES];
    void *socket = zmq_socket(endpoint->context, socket_types[channel]);
    int r;

    if (socket == NULL)
        return error_errno(err, "zmq_socket");
    endpoint->sockets[channel] = socket;
    r = configure(socket, channel, connection);
    if (r < 0)
        return error_set(err, r, "configuring the %s socket: %s",
                         connection_port_name(channel), zmq_strerror(-r));
    if (connection->ipc && connection->ports[channel] == 0) {
        r = connection_set_port(connection, channel, (uint16_t)(channel + 1));
        if (r < 0)
            return r;
    }
    if (connection_endpoint(connection, channel, address, err) != 0)
        return ENDPOINT_E_BIND;
    if (zmq_bind(socket, address) != 0)
        return error_set(err, ENDPOINT_E_BIND, "cannot bind the %s socket to %s: %s",
                         connection_port_name(channel), address, zmq_strerror(errno));
    if (connection->ipc)
        remember_file(&endpoint->files[channel], address);
    return connection->ports[channel] == 0 ? learn_port(socket, connection, channel) : 0;
}

int
endpoint_create(struct endpoint **ret, struct connection *connection, struct error *err)
{
    CLEANUP(endpoint_destroyp) struct endpoint *endpoint = calloc(1, sizeof *endpoint);

    if (endpoint == NULL)
        return -ENOMEM;
    endpoint->context = zmq_ctx_new();
    if (endpoint->context == NULL)
        return error_errno(err, "zmq_ctx_new");
    for (int channel = 0; channel < CONNECTION_PORTS; channel++) {
        int r = bind_socket(endpoint, connection, (enum connection_port)channel, err);

        if (r != 0)
            return r;
    }
    *ret = endpoint;
    endpoint = NULL;
    return 0;
}

static void
forget_parts(struct endpoint *endpoint)
{
    while (endpoint->count > 0)
        zmq_msg_close(&endpoint->parts[--endpoint->count]);
}

void
endpoint_set_linger(struct endpoint *endpoint, int linger_ms)
{
    for (int channel = 0; channel < CONNECTION_PORTS; channel++)
        set_int(endpoint->sockets[channel], ZMQ_LINGER, linger_ms); /* of a live one */
}

void
endpoint_destroy(struct endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    forget_parts(endpoint);
    for (int channel = 0; channel < CONNECTION_PORTS; channel++) {
        loop_source_destroy(endpoint->watches[channel].source);
        if (endpoint->sockets[channel] != NULL)
            zmq_close(endpoint->sockets[channel]);
        remove_file(&endpoint->files[channel]);
    }
    if (endpoint->context != NULL)
        zmq_ctx_term(endpoint->context);
    free(endpoint);
}

static int
on_edge(int fd, uint32_t events, void *arg)
{
    struct watch *watch = arg;

    (void)fd, (void)events;
    watch->quiet = false;
    return 0;
}

int
endpoint_watch(struct endpoint *endpoint, struct loop *loop)
{
    int r = 0;

    for (int channel = 0; r == 0 && channel < CONNECTION_PORTS; channel++) {
        struct watch *watch = &endpoint->watches[channel];
        size_t size = sizeof(int);
        int fd;

        if (zmq_getsockopt(endpoint->sockets[channel], ZMQ_FD, &fd, &size) != 0)
            return -errno;
        r = loop_add_fd(&watch->source, loop, fd, EPOLLIN | EPOLLET, on_edge, watch);
    }
    return r;
}

bool
endpoint_is_quiet(const struct endpoint *endpoint, enum connection_port channel)
{
    return endpoint->watches[channel].quiet;
}

static int
receive_part(void *socket, zmq_msg_t *ret)
{
    int r;

    zmq_msg_init(ret);
    do {
        r = zmq_msg_recv(ret, socket, ZMQ_DONTWAIT);
    } while (r < 0 && errno == EINTR);
    if (r >= 0)
        return 0;
    r = errno == EAGAIN ? ENDPOINT_E_AGAIN : -errno;
    zmq_msg_close(ret);
    return r;
}

/* The rest of a message that is too large. */
static int
skip_parts(void *socket)
{
    bool more = true;

    while (more) {
        zmq_msg_t part;
        int r = receive_part(socket, &part);

        if (r != 0)
            return r < 0 ? r : -EPROTO; /* ZeroMQ gives whole messages */
        more = zmq_msg_more(&part);
        zmq_msg_close(&part);
    }
    return ENDPOINT_E_TOO_LARGE;
}

int
endpoint_receive(struct endpoint *endpoint, enum connection_port channel,
                 const struct slice **ret, size_t *ret_count)
{
    void *socket = endpoint->sockets[channel];
    size_t bytes = 0;
    bool more = true;

    forget_parts(endpoint);
    while (more) {
        zmq_msg_t *part = &endpoint->parts[endpoint->count];
        int r = receive_part(socket, part);

        if (r != 0) {
            endpoint->watches[channel].quiet = r == ENDPOINT_E_AGAIN;
            return r;
        }
        endpoint->frames[endpoint->count++] =
            (struct slice){ zmq_msg_data(part), zmq_msg_size(part) };
        bytes += zmq_msg_size(part);
        more = zmq_msg_more(part);
        if (bytes > WIRE_MESSAGE_BYTES_MAX ||
            (more && endpoint->count == WIRE_FRAMES_MAX))
            return more ? skip_parts(socket) : ENDPOINT_E_TOO_LARGE;
    }
    *ret = endpoint->frames;
    *ret_count = endpoint->count;
    return 0;
}

int
endpoint_subscribe(struct endpoint *endpoint, struct slice topic, bool subscribed)
{
    int r = set(endpoint->sockets[CONNECTION_IOPUB],
                subscribed ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, topic.data, topic.length);

    /* It has gone meanwhile, or was never subscribed. */
    return r == -EINVAL ? 0 : r;
}

static int
send_part(void *socket, struct slice part, bool more)
{
    int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0), r;

    do {
        r = zmq_send(socket, part.data, part.length, flags);
    } while (r < 0 && errno == EINTR);
    return r >= 0 ? 0 : -errno;
}

/* A peer may have come of which the socket has not taken notice yet: a send looks for
 * that only now and then, the question for events always. */
static int
send_first(void *socket, struct slice part, bool more)
{
    int events, r = send_part(socket, part, more);
    size_t size = sizeof events;

    if (r != -EHOSTUNREACH || zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) != 0)
        return r;
    return send_part(socket, part, more);
}

int
endpoint_send(struct endpoint *endpoint, enum connection_port channel,
              const struct slice *frames, size_t count)
{
    void *socket = endpoint->sockets[channel];

    assert(count > 0);
    endpoint->watches[channel].quiet = false;
    for (size_t i = 0; i < count; i++) {
        int r = i == 0 ? send_first(socket, frames[i], i + 1 < count)
                       : send_part(socket, frames[i], i + 1 < count);

        /* Only the first frame can be refused: it decides where the others go. */
        if (i == 0 && r == -EAGAIN)
            return ENDPOINT_E_AGAIN;
        if (i == 0 && r == -EHOSTUNREACH)
            return ENDPOINT_E_GONE;
        if (r < 0)
            return r;
    }
    return 0;
}

int
endpoint_send_lossy(struct endpoint *endpoint, const struct slice *frames, size_t count)
{
    void *socket = endpoint->sockets[CONNECTION_IOPUB];
    int r = set_int(socket, ZMQ_XPUB_NODROP, 0);

    if (r < 0)
        return r;
    r = endpoint_send(endpoint, CONNECTION_IOPUB, frames, count);
    if (r < 0)
        return r;
    return set_int(socket, ZMQ_XPUB_NODROP, 1);
}

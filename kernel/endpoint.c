/* SPDX-License-Identifier: MIT */
/* Socket options are rows of one table, each with its reason. */
#include "kernel/endpoint.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "kernel/socket.h"
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
    zmq_msg_t parts[WIRE_FRAMES_MAX]; /* of the message */
    struct slice frames[WIRE_FRAMES_MAX]; /* likewise */
    struct socket_message message; /* owned: the one received last */
};

CLEANUP_DEFINE(struct endpoint, endpoint_destroy);

static int
configure(void *socket, enum connection_port channel, const struct connection *connection)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(options); i++) {
        if ((options[i].channels & CHANNEL(channel)) != 0)
            r = socket_set_int(socket, options[i].name, options[i].value);
    }
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(frame_limits); i++) {
        if ((frame_limits[i].channels & CHANNEL(channel)) != 0)
            r = socket_set(socket, ZMQ_MAXMSGSIZE, &frame_limits[i].bytes,
                           sizeof(int64_t));
    }
    if (r == 0 && strchr(connection->ip, ':') != NULL && !connection->ipc)
        r = socket_set_int(socket, ZMQ_IPV6, 1);
    if (r < 0 || !connection->curve)
        return r;
    r = socket_set_int(socket, ZMQ_CURVE_SERVER, 1);
    if (r == 0)
        r = socket_set(socket, ZMQ_CURVE_PUBLICKEY, connection->curve_public_key,
                       CONNECTION_CURVE_BYTES);
    if (r == 0)
        r = socket_set(socket, ZMQ_CURVE_SECRETKEY, connection->curve_secret_key,
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
    endpoint->message = (struct socket_message){ .parts = endpoint->parts,
                                                 .frames = endpoint->frames,
                                                 .capacity = WIRE_FRAMES_MAX,
                                                 .bytes_max = WIRE_MESSAGE_BYTES_MAX };
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

void
endpoint_set_linger(struct endpoint *endpoint, int linger_ms)
{
    for (int channel = 0; channel < CONNECTION_PORTS; channel++)
        socket_set_int(endpoint->sockets[channel], ZMQ_LINGER,
                       linger_ms); /* of a live one */
}

void
endpoint_destroy(struct endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    socket_forget(&endpoint->message);
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

        r = socket_watch(&watch->source, endpoint->sockets[channel], loop, on_edge,
                         watch);
    }
    return r;
}

bool
endpoint_is_quiet(const struct endpoint *endpoint, enum connection_port channel)
{
    return endpoint->watches[channel].quiet;
}

int
endpoint_receive(struct endpoint *endpoint, enum connection_port channel,
                 const struct slice **ret, size_t *ret_count)
{
    struct socket_message *message = &endpoint->message;
    int r = socket_receive(endpoint->sockets[channel], message);

    endpoint->watches[channel].quiet = r == ENDPOINT_E_AGAIN;
    *ret = message->frames;
    *ret_count = message->count;
    return r;
}

int
endpoint_subscribe(struct endpoint *endpoint, struct slice topic, bool subscribed)
{
    int r = socket_set(endpoint->sockets[CONNECTION_IOPUB],
                       subscribed ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, topic.data,
                       topic.length);

    /* It has gone meanwhile, or was never subscribed. */
    return r == -EINVAL ? 0 : r;
}

int
endpoint_send(struct endpoint *endpoint, enum connection_port channel,
              const struct slice *frames, size_t count)
{
    endpoint->watches[channel].quiet = false;
    return socket_send(endpoint->sockets[channel], frames, count);
}

int
endpoint_send_lossy(struct endpoint *endpoint, const struct slice *frames, size_t count)
{
    void *socket = endpoint->sockets[CONNECTION_IOPUB];
    int r = socket_set_int(socket, ZMQ_XPUB_NODROP, 0);

    if (r < 0)
        return r;
    r = endpoint_send(endpoint, CONNECTION_IOPUB, frames, count);
    if (r < 0)
        return r;
    return socket_set_int(socket, ZMQ_XPUB_NODROP, 1);
}

/* SPDX-License-Identifier: MIT */
/*
 * Owns the listening socket, the connections, and the orders that have no answer yet.
 * Nothing waits for a client: one that does not read its answers loses its connection.
 */
#include "contexts/hosting.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "contexts/processes.h"
#include "contexts/remote.h"
#include "contexts/sandbox/passing.h"
#include "contexts/spawner.h"
#include "contexts/wish.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define BACKLOG 64
#define REST_US 100000 /* before it accepts again, when there was no fd */

/* A request without an answer. */
struct pending {
    struct pending *next;
    struct connection *connection; /* borrowed */
    uint8_t id[REMOTE_ID_BYTES]; /* the client's */
    struct spawner_order *order; /* owned */
};

struct connection {
    struct connection *next;
    struct hosting *hosting; /* borrowed */
    int socket; /* owned */
    struct loop_source *source; /* owned */
    struct pending *pending; /* owned */
    size_t pending_count;
};

struct hosting {
    struct loop *loop; /* borrowed */
    struct spawner *spawner; /* borrowed */
    int socket; /* owned */
    struct loop_source *source; /* owned */
    struct loop_timer *rest; /* owned */
    struct connection *connections; /* owned */
    size_t connection_count;
    uint8_t packet[REMOTE_REQUEST_BYTES_MAX];
};

CLEANUP_DEFINE(struct hosting, hosting_destroy);

static void
connection_destroy(struct connection *connection)
{
    struct pending *pending;

    if (connection == NULL)
        return;
    while ((pending = connection->pending) != NULL) {
        connection->pending = pending->next;
        spawner_cancel(pending->order);
        free(pending);
    }
    loop_source_destroy(connection->source);
    close_fdp(&connection->socket);
    free(connection);
}

CLEANUP_DEFINE(struct connection, connection_destroy);

/* Ends it and all that it waits for. */
static void
drop(struct connection *connection)
{
    struct hosting *hosting = connection->hosting;
    struct connection **at = &hosting->connections;

    while (*at != connection)
        at = &(*at)->next;
    *at = connection->next;
    hosting->connection_count--;
    connection_destroy(connection);
}

static int
send_answer(const struct connection *connection, const uint8_t *id, int result,
            const char *text, const int *fds, size_t fd_count)
{
    uint8_t head[REMOTE_HEAD_BYTES];

    memcpy(head, id, REMOTE_ID_BYTES);
    remote_put(head + REMOTE_ID_BYTES, (uint32_t)result, REMOTE_LENGTH_BYTES);
    return passing_send(connection->socket,
                        (struct slice){ .data = head, .length = sizeof head },
                        slice_text(text), fds, fd_count, MSG_DONTWAIT);
}

/* A client that was not told would wait for ever: it must find the end instead. */
static void
refuse(struct connection *connection, const uint8_t *id, int result, const char *text)
{
    if (send_answer(connection, id, result, text, NULL, 0) < 0)
        drop(connection);
}

static void
forget(struct pending *pending)
{
    struct pending **at = &pending->connection->pending;

    while (*at != pending)
        at = &(*at)->next;
    *at = pending->next;
    pending->connection->pending_count--;
    free(pending);
}

/* The spawner closes our copies of the fds; the child lives on if the client has its own.
 */
static int
on_done(struct spawner_child *child, const struct error *err, void *arg)
{
    struct pending *pending = arg;
    struct connection *connection = pending->connection;
    uint8_t id[REMOTE_ID_BYTES];
    int r;

    memcpy(id, pending->id, sizeof id);
    forget(pending);
    if (child == NULL) {
        refuse(connection, id, err->code, err->text);
        return 0;
    }
    int fds[REMOTE_FDS_MAX] = {
        [REMOTE_FD_INIT] = child->init_pidfd, [REMOTE_FD_CONTROL] = child->control,
        [REMOTE_FD_OUT] = child->out,         [REMOTE_FD_ERR] = child->err,
        [REMOTE_FD_CHANNEL] = child->channel,
    };

    memcpy(&fds[REMOTE_FD_COUNT], child->group.dirs,
           child->group.count * sizeof *child->group.dirs);
    r = send_answer(connection, id, 0, "", fds, REMOTE_FD_COUNT + child->group.count);
    if (r == -ETOOMANYREFS)
        refuse(connection, id, SPAWNER_E_FULL,
               "too many files of this user are on their way");
    else if (r < 0)
        drop(connection);
    return 0;
}

/* 0, or why there will be no child. */
static int
ask(struct pending *pending, struct slice bytes, size_t first_length, struct error *err)
{
    struct wish_copy copy;
    int r = wish_copy_init(&copy, bytes, first_length, err);

    if (r != 0)
        return r < 0 ? r : SPAWNER_E_SPEC;
    if (sandbox_spec_workspace(copy.wish.spec) != 0)
        r = error_set(err, SPAWNER_E_SPEC, "the workspaces here are not this program's");
    else
        r = spawner_spawn(&pending->order, pending->connection->hosting->spawner,
                          &copy.wish, on_done, pending, err);
    wish_copy_fini(&copy);
    return r;
}

static void
take_request(struct connection *connection, struct slice packet)
{
    size_t first_length =
        (size_t)remote_get(packet.data + REMOTE_ID_BYTES, REMOTE_LENGTH_BYTES);
    struct slice bytes = { packet.data + REMOTE_HEAD_BYTES,
                           packet.length - REMOTE_HEAD_BYTES };
    struct pending *pending;
    struct error err = { 0 };
    int r;

    if (connection->pending_count >= REMOTE_PENDING_MAX) {
        refuse(connection, packet.data, SPAWNER_E_FULL, "too many requests wait");
        return;
    }
    pending = calloc(1, sizeof *pending);
    if (pending == NULL) {
        refuse(connection, packet.data, -ENOMEM, strerror(ENOMEM));
        return;
    }
    pending->connection = connection;
    memcpy(pending->id, packet.data, sizeof pending->id);
    r = ask(pending, bytes, first_length, &err);
    if (r != 0) { /* one child that cannot be had, even for want of memory, is no more */
        free(pending);
        error_set(&err, r, "%s", strerror(r < 0 ? -r : EIO));
        refuse(connection, packet.data, r, err.text);
        return;
    }
    pending->next = connection->pending;
    connection->pending = pending;
    connection->pending_count++;
}

/* One packet a turn: no client starves others. */
static int
on_request(int fd, uint32_t events, void *arg)
{
    struct connection *connection = arg;
    struct hosting *hosting = connection->hosting;
    struct passing passing;
    bool is_request;
    int r = passing_receive(fd, hosting->packet, sizeof hosting->packet, MSG_DONTWAIT,
                            &passing);

    (void)events;
    if (r == -EAGAIN)
        return 0;
    if (r < 0) {
        drop(connection);
        return 0;
    }
    is_request = !passing.cut && !passing.fds_lost && passing.fd_count == 0 &&
                 passing.length >= REMOTE_HEAD_BYTES;
    passing_fini(&passing);
    if (is_request)
        take_request(connection, (struct slice){ hosting->packet, passing.length });
    else
        drop(connection); /* the end, too, is no request */
    return 0;
}

/* It must be the process that connected of which the namespaces were looked at: with its
 * pidfd there is no other of the same number; older kernels have only the number. */
static bool
is_alive(int socket, pid_t pid)
{
    CLEANUP(close_fdp) int pidfd = -1;
    socklen_t size = sizeof pidfd;
    struct pollfd entry = { .events = POLLIN };

    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0)
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    entry.fd = pidfd;
    return pidfd >= 0 && poll(&entry, 1, 0) == 0;
}

/* Root's power over a user's server, and a user's over root's, would be borrowed. And
 * what runs in a context may be this user's, too, and find the socket in the notebook's
 * directory, but it cannot leave its user namespace. */
static bool
is_trusted(int socket)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           peer.uid == geteuid() && processes_shares_users(peer.pid) &&
           is_alive(socket, peer.pid);
}

/* Takes SOCKET, even on failure. */
static int
connection_create(struct hosting *hosting, int socket)
{
    CLEANUP(connection_destroyp)
    struct connection *connection = calloc(1, sizeof *connection);
    int r;

    if (connection == NULL) {
        close(socket);
        return -ENOMEM;
    }
    connection->hosting = hosting;
    connection->socket = socket;
    r = loop_add_fd(&connection->source, hosting->loop, socket, EPOLLIN, on_request,
                    connection);
    if (r < 0)
        return r;
    connection->next = hosting->connections;
    hosting->connections = connection;
    hosting->connection_count++;
    connection = NULL;
    return 0;
}

static int
on_rest(void *arg)
{
    struct hosting *hosting = arg;

    return loop_source_set_events(hosting->source, EPOLLIN);
}

static int
on_connect(int fd, uint32_t events, void *arg)
{
    struct hosting *hosting = arg;
    int socket = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (socket < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
        loop_timer_arm(hosting->rest, REST_US);
        return loop_source_set_events(hosting->source, 0);
    }
    if (socket < 0)
        return 0; /* whoever it was has gone */
    if (hosting->connection_count >= HOSTING_CONNECTIONS_MAX || !is_trusted(socket)) {
        close(socket);
        return 0;
    }
    (void)connection_create(hosting, socket); /* it finds the end if there is no memory */
    return 0;
}

static int
open_socket(struct hosting *hosting, const char *address, struct error *err)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    if (strlen(address) >= sizeof name.sun_path)
        return error_set(err, HOSTING_E_ADDRESS,
                         "%s: longer than the %zu bytes that a socket's path may have",
                         address, sizeof name.sun_path - 1);
    strcpy(name.sun_path, address);
    hosting->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (hosting->socket < 0)
        return error_errno(err, "socket");
    if (fchmod(hosting->socket, 0600) < 0 || /* the file gets its mode */
        bind(hosting->socket, (struct sockaddr *)&name, sizeof name) < 0 ||
        listen(hosting->socket, BACKLOG) < 0)
        return error_set(err, HOSTING_E_ADDRESS, "listening at %s: %s", address,
                         strerror(errno));
    return 0;
}

int
hosting_create(struct hosting **ret, struct loop *loop, struct spawner *spawner,
               const char *address, struct error *err)
{
    CLEANUP(hosting_destroyp) struct hosting *hosting = calloc(1, sizeof *hosting);
    int r;

    if (hosting == NULL)
        return -ENOMEM;
    hosting->loop = loop;
    hosting->spawner = spawner;
    hosting->socket = -1;
    r = open_socket(hosting, address, err);
    if (r == 0)
        r = loop_add_fd(&hosting->source, loop, hosting->socket, EPOLLIN, on_connect,
                        hosting);
    if (r == 0)
        r = loop_add_timer(&hosting->rest, loop, on_rest, hosting);
    if (r != 0)
        return r;
    *ret = hosting;
    hosting = NULL;
    return 0;
}

void
hosting_destroy(struct hosting *hosting)
{
    if (hosting == NULL)
        return;
    while (hosting->connections != NULL)
        drop(hosting->connections);
    loop_source_destroy(hosting->source);
    loop_timer_destroy(hosting->rest);
    close_fdp(&hosting->socket);
    free(hosting);
}

/* SPDX-License-Identifier: MIT */
#include "contexts/remote.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "contexts/sandbox/passing.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define SOCKET_BYTES ((int)(4 * REMOTE_REQUEST_BYTES_MAX))
#define ANSWER_BYTES_MAX (REMOTE_HEAD_BYTES + ERROR_TEXT_BYTES)

struct request {
    struct request *next;
    uint64_t ticket;
    spawner_done_fn *fn;
    void *arg;
};

struct remote {
    int socket; /* owned; -1: not connected */
    struct loop *loop; /* borrowed; NULL: not attached */
    struct loop_source *source; /* owned; NULL: not attached or not connected */
    struct loop_timer *patience; /* owned: see the limits in the header */
    struct request *requests; /* owned */
    size_t count;
    uint64_t tickets; /* given so far */
};

void
remote_put(uint8_t *ret, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        ret[i] = (uint8_t)(value >> 8 * i);
}

uint64_t
remote_get(const uint8_t *data, int size)
{
    uint64_t value = 0;

    for (int i = 0; i < size; i++)
        value |= (uint64_t)data[i] << 8 * i;
    return value;
}

/* What somebody else has left at the address must not get our requests, with their fds'
 * worth of trust. */
static bool
is_same_user(int socket)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           peer.uid == geteuid();
}

static int
connect_to(int socket, const char *address, struct error *err)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    if (strlen(address) >= sizeof name.sun_path)
        return error_set(err, SPAWNER_E_GONE, "the address of the server is too long: %s",
                         address);
    strcpy(name.sun_path, address);
    if (connect(socket, (struct sockaddr *)&name, sizeof name) < 0)
        return error_set(err, SPAWNER_E_GONE, "no server at %s: %s", address,
                         strerror(errno));
    if (!is_same_user(socket))
        return error_set(err, SPAWNER_E_GONE, "the server at %s is of another user",
                         address);
    return 0;
}

int
remote_create(struct remote **ret)
{
    struct remote *remote = calloc(1, sizeof *remote);

    if (remote == NULL)
        return -ENOMEM;
    remote->socket = -1;
    *ret = remote;
    return 0;
}

static void
disconnect(struct remote *remote)
{
    loop_source_destroy(remote->source);
    remote->source = NULL;
    close_fdp(&remote->socket);
    remote->socket = -1;
}

void
remote_destroy(struct remote *remote)
{
    if (remote == NULL)
        return;
    while (remote->requests != NULL) {
        struct request *request = remote->requests;

        remote->requests = request->next;
        free(request);
    }
    loop_timer_destroy(remote->patience);
    disconnect(remote);
    free(remote);
}

static struct request *
take(struct remote *remote, uint64_t ticket)
{
    struct request **at = &remote->requests, *request;

    while (*at != NULL && (*at)->ticket != ticket)
        at = &(*at)->next;
    request = *at;
    if (request != NULL) {
        *at = request->next;
        remote->count--;
    }
    return request;
}

static const struct request *
find_until(const struct remote *remote, uint64_t last)
{
    const struct request *request = remote->requests;

    while (request != NULL && request->ticket > last)
        request = request->next;
    return request;
}

/* Who is told may ask anew, of another connection: the new ones are not told. */
static int
fail_all(struct remote *remote, const char *why)
{
    uint64_t last = remote->tickets;
    const struct request *found;
    struct error err = { 0 };
    int r = 0;

    disconnect(remote);
    loop_timer_disarm(remote->patience);
    error_set(&err, SPAWNER_E_GONE, "%s", why);
    while (r == 0 && (found = find_until(remote, last)) != NULL) {
        struct request *request = take(remote, found->ticket);

        r = request->fn(NULL, &err, request->arg);
        free(request);
    }
    return r;
}

static int
on_patience(void *arg)
{
    return fail_all(arg, "the server does not answer");
}

static void
be_patient(struct remote *remote)
{
    loop_timer_arm(remote->patience,
                   (remote->count > 0 ? REMOTE_SILENT_MS : REMOTE_IDLE_MS) *
                       UINT64_C(1000));
}

/* One for each answer, asked for still or not: what nobody keeps is closed, and ends. */
static int
tell(struct request *request, const uint8_t *packet, struct passing *passing)
{
    int32_t result = (int32_t)remote_get(packet + REMOTE_ID_BYTES, REMOTE_LENGTH_BYTES);
    struct error err = { 0 };

    if (result == 0 && passing->fd_count >= REMOTE_FD_COUNT &&
        passing->fd_count <= REMOTE_FDS_MAX) {
        struct spawner_child child = {
            .init_pidfd = passing->fds[REMOTE_FD_INIT],
            .control = passing->fds[REMOTE_FD_CONTROL],
            .out = passing->fds[REMOTE_FD_OUT],
            .err = passing->fds[REMOTE_FD_ERR],
            .channel = passing->fds[REMOTE_FD_CHANNEL],
            .group.count = passing->fd_count - REMOTE_FD_COUNT,
        };
        int r;

        memcpy(child.group.dirs, &passing->fds[REMOTE_FD_COUNT],
               child.group.count * sizeof *child.group.dirs);
        passing->fd_count = 0;
        r = request->fn(&child, NULL, request->arg);
        spawner_child_fini(&child);
        return r;
    }
    if (result == 0)
        error_set(&err, -EMFILE, "too many open files");
    else
        error_set(&err, result, "%.*s", (int)(passing->length - REMOTE_HEAD_BYTES),
                  (const char *)packet + REMOTE_HEAD_BYTES);
    return request->fn(NULL, &err, request->arg);
}

static int
on_answer(int fd, uint32_t events, void *arg)
{
    struct remote *remote = arg;
    uint8_t packet[ANSWER_BYTES_MAX];
    struct passing passing;
    struct request *request;
    int r = passing_receive(fd, packet, sizeof packet, MSG_DONTWAIT, &passing);

    (void)events;
    if (r == -EAGAIN)
        return 0;
    if (r < 0)
        return fail_all(remote, "the server has ended");
    if (passing.cut || passing.length < REMOTE_HEAD_BYTES) {
        passing_fini(&passing);
        return fail_all(remote, "the server has ended");
    }
    request = take(remote, remote_get(packet, REMOTE_ID_BYTES));
    be_patient(remote);
    r = request == NULL ? 0 : tell(request, packet, &passing);
    free(request);
    passing_fini(&passing);
    return r;
}

static int
listen_to(struct remote *remote)
{
    int r = loop_add_fd(&remote->source, remote->loop, remote->socket, EPOLLIN, on_answer,
                        remote);

    if (r == 0)
        be_patient(remote);
    return r;
}

int
remote_attach(struct remote *remote, struct loop *loop)
{
    int r;

    assert(remote->loop == NULL);
    remote->loop = loop;
    r = loop_add_timer(&remote->patience, loop, on_patience, remote);
    return r == 0 && remote->socket >= 0 ? listen_to(remote) : r;
}

/* Without blocking: a server that does not accept would hold up everybody else. */
int
remote_connect(struct remote *remote, const char *address, struct error *err)
{
    int bytes = SOCKET_BYTES, r;

    assert(remote->socket < 0);
    remote->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (remote->socket < 0)
        return error_errno(err, "socket");
    if (setsockopt(remote->socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(remote->socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    r = connect_to(remote->socket, address, err);
    if (r == 0 && remote->loop != NULL)
        r = listen_to(remote);
    if (r != 0)
        disconnect(remote);
    return r;
}

bool
remote_is_connected(const struct remote *remote)
{
    return remote->socket >= 0;
}

bool
remote_drop(struct remote *remote)
{
    if (remote->count > 0)
        return false;
    disconnect(remote);
    return true;
}

static int
send_request(const struct remote *remote, const struct wish *wish, uint64_t ticket,
             struct error *err)
{
    uint8_t head[REMOTE_HEAD_BYTES];
    int r;

    remote_put(head, ticket, REMOTE_ID_BYTES);
    remote_put(head + REMOTE_ID_BYTES, wish->first_length, REMOTE_LENGTH_BYTES);
    r = passing_send(remote->socket,
                     (struct slice){ .data = head, .length = sizeof head },
                     buffer_slice(&wish->bytes), NULL, 0, MSG_DONTWAIT);
    if (r == -EAGAIN)
        return error_set(err, SPAWNER_E_FULL, "the server does not keep up");
    return r == 0 ? 0
                  : error_set(err, SPAWNER_E_GONE, "asking the server: %s", strerror(-r));
}

int
remote_spawn(struct remote *remote, const struct wish *wish, spawner_done_fn *fn,
             void *arg, uint64_t *ret_ticket, struct error *err)
{
    struct request *request;
    int r;

    assert(remote->loop != NULL);
    if (remote->source == NULL)
        return error_set(err, SPAWNER_E_GONE, "the server has ended");
    if (remote->count >= REMOTE_PENDING_MAX)
        return error_set(err, SPAWNER_E_FULL, "%d contexts are being started already",
                         REMOTE_PENDING_MAX);
    request = malloc(sizeof *request);
    if (request == NULL)
        return -ENOMEM;
    *request = (struct request){
        .next = remote->requests, .ticket = ++remote->tickets, .fn = fn, .arg = arg
    };
    r = send_request(remote, wish, request->ticket, err);
    if (r != 0) {
        free(request);
        return r;
    }
    remote->requests = request;
    remote->count++;
    be_patient(remote);
    *ret_ticket = request->ticket;
    return 0;
}

void
remote_cancel(struct remote *remote, uint64_t ticket)
{
    free(take(remote, ticket));
}

/* SPDX-License-Identifier: MIT */
#include "kernel/socket.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>

int
socket_set(void *socket, int option, const void *value, size_t length)
{
    return zmq_setsockopt(socket, option, value, length) == 0 ? 0 : -errno;
}

int
socket_set_int(void *socket, int option, int value)
{
    return socket_set(socket, option, &value, sizeof value);
}

int
socket_watch(struct loop_source **ret, void *socket, struct loop *loop, loop_fd_fn *fn,
             void *arg)
{
    size_t size = sizeof(int);
    int fd;

    if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) != 0)
        return -errno;
    return loop_add_fd(ret, loop, fd, EPOLLIN | EPOLLET, fn, arg);
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
    r = errno == EAGAIN ? SOCKET_E_AGAIN : -errno;
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
    return SOCKET_E_TOO_LARGE;
}

int
socket_receive(void *socket, struct socket_message *message)
{
    size_t bytes = 0;
    bool more = true;

    socket_forget(message);
    while (more) {
        zmq_msg_t *part = &message->parts[message->count];
        int r = receive_part(socket, part);

        if (r != 0)
            return r;
        message->frames[message->count++] =
            (struct slice){ zmq_msg_data(part), zmq_msg_size(part) };
        bytes += zmq_msg_size(part);
        more = zmq_msg_more(part);
        if (bytes > message->bytes_max || (more && message->count == message->capacity))
            return more ? skip_parts(socket) : SOCKET_E_TOO_LARGE;
    }
    return 0;
}

void
socket_forget(struct socket_message *message)
{
    while (message->count > 0)
        zmq_msg_close(&message->parts[--message->count]);
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
socket_send(void *socket, const struct slice *frames, size_t count)
{
    assert(count > 0);
    for (size_t i = 0; i < count; i++) {
        int r = i == 0 ? send_first(socket, frames[i], i + 1 < count)
                       : send_part(socket, frames[i], i + 1 < count);

        /* Only the first frame can be refused: it decides where the others go. */
        if (i == 0 && r == -EAGAIN)
            return SOCKET_E_AGAIN;
        if (i == 0 && r == -EHOSTUNREACH)
            return SOCKET_E_GONE;
        if (r < 0)
            return r;
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Owns the socket and the frames under way in both directions. Does not know what frames
 * mean, nor when one is legal.
 */
#include "contexts/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

/* Younger than some C libraries that we build with. */
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

/* Room for the pidfd, and for fds that a runner tries to pass. */
#define ANCILLARY_BYTES 512

/* What a packet costs of a budget besides its bytes, so that tiny ones count. */
#define PACKET_COST 1024

/* One frame that was not yet sent whole. */
struct outgoing {
    struct outgoing *next;
    size_t sent;
    size_t length;
    uint8_t bytes[];
};

struct channel {
    struct loop *loop; /* borrowed */
    struct loop_source *source; /* owned; NULL: nothing to wait for */
    int fd; /* owned */
    channel_readable_fn *fn;
    void *arg;
    struct frame_reader reader;
    struct outgoing *first, **last; /* owned */
    size_t outgoing_count;
    int peer; /* owned: pidfd, or -1 */
    bool reading;
    bool expects_peer; /* until the first packet */
};

static void
set_size(int fd, int option, int forced)
{
    int bytes = CHANNEL_SOCKET_BYTES;

    /* The second is bounded by the system's limit; a smaller buffer is only slower. */
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) < 0)
        (void)setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
}

static void
set_flag(int fd, int option, int value)
{
    /* Kernels before 6.5 and 6.16 do without: see channel_take_peer, receive. */
    (void)setsockopt(fd, SOL_SOCKET, option, &value, sizeof value);
}

int
channel_pair(int *ret_ours, int *ret_theirs)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        set_size(ends[i], SO_SNDBUF, SO_SNDBUFFORCE);
    set_flag(ends[0], SO_PASSRIGHTS, 0);
    set_flag(ends[0], SO_PASSPIDFD, 1);
    *ret_ours = ends[0];
    *ret_theirs = ends[1];
    return 0;
}

int
channel_create(struct channel **ret, struct loop *loop, int fd, channel_readable_fn *fn,
               void *arg)
{
    struct channel *channel = malloc(sizeof *channel);

    if (channel == NULL)
        return -ENOMEM;
    *channel = (struct channel){
        .loop = loop, .fd = fd, .fn = fn, .arg = arg, .peer = -1, .expects_peer = true
    };
    channel->last = &channel->first;
    frame_reader_init(&channel->reader, FRAME_FROM_RUNNER);
    *ret = channel;
    return 0;
}

static void
outgoing_drop_first(struct channel *channel)
{
    struct outgoing *first = channel->first;

    channel->first = first->next;
    if (channel->first == NULL)
        channel->last = &channel->first;
    channel->outgoing_count--;
    free(first);
}

void
channel_destroy(struct channel *channel)
{
    if (channel == NULL)
        return;
    loop_source_destroy(channel->source);
    while (channel->first != NULL)
        outgoing_drop_first(channel);
    if (channel->peer >= 0)
        close(channel->peer);
    frame_reader_fini(&channel->reader);
    close(channel->fd);
    free(channel);
}

void
channel_destroyp(struct channel **channel)
{
    channel_destroy(*channel);
}

/* Keeps the pidfd of the hello's sender and closes whatever else came along. */
static void
take_ancillary(struct channel *channel, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL;
         c = CMSG_NXTHDR(message, c)) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET ||
            (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != SCM_PIDFD))
            continue;
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (c->cmsg_type == SCM_PIDFD && channel->peer < 0)
                channel->peer = fd;
            else if (fd >= 0)
                close(fd);
        }
    }
}

/* One packet. A plain recv drops fds that are passed, where the kernel still lets them
 * be; only the first packet is looked at for its sender. */
static ssize_t
receive(struct channel *channel, uint8_t *packet, size_t size)
{
    _Alignas(struct cmsghdr) uint8_t ancillary[ANCILLARY_BYTES];
    struct iovec iov = { .iov_base = packet, .iov_len = size };
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = ancillary,
        .msg_controllen = sizeof ancillary,
    };
    ssize_t n;

    if (!channel->expects_peer)
        return recv(channel->fd, packet, size, MSG_DONTWAIT | MSG_TRUNC);
    n = recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    if (n > 0) {
        take_ancillary(channel, &message);
        set_flag(channel->fd, SO_PASSPIDFD, 0);
        channel->expects_peer = false;
    }
    return n;
}

int
channel_next(struct channel *channel, size_t *budget, struct frame *ret,
             struct error *err)
{
    uint8_t packet[FRAME_PACKET_BYTES];

    while (*budget > 0) {
        ssize_t n = receive(channel, packet, sizeof packet);
        size_t cost;
        int r;

        if (n < 0 && errno == ECONNRESET)
            continue; /* told once: the runner has left a frame unread; its own follow */
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return CHANNEL_E_AGAIN;
        if (n < 0)
            return error_errno(err, "reading a channel");
        if (n == 0)
            return CHANNEL_E_CLOSED;
        if ((size_t)n > sizeof packet)
            return error_set(err, CHANNEL_E_ILLEGAL, "a packet of %zd bytes", n);
        cost = (size_t)n + PACKET_COST;
        *budget -= cost < *budget ? cost : *budget;
        r = frame_reader_take(&channel->reader, packet, (size_t)n, ret, err);
        if (r != FRAME_E_AGAIN)
            return r > 0 ? CHANNEL_E_ILLEGAL : r;
    }
    return CHANNEL_E_AGAIN;
}

/* 0: all is sent; CHANNEL_E_AGAIN; CHANNEL_E_CLOSED. */
static int
outgoing_write(struct channel *channel)
{
    while (channel->first != NULL) {
        struct outgoing *first = channel->first;
        size_t left = first->length - first->sent;
        ssize_t n = send(channel->fd, first->bytes + first->sent,
                         left < FRAME_PACKET_BYTES ? left : FRAME_PACKET_BYTES,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
            return CHANNEL_E_AGAIN;
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN))
            return CHANNEL_E_CLOSED;
        if (n < 0)
            return -errno;
        first->sent += (size_t)n;
        if (first->sent == first->length)
            outgoing_drop_first(channel);
    }
    return 0;
}

static int channel_update(struct channel *channel);

static int
channel_on_event(int fd, uint32_t events, void *arg)
{
    struct channel *channel = arg;
    int r;

    (void)fd;
    if (channel->first != NULL && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
        r = outgoing_write(channel);
        if (r == CHANNEL_E_CLOSED) /* reading tells it, too */
            while (channel->first != NULL)
                outgoing_drop_first(channel);
        if (r >= 0)
            r = channel_update(channel);
        if (r < 0)
            return r;
    }
    if (channel->reading && (events & ~(uint32_t)EPOLLOUT) != 0)
        return channel->fn(channel->arg);
    return 0;
}

/* Waits for what matters now. A source without events would still be woken by a hang-up,
 * over and over, so there is none then. */
static int
channel_update(struct channel *channel)
{
    uint32_t events = (channel->reading ? (uint32_t)EPOLLIN : 0) |
                      (channel->first != NULL ? (uint32_t)EPOLLOUT : 0);

    if (events == 0) {
        loop_source_destroy(channel->source);
        channel->source = NULL;
        return 0;
    }
    if (channel->source != NULL)
        return loop_source_set_events(channel->source, events);
    return loop_add_fd(&channel->source, channel->loop, channel->fd, events,
                       channel_on_event, channel);
}

int
channel_set_reading(struct channel *channel, bool reading)
{
    if (channel->reading == reading)
        return 0;
    channel->reading = reading;
    return channel_update(channel);
}

static int
outgoing_add(struct channel *channel, const struct frame *frame, struct error *err)
{
    struct buffer bytes;
    struct outgoing *outgoing;
    int r;

    /* The head of the list is laid in front of the frame in one allocation. */
    buffer_init(&bytes, sizeof *outgoing + FRAME_BYTES_MAX);
    r = buffer_append(&bytes, &(struct outgoing){ 0 }, sizeof *outgoing);
    if (r == 0)
        r = frame_encode(&bytes, frame, FRAME_FROM_SERVER, err);
    if (r != 0) {
        buffer_fini(&bytes);
        if (r < 0)
            return r;
        return r == FRAME_E_TOO_LARGE ? CHANNEL_E_TOO_LARGE : CHANNEL_E_ILLEGAL;
    }
    outgoing = (struct outgoing *)(void *)bytes.data;
    outgoing->length = bytes.length - sizeof *outgoing;
    *channel->last = outgoing;
    channel->last = &outgoing->next;
    channel->outgoing_count++;
    return 0;
}

int
channel_send(struct channel *channel, const struct frame *frame, struct error *err)
{
    bool was_waiting = channel->first != NULL;
    int r;

    if (channel->outgoing_count >= CHANNEL_QUEUE_FRAMES_MAX)
        return CHANNEL_E_FULL;
    r = outgoing_add(channel, frame, err);
    if (r != 0 || was_waiting)
        return r;
    r = outgoing_write(channel);
    if (r == CHANNEL_E_AGAIN)
        return channel_update(channel);
    return r;
}

int
channel_take_peer(struct channel *channel)
{
    int peer = channel->peer;

    channel->peer = -1;
    return peer;
}

/* SPDX-License-Identifier: MIT */
#include "contexts/sandbox/passing.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* A control message must be aligned as its header is. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(PASSING_FDS_MAX * sizeof(int))];
};

static struct iovec
as_iovec(struct slice slice)
{
    return (struct iovec){ .iov_base = (void *)(uintptr_t)slice.data,
                           .iov_len = slice.length };
}

int
passing_send(int socket, struct slice head, struct slice body, const int *fds,
             size_t fd_count, int flags)
{
    struct iovec parts[] = { as_iovec(head), as_iovec(body) };
    struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
    union control control = { 0 };
    ssize_t n;

    assert(fd_count <= PASSING_FDS_MAX);
    if (fd_count > 0) {
        control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS,
                                           .cmsg_len = CMSG_LEN(fd_count * sizeof *fds) };
        memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof *fds);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof *fds);
    }
    do
        n = sendmsg(socket, &msg, flags | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static void
take_fds(struct passing *ret, const struct cmsghdr *header)
{
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int fds[PASSING_FDS_MAX];

    assert(count <= PASSING_FDS_MAX - ret->fd_count);
    memcpy(fds, CMSG_DATA(header), count * sizeof *fds);
    for (size_t i = 0; i < count; i++)
        ret->fds[ret->fd_count++] = fds[i];
}

int
passing_receive(int socket, void *data, size_t size, int flags, struct passing *ret)
{
    struct iovec part = { .iov_base = data, .iov_len = size };
    union control control;
    struct msghdr msg = { .msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof control };
    ssize_t n;

    do
        n = recvmsg(socket, &msg, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    *ret = (struct passing){ .length = (size_t)n,
                             .cut = (msg.msg_flags & MSG_TRUNC) != 0,
                             .fds_lost = (msg.msg_flags & MSG_CTRUNC) != 0 };
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&msg); header != NULL;
         header = CMSG_NXTHDR(&msg, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
            take_fds(ret, header);
    }
    return 0;
}

void
passing_fini(struct passing *passing)
{
    for (size_t i = 0; i < passing->fd_count; i++) {
        if (passing->fds[i] >= 0)
            close(passing->fds[i]);
    }
    passing->fd_count = 0;
}

bool
passing_is_ended(int socket)
{
    struct pollfd entry = { .fd = socket, .events = POLLRDHUP };

    return poll(&entry, 1, 0) == 1 &&
           (entry.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

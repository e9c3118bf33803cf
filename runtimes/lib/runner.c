/* SPDX-License-Identifier: MIT */
/* Owns the runner's fds and the numbering of its frames; knows nothing of any language.
 */
#include "runtimes/lib/runner.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define IOVS_PER_PACKET 64
#define CHANNEL_SEND_BUFFER_BYTES (1024 * 1024)
#define NONCE_MEMBER "\"nonce\""

struct runner {
    int channel; /* owned */
    int pipes[2]; /* owned: stdout, stderr */
    struct stat pipe_stats[2]; /* what tells whether fds 1 and 2 still are these */
    pid_t owner; /* a fork of user code has another pid and must not send */
    bool is_rehearsal; /* its frames are nobody's: no markers */
    pthread_mutex_t lock; /* covers markers, frame and sequence */
    uint64_t sequence;
    uint8_t nonce[FRAME_NONCE_BYTES];
    struct frame_reader reader;
    uint8_t *packet; /* owned: FRAME_PACKET_BYTES */
};

static void
runner_destroyp(struct runner **runner)
{
    runner_destroy(*runner);
}

static int
digit(uint8_t character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return -1;
}

/* The server wrote this JSON and quotes nothing in it: the value is the next quoted text
 * behind the member's name. */
static int
read_nonce(uint8_t ret[FRAME_NONCE_BYTES], struct slice configure, struct error *err)
{
    const uint8_t *end = configure.data + configure.length, *at;

    at = memmem(configure.data, configure.length, NONCE_MEMBER, strlen(NONCE_MEMBER));
    if (at != NULL) {
        at += strlen(NONCE_MEMBER);
        at = memchr(at, '"', (size_t)(end - at));
    }
    if (at == NULL || end - ++at < 2 * FRAME_NONCE_BYTES)
        return error_set(err, -EPROTO, "configure frame without a nonce");
    for (size_t i = 0; i < FRAME_NONCE_BYTES; i++) {
        int high = digit(at[2 * i]), low = digit(at[2 * i + 1]);

        if (high < 0 || low < 0)
            return error_set(err, -EPROTO, "configure frame with a malformed nonce");
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static int
take_fds(struct runner *runner, int channel, struct error *err)
{
    int bytes = CHANNEL_SEND_BUFFER_BYTES;

    runner->channel = fcntl(channel, F_DUPFD_CLOEXEC, RUNNER_PRIVATE_FD_MIN);
    if (runner->channel < 0)
        return error_errno(err, "fd %d is no channel", channel);
    /* A smaller buffer than asked for is no harm. */
    (void)setsockopt(runner->channel, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    for (int i = 0; i < 2; i++) {
        runner->pipes[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, RUNNER_PRIVATE_FD_MIN);
        if (runner->pipes[i] < 0 || fstat(runner->pipes[i], &runner->pipe_stats[i]) < 0)
            return error_errno(err, "duplicating fd %d", i + 1);
    }
    return 0;
}

static int
read_configure(struct runner *runner, struct buffer *ret, struct error *err)
{
    struct frame frame = { 0 };
    int r;

    do
        r = runner_receive(runner, &frame, err);
    while (r == RUNNER_E_INTERRUPTED);
    if (r != 0)
        return r < 0 ? r : error_set(err, -EPIPE, "the server closed the channel");
    if (frame.type != FRAME_CONFIGURE)
        return error_set(err, -EPROTO, "the first frame is %s, not configure",
                         frame_type_name(frame.type));
    r = read_nonce(runner->nonce, frame.content, err);
    if (r < 0 || ret == NULL)
        return r;
    r = buffer_append(ret, frame.content.data, frame.content.length);
    return r == BUFFER_E_FULL ? error_set(err, -EPROTO, "configure frame too large") : r;
}

/* Takes CHANNEL, even on failure. */
static int
create(struct runner **ret, int channel, struct error *err)
{
    CLEANUP(runner_destroyp) struct runner *runner = malloc(sizeof *runner);
    CLEANUP(close_fdp) int given = channel;
    int r;

    if (runner == NULL)
        return -ENOMEM;
    *runner = (struct runner){ .channel = -1, .pipes = { -1, -1 }, .owner = getpid() };
    frame_reader_init(&runner->reader, FRAME_FROM_SERVER);
    pthread_mutex_init(&runner->lock, NULL);
    runner->packet = malloc(FRAME_PACKET_BYTES);
    if (runner->packet == NULL)
        return -ENOMEM;
    r = take_fds(runner, given, err);
    if (r < 0)
        return r;
    *ret = runner;
    runner = NULL;
    return 0;
}

int
runner_create(struct runner **ret, struct buffer *configure, struct error *err)
{
    CLEANUP(runner_destroyp) struct runner *runner = NULL;
    int r;

    r = create(&runner, RUNNER_CHANNEL_FD, err);
    if (r < 0)
        return r;
    r = read_configure(runner, configure, err);
    if (r < 0)
        return r;

    *ret = runner;
    runner = NULL;
    return 0;
}

int
runner_create_rehearsal(struct runner **ret, int *ret_peer, struct error *err)
{
    CLEANUP(runner_destroyp) struct runner *runner = NULL;
    CLEANUP(close_fdp) int peer = -1;
    int ends[2], r;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, "socketpair");
    peer = ends[0];
    r = create(&runner, ends[1], err);
    if (r < 0)
        return r;
    runner->is_rehearsal = true;

    *ret = runner;
    *ret_peer = peer;
    runner = NULL;
    peer = -1;
    return 0;
}

void
runner_destroy(struct runner *runner)
{
    if (runner == NULL)
        return;
    if (runner->channel >= 0)
        close(runner->channel);
    for (int i = 0; i < 2; i++)
        if (runner->pipes[i] >= 0)
            close(runner->pipes[i]);
    pthread_mutex_destroy(&runner->lock);
    frame_reader_fini(&runner->reader);
    free(runner->packet);
    free(runner);
}

/* A marker is smaller than PIPE_BUF, so it goes out whole or not at all. User code can
 * have made the pipe non-blocking, for it shares our open file. */
static void
write_marker(int fd, const uint8_t marker[FRAME_MARKER_BYTES])
{
    while (write(fd, marker, FRAME_MARKER_BYTES) < 0) {
        struct pollfd wait = { .fd = fd, .events = POLLOUT };

        if (errno == EAGAIN)
            poll(&wait, 1, -1);
        else if (errno != EINTR)
            return; /* nobody reads: the context is on its way out */
    }
}

static int
send_packet(int fd, struct iovec *iovs, size_t count)
{
    struct msghdr message = { .msg_iov = iovs, .msg_iovlen = count };

    while (sendmsg(fd, &message, MSG_NOSIGNAL) < 0) {
        struct pollfd wait = { .fd = fd, .events = POLLOUT };

        if (errno == EAGAIN)
            poll(&wait, 1, -1);
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* Where the next packet starts: in part INDEX, behind OFFSET bytes of it. */
struct cursor {
    struct slice head;
    const struct frame *frame;
    size_t index, offset;
};

static struct slice
cursor_part(const struct cursor *cursor)
{
    const struct frame *frame = cursor->frame;
    const struct slice first[] = { cursor->head, frame->header, frame->metadata,
                                   frame->content };

    if (cursor->index < N_ELEMENTS(first))
        return first[cursor->index];
    return frame->buffers[cursor->index - N_ELEMENTS(first)];
}

/* Fills IOVS with the next packet; returns how many are in use. */
static size_t
cursor_packet(struct cursor *cursor, struct iovec iovs[IOVS_PER_PACKET])
{
    size_t parts = 4 + (size_t)cursor->frame->buffer_count, room = FRAME_PACKET_BYTES;
    size_t count = 0;

    while (cursor->index < parts && count < IOVS_PER_PACKET && room > 0) {
        struct slice part = cursor_part(cursor);
        size_t left = part.length - cursor->offset, take = left < room ? left : room;

        if (take > 0)
            iovs[count++] = (struct iovec){
                .iov_base = (uint8_t *)(uintptr_t)part.data + cursor->offset,
                .iov_len = take,
            };
        room -= take;
        cursor->offset += take;
        if (cursor->offset == part.length) {
            cursor->index++;
            cursor->offset = 0;
        }
    }
    return count;
}

static int
send_frame(struct runner *runner, const struct frame *frame, struct slice head)
{
    uint8_t marker[FRAME_MARKER_BYTES];
    struct iovec iovs[IOVS_PER_PACKET];
    struct cursor cursor = { .head = head, .frame = frame };
    size_t count;
    int r = 0;

    frame_marker(marker, runner->nonce, frame->sequence);
    if (!runner->is_rehearsal) {
        write_marker(runner->pipes[0], marker);
        write_marker(runner->pipes[1], marker);
    }
    while (r == 0 && (count = cursor_packet(&cursor, iovs)) > 0)
        r = send_packet(runner->channel, iovs, count);
    return r;
}

int
runner_send(struct runner *runner, struct frame *frame, struct error *err)
{
    uint8_t head[FRAME_FIXED_BYTES + 4 * FRAME_BUFFERS_MAX];
    size_t head_bytes = FRAME_FIXED_BYTES + 4 * (size_t)frame->buffer_count;
    int r;

    if (!runner_is_owner(runner))
        return error_set(err, -EPERM, "a forked process has no channel to the server");
    pthread_mutex_lock(&runner->lock);
    frame->sequence = runner->sequence + 1;
    r = frame_encode_head(head, frame, FRAME_FROM_RUNNER, err);
    if (r == 0) {
        runner->sequence++;
        r = send_frame(runner, frame, (struct slice){ head, head_bytes });
    }
    pthread_mutex_unlock(&runner->lock);
    return r;
}

int
runner_rehearse(int peer, const struct frame *frame, struct error *err)
{
    uint8_t head[FRAME_FIXED_BYTES + 4 * FRAME_BUFFERS_MAX];
    struct iovec iovs[IOVS_PER_PACKET];
    struct cursor cursor = { .frame = frame };
    int r;

    r = frame_encode_head(head, frame, FRAME_FROM_SERVER, err);
    if (r != 0)
        return r;
    cursor.head = (struct slice){ head, FRAME_FIXED_BYTES + 4 * frame->buffer_count };
    return send_packet(peer, iovs, cursor_packet(&cursor, iovs));
}

int
runner_receive(struct runner *runner, struct frame *ret, struct error *err)
{
    for (;;) {
        ssize_t n = recv(runner->channel, runner->packet, FRAME_PACKET_BYTES, 0);
        int r;

        if (n < 0 && errno == EINTR) {
            if (runner->reader.total == 0)
                return RUNNER_E_INTERRUPTED;
            continue;
        }
        if (n < 0 && errno != ECONNRESET)
            return error_errno(err, "reading the channel");
        if (n <= 0)
            return RUNNER_E_CLOSED;
        r = frame_reader_take(&runner->reader, runner->packet, (size_t)n, ret, err);
        if (r == FRAME_E_AGAIN)
            continue;
        if (r > 0)
            return error_wrap(err, -EPROTO, "the server sent no frame");
        return r;
    }
}

bool
runner_is_owner(const struct runner *runner)
{
    return getpid() == runner->owner;
}

int
runner_fd(const struct runner *runner)
{
    return runner->channel;
}

void
runner_restore_output(struct runner *runner)
{
    for (int i = 0; i < 2; i++) {
        const struct stat *ours = &runner->pipe_stats[i];
        struct stat theirs;

        if (fstat(i + 1, &theirs) < 0 || ours->st_dev != theirs.st_dev ||
            ours->st_ino != theirs.st_ino)
            (void)dup2(runner->pipes[i], i + 1);
    }
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/channel.h"
#include "contexts/loop.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

struct fixture {
    struct loop *loop;
    struct channel *channel;
    int runner; /* the other end */
    unsigned readable;
};

static int
on_readable(void *arg)
{
    struct fixture *f = arg;

    f->readable++;
    return 0;
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int ours;

    assert_non_null(f);
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(channel_pair(&ours, &f->runner), 0);
    assert_int_equal(channel_create(&f->channel, f->loop, ours, on_readable, f), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    channel_destroy(f->channel);
    loop_destroy(f->loop);
    if (f->runner >= 0)
        close(f->runner);
    free(f);
    return 0;
}

/* Sends FRAME as a runner would. */
static void
send_frame(int fd, struct frame frame)
{
    struct buffer bytes;

    buffer_init(&bytes, FRAME_BYTES_MAX);
    assert_int_equal(frame_encode(&bytes, &frame, FRAME_FROM_RUNNER, NULL), 0);
    for (size_t at = 0; at < bytes.length;) {
        size_t left = bytes.length - at;
        ssize_t n =
            send(fd, bytes.data + at,
                 left < FRAME_PACKET_BYTES ? left : FRAME_PACKET_BYTES, MSG_NOSIGNAL);

        assert_true(n > 0);
        at += (size_t)n;
    }
    buffer_fini(&bytes);
}

static struct frame
hello(void)
{
    return (struct frame){ .type = FRAME_HELLO,
                           .sequence = 1,
                           .content = slice_text("{\"a\":1}") };
}

static int
next(struct fixture *f, struct frame *ret)
{
    size_t budget = SIZE_MAX;

    return channel_next(f->channel, &budget, ret, NULL);
}

static void
test_frame_arrives_whole(void **state)
{
    struct fixture *f = *state;
    struct frame frame;

    assert_int_equal(next(f, &frame), CHANNEL_E_AGAIN);
    send_frame(f->runner, hello());
    assert_int_equal(next(f, &frame), 0);
    assert_int_equal(frame.type, FRAME_HELLO);
    assert_true(slice_equals_text(frame.content, "{\"a\":1}"));
    assert_int_equal(next(f, &frame), CHANNEL_E_AGAIN);
}

static void
test_readable_is_told_only_while_reading(void **state)
{
    struct fixture *f = *state;

    send_frame(f->runner, hello());
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(f->readable, 0);
    assert_int_equal(channel_set_reading(f->channel, true), 0);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(f->readable, 1);
    assert_int_equal(channel_set_reading(f->channel, false), 0);
    assert_int_equal(loop_turn(f->loop), 0);
    assert_int_equal(f->readable, 1);
}

static void
test_large_frame_arrives_in_packets_within_the_budget(void **state)
{
    struct fixture *f = *state;
    size_t length = 3 * FRAME_PACKET_BYTES / 2, budget = 1;
    CLEANUP(freep) char *text = malloc(length + 1);
    struct frame frame = hello();

    assert_non_null(text);
    memset(text, 'x', length);
    text[length] = '\0';
    frame.type = FRAME_DISPLAY_DATA;
    frame.content = slice_text(text);
    send_frame(f->runner, frame);

    assert_int_equal(channel_next(f->channel, &budget, &frame, NULL), CHANNEL_E_AGAIN);
    assert_int_equal(budget, 0);
    assert_int_equal(channel_next(f->channel, &budget, &frame, NULL), CHANNEL_E_AGAIN);
    budget = 1;
    assert_int_equal(channel_next(f->channel, &budget, &frame, NULL), 0);
    assert_int_equal(frame.content.length, length);
}

static void
test_closed_end_is_told(void **state)
{
    struct fixture *f = *state;
    struct frame frame;

    send_frame(f->runner, hello());
    close(f->runner);
    f->runner = -1;
    assert_int_equal(next(f, &frame), 0);
    assert_int_equal(next(f, &frame), CHANNEL_E_CLOSED);
}

/* The kernel tells of a frame that was left unread before it gives what was sent. */
static void
test_last_frames_of_one_who_did_not_listen_are_read(void **state)
{
    struct fixture *f = *state;
    struct frame frame = { .type = FRAME_PING, .number = 1 };

    assert_int_equal(channel_send(f->channel, &frame, NULL), 0);
    send_frame(f->runner, hello());
    close(f->runner);
    f->runner = -1;
    assert_int_equal(next(f, &frame), 0);
    assert_int_equal(next(f, &frame), CHANNEL_E_CLOSED);
}

static void
test_packet_that_is_no_frame_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    struct frame frame;
    size_t budget = SIZE_MAX;

    assert_int_equal(send(f->runner, "hello?", 6, MSG_NOSIGNAL), 6);
    assert_int_equal(channel_next(f->channel, &budget, &frame, &err), CHANNEL_E_ILLEGAL);
    assert_string_not_equal(err.text, "");
}

static void
test_oversized_packet_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t length = FRAME_PACKET_BYTES + 1;
    CLEANUP(freep) uint8_t *bytes = calloc(1, length);
    struct frame frame;

    assert_non_null(bytes);
    assert_int_equal(send(f->runner, bytes, length, MSG_NOSIGNAL), (int)length);
    assert_int_equal(next(f, &frame), CHANNEL_E_ILLEGAL);
}

static void
test_request_from_a_runner_is_refused(void **state)
{
    struct fixture *f = *state;
    struct frame request = { .type = FRAME_EXECUTE_REQUEST, .content = slice_text("{}") };
    struct buffer bytes;
    struct frame frame;

    buffer_init(&bytes, FRAME_BYTES_MAX);
    assert_int_equal(frame_encode(&bytes, &request, FRAME_FROM_SERVER, NULL), 0);
    assert_true(send(f->runner, bytes.data, bytes.length, MSG_NOSIGNAL) > 0);
    buffer_fini(&bytes);
    assert_int_equal(next(f, &frame), CHANNEL_E_ILLEGAL);
}

static unsigned
count_fds(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Either the kernel refuses, or the fd is closed here. */
static void
test_passed_fds_are_not_accepted(void **state)
{
    struct fixture *f = *state;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec iov = { .iov_base = "x", .iov_len = 1 };
    struct msghdr message = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    unsigned before;
    struct frame frame;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &f->runner, sizeof(int));
    send_frame(f->runner, hello()); /* so that the peer's pidfd is counted, if any */
    assert_int_equal(next(f, &frame), 0);
    before = count_fds();
    for (int i = 0; i < 3; i++)
        (void)!sendmsg(f->runner, &message, MSG_NOSIGNAL);
    (void)next(f, &frame);
    assert_int_equal(count_fds(), before);
}

static void
test_first_packet_names_its_sender(void **state)
{
    struct fixture *f = *state;
    struct frame frame;
    int peer;

    assert_int_equal(channel_take_peer(f->channel), -1);
    send_frame(f->runner, hello());
    assert_int_equal(next(f, &frame), 0);
    peer = channel_take_peer(f->channel);
    if (peer >= 0) { /* Linux 6.5 */
        struct pollfd wait = { .fd = peer, .events = POLLIN };

        assert_int_equal(poll(&wait, 1, 0), 0); /* it lives: it is this process */
        close(peer);
    }
    assert_int_equal(channel_take_peer(f->channel), -1);
    frame = hello();
    frame.sequence = 2;
    send_frame(f->runner, frame);
    assert_int_equal(next(f, &frame), 0);
    assert_int_equal(channel_take_peer(f->channel), -1);
}

static size_t
read_packets(int fd, struct frame_reader *reader, struct frame *ret, size_t count)
{
    static uint8_t packet[FRAME_PACKET_BYTES];
    size_t frames = 0;

    while (frames < count) {
        ssize_t n = recv(fd, packet, sizeof packet, MSG_DONTWAIT);
        int r;

        if (n < 0)
            break;
        r = frame_reader_take(reader, packet, (size_t)n, ret, NULL);
        assert_true(r == 0 || r == FRAME_E_AGAIN);
        frames += r == 0;
    }
    return frames;
}

static void
test_what_the_socket_does_not_take_is_queued(void **state)
{
    struct fixture *f = *state;
    size_t length = 8 * 1024 * 1024, frames = 0;
    CLEANUP(freep) char *text = malloc(length + 1);
    struct frame_reader reader;
    struct frame got = { 0 };

    assert_non_null(text);
    memset(text, ' ', length);
    text[length] = '\0';
    frame_reader_init(&reader, FRAME_FROM_SERVER);
    for (int i = 0; i < 3; i++)
        assert_int_equal(channel_send(f->channel,
                                      &(struct frame){ .type = FRAME_EXECUTE_REQUEST,
                                                       .number = 7,
                                                       .content = slice_text(text) },
                                      NULL),
                         0);
    while (frames < 3) {
        frames += read_packets(f->runner, &reader, &got, 3);
        assert_int_equal(loop_turn(f->loop), 0);
    }
    assert_int_equal(got.content.length, length);
    assert_int_equal(loop_turn(f->loop), 0);
    frame_reader_fini(&reader);
}

static void
test_queue_is_bounded(void **state)
{
    struct fixture *f = *state;
    size_t length = 1024 * 1024;
    CLEANUP(freep) char *text = malloc(length + 1);
    struct frame frame = { .type = FRAME_EXECUTE_REQUEST, .number = 1 };
    int r = 0;

    assert_non_null(text);
    memset(text, ' ', length);
    text[length] = '\0';
    frame.content = slice_text(text);
    for (int i = 0; r == 0 && i < CHANNEL_QUEUE_FRAMES_MAX + 16; i++)
        r = channel_send(f->channel, &frame, NULL);
    assert_int_equal(r, CHANNEL_E_FULL);
}

static void
test_send_to_a_closed_end_is_told(void **state)
{
    struct fixture *f = *state;
    struct frame frame = { .type = FRAME_PING, .number = 1 };

    close(f->runner);
    f->runner = -1;
    assert_int_equal(channel_send(f->channel, &frame, NULL), CHANNEL_E_CLOSED);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_frame_arrives_whole),
        TEST(test_readable_is_told_only_while_reading),
        TEST(test_large_frame_arrives_in_packets_within_the_budget),
        TEST(test_closed_end_is_told),
        TEST(test_last_frames_of_one_who_did_not_listen_are_read),
        TEST(test_packet_that_is_no_frame_is_refused),
        TEST(test_oversized_packet_is_refused),
        TEST(test_request_from_a_runner_is_refused),
        TEST(test_passed_fds_are_not_accepted),
        TEST(test_first_packet_names_its_sender),
        TEST(test_what_the_socket_does_not_take_is_queued),
        TEST(test_queue_is_bounded),
        TEST(test_send_to_a_closed_end_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

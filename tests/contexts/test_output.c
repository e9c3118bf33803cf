/* SPDX-License-Identifier: MIT */
/* The order of frames and raw output, with the test in the runner's place. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/channel.h"
#include "contexts/loop.h"
#include "contexts/marker.h"
#include "contexts/output.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

static const uint8_t nonce[FRAME_NONCE_BYTES] = "0123456789abcde";

/* What the observer heard, as text: out:TEXT, err:TEXT, frame:N and so on, in order. */
struct fixture {
    struct loop *loop;
    struct output *output;
    int channel, out, err; /* the runner's ends */
    uint64_t sequence;
    struct buffer heard;
    int last; /* 1, 2: of which stream the text heard last was; 0: it was none */
    int answer; /* of on_frame */
};

static int
on_text(bool is_stderr, struct slice bytes, void *arg)
{
    struct fixture *f = arg;
    int stream = is_stderr ? 2 : 1;

    if (f->last != stream)
        buffer_append_text(&f->heard, is_stderr ? " err:" : " out:");
    f->last = stream;
    return buffer_append(&f->heard, bytes.data, bytes.length);
}

static int
on_frame(const struct frame *frame, void *arg)
{
    struct fixture *f = arg;

    f->last = 0;
    buffer_append_format(&f->heard, " frame:%llu", (unsigned long long)frame->sequence);
    return f->answer;
}

static int
on_closed(const struct error *err, void *arg)
{
    struct fixture *f = arg;

    f->last = 0;
    return buffer_append_text(&f->heard, err != NULL ? " illegal" : " closed");
}

static const struct output_observer observer = { on_text, on_frame, on_closed };

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct output_fds fds;
    int ends[2];

    assert_non_null(f);
    buffer_init(&f->heard, (size_t)64 * 1024 * 1024);
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    fds.out = ends[0];
    f->out = ends[1];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    fds.err = ends[0];
    f->err = ends[1];
    assert_int_equal(channel_pair(&fds.channel, &f->channel), 0);
    assert_int_equal(output_create(&f->output, f->loop, &fds, nonce, &observer, f), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    output_destroy(f->output);
    loop_destroy(f->loop);
    close_fdp(&f->channel);
    close_fdp(&f->out);
    close_fdp(&f->err);
    buffer_fini(&f->heard);
    free(f);
    return 0;
}

static void
put(int fd, const void *data, size_t length)
{
    assert_int_equal(write(fd, data, length), (int)length);
}

static void
put_text(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

static void
put_marker(int fd, uint64_t number)
{
    uint8_t marker[FRAME_MARKER_BYTES];

    frame_marker(marker, nonce, number);
    put(fd, marker, sizeof marker);
}

static void
send_any(struct fixture *f, const struct frame *frame)
{
    struct buffer bytes;

    buffer_init(&bytes, FRAME_BYTES_MAX);
    assert_int_equal(frame_encode(&bytes, frame, FRAME_FROM_RUNNER, NULL), 0);
    assert_int_equal(send(f->channel, bytes.data, bytes.length, MSG_NOSIGNAL),
                     (int)bytes.length);
    buffer_fini(&bytes);
}

static void
send_frame(struct fixture *f, uint64_t sequence)
{
    send_any(f, &(struct frame){ .type = FRAME_DISPLAY_DATA,
                                 .sequence = sequence,
                                 .content = slice_text("{}") });
}

/* As a runner does. */
static void
put_frame(struct fixture *f)
{
    f->sequence++;
    put_marker(f->out, f->sequence);
    put_marker(f->err, f->sequence);
    send_frame(f, f->sequence);
}

/* Text that a runner sends as a frame. */
static void
put_piece(struct fixture *f, const char *text)
{
    struct slice bytes = slice_text(text);

    f->sequence++;
    put_marker(f->out, f->sequence);
    put_marker(f->err, f->sequence);
    send_any(f, &(struct frame){ .type = FRAME_STREAM,
                                 .sequence = f->sequence,
                                 .buffers = &bytes,
                                 .buffer_count = 1 });
}

/* Turns until nothing is ready any more. */
static void
run(struct fixture *f)
{
    struct pollfd ready = { .fd = loop_fd(f->loop), .events = POLLIN };

    while (poll(&ready, 1, 0) == 1)
        assert_int_equal(loop_turn(f->loop), 0);
}

static void
assert_heard(struct fixture *f, const char *expected)
{
    assert_int_equal(buffer_append(&f->heard, "", 1), 0);
    assert_string_equal((const char *)f->heard.data, expected);
    f->heard.length = 0;
    f->last = 0;
}

static void
test_text_passes_without_frames(void **state)
{
    struct fixture *f = *state;

    put_text(f->out, "a");
    run(f);
    put_text(f->out, "b");
    run(f);
    assert_heard(f, " out:ab");
}

static void
test_frames_and_text_keep_the_programs_order(void **state)
{
    struct fixture *f = *state;

    put_text(f->out, "a");
    put_frame(f);
    put_text(f->err, "b");
    put_frame(f);
    put_frame(f);
    put_text(f->out, "c");
    run(f);
    assert_heard(f, " out:a frame:1 err:b frame:2 frame:3 out:c");
    assert_int_equal(output_missed(f->output), 0);
}

static void
test_frame_waits_for_no_pipe_that_is_behind(void **state)
{
    struct fixture *f = *state;

    put_text(f->out, "a");
    put_marker(f->out, 1);
    put_text(f->out, "b"); /* by a subprocess, meanwhile */
    run(f);
    assert_heard(f, " out:a");
    put_marker(f->err, 1);
    send_frame(f, 1);
    run(f);
    assert_heard(f, " frame:1 out:b");
}

static void
test_pipe_that_is_ahead_does_not_spin(void **state)
{
    struct fixture *f = *state;
    struct pollfd ready = { .fd = loop_fd(f->loop), .events = POLLIN };

    put_marker(f->out, 1);
    run(f);
    put_text(f->out, "a");
    close_fdp(&f->out);
    f->out = -1;
    run(f); /* ends: nothing is ready though text waits */
    assert_int_equal(poll(&ready, 1, 0), 0);
    assert_heard(f, "");
    put_marker(f->err, 1);
    send_frame(f, 1);
    run(f);
    assert_heard(f, " frame:1 out:a");
}

static void
test_marker_split_across_reads_is_found(void **state)
{
    struct fixture *f = *state;
    uint8_t marker[FRAME_MARKER_BYTES];

    frame_marker(marker, nonce, 1);
    put_marker(f->err, 1);
    put_text(f->out, "a");
    for (size_t i = 0; i < sizeof marker; i++) {
        put(f->out, marker + i, 1);
        run(f);
    }
    put_text(f->out, "b");
    run(f);
    assert_heard(f, " out:a");
    send_frame(f, 1);
    run(f);
    assert_heard(f, " frame:1 out:b");
}

static void
test_beginning_of_a_marker_is_text_when_it_goes_on_differently(void **state)
{
    struct fixture *f = *state;

    put(f->out, nonce, 5);
    run(f);
    assert_heard(f, "");
    put_text(f->out, "x");
    run(f);
    assert_heard(f, " out:01234x");
}

static void
test_beginning_of_a_marker_at_the_end_is_text(void **state)
{
    struct fixture *f = *state;

    put(f->out, nonce, 5);
    close_fdp(&f->out);
    f->out = -1;
    run(f);
    assert_heard(f, " out:01234");
}

static void
test_forged_marker_is_text_unless_it_is_the_next_ones(void **state)
{
    struct fixture *f = *state;
    uint8_t forged[FRAME_MARKER_BYTES];
    char expected[64] = " out:a";
    size_t at = strlen(expected);

    frame_marker(forged, nonce, 7);
    put_text(f->out, "a");
    put(f->out, forged, sizeof forged);
    put_text(f->out, "b");
    put_frame(f);
    run(f);
    /* Its number, 7, is one byte of text and seven zeros. */
    memcpy(expected + at, nonce, sizeof nonce);
    assert_int_equal(f->heard.length, at + sizeof forged + strlen("b frame:1"));
    assert_memory_equal(f->heard.data, expected, at + sizeof nonce);
    assert_memory_equal(f->heard.data + at + sizeof forged, "b frame:1", 9);
    f->heard.length = 0;
    f->last = 0;

    put_marker(f->out, 2); /* forged, and believed: text behind it waits for frame 2 */
    put_text(f->out, "c");
    run(f);
    assert_heard(f, "");
    put_marker(f->err, 2);
    send_frame(f, 2);
    run(f);
    assert_heard(f, " frame:2 out:c");
}

static void
test_missing_markers_hold_up_nothing(void **state)
{
    struct fixture *f = *state;

    send_frame(f, 1);
    put_text(f->out, "a");
    run(f);
    assert_heard(f, " out:a frame:1");
    assert_int_equal(output_missed(f->output), 1);
    put_marker(f->out, 1); /* late, and still no text */
    put_marker(f->err, 1);
    put_text(f->out, "b");
    run(f);
    assert_heard(f, " out:b");
}

static void
test_frame_out_of_sequence_is_illegal(void **state)
{
    struct fixture *f = *state;

    put_frame(f);
    run(f);
    send_frame(f, 3);
    put_text(f->out, "a");
    run(f);
    assert_heard(f, " frame:1 illegal out:a");
}

static void
test_closed_pipes_and_channel_end_nothing_but_themselves(void **state)
{
    struct fixture *f = *state;

    put_text(f->out, "a");
    close_fdp(&f->out);
    f->out = -1;
    run(f);
    send_frame(f, 1);
    close_fdp(&f->channel);
    f->channel = -1;
    run(f);
    put_text(f->err, "b");
    run(f);
    assert_heard(f, " out:a frame:1 closed err:b");
}

static void
test_observer_can_refuse_further_frames(void **state)
{
    struct fixture *f = *state;

    f->answer = 1;
    put_frame(f);
    put_frame(f);
    put_text(f->out, "a");
    run(f);
    assert_heard(f, " frame:1");
    assert_int_equal(output_drain(f->output, false), 0);
    assert_heard(f, " out:a");
}

static void
test_nothing_is_read_while_paused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(output_set_reading(f->output, false), 0);
    put_text(f->out, "a");
    put_frame(f);
    run(f);
    assert_heard(f, "");
    assert_int_equal(output_set_reading(f->output, true), 0);
    run(f);
    assert_heard(f, " out:a frame:1");
}

static void
test_closed_ends_do_not_spin_while_paused(void **state)
{
    struct fixture *f = *state;
    struct pollfd ready = { .fd = loop_fd(f->loop), .events = POLLIN };

    assert_int_equal(output_set_reading(f->output, false), 0);
    close_fdp(&f->out);
    close_fdp(&f->err);
    close_fdp(&f->channel);
    f->out = f->err = f->channel = -1;
    assert_int_equal(poll(&ready, 1, 0), 0);
    assert_int_equal(output_set_reading(f->output, true), 0);
    run(f);
    assert_heard(f, " closed");
    assert_int_equal(poll(&ready, 1, 0), 0);
}

static void
test_drain_passes_on_what_the_dead_left(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(output_set_reading(f->output, false), 0);
    put_text(f->out, "a");
    put_frame(f);
    put_marker(f->out, 2); /* it died before it sent frame 2 */
    put_text(f->out, "b");
    put_marker(f->err, 2);
    put_text(f->err, "c");
    put(f->err, nonce, 3);
    assert_int_equal(output_drain(f->output, true), 0);
    assert_heard(f, " out:a frame:1 out:b err:c012");
}

/* Waits until something is heard, as long as it takes. */
static void
wait_heard(struct fixture *f)
{
    size_t heard = f->heard.length;

    while (f->heard.length == heard)
        assert_int_equal(loop_wait(f->loop, -1), 0);
}

/* However many a program writes one by one, they do not wake us one by one. */
static void
assert_rests(struct fixture *f, void (*put_one)(struct fixture *f))
{
    struct pollfd ready = { .fd = loop_fd(f->loop), .events = POLLIN };
    size_t heard;
    int pieces = 0;

    do {
        put_one(f);
        pieces++;
        heard = f->heard.length;
        run(f);
    } while (f->heard.length > heard && pieces < 1000);
    assert_in_range(pieces, 10, 999);
    put_one(f);
    assert_int_equal(poll(&ready, 1, 0), 0);
    wait_heard(f);
}

static void
put_small_piece(struct fixture *f)
{
    put_piece(f, "a");
}

static void
put_small_raw_piece(struct fixture *f)
{
    put_text(f->err, "a");
}

static void
test_small_pieces_in_a_row_are_fetched_many_at_a_time(void **state)
{
    struct fixture *f = *state;

    assert_rests(f, put_small_piece);
    put_frame(f); /* ends the row */
    wait_heard(f);
    assert_rests(f, put_small_raw_piece);
}

static void
test_a_rest_ends_when_the_child_is_dead(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 1000; i++) {
        put_text(f->out, "a");
        run(f);
    }
    f->heard.length = 0;
    put_text(f->out, "b");
    put_frame(f);
    assert_int_equal(output_drain(f->output, true), 0);
    assert_int_equal(f->heard.data[f->heard.length - 1], '1');
}

/* A round: raw text in one stream or both, then a frame; and now and then the loop turns
 * in the middle of it. */
static void
test_thousands_of_mixed_writes_are_in_order(void **state)
{
    struct fixture *f = *state;
    struct buffer expected;
    unsigned random = 1;

    buffer_init(&expected, (size_t)64 * 1024 * 1024);
    for (int i = 0; i < 20000; i++) {
        char text[32];

        random = random * 1103515245 + 12345;
        snprintf(text, sizeof text, "<%d>", i);
        if ((random >> 16) % 3 != 0) {
            put_text((random >> 20) % 2 != 0 ? f->err : f->out, text);
            buffer_append_format(&expected, " %s:%s",
                                 (random >> 20) % 2 != 0 ? "err" : "out", text);
        }
        if ((random >> 24) % 16 == 0)
            assert_int_equal(loop_turn(f->loop), 0);
        put_frame(f);
        buffer_append_format(&expected, " frame:%d", i + 1);
        if ((random >> 18) % 8 == 0)
            run(f);
    }
    run(f);
    buffer_append(&expected, "", 1);
    assert_heard(f, (const char *)expected.data);
    assert_int_equal(output_missed(f->output), 0);
    buffer_fini(&expected);
}

static void
test_scan_takes_linear_time_over_markers_that_are_none(void **state)
{
    struct marker_scan scan;
    size_t taken = 0, room;
    uint8_t *to;
    struct slice text;

    (void)state;
    assert_int_equal(marker_scan_init(&scan, nonce), 0);
    for (int i = 0; i < 4096; i++) {
        room = marker_scan_room(&scan, &to);
        assert_true(room >= FRAME_NONCE_BYTES);
        memcpy(to, nonce, FRAME_NONCE_BYTES);
        marker_scan_add(&scan, FRAME_NONCE_BYTES);
        while ((text = marker_scan_take(&scan, 1)).length > 0)
            taken += text.length;
    }
    taken += marker_scan_rest(&scan).length;
    assert_int_equal(taken, 4096 * FRAME_NONCE_BYTES);
    marker_scan_fini(&scan);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_text_passes_without_frames),
        TEST(test_frames_and_text_keep_the_programs_order),
        TEST(test_frame_waits_for_no_pipe_that_is_behind),
        TEST(test_pipe_that_is_ahead_does_not_spin),
        TEST(test_marker_split_across_reads_is_found),
        TEST(test_beginning_of_a_marker_is_text_when_it_goes_on_differently),
        TEST(test_beginning_of_a_marker_at_the_end_is_text),
        TEST(test_forged_marker_is_text_unless_it_is_the_next_ones),
        TEST(test_missing_markers_hold_up_nothing),
        TEST(test_frame_out_of_sequence_is_illegal),
        TEST(test_closed_pipes_and_channel_end_nothing_but_themselves),
        TEST(test_observer_can_refuse_further_frames),
        TEST(test_nothing_is_read_while_paused),
        TEST(test_closed_ends_do_not_spin_while_paused),
        TEST(test_drain_passes_on_what_the_dead_left),
        TEST(test_small_pieces_in_a_row_are_fetched_many_at_a_time),
        TEST(test_a_rest_ends_when_the_child_is_dead),
        TEST(test_thousands_of_mixed_writes_are_in_order),
        cmocka_unit_test(test_scan_takes_linear_time_over_markers_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

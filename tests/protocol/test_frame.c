/* SPDX-License-Identifier: MIT */
#include "protocol/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

/* Offsets in the fixed header. */
enum {
    AT_VERSION = 0,
    AT_TYPE = 1,
    AT_FLAGS = 2,
    AT_LANE = 4,
    AT_SEQUENCE = 16,
    AT_HEADER_BYTES = 28,
    AT_METADATA_BYTES = 32,
    AT_CONTENT_BYTES = 36,
    AT_BUFFER_COUNT = 40,
    AT_ZERO = 44
};

static void
put32(uint8_t *at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static struct frame
execute_frame(void)
{
    return (struct frame){ .type = FRAME_EXECUTE_REQUEST,
                           .number = UINT64_C(0x0102030405060708),
                           .execution_count = 3,
                           .header = slice_text("{\"msg_id\":\"1\"}"),
                           .metadata = slice_text("{}"),
                           .content = slice_text("{\"code\":\"1+1\"}") };
}

static struct frame
display_frame(const struct slice *buffers, uint32_t count)
{
    return (struct frame){ .type = FRAME_DISPLAY_DATA,
                           .number = 5,
                           .sequence = 9,
                           .content = slice_text("{}"),
                           .buffers = buffers,
                           .buffer_count = count };
}

static void
encode(struct buffer *ret, const struct frame *frame, enum frame_sender sender)
{
    struct error err = { 0 };

    buffer_init(ret, FRAME_BYTES_MAX);
    assert_int_equal(frame_encode(ret, frame, sender, &err), 0);
}

/* Reads one packet by a fresh reader. */
static int
read_packet(const uint8_t *bytes, size_t length, enum frame_sender sender)
{
    struct frame_reader reader;
    struct error err = { 0 };
    struct frame frame;
    int r;

    frame_reader_init(&reader, sender);
    r = frame_reader_take(&reader, bytes, length, &frame, &err);
    if (r > FRAME_E_AGAIN)
        assert_int_equal(err.code, r);
    frame_reader_fini(&reader);
    return r;
}

static void
assert_same_slice(struct slice a, struct slice b)
{
    assert_int_equal(a.length, b.length);
    if (a.length > 0)
        assert_memory_equal(a.data, b.data, a.length);
}

static void
assert_same_frame(const struct frame *a, const struct frame *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->lane, b->lane);
    assert_true(a->number == b->number);
    assert_true(a->sequence == b->sequence);
    assert_int_equal(a->execution_count, b->execution_count);
    assert_same_slice(a->header, b->header);
    assert_same_slice(a->metadata, b->metadata);
    assert_same_slice(a->content, b->content);
    assert_int_equal(a->buffer_count, b->buffer_count);
    for (uint32_t i = 0; i < a->buffer_count; i++)
        assert_same_slice(a->buffers[i], b->buffers[i]);
}

static void
test_the_layout_is_the_documented_one(void **state)
{
    static const uint8_t head[FRAME_FIXED_BYTES] = {
        1, 2, 0, 0, 0,  0, 0, 0, 8, 7, 6, 5, 4,  3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0,
        3, 0, 0, 0, 14, 0, 0, 0, 2, 0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    };
    struct frame frame = execute_frame();
    struct buffer bytes;

    (void)state;
    encode(&bytes, &frame, FRAME_FROM_SERVER);
    assert_int_equal(bytes.length, FRAME_FIXED_BYTES + 14 + 2 + 14);
    assert_int_equal(frame_bytes(&frame), bytes.length);
    assert_memory_equal(bytes.data, head, sizeof head);
    assert_memory_equal(bytes.data + FRAME_FIXED_BYTES,
                        "{\"msg_id\":\"1\"}{}{\"code\":\"1+1\"}", 30);
    buffer_fini(&bytes);
}

static void
test_what_is_encoded_is_read_back(void **state)
{
    const struct slice buffers[] = { slice_text("one"), slice_text(""),
                                     slice_text("three") };
    const struct frame frames[] = { execute_frame(), display_frame(NULL, 0),
                                    display_frame(buffers, 3) };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(frames); i++) {
        enum frame_sender sender = i == 0 ? FRAME_FROM_SERVER : FRAME_FROM_RUNNER;
        struct frame_reader reader;
        struct buffer bytes;
        struct frame frame;

        encode(&bytes, &frames[i], sender);
        frame_reader_init(&reader, sender);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(
                frame_reader_take(&reader, bytes.data, bytes.length, &frame, NULL), 0);
            assert_same_frame(&frame, &frames[i]);
        }
        frame_reader_fini(&reader);
        buffer_fini(&bytes);
    }
}

static void
test_a_head_and_parts_sent_apart_are_the_same_frame(void **state)
{
    const struct slice buffers[] = { slice_text("one"), slice_text("two") };
    struct frame frame = display_frame(buffers, 2);
    uint8_t head[FRAME_FIXED_BYTES + 8];
    struct buffer bytes;

    (void)state;
    encode(&bytes, &frame, FRAME_FROM_RUNNER);
    assert_int_equal(frame_encode_head(head, &frame, FRAME_FROM_RUNNER, NULL), 0);
    assert_memory_equal(bytes.data, head, sizeof head);
    buffer_fini(&bytes);
}

static void
test_a_frame_may_be_cut_into_packets_anywhere_behind_its_head(void **state)
{
    const struct slice buffers[] = { slice_text("one"), slice_text("two") };
    struct frame expected = display_frame(buffers, 2), frame;
    const size_t head = FRAME_FIXED_BYTES + 8;
    struct buffer bytes;

    (void)state;
    encode(&bytes, &expected, FRAME_FROM_RUNNER);
    for (size_t first = head; first < bytes.length; first++) {
        for (size_t second = 1; second < bytes.length - first; second++) {
            struct frame_reader reader;

            frame_reader_init(&reader, FRAME_FROM_RUNNER);
            assert_int_equal(frame_reader_take(&reader, bytes.data, first, &frame, NULL),
                             FRAME_E_AGAIN);
            assert_int_equal(
                frame_reader_take(&reader, bytes.data + first, second, &frame, NULL),
                FRAME_E_AGAIN);
            assert_int_equal(frame_reader_take(&reader, bytes.data + first + second,
                                               bytes.length - first - second, &frame,
                                               NULL),
                             0);
            assert_same_frame(&frame, &expected);
            frame_reader_fini(&reader);
        }
    }
    buffer_fini(&bytes);
}

static void
test_a_split_head_is_illegal_at_every_length(void **state)
{
    const struct slice buffers[] = { slice_text("one"), slice_text("two") };
    struct frame frame = display_frame(buffers, 2);
    struct buffer bytes;

    (void)state;
    encode(&bytes, &frame, FRAME_FROM_RUNNER);
    for (size_t length = 0; length < FRAME_FIXED_BYTES + 8; length++)
        assert_int_equal(read_packet(bytes.data, length, FRAME_FROM_RUNNER),
                         FRAME_E_ILLEGAL);
    buffer_fini(&bytes);
}

static void
test_a_packet_past_the_end_of_its_frame_is_illegal(void **state)
{
    struct frame expected = execute_frame(), frame;
    struct frame_reader reader;
    struct buffer bytes;
    size_t whole;

    (void)state;
    encode(&bytes, &expected, FRAME_FROM_SERVER);
    whole = bytes.length;
    buffer_append_text(&bytes, "x");
    assert_int_equal(read_packet(bytes.data, whole + 1, FRAME_FROM_SERVER),
                     FRAME_E_ILLEGAL);

    frame_reader_init(&reader, FRAME_FROM_SERVER);
    assert_int_equal(frame_reader_take(&reader, bytes.data, whole - 1, &frame, NULL),
                     FRAME_E_AGAIN);
    assert_int_equal(frame_reader_take(&reader, bytes.data + whole - 1, 2, &frame, NULL),
                     FRAME_E_ILLEGAL);
    frame_reader_fini(&reader);
    buffer_fini(&bytes);
}

static void
test_an_empty_packet_within_a_frame_is_illegal(void **state)
{
    struct frame expected = execute_frame(), frame;
    struct frame_reader reader;
    struct buffer bytes;

    (void)state;
    encode(&bytes, &expected, FRAME_FROM_SERVER);
    frame_reader_init(&reader, FRAME_FROM_SERVER);
    assert_int_equal(
        frame_reader_take(&reader, bytes.data, FRAME_FIXED_BYTES, &frame, NULL),
        FRAME_E_AGAIN);
    assert_int_equal(frame_reader_take(&reader, bytes.data, 0, &frame, NULL),
                     FRAME_E_ILLEGAL);
    frame_reader_fini(&reader);
    buffer_fini(&bytes);
}

/* Both ways: what may not be read may not be written either. */
static void
test_each_type_has_its_senders(void **state)
{
    static const unsigned senders[FRAME_TYPE_END] = {
        [FRAME_CONFIGURE] = FRAME_FROM_SERVER,
        [FRAME_EXECUTE_REQUEST] = FRAME_FROM_SERVER,
        [FRAME_COMPLETE_REQUEST] = FRAME_FROM_SERVER,
        [FRAME_INSPECT_REQUEST] = FRAME_FROM_SERVER,
        [FRAME_IS_COMPLETE_REQUEST] = FRAME_FROM_SERVER,
        [FRAME_INPUT_REPLY] = FRAME_FROM_SERVER,
        [FRAME_PING] = FRAME_FROM_SERVER,
        [FRAME_SHUTDOWN] = FRAME_FROM_SERVER,
        [FRAME_COMM_OPEN] = FRAME_FROM_SERVER | FRAME_FROM_RUNNER,
        [FRAME_COMM_MSG] = FRAME_FROM_SERVER | FRAME_FROM_RUNNER,
        [FRAME_COMM_CLOSE] = FRAME_FROM_SERVER | FRAME_FROM_RUNNER,
        [FRAME_HELLO] = FRAME_FROM_RUNNER,
        [FRAME_REPLY] = FRAME_FROM_RUNNER,
        [FRAME_STREAM] = FRAME_FROM_RUNNER,
        [FRAME_DISPLAY_DATA] = FRAME_FROM_RUNNER,
        [FRAME_UPDATE_DISPLAY_DATA] = FRAME_FROM_RUNNER,
        [FRAME_EXECUTE_RESULT] = FRAME_FROM_RUNNER,
        [FRAME_ERROR] = FRAME_FROM_RUNNER,
        [FRAME_CLEAR_OUTPUT] = FRAME_FROM_RUNNER,
        [FRAME_INPUT_REQUEST] = FRAME_FROM_RUNNER,
    };
    const struct slice text = slice_text("text");

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        for (unsigned sender = FRAME_FROM_SERVER; sender <= FRAME_FROM_RUNNER; sender++) {
            bool legal = type < FRAME_TYPE_END && (senders[type] & sender) != 0;
            uint8_t packet[FRAME_FIXED_BYTES + 4 + 4] = { FRAME_VERSION, (uint8_t)type };
            struct frame frame = { .type = (enum frame_type)type,
                                   .sequence = sender == FRAME_FROM_RUNNER };
            size_t length = FRAME_FIXED_BYTES;
            uint8_t head[FRAME_FIXED_BYTES + 4];

            packet[AT_SEQUENCE] = sender == FRAME_FROM_RUNNER;
            if (type == FRAME_STREAM) {
                packet[AT_BUFFER_COUNT] = 1;
                packet[FRAME_FIXED_BYTES] = 4;
                length = sizeof packet;
                frame.buffers = &text;
                frame.buffer_count = 1;
            } else if (type != FRAME_PING && type != FRAME_SHUTDOWN) {
                packet[AT_CONTENT_BYTES] = 2;
                length += 2;
                frame.content = slice_text("{}");
            }
            assert_int_equal(read_packet(packet, length, (enum frame_sender)sender),
                             legal ? 0 : FRAME_E_ILLEGAL);
            assert_int_equal(
                frame_encode_head(head, &frame, (enum frame_sender)sender, NULL),
                legal ? 0 : FRAME_E_ILLEGAL);
        }
    }
}

static void
test_types_have_jupyter_s_names(void **state)
{
    (void)state;
    assert_string_equal(frame_type_name(FRAME_EXECUTE_REQUEST), "execute_request");
    assert_string_equal(frame_type_name(FRAME_COMM_MSG), "comm_msg");
    assert_string_equal(frame_type_name(FRAME_CLEAR_OUTPUT), "clear_output");
    assert_string_equal(frame_type_name((enum frame_type)0), "unknown");
    assert_string_equal(frame_type_name(FRAME_TYPE_END), "unknown");
    for (unsigned type = 1; type < FRAME_TYPE_END; type++)
        assert_string_not_equal(frame_type_name((enum frame_type)type), "unknown");
}

static void
test_unknown_versions_flags_lanes_and_bytes_are_illegal(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        { AT_VERSION, 0 },   { AT_VERSION, 2 },      { AT_FLAGS, 8 },
        { AT_FLAGS + 1, 1 }, { AT_LANE, 1 },         { AT_LANE + 3, 1 },
        { AT_SEQUENCE, 1 },  { AT_SEQUENCE + 7, 1 }, { AT_BUFFER_COUNT, 1 },
        { AT_ZERO, 1 },      { AT_ZERO + 3, 1 },
    };
    struct frame frame = execute_frame();
    struct buffer bytes;

    (void)state;
    encode(&bytes, &frame, FRAME_FROM_SERVER);
    for (size_t i = 0; i < N_ELEMENTS(changes); i++) {
        uint8_t before = bytes.data[changes[i].at];

        bytes.data[changes[i].at] = changes[i].value;
        assert_int_equal(read_packet(bytes.data, bytes.length, FRAME_FROM_SERVER),
                         FRAME_E_ILLEGAL);
        bytes.data[changes[i].at] = before;
    }
    assert_int_equal(read_packet(bytes.data, bytes.length, FRAME_FROM_SERVER), 0);
    buffer_fini(&bytes);
}

static void
test_a_runner_numbers_its_frames_from_one(void **state)
{
    struct frame frame = display_frame(NULL, 0);
    uint8_t head[FRAME_FIXED_BYTES];

    (void)state;
    frame.sequence = 0;
    assert_int_equal(frame_encode_head(head, &frame, FRAME_FROM_RUNNER, NULL),
                     FRAME_E_ILLEGAL);
    frame.sequence = UINT64_MAX;
    assert_int_equal(frame_encode_head(head, &frame, FRAME_FROM_RUNNER, NULL), 0);
}

static void
test_a_stream_is_exactly_one_buffer(void **state)
{
    const struct slice buffers[] = { slice_text("a"), slice_text("b") };
    struct frame frame = { .type = FRAME_STREAM, .sequence = 1, .buffers = buffers };
    uint8_t head[FRAME_FIXED_BYTES + 8];

    (void)state;
    for (uint32_t count = 0; count <= 2; count++) {
        frame.buffer_count = count;
        assert_int_equal(frame_encode_head(head, &frame, FRAME_FROM_RUNNER, NULL),
                         count == 1 ? 0 : FRAME_E_ILLEGAL);
    }
    frame.buffer_count = 1;
    frame.content = slice_text("{}");
    assert_int_equal(frame_encode_head(head, &frame, FRAME_FROM_RUNNER, NULL),
                     FRAME_E_TOO_LARGE);
}

static void
test_a_type_that_needs_content_is_illegal_without(void **state)
{
    struct frame frame = execute_frame();
    uint8_t head[FRAME_FIXED_BYTES];

    (void)state;
    frame.content = (struct slice){ 0 };
    assert_int_equal(frame_encode_head(head, &frame, FRAME_FROM_SERVER, NULL),
                     FRAME_E_ILLEGAL);
}

/* The bound is judged by the head alone: nothing of that size is ever sent here. */
static void
test_each_part_has_its_bound(void **state)
{
    static const struct {
        enum frame_type type;
        size_t at;
        uint32_t max;
    } bounds[] = {
        { FRAME_HELLO, AT_CONTENT_BYTES, 64 << 10 },
        { FRAME_CLEAR_OUTPUT, AT_CONTENT_BYTES, 4 << 10 },
        { FRAME_INPUT_REQUEST, AT_CONTENT_BYTES, 1 << 20 },
        { FRAME_DISPLAY_DATA, AT_CONTENT_BYTES, FRAME_CONTENT_BYTES_MAX },
        { FRAME_REPLY, AT_CONTENT_BYTES, FRAME_CONTENT_BYTES_MAX },
        { FRAME_DISPLAY_DATA, AT_HEADER_BYTES, 1 << 20 },
        { FRAME_DISPLAY_DATA, AT_METADATA_BYTES, 16 << 20 },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(bounds); i++) {
        uint8_t packet[FRAME_FIXED_BYTES] = { FRAME_VERSION, (uint8_t)bounds[i].type };

        packet[AT_SEQUENCE] = 1;
        packet[AT_CONTENT_BYTES] = 1;
        put32(packet + bounds[i].at, bounds[i].max);
        assert_int_equal(read_packet(packet, sizeof packet, FRAME_FROM_RUNNER),
                         FRAME_E_AGAIN);
        put32(packet + bounds[i].at, bounds[i].max + 1);
        assert_int_equal(read_packet(packet, sizeof packet, FRAME_FROM_RUNNER),
                         FRAME_E_TOO_LARGE);
        put32(packet + bounds[i].at, UINT32_MAX);
        assert_int_equal(read_packet(packet, sizeof packet, FRAME_FROM_RUNNER),
                         FRAME_E_TOO_LARGE);
    }
}

static void
test_the_number_of_buffers_is_bounded_before_their_lengths_are_read(void **state)
{
    static uint8_t packet[FRAME_FIXED_BYTES + 4 * (FRAME_BUFFERS_MAX + 1)];

    (void)state;
    packet[AT_VERSION] = FRAME_VERSION;
    packet[AT_TYPE] = FRAME_COMM_MSG;
    packet[AT_SEQUENCE] = 1;
    packet[AT_CONTENT_BYTES] = 1;
    put32(packet + AT_BUFFER_COUNT, FRAME_BUFFERS_MAX);
    assert_int_equal(read_packet(packet, sizeof packet - 4, FRAME_FROM_RUNNER),
                     FRAME_E_AGAIN);
    put32(packet + AT_BUFFER_COUNT, FRAME_BUFFERS_MAX + 1);
    assert_int_equal(read_packet(packet, sizeof packet, FRAME_FROM_RUNNER),
                     FRAME_E_TOO_LARGE);
    put32(packet + AT_BUFFER_COUNT, UINT32_MAX);
    assert_int_equal(read_packet(packet, sizeof packet, FRAME_FROM_RUNNER),
                     FRAME_E_TOO_LARGE);
}

static void
test_the_sum_of_all_parts_is_bounded(void **state)
{
    uint8_t packet[FRAME_FIXED_BYTES + 8] = { FRAME_VERSION, FRAME_COMM_MSG };
    uint32_t rest = (uint32_t)(FRAME_BYTES_MAX - sizeof packet - 1);

    (void)state;
    packet[AT_SEQUENCE] = 1;
    packet[AT_CONTENT_BYTES] = 1;
    packet[AT_BUFFER_COUNT] = 2;
    put32(packet + FRAME_FIXED_BYTES, rest - 1);
    put32(packet + FRAME_FIXED_BYTES + 4, 1);
    assert_int_equal(read_packet(packet, sizeof packet, FRAME_FROM_RUNNER),
                     FRAME_E_AGAIN);
    put32(packet + FRAME_FIXED_BYTES + 4, 2);
    assert_int_equal(read_packet(packet, sizeof packet, FRAME_FROM_RUNNER),
                     FRAME_E_TOO_LARGE);
    put32(packet + FRAME_FIXED_BYTES, UINT32_MAX);
    put32(packet + FRAME_FIXED_BYTES + 4, UINT32_MAX);
    assert_int_equal(read_packet(packet, sizeof packet, FRAME_FROM_RUNNER),
                     FRAME_E_TOO_LARGE);
}

static void
test_memory_grows_with_what_arrives_not_with_what_is_claimed(void **state)
{
    uint8_t packet[FRAME_FIXED_BYTES] = { FRAME_VERSION, FRAME_DISPLAY_DATA };
    struct frame_reader reader;
    struct frame frame;

    (void)state;
    packet[AT_SEQUENCE] = 1;
    put32(packet + AT_CONTENT_BYTES, FRAME_CONTENT_BYTES_MAX);
    frame_reader_init(&reader, FRAME_FROM_RUNNER);
    assert_int_equal(frame_reader_take(&reader, packet, sizeof packet, &frame, NULL),
                     FRAME_E_AGAIN);
    assert_true(reader.bytes.capacity < 4096);
    frame_reader_fini(&reader);
}

static void
test_encoding_refuses_parts_that_no_length_can_say(void **state)
{
    struct slice huge = { .data = (const uint8_t *)"", .length = SIZE_MAX };
    struct slice wide = { .data = (const uint8_t *)"", .length = (size_t)UINT32_MAX + 1 };
    struct frame frame = display_frame(&huge, 1);
    uint8_t head[FRAME_FIXED_BYTES + 4];

    (void)state;
    assert_int_equal(frame_encode_head(head, &frame, FRAME_FROM_RUNNER, NULL),
                     FRAME_E_TOO_LARGE);
    frame = display_frame(NULL, 0);
    frame.content = wide;
    assert_int_equal(frame_encode_head(head, &frame, FRAME_FROM_RUNNER, NULL),
                     FRAME_E_TOO_LARGE);
    frame = display_frame(&huge, FRAME_BUFFERS_MAX + 1);
    assert_int_equal(frame_encode_head(head, &frame, FRAME_FROM_RUNNER, NULL),
                     FRAME_E_TOO_LARGE);
}

static void
test_a_marker_is_the_nonce_and_its_sequence_number(void **state)
{
    static const uint8_t nonce[FRAME_NONCE_BYTES] = "0123456789abcdef";
    uint8_t marker[FRAME_MARKER_BYTES];

    (void)state;
    frame_marker(marker, nonce, UINT64_C(0x0102030405060708));
    assert_memory_equal(marker, "0123456789abcdef\x08\x07\x06\x05\x04\x03\x02\x01",
                        sizeof marker);
    assert_true(frame_marker_sequence(marker) == UINT64_C(0x0102030405060708));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_layout_is_the_documented_one),
        cmocka_unit_test(test_what_is_encoded_is_read_back),
        cmocka_unit_test(test_a_head_and_parts_sent_apart_are_the_same_frame),
        cmocka_unit_test(test_a_frame_may_be_cut_into_packets_anywhere_behind_its_head),
        cmocka_unit_test(test_a_split_head_is_illegal_at_every_length),
        cmocka_unit_test(test_a_packet_past_the_end_of_its_frame_is_illegal),
        cmocka_unit_test(test_an_empty_packet_within_a_frame_is_illegal),
        cmocka_unit_test(test_each_type_has_its_senders),
        cmocka_unit_test(test_types_have_jupyter_s_names),
        cmocka_unit_test(test_unknown_versions_flags_lanes_and_bytes_are_illegal),
        cmocka_unit_test(test_a_runner_numbers_its_frames_from_one),
        cmocka_unit_test(test_a_stream_is_exactly_one_buffer),
        cmocka_unit_test(test_a_type_that_needs_content_is_illegal_without),
        cmocka_unit_test(test_each_part_has_its_bound),
        cmocka_unit_test(
            test_the_number_of_buffers_is_bounded_before_their_lengths_are_read),
        cmocka_unit_test(test_the_sum_of_all_parts_is_bounded),
        cmocka_unit_test(test_memory_grows_with_what_arrives_not_with_what_is_claimed),
        cmocka_unit_test(test_encoding_refuses_parts_that_no_length_can_say),
        cmocka_unit_test(test_a_marker_is_the_nonce_and_its_sequence_number),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}

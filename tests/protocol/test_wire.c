/* SPDX-License-Identifier: MIT */
#include "protocol/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/replay.h"

#define IDENTITIES 2
#define BUFFERS 2

struct fixture {
    struct signature_key *key;
    struct signature_key *no_key;
    struct replay *replay;
    char signature[SIGNATURE_HEX_BYTES + 1];
    /* Room for more than is allowed of everything. */
    struct slice frames[WIRE_FRAMES_MAX + 2];
    size_t count;
};

static const uint8_t zeros[1]; /* what lies behind it is never read */

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(signature_key_create(&f->key, slice_text("secret")), 0);
    assert_int_equal(signature_key_create(&f->no_key, slice_text("")), 0);
    assert_int_equal(replay_create(&f->replay, 16), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    signature_key_destroy(f->key);
    signature_key_destroy(f->no_key);
    replay_destroy(f->replay);
    free(f);
    return 0;
}

/* Lays out a signed message with so many identities and buffers. */
static struct slice *
lay_out(struct fixture *f, size_t identities, size_t buffers)
{
    const struct slice parts[] = { slice_text("{\"msg_id\":\"1\"}"),
                                   slice_text("{\"p\":1}"), slice_text("{\"m\":1}"),
                                   slice_text("{\"c\":1}") };
    struct slice *fixed = f->frames + identities;

    for (size_t i = 0; i < identities; i++)
        f->frames[i] = slice_text("identity");
    wire_compose(fixed, f->signature, f->key, parts);
    for (size_t i = 0; i < buffers; i++)
        fixed[WIRE_FIXED_FRAMES + i] = slice_text("buffer");
    f->count = identities + WIRE_FIXED_FRAMES + buffers;
    return fixed;
}

static int
open_frames(struct fixture *f, const struct signature_key *key)
{
    struct error err = { 0 };
    struct wire wire;
    int r = wire_open(&wire, f->frames, f->count, key, f->replay, &err);

    assert_int_equal(err.code, r);
    return r;
}

static void
test_the_parts_are_found(void **state)
{
    struct fixture *f = *state;
    struct wire wire;

    lay_out(f, IDENTITIES, BUFFERS);
    assert_int_equal(wire_open(&wire, f->frames, f->count, f->key, f->replay, NULL), 0);
    assert_ptr_equal(wire.identities, f->frames);
    assert_int_equal(wire.identity_count, IDENTITIES);
    assert_true(slice_equals_text(wire.header, "{\"msg_id\":\"1\"}"));
    assert_true(slice_equals_text(wire.parent_header, "{\"p\":1}"));
    assert_true(slice_equals_text(wire.metadata, "{\"m\":1}"));
    assert_true(slice_equals_text(wire.content, "{\"c\":1}"));
    assert_int_equal(wire.buffer_count, BUFFERS);
    assert_true(slice_equals_text(wire.buffers[BUFFERS - 1], "buffer"));
}

static void
test_identities_and_buffers_may_be_absent(void **state)
{
    struct fixture *f = *state;
    struct wire wire;

    lay_out(f, 0, 0);
    assert_int_equal(wire_open(&wire, f->frames, f->count, f->key, f->replay, NULL), 0);
    assert_int_equal(wire.identity_count, 0);
    assert_int_equal(wire.buffer_count, 0);
}

static void
test_no_delimiter_is_malformed(void **state)
{
    struct fixture *f = *state;

    lay_out(f, 1, 0)[0] = slice_text("<IDS|MSG");
    assert_int_equal(open_frames(f, f->key), WIRE_E_MALFORMED);
    f->count = 0;
    assert_int_equal(open_frames(f, f->key), WIRE_E_MALFORMED);
}

static void
test_fewer_than_five_frames_behind_the_delimiter_are_malformed(void **state)
{
    struct fixture *f = *state;

    lay_out(f, 1, 0);
    for (size_t missing = 1; missing < WIRE_FIXED_FRAMES; missing++) {
        f->count--;
        assert_int_equal(open_frames(f, f->key), WIRE_E_MALFORMED);
    }
}

static void
test_identities_are_bounded_in_number_and_size(void **state)
{
    struct fixture *f = *state;

    lay_out(f, WIRE_IDENTITIES_MAX, 0);
    assert_int_equal(open_frames(f, f->key), 0);
    lay_out(f, WIRE_IDENTITIES_MAX + 1, 0);
    assert_int_equal(open_frames(f, f->key), WIRE_E_TOO_LARGE);

    lay_out(f, 1, 0);
    f->frames[0] = (struct slice){ zeros, WIRE_IDENTITY_BYTES_MAX + 1 };
    assert_int_equal(open_frames(f, f->key), WIRE_E_TOO_LARGE);
}

static void
test_buffers_are_bounded_in_number(void **state)
{
    struct fixture *f = *state;

    lay_out(f, 1, WIRE_BUFFERS_MAX);
    assert_int_equal(open_frames(f, f->key), 0);
    lay_out(f, 1, WIRE_BUFFERS_MAX + 1);
    assert_int_equal(open_frames(f, f->key), WIRE_E_TOO_LARGE);
    lay_out(f, WIRE_IDENTITIES_MAX, WIRE_BUFFERS_MAX + 1);
    assert_int_equal(open_frames(f, f->key), WIRE_E_TOO_LARGE);
}

/* The bytes are not there: a bound that came after a look at them would crash. */
static void
test_each_part_is_bounded_before_its_bytes_are_read(void **state)
{
    static const size_t bounds[] = { WIRE_HEADER_BYTES_MAX, WIRE_HEADER_BYTES_MAX,
                                     WIRE_METADATA_BYTES_MAX, WIRE_CONTENT_BYTES_MAX };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(bounds); i++) {
        lay_out(f, 1, 0)[2 + i] = (struct slice){ zeros, bounds[i] + 1 };
        assert_int_equal(open_frames(f, f->key), WIRE_E_TOO_LARGE);
        lay_out(f, 1, 0)[2 + i] = (struct slice){ zeros, SIZE_MAX };
        assert_int_equal(open_frames(f, f->key), WIRE_E_TOO_LARGE);
    }
}

static void
test_a_part_at_its_bound_is_taken(void **state)
{
    struct fixture *f = *state;
    CLEANUP(freep) uint8_t *bytes = calloc(1, WIRE_METADATA_BYTES_MAX);
    struct slice parts[] = { { bytes, WIRE_HEADER_BYTES_MAX },
                             { bytes, WIRE_HEADER_BYTES_MAX },
                             { bytes, WIRE_METADATA_BYTES_MAX },
                             slice_text("{}") };

    assert_non_null(bytes);
    wire_compose(f->frames, f->signature, f->key, parts);
    f->count = WIRE_FIXED_FRAMES;
    assert_int_equal(open_frames(f, f->key), 0);
}

static void
test_all_frames_together_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct slice *buffers;
    size_t others = 0;

    buffers = lay_out(f, 1, 2) + WIRE_FIXED_FRAMES;
    for (size_t i = 0; i < f->count - 2; i++)
        others += f->frames[i].length;
    buffers[0] = (struct slice){ zeros, WIRE_MESSAGE_BYTES_MAX - others - 1 };
    buffers[1] = (struct slice){ zeros, 1 };
    assert_int_equal(open_frames(f, f->key), 0);
    buffers[1].length = 2;
    assert_int_equal(open_frames(f, f->key), WIRE_E_TOO_LARGE);
    buffers[0].length = buffers[1].length = SIZE_MAX;
    assert_int_equal(open_frames(f, f->key), WIRE_E_TOO_LARGE);
}

static void
test_a_message_without_signature_is_unsigned(void **state)
{
    struct fixture *f = *state;

    lay_out(f, 1, 0)[1] = slice_text("");
    assert_int_equal(open_frames(f, f->key), WIRE_E_UNSIGNED);
}

static void
test_any_changed_byte_of_the_four_parts_breaks_the_signature(void **state)
{
    struct fixture *f = *state;

    for (size_t part = 0; part < SIGNATURE_PARTS; part++) {
        struct slice *slice = &lay_out(f, 1, 0)[2 + part];

        for (size_t i = 0; i < slice->length; i++) {
            uint8_t copy[32];

            memcpy(copy, slice->data, slice->length);
            copy[i] ^= 1;
            lay_out(f, 1, 0)[2 + part] = (struct slice){ copy, slice->length };
            assert_int_equal(open_frames(f, f->key), WIRE_E_BAD_SIGNATURE);
            lay_out(f, 1, 0);
        }
    }
    assert_int_equal(open_frames(f, f->key), 0);
}

static void
test_identities_and_buffers_are_not_signed(void **state)
{
    struct fixture *f = *state;

    lay_out(f, 1, 1)[WIRE_FIXED_FRAMES] = slice_text("other");
    f->frames[0] = slice_text("somebody else");
    assert_int_equal(open_frames(f, f->key), 0);
}

static void
test_the_same_message_is_taken_once(void **state)
{
    struct fixture *f = *state;

    lay_out(f, 1, 0);
    assert_int_equal(open_frames(f, f->key), 0);
    assert_int_equal(open_frames(f, f->key), WIRE_E_REPLAYED);
    lay_out(f, 2, 1); /* other identities and buffers, the same signature */
    assert_int_equal(open_frames(f, f->key), WIRE_E_REPLAYED);
}

static void
test_a_refused_message_is_not_remembered(void **state)
{
    struct fixture *f = *state;

    lay_out(f, 1, WIRE_BUFFERS_MAX + 1);
    assert_int_equal(open_frames(f, f->key), WIRE_E_TOO_LARGE);
    lay_out(f, 1, 0)[5] = slice_text("{\"c\":2}");
    assert_int_equal(open_frames(f, f->key), WIRE_E_BAD_SIGNATURE);
    lay_out(f, 1, 0);
    assert_int_equal(open_frames(f, f->key), 0);
}

static void
test_an_empty_key_takes_only_empty_signatures_and_needs_no_replay(void **state)
{
    struct fixture *f = *state;
    struct wire wire;

    lay_out(f, 1, 0);
    assert_int_equal(open_frames(f, f->no_key), WIRE_E_BAD_SIGNATURE);
    f->frames[2] = slice_text("");
    for (int again = 0; again < 2; again++)
        assert_int_equal(wire_open(&wire, f->frames, f->count, f->no_key, NULL, NULL), 0);
}

static void
test_compose_writes_empty_parts_as_empty_objects(void **state)
{
    struct fixture *f = *state;
    const struct slice parts[] = {
        slice_text("{\"h\":1}"), { 0 }, { 0 }, slice_text("{}")
    };

    wire_compose(f->frames, f->signature, f->key, parts);
    assert_true(slice_equals_text(f->frames[0], "<IDS|MSG>"));
    assert_int_equal(f->frames[1].length, SIGNATURE_HEX_BYTES);
    assert_true(slice_equals_text(f->frames[2], "{\"h\":1}"));
    assert_true(slice_equals_text(f->frames[3], "{}"));
    assert_true(slice_equals_text(f->frames[4], "{}"));
    f->count = WIRE_FIXED_FRAMES;
    assert_int_equal(open_frames(f, f->key), 0);

    wire_compose(f->frames, f->signature, f->no_key, parts);
    assert_int_equal(f->frames[1].length, 0);
}

static void
test_every_drop_has_a_name(void **state)
{
    (void)state;
    for (int code = 1; code < WIRE_E_END; code++)
        assert_string_not_equal(wire_drop_name(code), "unknown");
    assert_string_equal(wire_drop_name(0), "unknown");
    assert_string_equal(wire_drop_name(WIRE_E_END), "unknown");
    assert_string_equal(wire_drop_name(-1), "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_parts_are_found),
        TEST(test_identities_and_buffers_may_be_absent),
        TEST(test_no_delimiter_is_malformed),
        TEST(test_fewer_than_five_frames_behind_the_delimiter_are_malformed),
        TEST(test_identities_are_bounded_in_number_and_size),
        TEST(test_buffers_are_bounded_in_number),
        TEST(test_each_part_is_bounded_before_its_bytes_are_read),
        TEST(test_a_part_at_its_bound_is_taken),
        TEST(test_all_frames_together_are_bounded),
        TEST(test_a_message_without_signature_is_unsigned),
        TEST(test_any_changed_byte_of_the_four_parts_breaks_the_signature),
        TEST(test_identities_and_buffers_are_not_signed),
        TEST(test_the_same_message_is_taken_once),
        TEST(test_a_refused_message_is_not_remembered),
        TEST(test_an_empty_key_takes_only_empty_signatures_and_needs_no_replay),
        TEST(test_compose_writes_empty_parts_as_empty_objects),
        TEST(test_every_drop_has_a_name),
    };

    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}

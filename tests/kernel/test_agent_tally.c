/* SPDX-License-Identifier: MIT */
#include "kernel/agent/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/frame.h"
#include "protocol/json.h"

#define RESULTS_BYTES 200

static int
setup(void **state)
{
    struct tally *tally = NULL;

    assert_int_equal(tally_create(&tally, RESULTS_BYTES), 0);
    *state = tally;
    return 0;
}

static int
teardown(void **state)
{
    tally_destroy(*state);
    return 0;
}

static void
print(struct tally *tally, bool is_stderr, const char *text)
{
    assert_int_equal(tally_add_text(tally, is_stderr, slice_text(text)), 0);
}

static void
tell(struct tally *tally, enum frame_type type, const char *content)
{
    const struct frame frame = { .type = type, .content = slice_text(content) };

    assert_int_equal(tally_add_frame(tally, &frame), 0);
}

/* A display whose data is a string of LENGTH bytes; with the id "a" when it has one. */
static void
show(struct tally *tally, enum frame_type type, size_t length, bool has_id)
{
    char text[1024];

    assert_true(length >= 2 && length < 900);
    snprintf(text, sizeof text, "{\"data\":\"%0*d\",\"metadata\":{}%s}", (int)length - 2,
             0, has_id ? ",\"transient\":{\"display_id\":\"a\"}" : "");
    tell(tally, type, text);
}

static void
assert_is(const struct tally *tally, const char *results, const char *out,
          const char *err)
{
    static const struct json_limits limits = { 1 << 24, 32 };
    CLEANUP(freep) char *expected = NULL;
    struct buffer text;

    if (asprintf(&expected, "{\"results\":[%s],\"logs\":{\"stdout\":%s,\"stderr\":%s}}",
                 results, out, err) < 0)
        fail();
    buffer_init(&text, 1 << 24);
    assert_int_equal(buffer_append_text(&text, "{"), 0);
    assert_int_equal(tally_append(tally, &text), 0);
    assert_int_equal(buffer_append_text(&text, "}"), 0);
    assert_int_equal(json_scan_object(buffer_slice(&text), &limits, NULL), 0);
    assert_int_equal(buffer_append(&text, "", 1), 0);
    assert_string_equal((const char *)text.data, expected);
    buffer_fini(&text);
}

static void
assert_bytes(const struct tally *tally, uint64_t total, uint64_t kept)
{
    uint64_t there, here;

    tally_results(tally, &there, &here);
    assert_int_equal(there, total);
    assert_int_equal(here, kept);
}

static void
test_nothing_is_nothing(void **state)
{
    assert_is(*state, "", "\"\"", "\"\"");
    assert_bytes(*state, 0, 0);
}

static void
test_text_is_joined_for_each_stream(void **state)
{
    struct tally *tally = *state;

    print(tally, false, "a\n");
    print(tally, true, "oh");
    print(tally, false, "\"b\"\x01");
    print(tally, true, " no\xc3\xa9");
    assert_is(tally, "", "\"a\\n\\\"b\\\"\\u0001\"", "\"oh no\xc3\xa9\"");
}

static void
test_results_are_in_order_and_the_main_one_is_marked(void **state)
{
    struct tally *tally = *state;

    tell(tally, FRAME_DISPLAY_DATA,
         "{\"data\":{\"text/plain\":\"1\"},\"metadata\":{\"w\":2},"
         "\"transient\":{\"display_id\":\"x\"}}");
    tell(tally, FRAME_EXECUTE_RESULT,
         "{\"execution_count\":3,\"data\":{\"text/plain\":\"2\"},\"metadata\":{}}");
    assert_is(tally,
              "{\"data\":{\"text/plain\":\"1\"},\"metadata\":{\"w\":2},"
              "\"display_id\":\"x\",\"is_main_result\":false},"
              "{\"data\":{\"text/plain\":\"2\"},\"metadata\":{},"
              "\"is_main_result\":true}",
              "\"\"", "\"\"");
}

static void
test_what_a_bundle_lacks_is_empty_and_other_frames_are_ignored(void **state)
{
    struct tally *tally = *state;

    tell(tally, FRAME_DISPLAY_DATA, "{}");
    tell(tally, FRAME_DISPLAY_DATA, "{\"transient\":{\"display_id\":7}}");
    tell(tally, FRAME_DISPLAY_DATA, "{\"transient\":[]}");
    tell(tally, FRAME_ERROR, "{\"ename\":\"E\"}");
    tell(tally, FRAME_INPUT_REQUEST, "{\"prompt\":\"?\"}");
#define EMPTY "{\"data\":{},\"metadata\":{},\"is_main_result\":false}"
    assert_is(tally, EMPTY "," EMPTY "," EMPTY, "\"\"", "\"\"");
}

static void
test_an_update_changes_all_displays_of_its_id(void **state)
{
    struct tally *tally = *state;

    tell(tally, FRAME_DISPLAY_DATA, "{\"data\":1,\"transient\":{\"display_id\":\"a\"}}");
    tell(tally, FRAME_DISPLAY_DATA, "{\"data\":2,\"transient\":{\"display_id\":\"b\"}}");
    tell(tally, FRAME_EXECUTE_RESULT,
         "{\"data\":3,\"transient\":{\"display_id\":\"a\"}}");
    tell(tally, FRAME_DISPLAY_DATA, "{\"data\":4}");
    tell(tally, FRAME_UPDATE_DISPLAY_DATA,
         "{\"data\":55,\"metadata\":6,\"transient\":{\"display_id\":\"a\"}}");
    assert_is(
        tally,
        "{\"data\":55,\"metadata\":6,\"display_id\":\"a\",\"is_main_result\":false},"
        "{\"data\":2,\"metadata\":{},\"display_id\":\"b\",\"is_main_result\":false},"
        "{\"data\":55,\"metadata\":6,\"display_id\":\"a\",\"is_main_result\":true},"
        "{\"data\":4,\"metadata\":{},\"is_main_result\":false}",
        "\"\"", "\"\"");
    assert_bytes(tally, 3 + 3 + 3 + 3, 3 + 3 + 3 + 3);
}

static void
test_an_update_of_nothing_shows_nothing(void **state)
{
    struct tally *tally = *state;

    tell(tally, FRAME_DISPLAY_DATA, "{\"data\":1}");
    tell(tally, FRAME_UPDATE_DISPLAY_DATA,
         "{\"data\":2,\"transient\":{\"display_id\":\"a\"}}");
    tell(tally, FRAME_UPDATE_DISPLAY_DATA, "{\"data\":3}");
    tell(tally, FRAME_UPDATE_DISPLAY_DATA, "{\"data\":4,\"transient\":{}}");
    assert_is(tally, "{\"data\":1,\"metadata\":{},\"is_main_result\":false}", "\"\"",
              "\"\"");
}

static void
test_clear_output_takes_away_all_that_is_shown(void **state)
{
    struct tally *tally = *state;

    print(tally, false, "a");
    print(tally, true, "b");
    tell(tally, FRAME_DISPLAY_DATA, "{\"data\":1}");
    tell(tally, FRAME_CLEAR_OUTPUT, "{\"wait\":false}");
    assert_is(tally, "", "\"\"", "\"\"");
    assert_bytes(tally, 0, 0);
    print(tally, false, "c");
    tell(tally, FRAME_CLEAR_OUTPUT, "{}");
    assert_is(tally, "", "\"\"", "\"\"");
}

static void
test_clear_output_that_waits_clears_with_the_next_output(void **state)
{
    struct tally *tally = *state;

    print(tally, false, "a");
    tell(tally, FRAME_CLEAR_OUTPUT, "{\"wait\":true}");
    assert_is(tally, "", "\"a\"", "\"\"");
    print(tally, true, "b");
    assert_is(tally, "", "\"\"", "\"b\"");
    print(tally, true, "c"); /* it was cleared once */
    assert_is(tally, "", "\"\"", "\"bc\"");
    tell(tally, FRAME_CLEAR_OUTPUT, "{\"wait\":true}");
    tell(tally, FRAME_DISPLAY_DATA, "{\"data\":1}");
    assert_is(tally, "{\"data\":1,\"metadata\":{},\"is_main_result\":false}", "\"\"",
              "\"\"");
}

/* What is shown stays until something new is: an update shows nothing new. */
static void
test_clear_output_that_waits_is_not_for_updates(void **state)
{
    struct tally *tally = *state;

    tell(tally, FRAME_DISPLAY_DATA, "{\"data\":1,\"transient\":{\"display_id\":\"a\"}}");
    tell(tally, FRAME_CLEAR_OUTPUT, "{\"wait\":true}");
    tell(tally, FRAME_UPDATE_DISPLAY_DATA,
         "{\"data\":2,\"transient\":{\"display_id\":\"a\"}}");
    assert_is(
        tally,
        "{\"data\":2,\"metadata\":{},\"display_id\":\"a\",\"is_main_result\":false}",
        "\"\"", "\"\"");
}

static void
test_results_beyond_the_bound_are_left_out_and_counted(void **state)
{
    struct tally *tally = *state;

    show(tally, FRAME_DISPLAY_DATA, 98, false);
    show(tally, FRAME_DISPLAY_DATA, 99, false); /* 1 too many, with its metadata */
    assert_bytes(tally, 100 + 101, 100);
    show(tally, FRAME_DISPLAY_DATA, 98, false);
    assert_bytes(tally, 301, 200);
    show(tally, FRAME_DISPLAY_DATA, 800, false);
    assert_bytes(tally, 1103, 200);
    tell(tally, FRAME_CLEAR_OUTPUT, "{}"); /* nobody misses what would not be shown */
    assert_bytes(tally, 0, 0);
}

static void
test_an_update_that_has_no_room_is_counted_as_left_out(void **state)
{
    struct tally *tally = *state;

    show(tally, FRAME_DISPLAY_DATA, 98, true);
    show(tally, FRAME_DISPLAY_DATA, 48, false);
    show(tally, FRAME_UPDATE_DISPLAY_DATA, 148, true);
    assert_bytes(tally, 200, 200);
    show(tally, FRAME_UPDATE_DISPLAY_DATA, 198, true);
    show(tally, FRAME_UPDATE_DISPLAY_DATA, 149, true);
    assert_bytes(tally, 201, 200);
    show(tally, FRAME_UPDATE_DISPLAY_DATA, 8, true); /* this is what is to be seen */
    assert_bytes(tally, 60, 60);
}

static void
test_updates_work_when_no_more_results_are_taken(void **state)
{
    struct tally *tally = NULL;
    uint64_t total, kept;

    (void)state;
    assert_int_equal(tally_create(&tally, (size_t)1 << 20), 0);
    for (int i = 0; i < TALLY_RESULTS_MAX; i++)
        show(tally, FRAME_DISPLAY_DATA, 8, i == 0);
    tally_results(tally, &total, &kept);
    assert_int_equal(total, kept);
    show(tally, FRAME_DISPLAY_DATA, 8, false); /* one too many */
    tally_results(tally, &total, &kept);
    assert_int_equal(total, kept + 10);
    show(tally, FRAME_UPDATE_DISPLAY_DATA, 18, true);
    assert_bytes(tally, total + 10, kept + 10);
    tally_destroy(tally);
}

static void
test_an_append_that_has_no_room_is_told(void **state)
{
    struct tally *tally = *state;
    struct buffer out;
    size_t whole;

    print(tally, false, "text\n");
    show(tally, FRAME_DISPLAY_DATA, 8, true);
    buffer_init(&out, 1 << 20);
    assert_int_equal(tally_append(tally, &out), 0);
    whole = out.length;
    buffer_fini(&out);
    for (size_t limit = 0; limit <= whole; limit++) {
        buffer_init(&out, limit);
        assert_int_equal(tally_append(tally, &out), limit < whole ? BUFFER_E_FULL : 0);
        buffer_fini(&out);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_nothing),
        TEST(test_text_is_joined_for_each_stream),
        TEST(test_results_are_in_order_and_the_main_one_is_marked),
        TEST(test_what_a_bundle_lacks_is_empty_and_other_frames_are_ignored),
        TEST(test_an_update_changes_all_displays_of_its_id),
        TEST(test_an_update_of_nothing_shows_nothing),
        TEST(test_clear_output_takes_away_all_that_is_shown),
        TEST(test_clear_output_that_waits_clears_with_the_next_output),
        TEST(test_clear_output_that_waits_is_not_for_updates),
        TEST(test_results_beyond_the_bound_are_left_out_and_counted),
        TEST(test_an_update_that_has_no_room_is_counted_as_left_out),
        cmocka_unit_test(test_updates_work_when_no_more_results_are_taken),
        TEST(test_an_append_that_has_no_room_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

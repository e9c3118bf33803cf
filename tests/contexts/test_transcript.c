/* SPDX-License-Identifier: MIT */
#include "contexts/transcript.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "contexts/ring.h"
#include "protocol/cleanup.h"
#include "protocol/text.h"

#define BUDGET 1000

/* What was told, as text: |NUMBER STREAM:TEXT for each message. */
struct fixture {
    struct loop *loop;
    struct transcript *transcript;
    struct buffer told;
    struct context_truncation out, err;
};

static int
on_text(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    struct fixture *f = arg;

    assert_true(text.length > 0 && text_is_utf8(text.data, text.length));
    assert_true(text.length <= TRANSCRIPT_MERGE_BYTES);
    buffer_append_format(&f->told, "|%llu %s:", (unsigned long long)number,
                         is_stderr ? "err" : "out");
    return buffer_append(&f->told, text.data, text.length);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    buffer_init(&f->told, (size_t)16 * 1024 * 1024);
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(transcript_create(&f->transcript, f->loop, BUDGET, on_text, f), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    transcript_destroy(f->transcript);
    loop_destroy(f->loop);
    buffer_fini(&f->told);
    free(f);
    return 0;
}

static void
add(struct fixture *f, bool is_stderr, const char *text)
{
    assert_int_equal(transcript_add_bytes(f->transcript, is_stderr, slice_text(text)), 0);
}

static void
begin(struct fixture *f, uint64_t number)
{
    assert_int_equal(transcript_begin(f->transcript, number), 0);
}

static void
end(struct fixture *f)
{
    assert_int_equal(transcript_end(f->transcript, &f->out, &f->err), 0);
}

static void
assert_told(struct fixture *f, const char *expected)
{
    assert_int_equal(buffer_append(&f->told, "", 1), 0);
    assert_string_equal((const char *)f->told.data, expected);
    f->told.length = 0;
}

static void
test_whole_line_is_told_at_once(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    add(f, false, "a\n");
    assert_told(f, "|1 out:a\n");
}

static void
test_first_line_of_a_request_is_told_at_once(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    add(f, false, "a\n");
    end(f);
    begin(f, 2); /* long before TRANSCRIPT_MERGE_US have passed */
    add(f, false, "b\n");
    assert_told(f, "|1 out:a\n|2 out:b\n");
}

static void
test_pieces_of_a_line_are_one_message(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    add(f, false, "a");
    add(f, false, " ");
    add(f, false, "b");
    assert_told(f, "");
    add(f, false, "\n");
    assert_told(f, "|1 out:a b\n");
}

static void
test_part_of_a_line_is_told_after_a_while(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    add(f, false, "a");
    while (f->told.length == 0)
        assert_int_equal(loop_wait(f->loop, -1), 0);
    assert_told(f, "|1 out:a");
}

static void
test_lines_in_quick_succession_are_merged(void **state)
{
    struct fixture *f = *state;
    size_t messages;

    begin(f, 1);
    add(f, false, "a\n");
    for (int i = 0; i < 100; i++)
        add(f, false, "b\n");
    end(f);
    messages = 0;
    for (size_t i = 0; i < f->told.length; i++)
        messages += f->told.data[i] == '|';
    assert_in_range(messages, 2, 50); /* the first one at once, then not one a line */
}

static void
test_other_stream_or_number_is_another_message(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    add(f, false, "a");
    add(f, true, "b");
    assert_int_equal(transcript_add_text(f->transcript, 0, true, slice_text("c")), 0);
    assert_int_equal(transcript_flush(f->transcript), 0);
    assert_told(f, "|1 out:a|1 err:b|0 err:c");
}

static void
test_messages_are_bounded(void **state)
{
    struct fixture *f = *state;
    size_t length = 3 * TRANSCRIPT_MERGE_BYTES + 1;
    CLEANUP(freep) char *text = malloc(length + 1);
    struct transcript *large;

    assert_non_null(text);
    for (size_t i = 0; i < length; i++)
        text[i] = "\xc3\xa9"[i % 2]; /* ends in the middle of a character */
    text[length] = '\0';
    assert_int_equal(transcript_create(&large, f->loop, 1 << 30, on_text, f), 0);
    assert_int_equal(transcript_begin(large, 1), 0);
    assert_int_equal(transcript_add_bytes(large, false, slice_text(text)), 0);
    assert_int_equal(transcript_end(large, &f->out, &f->err), 0);
    assert_int_equal(f->out.total_bytes, length - 1 + 3); /* U+FFFD has three bytes */
    assert_int_equal(f->out.kept_bytes, f->out.total_bytes);
    transcript_destroy(large);
}

static void
test_character_split_across_reads_is_put_together(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    add(f, false, "\xe2");
    add(f, true, "b");
    add(f, false, "\x82");
    add(f, false, "\xac\n");
    end(f);
    assert_told(f, "|1 err:b|1 out:\xe2\x82\xac\n");
}

static void
test_what_is_no_character_is_replaced(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    add(f, false, "a\xff\x80z\xed\xa0\x80\xe2\x82"); /* the last might still become one */
    assert_int_equal(transcript_flush(f->transcript), 0);
    end(f);
    assert_told(f, "|1 out:a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                   "|1 out:\xef\xbf\xbd");
}

static void
test_text_of_frames_is_made_utf8_too(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    assert_int_equal(
        transcript_add_text(f->transcript, 1, false, slice_text("a\xe2\x82")), 0);
    end(f);
    assert_told(f, "|1 out:a\xef\xbf\xbd");
}

static void
add_many(struct fixture *f, bool is_stderr, unsigned first, unsigned count)
{
    char text[32];

    for (unsigned i = first; i < first + count; i++) {
        snprintf(text, sizeof text, "%08u\n", i);
        add(f, is_stderr, text);
    }
}

static void
test_output_over_budget_keeps_head_and_tail(void **state)
{
    struct fixture *f = *state;
    const char *told;

    begin(f, 1);
    add_many(f, false, 0, 1000);
    end(f);
    assert_int_equal(f->out.total_bytes, 9000);
    assert_int_equal(f->out.kept_bytes, BUDGET);
    assert_int_equal(f->err.total_bytes, 0);
    buffer_append(&f->told, "", 1);
    told = (const char *)f->told.data;
    assert_non_null(strstr(told, "00000000\n"));
    assert_non_null(strstr(told, "00000999\n"));
    assert_null(strstr(told, "00000500\n"));
    assert_non_null(strstr(told, "\n[cellwall: 8000 bytes of stdout left out here]\n"));
}

static void
test_output_just_within_budget_is_whole(void **state)
{
    struct fixture *f = *state;
    char expected[BUDGET + 64];
    size_t at = 0, n = 0;

    begin(f, 1);
    add_many(f, false, 0, BUDGET / 9);
    end(f);
    assert_int_equal(f->out.total_bytes, f->out.kept_bytes);
    for (size_t i = 0; i < f->told.length; i++) { /* without the messages' heads */
        if (f->told.data[i] == '|')
            i += strlen("|1 out:");
        expected[at++] = (char)f->told.data[i];
    }
    assert_int_equal(at, BUDGET / 9 * 9);
    for (unsigned i = 0; i < BUDGET / 9; i++, n += 9) {
        char line[16];

        snprintf(line, sizeof line, "%08u\n", i);
        assert_memory_equal(expected + n, line, 9);
    }
}

static void
test_tail_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    for (int i = 0; i < 1000; i++)
        add(f, false, "\xe2\x82\xac");
    end(f); /* on_text checks that all is UTF-8 */
    assert_int_equal(f->out.total_bytes, 3000);
    assert_true(f->out.kept_bytes <= BUDGET && f->out.kept_bytes > BUDGET - 9);
}

static void
test_each_stream_has_a_tail(void **state)
{
    struct fixture *f = *state;
    const char *told;

    begin(f, 1);
    add_many(f, false, 0, 1000);
    add_many(f, true, 1000, 1000);
    end(f);
    buffer_append(&f->told, "", 1);
    told = (const char *)f->told.data;
    assert_non_null(strstr(told, "00000999\n"));
    assert_non_null(strstr(told, "00001999\n"));
    assert_int_equal(f->err.total_bytes, 9000);
    assert_int_equal(f->err.kept_bytes, BUDGET / 2);
}

static void
test_next_request_has_a_budget_of_its_own(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    add_many(f, false, 0, 1000);
    end(f);
    f->told.length = 0;
    begin(f, 2);
    add(f, false, "a\n");
    end(f);
    assert_told(f, "|2 out:a\n");
    assert_int_equal(f->out.total_bytes, 2);
    assert_int_equal(f->out.kept_bytes, 2);
}

static void
test_late_text_does_not_spend_the_running_requests_budget(void **state)
{
    struct fixture *f = *state;
    char line[64];

    begin(f, 1);
    end(f);
    begin(f, 2);
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof line, "late %d\n", i);
        assert_int_equal(transcript_add_text(f->transcript, 1, false, slice_text(line)),
                         0);
    }
    add(f, false, "own\n");
    end(f);
    buffer_append(&f->told, "", 1);
    assert_non_null(strstr((const char *)f->told.data, "|2 out:own\n"));
    assert_non_null(strstr((const char *)f->told.data, "further output of finished"));
    assert_null(strstr((const char *)f->told.data, "late 999"));
    assert_int_equal(f->out.total_bytes, 4);
}

static void
test_stderr_tail_begins_with_a_whole_line(void **state)
{
    struct fixture *f = *state;
    struct buffer tail;

    buffer_init(&tail, 2 * CONTEXT_STDERR_TAIL_BYTES);
    add(f, true, "first\n");
    add(f, false, "not this\n");
    assert_int_equal(transcript_stderr_tail(f->transcript, &tail), 0);
    assert_true(slice_equals_text(buffer_slice(&tail), "first\n"));
    tail.length = 0;
    add_many(f, true, 0, 1000);
    assert_int_equal(transcript_stderr_tail(f->transcript, &tail), 0);
    assert_true(tail.length > CONTEXT_STDERR_TAIL_BYTES - 10);
    assert_int_equal(tail.length % 9, 0);
    assert_memory_equal(tail.data + tail.length - 9, "00000999\n", 9);
    tail.length = 0;
    assert_int_equal(transcript_restart(f->transcript), 0);
    assert_int_equal(transcript_stderr_tail(f->transcript, &tail), 0);
    assert_int_equal(tail.length, 0);
    buffer_fini(&tail);
}

static void
test_ring_keeps_the_last_bytes(void **state)
{
    struct ring ring;
    struct slice first, second;

    (void)state;
    ring_init(&ring, 5);
    for (size_t step = 1; step <= 13; step++) {
        char all[14 * 13], kept[6] = { 0 };
        size_t length = 0;

        ring_clear(&ring);
        while (length < 13) {
            size_t n = step < 13 - length ? step : 13 - length;

            for (size_t i = 0; i < n; i++)
                all[length + i] = (char)('a' + length + i);
            assert_int_equal(
                ring_add(&ring, (struct slice){ (uint8_t *)all + length, n }), 0);
            length += n;
        }
        ring_slices(&ring, &first, &second);
        memcpy(kept, first.data, first.length);
        memcpy(kept + first.length, second.data, second.length);
        assert_string_equal(kept, "ijklm");
        assert_int_equal(ring.dropped, 8);
    }
    ring_fini(&ring);
    ring_init(&ring, 0);
    assert_int_equal(ring_add(&ring, slice_text("abc")), 0);
    assert_int_equal(ring.dropped, 3);
    ring_fini(&ring);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_whole_line_is_told_at_once),
        TEST(test_first_line_of_a_request_is_told_at_once),
        TEST(test_pieces_of_a_line_are_one_message),
        TEST(test_part_of_a_line_is_told_after_a_while),
        TEST(test_lines_in_quick_succession_are_merged),
        TEST(test_other_stream_or_number_is_another_message),
        TEST(test_messages_are_bounded),
        TEST(test_character_split_across_reads_is_put_together),
        TEST(test_what_is_no_character_is_replaced),
        TEST(test_text_of_frames_is_made_utf8_too),
        TEST(test_output_over_budget_keeps_head_and_tail),
        TEST(test_output_just_within_budget_is_whole),
        TEST(test_tail_is_cut_between_characters),
        TEST(test_each_stream_has_a_tail),
        TEST(test_next_request_has_a_budget_of_its_own),
        TEST(test_late_text_does_not_spend_the_running_requests_budget),
        TEST(test_stderr_tail_begins_with_a_whole_line),
        cmocka_unit_test(test_ring_keeps_the_last_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

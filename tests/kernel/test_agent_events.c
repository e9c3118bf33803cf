/* SPDX-License-Identifier: MIT */
#include "kernel/agent/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"

#define BYTES_MAX 10000

struct fixture {
    struct events *events;
    size_t event_bytes; /* that an event of no content takes */
};

static void
add(struct fixture *f, const char *content)
{
    const struct event_parts parts = { .type = "stream", .content = slice_text(content) };

    assert_int_equal(events_add(f->events, &parts), 0);
}

static void
add_bytes(struct fixture *f, size_t length)
{
    CLEANUP(freep) char *text = malloc(length + 1);

    assert_non_null(text);
    memset(text, 'x', length);
    text[length] = '\0';
    add(f, text);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(events_create(&f->events, BYTES_MAX), 0);
    add(f, "");
    f->event_bytes = events_bytes(f->events);
    events_destroy(f->events);
    assert_int_equal(events_create(&f->events, BYTES_MAX), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    events_destroy(f->events);
    free(f);
    return 0;
}

/* What is kept is numbered without a gap from FIRST to LAST. */
static void
assert_kept(const struct fixture *f, uint64_t first, uint64_t last)
{
    uint64_t seq = 0;

    for (uint64_t expected = first; expected <= last; expected++) {
        const struct event *event = events_after(f->events, seq);

        assert_non_null(event);
        assert_int_equal(event->seq, expected);
        seq = event->seq;
    }
    assert_null(events_after(f->events, last));
    assert_int_equal(events_next_seq(f->events), last + 1);
    assert_int_equal(events_missed(f->events, 0), first - 1);
}

static void
test_an_empty_log_has_nothing_for_anybody(void **state)
{
    static const uint64_t numbers[] = { 0, 1, 1000, UINT64_MAX - 1, UINT64_MAX };
    struct fixture *f = *state;

    assert_int_equal(events_next_seq(f->events), 1);
    assert_int_equal(events_bytes(f->events), 0);
    for (size_t i = 0; i < N_ELEMENTS(numbers); i++) {
        assert_null(events_after(f->events, numbers[i]));
        assert_int_equal(events_missed(f->events, numbers[i]), 0);
        assert_int_equal(events_bytes_after(f->events, numbers[i]), 0);
    }
}

static void
test_events_are_numbered_from_one_and_kept_as_they_were(void **state)
{
    struct fixture *f = *state;
    char content[] = "{\"a\":1}", data[] = "two";
    const struct slice buffers[] = { slice_text("one"), { NULL, 0 }, slice_text(data) };
    const struct event_parts parts = { .type = "display_data",
                                       .metadata = slice_text("{\"m\":0}"),
                                       .content = slice_text(content),
                                       .buffers = buffers,
                                       .buffer_count = N_ELEMENTS(buffers) };
    const struct event *event;

    assert_int_equal(events_add(f->events, &parts), 0);
    content[2] = data[0] = '?'; /* what it was given was borrowed */
    event = events_after(f->events, 0);
    assert_int_equal(event->seq, 1);
    assert_int_equal(event->offset, 0);
    assert_string_equal(event->type, "display_data");
    assert_true(slice_equals_text(event->metadata, "{\"m\":0}"));
    assert_true(slice_equals_text(event->content, "{\"a\":1}"));
    assert_int_equal(event->buffer_count, 3);
    assert_true(slice_equals_text(event->buffers[0], "one"));
    assert_int_equal(event->buffers[1].length, 0);
    assert_true(slice_equals_text(event->buffers[2], "two"));
    assert_int_equal(event->bytes, f->event_bytes + 7 + 7 + 6);
    assert_int_equal(events_bytes(f->events), event->bytes);
    add(f, "next");
    assert_int_equal(events_after(f->events, 1)->offset, f->event_bytes + 20);
    assert_kept(f, 1, 2);
}

static void
test_the_oldest_go_when_the_log_is_full(void **state)
{
    struct fixture *f = *state;
    const size_t fit = BYTES_MAX / (f->event_bytes + 100);

    for (size_t i = 1; i <= 10 * fit; i++) {
        add_bytes(f, 100);
        assert_kept(f, i <= fit ? 1 : i - fit + 1, i);
        assert_true(events_bytes(f->events) <= BYTES_MAX);
    }
}

static void
test_as_many_go_as_a_large_one_needs(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++)
        add_bytes(f, 100);
    add_bytes(f, BYTES_MAX - 2 * f->event_bytes - 100); /* with it and one more: full */
    assert_kept(f, 5, 6);
    assert_int_equal(events_bytes(f->events), BYTES_MAX);
    add(f, "");
    assert_kept(f, 6, 7);
}

static void
test_one_larger_than_the_log_is_kept_until_the_next(void **state)
{
    struct fixture *f = *state;

    add(f, "small");
    add_bytes(f, 3 * BYTES_MAX);
    assert_kept(f, 2, 2);
    assert_int_equal(events_after(f->events, 0)->content.length, 3 * BYTES_MAX);
    add(f, "small");
    assert_kept(f, 3, 3);
    assert_int_equal(events_bytes(f->events), f->event_bytes + 5);
}

static void
test_events_of_nothing_are_bounded_too(void **state)
{
    struct fixture *f = *state;

    assert_true(f->event_bytes >= sizeof(struct event));
    for (int i = 0; i < 1000; i++)
        add(f, "");
    assert_true(events_bytes(f->events) <= BYTES_MAX);
    assert_kept(f, 1000 - BYTES_MAX / f->event_bytes + 1, 1000);
}

static void
test_a_log_that_has_lost_some_grows_in_order(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 20; i++)
        add_bytes(f, BYTES_MAX / 8);
    for (int i = 0; i < 200; i++) { /* from some large ones to many small ones */
        uint64_t last = events_next_seq(f->events);

        add(f, "");
        assert_kept(f, events_after(f->events, 0)->seq, last);
    }
}

/* A reader that was away asks for what is behind the last one that it has seen. */
static void
test_a_reader_is_told_how_many_it_has_missed(void **state)
{
    struct fixture *f = *state;
    uint64_t first;

    for (int i = 0; i < 200; i++)
        add_bytes(f, 100);
    first = events_after(f->events, 0)->seq;
    assert_true(first > 10 && first < 200);
    assert_int_equal(events_missed(f->events, 4), first - 5);
    assert_int_equal(events_after(f->events, 4)->seq, first);
    assert_int_equal(events_missed(f->events, first - 2), 1);
    assert_int_equal(events_after(f->events, first - 2)->seq, first);
    assert_int_equal(events_missed(f->events, first - 1), 0);
    assert_int_equal(events_after(f->events, first - 1)->seq, first);
    assert_int_equal(events_missed(f->events, first), 0);
    assert_int_equal(events_after(f->events, first)->seq, first + 1);
    assert_int_equal(events_missed(f->events, 200), 0);
    assert_null(events_after(f->events, 200));
}

static void
test_a_number_that_has_not_come_yet_has_nothing_behind_it(void **state)
{
    static const uint64_t numbers[] = { 2, 3, 1000, UINT64_MAX - 1, UINT64_MAX };
    struct fixture *f = *state;

    add(f, "one");
    add(f, "two");
    for (size_t i = 0; i < N_ELEMENTS(numbers); i++) {
        assert_null(events_after(f->events, numbers[i]));
        assert_int_equal(events_missed(f->events, numbers[i]), 0);
        assert_int_equal(events_bytes_after(f->events, numbers[i]), 0);
    }
}

static void
test_the_bytes_behind_a_number_are_those_that_are_there(void **state)
{
    struct fixture *f = *state;

    add_bytes(f, 10);
    add_bytes(f, 20);
    add_bytes(f, 30);
    assert_int_equal(events_bytes_after(f->events, 0), 3 * f->event_bytes + 60);
    assert_int_equal(events_bytes_after(f->events, 1), 2 * f->event_bytes + 50);
    assert_int_equal(events_bytes_after(f->events, 2), f->event_bytes + 30);
    assert_int_equal(events_bytes_after(f->events, 3), 0);
    for (int i = 0; i < 200; i++)
        add_bytes(f, 100);
    assert_int_equal(events_bytes_after(f->events, 0), events_bytes(f->events));
    assert_int_equal(events_bytes_after(f->events, 202), f->event_bytes + 100);
}

static void
test_two_readers_go_at_their_own_speed(void **state)
{
    struct fixture *f = *state;
    uint64_t fast = 0, slow = 0, seen = 0, missed = 0;

    for (uint64_t i = 1; i <= 500; i++) {
        const struct event *event;

        add_bytes(f, 100);
        event = events_after(f->events, fast);
        assert_int_equal(events_missed(f->events, fast), 0);
        assert_int_equal(event->seq, i);
        fast = i;
        if (i % 2 == 0)
            continue;
        missed += events_missed(f->events, slow);
        slow = events_after(f->events, slow)->seq;
        seen++;
    }
    while (events_after(f->events, slow) != NULL) {
        slow = events_after(f->events, slow)->seq;
        seen++;
    }
    assert_true(missed > 0);
    assert_int_equal(seen + missed, 500);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_log_has_nothing_for_anybody),
        TEST(test_events_are_numbered_from_one_and_kept_as_they_were),
        TEST(test_the_oldest_go_when_the_log_is_full),
        TEST(test_as_many_go_as_a_large_one_needs),
        TEST(test_one_larger_than_the_log_is_kept_until_the_next),
        TEST(test_events_of_nothing_are_bounded_too),
        TEST(test_a_log_that_has_lost_some_grows_in_order),
        TEST(test_a_reader_is_told_how_many_it_has_missed),
        TEST(test_a_number_that_has_not_come_yet_has_nothing_behind_it),
        TEST(test_the_bytes_behind_a_number_are_those_that_are_there),
        TEST(test_two_readers_go_at_their_own_speed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

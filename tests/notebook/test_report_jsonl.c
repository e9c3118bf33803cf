/* SPDX-License-Identifier: MIT */
#include "tests/notebook/report_feed.h"

static void
test_events_are_written_at_once_each_on_a_line(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_jsonl);
    feed_event(&feed, "{\"event\": \"begin\", \"version\": 1, \"notebooks\": []}");
    feed_assert_is(&feed, "{\"event\":\"begin\",\"version\":1,\"notebooks\":[]}\n");
    feed_event(&feed, "{\"event\": \"cell\", \"source\": \"a\\nb\", \"seconds\": 0.5}");
    feed_assert_is(&feed, "{\"event\":\"begin\",\"version\":1,\"notebooks\":[]}\n"
                          "{\"event\":\"cell\",\"source\":\"a\\nb\",\"seconds\":0.5}\n");
    feed_fini(&feed);
}

static void
test_progress_is_left_out_and_what_is_not_known_is_not(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_jsonl);
    feed_event(&feed, "{\"event\":\"progress\",\"done\":0.5}");
    feed_event(&feed, "{\"event\":\"later\"}");
    feed_assert_is(&feed, "{\"event\":\"later\"}\n");
    feed_fini(&feed);
}

static void
test_whatever_comes_each_line_is_json(void **state)
{
    struct feed feed;
    size_t lines = 0, begin = 0;

    (void)state;
    feed_init(&feed, &report_jsonl);
    feed_hostile(&feed);
    for (size_t i = 0; i < feed.out.length; i++) {
        static const struct json_limits limits = { 1 << 20, 64 };

        if (feed.out.data[i] != '\n')
            continue;
        assert_int_equal(
            json_scan((struct slice){ feed.out.data + begin, i - begin }, &limits, NULL),
            0);
        begin = i + 1;
        lines++;
    }
    assert_int_equal(begin, feed.out.length);
    assert_int_equal(lines, 13);
    feed_fini(&feed);
}

static void
test_an_event_that_is_too_large_goes_without_its_texts(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_jsonl);
    feed_giant(&feed, (size_t)6 * 1024 * 1024);
    feed_assert_is(&feed,
                   "{\"left_out\":true,\"event\":\"cell\",\"path\":\"giant.ipynb\","
                   "\"cell\":0,\"status\":\"failed\"}\n");
    feed_fini(&feed);
}

static void
test_what_the_writer_refuses_is_passed_on(void **state)
{
    struct feed feed;
    json_t *event = feed_tree("{\"event\":\"begin\"}");

    (void)state;
    feed_init(&feed, &report_jsonl);
    feed.refuses = true;
    assert_int_equal(report_jsonl.event(feed.report, event), FEED_REFUSED);
    json_decref(event);
    feed_fini(&feed);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_are_written_at_once_each_on_a_line),
        cmocka_unit_test(test_progress_is_left_out_and_what_is_not_known_is_not),
        cmocka_unit_test(test_whatever_comes_each_line_is_json),
        cmocka_unit_test(test_an_event_that_is_too_large_goes_without_its_texts),
        cmocka_unit_test(test_what_the_writer_refuses_is_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "tests/notebook/report_feed.h"

#define CELL "{\"event\":\"cell\",\"path\":\"a.ipynb\","

static void
test_a_failed_cell_is_an_error_at_its_line(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_github);
    feed_event(&feed, CELL "\"cell\":0,\"line\":3,\"status\":\"passed\"}");
    feed_event(&feed, CELL "\"cell\":1,\"line\":9,\"status\":\"failed\",\"reason\":"
                           "{\"kind\":\"differs\",\"text\":\"It differs.\"},"
                           "\"differences\":[{\"type\":\"stdout\",\"message\":\"a line\","
                           "\"lines\":[[\"-\",\"50%\"],[\"+\",\"60%\"]]}]}");
    feed_event(&feed, CELL "\"cell\":2,\"line\":12,\"status\":\"error\",\"reason\":"
                           "{\"kind\":\"timeout\",\"text\":\"Too long.\"}}");
    feed_event(&feed, CELL "\"cell\":3,\"status\":\"not_run\"}");
    feed_event(&feed, "{\"event\":\"notebook\",\"path\":\"a.ipynb\",\"status\":\"error\","
                      "\"counts\":{\"failed\":1,\"error\":1},\"reason\":null}");
    feed_assert_is(&feed, "::error file=a.ipynb,line=9,title=Cell 1 failed::It differs."
                          "%0Astdout: a line%0A- 50%25%0A+ 60%25\n"
                          "::error file=a.ipynb,line=12,title=Cell 2 was ended::"
                          "Too long.\n");
    feed_fini(&feed);
}

static void
test_notes_are_warnings(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_github);
    feed_event(&feed,
               "{\"event\":\"notebook\",\"path\":\"a.ipynb\",\"status\":\"passed\","
               "\"notes\":[\"One.\",\"Two\\nlines.\"]}");
    feed_assert_is(&feed, "::warning file=a.ipynb::One.\n"
                          "::warning file=a.ipynb::Two lines.\n");
    feed_fini(&feed);
}

static void
test_a_notebook_that_could_not_run_is_an_error(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_github);
    feed_event(&feed, "{\"event\":\"notebook\",\"path\":\"a.ipynb\",\"status\":\"error\","
                      "\"reason\":{\"kind\":\"start\",\"text\":\"No such kernel.\"}}");
    feed_event(&feed, "{\"event\":\"notebook\",\"path\":\"b\",\"status\":\"failed\"}");
    feed_assert_is(&feed, "::error file=a.ipynb,title=Notebook was ended::"
                          "No such kernel.\n"
                          "::error file=b,title=Notebook failed::failed\n");
    feed_fini(&feed);
}

static void
test_properties_cannot_end_early_nor_begin_others(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_github);
    feed_event(&feed, "{\"event\":\"cell\",\"path\":\"a,line=1::b%\\nc\",\"cell\":0,"
                      "\"status\":\"failed\",\"reason\":{\"text\":\"x\\r::debug::y\"}}");
    feed_assert_is(&feed, "::error file=a%2Cline=1%3A%3Ab%25 c,title=Cell 0 failed::"
                          "x\xe2\x90\x8d::debug::y\n");
    feed_fini(&feed);
}

static void
test_whatever_comes_each_line_is_a_command_of_ours(void **state)
{
    struct feed feed;
    char *rest, *line;

    (void)state;
    feed_init(&feed, &report_github);
    feed_hostile(&feed);
    feed_event(&feed, "{\"event\":\"end\"}");
    assert_int_equal(buffer_append(&feed.out, "", 1), 0);
    rest = (char *)feed.out.data;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        if (strncmp(line, "::error file=", 13) != 0 &&
            strncmp(line, "::warning file=", 15) != 0)
            fail_msg("no command of ours: %s", line);
    }
    assert_null(rest);
    assert_int_equal(feed_count(&feed, "\r"), 0);
    feed_fini(&feed);
}

static void
test_there_is_a_bound_to_annotations_and_to_their_texts(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_github);
    for (int i = 0; i < 103; i++)
        feed_giant(&feed, 100000);
    feed_event(&feed, "{\"event\":\"end\"}");
    assert_int_equal(feed_count(&feed, "::error file="), 100);
    feed_assert_has(&feed, "\n::notice::3 more are not shown here\n");
    assert_true(feed.out.length < (size_t)100 * 5000);
    feed_fini(&feed);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failed_cell_is_an_error_at_its_line),
        cmocka_unit_test(test_notes_are_warnings),
        cmocka_unit_test(test_a_notebook_that_could_not_run_is_an_error),
        cmocka_unit_test(test_properties_cannot_end_early_nor_begin_others),
        cmocka_unit_test(test_whatever_comes_each_line_is_a_command_of_ours),
        cmocka_unit_test(test_there_is_a_bound_to_annotations_and_to_their_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

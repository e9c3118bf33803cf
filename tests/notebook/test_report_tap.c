/* SPDX-License-Identifier: MIT */
#include "tests/notebook/report_feed.h"

#define CELL "{\"event\":\"cell\",\"path\":\"a.ipynb\","

static void
test_notebooks_are_test_points_with_subtests_of_cells(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_tap);
    feed_event(&feed, "{\"event\":\"begin\",\"notebooks\":[{\"path\":\"a.ipynb\"},"
                      "{\"path\":\"b.ipynb\"}]}");
    feed_event(&feed, CELL "\"cell\":0,\"id\":\"x\",\"status\":\"passed\"}");
    feed_event(&feed, CELL "\"cell\":1,\"line\":12,\"status\":\"failed\",\"seconds\":0.5,"
                           "\"reason\":{\"kind\":\"differs\",\"text\":\"It differs.\"},"
                           "\"differences\":[{\"type\":\"stdout\",\"message\":\"a line\","
                           "\"lines\":[[\"-\",\"...\"],[\"+\",\"\"]]}]}");
    feed_event(&feed, CELL "\"cell\":2,\"status\":\"skipped\",\"reason\":{\"kind\":"
                           "\"skipped\",\"text\":\"by tag #1\"}}");
    feed_event(&feed,
               "{\"event\":\"notebook\",\"path\":\"a.ipynb\",\"status\":\"failed\","
               "\"seconds\":1,\"notes\":[\"A note.\"]}");
    feed_event(&feed, "{\"event\":\"notebook\",\"path\":\"b.ipynb\","
                      "\"status\":\"passed\"}");
    feed_event(&feed, "{\"event\":\"end\",\"status\":\"failed\"}");
    feed_assert_is(&feed, "TAP version 14\n"
                          "1..2\n"
                          "# Subtest: a.ipynb\n"
                          "    1..3\n"
                          "    ok 1 - Cell 0 (x)\n"
                          "    not ok 2 - Cell 1\n"
                          "      ---\n"
                          "      severity: fail\n"
                          "      duration_ms: 500.000\n"
                          "      kind: \"differs\"\n"
                          "      file: \"a.ipynb\"\n"
                          "      line: 12\n"
                          "      details: |\n"
                          "        It differs.\n"
                          "        stdout: a line\n"
                          "        - ...\n"
                          "        + \n"
                          "      ...\n"
                          "    ok 3 - Cell 2 # SKIP by tag \\#1\n"
                          "not ok 1 - a.ipynb\n"
                          "  ---\n"
                          "  severity: fail\n"
                          "  duration_ms: 1000.000\n"
                          "  ...\n"
                          "# A note.\n"
                          "ok 2 - b.ipynb\n");
    feed_fini(&feed);
}

static void
test_a_notebook_is_written_as_soon_as_it_has_ended(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_tap);
    feed_event(&feed, CELL "\"cell\":0,\"status\":\"passed\"}");
    assert_int_equal(feed.out.length, 0);
    feed_event(&feed, "{\"event\":\"notebook\",\"path\":\"a.ipynb\","
                      "\"status\":\"passed\"}");
    feed_assert_has(&feed, "\nok 1 - a.ipynb\n");
    feed_fini(&feed);
}

static void
test_names_cannot_be_directives(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_tap);
    feed_event(&feed, "{\"event\":\"notebook\",\"path\":\"a\\\\ # TODO\\nok 2\","
                      "\"status\":\"failed\"}");
    feed_assert_has(&feed, "not ok 1 - a\\\\ \\# TODO ok 2\n");
    feed_fini(&feed);
}

static void
test_an_interrupted_run_bails_out(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_tap);
    feed_event(&feed, "{\"event\":\"begin\",\"notebooks\":[1,2,3]}");
    feed_event(&feed, CELL "\"cell\":0,\"status\":\"passed\"}");
    feed_event(&feed, "{\"event\":\"end\",\"status\":\"interrupted\"}");
    feed_assert_has(&feed, "\nnot ok 1 - a.ipynb\n");
    feed_assert_has(&feed, "\nBail out! The run was interrupted.\n");
    feed_fini(&feed);
}

static void
test_without_a_list_of_notebooks_the_plan_comes_last(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_tap);
    feed_event(&feed, "{\"event\":\"begin\"}");
    feed_event(&feed, "{\"event\":\"notebook\",\"path\":\"a\",\"status\":\"passed\"}");
    feed_event(&feed, "{\"event\":\"end\",\"status\":\"passed\"}");
    feed_assert_is(&feed, "TAP version 14\nok 1 - a\n1..1\n");
    feed_fini(&feed);
}

/* Whether LINE is one that the protocol knows at its place. */
static bool
is_known(const char *line, bool in_block)
{
    static const char *const starts[] = { "TAP version 14", "1..", "ok ",
                                          "not ok ",        "# ",  "---" };

    if (in_block)
        return strncmp(line, "  ", 2) == 0;
    line += strncmp(line, "    ", 4) == 0 ? 4 : 0;
    line += strncmp(line, "  ---", 5) == 0 ? 2 : 0;
    for (size_t i = 0; i < N_ELEMENTS(starts); i++) {
        if (strncmp(line, starts[i], strlen(starts[i])) == 0)
            return true;
    }
    return false;
}

static void
test_whatever_comes_each_line_is_one_of_the_protocol(void **state)
{
    struct feed feed;
    bool in_block = false;
    char *rest, *line;

    (void)state;
    feed_init(&feed, &report_tap);
    feed_hostile(&feed);
    feed_event(&feed, "{\"event\":\"end\"}");
    assert_int_equal(buffer_append(&feed.out, "", 1), 0);
    rest = (char *)feed.out.data;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        if (!is_known(line, in_block))
            fail_msg("not of the protocol: %s", line);
        if (strcmp(line + strspn(line, " "), "---") == 0 && strspn(line, " ") <= 6)
            in_block = true;
        if (strcmp(line, "  ...") == 0 || strcmp(line, "      ...") == 0)
            in_block = false;
    }
    assert_null(rest);
    assert_false(in_block);
    feed_fini(&feed);
}

static void
test_giant_texts_are_bounded(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_tap);
    for (int i = 0; i < 10; i++)
        feed_giant(&feed, (size_t)1024 * 1024);
    feed_event(&feed, "{\"event\":\"end\"}");
    assert_true(feed.out.length < (size_t)1024 * 1024);
    feed_assert_has(&feed, "bytes left out]");
    feed_fini(&feed);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notebooks_are_test_points_with_subtests_of_cells),
        cmocka_unit_test(test_a_notebook_is_written_as_soon_as_it_has_ended),
        cmocka_unit_test(test_names_cannot_be_directives),
        cmocka_unit_test(test_an_interrupted_run_bails_out),
        cmocka_unit_test(test_without_a_list_of_notebooks_the_plan_comes_last),
        cmocka_unit_test(test_whatever_comes_each_line_is_one_of_the_protocol),
        cmocka_unit_test(test_giant_texts_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "tests/notebook/report_feed.h"

#define CELL "{\"event\":\"cell\",\"path\":\"a/b.ipynb\","
#define NOTEBOOK "{\"event\":\"notebook\",\"path\":\"a/b.ipynb\","
#define END "{\"event\":\"end\",\"status\":\"failed\",\"seconds\":2.5}"

static void
test_each_notebook_is_a_suite_and_each_cell_a_case(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_junit);
    feed_event(&feed, "{\"event\":\"begin\",\"notebooks\":[{\"path\":\"a/b.ipynb\"}]}");
    feed_event(&feed, "{\"event\":\"notebook_begin\",\"path\":\"a/b.ipynb\","
                      "\"kernel\":\"python\",\"language\":\"python\"}");
    feed_event(&feed, CELL "\"cell\":0,\"id\":\"c1\",\"line\":7,\"status\":\"passed\","
                           "\"seconds\":0.25}");
    feed_event(&feed, CELL "\"cell\":1,\"id\":null,\"line\":20,\"status\":\"failed\","
                           "\"seconds\":1,\"reason\":{\"kind\":\"differs\",\"text\":"
                           "\"1 < 2\"},\"differences\":[{\"type\":\"stdout\",\"message\":"
                           "\"a line differs\",\"lines\":[[\"-\",\"a&b\"],[\"+\",\"c\"]]"
                           "}]}");
    feed_event(&feed, CELL "\"cell\":2,\"status\":\"error\",\"seconds\":null,\"reason\":"
                           "{\"kind\":\"died\",\"text\":\"It died.\"}}");
    feed_event(&feed, CELL "\"cell\":3,\"status\":\"not_run\",\"reason\":{\"kind\":"
                           "\"not_run\",\"text\":\"It died before.\"}}");
    feed_event(&feed, CELL "\"cell\":4,\"status\":\"skipped\",\"reason\":{\"kind\":"
                           "\"skipped\",\"text\":\"By a tag.\"}}");
    feed_event(&feed, NOTEBOOK "\"status\":\"error\",\"seconds\":1.5,"
                               "\"notes\":[\"A note.\"]}");
    assert_int_equal(feed.out.length, 0);
    feed_event(&feed, END);
    feed_assert_is(
        &feed,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites name=\"cellwall\" tests=\"5\" failures=\"1\" errors=\"1\" "
        "skipped=\"2\" time=\"2.500\">\n"
        "  <testsuite name=\"a/b.ipynb\" tests=\"5\" failures=\"1\" errors=\"1\" "
        "skipped=\"2\" time=\"1.500\">\n"
        "    <properties>\n"
        "      <property name=\"kernel\" value=\"python\"/>\n"
        "      <property name=\"language\" value=\"python\"/>\n"
        "    </properties>\n"
        "    <testcase classname=\"a.b\" name=\"Cell 0 (c1)\" file=\"a/b.ipynb\" "
        "line=\"7\" "
        "time=\"0.250\"/>\n"
        "    <testcase classname=\"a.b\" name=\"Cell 1\" file=\"a/b.ipynb\" line=\"20\" "
        "time=\"1.000\">\n"
        "      <failure type=\"differs\" message=\"1 &lt; 2\">1 &lt; 2\n"
        "stdout: a line differs\n"
        "- a&amp;b\n"
        "+ c\n"
        "</failure>\n"
        "    </testcase>\n"
        "    <testcase classname=\"a.b\" name=\"Cell 2\" file=\"a/b.ipynb\" "
        "time=\"0.000\">\n"
        "      <error type=\"died\" message=\"It died.\">It died.\n"
        "</error>\n"
        "    </testcase>\n"
        "    <testcase classname=\"a.b\" name=\"Cell 3\" file=\"a/b.ipynb\" "
        "time=\"0.000\">\n"
        "      <skipped type=\"not_run\" message=\"It died before.\"></skipped>\n"
        "    </testcase>\n"
        "    <testcase classname=\"a.b\" name=\"Cell 4\" file=\"a/b.ipynb\" "
        "time=\"0.000\">\n"
        "      <skipped type=\"skipped\" message=\"By a tag.\"></skipped>\n"
        "    </testcase>\n"
        "    <system-out>A note.\n"
        "</system-out>\n"
        "  </testsuite>\n"
        "</testsuites>\n");
    feed_fini(&feed);
}

static void
test_a_notebook_that_could_not_run_is_a_case_that_counts(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_junit);
    feed_event(&feed, NOTEBOOK "\"status\":\"error\",\"reason\":{\"kind\":\"start\","
                               "\"text\":\"No such kernel.\"}}");
    feed_event(&feed, END);
    feed_assert_has(&feed, "tests=\"1\" failures=\"0\" errors=\"1\"");
    feed_assert_has(&feed, "name=\"Notebook\"");
    feed_assert_has(&feed, "<error type=\"start\" message=\"No such kernel.\">");
    feed_fini(&feed);
}

static void
test_cells_of_notebooks_that_run_side_by_side_are_not_mixed(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_junit);
    feed_event(&feed, "{\"event\":\"cell\",\"path\":\"x\",\"cell\":0,"
                      "\"status\":\"passed\"}");
    feed_event(&feed, "{\"event\":\"cell\",\"path\":\"y\",\"cell\":0,"
                      "\"status\":\"failed\"}");
    feed_event(&feed, "{\"event\":\"cell\",\"path\":\"x\",\"cell\":1,"
                      "\"status\":\"passed\"}");
    feed_event(&feed, "{\"event\":\"notebook\",\"path\":\"y\",\"status\":\"failed\"}");
    feed_event(&feed, "{\"event\":\"notebook\",\"path\":\"x\",\"status\":\"passed\"}");
    feed_event(&feed, END);
    feed_assert_has(&feed, "<testsuite name=\"y\" tests=\"1\" failures=\"1\"");
    feed_assert_has(&feed, "<testsuite name=\"x\" tests=\"2\" failures=\"0\"");
    feed_assert_has(&feed, "<testsuites name=\"cellwall\" tests=\"3\" failures=\"1\"");
    feed_fini(&feed);
}

static void
test_a_notebook_without_an_end_is_an_error(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_junit);
    feed_event(&feed, CELL "\"cell\":0,\"status\":\"passed\"}");
    feed_event(&feed, END);
    feed_assert_has(&feed, "tests=\"2\" failures=\"0\" errors=\"1\" skipped=\"0\"");
    feed_assert_has(&feed, "message=\"The run ended before the notebook did.\"");
    feed_fini(&feed);
}

static void
test_whatever_comes_the_report_has_characters_of_xml_alone(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_junit);
    feed_hostile(&feed);
    feed_event(&feed, END);
    assert_true(text_is_utf8(feed.out.data, feed.out.length));
    for (size_t i = 0; i < feed.out.length; i++)
        assert_true(feed.out.data[i] >= 0x20 || feed.out.data[i] == '\n');
    assert_int_equal(feed_count(&feed, "\xef\xbf\xbe"), 0);
    assert_int_equal(feed_count(&feed, "\xef\xbf\xbf"), 0);
    assert_int_equal(feed_count(&feed, "]]>"), 0);
    feed_assert_has(&feed, "]]&gt;");
    assert_int_equal(feed_count(&feed, "<testcase"), 5);
    feed_assert_has(&feed, "<testsuites name=\"cellwall\" tests=\"5\"");
    feed_fini(&feed);
}

static void
test_giant_texts_are_bounded(void **state)
{
    struct feed feed;

    (void)state;
    feed_init(&feed, &report_junit);
    for (int i = 0; i < 10; i++)
        feed_giant(&feed, (size_t)1024 * 1024);
    feed_event(&feed, "{\"event\":\"end\"}");
    assert_true(feed.out.length < (size_t)6 * 1024 * 1024); /* "&" becomes five bytes */
    feed_assert_has(&feed, "bytes left out]");
    feed_fini(&feed);
}

static void
test_what_the_writer_refuses_is_passed_on(void **state)
{
    struct feed feed;
    json_t *event = feed_tree(END);

    (void)state;
    feed_init(&feed, &report_junit);
    feed.refuses = true;
    assert_int_equal(report_junit.event(feed.report, event), FEED_REFUSED);
    json_decref(event);
    feed_fini(&feed);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_notebook_is_a_suite_and_each_cell_a_case),
        cmocka_unit_test(test_a_notebook_that_could_not_run_is_a_case_that_counts),
        cmocka_unit_test(test_cells_of_notebooks_that_run_side_by_side_are_not_mixed),
        cmocka_unit_test(test_a_notebook_without_an_end_is_an_error),
        cmocka_unit_test(test_whatever_comes_the_report_has_characters_of_xml_alone),
        cmocka_unit_test(test_giant_texts_are_bounded),
        cmocka_unit_test(test_what_the_writer_refuses_is_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

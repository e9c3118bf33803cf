/* SPDX-License-Identifier: MIT */
#include "tests/compare/ask.h"

#define OFF(name) "{\"normalise\": {\"" name "\": false}}"
#define ON(name) "{\"normalise\": {\"" name "\": true}}"
#define MICRO "\xc2\xb5"
#define PLUS_MINUS "\xc2\xb1"

static void
test_text_is_compared_line_by_line(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "", "", NULL },
        { NULL, "a\nb", "a\nb", NULL },
        { NULL, "a", "b", "\"b\" instead of \"a\"" },
        { NULL, "a\nb\nc", "a\nx\nc", "1 of 3 lines differs, from line 2" },
        { NULL, "a\nb\nc", "a\nc", "line 2 differs (1 line expected that did not come" },
        { NULL, "a\nc", "a\nb\nc",
          "line 2 differs (0 lines expected that did not come, 1" },
        { NULL, "", "a\nb", "2 lines where nothing is expected" },
        { NULL, "a", "", "nothing where 1 line is expected" },
        { NULL, "A", "a", "instead" },
        { NULL, "caf\xc3\xa9", "cafe\xcc\x81", "instead" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_white_space_counts_as_the_setting_says(void **state)
{
    static const char exact[] = "{\"whitespace\": \"exact\"}";
    static const char collapse[] = "{\"whitespace\": \"collapse\"}";
    static const struct ask_row rows[] = {
        { NULL, "a\nb", "a  \nb\n\n", NULL },
        { NULL, "a\n", "a", NULL },
        { NULL, "a\r\nb", "a\nb", NULL },
        { NULL, "a b", "a  b", "instead" },
        { NULL, "a", " a", "instead" },
        { NULL, "a\n\nb", "a\nb", "line 2" },
        { exact, "a\n", "a", "" },
        { exact, "a ", "a", "instead" },
        { exact, "a ", "a ", NULL },
        { collapse, "a\n\n b\t c ", "a b c", NULL },
        { collapse, "ab", "a b", "instead" },
        { "{\"types\": {\"stdout\": {\"whitespace\": \"collapse\"}}}", "a  b", "a b",
          NULL },
        { "{\"types\": {\"stderr\": {\"whitespace\": \"collapse\"}}}", "a  b", "a b",
          "instead" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_numbers_with_a_fraction_agree_when_they_are_near(void **state)
{
    static const char loose[] = "{\"rtol\": 0.01, \"atol\": 0}";
    static const char absolute[] = "{\"rtol\": 0, \"atol\": 0.5}";
    static const char none[] = "{\"rtol\": 0, \"atol\": 0}";
    static const struct ask_row rows[] = {
        { NULL, "0.3", "0.30000000000000004", NULL },
        { NULL, "x=1.0000001.", "x=1.0000002.", NULL },
        { NULL, "1.00001", "1.00002", "1.00002 instead of 1.00001: 1e-05 apart" },
        { NULL, "1e-17", "0.0", NULL },
        { NULL, "1e-11", "0.0", "apart" },
        { NULL, "-0.0", "0.0", NULL },
        { NULL, "-1.5", "1.5", "3 apart" },
        { loose, "100.0", "101.0", NULL },
        { loose, "100.0", "101.1", "apart" },
        { loose, "-100.0", "-99.5", NULL },
        { absolute, "1.0", "1.5", NULL },
        { absolute, "1.0", "1.5001", "apart" },
        { none, "0.3", "0.30000000000000004", "apart" },
        { none, "0.50", "0.5", NULL },
        { absolute, "1e0", "1.25", NULL },
        { absolute, "1.5+2.25j", "1.25+2.5j", NULL },
        { absolute, "1.5-2.25j", "1.5+2.5j", "" },
        { NULL, "nan", "nan", NULL },
        { absolute, "inf", "1.0", "" },
        { absolute, "inf", "-inf", "" },
        { absolute, "[nan 1.0]", "[NaN 1.1]", NULL },
        { absolute, "1e999", "1e998", "" },
        { absolute, "1.5" PLUS_MINUS "0.25", "1.75" PLUS_MINUS "0.5", NULL },
        { absolute, "1,000.5", "2,000.5", "" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_what_is_no_number_with_a_fraction_must_be_the_same(void **state)
{
    static const char loose[] = "{\"rtol\": 0.5, \"atol\": 5}";
    static const struct ask_row rows[] = {
        { loose, "5", "6", "1 apart" },
        { loose, "5", "5.0", "" },
        { loose, "5.0", "5", "" },
        { loose, "v1.2.3", "v1.2.4", "" },
        { loose, "1.2.3", "1.2.4", "" },
        { loose, "1.20.3", "1.2.3", "" },
        { loose, "x1.5", "x1.6", "" },
        { loose, "id_1.5", "id_1.6", "" },
        { loose, "2024-01-02", "2024-01-03", "" },
        { loose, "1.5 apples", "1.5 pears", "" },
        { loose, "1.5", "1.5 1.5", "" },
        { loose, "info 1.5", "nano 1.5", "" },
        { loose, "a 1.5 b", "a 1.5555 c", "" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_columns_are_as_wide_as_their_numbers(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "     a\n0  0.3\n1  1.0",
          "                     a\n0  0.30000000000000004\n1  1.0", NULL },
        { NULL, "[0.3 1. ]", "[0.30000000000000004 1.                 ]", NULL },
        /* the numbers are equally long: so the spaces are not theirs */
        { NULL, "a  0.3", "a 0.3", "instead" },
        { NULL, "ab 0.3", "a b 0.30000000000000004", "" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_colours_and_carriage_returns_do_not_count(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "\x1b[31mred\x1b[0m", "red", NULL },
        { NULL, "\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link", NULL },
        { NULL, "\x1b[31mred", "\x1b[31mblue", "instead" },
        { OFF("ansi"), "\x1b[31mred\x1b[0m", "red", "" },
        { NULL, " 10%\r 50%\r100%", "100%", NULL },
        { NULL, "ab\bc", "ac", NULL },
        { NULL, " 10%\r 50%\r 90%", "100%", "" },
        { OFF("carriage"), "10%\r20%", "20%", "" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_addresses_do_not_count_and_constants_do(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "<A object at 0x7f3a12345678>", "<A object at 0x55aa00001111>", NULL },
        { NULL, "#<A:0x000078a1b2c3d4e5>", "#<A:0x000078a1b2c3d4f6>", NULL },
        { NULL, "<A object at 0x7f3a12345678>", "<B object at 0x7f3a12345678>", "" },
        { NULL, "0xff", "0xfe", "" },
        { NULL, "0xfffff", "0xffffe", "" },
        { OFF("addresses"), "0x7f3a12345678", "0x7f3a12345679", "" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_sizes_of_figures_do_not_count_and_axes_do(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "<Figure size 640x480 with 1 Axes>", "<Figure size 432x288 with 1 Axes>",
          NULL },
        { NULL, "<Figure size 640x480 with 1 Axes>", "<Figure size 640x480 with 2 Axes>",
          "" },
        { OFF("figures"), "<Figure size 640x480 with 1 Axes>",
          "<Figure size 432x288 with 1 Axes>", "" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_names_of_cells_do_not_count_and_lines_do(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "Cell In[3], line 1", "Cell In[12], line 1", NULL },
        { NULL, "Cell In [3], line 1", "Cell In [12], line 1", NULL },
        { NULL, "Input In [3], in <module>", "Input In [4], in <module>", NULL },
        { NULL, "Cell In[3], line 1", "Cell In[3], line 2", "" },
        { NULL, "<ipython-input-3-abcdef012345>", "<ipython-input-4-0123456789ab>",
          NULL },
        { NULL, "/tmp/ipykernel_12/345.py:1: W", "/tmp/ipykernel_99/1.py:1: W", NULL },
        { NULL, "/tmp/ipykernel_12/345.py:1: W", "/tmp/ipykernel_12/345.py:2: W", "" },
        { NULL, "invalid syntax (<ipython-input-3-abcdef012345>, line 1)",
          "invalid syntax (3311942670.py, line 1)", NULL },
        { NULL, "invalid syntax (3311942670.py, line 1)",
          "invalid syntax (3311942670.py, line 2)", "" },
        { NULL, "invalid syntax (3311942670.py, line 1)",
          "invalid syntax (settings.py, line 1)", "" },
        { NULL, "list[3]", "list[4]", "" },
        { OFF("cells"), "Cell In[3], line 1", "Cell In[12], line 1", "" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_timings_do_not_count_and_other_times_do(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "CPU times: user 12 ms, sys: 3 ms, total: 15 ms\nWall time: 15.3 ms",
          "CPU times: user 1.2 s, sys: 0 ns, total: 1.2 s\nWall time: 1.21 s", NULL },
        { NULL, "Wall time: 1min 3s", "Wall time: 980 " MICRO "s", NULL },
        { NULL,
          "12.3 ms " PLUS_MINUS " 4 " MICRO "s per loop (mean " PLUS_MINUS
          " std. dev. of 7 runs, 100 loops each)",
          "980 ns " PLUS_MINUS " 1.2 ns per loop (mean " PLUS_MINUS
          " std. dev. of 7 runs, 1,000,000 loops each)",
          NULL },
        { NULL, "100 loops, best of 3: 2.31 ms per loop",
          "10 loops, best of 3: 15.2 ms per loop", NULL },
        { NULL, "100%|####| 10/10 [00:01<00:00,  9.81it/s]",
          "100%|####| 10/10 [00:12<00:00,  1.20s/it]", NULL },
        { NULL, "100%|####| 10/10 [00:01<00:00,  9.81it/s]",
          "100%|####| 11/11 [00:01<00:00,  9.81it/s]", "" },
        { NULL, "10/10 - 3s 2ms/step - loss: 0.5", "10/10 - 1s 87us/step - loss: 0.5",
          NULL },
        { NULL, "10/10 - 3s 2ms/step - loss: 0.5", "10/10 - 3s 2ms/step - loss: 0.6",
          "" },
        { NULL, "took 12.3 ms", "took 12.4 ms", "" },
        { NULL, "Wall time: 3 apples", "Wall time: 4 apples", "" },
        { NULL, "[00:01]", "[00:02]", "" },
        { OFF("timings"), "Wall time: 1 s", "Wall time: 2 s", "" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_generated_names_of_temporary_files_do_not_count_and_chosen_ones_do(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "/tmp/tmpab12cd_x/a.csv", "/tmp/tmp01234567/a.csv", NULL },
        { NULL, "/tmp/tmpab12cd_x/a.csv", "/tmp/tmpab12cd_x/b.csv", "" },
        { NULL, "/tmp/RtmpAbCdEf/file1a2b3c4d5e6f.txt",
          "/tmp/RtmpZyXwVu/file9f8e7d6c5b4a.txt", NULL },
        { NULL, "/var/folders/x1/abc_d/T/tmpab12cd_x",
          "/var/folders/x1/abc_d/T/tmp01234567", NULL },
        { NULL, "/tmp/tmp.AbCdEfGh12", "/tmp/tmp.ZzZzZzZz99", NULL },
        { NULL, "/tmp/build-aB3xY9/o", "/tmp/build-Q0Q0Q0/o", NULL },
        { NULL, "/tmp/data.csv", "/tmp/date.csv", "" },
        { NULL, "/tmp/my-report", "/tmp/my-result", "" },
        { NULL, "/home/tmpab12cd_x", "/home/tmp01234567", "" },
        { OFF("temporary"), "/tmp/tmpab12cd_x", "/tmp/tmp01234567", "" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_ids_of_widgets_do_not_count(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "\"model_id\": \"0123456789abcdef0123456789abcdef\"",
          "\"model_id\": \"fedcba9876543210fedcba9876543210\"", NULL },
        { NULL, "IPY_MODEL_0123456789abcdef0123456789abcdef",
          "IPY_MODEL_fedcba9876543210fedcba9876543210", NULL },
        { NULL, "<DisplayHandle display_id=0123456789abcdef0123456789abcdef>",
          "<DisplayHandle display_id=fedcba9876543210fedcba9876543210>", NULL },
        { NULL, "<DisplayHandle display_id=first>", "<DisplayHandle display_id=second>",
          "" },
        { NULL, "md5 0123456789abcdef0123456789abcdef",
          "md5 fedcba9876543210fedcba9876543210", "" },
        { OFF("widgets"), "IPY_MODEL_0123456789abcdef0123456789abcdef",
          "IPY_MODEL_fedcba9876543210fedcba9876543210", "" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_order_within_a_set_counts_unless_it_is_turned_off(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "{1, 2}", "{2, 1}", "" },
        { ON("order"), "{1, 2}", "{2, 1}", NULL },
        { ON("order"), "x {'b', 'a, }'} y", "x {'a, }', 'b'} y", NULL },
        { ON("order"), "{(1, 2), (3, 4)}", "{(3, 4), (1, 2)}", NULL },
        { ON("order"), "{(1, 2), (3, 4)}", "{(4, 3), (1, 2)}", "" },
        { ON("order"), "{'k': {2, 1}}", "{'k': {1, 2}}", NULL },
        { ON("order"), "{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", "" },
        { ON("order"), "{1, 2}", "{1, 3}", "" },
        { ON("order"), "[1, 2]", "[2, 1]", "" },
        { ON("order"), "{1,\n2}", "{2,\n1}", "" },
        { ON("order"), "{unclosed, 'x", "{unclosed, 'x", NULL },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_rules_of_the_user_are_pythons(void **state)
{
#define RULE(pattern, replace)                                                           \
    "{\"sanitize\": [{\"pattern\": \"" pattern "\", \"replace\": \"" replace "\"}]}"
    static const struct ask_row rows[] = {
        { RULE("\\\\d+", "N"), "a1b22", "a3b4", NULL },
        { RULE("\\\\d", "N"), "a1b22", "a3b4", "" },
        { RULE("(\\\\w)-\\\\d", "\\\\1"), "a-1", "a-2", NULL },
        { RULE("(\\\\w)-\\\\d", "\\\\1"), "a-1", "b-1", "\"b\" instead of \"a\"" },
        { RULE("(?P<k>\\\\w)=\\\\d", "<\\\\g<k>>"), "a=1", "b=1",
          "\"<b>\" instead of \"<a>\"" },
        { RULE("(x)|(y)", "[\\\\2]"), "x", "y", "\"[y]\" instead of \"[]\"" },
        { RULE("a{,2}\\\\Z", "!"), "baa", "ba", NULL },
        { RULE("(?i)ABC", ""), "abc", "AbC", NULL },
        { RULE("x*", "-"), "abxd", "-a-b--d-", "instead of \"-a-b--d-\"" },
        { RULE("\\\\u00e9", "e"), "caf\xc3\xa9", "cafe", NULL },
        { RULE("\\\\n", "\\\\t"), "a\nb", "a\tb", NULL },
        { RULE("(?m)^secret.*$", "s"), "a\nsecret 1\nb", "a\nsecret 2\nb", NULL },
        /* the user's go before the built-in ones */
        { RULE("<Figure size \\\\d+x\\\\d+ with .*>", "F"),
          "<Figure size 1x1 with 1 Axes>", "<Figure size 2x2 with 2 Axes>", NULL },
        { "{\"sanitize\": [{\"pattern\": \"1\", \"replace\": \"2\"}, "
          "{\"pattern\": \"2\", \"replace\": \"3\"}]}",
          "1", "3", NULL },
        { "{\"sanitize\": [{\"pattern\": \"\\\\d\", \"replace\": \"\", \"types\": "
          "[\"text/*\"]}]}",
          "1", "2", "" },
        { "{\"sanitize\": [{\"pattern\": \"\\\\d\", \"replace\": \"\", \"types\": "
          "[\"text/*\", \"std*\"]}]}",
          "1", "2", NULL },
        { "{\"types\": {\"stderr\": {\"sanitize\": [{\"pattern\": \"\\\\d\", "
          "\"replace\": \"\"}]}}}",
          "1", "2", "" },
        { "{\"types\": {\"stdout\": {\"sanitize\": [{\"pattern\": \"\\\\d\", "
          "\"replace\": \"\"}]}}}",
          "1", "2", NULL },
    };

    (void)state;
    CHECK_TEXTS(rows);
#undef RULE
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_compared_line_by_line),
        cmocka_unit_test(test_white_space_counts_as_the_setting_says),
        cmocka_unit_test(test_numbers_with_a_fraction_agree_when_they_are_near),
        cmocka_unit_test(test_what_is_no_number_with_a_fraction_must_be_the_same),
        cmocka_unit_test(test_columns_are_as_wide_as_their_numbers),
        cmocka_unit_test(test_colours_and_carriage_returns_do_not_count),
        cmocka_unit_test(test_addresses_do_not_count_and_constants_do),
        cmocka_unit_test(test_sizes_of_figures_do_not_count_and_axes_do),
        cmocka_unit_test(test_names_of_cells_do_not_count_and_lines_do),
        cmocka_unit_test(test_timings_do_not_count_and_other_times_do),
        cmocka_unit_test(
            test_generated_names_of_temporary_files_do_not_count_and_chosen_ones_do),
        cmocka_unit_test(test_ids_of_widgets_do_not_count),
        cmocka_unit_test(test_order_within_a_set_counts_unless_it_is_turned_off),
        cmocka_unit_test(test_rules_of_the_user_are_pythons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

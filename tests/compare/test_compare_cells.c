/* SPDX-License-Identifier: MIT */
#include "tests/compare/ask.h"
#include "tests/compare/samples.h"

#include "kernel/compare/base64.h"

#define SHOWN(members)                                                                   \
    "{\"output_type\": \"display_data\", \"metadata\": {}, \"data\": {" members "}}"
#define RESULT(members)                                                                  \
    "{\"output_type\": \"execute_result\", \"execution_count\": 3, \"metadata\": {}, "   \
    "\"data\": {" members "}}"
#define PLAIN(text) SHOWN("\"text/plain\": \"" text "\"")
#define TEXT(name, text)                                                                 \
    "{\"output_type\": \"stream\", \"name\": \"" name "\", \"text\": " text "}"
#define RAISED(name, value)                                                              \
    "{\"output_type\": \"error\", \"ename\": \"" name "\", \"evalue\": \"" value         \
    "\", \"traceback\": [\"anything\"]}"

#define CHECK_OUTPUTS(rows)                                                              \
    do {                                                                                 \
        for (size_t i_ = 0; i_ < N_ELEMENTS(rows); i_++)                                 \
            check_row(&(rows)[i_], ask_outputs((rows)[i_].settings, (rows)[i_].expected, \
                                               (rows)[i_].actual));                      \
    } while (0)

static void
test_streams_are_compared_as_wholes(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "[]", "[]", NULL },
        { NULL, "[" TEXT("stdout", "\"a\\nb\\n\"") "]",
          "[" TEXT("stdout", "[\"a\\n\"]") ", " PLAIN("x") ", " TEXT("stdout",
                                                                     "\"b\\n\"") "]",
          "output 0 came and is not expected: text/plain" },
        { NULL, "[" TEXT("stdout", "\"a\\nb\\n\"") "]",
          "[" TEXT("stdout", "[\"a\\n\", \"\"]") ", " TEXT("stdout", "\"b\\n\"") "]",
          NULL },
        { NULL, "[" TEXT("stdout", "\"a\"") ", " TEXT("stderr", "\"b\"") "]",
          "[" TEXT("stderr", "\"b\"") ", " TEXT("stdout", "\"a\"") "]", NULL },
        { NULL, "[" TEXT("stdout", "\"a\"") "]", "[" TEXT("stderr", "\"a\"") "]",
          "nothing where 1 line is expected" },
        { NULL, "[" TEXT("stdout", "\"\"") "]", "[]", NULL },
        { "{\"types\": {\"stderr\": \"ignore\"}}", "[" TEXT("stderr", "\"a\"") "]", "[]",
          NULL },
        { "{\"types\": {\"std*\": \"exact\"}}", "[" TEXT("stdout", "\"a\\n\"") "]",
          "[" TEXT("stdout", "\"a\"") "]", "1 bytes instead of 2" },
    };

    (void)state;
    CHECK_OUTPUTS(rows);
}

static void
test_stream_on_one_side_is_missing_or_extra(void **state)
{
    json_t *answer;

    (void)state;
    answer = ask_texts(NULL, "a", "");
    assert_string_equal(text_in(difference_of(answer, 0), "kind"), "missing");
    assert_string_equal(text_in(difference_of(answer, 0), "type"), "stdout");
    assert_true(json_is_null(json_object_get(difference_of(answer, 0), "output")));
    json_decref(answer);
    answer = ask_texts(NULL, "", "a");
    assert_string_equal(text_in(difference_of(answer, 0), "kind"), "extra");
    json_decref(answer);
    answer = ask_texts(NULL, "b", "a");
    assert_string_equal(text_in(difference_of(answer, 0), "kind"), "differs");
    json_decref(answer);
}

static void
test_other_outputs_are_compared_one_by_one_in_order(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "[" PLAIN("a") ", " PLAIN("b") "]", "[" PLAIN("a") ", " PLAIN("b") "]",
          NULL },
        { NULL, "[" PLAIN("a") ", " PLAIN("b") "]", "[" PLAIN("b") ", " PLAIN("a") "]",
          "\"b\" instead of \"a\"" },
        { NULL, "[" PLAIN("a") "]", "[" RESULT("\"text/plain\": \"a\"") "]", NULL },
        { NULL, "[" PLAIN("a") "]", "[]",
          "output 0 is expected and did not come: text/plain" },
        { NULL, "[" PLAIN("a") ", " PLAIN("c") "]",
          "[" PLAIN("a") ", " PLAIN("b") ", " PLAIN("c") "]",
          "output 1 came and is not expected" },
        { NULL, "[" PLAIN("a") "]", "[" RAISED("E", "a") "]",
          "did not come: text/plain" },
        { NULL, "[" SHOWN("\"application/vnd.jupyter.widget-view+json\": {}") "]", "[]",
          NULL },
        { "{\"types\": {\"text/*\": \"ignore\"}}", "[" PLAIN("a") "]", "[]", NULL },
    };

    (void)state;
    CHECK_OUTPUTS(rows);
}

static void
test_one_output_too_many_is_one_difference(void **state)
{
    json_t *answer =
        ask_outputs(NULL, "[" PLAIN("a") ", " PLAIN("b") ", " PLAIN("c") "]",
                    "[" PLAIN("a") ", " PLAIN("new") ", " PLAIN("b") ", " PLAIN("c") "]");

    (void)state;
    assert_int_equal(json_array_size(json_object_get(answer, "differences")), 1);
    assert_true(json_is_null(json_object_get(difference_of(answer, 0), "type")));
    assert_string_equal(text_in(difference_of(answer, 0), "kind"), "extra");
    assert_string_equal(text_in(difference_of(answer, 0), "actual"), "new");
    assert_int_equal(
        json_integer_value(json_object_get(difference_of(answer, 0), "output")), 1);
    json_decref(answer);
}

static void
test_errors_agree_by_name_and_value(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "[" RAISED("E", "a") "]",
          "[{\"output_type\": \"error\", \"ename\": \"E\", \"evalue\": \"a\", "
          "\"traceback\": []}]",
          NULL },
        { NULL, "[" RAISED("E", "at 0x7f1234567") "]",
          "[" RAISED("E", "at 0x7f7654321") "]", NULL },
        { NULL, "[" RAISED("E", "a") "]", "[" RAISED("F", "a") "]",
          "\"F: a\" instead of \"E: a\"" },
        { NULL, "[" RAISED("E", "a") "]", "[" RAISED("E", "b") "]", "instead" },
        { NULL, "[" RAISED("E", "a") "]", "[]",
          "output 0 is expected and did not come: E" },
        { "{\"types\": {\"error\": \"ignore\"}}", "[" RAISED("E", "a") "]", "[]", NULL },
    };

    (void)state;
    CHECK_OUTPUTS(rows);
}

static void
test_richest_type_that_agrees_decides(void **state)
{
#define BOTH(html, plain)                                                                \
    "[" SHOWN("\"text/html\": \"" html "\", \"text/plain\": \"" plain "\"") "]"
#define ALL "{\"decide\": \"all\"}"
    static const struct ask_row rows[] = {
        { NULL, BOTH("<p>a", "x"), BOTH("<p>a</p>", "y"), NULL },
        { ALL, BOTH("<p>a", "x"), BOTH("<p>a</p>", "y"), "\"y\" instead of \"x\"" },
        { NULL, BOTH("<p>a", "x"), BOTH("<p>b", "x"), "" },
        /* what only one side has is poorer than what agrees, or it counts */
        { NULL, BOTH("<p>a", "x"), "[" SHOWN("\"text/html\": \"<p>a\"") "]", NULL },
        { ALL, BOTH("<p>a", "x"), "[" SHOWN("\"text/html\": \"<p>a\"") "]",
          "text/plain is expected and did not come" },
        { NULL, BOTH("<p>a", "x"), "[" PLAIN("x") "]",
          "text/html is expected and did not come" },
        { NULL, "[" PLAIN("x") "]", BOTH("<p>a", "x"),
          "text/html came and is not expected" },
        { "{\"types\": {\"text/html\": \"ignore\"}}", BOTH("<p>a", "x"),
          "[" PLAIN("x") "]", NULL },
        { NULL,
          "[" SHOWN(
              "\"application/vnd.x.v1+json\": {\"a\": 1}, \"text/html\": \"<a>\"") "]",
          "[" SHOWN(
              "\"application/vnd.x.v1+json\": {\"a\": 1}, \"text/html\": \"<b>\"") "]",
          NULL },
    };

    (void)state;
    CHECK_OUTPUTS(rows);
#undef BOTH
#undef ALL
}

static void
test_every_type_that_differs_is_told_when_the_richest_does(void **state)
{
    json_t *answer =
        ask_outputs(NULL, "[" SHOWN("\"text/html\": \"<p>a\", \"text/plain\": \"a\"") "]",
                    "[" SHOWN("\"text/html\": \"<p>b\", \"text/plain\": \"b\"") "]");

    (void)state;
    assert_string_equal(text_in(difference_of(answer, 0), "type"), "text/html");
    assert_string_equal(text_in(difference_of(answer, 0), "policy"), "html");
    assert_string_equal(text_in(difference_of(answer, 1), "type"), "text/plain");
    json_decref(answer);
}

#define JSON_TYPE "application/json"

static void
test_json_is_compared_by_its_meaning(void **state)
{
    static const char ignore[] =
        "{\"ignore\": [\"/id\", \"/rows/*/uid\", \"/list/1\", \"/a~1b\"]}";
    static const char rule[] =
        "{\"sanitize\": [{\"pattern\": \"\\\\d+\", \"replace\": \"N\"}]}";
    static const struct ask_row rows[] = {
        { NULL, "{\"a\": 1, \"b\": 2}", "{\"b\": 2, \"a\": 1}", NULL },
        { NULL, "{\"a\": 0.3}", "{\"a\": 0.30000000000000004}", NULL },
        { NULL, "{\"a\": 0.3}", "{\"a\": 0.4}", "at \"/a\": 0.4 instead of 0.3" },
        { NULL, "{\"a\": 1}", "{\"a\": 2}", "at \"/a\": 2 instead of 1" },
        { "{\"rtol\": 1}", "1", "2", "2 instead of 1" },
        { NULL, "1", "1.0", NULL },
        { NULL, "1", "1.0000000001", "instead" },
        { NULL, "[1, [2, 3]]", "[1, [2, 4]]", "at \"/1/1\": 4 instead of 3" },
        { NULL, "[1, 2]", "[1]", "at \"/1\": nothing instead of 2" },
        { NULL, "[1]", "[1, null]", "at \"/1\": null instead of nothing" },
        { NULL, "{\"a\": 1}", "{}", "at \"/a\": nothing instead of 1" },
        { NULL, "{\"a\": {}}", "{\"a\": []}", "an array instead of an object" },
        { NULL, "\"1\"", "1", "1 instead of \"1\"" },
        { NULL, "true", "false", "false instead of true" },
        { NULL, "[1, 2, 3]", "[2, 3, 4]", "and 2 more values differ" },
        { NULL, "[\"a\", \"b\"]", "[\"ab\"]", "at \"/0\"" },
        { NULL, "\"at 0x7f1234567\"", "\"at 0x7f7654321\"", NULL },
        { rule, "{\"t\": \"n 1\"}", "{\"t\": \"n 22\"}", NULL },
        { rule, "{\"t\": \"n 1\"}", "{\"t\": \"m 22\"}", "at \"/t\"" },
        { ignore, "{\"id\": 1, \"x\": 1}", "{\"id\": 2, \"x\": 1}", NULL },
        { ignore, "{\"id\": 1, \"x\": 1}", "{\"x\": 1}", NULL },
        { ignore, "{\"id\": 1, \"x\": 1}", "{\"id\": 1, \"x\": 2}", "at \"/x\"" },
        { ignore, "{\"x\": {\"id\": 1}}", "{\"x\": {\"id\": 2}}", "at \"/x/id\"" },
        { ignore, "{\"rows\": [{\"uid\": 1}, {\"uid\": 2}]}",
          "{\"rows\": [{\"uid\": 3}, {\"uid\": 4}]}", NULL },
        { ignore, "{\"rows\": [{\"uid\": 1}, {\"n\": 2}]}",
          "{\"rows\": [{\"uid\": 3}, {\"n\": 4}]}", "at \"/rows/1/n\"" },
        { ignore, "{\"list\": [1, 2, 3]}", "{\"list\": [1, 9, 3]}", NULL },
        { ignore, "{\"list\": [1, 2, 3]}", "{\"list\": [1, 2, 9]}", "at \"/list/2\"" },
        { ignore, "{\"a/b\": 1}", "{\"a/b\": 2}", NULL },
        { "{\"ignore\": [\"\"]}", "1", "[]", NULL },
        { "{\"ignore\": [\"/*\"]}", "{\"a\": 1}", "{\"b\": 1}", NULL },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        check_row(&rows[i],
                  ask_type(rows[i].settings, JSON_TYPE, ask_parse(rows[i].expected),
                           ask_parse(rows[i].actual)));
}

static void
test_pointers_of_project_and_cell_add_up(void **state)
{
    json_t *answer = ask(json_pack(
        "{s:{s:[s]}, s:{s:[s]}, s:[{s:s, s:{s:o}}], s:[{s:s, s:{s:o}}]}", "settings",
        "ignore", "/a", "cell", "ignore", "/b", "expected", "output_type", "display_data",
        "data", JSON_TYPE, ask_parse("{\"a\": 1, \"b\": 1}"), "actual", "output_type",
        "display_data", "data", JSON_TYPE, ask_parse("{\"a\": 2, \"b\": 2}")));

    (void)state;
    assert_true(agrees(answer));
    json_decref(answer);
}

static void
test_numbers_that_are_too_far_apart_are_listed(void **state)
{
    json_t *answer = ask_texts(NULL, "a 1.0 2 2.0\nb 3", "a 1.5 2.0 2.0\nb 4"), *numbers;

    (void)state;
    numbers = json_object_get(difference_of(answer, 0), "numbers");
    assert_int_equal(json_array_size(numbers), 2);
    assert_true(json_number_value(
                    json_object_get(json_array_get(numbers, 0), "distance")) == 0.5);
    assert_true(json_number_value(
                    json_object_get(json_array_get(numbers, 0), "relative")) == 0.5);
    assert_true(
        json_number_value(json_object_get(json_array_get(numbers, 1), "expected")) == 3);
    json_decref(answer);
}

static void
test_bytes_are_compared_by_what_base64_stands_for(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "AAECAwQF", "AAEC\nAwQF\n", NULL },
        { NULL, "AAECAwQF", "AAECAwUF", "its 6 bytes differ from byte 5 on" },
        { NULL, "AAECAwQF", "AAEC", "3 bytes instead of 6" },
        { NULL, "not base64!", "not base64!", NULL },
        { NULL, "not base64!", "not base64?", "differ from byte 11 on" },
    };
    json_t *answer;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        check_row(&rows[i],
                  ask_type(rows[i].settings, "application/pdf",
                           json_string(rows[i].expected), json_string(rows[i].actual)));
    answer = ask_type(NULL, "application/pdf", ask_parse("[\"AAEC\\n\", \"AwQF\\n\"]"),
                      json_string("AAECAwQF"));
    assert_true(agrees(answer));
    json_decref(answer);
}

static json_t *
sample_base64(const char *name)
{
    struct buffer file;
    json_t *text = NULL;

    buffer_init(&file, SAMPLE_BYTES_MAX);
    sample_read(name, &file);
    assert_int_equal(base64_encode(&text, buffer_slice(&file)), 0);
    buffer_fini(&file);
    return text;
}

static void
test_pictures_that_differ_come_with_a_picture_of_the_difference(void **state)
{
    json_t *answer = ask_type(NULL, "image/png", sample_base64("plot_once.png"),
                              sample_base64("plot_moved.png")),
           *image;

    (void)state;
    assert_false(agrees(answer));
    image = json_object_get(difference_of(answer, 0), "image");
    assert_string_equal(text_in(image, "mime"), "image/png");
    assert_true(json_number_value(json_object_get(image, "rms")) > 1);
    assert_true(json_number_value(json_object_get(image, "rms_limit")) == 1);
    assert_memory_equal(text_in(image, "difference"), "iVBORw0KGgo", 11);
    assert_memory_equal(text_in(image, "expected"), "iVBORw0KGgo", 11);
    assert_memory_equal(text_in(image, "actual"), "iVBORw0KGgo", 11);
    assert_non_null(
        strstr(text_in(difference_of(answer, 0), "message"), "RMS (limit 1)"));
    json_decref(answer);
}

static void
test_pictures_agree_within_the_limits(void **state)
{
    static const char loose[] =
        "{\"types\": {\"image/*\": {\"rms\": 255, \"pixels\": 1}}}";
    json_t *answer = ask_type(loose, "image/png", sample_base64("plot_once.png"),
                              sample_base64("plot_moved.png"));

    (void)state;
    assert_true(agrees(answer));
    json_decref(answer);
}

static void
test_pictures_of_other_size_or_damaged_ones_do_not_agree(void **state)
{
    json_t *answer;

    (void)state;
    answer = ask_type(NULL, "image/png", sample_base64("plot_once.png"),
                      sample_base64("tiny.png"));
    assert_non_null(
        strstr(text_in(difference_of(answer, 0), "message"), "pixels instead of"));
    json_decref(answer);
    answer = ask_type(NULL, "image/png", sample_base64("plot_once.png"),
                      json_string("iVBORw0KGgo="));
    assert_string_equal(text_in(difference_of(answer, 0), "kind"), "invalid");
    assert_non_null(strstr(text_in(difference_of(answer, 0), "message"), "what came"));
    json_decref(answer);
    answer = ask_type(NULL, "image/png", json_string("?"), sample_base64("tiny.png"));
    assert_non_null(
        strstr(text_in(difference_of(answer, 0), "message"), "what is expected"));
    json_decref(answer);
}

static void
test_damaged_pictures_agree_with_themselves(void **state)
{
    json_t *answer =
        ask_type(NULL, "image/png", json_string("iVBORw0K"), json_string("iVBORw0K"));

    (void)state;
    assert_true(agrees(answer));
    json_decref(answer);
}

static void
test_html_is_sanitised_as_it_stands_in_the_notebook(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "<p class='a' id='x1'>t</p>", "<p id='x2'  class='a'>t", NULL },
        { NULL, "<p>0.3</p>", "<p>0.30000000000000004</p>", NULL },
        { NULL, "<p>at 0x7f1234567</p>", "<p>at 0x7f7654321</p>", NULL },
        { NULL, "<p>1</p>", "<p>2</p>", "instead" },
        { "{\"sanitize\": [{\"pattern\": \"<p>\\\\d</p>\", \"replace\": \"\"}]}",
          "<p>1</p><b>x</b>", "<p>2</p><b>x</b>", NULL },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        check_row(&rows[i],
                  ask_type(rows[i].settings, "text/html", json_string(rows[i].expected),
                           json_string(rows[i].actual)));
}

static void
test_values_of_another_kind_are_told_and_not_trusted(void **state)
{
    static const struct ask_row rows[] = {
        { NULL, "[" SHOWN("\"text/plain\": 5") "]", "[" SHOWN("\"text/plain\": 6") "]",
          "6 instead of 5" },
        { NULL, "[" SHOWN("\"text/plain\": [1]") "]", "[" PLAIN("1") "]", "instead of" },
        { NULL, "[" SHOWN("\"image/png\": {}") "]", "[" SHOWN("\"image/png\": []") "]",
          "an array instead of an object" },
        { NULL, "[5]", "[]", "expected: output 0 is none" },
        { NULL, "[]", "[{\"output_type\": \"display_data\"}]",
          "actual: output 0 is none" },
        { NULL, "{}", "[]", "outputs must be an array" },
        { NULL, "[" TEXT("stdout", "5") "]", "[]", NULL },
        { NULL, "[{\"output_type\": \"error\"}]", "[" RAISED("E", "") "]", "instead" },
    };

    (void)state;
    CHECK_OUTPUTS(rows);
}

static void
test_differences_are_bounded(void **state)
{
    json_t *expected = json_array(), *actual = json_array(), *answer;

    (void)state;
    for (size_t i = 0; i < 3 * COMPARE_DIFFERENCES_MAX; i++) {
        json_array_append_new(expected, ask_parse(PLAIN("a")));
        json_array_append_new(actual, ask_parse(PLAIN("b")));
    }
    answer = ask(json_pack("{s:{}, s:o, s:o}", "settings", "expected", expected, "actual",
                           actual));
    assert_int_equal(json_array_size(json_object_get(answer, "differences")),
                     COMPARE_DIFFERENCES_MAX);
    json_decref(answer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_are_compared_as_wholes),
        cmocka_unit_test(test_stream_on_one_side_is_missing_or_extra),
        cmocka_unit_test(test_other_outputs_are_compared_one_by_one_in_order),
        cmocka_unit_test(test_one_output_too_many_is_one_difference),
        cmocka_unit_test(test_errors_agree_by_name_and_value),
        cmocka_unit_test(test_richest_type_that_agrees_decides),
        cmocka_unit_test(test_every_type_that_differs_is_told_when_the_richest_does),
        cmocka_unit_test(test_json_is_compared_by_its_meaning),
        cmocka_unit_test(test_pointers_of_project_and_cell_add_up),
        cmocka_unit_test(test_numbers_that_are_too_far_apart_are_listed),
        cmocka_unit_test(test_bytes_are_compared_by_what_base64_stands_for),
        cmocka_unit_test(test_pictures_that_differ_come_with_a_picture_of_the_difference),
        cmocka_unit_test(test_pictures_agree_within_the_limits),
        cmocka_unit_test(test_pictures_of_other_size_or_damaged_ones_do_not_agree),
        cmocka_unit_test(test_damaged_pictures_agree_with_themselves),
        cmocka_unit_test(test_html_is_sanitised_as_it_stands_in_the_notebook),
        cmocka_unit_test(test_values_of_another_kind_are_told_and_not_trusted),
        cmocka_unit_test(test_differences_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "tests/compare/ask.h"

#include "kernel/compare/pattern.h"
#include "kernel/compare/settings.h"

static void
test_settings_that_cannot_be_used_are_an_error(void **state)
{
    static const struct ask_row rows[] = {
        { "[]", "a", "b", "\"settings\" must be an object" },
        { "{\"rtol\": -1}", "a", "b", "\"rtol\" must be a number that is not negative" },
        { "{\"atol\": \"1\"}", "a", "b", "\"atol\" must be a number" },
        { "{\"rms\": true}", "a", "b", "\"rms\" must be a number" },
        { "{\"pixels\": []}", "a", "b", "\"pixels\" must be a number" },
        { "{\"whitespace\": \"some\"}", "a", "b", "exact, trailing or collapse" },
        { "{\"decide\": \"first\"}", "a", "b", "richest or all" },
        { "{\"normalise\": {\"colours\": true}}", "a", "b", "no rule \"colours\"" },
        { "{\"normalise\": {\"ansi\": 1}}", "a", "b", "\"ansi\" must be true or false" },
        { "{\"normalise\": []}", "a", "b", "\"normalise\" must be an object" },
        { "{\"ignore\": \"/a\"}", "a", "b", "\"ignore\" must be an array" },
        { "{\"ignore\": [\"a\"]}", "a", "b", "JSON pointers, such as" },
        { "{\"types\": []}", "a", "b", "\"types\" must be an object" },
        { "{\"types\": {\"stdout\": \"txt\"}}", "a", "b",
          "types: \"stdout\": \"policy\"" },
        { "{\"types\": {\"stdout\": 5}}", "a", "b", "a policy's name or an object" },
        { "{\"types\": {\"image/png\": {\"rmss\": 1}}}", "a", "b", "no option \"rmss\"" },
        { "{\"types\": {\"image/png\": {\"rms\": -1}}}", "a", "b",
          "types: \"image/png\"" },
        { "{\"sanitize\": {}}", "a", "b", "\"sanitize\" must be an array" },
        { "{\"sanitize\": [{\"pattern\": \"a\"}]}", "a", "b", "\"sanitize\" must be" },
        { "{\"sanitize\": [5]}", "a", "b", "\"sanitize\" must be" },
        { "{\"sanitize\": [{\"pattern\": \"(\", \"replace\": \"\"}]}", "a", "b",
          "\"(\" is not a regular expression: " },
        { "{\"sanitize\": [{\"pattern\": \"a\", \"replace\": \"\\\\1\"}]}", "a", "b",
          "\"\\1\" is not a replacement" },
        { "{\"sanitize\": [{\"pattern\": \"a\", \"replace\": \"\\\\g<x>\"}]}", "a", "b",
          "is not a replacement" },
        { "{\"sanitize\": [{\"pattern\": \"a\", \"replace\": \"\\\\q\"}]}", "a", "b",
          "is not a replacement" },
        { "{\"sanitize\": [{\"pattern\": \"\\\\C\", \"replace\": \"\"}]}", "a", "b",
          "is not a regular expression" },
        { "{\"sanitize\": [{\"pattern\": \"a\", \"replace\": \"\", \"types\": [1]}]}",
          "a", "b", "\"types\" must be an array of strings" },
        { "{\"types\": {\"text/html\": {\"sanitize\": [{\"pattern\": \"[\", "
          "\"replace\": \"\"}]}}}",
          "a", "b", "is not a regular expression" },
    };

    (void)state;
    CHECK_TEXTS(rows);
}

static void
test_wrong_settings_are_told_even_when_the_outputs_are_the_same(void **state)
{
    json_t *answer = ask_texts("{\"rtol\": -1}", "a", "a");

    (void)state;
    assert_false(agrees(answer));
    assert_non_null(json_object_get(answer, "error"));
    json_decref(answer);
}

static void
test_members_for_others_are_left_to_them(void **state)
{
    json_t *answer = ask_texts("{\"cell_timeout\": 5, \"language\": \"r\"}", "a", "a");

    (void)state;
    assert_true(agrees(answer));
    json_decref(answer);
}

static enum policy_kind
kind_of(const char *project, const char *cell, const char *type)
{
    json_t *layers[2] = { ask_parse(project), ask_parse(cell) };
    struct settings *settings = NULL;
    struct policy policy;

    assert_int_equal(settings_create(&settings, layers[0], layers[1], NULL), 0);
    settings_policy(settings, type, &policy);
    settings_destroy(settings);
    json_decref(layers[0]);
    json_decref(layers[1]);
    return policy.kind;
}

static void
test_each_type_has_a_policy(void **state)
{
    static const struct {
        const char *type;
        enum policy_kind kind;
    } rows[] = {
        { "stdout", POLICY_TEXT },
        { "stderr", POLICY_TEXT },
        { "error", POLICY_ERROR },
        { "text/plain", POLICY_TEXT },
        { "text/latex", POLICY_TEXT },
        { "text/html", POLICY_HTML },
        { "image/svg+xml", POLICY_SVG },
        { "image/png", POLICY_IMAGE },
        { "image/jpeg", POLICY_IMAGE },
        { "image/gif", POLICY_EXACT },
        { "application/json", POLICY_JSON },
        { "application/vnd.plotly.v1+json", POLICY_JSON },
        { "application/geo+json", POLICY_JSON },
        { "application/vnd.jupyter.widget-view+json", POLICY_IGNORE },
        { "application/javascript", POLICY_TEXT },
        { "application/pdf", POLICY_EXACT },
        { "", POLICY_EXACT },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        assert_int_equal(kind_of("null", "null", rows[i].type), rows[i].kind);
}

static void
test_most_specific_pattern_counts_and_the_cell_goes_first(void **state)
{
    static const char project[] =
        "{\"types\": {\"*\": \"ignore\", \"image/*\": \"exact\", "
        "\"image/png\": \"image\", \"i*g\": \"text\"}}";

    (void)state;
    assert_int_equal(kind_of(project, "{}", "image/png"), POLICY_IMAGE);
    assert_int_equal(kind_of(project, "{}", "image/jpeg"), POLICY_EXACT);
    assert_int_equal(kind_of(project, "{}", "text/plain"), POLICY_IGNORE);
    assert_int_equal(
        kind_of(project, "{\"types\": {\"image/*\": \"json\"}}", "image/png"),
        POLICY_JSON);
    assert_int_equal(kind_of(project, "{\"types\": {\"text/*\": \"json\"}}", "image/png"),
                     POLICY_IMAGE);
    assert_int_equal(
        kind_of(project, "{\"types\": {\"image/png\": {\"rms\": 2}}}", "image/png"),
        POLICY_IMAGE);
}

static void
test_numbers_of_the_cell_go_before_those_of_the_project(void **state)
{
    json_t *project = ask_parse("{\"rtol\": 1, \"types\": {\"stdout\": {\"rtol\": 2, "
                                "\"atol\": 3}}}");
    json_t *cell = ask_parse("{\"rtol\": 4}");
    struct settings *settings = NULL;
    struct policy policy;

    (void)state;
    assert_int_equal(settings_create(&settings, project, NULL, NULL), 0);
    settings_policy(settings, "stderr", &policy);
    assert_true(policy.tolerance.rtol == 1 && policy.tolerance.atol == 1e-12);
    settings_policy(settings, "stdout", &policy);
    assert_true(policy.tolerance.rtol == 2 && policy.tolerance.atol == 3);
    settings_destroy(settings);
    assert_int_equal(settings_create(&settings, project, cell, NULL), 0);
    settings_policy(settings, "stdout", &policy);
    assert_true(policy.tolerance.rtol == 4 && policy.tolerance.atol == 3);
    settings_destroy(settings);
    json_decref(project);
    json_decref(cell);
}

static void
test_expression_that_would_take_for_ever_is_stopped(void **state)
{
    static const char *const evil[] = { "(a+)+$",     "(a|aa)+$", "(.*)(.*)(.*)(.*)x",
                                        "(?=(a+))*b", "(a*)*$",   "(((a*)*)*)*b" };
    char text[3000], settings[200];
    json_t *answer;

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < N_ELEMENTS(evil); i++) {
        snprintf(settings, sizeof settings,
                 "{\"sanitize\": [{\"pattern\": \"%s\", \"replace\": \"\"}]}", evil[i]);
        answer = ask_texts(settings, text, "b");
        assert_false(agrees(answer));
        json_decref(answer);
    }
}

static void
test_expressions_of_one_comparison_share_a_budget(void **state)
{
    struct pattern *pattern = NULL;
    struct error err = { 0 };
    struct buffer out;
    uint64_t steps = 1000;

    (void)state;
    buffer_init(&out, 1000);
    assert_int_equal(pattern_create(&pattern, "[ab]c", "", NULL), 0);
    assert_int_equal(pattern_replace(pattern, slice_text("ababc"), &steps, &out, NULL),
                     0);
    assert_in_range(steps, 1, 999);
    steps = 2;
    assert_int_equal(
        pattern_replace(pattern, slice_text("ababababc"), &steps, &out, &err),
        COMPARE_E_INVALID);
    assert_non_null(strstr(err.text, "too many steps"));
    pattern_destroy(pattern);
    buffer_fini(&out);
}

static void
test_text_that_a_rule_blows_up_is_refused(void **state)
{
    json_t *rules = json_array(), *answer;

    (void)state;
    for (size_t i = 0; i < 40; i++)
        json_array_append_new(rules, json_pack("{s:s, s:s}", "pattern", "a", "replace",
                                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    answer = ask(json_pack("{s:{s:o}, s:[{s:s, s:s, s:s}], s:[{s:s, s:s, s:s}]}",
                           "settings", "sanitize", rules, "expected", "output_type",
                           "stream", "name", "stdout", "text", "a", "actual",
                           "output_type", "stream", "name", "stdout", "text", "b"));
    assert_string_equal(text_in(difference_of(answer, 0), "kind"), "invalid");
    json_decref(answer);
}

static void
test_too_many_rules_are_refused(void **state)
{
    json_t *rules = json_array(), *answer;

    (void)state;
    for (size_t i = 0; i <= SETTINGS_RULES_MAX; i++)
        json_array_append_new(rules,
                              json_pack("{s:s, s:s}", "pattern", "a", "replace", ""));
    answer = ask(json_pack("{s:{s:o}, s:[], s:[]}", "settings", "sanitize", rules,
                           "expected", "actual"));
    assert_non_null(strstr(text_in(answer, "error"), "at most 256 rules"));
    json_decref(answer);
}

static void
test_too_long_an_expression_is_refused(void **state)
{
    char *text = malloc(PATTERN_BYTES_MAX + 2);
    struct pattern *pattern = NULL;
    struct error err = { 0 };

    (void)state;
    assert_non_null(text);
    memset(text, 'a', PATTERN_BYTES_MAX + 1);
    text[PATTERN_BYTES_MAX + 1] = '\0';
    assert_int_equal(pattern_create(&pattern, text, "", &err), COMPARE_E_SETTINGS);
    assert_null(pattern);
    text[PATTERN_BYTES_MAX] = '\0';
    assert_int_equal(pattern_create(&pattern, text, "", NULL), 0);
    pattern_destroy(pattern);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_that_cannot_be_used_are_an_error),
        cmocka_unit_test(test_wrong_settings_are_told_even_when_the_outputs_are_the_same),
        cmocka_unit_test(test_members_for_others_are_left_to_them),
        cmocka_unit_test(test_each_type_has_a_policy),
        cmocka_unit_test(test_most_specific_pattern_counts_and_the_cell_goes_first),
        cmocka_unit_test(test_numbers_of_the_cell_go_before_those_of_the_project),
        cmocka_unit_test(test_expression_that_would_take_for_ever_is_stopped),
        cmocka_unit_test(test_expressions_of_one_comparison_share_a_budget),
        cmocka_unit_test(test_text_that_a_rule_blows_up_is_refused),
        cmocka_unit_test(test_too_many_rules_are_refused),
        cmocka_unit_test(test_too_long_an_expression_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "tests/compare/ask.h"

#define NUMBER "-?\\d+(?:\\.\\d*)?(?:[eE][+-]?\\d+)?(?!\\w)"

static json_t *
request_of(const char *type, const char *expected, const char *actual, json_t *rules)
{
    static const char form[] = "[{s:s, s:{}, s:{s:s}}]";

    return json_pack(
        "{s:{s:o}, s:b, s:o, s:o}", "settings", "sanitize", rules, "propose", 1,
        "expected",
        json_pack(form, "output_type", "display_data", "metadata", "data", type,
                  expected),
        "actual",
        json_pack(form, "output_type", "display_data", "metadata", "data", type, actual));
}

/* The rules proposed, which the caller owns: whatever is proposed must make both equal.
 */
static json_t *
propose(const char *type, const char *expected, const char *actual)
{
    json_t *answer = ask(request_of(type, expected, actual, json_array()));
    json_t *rules = json_incref(json_object_get(difference_of(answer, 0), "rules"));

    assert_false(agrees(answer));
    json_decref(answer);
    if (json_array_size(rules) > 0) {
        answer = ask(request_of(type, expected, actual, json_incref(rules)));
        if (!agrees(answer))
            fail_msg("\"%s\" and \"%s\" do not agree by what was proposed", expected,
                     actual);
        json_decref(answer);
    }
    return rules;
}

static void
test_token_that_varies_is_proposed_in_general(void **state)
{
    static const struct {
        const char *expected, *actual, *pattern, *replace;
    } rows[] = {
        { "took 12 s", "took 7 s", "took " NUMBER " s", "took <number> s" },
        { "loss: 0.51", "loss: 0.49", "loss: " NUMBER, "loss: <number>" },
        { "at 2026-01-02 03:04:05", "at 2026-11-12 13:14:15.123",
          "at \\d{4}-\\d\\d-\\d\\d[T "
          "]\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d+)?)?(?:Z|[+-]\\d\\d:?\\d\\d)?",
          "at <time>" },
        { "on 2026-01-02.", "on 2026-11-12.", "on \\d{4}-\\d\\d-\\d\\d\\.",
          "on <date>." },
        { "id=123e4567-e89b-12d3-a456-426614174000;",
          "id=00000000-e89b-12d3-a456-426614174fff;",
          "id=[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12};", "id=<uuid>;" },
        { "commit 4be1f9a", "commit 77ac01b", "commit [0-9a-fA-F]+", "commit <hex>" },
        { "wrote /data/x1/a.csv ok", "wrote /data/y/b.csv ok",
          "wrote (?:/[\\w.+-]+){2,}/? ok", "wrote <path> ok" },
        { "user (ann) logged in", "user (bob) logged in", "user \\(\\w+\\) logged in",
          "user (<word>) logged in" },
        { "12", "13", "(?m)^" NUMBER "$", "<number>" },
        { "a\\b 12", "a\\b 13", "a\\\\b " NUMBER, "a\\\\b <number>" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        json_t *rules = propose("text/plain", rows[i].expected, rows[i].actual);

        if (json_array_size(rules) != 1)
            fail_msg("%zu rules for \"%s\"", json_array_size(rules), rows[i].expected);
        assert_string_equal(text_in(json_array_get(rules, 0), "pattern"),
                            rows[i].pattern);
        assert_string_equal(text_in(json_array_get(rules, 0), "replace"),
                            rows[i].replace);
        json_decref(rules);
    }
}

static void
test_rule_covers_all_that_varies_in_a_line(void **state)
{
    json_t *rules = propose("text/plain", "run 1 of 0.5 s", "run 2 of 0.7 s");

    (void)state;
    assert_int_equal(json_array_size(rules), 1);
    assert_string_equal(text_in(json_array_get(rules, 0), "replace"),
                        "run <number> of <number> s");
    json_decref(rules);
}

static void
test_lines_that_vary_alike_have_one_rule(void **state)
{
    json_t *rules = propose("text/plain", "t = 1 s\nx\nt = 2 s", "t = 3 s\nx\nt = 4 s");

    (void)state;
    assert_int_equal(json_array_size(rules), 1);
    json_decref(rules);
}

static void
test_nothing_is_proposed_that_would_not_do(void **state)
{
    static const struct {
        const char *expected, *actual;
    } rows[] = {
        { "red", "blue" }, /* a rule for every line of one word */
        { "a b", "a b c" }, { "x\ny 1", "y 2" }, { "t 1 s\nred", "t 2 s\nblue" },
        { "+", "-" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        json_t *rules = propose("text/plain", rows[i].expected, rows[i].actual);

        assert_int_equal(json_array_size(rules), 0);
        json_decref(rules);
    }
}

static void
test_rule_does_not_quote_what_a_built_in_rule_has_written(void **state)
{
    json_t *rules =
        propose("text/plain", "<A at 0x7f12345678> no 12", "<A at 0x7f87654321> no 13");

    (void)state;
    assert_int_equal(json_array_size(rules), 1);
    assert_string_equal(text_in(json_array_get(rules, 0), "pattern"), "> no " NUMBER);
    json_decref(rules);
}

static void
test_rule_for_html_is_for_its_text(void **state)
{
    json_t *rules = propose("text/html", "<div><p>took 12 s</p></div>",
                            "<div><p>took 13 s</p></div>");

    (void)state;
    assert_int_equal(json_array_size(rules), 1);
    json_decref(rules);
}

static void
test_rules_are_proposed_only_when_asked_for(void **state)
{
    json_t *answer = ask_texts(NULL, "took 1 s", "took 2 s");

    (void)state;
    assert_int_equal(json_array_size(json_object_get(difference_of(answer, 0), "rules")),
                     0);
    json_decref(answer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_that_varies_is_proposed_in_general),
        cmocka_unit_test(test_rule_covers_all_that_varies_in_a_line),
        cmocka_unit_test(test_lines_that_vary_alike_have_one_rule),
        cmocka_unit_test(test_nothing_is_proposed_that_would_not_do),
        cmocka_unit_test(test_rule_does_not_quote_what_a_built_in_rule_has_written),
        cmocka_unit_test(test_rule_for_html_is_for_its_text),
        cmocka_unit_test(test_rules_are_proposed_only_when_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

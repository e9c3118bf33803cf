/* SPDX-License-Identifier: MIT */
#include "kernel/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

struct target {
    const char *file, *network;
    bool flag;
    struct option_list names;
};

static const struct option_spec specs[] = {
    { "file", 'f', OPTION_TEXT, "FILE", NULL, offsetof(struct target, file), "A file." },
    { "network", 0, OPTION_CHOICE, NULL, "none|host", offsetof(struct target, network),
      "Which.\nAnd more." },
    { "flag", 'x', OPTION_FLAG, NULL, NULL, offsetof(struct target, flag), "A flag." },
    { "name", 0, OPTION_LIST, "NAME", NULL, offsetof(struct target, names), "Names." },
};

static const struct option_spec with_words[] = {
    { "file", 'f', OPTION_TEXT, "FILE", NULL, offsetof(struct target, file), "A file." },
    { "flag", 'x', OPTION_FLAG, NULL, NULL, offsetof(struct target, flag), "A flag." },
    { "NAME...", 0, OPTION_WORDS, NULL, NULL, offsetof(struct target, names), "Names." },
};

#define PARSE_WORDS(target, err, ...)                                                    \
    options_parse(target, with_words, N_ELEMENTS(with_words),                            \
                  (char *const[]){ __VA_ARGS__, NULL }, NULL, err)
#define PARSE(target, unknown, err, ...)                                                 \
    options_parse(target, specs, N_ELEMENTS(specs),                                      \
                  (char *const[]){ __VA_ARGS__, NULL }, unknown, err)

static void
test_values_come_in_three_forms(void **state)
{
    struct target target = { 0 };

    (void)state;
    assert_int_equal(PARSE(&target, NULL, NULL, "-f", "a", "--network=host", "-x"), 0);
    assert_string_equal(target.file, "a");
    assert_string_equal(target.network, "host");
    assert_true(target.flag);
    assert_int_equal(PARSE(&target, NULL, NULL, "-fb", "--network", "none"), 0);
    assert_string_equal(target.file, "b");
    assert_string_equal(target.network, "none");
}

static void
test_a_choice_is_one_of_its_words(void **state)
{
    static const char *const wrong[] = { "bridge", "non", "nones", "none|host", "" };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
        struct target target = { 0 };
        struct error err = { 0 };

        assert_int_equal(PARSE(&target, NULL, &err, "--network", (char *)wrong[i]),
                         OPTIONS_E_USAGE);
        assert_non_null(strstr(err.text, "none|host"));
    }
}

static void
test_a_missing_value_is_a_usage_error(void **state)
{
    struct target target = { 0 };
    struct error err = { 0 };

    (void)state;
    assert_int_equal(PARSE(&target, NULL, &err, "--file"), OPTIONS_E_USAGE);
    assert_string_equal(err.text, "--file needs a value: --file FILE");
}

static void
test_a_flag_takes_no_value(void **state)
{
    struct target target = { 0 };

    (void)state;
    assert_int_equal(PARSE(&target, NULL, NULL, "--flag=1"), OPTIONS_E_USAGE);
}

static void
test_a_list_collects_up_to_its_bound(void **state)
{
    struct target target = { 0 };

    (void)state;
    assert_int_equal(PARSE(&target, NULL, NULL, "--name", "a", "--name=b"), 0);
    assert_int_equal(target.names.count, 2);
    assert_string_equal(target.names.items[1], "b");
    while (target.names.count < OPTION_LIST_MAX)
        assert_int_equal(PARSE(&target, NULL, NULL, "--name", "c"), 0);
    assert_int_equal(PARSE(&target, NULL, NULL, "--name", "d"), OPTIONS_E_USAGE);
}

static void
test_unknown_arguments_are_refused_or_counted(void **state)
{
    struct target target = { 0 };
    size_t unknown;

    (void)state;
    assert_int_equal(PARSE(&target, NULL, NULL, "--HistoryManager.hist_file=:memory:"),
                     OPTIONS_E_USAGE);
    assert_int_equal(PARSE(&target, NULL, NULL, "word"), OPTIONS_E_USAGE);
    assert_int_equal(
        PARSE(&target, &unknown, NULL, "--Some.thing=1", "word", "-z", "-f", "a"), 0);
    assert_int_equal(unknown, 3);
    assert_string_equal(target.file, "a");
}

static void
test_words_stand_among_options(void **state)
{
    struct target target = { 0 };

    (void)state;
    assert_int_equal(PARSE_WORDS(&target, NULL, "a", "-f", "-", "-x", "-", "b"), 0);
    assert_string_equal(target.file, "-");
    assert_true(target.flag);
    assert_int_equal(target.names.count, 3);
    assert_string_equal(target.names.items[0], "a");
    assert_string_equal(target.names.items[1], "-");
    assert_string_equal(target.names.items[2], "b");
}

static void
test_what_follows_two_dashes_is_words(void **state)
{
    struct target target = { 0 };

    (void)state;
    assert_int_equal(PARSE_WORDS(&target, NULL, "--", "-x", "--", "--help"), 0);
    assert_false(target.flag);
    assert_int_equal(target.names.count, 3);
    assert_string_equal(target.names.items[1], "--");
}

static void
test_an_unknown_option_is_no_word(void **state)
{
    struct target target = { 0 };
    struct error err = { 0 };

    (void)state;
    assert_int_equal(PARSE_WORDS(&target, &err, "a", "--NAME..."), OPTIONS_E_USAGE);
    assert_string_equal(err.text, "unknown argument --NAME...");
    assert_int_equal(PARSE_WORDS(&target, NULL, "-z"), OPTIONS_E_USAGE);
}

static void
test_words_have_a_bound(void **state)
{
    char *words[OPTION_LIST_MAX + 2] = { NULL };
    struct target target = { 0 };
    struct error err = { 0 };

    (void)state;
    for (size_t i = 0; i <= OPTION_LIST_MAX; i++)
        words[i] = "a";
    assert_int_equal(
        options_parse(&target, with_words, N_ELEMENTS(with_words), words, NULL, &err),
        OPTIONS_E_USAGE);
    assert_non_null(strstr(err.text, "NAME...: given more than"));
}

static void
test_help_is_told_apart(void **state)
{
    struct target target = { 0 };

    (void)state;
    assert_int_equal(PARSE(&target, NULL, NULL, "--help"), OPTIONS_E_HELP);
    assert_int_equal(PARSE(&target, NULL, NULL, "-h"), OPTIONS_E_HELP);
    assert_int_equal(PARSE(&target, NULL, NULL, "-f", "--help"), 0);
    assert_string_equal(target.file, "--help");
}

static void
test_help_shows_every_row(void **state)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    (void)state;
    options_print(out, specs, N_ELEMENTS(specs));
    fclose(out);
    assert_non_null(strstr(text, "-f, --file FILE\n            A file.\n"));
    assert_non_null(strstr(text, "--network none|host\n            Which.\n"
                                 "            And more.\n"));
    assert_non_null(strstr(text, "-h, --help\n"));
    free(text);
    out = open_memstream(&text, &length);
    options_print(out, with_words, N_ELEMENTS(with_words));
    fclose(out);
    assert_non_null(strstr(text, "      NAME...\n            Names.\n"));
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_come_in_three_forms),
        cmocka_unit_test(test_a_choice_is_one_of_its_words),
        cmocka_unit_test(test_a_missing_value_is_a_usage_error),
        cmocka_unit_test(test_a_flag_takes_no_value),
        cmocka_unit_test(test_a_list_collects_up_to_its_bound),
        cmocka_unit_test(test_unknown_arguments_are_refused_or_counted),
        cmocka_unit_test(test_words_stand_among_options),
        cmocka_unit_test(test_what_follows_two_dashes_is_words),
        cmocka_unit_test(test_an_unknown_option_is_no_word),
        cmocka_unit_test(test_words_have_a_bound),
        cmocka_unit_test(test_help_is_told_apart),
        cmocka_unit_test(test_help_shows_every_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

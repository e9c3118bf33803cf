/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/directives.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/notebook.h"
#include "protocol/tree.h"

/* What a cell with this METADATA and SOURCE says. */
static int
read_cell(struct directives *ret, const char *metadata, const char *source,
          const char *language, json_t *notes, struct error *err)
{
    const struct notebook_cell cell = { .type = NOTEBOOK_CODE,
                                        .metadata = slice_text(metadata),
                                        .source = slice_text(source) };

    return directives_read(ret, &cell, language, notes, err);
}

struct said {
    struct directives directives;
    json_t *notes;
};

static void
said_fini(struct said *said)
{
    directives_fini(&said->directives);
    json_decref(said->notes);
}

static struct said
say_in(const char *language, const char *metadata, const char *source)
{
    struct said said = { .notes = json_array() };
    struct error err = { 0 };

    assert_int_equal(
        read_cell(&said.directives, metadata, source, language, said.notes, &err), 0);
    return said;
}

static struct said
say(const char *metadata, const char *source)
{
    return say_in("python", metadata, source);
}

static struct said
tagged(const char *tags)
{
    char metadata[512];

    snprintf(metadata, sizeof metadata, "{\"tags\":[%s]}", tags);
    return say(metadata, "");
}

static void
assert_refused(const char *metadata, const char *source, const char *why)
{
    struct directives directives = { 0 };
    struct error err = { 0 };

    assert_int_equal(read_cell(&directives, metadata, source, "python", NULL, &err),
                     DIRECTIVES_E_INVALID);
    if (strstr(err.text, why) == NULL)
        fail_msg("\"%s\" is not in: %s", why, err.text);
    assert_null(directives.comparison);
}

static void
assert_settings(const struct said *said, const char *expected)
{
    CLEANUP(tree_decrefp) json_t *tree = json_loads(expected, 0, NULL);

    assert_non_null(tree);
    if (!json_equal(tree, said->directives.comparison)) {
        CLEANUP(freep) char *got = json_dumps(said->directives.comparison, JSON_COMPACT);

        fail_msg("got %s", got != NULL ? got : "nothing");
    }
}

static void
test_a_cell_that_says_nothing_has_no_directives(void **state)
{
    CLEANUP(said_fini)
    struct said said =
        say("{\"tags\":[\"hide\",\"remove-input\"]}", "# a comment\nx = 1");

    (void)state;
    assert_false(said.directives.skip);
    assert_int_equal(said.directives.raises, DIRECTIVES_NEVER);
    assert_int_equal(said.directives.compare, DIRECTIVES_DEFAULT);
    assert_true(said.directives.timeout_s == 0);
    assert_null(said.directives.comparison);
    assert_int_equal(json_array_size(said.notes), 0);
}

static void
test_nbvals_comments_are_whole_lines_of_comment(void **state)
{
    static const struct {
        const char *source;
        enum directives_compare compare;
    } rows[] = {
        { "# NBVAL_IGNORE_OUTPUT", DIRECTIVES_IGNORE },
        { "x = 1\n   ##NBVAL_IGNORE_OUTPUT\t \r\ny", DIRECTIVES_IGNORE },
        { "# PYTEST_VALIDATE_IGNORE_OUTPUT", DIRECTIVES_IGNORE },
        { "#NBVAL_CHECK_OUTPUT", DIRECTIVES_COMPARE },
        { "# NBVAL_CHECK_OUTPUT please", DIRECTIVES_DEFAULT },
        { "x = 1 # NBVAL_CHECK_OUTPUT", DIRECTIVES_DEFAULT },
        { "# nbval_check_output", DIRECTIVES_DEFAULT },
        { "# NBVAL-CHECK-OUTPUT", DIRECTIVES_DEFAULT },
        { "NBVAL_CHECK_OUTPUT", DIRECTIVES_DEFAULT },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        CLEANUP(said_fini) struct said said = say("{}", rows[i].source);

        assert_int_equal(said.directives.compare, rows[i].compare);
    }
}

static void
test_nbvals_and_nbclients_tags(void **state)
{
    static const struct {
        const char *tag;
        bool skip;
        enum directives_raises raises;
        enum directives_compare compare;
    } rows[] = {
        { "\"nbval-ignore-output\"", false, DIRECTIVES_NEVER, DIRECTIVES_IGNORE },
        { "\"pytest-validate-ignore-output\"", false, DIRECTIVES_NEVER,
          DIRECTIVES_IGNORE },
        { "\"nbval-check-output\"", false, DIRECTIVES_NEVER, DIRECTIVES_COMPARE },
        { "\"nbval-raises-exception\"", false, DIRECTIVES_MAY_RAISE, DIRECTIVES_DEFAULT },
        { "\"raises-exception\"", false, DIRECTIVES_MAY_RAISE, DIRECTIVES_DEFAULT },
        { "\"nbval-skip\"", true, DIRECTIVES_NEVER, DIRECTIVES_DEFAULT },
        { "\"skip-execution\"", true, DIRECTIVES_NEVER, DIRECTIVES_DEFAULT },
        { "\"NBVAL_SKIP\"", false, DIRECTIVES_NEVER, DIRECTIVES_DEFAULT },
        { "3, null, \"nbval-skip\"", true, DIRECTIVES_NEVER, DIRECTIVES_DEFAULT },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        CLEANUP(said_fini) struct said said = tagged(rows[i].tag);

        assert_int_equal(said.directives.skip, rows[i].skip);
        assert_int_equal(said.directives.raises, rows[i].raises);
        assert_int_equal(said.directives.compare, rows[i].compare);
    }
}

static void
test_nbvals_other_comments_skip_and_expect_exceptions(void **state)
{
    CLEANUP(said_fini)
    struct said said = say("{}", "# NBVAL_SKIP\n# NBVAL_RAISES_EXCEPTION");

    (void)state;
    assert_true(said.directives.skip);
    assert_true(said.directives.raises);
}

static void
test_a_comment_beats_a_tag_and_a_contradiction_is_noted(void **state)
{
    CLEANUP(said_fini)
    struct said said =
        say("{\"tags\":[\"nbval-check-output\"]}", "# NBVAL_IGNORE_OUTPUT");

    (void)state;
    assert_int_equal(said.directives.compare, DIRECTIVES_IGNORE);
    assert_int_equal(json_array_size(said.notes), 1);
    assert_string_equal(json_string_value(json_array_get(said.notes, 0)),
                        "comment \"NBVAL_IGNORE_OUTPUT\" contradicts tag "
                        "\"nbval-check-output\", and counts");
}

static void
test_of_two_marks_in_one_place_the_last_counts(void **state)
{
    CLEANUP(said_fini)
    struct said said = tagged("\"cellwall-ignore\",\"nbval-check-output\"");

    (void)state;
    assert_int_equal(said.directives.compare, DIRECTIVES_COMPARE);
    assert_int_equal(json_array_size(said.notes), 1);
}

static void
test_what_is_said_twice_is_no_contradiction(void **state)
{
    CLEANUP(said_fini)
    struct said said = say("{\"tags\":[\"nbval-skip\",\"cellwall-rtol=1e-3\"]}",
                           "# NBVAL_SKIP\n# cellwall: rtol=1e-3 skip");

    (void)state;
    assert_true(said.directives.skip);
    assert_int_equal(json_array_size(said.notes), 0);
}

static void
test_tags_that_are_no_list_are_noted(void **state)
{
    CLEANUP(said_fini) struct said said = say("{\"tags\":\"nbval-skip\"}", "");

    (void)state;
    assert_false(said.directives.skip);
    assert_int_equal(json_array_size(said.notes), 1);
}

static void
test_our_tags_and_comments_say_the_same(void **state)
{
    static const char *const metadata[] = {
        "{\"tags\":[\"cellwall-skip\",\"cellwall-ignore\",\"cellwall-raises\","
        "\"cellwall-timeout=2.5\",\"cellwall-rtol=1e-3\",\"cellwall-atol=0.5\","
        "\"cellwall-rms=5\",\"cellwall-pixels=0.01\",\"cellwall-ignore=stderr\","
        "\"cellwall-exact=text/html\"]}",
        "{}"
    };
    static const char *const sources[] = {
        "", "# cellwall: skip ignore raises timeout=2.5 rtol=1e-3\nx\n"
            "#cellwall:atol=0.5  rms=5\tpixels=0.01 ignore=stderr exact=text/html"
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(said_fini) struct said said = say(metadata[i], sources[i]);

        assert_true(said.directives.skip);
        assert_true(said.directives.raises);
        assert_int_equal(said.directives.compare, DIRECTIVES_IGNORE);
        assert_true(said.directives.timeout_s == 2.5);
        assert_settings(&said, "{\"rtol\":0.001,\"atol\":0.5,\"rms\":5.0,"
                               "\"pixels\":0.01,\"types\":{\"stderr\":\"ignore\","
                               "\"text/html\":\"exact\"}}");
        assert_int_equal(json_array_size(said.notes), 0);
    }
}

static void
test_comments_look_as_in_the_cells_language(void **state)
{
    CLEANUP(said_fini)
    struct said script = say_in("javascript", "{}", "// cellwall: skip\n# cellwall: no");
    CLEANUP(said_fini)
    struct said typed = say_in("typescript", "{}", "/// NBVAL_CHECK_OUTPUT");
    CLEANUP(said_fini) struct said other = say_in(NULL, "{}", "# cellwall: skip");

    (void)state;
    assert_true(script.directives.skip);
    assert_int_equal(typed.directives.compare, DIRECTIVES_COMPARE);
    assert_true(other.directives.skip);
}

static void
test_only_some_types_count_and_keep_their_settings(void **state)
{
    CLEANUP(said_fini)
    struct said said = say("{\"tags\":[\"cellwall-only=image/png\"],\"cellwall\":{"
                           "\"types\":{\"image/png\":{\"rms\":3},\"text/x\":\"exact\"}}}",
                           "# cellwall: only=text/plain only=a/* exact=stdout");

    (void)state;
    assert_settings(&said, "{\"types\":{\"*\":\"ignore\",\"image/png\":{\"rms\":3},"
                           "\"text/x\":\"ignore\",\"text/plain\":{},\"a/*\":{},"
                           "\"stdout\":\"exact\"}}");
}

static void
test_metadata_has_any_setting_and_marks_go_first(void **state)
{
    CLEANUP(said_fini)
    struct said said =
        say("{\"tags\":[\"cellwall-rtol=2\",\"cellwall-ignore=image/*\"],"
            "\"cellwall\":{\"rtol\":1,\"decide\":\"all\",\"types\":{\"a/b\":\"exact\"}}}",
            "");

    (void)state;
    assert_settings(&said, "{\"rtol\":2.0,\"decide\":\"all\","
                           "\"types\":{\"a/b\":\"exact\",\"image/*\":\"ignore\"}}");
    assert_int_equal(json_array_size(said.notes), 0);
}

static void
test_ours_that_are_not_known_or_invalid_are_refused(void **state)
{
    static const struct {
        const char *tag, *why;
    } rows[] = {
        { "cellwall-sleep", "tag \"cellwall-sleep\": there is no such directive" },
        { "cellwall-", "there is no such directive" },
        { "cellwall-skip=1", "takes no value" },
        { "cellwall-rtol", "value is missing" },
        { "cellwall-rtol=", "must be a number" },
        { "cellwall-rtol=nan", "must be a number" },
        { "cellwall-rtol=0x10", "must be a number" },
        { "cellwall-rtol=1e999", "too large" },
        { "cellwall-rtol=-1", "not negative" },
        { "cellwall-rms=256", "from 0 to 255" },
        { "cellwall-pixels=1.5", "from 0 to 1" },
        { "cellwall-timeout=0", "must be seconds" },
        { "cellwall-timeout=1e7", "must be seconds" },
        { "cellwall-timeout=soon", "must be seconds" },
        { "cellwall-ignore=", "must be a MIME type" },
        { "cellwall-ignore=png", "must be a MIME type" },
        { "cellwall-exact=a/b/c", "must be a MIME type" },
        { "cellwall-only=/", "must be a MIME type" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        char metadata[256], source[256];

        snprintf(metadata, sizeof metadata, "{\"tags\":[\"%s\"]}", rows[i].tag);
        assert_refused(metadata, "", rows[i].why);
        if (rows[i].tag[9] == '\0')
            continue;
        snprintf(source, sizeof source, "1\n# cellwall: %s", rows[i].tag + 9);
        assert_refused("{}", source, strchr(rows[i].why, '"') ? "comment" : rows[i].why);
    }
}

static void
test_metadata_that_is_invalid_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"cellwall\":3}", "", "metadata.cellwall: expected an object");
    assert_refused("{\"cellwall\":{\"rtoll\":1}}", "", "metadata.cellwall: rtoll: there");
    assert_refused("{\"cellwall\":{\"types\":{\"image/png\":{\"rms\":true}}}}", "",
                   "types.image/png: rms: it must be a number");
}

static void
test_long_and_strange_words_do_no_harm(void **state)
{
    char source[2048] = "# cellwall: ", metadata[2048] = "{\"tags\":[\"cellwall-";
    CLEANUP(said_fini) struct said said = { 0 };

    (void)state;
    memset(source + strlen(source), 'x', 1000);
    assert_refused("{}", source, "too long");
    memset(metadata + strlen(metadata), 'x', 1000);
    strcat(metadata, "\",\"a\\u0000b\"]}");
    said = say(metadata, "#"); /* a tag of that length is somebody else's */
    assert_refused("{\"tags\":[\"cellwall-\\u001b[31m\"]}", "", "cellwall-?[31m");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cell_that_says_nothing_has_no_directives),
        cmocka_unit_test(test_nbvals_comments_are_whole_lines_of_comment),
        cmocka_unit_test(test_nbvals_and_nbclients_tags),
        cmocka_unit_test(test_nbvals_other_comments_skip_and_expect_exceptions),
        cmocka_unit_test(test_a_comment_beats_a_tag_and_a_contradiction_is_noted),
        cmocka_unit_test(test_of_two_marks_in_one_place_the_last_counts),
        cmocka_unit_test(test_what_is_said_twice_is_no_contradiction),
        cmocka_unit_test(test_tags_that_are_no_list_are_noted),
        cmocka_unit_test(test_our_tags_and_comments_say_the_same),
        cmocka_unit_test(test_comments_look_as_in_the_cells_language),
        cmocka_unit_test(test_only_some_types_count_and_keep_their_settings),
        cmocka_unit_test(test_metadata_has_any_setting_and_marks_go_first),
        cmocka_unit_test(test_ours_that_are_not_known_or_invalid_are_refused),
        cmocka_unit_test(test_metadata_that_is_invalid_is_refused),
        cmocka_unit_test(test_long_and_strange_words_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

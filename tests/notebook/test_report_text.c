/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/cli/screen.h"
#include "protocol/cleanup.h"

#define ROOM ((size_t)64 * 1024 * 1024)
#define ESC "\x1b"

struct fixture {
    struct screen screen;
    void *report;
    struct buffer written[SCREEN_STREAMS];
};

static int
keep(enum screen_stream stream, struct slice text, void *arg)
{
    struct fixture *f = arg;

    return buffer_append(&f->written[stream], text.data, text.length);
}

/* COLUMNS: of a terminal, 0: a pipe. */
static void
begin_verbosely(struct fixture *f, unsigned columns, bool colours, bool verbose)
{
    const struct screen_options screen = {
        .is_terminal = { columns > 0, columns > 0 },
        .can_move = columns > 0,
        .colours = colours,
        .columns = columns,
        .rows = 40,
        .write = keep,
        .arg = f,
    };
    const struct report_options options = { .screen = &f->screen, .verbose = verbose };

    for (int i = 0; i < SCREEN_STREAMS; i++)
        buffer_init(&f->written[i], ROOM);
    screen_init(&f->screen, &screen);
    assert_int_equal(report_text.create(&f->report, &options), 0);
}

static void
begin(struct fixture *f, unsigned columns, bool colours)
{
    begin_verbosely(f, columns, colours, false);
}

static void
end(struct fixture *f)
{
    report_text.destroy(f->report);
    screen_fini(&f->screen);
    for (int i = 0; i < SCREEN_STREAMS; i++)
        buffer_fini(&f->written[i]);
}

static void
tell_object(struct fixture *f, json_t *object)
{
    assert_non_null(object);
    assert_int_equal(report_text.event(f->report, object), 0);
    json_decref(object);
}

static void
tell(struct fixture *f, const char *event)
{
    tell_object(f, json_loads(event, JSON_ALLOW_NUL, NULL));
}

/* What went to STREAM since the last time, until more goes there. */
static const char *
written(struct fixture *f, enum screen_stream stream)
{
    assert_int_equal(buffer_append(&f->written[stream], "", 1), 0);
    f->written[stream].length = 0;
    return (char *)f->written[stream].data;
}

static void
assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void
assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("\"%s\" is in:\n%s", part, text);
}

/* A failed cell with one difference, and the end, which shows it. */
static const char *
show_difference(struct fixture *f, const char *difference)
{
    CLEANUP(freep) char *cell = NULL;

    assert_true(asprintf(&cell,
                         "{\"event\": \"cell\", \"path\": \"a.ipynb\", \"cell\": 3,"
                         "\"line\": 120, \"status\": \"failed\", \"source\": \"x\\ny\","
                         "\"reason\": {\"kind\": \"differs\", \"text\": \"It differs.\"},"
                         "\"differences\": [%s]}",
                         difference) > 0);
    tell(f, cell);
    tell(f, "{\"event\": \"end\", \"status\": \"failed\"}");
    return written(f, SCREEN_OUT);
}

static void
test_each_notebook_has_an_aligned_line_and_the_end_sums_up(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 0, true);
    tell(&f, "{\"event\": \"begin\", \"jobs\": 2, \"notebooks\":"
             "[{\"path\": \"books/a.ipynb\"}, {\"path\": \"books/longer_name.ipynb\"}]}");
    tell(&f, "{\"event\": \"notebook\", \"path\": \"books/a.ipynb\", \"seconds\": 0.412,"
             "\"status\": \"passed\", \"counts\": {\"passed\": 12}}");
    tell(&f, "{\"event\": \"notebook\", \"path\": \"books/longer_name.ipynb\","
             "\"status\": \"failed\", \"seconds\": 83.2, \"pending\": \"p.ipynb\","
             "\"counts\": {\"passed\": 3, \"failed\": 1, \"not_run\": 2},"
             "\"notes\": [\"Something.\"], \"recorded\": 1}");
    tell(&f, "{\"event\": \"end\", \"status\": \"failed\", \"seconds\": 3.2,"
             "\"notebooks\": {\"failed\": 1, \"passed\": 1},"
             "\"cells\": {\"failed\": 1, \"passed\": 15, \"not_run\": 2},"
             "\"accept\": \"cellwall test --accept books\"}");
    assert_string_equal(
        written(&f, SCREEN_OUT),
        "2 notebooks, 2 at a time\n"
        "passed   books/a.ipynb             12 cells     0.41 s\n"
        "FAILED   books/longer_name.ipynb    6 cells       83 s   1 failed, 2 not run, "
        "1 cell recorded\n"
        "    note: Something.\n"
        "    recorded in p.ipynb\n"
        "\n"
        "1 notebook failed, 1 passed; 1 cell failed, 15 passed, 2 not run in 3.20 s\n"
        "To accept what was recorded: cellwall test --accept books\n");
    assert_string_equal(written(&f, SCREEN_ERR), "");
    end(&f);
}

static void
test_a_failed_cell_is_shown_with_its_source_and_its_diff(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 0, true);
    assert_string_equal(
        show_difference(
            &f, "{\"type\": \"stdout\", \"message\": \"Line 2 differs.\","
                "\"lines\": [[\"=\", \"a\"], [\"-\", \"b\"], [\"-\", \"c\"],"
                "[\"+\", \"B\"], [\".\", \"9 lines\"]],"
                "\"numbers\": [{\"expected\": 1.5, \"actual\": 1.25, \"distance\": 0.25,"
                "\"relative\": 0.16666}]}"),
        "\n"
        "a.ipynb, cell 3 (line 120)\n"
        "  It differs.\n"
        "\n"
        "      1 | x\n"
        "      2 | y\n"
        "\n"
        "  stdout: Line 2 differs.\n"
        "      a\n"
        "    - b\n"
        "    - c\n"
        "    + B\n"
        "      ... 9 lines\n"
        "    expected    actual    distance    relative\n"
        "         1.5      1.25        0.25       0.167\n"
        "\n"
        "no notebook was run in 0.00 s\n");
    end(&f);
}

static void
test_a_terminal_shows_what_has_changed_within_a_line(void **state)
{
    struct fixture f;
    const char *text;

    (void)state;
    begin(&f, 100, true);
    text =
        show_difference(&f, "{\"type\": \"stdout\", \"lines\":"
                            "[[\"-\", \"mean 1.25 of 9\"], [\"+\", \"mean 1.5 of 9\"]]}");
    assert_has(text, ESC "[31mmean " ESC "[0m" ESC "[1;7;31m1.25" ESC "[0m" ESC
                         "[31m of 9" ESC "[0m\n");
    assert_has(text, ESC "[32mmean " ESC "[0m" ESC "[1;7;32m1.5" ESC "[0m");
    end(&f);
}

static void
test_a_wide_terminal_shows_both_sides_in_one_row(void **state)
{
    char long_line[161], event[512];
    struct fixture f;
    const char *text;

    (void)state;
    begin(&f, 140, false);
    memset(long_line, 'x', sizeof long_line - 1);
    long_line[sizeof long_line - 1] = '\0';
    snprintf(event, sizeof event,
             "{\"type\": \"stdout\", \"lines\": [[\"-\", \"left\"], [\"+\", \"right\"],"
             "[\"+\", \"%s\"]]}",
             long_line);
    text = show_difference(&f, event);
    assert_has(text, "    - left                                        "
                     "                     | + right\n");
    for (const char *line = text, *next; *line != '\0'; line = next) {
        next = strchr(line, '\n') + 1;
        assert_true(next - line <= 141);
    }
    end(&f);
}

static void
test_a_pipe_gets_no_escape_sequence_and_no_status(void **state)
{
    struct fixture f;
    const char *text;

    (void)state;
    begin(&f, 0, true);
    tell(&f, "{\"event\": \"progress\", \"done\": 0.5, \"running\":"
             "[{\"path\": \"a.ipynb\", \"cell\": 1, \"cells\": 2}]}");
    text = show_difference(&f, "{\"type\": \"stdout\", \"message\": \"\\u001b[31mred\","
                               "\"lines\": [[\"-\", \"\\u001b[2J\"], [\"+\", \"b\"]]}");
    assert_has_not(text, ESC);
    assert_has(text, "    - \xe2\x90\x9b[2J\n");
    assert_string_equal(written(&f, SCREEN_ERR), "");
    end(&f);
}

static void
test_no_text_of_a_notebook_commands_the_terminal(void **state)
{
    struct fixture f;
    const char *text;

    (void)state;
    begin(&f, 100, true);
    tell(&f,
         "{\"event\": \"begin\", \"notebooks\": [{\"path\": \"\\u001b]0;t\\u0007\"}]}");
    tell(&f,
         "{\"event\": \"cell\", \"path\": \"\\u001b]0;t\\u0007\", \"status\": \"error\","
         "\"source\": \"\\u001b[2J\\u009b2J\\rhidden\","
         "\"traceback\": [\"\\u001b[31mred\\u001b[0m\\u001b]52;c;x\\u0007\\rover\"],"
         "\"stderr_tail\": \"\\u001bPq\\u001b\\\\last\\b\\b\","
         "\"reason\": {\"kind\": \"raised\\u0007\", \"text\": \"\\u001b[2Jtext\"},"
         "\"differences\": [{\"type\": \"\\u001bc\", \"message\": \"\\u001b[2J\","
         "\"lines\": [[\"-\", \"a\\rb\\u202e\"]],"
         "\"image\": {\"difference\": \"\\u001b[2J\"},"
         "\"numbers\": [{\"expected\": \"\\u001b[2J\"}],"
         "\"rules\": [{\"pattern\": \"\\u001b[2J\"}]}]}");
    tell(&f,
         "{\"event\": \"notebook\", \"path\": \"\\u001b[2J\", \"status\": \"\\u001b[2J\","
         "\"notes\": [\"\\u001b[2J\\nx\"], \"pending\": \"\\u001b[2J\","
         "\"reason\": {\"text\": \"\\u001b[2J\"}}");
    tell(&f,
         "{\"event\": \"end\", \"status\": \"\\u001b[2J\", \"accept\": \"\\u001b[2J\"}");
    text = written(&f, SCREEN_OUT);
    assert_has_not(text, ESC "[2J");
    assert_has_not(text, ESC "]");
    assert_has_not(text, ESC "P");
    assert_has_not(text, ESC "c");
    assert_has_not(text, "\xc2\x9b");
    assert_has_not(text, "\r");
    assert_has_not(text, "\b");
    assert_has_not(text, "\a");
    assert_has_not(text, (const char[]){ '\xe2', '\x80', '\xae', '\0' });
    assert_has(text, ESC "[31mred" ESC "[0mover");
    assert_has(text, "a\xe2\x90\x8d"
                     "b<U+202E>");
    end(&f);
}

static void
test_progress_is_one_line_of_ascii_that_goes_with_the_end(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 100, false);
    tell(&f,
         "{\"event\": \"progress\", \"done\": 0.5, \"left_seconds\": 12.3, \"running\":"
         "[{\"path\": \"books/\xc3\xa9t\xc3\xa9.ipynb\", \"cell\": 3, \"cells\": 12},"
         "{\"path\": \"\\u001b[2J\\n\"}]}");
    assert_string_equal(
        written(&f, SCREEN_ERR),
        "\r[##########----------]  50 %, 13 s left  ?t?.ipynb 3/12, ?[2J?" ESC "[K");
    tell(&f, "{\"event\": \"notebook\", \"path\": \"b\", \"status\": \"passed\"}");
    assert_has(written(&f, SCREEN_ERR), "\r[####");
    tell(&f, "{\"event\": \"progress\", \"done\": 1e300, \"left_seconds\": -1}");
    assert_string_equal(written(&f, SCREEN_ERR),
                        "\r[####################] 100 %" ESC "[K");
    tell(&f, "{\"event\": \"end\", \"status\": \"passed\"}");
    assert_string_equal(written(&f, SCREEN_ERR), "\r" ESC "[K");
    end(&f);
}

static void
test_pictures_are_told_by_size_distance_and_files(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 0, false);
    assert_has(
        show_difference(&f, "{\"type\": \"image/png\", \"output\": 1, \"message\": \"m\","
                            "\"expected\": \"iVBOR\", \"image\": {"
                            "\"expected_size\": [640, 480], \"actual_size\": null,"
                            "\"rms\": 12.34, \"rms_limit\": 2, \"share\": 0.0312,"
                            "\"share_limit\": 0.001, \"difference\": \"/x/d.png\"}}"),
        "  image/png, output 1: m\n"
        "    size in pixels: expected 640 x 480, actual unknown\n"
        "    RMS of the samples' difference: 12.34, at most 2\n"
        "    pixels that differ visibly: 3.12 %, at most 0.1 %\n"
        "    difference: /x/d.png\n");
    end(&f);
}

static void
test_rules_are_proposed_as_json_to_paste(void **state)
{
    struct fixture f;
    const char *text, *begun;
    char *pasted;
    json_t *tree;

    (void)state;
    begin(&f, 0, false);
    text = show_difference(&f, "{\"type\": \"stdout\", \"rules\": ["
                               "{\"pattern\": \"\\\\d+ \\\"s\\\"\", \"replace\": \"N\"},"
                               "{\"pattern\": \"\\u00e9\\u001b\", \"replace\": \"\"}]}");
    begun = strstr(text, "\"sanitize\"");
    assert_non_null(begun);
    assert_true(
        asprintf(&pasted, "{%.*s}", (int)(strrchr(begun, ']') + 1 - begun), begun) > 0);
    tree = json_loads(pasted, 0, NULL);
    assert_non_null(tree);
    assert_string_equal(
        json_string_value(json_object_get(
            json_array_get(json_object_get(tree, "sanitize"), 0), "pattern")),
        "\\d+ \"s\"");
    assert_string_equal(
        json_string_value(json_object_get(
            json_array_get(json_object_get(tree, "sanitize"), 1), "pattern")),
        "\xc3\xa9\x1b");
    json_decref(tree);
    free(pasted);
    end(&f);
}

static void
test_what_passed_is_told_only_on_demand(void **state)
{
    static const char cell[] = "{\"event\": \"cell\", \"path\": \"a\", \"cell\": 1,"
                               "\"status\": \"passed\", \"seconds\": 0.5}";
    static const char notebook[] = "{\"event\": \"notebook\", \"path\": \"a\","
                                   "\"status\": \"passed\"}";
    struct fixture f;

    (void)state;
    begin(&f, 0, false);
    tell(&f, cell);
    tell(&f, notebook);
    assert_has_not(written(&f, SCREEN_OUT), "cell 1");
    end(&f);
    begin_verbosely(&f, 0, false, true);
    tell(&f, cell);
    tell(&f, notebook);
    assert_has(written(&f, SCREEN_OUT), "    passed   cell 1, 0.50 s\n");
    end(&f);
}

static void
test_a_diff_does_not_speak_of_failures(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 0, false);
    tell(&f, "{\"event\": \"begin\", \"mode\": \"diff\", \"notebooks\": [{}, {}]}");
    tell(&f, "{\"event\": \"notebook\", \"path\": \"a\", \"status\": \"failed\"}");
    tell(&f, "{\"event\": \"notebook\", \"path\": \"b\", \"status\": \"passed\"}");
    tell(&f, "{\"event\": \"end\", \"status\": \"failed\", \"seconds\": 0.1,"
             "\"notebooks\": {\"failed\": 1, \"passed\": 1},"
             "\"cells\": {\"failed\": 2, \"passed\": 7}}");
    assert_string_equal(
        written(&f, SCREEN_OUT),
        "2 notebooks\n"
        "differs  a                       0 cells     0.00 s\n"
        "same     b                       0 cells     0.00 s\n"
        "\n"
        "1 notebook differs, 1 is the same; 2 cells differ, 7 are the same in 0.10 s\n");
    end(&f);
}

static void
test_cells_that_are_listed_have_the_name_that_acceptance_takes(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 0, false);
    tell(&f, "{\"event\": \"cell\", \"path\": \"a.ipynb\", \"cell\": 3,"
             "\"status\": \"listed\", \"source\": \"\\nimport x\\ny\"}");
    assert_string_equal(written(&f, SCREEN_OUT), "a.ipynb:3  import x\n");
    end(&f);
}

static void
test_events_of_any_shape_are_taken(void **state)
{
    static const char *const types[] = { "begin",    "notebook_begin", "cell",
                                         "progress", "notebook",       "end",
                                         "news" };
    static const char *const members[] = {
        "path",        "cell",      "line",         "status",   "source",  "reason",
        "traceback",   "seconds",   "counts",       "notes",    "pending", "recorded",
        "differences", "notebooks", "running",      "done",     "accept",  "stderr_tail",
        "cells",       "jobs",      "left_seconds", "expected", "lines",   "numbers",
        "image",       "rules",     "output",
    };
    static const char *const values[] = {
        "null",
        "true",
        "-1",
        "1e308",
        "\"\"",
        "\"failed\"",
        "[]",
        "{}",
        "[null, 1, \"x\"]",
        "[[], {}, [1, 2], [\"-\"], [\"+\", null], [\"?\", \"x\"]]",
        ("[{\"lines\": [[\"-\", 1], 2], \"numbers\": [1, {}], \"image\": {\"rms\": "
         "\"x\"},"
         "\"rules\": [null]}, 3, null]"),
        "{\"a\": {\"b\": []}, \"passed\": -4, \"failed\": \"x\"}",
    };
    struct fixture f;

    (void)state;
    begin_verbosely(&f, 150, true, true);
    tell(&f, "[]");
    tell(&f, "{}");
    for (size_t type = 0; type < N_ELEMENTS(types); type++) {
        for (size_t value = 0; value < N_ELEMENTS(values); value++) {
            json_t *all = json_object();

            for (size_t i = 0; i < N_ELEMENTS(members); i++) {
                json_t *one =
                    json_pack("{ss ss}", "event", types[type], "status", "failed");

                json_object_set_new(one, members[i],
                                    json_loads(values[value], JSON_DECODE_ANY, NULL));
                json_object_update(all, one);
                tell_object(&f, one);
            }
            tell_object(&f, all);
        }
    }
    assert_has(written(&f, SCREEN_OUT), "FAILED");
    end(&f);
}

static void
test_giant_texts_are_cut(void **state)
{
    const size_t length = (size_t)4 * 1024 * 1024;
    char *giant = malloc(length + 1);
    struct fixture f;

    (void)state;
    assert_non_null(giant);
    memset(giant, 'x', length);
    giant[length] = '\0';
    begin(&f, 150, true);
    for (int i = 0; i < 2; i++) {
        json_t *lines = json_array();

        for (int line = 0; line < 12000; line++)
            json_array_append_new(lines, json_pack("[ss]", line % 2 ? "+" : "-", "y"));
        json_array_insert_new(lines, 0, json_pack("[ss]", "-", giant));
        json_array_insert_new(lines, 1, json_pack("[ss]", "+", giant));
        tell_object(&f, json_pack("{ss ss ss ss s[s] ss s{ss} s[{ss ss so}]}", "event",
                                  "cell", "status", "failed", "path", giant, "source",
                                  giant, "traceback", giant, "stderr_tail", giant,
                                  "reason", "text", giant, "differences", "message",
                                  giant, "type", giant, "lines", lines));
    }
    tell(&f, "{\"event\": \"end\", \"status\": \"failed\"}");
    assert_true(f.written[SCREEN_OUT].length > 1000);
    assert_true(f.written[SCREEN_OUT].length < (size_t)3 * 1024 * 1024);
    end(&f);
    free(giant);
}

static void
test_more_failures_than_anybody_reads_are_counted(void **state)
{
    const size_t length = (size_t)60 * 1024;
    char *large = malloc(length + 1);
    struct fixture f;
    const char *text;

    (void)state;
    assert_non_null(large);
    memset(large, 'x', length);
    large[length] = '\0';
    begin(&f, 0, false);
    for (int i = 0; i < 100; i++)
        tell_object(&f, json_pack("{ss ss ss s[s]}", "event", "cell", "status", "failed",
                                  "stderr_tail", large, "traceback", large));
    tell(&f, "{\"event\": \"end\", \"status\": \"failed\"}");
    text = written(&f, SCREEN_OUT);
    assert_has(text, "more failed cells are not shown here");
    assert_true(strlen(text) > (size_t)7 * 1024 * 1024);
    assert_true(strlen(text) < (size_t)9 * 1024 * 1024);
    end(&f);
    free(large);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_notebook_has_an_aligned_line_and_the_end_sums_up),
        cmocka_unit_test(test_a_failed_cell_is_shown_with_its_source_and_its_diff),
        cmocka_unit_test(test_a_terminal_shows_what_has_changed_within_a_line),
        cmocka_unit_test(test_a_wide_terminal_shows_both_sides_in_one_row),
        cmocka_unit_test(test_a_pipe_gets_no_escape_sequence_and_no_status),
        cmocka_unit_test(test_no_text_of_a_notebook_commands_the_terminal),
        cmocka_unit_test(test_progress_is_one_line_of_ascii_that_goes_with_the_end),
        cmocka_unit_test(test_pictures_are_told_by_size_distance_and_files),
        cmocka_unit_test(test_rules_are_proposed_as_json_to_paste),
        cmocka_unit_test(test_what_passed_is_told_only_on_demand),
        cmocka_unit_test(test_a_diff_does_not_speak_of_failures),
        cmocka_unit_test(test_cells_that_are_listed_have_the_name_that_acceptance_takes),
        cmocka_unit_test(test_events_of_any_shape_are_taken),
        cmocka_unit_test(test_giant_texts_are_cut),
        cmocka_unit_test(test_more_failures_than_anybody_reads_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

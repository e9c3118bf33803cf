/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/project.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/error.h"
#include "protocol/tree.h"
#include "tests/notebook/place.h"

struct fixture {
    struct place place;
    struct project *project; /* owned */
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    place_init(&f->place);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    project_destroy(f->project);
    place_fini(&f->place);
    free(f);
    return 0;
}

static void
configure(struct fixture *f, const char *text)
{
    struct error err = { 0 };

    place_put(&f->place, PROJECT_FILE, text);
    if (project_read(&f->project, place_path(&f->place, PROJECT_FILE), &err) != 0)
        fail_msg("%s", err.text);
}

static void
assert_refused(struct fixture *f, const char *text, const char *why)
{
    struct error err = { 0 };

    place_put(&f->place, PROJECT_FILE, text);
    assert_int_equal(project_read(&f->project, place_path(&f->place, PROJECT_FILE), &err),
                     PROJECT_E_INVALID);
    if (strstr(err.text, why) == NULL)
        fail_msg("\"%s\" is not in: %s", why, err.text);
    assert_non_null(strstr(err.text, PROJECT_FILE));
}

static void
assert_settings(const struct fixture *f, const char *name, const char *expected)
{
    CLEANUP(tree_decrefp)
    json_t *settings = project_settings(f->project, place_path(&f->place, name));
    CLEANUP(tree_decrefp) json_t *tree = json_loads(expected, 0, NULL);

    assert_non_null(settings);
    assert_non_null(tree);
    if (!json_equal(settings, tree)) {
        CLEANUP(freep) char *got = json_dumps(settings, JSON_COMPACT);

        fail_msg("got %s", got != NULL ? got : "nothing");
    }
}

static bool
excludes(const struct fixture *f, const char *name)
{
    return project_excludes(f->project, place_path(&f->place, name));
}

static void
test_without_a_file_nothing_is_said(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(project_read(&f->project, NULL, NULL), 0);
    assert_settings(f, "a.ipynb", "{}");
    assert_false(excludes(f, "a.ipynb"));
}

static void
test_all_members_are_taken(void **state)
{
    struct fixture *f = *state;

    configure(f,
              "{\"compare\":\"marked\",\"exclude\":[\"old/*\"],\"language\":\"python\","
              "\"cell_timeout\":30,\"notebook_timeout\":0.5,\"network\":\"host\","
              "\"limits\":\"memory=2G,time=30\",\"types\":{\"stderr\":\"ignore\"},"
              "\"sanitize\":[],\"normalise\":{},\"decide\":\"all\",\"rtol\":1,"
              "\"atol\":1,\"rms\":1,\"pixels\":1,\"whitespace\":\"exact\","
              "\"ignore\":[],\"notebooks\":{}}");
    assert_settings(f, "a.ipynb",
                    "{\"compare\":\"marked\",\"language\":\"python\",\"cell_timeout\":30,"
                    "\"notebook_timeout\":0.5,\"network\":\"host\","
                    "\"limits\":\"memory=2G,time=30\",\"types\":{\"stderr\":\"ignore\"},"
                    "\"sanitize\":[],\"normalise\":{},\"decide\":\"all\",\"rtol\":1,"
                    "\"atol\":1,\"rms\":1,\"pixels\":1,\"whitespace\":\"exact\","
                    "\"ignore\":[]}");
}

static void
test_what_is_invalid_is_refused_by_file_and_member(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "[]", "expected an object, got an array" },
        { "{\"compare\":\"all\"", PROJECT_FILE ": " },
        { "{\"timeout\":3}", "timeout: there is no such member" },
        { "{\"compare\":\"some\"}", "compare: it must be \"all\"" },
        { "{\"compare\":true}", "compare: it must be \"all\"" },
        { "{\"network\":\"on\"}", "network: it must be \"none\" or \"host\"" },
        { "{\"cell_timeout\":0}", "cell_timeout: it must be a number of seconds" },
        { "{\"cell_timeout\":\"3\"}", "cell_timeout: it must be a number of seconds" },
        { "{\"notebook_timeout\":1e7}", "notebook_timeout: it must be a number" },
        { "{\"language\":\"\"}", "language: it must be the name of a language" },
        { "{\"limits\":{}}", "limits: it must be a string" },
        { "{\"limits\":\"memory=lots\"}", PROJECT_FILE ": limits: " },
        { "{\"exclude\":\"a\"}", "exclude: it must be an array" },
        { "{\"exclude\":[3]}", "exclude: it must be an array of patterns" },
        { "{\"exclude\":[\"/abs\"]}", "exclude: it must be an array of patterns" },
        { "{\"rtol\":\"x\"}", "rtol: it must be a number" },
        { "{\"types\":{\"a/b\":\"x\"}}", "types.a/b: there is no policy" },
        { "{\"notebooks\":[]}", "notebooks: it must be an object" },
        { "{\"notebooks\":{\"/a\":{}}}", "notebooks: \"/a\" is no pattern" },
        { "{\"notebooks\":{\"a*\":3}}", "notebooks.a*: it must be an object" },
        { "{\"notebooks\":{\"a*\":{\"exclude\":[]}}}",
          "notebooks.a*: exclude: it is for" },
        { "{\"notebooks\":{\"a*\":{\"notebooks\":{}}}}",
          "notebooks: it is for the whole" },
        { "{\"notebooks\":{\"a*\":{\"rms\":-1}}}", "notebooks.a*: rms: it must be" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_refused(*state, rows[i].text, rows[i].why);
}

static void
test_a_file_that_is_missing_or_too_large_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    CLEANUP(freep) char *text = malloc(PROJECT_BYTES_MAX + 2);

    assert_int_equal(project_read(&f->project, place_path(&f->place, "none.json"), &err),
                     PROJECT_E_INVALID);
    assert_non_null(strstr(err.text, "none.json"));
    assert_non_null(text);
    memset(text, ' ', PROJECT_BYTES_MAX + 1);
    text[PROJECT_BYTES_MAX + 1] = '\0';
    assert_refused(f, text, "larger than");
}

static void
test_patterns_are_of_paths_relative_to_the_file(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool matches;
    } rows[] = {
        { "a.ipynb", "a.ipynb", true },
        { "a.ipynb", "n/a.ipynb", false },
        { "*.ipynb", "n/m/a.ipynb", true },
        { "n/*", "n/m/a.ipynb", true },
        { "n", "n/m/a.ipynb", true },
        { "n/", "n/m/a.ipynb", true },
        { "n", "nn/a.ipynb", false },
        { "**/a.ipynb", "a.ipynb", true },
        { "**/a.ipynb", "n/m/a.ipynb", true },
        { "n/?.ipynb", "n/a.ipynb", true },
        { "n/?.ipynb", "n/\xc3\xa9.ipynb", true },
        { "n/?.ipynb", "n/ab.ipynb", false },
        { "[a-c]*", "b1.ipynb", true },
        { "[!a-c]*", "b1.ipynb", false },
        { "[^a-c]*", "d1.ipynb", true },
        { "[]x].ipynb", "].ipynb", true },
        { "[a.ipynb", "[a.ipynb", true },
        { "\\*.ipynb", "*.ipynb", true },
        { "\\*.ipynb", "a.ipynb", false },
        { "*a*b*", "xxaxxb.ipynb", true },
        { "*b*a*c", "xxaxxb.ipynb", false },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256], *out = text + sprintf(text, "{\"exclude\":[\"");

        for (const char *c = rows[i].pattern; *c != '\0'; c++) {
            if (*c == '\\')
                *out++ = '\\';
            *out++ = *c;
        }
        strcpy(out, "\"]}");
        configure(f, text);
        if (excludes(f, rows[i].path) != rows[i].matches)
            fail_msg("%s and %s", rows[i].pattern, rows[i].path);
        project_destroy(f->project);
        f->project = NULL;
    }
}

static void
test_a_pattern_of_many_stars_takes_no_time(void **state)
{
    struct fixture *f = *state;
    char text[2048] = "{\"exclude\":[\"", path[1024] = "n/";

    for (int i = 0; i < 300; i++)
        strcat(text, "*a");
    strcat(text, "*b\"]}");
    memset(path + 2, 'a', 250);
    configure(f, text);
    assert_false(excludes(f, path));
}

static void
test_paths_elsewhere_match_nothing(void **state)
{
    struct fixture *f = *state;

    configure(f, "{\"exclude\":[\"*\"],\"notebooks\":{\"*\":{\"rtol\":1}}}");
    assert_true(excludes(f, "a.ipynb"));
    assert_false(project_excludes(f->project, "/a.ipynb"));
    assert_false(project_excludes(f->project, f->place.path));
    assert_settings(f, "a.ipynb", "{\"rtol\":1}");
}

static void
test_a_project_behind_a_link_has_both_paths(void **state)
{
    struct fixture *f = *state;
    char path[2 * PATH_MAX];

    place_put(&f->place, "real/" PROJECT_FILE, "{\"exclude\":[\"n/*\"]}");
    assert_int_equal(symlink("real", place_path(&f->place, "link")), 0);
    snprintf(path, sizeof path, "%s/link/" PROJECT_FILE, f->place.path);
    assert_int_equal(project_read(&f->project, path, NULL), 0);
    assert_true(excludes(f, "link/n/a.ipynb"));
    assert_true(excludes(f, "real/n/a.ipynb"));
    assert_false(excludes(f, "n/a.ipynb"));
}

static void
test_a_relative_path_of_the_file_counts_from_here(void **state)
{
    struct fixture *f = *state;
    char before[PATH_MAX];

    place_put(&f->place, "n/" PROJECT_FILE, "{\"exclude\":[\"a*\"]}");
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(place_path(&f->place, "n")), 0);
    assert_int_equal(project_read(&f->project, PROJECT_FILE, NULL), 0);
    assert_int_equal(chdir(before), 0);
    assert_true(excludes(f, "n/a.ipynb"));
}

static void
test_settings_of_notebooks_merge_in_their_order(void **state)
{
    struct fixture *f = *state;

    configure(f, "{\"compare\":\"all\",\"rtol\":1,\"types\":{\"stderr\":\"ignore\"},"
                 "\"notebooks\":{\"n/*\":{\"rtol\":2,\"types\":{\"a/b\":\"exact\"}},"
                 "\"*b.ipynb\":{\"rtol\":3,\"compare\":\"none\"},"
                 "\"other\":{\"rtol\":4}}}");
    assert_settings(f, "a.ipynb",
                    "{\"compare\":\"all\",\"rtol\":1,\"types\":{\"stderr\":\"ignore\"}}");
    assert_settings(f, "n/b.ipynb",
                    "{\"compare\":\"none\",\"rtol\":3,"
                    "\"types\":{\"stderr\":\"ignore\",\"a/b\":\"exact\"}}");
    assert_settings(f, "a.ipynb",
                    "{\"compare\":\"all\",\"rtol\":1,\"types\":{\"stderr\":\"ignore\"}}");
}

static void
test_the_nearest_file_is_located_but_not_above_the_repository(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];

    place_put(&f->place, PROJECT_FILE, "{}");
    place_put(&f->place, "a/b/c.txt", "");
    place_put(&f->place, "a/own/" PROJECT_FILE, "{}");
    place_put(&f->place, "a/repository/.git/config", "");
    place_put(&f->place, "a/repository/n/x", "");
    place_put(&f->place, "a/" PROJECT_FILE "/x", ""); /* a folder */
    assert_true(project_locate(place_path(&f->place, "a/b"), path, sizeof path));
    assert_string_equal(path, place_path(&f->place, PROJECT_FILE));
    assert_true(project_locate(place_path(&f->place, "a/own/"), path, sizeof path));
    assert_string_equal(path, place_path(&f->place, "a/own/" PROJECT_FILE));
    assert_false(
        project_locate(place_path(&f->place, "a/repository/n"), path, sizeof path));
    place_put(&f->place, "a/repository/" PROJECT_FILE, "{}");
    assert_true(
        project_locate(place_path(&f->place, "a/repository/n"), path, sizeof path));
    assert_false(project_locate(place_path(&f->place, "a/b"), path, 10));
    assert_false(project_locate("relative", path, sizeof path));
}

/* What a sanitize file of TEXT adds. NULL: it is refused for the reason WHY. */
static void
assert_rules(struct fixture *f, const char *text, const char *rules, const char *why)
{
    CLEANUP(tree_decrefp) json_t *settings = json_loads("{\"rtol\":1}", 0, NULL);
    CLEANUP(tree_decrefp) json_t *expected = NULL;
    struct error err = { 0 };
    int r;

    place_put(&f->place, "sanitize.cfg", text);
    r = project_add_sanitize_file(settings, place_path(&f->place, "sanitize.cfg"), &err);
    if (rules == NULL) {
        assert_int_equal(r, PROJECT_E_INVALID);
        assert_non_null(strstr(err.text, "sanitize.cfg: "));
        if (strstr(err.text, why) == NULL)
            fail_msg("\"%s\" is not in: %s", why, err.text);
        return;
    }
    assert_int_equal(r, 0);
    expected = json_loads(rules, 0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(json_object_get(settings, "sanitize"), expected));
}

static void
test_nbvals_sanitize_files_are_read(void **state)
{
    assert_rules(*state, "", "[]", NULL);
    assert_rules(*state,
                 "# a comment\n[section]\nregex: \\d+ ms\nreplace: MS\n\n"
                 "[other]\r\nregex:  (a)=b: c\r\nreplace: \r\nnotes: x\n"
                 "regex: last\nreplace: \\1",
                 "[{\"pattern\":\"\\\\d+ ms\",\"replace\":\"MS\"},"
                 "{\"pattern\":\" (a)=b: c\",\"replace\":\"\"},"
                 "{\"pattern\":\"last\",\"replace\":\"\\\\1\"}]",
                 NULL);
}

static void
test_of_rules_with_the_same_pattern_the_last_counts(void **state)
{
    assert_rules(*state,
                 "regex: a\nreplace: 1\nregex: b\nreplace: 2\nregex: a\nreplace: 3\n",
                 "[{\"pattern\":\"a\",\"replace\":\"3\"},"
                 "{\"pattern\":\"b\",\"replace\":\"2\"}]",
                 NULL);
}

static void
test_half_a_rule_is_refused(void **state)
{
    assert_rules(*state, "\nregex: a\n\nreplace: b\n", NULL,
                 "line 2: a \"regex: \" line");
    assert_rules(*state, "regex: a", NULL, "line 1: a \"regex: \" line");
    assert_rules(*state, "[x]\nreplace: b\nregex: a\n", NULL, "line 2: a \"replace: \"");
    assert_rules(*state, "regex: \xff\nreplace: b\n", NULL, "not UTF-8");
}

static void
test_rules_of_a_file_come_behind_those_that_are_there(void **state)
{
    struct fixture *f = *state;
    CLEANUP(tree_decrefp)
    json_t *settings =
        json_loads("{\"sanitize\":[{\"pattern\":\"a\",\"replace\":\"1\"}]}", 0, NULL);
    CLEANUP(tree_decrefp)
    json_t *expected = json_loads("{\"sanitize\":[{\"pattern\":\"a\",\"replace\":\"1\"},"
                                  "{\"pattern\":\"a\",\"replace\":\"2\"}]}",
                                  0, NULL);

    place_put(&f->place, "s", "regex: a\nreplace: 2\n");
    assert_int_equal(
        project_add_sanitize_file(settings, place_path(&f->place, "s"), NULL), 0);
    assert_true(json_equal(settings, expected));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_file_nothing_is_said),
        TEST(test_all_members_are_taken),
        TEST(test_what_is_invalid_is_refused_by_file_and_member),
        TEST(test_a_file_that_is_missing_or_too_large_is_refused),
        TEST(test_patterns_are_of_paths_relative_to_the_file),
        TEST(test_a_pattern_of_many_stars_takes_no_time),
        TEST(test_paths_elsewhere_match_nothing),
        TEST(test_a_project_behind_a_link_has_both_paths),
        TEST(test_a_relative_path_of_the_file_counts_from_here),
        TEST(test_settings_of_notebooks_merge_in_their_order),
        TEST(test_the_nearest_file_is_located_but_not_above_the_repository),
        TEST(test_nbvals_sanitize_files_are_read),
        TEST(test_of_rules_with_the_same_pattern_the_last_counts),
        TEST(test_half_a_rule_is_refused),
        TEST(test_rules_of_a_file_come_behind_those_that_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

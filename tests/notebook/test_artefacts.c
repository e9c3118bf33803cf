/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/artefacts.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/cleanup.h"

struct fixture {
    char folder[64];
    char results[96];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    snprintf(f->folder, sizeof f->folder, "/tmp/test-artefacts-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->results, sizeof f->results, "%s/a/results", f->folder);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    snprintf(command, sizeof command, "rm -r '%s'", f->folder);
    assert_int_equal(system(command), 0); /* the name is ours */
    free(f);
    return 0;
}

static json_t *
picture(const char *mime, const char *expected, const char *difference)
{
    return json_pack("[{s:{s:s, s:s, s:n, s:s?}}]", "image", "mime", mime, "expected",
                     expected, "actual", "difference", difference);
}

static const char *
file_of(const json_t *differences, const char *role)
{
    const json_t *image = json_object_get(json_array_get(differences, 0), "image");

    return json_string_value(json_object_get(image, role));
}

static void
assert_holds(const char *path, const char *expected)
{
    char text[64] = "";
    FILE *file;

    assert_non_null(path);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text - 1, file), strlen(expected));
    fclose(file);
    assert_string_equal(text, expected);
}

static void
test_pictures_become_files_and_their_paths(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(artefacts_fini) struct artefacts artefacts;
    json_t *differences = picture("image/jpeg", "aGVs\nbG8=", "cmVk");

    assert_int_equal(artefacts_init(&artefacts, f->results, NULL), 0);
    assert_int_equal(artefacts_save(&artefacts, "sub/plot.ipynb", 3, differences), 0);
    assert_holds(file_of(differences, "expected"), "hello");
    assert_holds(file_of(differences, "difference"), "red");
    assert_null(file_of(differences, "actual"));
    assert_non_null(strstr(file_of(differences, "expected"),
                           "/sub-plot.ipynb-cell-3-0-expected.jpg"));
    assert_non_null(strstr(file_of(differences, "difference"), "-difference.png"));
    json_decref(differences);
}

static void
test_no_name_of_a_notebook_leads_out_of_the_folder(void **state)
{
    static const char *const names[] = { "../../../etc/x.ipynb", "/../x.ipynb", "./..",
                                         "a\n\x1b[31m/b c.ipynb" };
    const struct fixture *f = *state;
    CLEANUP(artefacts_fini) struct artefacts artefacts;
    char real[PATH_MAX];

    assert_int_equal(artefacts_init(&artefacts, f->results, NULL), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *differences = picture("image/png", "aGVsbG8=", NULL);

        assert_int_equal(artefacts_save(&artefacts, names[i], 0, differences), 0);
        assert_non_null(realpath(file_of(differences, "expected"), real));
        *strrchr(real, '/') = '\0';
        assert_string_equal(real, f->results);
        assert_null(strpbrk(file_of(differences, "expected"), "\n\x1b "));
        json_decref(differences);
    }
}

static void
test_a_long_path_is_cut(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(artefacts_fini) struct artefacts artefacts;
    json_t *differences = picture("image/png", "aGVsbG8=", NULL);
    char path[3000];

    assert_int_equal(artefacts_init(&artefacts, f->results, NULL), 0);
    memset(path, 'n', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(artefacts_save(&artefacts, path, 0, differences), 0);
    assert_holds(file_of(differences, "expected"), "hello");
    json_decref(differences);
}

static void
test_what_is_no_base64_is_left_out(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(artefacts_fini) struct artefacts artefacts;
    json_t *differences = picture("image/png", "not base64!", NULL);

    assert_int_equal(artefacts_init(&artefacts, f->results, NULL), 0);
    assert_int_equal(artefacts_save(&artefacts, "x.ipynb", 0, differences), 0);
    assert_null(file_of(differences, "expected"));
    json_decref(differences);
}

static void
test_a_link_in_the_folder_is_replaced_and_not_followed(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(artefacts_fini) struct artefacts artefacts;
    json_t *differences = picture("image/png", "aGVsbG8=", NULL);
    char target[128], path[PATH_MAX];
    FILE *file;

    assert_int_equal(artefacts_init(&artefacts, f->results, NULL), 0);
    assert_int_equal(artefacts_save(&artefacts, "x.ipynb", 0, differences), 0);
    snprintf(path, sizeof path, "%s", file_of(differences, "expected"));
    json_decref(differences);
    snprintf(target, sizeof target, "%s/target", f->folder);
    file = fopen(target, "w");
    assert_non_null(file);
    fputs("mine", file);
    fclose(file);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);

    differences = picture("image/png", "aGVsbG8=", NULL);
    assert_int_equal(artefacts_save(&artefacts, "x.ipynb", 0, differences), 0);
    assert_holds(path, "hello");
    assert_holds(target, "mine");
    json_decref(differences);
}

static void
test_a_folder_that_became_a_link_is_not_followed(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(artefacts_fini) struct artefacts artefacts;
    json_t *differences = picture("image/png", "aGVsbG8=", NULL);

    assert_int_equal(artefacts_init(&artefacts, f->results, NULL), 0);
    assert_int_equal(symlink(f->folder, f->results), 0);
    assert_int_equal(artefacts_save(&artefacts, "x.ipynb", 0, differences), 0);
    assert_null(file_of(differences, "expected"));
    json_decref(differences);
}

static void
test_pictures_stay_in_the_folder_that_was_there_first(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(artefacts_fini) struct artefacts artefacts;
    json_t *differences = picture("image/png", "aGVsbG8=", NULL);
    char moved[128], path[256];

    assert_int_equal(artefacts_init(&artefacts, f->results, NULL), 0);
    assert_int_equal(artefacts_save(&artefacts, "x.ipynb", 0, differences), 0);
    json_decref(differences);
    snprintf(moved, sizeof moved, "%s/moved", f->folder);
    assert_int_equal(rename(f->results, moved), 0);
    assert_int_equal(symlink(f->folder, f->results), 0);
    differences = picture("image/png", "aGVsbG8=", NULL);
    assert_int_equal(artefacts_save(&artefacts, "y.ipynb", 0, differences), 0);
    json_decref(differences);
    snprintf(path, sizeof path, "%s/y.ipynb-cell-0-0-expected.png", moved);
    assert_holds(path, "hello");
}

static void
test_no_more_files_than_the_bound(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(artefacts_fini) struct artefacts artefacts;
    json_t *differences = picture("image/png", "aGVsbG8=", NULL);

    assert_int_equal(artefacts_init(&artefacts, f->results, NULL), 0);
    artefacts.count = ARTEFACTS_MAX;
    assert_int_equal(artefacts_save(&artefacts, "x.ipynb", 0, differences), 0);
    assert_null(file_of(differences, "expected"));
    assert_int_equal(artefacts.count, ARTEFACTS_MAX);
    json_decref(differences);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_pictures_become_files_and_their_paths),
        TEST(test_no_name_of_a_notebook_leads_out_of_the_folder),
        TEST(test_a_long_path_is_cut),
        TEST(test_what_is_no_base64_is_left_out),
        TEST(test_a_link_in_the_folder_is_replaced_and_not_followed),
        TEST(test_a_folder_that_became_a_link_is_not_followed),
        TEST(test_pictures_stay_in_the_folder_that_was_there_first),
        TEST(test_no_more_files_than_the_bound),
    };

    return cmocka_run_group_tests_name("artefacts", tests, NULL, NULL);
}

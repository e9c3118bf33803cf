/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/find.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/notebook/place.h"

struct fixture {
    struct place place;
    struct found found;
    char before[PATH_MAX]; /* the working directory */
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    place_init(&f->place);
    assert_non_null(getcwd(f->before, sizeof f->before));
    assert_int_equal(chdir(f->place.path), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chdir(f->before), 0);
    found_fini(&f->found);
    place_fini(&f->place);
    free(f);
    return 0;
}

static void
put(struct fixture *f, const char *name)
{
    place_put(&f->place, name, "{}");
}

static void
find(struct fixture *f, const char *path)
{
    struct error err = { 0 };

    if (find_notebooks(&f->found, path, &err) != 0)
        fail_msg("%s", err.text);
}

static void
assert_fails(struct fixture *f, const char *path, const char *why)
{
    struct error err = { 0 };

    assert_int_equal(find_notebooks(&f->found, path, &err), FIND_E_FAILED);
    if (strstr(err.text, why) == NULL)
        fail_msg("\"%s\" is not in: %s", why, err.text);
}

/* EXPECTED: paths with a space behind each. */
static void
assert_found(const struct fixture *f, const char *expected)
{
    char got[PATH_MAX] = "";

    for (size_t i = 0; i < f->found.count; i++) {
        strcat(got, f->found.paths[i]);
        strcat(got, " ");
    }
    assert_string_equal(got, expected);
}

static void
test_a_folders_notebooks_are_found_in_the_order_of_names(void **state)
{
    struct fixture *f = *state;

    put(f, "n/b.ipynb");
    put(f, "n/a/z.ipynb");
    put(f, "n/a/y/x.ipynb");
    put(f, "n/c.ipynb");
    put(f, "n/c.txt");
    put(f, "n/B.ipynb");
    find(f, "n/");
    assert_found(f, "n/B.ipynb n/a/y/x.ipynb n/a/z.ipynb n/b.ipynb n/c.ipynb ");
}

static void
test_paths_are_shown_as_they_were_given(void **state)
{
    struct fixture *f = *state;

    put(f, "n/a.ipynb");
    put(f, "b.ipynb");
    find(f, ".");
    assert_found(f, "b.ipynb n/a.ipynb ");
    found_fini(&f->found);
    find(f, "./n");
    find(f, "b.ipynb");
    assert_found(f, "./n/a.ipynb b.ipynb ");
}

static void
test_what_is_hidden_pending_installed_or_virtual_is_left_out(void **state)
{
    struct fixture *f = *state;

    put(f, "n/a.ipynb");
    put(f, "n/a.pending.ipynb");
    put(f, "n/.b.ipynb");
    put(f, "n/.hidden/c.ipynb");
    put(f, "n/.ipynb_checkpoints/a-checkpoint.ipynb");
    put(f, "n/node_modules/d.ipynb");
    put(f, "n/venv/pyvenv.cfg");
    put(f, "n/venv/e.ipynb");
    put(f, "n/dir.ipynb/f.ipynb");
    find(f, "n");
    assert_found(f, "n/a.ipynb n/dir.ipynb/f.ipynb ");
}

static void
test_a_file_that_is_named_counts_whatever_it_is_called(void **state)
{
    struct fixture *f = *state;

    put(f, "n/.hidden/a.pending.ipynb");
    put(f, "n/notes.json");
    find(f, "n/.hidden/a.pending.ipynb");
    find(f, "n/notes.json");
    assert_found(f, "n/.hidden/a.pending.ipynb n/notes.json ");
}

static void
test_a_folder_that_is_named_counts_even_if_it_is_hidden_or_virtual(void **state)
{
    struct fixture *f = *state;

    put(f, ".n/pyvenv.cfg");
    put(f, ".n/a.ipynb");
    assert_int_equal(symlink(".n", "link"), 0);
    find(f, "link");
    assert_found(f, "link/a.ipynb ");
}

static void
test_no_notebook_is_found_twice(void **state)
{
    struct fixture *f = *state;

    put(f, "n/a.ipynb");
    assert_int_equal(symlink("a.ipynb", "n/b.ipynb"), 0);
    find(f, "n/a.ipynb");
    find(f, "n");
    find(f, "./n/../n/a.ipynb");
    assert_found(f, "n/a.ipynb ");
}

static void
test_links_to_folders_are_not_followed(void **state)
{
    struct fixture *f = *state;

    put(f, "n/a.ipynb");
    put(f, "other/b.ipynb");
    assert_int_equal(symlink("..", "n/loop"), 0);
    assert_int_equal(symlink("../other", "n/other"), 0);
    assert_int_equal(symlink("../other", "n/other.ipynb"), 0);
    find(f, "n");
    assert_found(f, "n/a.ipynb ");
}

static void
test_a_link_to_nothing_is_not_left_out_silently(void **state)
{
    struct fixture *f = *state;

    put(f, "n/a.ipynb");
    assert_int_equal(symlink("nowhere", "n/nowhere.ipynb"), 0);
    find(f, "n");
    assert_found(f, "n/a.ipynb n/nowhere.ipynb ");
}

static void
test_what_is_neither_file_nor_folder_is_refused_or_left_out(void **state)
{
    struct fixture *f = *state;

    put(f, "n/a.ipynb");
    assert_int_equal(mkfifo("n/pipe.ipynb", 0600), 0);
    find(f, "n");
    assert_found(f, "n/a.ipynb ");
    assert_fails(f, "n/pipe.ipynb", "n/pipe.ipynb: neither a file nor a folder");
}

static void
test_what_has_no_notebooks_is_an_error(void **state)
{
    struct fixture *f = *state;

    put(f, "n/a.txt");
    assert_fails(f, "n", "n: there are no notebooks in it");
    assert_fails(f, "missing", "missing: No such file or directory");
    assert_fails(f, "", "the path is empty");
}

static void
test_a_path_that_is_too_long_is_an_error(void **state)
{
    char path[PATH_MAX + 10];

    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_fails(*state, path, "too long");
}

static void
test_folders_are_not_followed_too_deeply(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX] = "n";

    for (int i = 0; i < FIND_DEPTH_MAX - 1; i++)
        strcat(path, "/d");
    strcat(path, "/a.ipynb");
    put(f, path);
    find(f, "n");
    assert_int_equal(f->found.count, 1);
    strcpy(strrchr(path, '/'), "/d/a.ipynb");
    put(f, path);
    assert_fails(f, "n", "nested too deeply");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_folders_notebooks_are_found_in_the_order_of_names),
        TEST(test_paths_are_shown_as_they_were_given),
        TEST(test_what_is_hidden_pending_installed_or_virtual_is_left_out),
        TEST(test_a_file_that_is_named_counts_whatever_it_is_called),
        TEST(test_a_folder_that_is_named_counts_even_if_it_is_hidden_or_virtual),
        TEST(test_no_notebook_is_found_twice),
        TEST(test_links_to_folders_are_not_followed),
        TEST(test_a_link_to_nothing_is_not_left_out_silently),
        TEST(test_what_is_neither_file_nor_folder_is_refused_or_left_out),
        TEST(test_what_has_no_notebooks_is_an_error),
        TEST(test_a_path_that_is_too_long_is_an_error),
        TEST(test_folders_are_not_followed_too_deeply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

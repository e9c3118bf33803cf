/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/mounts.h"

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
#include "runtimes/jupyter/kernel_json.h"

#define PATH_BYTES 256

static const char *const folders[] = {
    "home",
    "home/.lang",
    "home/.lang/bin",
    "home/.lang/packages",
    "home/.lang/key",
    "home/env",
    "home/env/bin",
    "base",
    "base/bin",
    "home/env/share",
    "home/.secrets",
    "home/env/share/jupyter",
    "home/libs",
    "home/env/share/jupyter/kernels",
    "home/env/share/jupyter/kernels/toy",
};

/* A home folder with programs in it. */
struct fixture {
    char folder[64];
    char path[PATH_BYTES]; /* of the last word asked for */
};

static const char *
place(struct fixture *f, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->folder, name);
    return f->path;
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    FILE *program;

    assert_non_null(f);
    strcpy(f->folder, "/tmp/test_mounts.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    for (size_t i = 0; i < N_ELEMENTS(folders); i++)
        assert_int_equal(mkdir(place(f, folders[i]), 0755), 0);
    program = fopen(place(f, "base/bin/toy"), "w");
    assert_non_null(program);
    fclose(program);
    assert_int_equal(symlink("../../../base/bin/toy", place(f, "home/env/bin/toy")), 0);
    assert_int_equal(symlink("../../../base/bin/toy", place(f, "home/.lang/bin/toy")), 0);
    setenv("HOME", place(f, "home"), 1);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    unlink(place(f, "base/bin/toy"));
    unlink(place(f, "home/env/bin/toy"));
    unlink(place(f, "home/.lang/bin/toy"));
    for (size_t i = N_ELEMENTS(folders); i-- > 0;)
        rmdir(place(f, folders[i]));
    for (size_t i = N_ELEMENTS(folders); i-- > 0;) /* those that had others in them */
        rmdir(place(f, folders[i]));
    rmdir(f->folder);
    free(f);
    return 0;
}

/* The mounts of a kernel of PROGRAM, whose kernel.json is TEXT. */
static json_t *
mounts_of(struct fixture *f, const char *program, const char *text)
{
    CLEANUP(kernel_json_destroyp) struct kernel_json *spec = NULL;
    struct error err = { 0 };
    json_t *mounts = NULL;

    if (kernel_json_parse(&spec,
                          place(f, "home/env/share/jupyter/kernels/toy/kernel.json"),
                          slice_text(text), &err) != 0)
        fail_msg("%s", err.text);
    spec->program = strdup(place(f, program));
    assert_int_equal(mounts_find(&mounts, spec), 0);
    return mounts;
}

static bool
has(const json_t *mounts, const char *path)
{
    const json_t *mount;
    size_t i;

    json_array_foreach(mounts, i, mount)
    {
        if (strcmp(json_string_value(mount), path) == 0)
            return true;
    }
    return false;
}

static void
test_an_environment_comes_with_that_of_which_it_is_one(void **state)
{
    struct fixture *f = *state;
    json_t *mounts = mounts_of(f, "home/env/bin/toy", "{\"argv\":[\"toy\"]}");

    assert_true(has(mounts, place(f, "home/env")));
    assert_true(has(mounts, place(f, "base")));
    json_decref(mounts);
}

static void
test_what_lies_hidden_in_the_home_folder_is_not_shown_whole(void **state)
{
    struct fixture *f = *state;
    json_t *mounts = mounts_of(f, "home/.lang/bin/toy", "{\"argv\":[\"toy\"]}");

    assert_true(has(mounts, place(f, "home/.lang/bin")));
    assert_false(has(mounts, place(f, "home/.lang")));
    assert_false(has(mounts, place(f, "home")));
    json_decref(mounts);
}

static void
test_search_paths_are_shown_and_other_variables_are_not(void **state)
{
    struct fixture *f = *state;
    char text[1024];
    json_t *mounts;

    snprintf(text, sizeof text,
             "{\"argv\":[\"toy\"],\"env\":{\"TOY_PATH\":\"%s/home/libs:%s/home\","
             "\"TOY_CREDENTIALS\":\"%s/home/.secrets\",\"X_HOME\":\"%s/home/.secrets\"}}",
             f->folder, f->folder, f->folder, f->folder);
    mounts = mounts_of(f, "base/bin/toy", text);
    assert_true(has(mounts, place(f, "home/libs")));
    assert_false(has(mounts, place(f, "home")));
    assert_false(has(mounts, place(f, "home/.secrets")));
    json_decref(mounts);
}

static void
test_what_the_kernelspec_asks_for_is_shown(void **state)
{
    struct fixture *f = *state;
    json_t *mounts = mounts_of(f, "base/bin/toy",
                               "{\"argv\":[\"toy\"],\"metadata\":{\"cellwall\":"
                               "{\"mounts\":[\"~/.lang\",\"~/\",\"/\",\"/nowhere\"]}}}");

    assert_true(has(mounts, place(f, "home/.lang")));
    assert_false(has(mounts, place(f, "home")));
    assert_false(has(mounts, "/"));
    assert_false(has(mounts, "/nowhere"));
    json_decref(mounts);
}

static void
test_the_systems_own_is_not_named(void **state)
{
    struct fixture *f = *state;
    CLEANUP(kernel_json_destroyp) struct kernel_json *spec = NULL;
    json_t *mounts = NULL;

    assert_int_equal(kernel_json_parse(&spec, "/usr/share/jupyter/kernels/r/kernel.json",
                                       slice_text("{\"argv\":[\"sh\",\"/usr/lib\"]}"),
                                       NULL),
                     0);
    (void)f;
    spec->program = strdup("/bin/sh");
    assert_int_equal(mounts_find(&mounts, spec), 0);
    assert_int_equal(json_array_size(mounts), 0);
    json_decref(mounts);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_an_environment_comes_with_that_of_which_it_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_what_lies_hidden_in_the_home_folder_is_not_shown_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_search_paths_are_shown_and_other_variables_are_not, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_the_kernelspec_asks_for_is_shown, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_systems_own_is_not_named, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

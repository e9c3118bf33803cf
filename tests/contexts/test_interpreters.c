/* SPDX-License-Identifier: MIT */
#include "contexts/interpreters.h"

#include <limits.h>
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

static const char *const folders[] = {
    "a",
    "a/kernels",
    "a/kernels/one",
    "a/kernels/two",
    "a/kernels/empty",
    "b",
    "b/kernels",
    "b/kernels/two",
    "b/kernels/three",
    "b/kernels/cellwall-own",
    "b/kernels/.hidden",
};
static const char *const files[] = {
    "a/kernels/one/k.json",   "a/kernels/two/k.json",          "b/kernels/two/k.json",
    "b/kernels/three/k.json", "b/kernels/cellwall-own/k.json", "b/kernels/.hidden/k.json",
};
static char *const patterns[] = { "$TEST_PLACES/kernels/{name}/k.json",
                                  "$TEST_NONE/kernels/{name}/k.json",
                                  "/nowhere/{name}/k.json", NULL };

struct fixture {
    char folder[64];
    char path[PATH_MAX];
    struct error err;
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
    char both[PATH_MAX];

    assert_non_null(f);
    strcpy(f->folder, "/tmp/test_interpreters.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    for (size_t i = 0; i < N_ELEMENTS(folders); i++)
        assert_int_equal(mkdir(place(f, folders[i]), 0755), 0);
    for (size_t i = 0; i < N_ELEMENTS(files); i++) {
        FILE *file = fopen(place(f, files[i]), "w");

        assert_non_null(file);
        fclose(file);
    }
    snprintf(both, sizeof both, "%s/a::%s/b:", f->folder, f->folder);
    setenv("TEST_PLACES", both, 1);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(files); i++)
        unlink(place(f, files[i]));
    for (size_t i = N_ELEMENTS(folders); i-- > 0;)
        rmdir(place(f, folders[i]));
    rmdir(f->folder);
    free(f);
    return 0;
}

static void
assert_found(struct fixture *f, const char *named, const char *expected)
{
    CLEANUP(freep) char *found = NULL;

    assert_int_equal(interpreters_find(&found, patterns, named, &f->err), 0);
    assert_string_equal(found, place(f, expected));
}

static void
test_a_name_is_looked_up_in_the_order_of_the_places(void **state)
{
    assert_found(*state, "one", "a/kernels/one/k.json");
    assert_found(*state, "two", "a/kernels/two/k.json");
    assert_found(*state, "three", "b/kernels/three/k.json");
}

static void
test_a_path_names_the_folder_or_the_file(void **state)
{
    struct fixture *f = *state;
    char folder[PATH_MAX], file[PATH_MAX];

    snprintf(folder, sizeof folder, "%s/b/kernels/../kernels/two/", f->folder);
    snprintf(file, sizeof file, "%s/b/kernels/two/k.json", f->folder);
    assert_found(f, folder, "b/kernels/two/k.json");
    assert_found(f, file, "b/kernels/two/k.json");
}

static void
test_what_is_not_there_is_told_with_what_is(void **state)
{
    static const char *const names[] = { "none",    "empty",        "..",        "",
                                         ".hidden", "cellwall-own", "/nowhere/x" };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(names); i++) {
        char *found = NULL;

        f->err = (struct error){ 0 };
        assert_int_equal(interpreters_find(&found, patterns, names[i], &f->err),
                         INTERPRETERS_E_NOT_FOUND);
        assert_non_null(strstr(f->err.text, "here are: one, three, two"));
    }
}

static void
test_one_must_be_named(void **state)
{
    struct fixture *f = *state;
    char *found = NULL;

    assert_int_equal(interpreters_find(&found, patterns, NULL, &f->err),
                     INTERPRETERS_E_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "must be told which"));
}

static void
test_all_are_listed_once_by_name(void **state)
{
    struct fixture *f = *state;
    CLEANUP(interpreters_freep) char **paths = NULL;

    assert_int_equal(interpreters_list(&paths, patterns), 0);
    assert_string_equal(paths[0], place(f, "a/kernels/one/k.json"));
    assert_string_equal(paths[1], place(f, "b/kernels/three/k.json"));
    assert_string_equal(paths[2], place(f, "a/kernels/two/k.json"));
    assert_null(paths[3]);
}

static void
test_patterns_without_a_place_for_the_name_are_refused(void **state)
{
    static const char *const bad[] = { "",          "x/{name}/y", "/x/y",
                                       "/x/{name}", "/{name}x/y", "$A" };
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(bad); i++)
        assert_int_equal(interpreters_check_pattern(bad[i]), INTERPRETERS_E_INVALID);
    assert_int_equal(interpreters_check_pattern("/x/{name}/y"), 0);
    assert_int_equal(interpreters_check_pattern("$A/x/{name}/y"), 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_name_is_looked_up_in_the_order_of_the_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_path_names_the_folder_or_the_file, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_there_is_told_with_what_is,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_must_be_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_are_listed_once_by_name, setup,
                                        teardown),
        cmocka_unit_test(test_patterns_without_a_place_for_the_name_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

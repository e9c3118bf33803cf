/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/durations.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/file.h"

#define ROOM ((size_t)16 * 1024 * 1024)

struct fixture {
    char folder[64];
    char file[128];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    strcpy(f->folder, "/tmp/test_durations_XXXXXX");
    if (mkdtemp(f->folder) == NULL)
        return -1;
    snprintf(f->file, sizeof f->file, "%s/durations.json", f->folder);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    char path[192];

    unlink(f->file);
    snprintf(path, sizeof path, "%s/cellwall/durations.json", f->folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/cellwall", f->folder);
    rmdir(path);
    rmdir(f->folder);
    free(f);
    return 0;
}

static struct durations *
read_them(const char *file)
{
    struct durations *durations = NULL;

    assert_int_equal(durations_read(&durations, file), 0);
    assert_non_null(durations);
    return durations;
}

static void
put(const struct fixture *f, const char *text)
{
    assert_int_equal(file_write(f->file, slice_text(text), 0600, NULL), 0);
}

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void
test_what_was_added_is_known_the_next_time(void **state)
{
    struct fixture *f = *state;
    struct durations *durations = read_them(f->file);

    assert_true(durations_of(durations, "/a.ipynb") < 0);
    assert_int_equal(durations_add(durations, "/b.ipynb", 2.5), 0);
    assert_int_equal(durations_add(durations, "/a.ipynb", 0.25), 0);
    assert_int_equal(durations_add(durations, "/c \"\xc3\xa9\n.ipynb", 7), 0);
    durations_save(durations);
    durations_destroy(durations);

    durations = read_them(f->file);
    assert_true(durations_of(durations, "/a.ipynb") == 0.25);
    assert_true(durations_of(durations, "/b.ipynb") == 2.5);
    assert_true(durations_of(durations, "/c \"\xc3\xa9\n.ipynb") == 7);
    assert_true(durations_of(durations, "/d.ipynb") < 0);
    durations_destroy(durations);
}

static void
test_the_last_runs_count_most(void **state)
{
    struct fixture *f = *state;
    struct durations *durations = read_them(f->file);

    assert_int_equal(durations_add(durations, "/a", 8), 0);
    assert_int_equal(durations_add(durations, "/a", 4), 0);
    assert_true(durations_of(durations, "/a") == 6);
    assert_int_equal(durations_add(durations, "/a", 4), 0);
    assert_true(durations_of(durations, "/a") == 5);
    durations_destroy(durations);
}

static void
test_a_damaged_file_is_as_good_as_none(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"version\": 2, \"notebooks\": [[\"/a\", 1]]}",
        "{\"version\": 1}",
        "{\"version\": 1, \"notebooks\": {\"/a\": 1}}",
        ("{\"version\": 1, \"notebooks\": [[\"/a\"], [1, 1], [\"/a\", \"1\"], 3, null,"
         "[\"/a\", -1], [\"/a\", 1e300], [\"/a\", null], [[\"/a\"], 1]]}"),
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct durations *durations;

        put(f, texts[i]);
        durations = read_them(f->file);
        assert_true(durations_of(durations, "/a") < 0);
        assert_int_equal(durations_add(durations, "/a", 1), 0);
        durations_save(durations);
        durations_destroy(durations);
        durations = read_them(f->file);
        assert_true(durations_of(durations, "/a") == 1);
        durations_destroy(durations);
    }
}

static void
test_no_duration_of_nonsense_is_kept(void **state)
{
    struct fixture *f = *state;
    struct durations *durations = read_them(f->file);
    char path[5000];

    assert_int_equal(durations_add(durations, "/a", -1), 0);
    assert_int_equal(durations_add(durations, "/a", (double)NAN), 0);
    assert_int_equal(durations_add(durations, "/a", (double)INFINITY), 0);
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(durations_add(durations, path, 1), 0);
    assert_true(durations_of(durations, "/a") < 0);
    assert_true(durations_of(durations, path) < 0);
    durations_save(durations);
    assert_false(exists(f->file)); /* there is nothing new */
    durations_destroy(durations);
}

static void
test_a_path_that_is_no_text_is_forgotten_alone(void **state)
{
    struct fixture *f = *state;
    struct durations *durations = read_them(f->file);

    assert_int_equal(durations_add(durations, "/\xff", 1), 0);
    assert_int_equal(durations_add(durations, "/b", 2), 0);
    durations_save(durations);
    durations_destroy(durations);
    durations = read_them(f->file);
    assert_true(durations_of(durations, "/\xff") < 0);
    assert_true(durations_of(durations, "/b") == 2);
    durations_destroy(durations);
}

static void
test_what_was_not_used_for_longest_goes_first(void **state)
{
    struct fixture *f = *state;
    struct durations *durations = read_them(f->file);
    char path[32];

    for (int i = 0; i < DURATIONS_MAX; i++) {
        snprintf(path, sizeof path, "/%d", i);
        assert_int_equal(durations_add(durations, path, i), 0);
    }
    assert_int_equal(durations_add(durations, "/0", 0), 0); /* it is used again */
    durations_save(durations);
    durations_destroy(durations);

    durations = read_them(f->file);
    assert_int_equal(durations_add(durations, "/new", 3), 0);
    assert_true(durations_of(durations, "/0") == 0);
    assert_true(durations_of(durations, "/1") < 0);
    assert_true(durations_of(durations, "/2") == 2);
    assert_true(durations_of(durations, "/new") == 3);
    durations_destroy(durations);
}

static void
test_the_users_file_is_in_the_cache_folder_that_is_made(void **state)
{
    struct fixture *f = *state;
    struct durations *durations;
    char path[192];
    struct stat st;

    setenv("XDG_CACHE_HOME", f->folder, 1);
    durations = read_them(NULL);
    assert_int_equal(durations_add(durations, "/a", 1), 0);
    durations_save(durations);
    durations_destroy(durations);
    snprintf(path, sizeof path, "%s/cellwall/durations.json", f->folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    durations = read_them(NULL);
    assert_true(durations_of(durations, "/a") == 1);
    durations_destroy(durations);
}

static void
test_without_a_place_for_it_there_is_no_file(void **state)
{
    struct durations *durations;

    (void)state;
    setenv("XDG_CACHE_HOME", "relative", 1);
    unsetenv("HOME");
    durations = read_them(NULL);
    assert_int_equal(durations_add(durations, "/a", 1), 0);
    durations_save(durations);
    assert_false(exists("relative"));
    assert_true(durations_of(durations, "/a") == 1);
    durations_destroy(durations);
    durations_destroy(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_added_is_known_the_next_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_last_runs_count_most, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_file_is_as_good_as_none, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_no_duration_of_nonsense_is_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_path_that_is_no_text_is_forgotten_alone,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_not_used_for_longest_goes_first,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_the_users_file_is_in_the_cache_folder_that_is_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_place_for_it_there_is_no_file,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "kernel/kernelspec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <sys/stat.h>

#include "contexts/runtime.h"
#include "tests/kernel/folder.h"
#include "kernel/file.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

struct fixture {
    struct folder folder;
    struct environment *environment;
    struct kernelspec spec;
    char kernels[PATH_MAX];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };

    folder_init(&f->folder, "{\"version\": \"1\"}");
    assert_int_equal(environment_probe(&f->environment, f->folder.runtime,
                                       f->folder.interpreter, &err),
                     0);
    f->spec = (struct kernelspec){
        .runtime = f->folder.runtime,
        .environment = f->environment,
        .program = "/opt/bin/cellwall",
        .network = "none",
    };
    assert_int_equal(file_join(f->kernels, f->folder.path, "share/jupyter/kernels", &err),
                     0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    environment_destroy(f->environment);
    folder_fini(&f->folder);
    free(f);
    return 0;
}

static void
write_spec(struct fixture *f)
{
    char path[PATH_MAX];
    struct error err = { 0 };

    if (kernelspec_write(&f->spec, f->kernels, path, &err) != 0)
        fail_msg("%s", err.text);
    assert_non_null(strstr(path, "/share/jupyter/kernels/cellwall-toy"));
}

static json_t *
read_spec(struct fixture *f)
{
    CLEANUP(freep)
    char *text = folder_get(&f->folder, "share/jupyter/kernels/cellwall-toy/kernel.json");
    json_t *document = json_loads(text, 0, NULL);

    assert_non_null(document);
    return document;
}

static void
assert_member(const json_t *document, const char *name, const char *expected)
{
    const char *value = json_string_value(json_object_get(document, name));

    assert_non_null(value);
    assert_string_equal(value, expected);
}

static void
test_kernel_json_says_how_to_start_the_kernel(void **state)
{
    static const char *const argv[] = { "/opt/bin/cellwall",
                                        "kernel",
                                        "-f",
                                        "{connection_file}",
                                        "--runtime",
                                        "toy",
                                        "--environment",
                                        "{resource_dir}/environment.json",
                                        "--network",
                                        "none",
                                        "--python" };
    struct fixture *f = *state;
    CLEANUP(tree_decrefp) json_t *document = NULL;
    const json_t *words;

    write_spec(f);
    document = read_spec(f);
    assert_member(document, "display_name", "Toy (Cellwall)");
    assert_member(document, "language", "toylang");
    assert_member(document, "interrupt_mode", "message");
    assert_member(document, "kernel_protocol_version", "5.5.0");
    words = json_object_get(document, "argv");
    assert_int_equal(json_array_size(words), N_ELEMENTS(argv) + 1);
    for (size_t i = 0; i < N_ELEMENTS(argv); i++)
        assert_string_equal(json_string_value(json_array_get(words, i)), argv[i]);
    assert_string_equal(json_string_value(json_array_get(words, N_ELEMENTS(argv))),
                        f->folder.interpreter);
    assert_int_equal(json_object_size(json_object_get(document, "env")), 0);
}

static void
test_metadata_says_what_is_true(void **state)
{
    CLEANUP(tree_decrefp) json_t *document = NULL;
    const json_t *metadata;

    write_spec(*state);
    document = read_spec(*state);
    metadata = json_object_get(document, "metadata");
    assert_true(json_is_false(json_object_get(metadata, "debugger")));
    assert_string_equal(json_string_value(json_array_get(
                            json_object_get(metadata, "supported_encryption"), 0)),
                        "curve");
}

static void
test_the_environment_is_kept_beside_it(void **state)
{
    struct fixture *f = *state;
    CLEANUP(freep) char *text = NULL;
    CLEANUP(environment_destroyp) struct environment *environment = NULL;
    struct error err = { 0 };

    write_spec(f);
    text = folder_get(&f->folder, "share/jupyter/kernels/cellwall-toy/environment.json");
    assert_int_equal(
        environment_load(&environment, slice_text(text), f->folder.runtime, NULL, &err),
        0);
    assert_string_equal(environment->interpreter, f->folder.interpreter);
}

static void
test_logos_are_copied_where_there_are_any(void **state)
{
    struct fixture *f = *state;
    CLEANUP(freep) char *logo = NULL;

    folder_put(&f->folder, "toy/logo-svg.svg", "<svg/>", 0644);
    write_spec(f);
    logo = folder_get(&f->folder, "share/jupyter/kernels/cellwall-toy/logo-svg.svg");
    assert_string_equal(logo, "<svg/>");
}

static void
test_everybody_may_read_it(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    struct stat st;
    struct error err = { 0 };

    write_spec(f);
    assert_int_equal(file_join(path, f->kernels, "cellwall-toy", &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    assert_int_equal(file_join(path, f->kernels, "cellwall-toy/kernel.json", &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
}

static void
test_a_second_one_replaces_the_first_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    CLEANUP(tree_decrefp) json_t *document = NULL;
    DIR *folder;
    int count = 0;

    write_spec(f);
    f->spec.network = "host";
    f->spec.runtimes = "/opt/runtimes";
    write_spec(f);
    document = read_spec(f);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(document, "argv"), 9)), "host");
    assert_member(json_object_get(document, "env"), "CELLWALL_RUNTIMES", "/opt/runtimes");
    folder = opendir(f->kernels);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    assert_int_equal(count, 3); /* with . and .. */
}

static void
test_a_place_that_is_no_folder_is_told(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    struct error err = { 0 };

    folder_put(&f->folder, "file", "", 0644);
    assert_int_equal(file_join(f->kernels, f->folder.path, "file/kernels", &err), 0);
    assert_int_equal(kernelspec_write(&f->spec, f->kernels, path, &err),
                     KERNELSPEC_E_FAILED);
    assert_non_null(strstr(err.text, "file"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kernel_json_says_how_to_start_the_kernel),
        TEST(test_metadata_says_what_is_true),
        TEST(test_the_environment_is_kept_beside_it),
        TEST(test_logos_are_copied_where_there_are_any),
        TEST(test_everybody_may_read_it),
        TEST(test_a_second_one_replaces_the_first_and_leaves_nothing),
        TEST(test_a_place_that_is_no_folder_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

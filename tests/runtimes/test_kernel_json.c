/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/kernel_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define PLACE "/opt/x/share/jupyter/kernels/toy/kernel.json"

static struct kernel_json *
parse(const char *text)
{
    struct kernel_json *spec = NULL;
    struct error err = { 0 };

    if (kernel_json_parse(&spec, PLACE, slice_text(text), &err) != 0)
        fail_msg("%s", err.text);
    spec->program = strdup("/bin/toy");
    return spec;
}

static void
test_its_place_tells_name_and_prefix(void **state)
{
    CLEANUP(kernel_json_destroyp)
    struct kernel_json *spec = parse("{\"argv\":[\"toy\"]}");

    (void)state;
    assert_string_equal(spec->name, "toy");
    assert_string_equal(spec->prefix, "/opt/x");
    assert_string_equal(spec->folder, "/opt/x/share/jupyter/kernels/toy");
    assert_string_equal(spec->display_name, "toy");
    assert_string_equal(spec->language, "toy");
    assert_false(spec->interrupt_by_message);
    assert_false(spec->tcp);
}

static void
test_templates_are_filled_in(void **state)
{
    CLEANUP(kernel_json_destroyp)
    struct kernel_json *spec =
        parse("{\"argv\":[\"toy\",\"a{connection_file}b\",\"{resource_dir}\","
              "\"{prefix}/x\",\"{other}{\"]}");
    CLEANUP(kernel_json_free_wordsp) char **words = NULL;

    (void)state;
    assert_int_equal(kernel_json_command(&words, spec, "/file"), 0);
    assert_string_equal(words[0], "/bin/toy");
    assert_string_equal(words[1], "a/fileb");
    assert_string_equal(words[2], "/opt/x/share/jupyter/kernels/toy");
    assert_string_equal(words[3], "/opt/x/x");
    assert_string_equal(words[4], "{other}{");
    assert_null(words[5]);
}

static bool
has(char **words, const char *word)
{
    for (; *words != NULL; words++) {
        if (strcmp(*words, word) == 0)
            return true;
    }
    return false;
}

static void
test_its_variables_go_on_top(void **state)
{
    CLEANUP(kernel_json_destroyp)
    struct kernel_json *spec =
        parse("{\"argv\":[\"toy\"],\"env\":{\"TOY_A\":\"<${TOY_B}>\",\"TOY_B\":\"new\","
              "\"TOY_C\":\"${TOY_NONE}${\"}}");
    CLEANUP(kernel_json_free_wordsp) char **words = NULL;

    (void)state;
    setenv("TOY_B", "old", 1);
    setenv("PATH", "/bin", 1);
    assert_int_equal(kernel_json_environment(&words, spec), 0);
    assert_true(has(words, "TOY_A=<old>"));
    assert_true(has(words, "TOY_B=new"));
    assert_false(has(words, "TOY_B=old"));
    assert_true(has(words, "TOY_C=${TOY_NONE}${"));
    assert_true(has(words, "PATH=/opt/x/bin:/bin"));
}

static void
test_our_own_members_are_read(void **state)
{
    CLEANUP(kernel_json_destroyp)
    struct kernel_json *spec =
        parse("{\"argv\":[\"toy\"],\"interrupt_mode\":\"message\",\"metadata\":"
              "{\"cellwall\":{\"transport\":\"tcp\",\"start_timeout_s\":9,"
              "\"mounts\":[\"~/x\"]}}}");

    (void)state;
    assert_true(spec->interrupt_by_message);
    assert_true(spec->tcp);
    assert_int_equal(spec->start_s, 9);
    assert_int_equal(json_array_size(spec->mounts), 1);
}

static void
test_names_that_could_be_paths_are_refused(void **state)
{
    static const char *const places[] = {
        "kernel.json",       "/kernel.json",           "relative/toy/kernel.json",
        "/a/../kernel.json", "/a/b c/kernel.json",     "/a/.hidden/kernel.json",
        "/a//kernel.json",   "/a/\xc3\xbc/kernel.json"
    };
    struct kernel_json *spec;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(places); i++)
        assert_int_equal(
            kernel_json_parse(&spec, places[i], slice_text("{\"argv\":[\"x\"]}"), NULL),
            KERNEL_JSON_E_INVALID);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_its_place_tells_name_and_prefix),
        cmocka_unit_test(test_templates_are_filled_in),
        cmocka_unit_test(test_its_variables_go_on_top),
        cmocka_unit_test(test_our_own_members_are_read),
        cmocka_unit_test(test_names_that_could_be_paths_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

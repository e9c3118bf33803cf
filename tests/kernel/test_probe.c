/* SPDX-License-Identifier: MIT */
#include "kernel/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernel/folder.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define ANSWER                                                                           \
    "{\"version\": \"1.2\", \"banner\": \"Toy 1.2\", \"prefix\": \"/opt/toy\","          \
    " \"mounts\": [\"/opt/toy\", \"/opt/more\"],"                                        \
    " \"language_info\": {\"name\": \"toylang\", \"version\": \"1.2\"}}"

/* As pyenv's are: a script in PATH, which starts the interpreter. */
static void
test_a_script_in_front_of_the_interpreter_is_left_out(void **state)
{
    CLEANUP(folder_fini) struct folder folder;
    CLEANUP(environment_destroyp) struct environment *environment = NULL;
    CLEANUP(environment_destroyp) struct environment *again = NULL;
    CLEANUP(buffer_fini) struct buffer kept;
    struct error err = { 0 };

    (void)state;
    buffer_init(&kept, PROBE_BYTES_MAX);
    folder_init(&folder, "{\"executable\": \"/opt/toy/bin/toy\"}");
    if (environment_probe(&environment, folder.runtime, folder.interpreter, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(environment->interpreter, "/opt/toy/bin/toy");
    assert_int_equal(environment_append(environment, &kept), 0);
    if (environment_load(&again, buffer_slice(&kept), folder.runtime, NULL, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(again->interpreter, "/opt/toy/bin/toy");
}

static void
test_the_answer_of_the_interpreter_is_kept(void **state)
{
    CLEANUP(folder_fini) struct folder folder;
    CLEANUP(environment_destroyp) struct environment *environment = NULL;
    struct error err = { 0 };

    (void)state;
    folder_init(&folder, ANSWER);
    if (environment_probe(&environment, folder.runtime, folder.interpreter, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(environment->interpreter, folder.interpreter);
    assert_string_equal(environment->prefix, "/opt/toy");
    assert_string_equal(environment->banner, "Toy 1.2");
    assert_string_equal(environment->mounts[0], "/opt/toy");
    assert_string_equal(environment->mounts[1], "/opt/more");
    assert_null(environment->mounts[2]);
    assert_string_equal(
        json_string_value(json_object_get(environment->language_info, "version")), "1.2");
}

static void
assert_refused(const char *answer, const char *text)
{
    CLEANUP(folder_fini) struct folder folder;
    struct environment *environment = NULL;
    struct error err = { 0 };

    folder_init(&folder, answer);
    assert_int_equal(
        environment_probe(&environment, folder.runtime, folder.interpreter, &err),
        PROBE_E_FAILED);
    assert_null(environment);
    if (strstr(err.text, text) == NULL)
        fail_msg("%s", err.text);
}

static void
test_its_own_error_is_passed_on(void **state)
{
    (void)state;
    assert_refused("{\"error\": \"toy needs the library play\"}",
                   "toy needs the library play");
}

static void
test_what_is_no_answer_is_refused(void **state)
{
    (void)state;
    assert_refused("hello", "no JSON object");
    assert_refused("[]", "no JSON object");
    assert_refused("{\"mounts\": [\"relative\"]}", "no absolute path");
    assert_refused("{\"mounts\": [1]}", "no absolute path");
}

static void
test_a_missing_interpreter_is_refused(void **state)
{
    CLEANUP(folder_fini) struct folder folder;
    struct environment *environment = NULL;
    struct error err = { 0 };

    (void)state;
    folder_init(&folder, ANSWER);
    assert_int_equal(environment_probe(&environment, folder.runtime, "/no/such", &err),
                     PROBE_E_FAILED);
    assert_non_null(strstr(err.text, "/no/such"));
}

/* What was written, read again. */
static int
load(struct environment **ret, const struct folder *folder,
     const struct environment *written)
{
    CLEANUP(buffer_fini) struct buffer text;
    struct error err = { 0 };

    buffer_init(&text, PROBE_BYTES_MAX);
    assert_int_equal(environment_append(written, &text), 0);
    return environment_load(ret, buffer_slice(&text), folder->runtime,
                            folder->interpreter, &err);
}

static void
test_a_kept_answer_is_good_for_its_interpreter_alone(void **state)
{
    CLEANUP(folder_fini) struct folder folder;
    CLEANUP(environment_destroyp) struct environment *first = NULL;
    CLEANUP(environment_destroyp) struct environment *second = NULL;
    struct environment *third = NULL;
    struct error err = { 0 };

    (void)state;
    folder_init(&folder, ANSWER);
    assert_int_equal(environment_probe(&first, folder.runtime, folder.interpreter, &err),
                     0);
    folder_put(&folder, "toy-interpreter", "#!/bin/sh\nexit 1\n", 0755);
    assert_int_equal(load(&second, &folder, first), 0); /* it was not run again */
    assert_string_equal(second->prefix, "/opt/toy");
    strcpy(folder.interpreter, "/bin/sh");
    assert_int_equal(load(&third, &folder, first), PROBE_E_STALE);
}

static void
test_a_kept_answer_that_is_damaged_is_stale(void **state)
{
    static const char *const texts[] = { "", "{", "[]", "{}", "{\"cellwall\": 1}" };
    CLEANUP(folder_fini) struct folder folder;

    (void)state;
    folder_init(&folder, ANSWER);
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct environment *environment = NULL;
        struct error err = { 0 };

        assert_int_equal(environment_load(&environment, slice_text(texts[i]),
                                          folder.runtime, folder.interpreter, &err),
                         PROBE_E_STALE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_script_in_front_of_the_interpreter_is_left_out),
        cmocka_unit_test(test_the_answer_of_the_interpreter_is_kept),
        cmocka_unit_test(test_its_own_error_is_passed_on),
        cmocka_unit_test(test_what_is_no_answer_is_refused),
        cmocka_unit_test(test_a_missing_interpreter_is_refused),
        cmocka_unit_test(test_a_kept_answer_is_good_for_its_interpreter_alone),
        cmocka_unit_test(test_a_kept_answer_that_is_damaged_is_stale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

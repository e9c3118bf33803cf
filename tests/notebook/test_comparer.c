/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/comparer.h"

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

#include "contexts/loop.h"
#include "protocol/error.h"
#include "protocol/tree.h"

/* Programs that get a request on stdin; "\4\0\0\0" and so on are lengths. */
struct fixture {
    char folder[64];
    char program[96];
    struct loop *loop;
    struct comparer *comparer;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    snprintf(f->folder, sizeof f->folder, "/tmp/test-comparer-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->program, sizeof f->program, "%s/program", f->folder);
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(comparer_create(&f->comparer, f->loop, f->program, NULL), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    comparer_destroy(f->comparer);
    loop_destroy(f->loop);
    unlink(f->program);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void
write_program(const struct fixture *f, const char *script)
{
    FILE *file = fopen(f->program, "w");

    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    assert_int_equal(chmod(f->program, 0700), 0);
}

static int
ask(const struct fixture *f, json_t **ret, struct error *err)
{
    struct buffer request;
    int r;

    buffer_init(&request, 1000);
    assert_int_equal(comparer_append_request(&request, NULL, NULL, slice_text("[]"),
                                             slice_text("[]"), false),
                     0);
    r = comparer_wait(f->comparer, &request, ret, err);
    buffer_fini(&request);
    return r;
}

static void
assert_fails(const struct fixture *f, const char *part)
{
    struct error err = { 0 };
    json_t *answer = NULL;

    assert_int_equal(ask(f, &answer, &err), COMPARER_E_FAILED);
    assert_null(answer);
    if (strstr(err.text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
}

static void
assert_answers(const struct fixture *f)
{
    json_t *answer = NULL;

    assert_int_equal(ask(f, &answer, NULL), 0);
    assert_true(json_is_true(json_object_get(answer, "agree")));
    json_decref(answer);
}

/* Each request of this file has 43 bytes. */
#define GOOD                                                                             \
    "while dd bs=4 count=1 2>/dev/null >\"$0.length\" && [ -s \"$0.length\" ]; do "      \
    "printf '\\016\\0\\0\\0{\"agree\":true}'; "                                          \
    "dd bs=1 count=43 >/dev/null 2>&1; rm -f \"$0.length\"; done; rm -f \"$0.length\""

static void
test_answers_come_in_the_order_of_the_requests(void **state)
{
    const struct fixture *f = *state;

    write_program(f, "PATH=/usr/bin:/bin; " GOOD);
    for (int i = 0; i < 5; i++)
        assert_answers(f);
}

static void
test_a_program_that_is_missing_fails_the_request(void **state)
{
    assert_fails(*state, "cannot be started");
}

static void
test_a_program_that_dies_is_named_with_its_signal(void **state)
{
    const struct fixture *f = *state;

    write_program(f, "kill -SEGV $$");
    assert_fails(f, "signal 11");
}

static void
test_a_program_that_leaves_is_named_with_its_status(void **state)
{
    const struct fixture *f = *state;

    write_program(f, "exit 125");
    assert_fails(f, "status 125");
}

static void
test_an_answer_that_is_no_json_fails_the_request(void **state)
{
    const struct fixture *f = *state;

    write_program(f, "printf '\\004\\0\\0\\0oops'; exec sleep 60");
    assert_fails(f, "no JSON");
}

static void
test_more_than_one_answer_fails_the_request(void **state)
{
    const struct fixture *f = *state;

    write_program(f, "printf '\\002\\0\\0\\0{}more'; exec sleep 60");
    assert_fails(f, "more than one answer");
}

static void
test_a_request_after_a_failure_has_a_fresh_program(void **state)
{
    const struct fixture *f = *state;

    write_program(f, "exit 1");
    assert_fails(f, "status 1");
    unlink(f->program);
    write_program(f, "PATH=/usr/bin:/bin; " GOOD);
    assert_answers(f);
}

static void
test_the_program_gets_no_environment(void **state)
{
    const struct fixture *f = *state;

    setenv("CELLWALL_TEST_SECRET", "1", 1);
    write_program(f, "[ -z \"$CELLWALL_TEST_SECRET\" ] && exit 7; exit 8");
    assert_fails(f, "status 7");
    unsetenv("CELLWALL_TEST_SECRET");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_answers_come_in_the_order_of_the_requests),
        TEST(test_a_program_that_is_missing_fails_the_request),
        TEST(test_a_program_that_dies_is_named_with_its_signal),
        TEST(test_a_program_that_leaves_is_named_with_its_status),
        TEST(test_an_answer_that_is_no_json_fails_the_request),
        TEST(test_more_than_one_answer_fails_the_request),
        TEST(test_a_request_after_a_failure_has_a_fresh_program),
        TEST(test_the_program_gets_no_environment),
    };

    return cmocka_run_group_tests_name("comparer", tests, NULL, NULL);
}

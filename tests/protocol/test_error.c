/* SPDX-License-Identifier: MIT */
#include "protocol/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
test_set_keeps_the_first_error(void **state)
{
    struct error err = { 0 };

    (void)state;
    assert_int_equal(error_set(&err, 7, "first %d", 1), 7);
    assert_int_equal(error_set(&err, 8, "second"), 8);
    assert_int_equal(err.code, 7);
    assert_string_equal(err.text, "first 1");
}

static void
test_without_an_error_only_the_code_comes_back(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, 7, "nobody reads this"), 7);
    errno = ENOENT;
    assert_int_equal(error_errno(NULL, "nor this"), -ENOENT);
    assert_int_equal(error_wrap(NULL, 9, "nor this"), 9);
}

static void
test_errno_adds_the_system_s_words(void **state)
{
    struct error err = { 0 };

    (void)state;
    errno = ENOENT;
    assert_int_equal(error_errno(&err, "open %s", "x"), -ENOENT);
    assert_int_equal(err.code, -ENOENT);
    assert_string_equal(err.text, "open x: No such file or directory");
    errno = EPERM;
    assert_int_equal(error_errno(&err, "later"), -EPERM);
    assert_int_equal(err.code, -ENOENT);
}

static void
test_wrap_prefixes_and_changes_the_code(void **state)
{
    struct error err = { 0 };

    (void)state;
    error_set(&err, 1, "inner");
    assert_int_equal(error_wrap(&err, 2, "outer %c", 'x'), 2);
    assert_int_equal(err.code, 2);
    assert_string_equal(err.text, "outer x: inner");
}

static void
test_wrap_of_nothing_is_the_prefix_alone(void **state)
{
    struct error err = { 0 };

    (void)state;
    assert_int_equal(error_wrap(&err, 2, "outer"), 2);
    assert_string_equal(err.text, "outer");
}

static void
test_text_is_cut_off_at_its_size(void **state)
{
    struct error err = { 0 };
    char text[2 * ERROR_TEXT_BYTES];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, 1, "%s", text);
    assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
    error_wrap(&err, 1, "%s", text);
    assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
    memset(&err, 0, sizeof err);
    errno = EIO;
    error_errno(&err, "%s", text);
    assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_keeps_the_first_error),
        cmocka_unit_test(test_without_an_error_only_the_code_comes_back),
        cmocka_unit_test(test_errno_adds_the_system_s_words),
        cmocka_unit_test(test_wrap_prefixes_and_changes_the_code),
        cmocka_unit_test(test_wrap_of_nothing_is_the_prefix_alone),
        cmocka_unit_test(test_text_is_cut_off_at_its_size),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}

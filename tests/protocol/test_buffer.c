/* SPDX-License-Identifier: MIT */
#include "protocol/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
test_append_grows_up_to_the_limit_and_no_further(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(buffer_append(&buffer, "x", 1), 0);
    assert_int_equal(buffer_append(&buffer, "x", 1), BUFFER_E_FULL);
    assert_int_equal(buffer.length, 1000);
    assert_int_equal(buffer_append(&buffer, "", 0), 0);
    buffer_fini(&buffer);
}

static void
test_a_refused_append_changes_nothing(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 4);
    assert_int_equal(buffer_append_text(&buffer, "abc"), 0);
    assert_int_equal(buffer_append_text(&buffer, "de"), BUFFER_E_FULL);
    assert_int_equal(buffer_append_format(&buffer, "%d", 12), BUFFER_E_FULL);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), BUFFER_E_FULL);
    assert_true(slice_equals_text(buffer_slice(&buffer), "abc"));
    buffer_fini(&buffer);
}

static void
test_a_limit_of_zero_takes_nothing(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 0);
    assert_int_equal(buffer_append(&buffer, "x", 1), BUFFER_E_FULL);
    assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
    buffer_fini(&buffer);
}

static void
test_format_appends_what_printf_would_print(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 100);
    assert_int_equal(buffer_append_format(&buffer, "%s=%d", "a", 1), 0);
    assert_int_equal(buffer_append_format(&buffer, ";%s=%d", "b", 2), 0);
    assert_true(slice_equals_text(buffer_slice(&buffer), "a=1;b=2"));
    buffer_fini(&buffer);
}

static void
test_consume_drops_the_front(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 100);
    buffer_append_text(&buffer, "abcdef");
    buffer_consume(&buffer, 0);
    assert_true(slice_equals_text(buffer_slice(&buffer), "abcdef"));
    buffer_consume(&buffer, 2);
    assert_true(slice_equals_text(buffer_slice(&buffer), "cdef"));
    buffer_consume(&buffer, 100);
    assert_int_equal(buffer.length, 0);
    buffer_fini(&buffer);
}

static void
test_clear_gives_back_what_is_above_keep(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 100000);
    assert_int_equal(buffer_reserve(&buffer, 50000), 0);
    buffer_clear(&buffer, 100000);
    assert_true(buffer.capacity >= 50000);
    buffer_clear(&buffer, 1000);
    assert_int_equal(buffer.capacity, 0);
    assert_int_equal(buffer.limit, 100000);
    assert_int_equal(buffer_append_text(&buffer, "again"), 0);
    buffer_fini(&buffer);
}

static void
test_fini_may_be_repeated(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 10);
    buffer_append_text(&buffer, "x");
    buffer_fini(&buffer);
    buffer_fini(&buffer);
    assert_int_equal(buffer.limit, 10);
}

static void
test_slices_equal_text_by_length_and_bytes(void **state)
{
    struct slice slice = { .data = (const uint8_t *)"ab\0c", .length = 4 };

    (void)state;
    assert_true(slice_equals_text(slice_text("ab"), "ab"));
    assert_false(slice_equals_text(slice_text("ab"), "abc"));
    assert_false(slice_equals_text(slice_text("abc"), "ab"));
    assert_false(slice_equals_text(slice, "ab"));
    assert_true(slice_equals_text((struct slice){ 0 }, ""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_grows_up_to_the_limit_and_no_further),
        cmocka_unit_test(test_a_refused_append_changes_nothing),
        cmocka_unit_test(test_a_limit_of_zero_takes_nothing),
        cmocka_unit_test(test_format_appends_what_printf_would_print),
        cmocka_unit_test(test_consume_drops_the_front),
        cmocka_unit_test(test_clear_gives_back_what_is_above_keep),
        cmocka_unit_test(test_fini_may_be_repeated),
        cmocka_unit_test(test_slices_equal_text_by_length_and_bytes),
    };

    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}

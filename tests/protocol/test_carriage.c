/* SPDX-License-Identifier: MIT */
#include "protocol/carriage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"

#define RED "\x1b[31m"
#define BLUE "\x1b[34m"
#define PLAIN "\x1b[0m"

static void
assert_rendered(const char *text, const char *expected)
{
    struct buffer out;

    buffer_init(&out, 1 << 16);
    assert_int_equal(carriage_render(slice_text(text), &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal((const char *)out.data, expected);
    buffer_fini(&out);
}

static void
test_text_without_returns_stays_as_it_is(void **state)
{
    static const char *const texts[] = {
        "",
        "a",
        "a\n",
        "\n\n",
        "a\nb",
        "\tx\v\f\n",
        "gr\xc3\xbc\xc3\x9f\n",
        "\x1b[31ma\x1b[0m",
        "\x1b[2K\x1b[1A\x1b]0;title\x07",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++)
        assert_rendered(texts[i], texts[i]);
    assert_int_equal(carriage_render((struct slice){ 0 }, NULL), 0);
}

static void
test_a_return_before_a_line_end_belongs_to_it(void **state)
{
    (void)state;
    assert_rendered("a\r\nb\r\n", "a\nb\n");
    assert_rendered("a\r\r\nb", "a\nb");
    assert_rendered("\r\n", "\n");
    assert_rendered("ab\rc\r\nd", "cb\nd");
}

static void
test_what_follows_a_return_replaces_the_line(void **state)
{
    (void)state;
    assert_rendered("abc\rxyz", "xyz");
    assert_rendered("abc\rx", "xbc");
    assert_rendered("a\rxyz", "xyz");
    assert_rendered("one\ntwo\rTW\nthree", "one\nTWo\nthree");
    assert_rendered("\rab", "ab");
    assert_rendered("ab\r\rc", "cb");
}

static void
test_a_return_at_the_end_replaces_nothing(void **state)
{
    (void)state;
    assert_rendered("abc\r", "abc");
    assert_rendered("abc\rd\r", "dbc");
    assert_rendered("\r", "");
}

static void
test_a_backspace_goes_one_back_and_not_beyond_the_line(void **state)
{
    (void)state;
    assert_rendered("ab\bc", "ac");
    assert_rendered("ab\b\b\b\bc", "cb");
    assert_rendered("a\n\bb", "a\nb");
    assert_rendered("\b\bx", "x");
    assert_rendered("ab\b", "ab");
    assert_rendered("12%\b\b\b34%", "34%");
}

static void
test_a_character_of_many_bytes_is_one_place(void **state)
{
    (void)state;
    assert_rendered("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\rxy", "xy\xf0\x9f\x98\x80");
    assert_rendered("abc\r\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"
                                             "bc");
    assert_rendered("\xe2\x82\xac\bx", "x");
}

static void
test_colours_take_no_place_and_stay_with_their_text(void **state)
{
    (void)state;
    assert_rendered(RED "abc" PLAIN "\rx", "x" RED "bc" PLAIN);
    assert_rendered("abc\r" RED "x" PLAIN, RED "x" PLAIN "bc");
    assert_rendered(RED "abc\r" BLUE "x", BLUE "x"
                                               "\x1b[0;31m"
                                               "bc"
                                               "\x1b[0;34m");
    assert_rendered(RED "ab" PLAIN "\b\bxy", "xy");
    assert_rendered(RED "a\nb\rc" PLAIN, RED "a\nc" PLAIN);
}

static void
test_every_kind_of_colour_is_kept(void **state)
{
    static const char *const styles[] = {
        "\x1b[1;3;4m",         "\x1b[97m",         "\x1b[38;5;208m",   "\x1b[48;5;0m",
        "\x1b[38;2;1;20;255m", "\x1b[1;9;91;105m", "\x1b[48;2;0;0;0m",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(styles); i++) {
        char text[100], expected[100];

        snprintf(text, sizeof text, "a\r%sb" PLAIN, styles[i]);
        snprintf(expected, sizeof expected, "%sb" PLAIN, styles[i]);
        assert_rendered(text, expected);
    }
    assert_rendered("a\r\x1b[1;31;42mb\x1b[22;39;49mc", "\x1b[1;31;42mb\x1b[0mc");
    assert_rendered("a\r\x1b[mb\x1b[;mc\x1b[38m\x1b[38;5m\x1b[38;2;1md", "bcd");
}

static void
test_what_only_looks_like_a_colour_is_text(void **state)
{
    (void)state;
    assert_rendered("\x1b[31\rab", "ab31");
    assert_rendered("\x1b\ra", "a");
    assert_rendered("\x1b[?m\rabcd", "abcd");
}

static void
test_progress_bars_end_as_their_last_state(void **state)
{
    (void)state;
    assert_rendered("\r  0%|          | 0/2 [00:00<?, ?it/s]"
                    "\r 50%|#####     | 1/2 [00:01<00:01]   "
                    "\r100%|##########| 2/2 [00:02<00:00]   \n",
                    "100%|##########| 2/2 [00:02<00:00]   \n");
    assert_rendered("Epoch 1/1\n"
                    "1/2 [===>....] - 1s\b\b\b\b\b\b\b\b\b\b\b\b\b\b\b\b\b\b\b"
                    "2/2 [=======>] - 2s\n",
                    "Epoch 1/1\n2/2 [=======>] - 2s\n");
}

static void
test_rendering_twice_is_rendering_once(void **state)
{
    static const char *const texts[] = { "abc\rx\n" RED "ab" PLAIN "\b\bc",
                                         RED "abc\r" BLUE "x", "a\r\nb\r", "\b\r\b" };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct buffer once, twice;

        buffer_init(&once, 1000);
        buffer_init(&twice, 1000);
        assert_int_equal(carriage_render(slice_text(texts[i]), &once), 0);
        assert_int_equal(carriage_render(buffer_slice(&once), &twice), 0);
        assert_int_equal(once.length, twice.length);
        if (once.length > 0)
            assert_memory_equal(once.data, twice.data, once.length);
        buffer_fini(&once);
        buffer_fini(&twice);
    }
}

/* Work that grew with the square of the line would not end within a test's time. */
static void
test_a_line_of_ten_megabytes_with_many_returns_is_rendered(void **state)
{
    static const char step[] = "\r" RED "123%" PLAIN " done\b\b\b\b";
    const size_t times = (size_t)10 * 1024 * 1024 / (sizeof step - 1);
    struct buffer text, out;

    (void)state;
    buffer_init(&text, SIZE_MAX);
    buffer_init(&out, 1000);
    for (size_t i = 0; i < times; i++)
        assert_int_equal(buffer_append(&text, step, sizeof step - 1), 0);
    assert_int_equal(carriage_render(buffer_slice(&text), &out), 0);
    assert_true(slice_equals_text(buffer_slice(&out), RED "123%" PLAIN " done"));
    buffer_fini(&text);
    buffer_fini(&out);
}

static void
test_a_long_line_of_text_stays_whole(void **state)
{
    const size_t length = (size_t)4 * 1024 * 1024;
    struct buffer text, out;

    (void)state;
    buffer_init(&text, SIZE_MAX);
    buffer_init(&out, SIZE_MAX);
    assert_int_equal(buffer_reserve(&text, length + 2), 0);
    memset(text.data, 'x', length);
    memcpy(text.data + length, "\ry", 2);
    text.length = length + 2;
    assert_int_equal(carriage_render(buffer_slice(&text), &out), 0);
    assert_int_equal(out.length, length);
    assert_memory_equal(out.data, "yx", 2);
    assert_int_equal(out.data[length - 1], 'x');
    buffer_fini(&text);
    buffer_fini(&out);
}

static void
test_a_full_buffer_is_told(void **state)
{
    static const char *const texts[] = { "abcdef", "abcdef\rx", "abcde\n", RED "\ra" };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct buffer out;

        buffer_init(&out, 5);
        assert_int_equal(carriage_render(slice_text(texts[i]), &out), BUFFER_E_FULL);
        buffer_fini(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_without_returns_stays_as_it_is),
        cmocka_unit_test(test_a_return_before_a_line_end_belongs_to_it),
        cmocka_unit_test(test_what_follows_a_return_replaces_the_line),
        cmocka_unit_test(test_a_return_at_the_end_replaces_nothing),
        cmocka_unit_test(test_a_backspace_goes_one_back_and_not_beyond_the_line),
        cmocka_unit_test(test_a_character_of_many_bytes_is_one_place),
        cmocka_unit_test(test_colours_take_no_place_and_stay_with_their_text),
        cmocka_unit_test(test_every_kind_of_colour_is_kept),
        cmocka_unit_test(test_what_only_looks_like_a_colour_is_text),
        cmocka_unit_test(test_progress_bars_end_as_their_last_state),
        cmocka_unit_test(test_rendering_twice_is_rendering_once),
        cmocka_unit_test(test_a_line_of_ten_megabytes_with_many_returns_is_rendered),
        cmocka_unit_test(test_a_long_line_of_text_stays_whole),
        cmocka_unit_test(test_a_full_buffer_is_told),
    };

    return cmocka_run_group_tests_name("carriage", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "kernel/cli/printable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"

#define ROOM ((size_t)64 * 1024)

/* TEXT through a filter, in pieces of STEP bytes: where a character is not cut. */
static char *
filtered(struct printable filter, const char *text, size_t step)
{
    struct buffer out;
    size_t length = strlen(text);

    buffer_init(&out, ROOM);
    for (size_t at = 0; at < length;) {
        size_t end = at + step < length ? at + step : length;

        while (end < length && (text[end] & 0xc0) == 0x80)
            end++;
        assert_int_equal(
            printable_append(
                &filter, (struct slice){ (const uint8_t *)text + at, end - at }, &out),
            0);
        at = end;
    }
    assert_int_equal(printable_finish(&filter, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    return (char *)out.data;
}

static void
assert_filtered(struct printable filter, const char *text, const char *expected)
{
    for (size_t step = 1; step < 8; step++) {
        CLEANUP(freep) char *out = filtered(filter, text, step);

        assert_string_equal(out, expected);
    }
}

static const struct printable terminal = { .terminal = true, .colours = true };
static const struct printable plain_terminal = { .terminal = true };
static const struct printable colourless_pipe = { 0 };

static void
test_text_and_its_movements_pass(void **state)
{
    static const char *const texts[] = { "", "plain\n", "10%\r20%\b\t|\n",
                                         "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8d",
                                         "\xef\xbf\xbd" };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++)
        assert_filtered(terminal, texts[i], texts[i]);
}

static void
test_colours_pass_and_are_reset_at_the_end(void **state)
{
    (void)state;
    assert_filtered(terminal, "\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m");
    assert_filtered(terminal, "\x1b[38;5;1mred", "\x1b[38;5;1mred\x1b[0m");
    assert_filtered(terminal, "\x1b[4:3mwavy\x1b[m", "\x1b[4:3mwavy\x1b[m");
    assert_filtered(plain_terminal, "\x1b[31mred\x1b[0m", "red");
}

static void
test_sequences_that_a_terminal_obeys_vanish(void **state)
{
    static const char *const texts[] = {
        "a\x1b]0;title\x07z", /* window title */
        "a\x1b]52;c;aGk=\x1b\\z", /* clipboard */
        "a\x1b[6nz", /* cursor report */
        "a\x1b[cz", /* device attributes */
        "a\x1b[2Jz", /* erase */
        "a\x1b[1;1Hz", /* move */
        "a\x1b[?1049hz", /* other screen */
        "a\x1b[>4;1mz", /* looks like a colour */
        "a\x1bPq#0\x1b\\z", /* device control string */
        "a\x1b_Gf=100;AAAA\x1b\\z", /* graphics */
        "a\x1b^private\x1b\\z",
        "a\x1bXstring\x1b\\z",
        "a\033cz", /* reset */
        "a\x1b(0z", /* character set */
        "a\x1b]8;;http://x\x1b\\\x1b]8;;\x1b\\z", /* link */
        "a\xc2\2336nz", /* the same as C1 */
        "a\xc2\2350;title\xc2\x9cz",
        "a\xc2\x90q\xc2\x9cz",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        assert_filtered(terminal, texts[i], "az");
        assert_filtered(plain_terminal, texts[i], "az");
    }
}

static void
test_other_control_characters_become_pictures(void **state)
{
    (void)state;
    assert_filtered(terminal, "\x07\x0b\x0c\x0e\x7f",
                    "\xe2\x90\x87\xe2\x90\x8b\xe2\x90\x8c\xe2\x90\x8e\xe2\x90\xa1");
    assert_filtered(terminal, "\xc2\x85\xc2\x84", "\xef\xbf\xbd\xef\xbf\xbd");
}

static void
test_a_control_character_ends_a_sequence(void **state)
{
    (void)state;
    assert_filtered(terminal, "a\x1b[3\n1mz", "a\n1mz");
    assert_filtered(terminal, "a\x1b[3\x1b[32mz", "a\x1b[32mz\x1b[0m");
    assert_filtered(terminal, "a\x1b]0;t\x1b[32mz", "a\x1b[32mz\x1b[0m");
    assert_filtered(terminal, "a\x1b]0;t\x18z", "az");
    assert_filtered(terminal, "a\x1b", "a");
}

static void
test_an_unended_string_swallows_no_more_than_its_bound(void **state)
{
    char text[PRINTABLE_STRING_BYTES + 64];
    CLEANUP(freep) char *out = NULL;

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "\x1b]", 2);
    memcpy(text + sizeof text - 5, "tail", 5);
    out = filtered(terminal, text, 100);
    assert_true(strlen(out) < 64);
    assert_non_null(strstr(out, "tail"));
}

static void
test_a_colour_longer_than_its_bound_vanishes(void **state)
{
    char text[3 * PRINTABLE_SEQUENCE_BYTES];

    (void)state;
    memset(text, '1', sizeof text);
    memcpy(text, "\x1b[", 2);
    memcpy(text + sizeof text - 3, "mz", 3);
    assert_filtered(terminal, text, "z");
}

static void
test_bytes_that_are_no_characters_are_replaced(void **state)
{
    struct printable filter = terminal;
    CLEANUP(buffer_fini) struct buffer out;

    (void)state;
    buffer_init(&out, ROOM);
    assert_int_equal(
        printable_append(&filter, (struct slice){ (const uint8_t *)"\x9b\xff", 2 }, &out),
        0);
    assert_true(slice_equals_text(buffer_slice(&out), "\xef\xbf\xbd\xef\xbf\xbd"));
}

static void
test_a_pipe_loses_colours_and_nothing_else(void **state)
{
    static const char text[] = "\x1b]0;t\x07\x1b[2J\x1b(0\x9d\x07\x1b[6n\x1b";

    (void)state;
    assert_filtered(colourless_pipe, text, text);
    assert_filtered(colourless_pipe, "\x1b[31mred\x1b[0m\n", "red\n");
    assert_filtered(colourless_pipe, "\x1b[3\n1m", "\x1b[3\n1m");
}

static void
test_a_line_has_no_control_characters(void **state)
{
    CLEANUP(buffer_fini) struct buffer out;

    (void)state;
    buffer_init(&out, ROOM);
    assert_int_equal(printable_append_line(&out, "a\x1b[31m\nb\xc2\x9b\xff\xc3\xa9"), 0);
    assert_true(slice_equals_text(buffer_slice(&out),
                                  "a\xe2\x90\x9b[31m\xe2\x90\x8a"
                                  "b\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9"));
}

static void
test_widths_are_those_of_a_terminal(void **state)
{
    (void)state;
    assert_int_equal(printable_columns("abc"), 3);
    assert_int_equal(printable_columns("e\xcc\x81"), 1);
    assert_int_equal(printable_columns("\xe6\x97\xa5\xe6\x9c\xac"), 4);
    assert_int_equal(printable_columns("\xf0\x9f\x90\x8d"), 2);
    assert_int_equal(printable_width(0x2588), 1); /* of progress bars */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_and_its_movements_pass),
        cmocka_unit_test(test_colours_pass_and_are_reset_at_the_end),
        cmocka_unit_test(test_sequences_that_a_terminal_obeys_vanish),
        cmocka_unit_test(test_other_control_characters_become_pictures),
        cmocka_unit_test(test_a_control_character_ends_a_sequence),
        cmocka_unit_test(test_an_unended_string_swallows_no_more_than_its_bound),
        cmocka_unit_test(test_a_colour_longer_than_its_bound_vanishes),
        cmocka_unit_test(test_bytes_that_are_no_characters_are_replaced),
        cmocka_unit_test(test_a_pipe_loses_colours_and_nothing_else),
        cmocka_unit_test(test_a_line_has_no_control_characters),
        cmocka_unit_test(test_widths_are_those_of_a_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

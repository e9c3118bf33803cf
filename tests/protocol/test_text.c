/* SPDX-License-Identifier: MIT */
#include "protocol/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"

#define R "\xef\xbf\xbd" /* U+FFFD */

struct pair {
    const char *from, *to;
};

static void
assert_appends(int (*append)(struct buffer *, const void *, size_t), const void *data,
               size_t length, const char *expected)
{
    struct buffer buffer;

    buffer_init(&buffer, 1000);
    assert_int_equal(append(&buffer, data, length), 0);
    assert_int_equal(buffer.length, strlen(expected));
    assert_memory_equal(buffer.data != NULL ? buffer.data : (const uint8_t *)"", expected,
                        buffer.length);
    buffer_fini(&buffer);
}

/* A second decoder, written after the definition instead of the table. */
static bool
is_character(uint32_t point, size_t length)
{
    static const uint32_t firsts[] = { 0, 0, 0x80, 0x800, 0x10000 };

    return point >= firsts[length] && point <= 0x10ffff &&
           (point < 0xd800 || point > 0xdfff);
}

static bool
is_one_character(const uint8_t *bytes, size_t length)
{
    static const uint8_t masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    static const uint8_t leads[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
    uint32_t point = bytes[0] & masks[length];

    if ((bytes[0] & ~(unsigned)masks[length]) != leads[length])
        return false;
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return false;
        point = point << 6 | (bytes[i] & 0x3f);
    }
    return is_character(point, length);
}

static void
test_every_sequence_of_two_and_three_bytes_is_judged_by_the_definition(void **state)
{
    uint8_t b[3];

    (void)state;
    for (uint32_t i = 0; i < 1U << 24; i++) {
        bool one, expected;

        b[0] = (uint8_t)(i >> 16), b[1] = (uint8_t)(i >> 8), b[2] = (uint8_t)i;
        one = is_one_character(b, 1);
        expected = is_one_character(b, 3) || (is_one_character(b, 2) && b[2] < 0x80) ||
                   (one && is_one_character(b + 1, 2)) ||
                   (one && b[1] < 0x80 && b[2] < 0x80);
        if (text_is_utf8(b, 3) != expected)
            fail_msg("%02x %02x %02x", b[0], b[1], b[2]);
    }
}

static void
test_four_bytes_reach_to_the_last_code_point(void **state)
{
    (void)state;
    assert_true(text_is_utf8("\xf0\x90\x80\x80", 4));
    assert_true(text_is_utf8("\xf4\x8f\xbf\xbf", 4));
    assert_false(text_is_utf8("\xf0\x8f\xbf\xbf", 4));
    assert_false(text_is_utf8("\xf4\x90\x80\x80", 4));
    assert_false(text_is_utf8("\xf5\x80\x80\x80", 4));
    assert_false(text_is_utf8("\xf0\x9f\x98", 3));
}

static void
test_a_bad_byte_is_found_at_every_offset_of_a_word(void **state)
{
    char text[40];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        memset(text, 'a', sizeof text);
        assert_true(text_is_utf8(text, sizeof text));
        text[i] = '\xff';
        assert_false(text_is_utf8(text, sizeof text));
    }
}

static void
test_character_tells_the_length_of_the_first_one(void **state)
{
    (void)state;
    assert_int_equal(text_utf8_character("a", 1), 1);
    assert_int_equal(text_utf8_character("\xc3\xa4x", 3), 2);
    assert_int_equal(text_utf8_character("\xe2\x82\xac", 3), 3);
    assert_int_equal(text_utf8_character("\xf0\x9f\x98\x80", 4), 4);
    assert_int_equal(text_utf8_character("\xe2\x82", 2), 0);
    assert_int_equal(text_utf8_character("\x80", 1), 0);
    assert_int_equal(text_utf8_character("", 0), 0);
}

static void
test_whole_leaves_an_unfinished_sequence_for_later(void **state)
{
    (void)state;
    assert_int_equal(text_utf8_whole("", 0), 0);
    assert_int_equal(text_utf8_whole("ab", 2), 2);
    assert_int_equal(text_utf8_whole("a\xe2", 2), 1);
    assert_int_equal(text_utf8_whole("a\xe2\x82", 3), 1);
    assert_int_equal(text_utf8_whole("a\xe2\x82\xac", 4), 4);
    assert_int_equal(text_utf8_whole("a\xf0\x9f\x98", 4), 1);
    assert_int_equal(text_utf8_whole("\xf0\x9f", 2), 0);
}

static void
test_whole_does_not_wait_for_what_can_never_be_completed(void **state)
{
    (void)state;
    assert_int_equal(text_utf8_whole("a\xff", 2), 2);
    assert_int_equal(text_utf8_whole("a\x80\x80", 3), 3);
    assert_int_equal(text_utf8_whole("\xe0\x80", 2), 2);
    assert_int_equal(text_utf8_whole("\xed\xa0", 2), 2);
}

static void
test_each_maximal_subpart_becomes_one_replacement(void **state)
{
    static const struct pair pairs[] = {
        { "plain \xc3\xa4", "plain \xc3\xa4" },
        { "\xff", R },
        { "a\xe2\x82z", "a" R "z" },
        { "\xe2\x82", R },
        { "\xed\xa0\x80", R R R },
        { "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", R R R R R R R R "A" },
        { "\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", R R R R R "A" R R "B" },
        { "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(pairs); i++)
        assert_appends(text_append_utf8, pairs[i].from, strlen(pairs[i].from),
                       pairs[i].to);
}

static void
test_json_strings_escape_what_json_needs(void **state)
{
    static const struct pair pairs[] = {
        { "", "\"\"" },
        { "a\"b\\c/", "\"a\\\"b\\\\c/\"" },
        { "\b\t\n\v\f\r", "\"\\b\\t\\n\\u000b\\f\\r\"" },
        { "\x1b[0m\x7f", "\"\\u001b[0m\x7f\"" },
        { "\xe2\x82\xac\xff", "\"\xe2\x82\xac" R "\"" },
        { "\xe2\n\x82", "\"" R "\\n" R "\"" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(pairs); i++)
        assert_appends(text_append_json, pairs[i].from, strlen(pairs[i].from),
                       pairs[i].to);
    assert_appends(text_append_json, "a\0b", 3, "\"a\\u0000b\"");
}

static void
test_a_full_buffer_is_told(void **state)
{
    struct buffer buffer;

    (void)state;
    for (size_t limit = 0; limit < 11; limit++) {
        buffer_init(&buffer, limit);
        assert_int_equal(text_append_json(&buffer,
                                          "a\n\xff"
                                          "bcd",
                                          6),
                         BUFFER_E_FULL);
        buffer_fini(&buffer);
    }
}

static void
test_hex_is_lower_case(void **state)
{
    char hex[9];

    (void)state;
    text_hex(hex, "\x00\x9a\xbc\xff", 4);
    assert_string_equal(hex, "009abcff");
    text_hex(hex, "", 0);
    assert_string_equal(hex, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_every_sequence_of_two_and_three_bytes_is_judged_by_the_definition),
        cmocka_unit_test(test_four_bytes_reach_to_the_last_code_point),
        cmocka_unit_test(test_a_bad_byte_is_found_at_every_offset_of_a_word),
        cmocka_unit_test(test_character_tells_the_length_of_the_first_one),
        cmocka_unit_test(test_whole_leaves_an_unfinished_sequence_for_later),
        cmocka_unit_test(test_whole_does_not_wait_for_what_can_never_be_completed),
        cmocka_unit_test(test_each_maximal_subpart_becomes_one_replacement),
        cmocka_unit_test(test_json_strings_escape_what_json_needs),
        cmocka_unit_test(test_a_full_buffer_is_told),
        cmocka_unit_test(test_hex_is_lower_case),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "protocol/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"

/* RFC 4231; only the first part is used. */
static const struct known {
    const char *key;
    size_t key_length;
    const char *data;
    const char *hex;
} known[] = {
    { "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b",
      20, "Hi There",
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
    { "Jefe", 4, "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
};

static struct signature_key *
key_of(const void *bytes, size_t length)
{
    struct signature_key *key = NULL;
    struct slice slice = { .data = bytes, .length = length };

    assert_int_equal(signature_key_create(&key, slice), 0);
    return key;
}

static void
test_digests_are_those_of_rfc_4231(void **state)
{
    char hex[SIGNATURE_HEX_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(known); i++) {
        struct signature_key *key = key_of(known[i].key, known[i].key_length);
        struct slice parts[SIGNATURE_PARTS] = { slice_text(known[i].data) };

        signature_compute(key, parts, hex);
        assert_string_equal(hex, known[i].hex);
        signature_key_destroy(key);
    }
}

static void
test_a_key_longer_than_a_block_is_hashed_first(void **state)
{
    struct slice parts[SIGNATURE_PARTS] = { slice_text(
        "Test Using Larger Than Block-Size Key - Hash Key First") };
    char bytes[131], hex[SIGNATURE_HEX_BYTES + 1];
    struct signature_key *key;

    (void)state;
    memset(bytes, 0xaa, sizeof bytes);
    key = key_of(bytes, sizeof bytes);
    signature_compute(key, parts, hex);
    assert_string_equal(
        hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    signature_key_destroy(key);
}

static void
test_the_four_parts_are_signed_one_behind_the_other(void **state)
{
    struct slice parts[SIGNATURE_PARTS] = { slice_text("what do "), slice_text("ya want"),
                                            slice_text(""), slice_text(" for nothing?") };
    struct signature_key *key = key_of("Jefe", 4);
    char hex[SIGNATURE_HEX_BYTES + 1];

    (void)state;
    signature_compute(key, parts, hex);
    assert_string_equal(hex, known[1].hex);
    signature_key_destroy(key);
}

static void
test_the_right_signature_verifies_and_gives_its_digest(void **state)
{
    struct slice parts[SIGNATURE_PARTS] = { slice_text(known[1].data) };
    struct signature_key *key = key_of("Jefe", 4);
    uint8_t digest[SIGNATURE_BYTES];

    (void)state;
    assert_int_equal(signature_verify(key, parts, slice_text(known[1].hex), digest), 0);
    assert_memory_equal(digest, "\x5b\xdc\xc1\x46", 4);
    assert_int_equal(signature_verify(key, parts, slice_text(known[1].hex), NULL), 0);
    signature_key_destroy(key);
}

static void
test_one_wrong_digit_anywhere_is_refused(void **state)
{
    struct slice parts[SIGNATURE_PARTS] = { slice_text(known[1].data) };
    struct signature_key *key = key_of("Jefe", 4);
    char hex[SIGNATURE_HEX_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < SIGNATURE_HEX_BYTES; i++) {
        memcpy(hex, known[1].hex, sizeof hex);
        hex[i] = hex[i] == '0' ? '1' : '0';
        assert_int_equal(signature_verify(key, parts, slice_text(hex), NULL),
                         SIGNATURE_E_WRONG);
    }
    signature_key_destroy(key);
}

static void
test_every_other_length_is_refused(void **state)
{
    struct slice parts[SIGNATURE_PARTS] = { slice_text(known[1].data) };
    struct signature_key *key = key_of("Jefe", 4);
    char hex[SIGNATURE_HEX_BYTES + 3];

    (void)state;
    memcpy(hex, known[1].hex, SIGNATURE_HEX_BYTES);
    hex[SIGNATURE_HEX_BYTES] = hex[SIGNATURE_HEX_BYTES + 1] = '\0';
    for (size_t length = 0; length < sizeof hex; length++) {
        struct slice received = { .data = (const uint8_t *)hex, .length = length };
        int expected = length == 0                     ? SIGNATURE_E_MISSING
                       : length == SIGNATURE_HEX_BYTES ? 0
                                                       : SIGNATURE_E_WRONG;

        if (length < sizeof hex - 1)
            assert_int_equal(signature_verify(key, parts, received, NULL), expected);
    }
    signature_key_destroy(key);
}

static void
test_upper_case_is_refused(void **state)
{
    struct slice parts[SIGNATURE_PARTS] = { slice_text(known[1].data) };
    struct signature_key *key = key_of("Jefe", 4);
    char hex[SIGNATURE_HEX_BYTES + 1];

    (void)state;
    memcpy(hex, known[1].hex, sizeof hex);
    hex[1] = 'B';
    assert_int_equal(signature_verify(key, parts, slice_text(hex), NULL),
                     SIGNATURE_E_WRONG);
    signature_key_destroy(key);
}

static void
test_an_empty_key_means_an_empty_signature(void **state)
{
    struct slice parts[SIGNATURE_PARTS] = { slice_text("x") };
    struct signature_key *key = key_of("", 0);
    uint8_t digest[SIGNATURE_BYTES], zeros[SIGNATURE_BYTES] = { 0 };
    char hex[SIGNATURE_HEX_BYTES + 1] = "x";

    (void)state;
    assert_true(signature_key_is_empty(key));
    signature_compute(key, parts, hex);
    assert_string_equal(hex, "");
    assert_int_equal(signature_verify(key, parts, slice_text(""), digest), 0);
    assert_memory_equal(digest, zeros, sizeof zeros);
    assert_int_equal(signature_verify(key, parts, slice_text(known[1].hex), NULL),
                     SIGNATURE_E_WRONG);
    signature_key_destroy(key);
}

static void
test_a_key_has_a_longest_length(void **state)
{
    static const uint8_t bytes[SIGNATURE_KEY_BYTES_MAX + 1];
    struct slice most = { .data = bytes, .length = SIGNATURE_KEY_BYTES_MAX };
    struct slice more = { .data = bytes, .length = SIGNATURE_KEY_BYTES_MAX + 1 };
    struct signature_key *key = NULL;

    (void)state;
    assert_int_equal(signature_key_create(&key, more), SIGNATURE_E_KEY);
    assert_null(key);
    assert_int_equal(signature_key_create(&key, most), 0);
    assert_false(signature_key_is_empty(key));
    signature_key_destroy(key);
    signature_key_destroy(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests_are_those_of_rfc_4231),
        cmocka_unit_test(test_a_key_longer_than_a_block_is_hashed_first),
        cmocka_unit_test(test_the_four_parts_are_signed_one_behind_the_other),
        cmocka_unit_test(test_the_right_signature_verifies_and_gives_its_digest),
        cmocka_unit_test(test_one_wrong_digit_anywhere_is_refused),
        cmocka_unit_test(test_every_other_length_is_refused),
        cmocka_unit_test(test_upper_case_is_refused),
        cmocka_unit_test(test_an_empty_key_means_an_empty_signature),
        cmocka_unit_test(test_a_key_has_a_longest_length),
    };

    return cmocka_run_group_tests_name("signature", tests, NULL, NULL);
}

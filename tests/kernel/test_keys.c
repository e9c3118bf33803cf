/* SPDX-License-Identifier: MIT */
#include "kernel/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "kernel/authorised.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/kernel/keyring.h"

#define ZEROS "0000000000000000000000000000000000000000" /* a key, in Z85 */
#define ONES "0000000000000000000000000000000000000001"

struct fixture {
    struct keyring keyring;
    struct keys *keys;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };

    keyring_init(&f->keyring);
    keyring_authorise(&f->keyring, "ann bob");
    if (keys_create(&f->keys, f->keyring.server, f->keyring.authorised, &err) != 0)
        fail_msg("%s", err.text);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    keys_destroy(f->keys);
    keyring_fini(&f->keyring);
    free(f);
    return 0;
}

static const char *
name_of(struct fixture *f, const char *name)
{
    unsigned char key[KEYS_BINARY_BYTES];

    assert_non_null(zmq_z85_decode(key, keyring_pair(&f->keyring, name)->public_key));
    return keys_name(f->keys, key);
}

static void
expect_refusal(struct fixture *f, const char *told)
{
    struct keys *keys = NULL;
    struct error err = { 0 };

    assert_int_equal(keys_create(&keys, f->keyring.server, f->keyring.authorised, &err),
                     KEYS_E_INVALID);
    assert_null(keys);
    if (strstr(err.text, told) == NULL)
        fail_msg("%s", err.text);
}

static void
test_the_servers_keys_are_those_of_its_file(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(keys_public(f->keys), f->keyring.server_pair.public_key);
    assert_string_equal(keys_secret(f->keys), f->keyring.server_pair.secret_key);
    assert_string_equal(
        keys_message_key(f->keys),
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
}

static void
test_a_key_has_its_name(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(name_of(f, "ann"), "ann");
    assert_string_equal(name_of(f, "bob"), "bob");
    assert_null(name_of(f, "eve"));
    assert_true(keys_is_authorised(f->keys, "ann"));
    assert_false(keys_is_authorised(f->keys, "eve"));
    assert_false(keys_is_authorised(f->keys, ""));
    assert_false(keys_is_authorised(f->keys, "an"));
}

static void
test_a_file_that_changes_is_read_again(void **state)
{
    struct fixture *f = *state;

    keyring_authorise(&f->keyring, "bob");
    assert_null(name_of(f, "ann"));
    keyring_authorise(&f->keyring, "bob eve");
    assert_string_equal(name_of(f, "eve"), "eve");
    assert_false(keys_is_authorised(f->keys, "ann"));
}

/* Of the same size, and within one tick of the file system's clock. */
static void
test_a_change_that_leaves_no_trace_in_size_or_time_is_seen(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 100; i++) {
        keyring_authorise(&f->keyring, i % 2 == 0 ? "ann" : "bob");
        assert_int_equal(name_of(f, "ann") != NULL, i % 2 == 0);
        assert_int_equal(name_of(f, "bob") != NULL, i % 2 != 0);
    }
}

static void
test_a_file_that_is_replaced_is_read_again(void **state)
{
    struct fixture *f = *state;
    char path[128];

    snprintf(path, sizeof path, "%s.new", f->keyring.authorised);
    keyring_write(path, "", 0600);
    assert_int_equal(rename(path, f->keyring.authorised), 0);
    assert_null(name_of(f, "ann"));
}

static void
test_a_file_that_has_become_malformed_changes_nothing(void **state)
{
    struct fixture *f = *state;

    keyring_write(f->keyring.authorised, "ann is welcome\n", 0600);
    assert_string_equal(name_of(f, "ann"), "ann");
    assert_null(name_of(f, "eve"));
    assert_int_equal(chmod(f->keyring.authorised, 0622), 0);
    keyring_write(f->keyring.authorised, "eve " ZEROS "\n", 0622);
    assert_null(name_of(f, "eve")); /* anybody could have written that */
    assert_string_equal(name_of(f, "bob"), "bob");
    keyring_authorise(&f->keyring, "eve");
    assert_string_equal(name_of(f, "eve"), "eve");
    assert_null(name_of(f, "ann"));
}

static void
test_a_file_that_is_gone_authorises_nobody_until_it_is_back(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(unlink(f->keyring.authorised), 0);
    assert_null(name_of(f, "ann"));
    assert_false(keys_is_authorised(f->keys, "ann"));
    keyring_authorise(&f->keyring, "ann");
    assert_string_equal(name_of(f, "ann"), "ann");
}

static void
test_without_a_file_nobody_is_authorised(void **state)
{
    struct fixture *f = *state;
    struct keys *keys = NULL;
    unsigned char key[KEYS_BINARY_BYTES] = { 0 };

    assert_int_equal(keys_create(&keys, f->keyring.server, NULL, NULL), 0);
    assert_null(keys_name(keys, key));
    keys_destroy(keys);
}

static void
test_files_that_others_could_use_are_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chmod(f->keyring.server, 0640), 0);
    expect_refusal(f, "chmod 600");
    assert_int_equal(chmod(f->keyring.server, 0604), 0);
    expect_refusal(f, "chmod 600");
    assert_int_equal(chmod(f->keyring.server, 0600), 0);
    assert_int_equal(chmod(f->keyring.authorised, 0664), 0);
    expect_refusal(f, "chmod go-w");
    assert_int_equal(chmod(f->keyring.authorised, 0644), 0); /* no secrets in it */
    assert_string_equal(name_of(f, "ann"), "ann");
    if (geteuid() == 0) {
        assert_int_equal(chown(f->keyring.authorised, 65534, 65534), 0);
        expect_refusal(f, "another user");
    }
}

static void
test_what_is_no_file_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(unlink(f->keyring.authorised), 0);
    expect_refusal(f, "cannot open");
    assert_int_equal(mkfifo(f->keyring.authorised, 0600), 0); /* nobody writes to it */
    expect_refusal(f, "not a regular file");
}

static void
test_a_servers_file_that_is_not_whole_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct key_pair *a = &f->keyring.server_pair;
    const struct key_pair *b = keyring_pair(&f->keyring, "other");
    static const char key[] =
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const struct {
        const char *public_key, *secret_key, *key, *told;
    } cases[] = {
        { a->public_key, a->secret_key, "00", "64 characters" },
        { a->public_key, a->secret_key, "", "64 characters" },
        { a->public_key, "", key, "secret_key" },
        { "", a->secret_key, key, "public_key" },
        { b->public_key, a->secret_key, key, "belongs to secret_key" },
        { a->public_key, "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", key, "Z85" },
        { a->public_key, a->secret_key,
          "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "hexadecimal" },
    };

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        char text[512];

        snprintf(text, sizeof text,
                 "{\"public_key\": \"%s\", \"secret_key\": \"%s\", \"key\": \"%s\"}",
                 cases[i].public_key, cases[i].secret_key, cases[i].key);
        keyring_write(f->keyring.server, text, 0600);
        expect_refusal(f, cases[i].told);
    }
    keyring_write(f->keyring.server, "[]", 0600);
    expect_refusal(f, f->keyring.server);
    keyring_write(f->keyring.server, "{", 0600);
    expect_refusal(f, f->keyring.server);
}

/* The text of a file of authorised keys */

static int
parse(struct authorised **ret, const char *text, struct error *err)
{
    return authorised_create(ret, slice_text(text), err);
}

static void
test_comments_blanks_and_line_ends_of_all_kinds_do_not_matter(void **state)
{
    struct authorised *authorised;
    const unsigned char key[KEYS_BINARY_BYTES] = { 0 };
    struct error err = { 0 };

    (void)state;
    if (parse(&authorised,
              "# who may\n\n   \t\n  # come in\nann \t " ZEROS "  \r\n\r\nb.-_9 " ONES,
              &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(authorised_count(authorised), 2);
    assert_string_equal(authorised_name(authorised, key), "ann");
    assert_true(authorised_has_name(authorised, "b.-_9"));
    authorised_destroy(authorised);
    assert_int_equal(parse(&authorised, "", &err), 0);
    assert_int_equal(authorised_count(authorised), 0);
    assert_null(authorised_name(authorised, key));
    authorised_destroy(authorised);
}

static void
test_wrong_lines_are_told_by_their_number(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        { "ann\n", "line 1: the key of ann" },
        { "\nann " ZEROS "0\n", "line 2: the key of ann" },
        { "ann 000000000000000000000000000000000000000\n", "line 1: the key of ann" },
        { "ann 000000000000000000000000000000000000000~\n", "line 1: the key of ann" },
        { "ann ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n", "line 1: the key of ann" },
        { "ann " ZEROS " # mine\n", "behind the key" },
        { "a/b " ZEROS "\n", "line 1: a name has" },
        { "\xc3\xa4nn " ZEROS "\n", "line 1: a name has" },
        { "0123456789012345678901234567890123456789012345678901234567890123 " ZEROS "\n",
          "line 1: a name has" },
        { "ann " ZEROS "\n# twice\nann " ONES "\n", "lines 1 and 3 (ann, ann)" },
        { "ann " ZEROS "\nbob " ZEROS "\n", "same key" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct authorised *authorised = NULL;
        struct error err = { 0 };

        assert_int_equal(parse(&authorised, cases[i].text, &err), AUTHORISED_E_INVALID);
        assert_null(authorised);
        if (strstr(err.text, cases[i].told) == NULL)
            fail_msg("%s", err.text);
    }
}

static void
test_a_nul_is_refused(void **state)
{
    static const uint8_t name[] = "a\0n " ZEROS;
    static const uint8_t key[] = "ann 00000000000000000000\0"
                                 "0000000000000000000";
    struct authorised *authorised;

    (void)state;
    assert_int_equal(
        authorised_create(&authorised, (struct slice){ name, sizeof name - 1 }, NULL),
        AUTHORISED_E_INVALID);
    assert_int_equal(
        authorised_create(&authorised, (struct slice){ key, sizeof key - 1 }, NULL),
        AUTHORISED_E_INVALID);
}

static char *
make_lines(size_t count)
{
    char *text = malloc(count * 64 + 1), *end = text;

    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        unsigned char key[KEYS_BINARY_BYTES] = { 0 };
        char z85[KEYS_TEXT_BYTES];

        for (size_t byte = 0; byte < 4; byte++)
            key[byte] = (unsigned char)((i * 2654435761u) >> (8 * byte));
        assert_non_null(zmq_z85_encode(z85, key, sizeof key));
        end += sprintf(end, "client-%zu %s\n", i, z85);
    }
    return text;
}

static void
test_there_are_bounds(void **state)
{
    CLEANUP(freep) char *most = make_lines(AUTHORISED_KEYS_MAX);
    CLEANUP(freep) char *more = make_lines(AUTHORISED_KEYS_MAX + 1);
    CLEANUP(freep) char *blanks = calloc(1, AUTHORISED_BYTES_MAX + 2);
    struct authorised *authorised;
    struct error err = { 0 };

    (void)state;
    if (parse(&authorised, most, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(authorised_count(authorised), AUTHORISED_KEYS_MAX);
    assert_true(authorised_has_name(authorised, "client-0"));
    assert_true(authorised_has_name(authorised, "client-9999"));
    assert_false(authorised_has_name(authorised, "client-10000"));
    authorised_destroy(authorised);
    assert_int_equal(parse(&authorised, more, &err), AUTHORISED_E_INVALID);
    assert_non_null(strstr(err.text, "more than"));
    memset(blanks, '\n', AUTHORISED_BYTES_MAX + 1);
    assert_int_equal(parse(&authorised, blanks, NULL), AUTHORISED_E_INVALID);
    blanks[AUTHORISED_BYTES_MAX] = '\0';
    assert_int_equal(parse(&authorised, blanks, NULL), 0);
    authorised_destroy(authorised);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_servers_keys_are_those_of_its_file),
        TEST(test_a_key_has_its_name),
        TEST(test_a_file_that_changes_is_read_again),
        TEST(test_a_change_that_leaves_no_trace_in_size_or_time_is_seen),
        TEST(test_a_file_that_is_replaced_is_read_again),
        TEST(test_a_file_that_has_become_malformed_changes_nothing),
        TEST(test_a_file_that_is_gone_authorises_nobody_until_it_is_back),
        TEST(test_without_a_file_nobody_is_authorised),
        TEST(test_files_that_others_could_use_are_refused),
        TEST(test_what_is_no_file_is_refused),
        TEST(test_a_servers_file_that_is_not_whole_is_refused),
        cmocka_unit_test(test_comments_blanks_and_line_ends_of_all_kinds_do_not_matter),
        cmocka_unit_test(test_wrong_lines_are_told_by_their_number),
        cmocka_unit_test(test_a_nul_is_refused),
        cmocka_unit_test(test_there_are_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

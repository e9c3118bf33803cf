/* SPDX-License-Identifier: MIT */
#include "protocol/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

static void
assert_refused(const char *content, const char *expected)
{
    struct error err = { 0 };

    if (mime_check_content(slice_text(content), &err) != MIME_E_INVALID)
        fail_msg("%s was taken", content);
    assert_string_equal(err.text, expected);
}

static void
test_types_that_jupyter_knows_are_keys(void **state)
{
    static const char *const keys[] = {
        "text/plain",
        "text/html",
        "image/svg+xml",
        "application/vnd.jupyter.widget-view+json",
        "application/vnd.vegalite.v5+json",
        "x/y",
        "text/x_y",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(keys); i++)
        assert_true(mime_is_key(slice_text(keys[i])));
}

static void
test_what_is_not_type_slash_subtype_is_no_key(void **state)
{
    static const char *const keys[] = {
        "",
        "/",
        "text",
        "text/",
        "/plain",
        "a/b/c",
        "text/a b",
        " text/a",
        "text/a\n",
        "text/html;charset=utf-8",
        "t\xc3\xa4/x",
        "*/*",
        "text\\a",
        "text/plain ",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
        if (mime_is_key(slice_text(keys[i])))
            fail_msg("%s", keys[i]);
    }
    assert_false(mime_is_key((struct slice){ (const uint8_t *)"a/b\0", 4 }));
}

static void
test_bundles_are_taken(void **state)
{
    static const char *const contents[] = {
        "{\"data\":{},\"metadata\":{}}",
        "{\"data\":{\"text/plain\":\"1\"},\"metadata\":{},\"transient\":{}}",
        "{\"transient\":{\"display_id\":\"x\"},\"metadata\":{},\"data\":{\"a\\/b\":1}}",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(contents); i++)
        assert_int_equal(mime_check_content(slice_text(contents[i]), NULL), 0);
}

static void
test_other_contents_are_refused_and_named(void **state)
{
    (void)state;
    assert_refused("[]", "content is not an object");
    assert_refused("{}", "content without data");
    assert_refused("{\"data\":{}}", "content without metadata");
    assert_refused("{\"data\":[],\"metadata\":{}}",
                   "data: expected an object, got an array");
    assert_refused("{\"data\":{},\"metadata\":null}",
                   "metadata: expected an object, got null");
    assert_refused("{\"data\":{},\"metadata\":{},\"transient\":null}",
                   "transient: expected an object, got null");
    assert_refused("{\"data\":{\"text/plain\":\"\",\"x\":1},\"metadata\":{}}",
                   "name 2 in data is not a MIME type");
    assert_refused("{\"data\":{\"a/b\\u0000\":1},\"metadata\":{}}",
                   "name 1 in data is not a MIME type");
}

static void
test_of_two_members_the_last_is_checked(void **state)
{
    (void)state;
    assert_refused("{\"data\":{},\"metadata\":{},\"data\":7}",
                   "data: expected an object, got a number");
}

static void
test_a_key_has_a_longest_length(void **state)
{
    char content[400], key[256];

    (void)state;
    memset(key, 'x', sizeof key);
    for (int length = 253; length <= 254; length++) {
        snprintf(content, sizeof content, "{\"data\":{\"a/%.*s\":1},\"metadata\":{}}",
                 length, key);
        assert_int_equal(mime_check_content(slice_text(content), NULL),
                         length == 253 ? 0 : MIME_E_INVALID);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_that_jupyter_knows_are_keys),
        cmocka_unit_test(test_what_is_not_type_slash_subtype_is_no_key),
        cmocka_unit_test(test_bundles_are_taken),
        cmocka_unit_test(test_other_contents_are_refused_and_named),
        cmocka_unit_test(test_of_two_members_the_last_is_checked),
        cmocka_unit_test(test_a_key_has_a_longest_length),
    };

    return cmocka_run_group_tests_name("mime", tests, NULL, NULL);
}

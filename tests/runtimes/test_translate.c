/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/translate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

/* Asserts that a translation has ended with 0 and led to EXPECTED. */
static void
assert_becomes(int r, struct buffer *out, const char *expected)
{
    assert_int_equal(r, 0);
    assert_int_equal(buffer_append(out, "", 1), 0);
    assert_string_equal((char *)out->data, expected);
    buffer_clear(out, 0);
}

static int
setup(void **state)
{
    static struct buffer out;

    buffer_init(&out, 4096);
    *state = &out;
    return 0;
}

static int
teardown(void **state)
{
    buffer_fini(*state);
    return 0;
}

static void
test_requests_get_jupyters_defaults(void **state)
{
    struct buffer *out = *state;

    assert_becomes(
        translate_request(out, FRAME_EXECUTE_REQUEST,
                          slice_text("{\"code\":\"x\",\"stop_on_error\":true}"), NULL),
        out,
        "{\"code\":\"x\",\"silent\":false,\"store_history\":true,"
        "\"user_expressions\":{},\"allow_stdin\":false,"
        "\"stop_on_error\":false}");
    assert_becomes(translate_request(out, FRAME_COMPLETE_REQUEST,
                                     slice_text("{\"code\":\"\\u00fcx\"}"), NULL),
                   out, "{\"code\":\"\\u00fcx\",\"cursor_pos\":2}");
    assert_becomes(translate_request(out, FRAME_INSPECT_REQUEST,
                                     slice_text("{\"code\":\"x\",\"cursor_pos\":0}"),
                                     NULL),
                   out, "{\"code\":\"x\",\"cursor_pos\":0,\"detail_level\":0}");
}

static void
test_a_silent_run_is_not_stored(void **state)
{
    struct buffer *out = *state;

    assert_becomes(
        translate_request(
            out, FRAME_EXECUTE_REQUEST,
            slice_text("{\"code\":\"\",\"silent\":true,\"store_history\":true}"), NULL),
        out,
        "{\"code\":\"\",\"silent\":true,\"store_history\":false,"
        "\"user_expressions\":{},\"allow_stdin\":false,\"stop_on_error\":false}");
}

static void
test_values_keep_their_bytes(void **state)
{
    struct buffer *out = *state;

    assert_becomes(
        translate_bundle(out,
                         slice_text("{ \"data\" : {\"a/b\": 1E400} ,\"metadata\":"
                                    "{\"x\":\"\\ud800\"},\"execution_count\":9}"),
                         4, NULL),
        out,
        "{\"data\":{\"a/b\": 1E400},\"metadata\":{\"x\":\"\\ud800\"},"
        "\"execution_count\":4}");
}

static void
test_bundles_that_are_none_are_refused(void **state)
{
    struct buffer *out = *state;

    assert_int_equal(
        translate_bundle(out, slice_text("{\"data\":{\"no type\":1}}"), 0, NULL),
        TRANSLATE_E_UNFIT);
    buffer_clear(out, 0);
    assert_int_equal(
        translate_bundle(out, slice_text("{\"data\":{},\"transient\":[]}"), 0, NULL),
        TRANSLATE_E_UNFIT);
}

static void
test_the_servers_execution_count_takes_the_kernels_place(void **state)
{
    struct buffer *out = *state;
    bool ok;

    assert_becomes(
        translate_reply(out, FRAME_EXECUTE_REQUEST,
                        slice_text("{\"status\":\"ok\",\"execution_count\":99,"
                                   "\"execution_count\":98,\"user_expressions\":[]}"),
                        5, &ok, NULL),
        out,
        "{\"execution_count\":5,\"status\":\"ok\",\"user_expressions\":{},"
        "\"payload\":[]}");
    assert_true(ok);
}

static void
test_any_other_status_is_an_error(void **state)
{
    struct buffer *out = *state;
    bool ok;

    assert_becomes(translate_reply(out, FRAME_EXECUTE_REQUEST,
                                   slice_text("{\"status\":\"abort\"}"), 5, &ok, NULL),
                   out,
                   "{\"execution_count\":5,\"status\":\"error\",\"user_expressions\":{},"
                   "\"payload\":[]}");
    assert_false(ok);
    assert_becomes(translate_reply(out, FRAME_IS_COMPLETE_REQUEST,
                                   slice_text("{\"status\":\"incomplete\"}"), 0, &ok,
                                   NULL),
                   out, "{\"status\":\"incomplete\"}");
    assert_true(ok);
}

static void
test_an_error_without_words_gets_some(void **state)
{
    struct buffer *out = *state;

    assert_becomes(translate_error(out, slice_text("{\"ename\":\"E\",\"traceback\":5}"),
                                   false, NULL),
                   out, "{\"ename\":\"E\",\"evalue\":\"\",\"traceback\":[]}");
    assert_becomes(translate_error(out, slice_text("{}"), true, NULL), out,
                   "{\"ename\":\"Interrupted\",\"evalue\":\"the code was interrupted\","
                   "\"traceback\":[\"Interrupted: the code was interrupted\"]}");
}

static void
test_streams_are_decoded(void **state)
{
    struct buffer *out = *state;
    bool is_stderr;

    assert_becomes(translate_stream(out,
                                    slice_text("{\"name\":\"stderr\",\"text\":"
                                               "\"a\\n\\ud800\"}"),
                                    &is_stderr, NULL),
                   out, "a\n\xef\xbf\xbd");
    assert_true(is_stderr);
    assert_int_equal(translate_stream(out, slice_text("{\"text\":[]}"), &is_stderr, NULL),
                     TRANSLATE_E_UNFIT);
}

static void
test_what_is_too_large_is_refused(void **state)
{
    struct buffer small;
    bool ok;

    (void)state;
    buffer_init(&small, 16);
    assert_int_equal(translate_reply(&small, FRAME_EXECUTE_REQUEST,
                                     slice_text("{\"status\":\"ok\"}"), 1, &ok, NULL),
                     TRANSLATE_E_UNFIT);
    buffer_fini(&small);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_requests_get_jupyters_defaults, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_silent_run_is_not_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values_keep_their_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bundles_that_are_none_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_the_servers_execution_count_takes_the_kernels_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_other_status_is_an_error, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_error_without_words_gets_some, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_streams_are_decoded, setup, teardown),
        cmocka_unit_test(test_what_is_too_large_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

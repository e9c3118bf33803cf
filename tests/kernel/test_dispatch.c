/* SPDX-License-Identifier: MIT */
#include "kernel/dispatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/schema.h"

static void
test_interrupt_is_refused_on_shell(void **state)
{
    const struct handler *handler = NULL;

    (void)state;
    assert_int_equal(dispatch_find("interrupt_request", CONNECTION_SHELL, &handler),
                     DISPATCH_E_WRONG_CHANNEL);
    assert_non_null(handler); /* its reply type is known */
    assert_int_equal(dispatch_find("interrupt_request", CONNECTION_CONTROL, &handler), 0);
}

static void
test_execute_is_served_on_shell_alone(void **state)
{
    const struct handler *handler;

    (void)state;
    assert_int_equal(dispatch_find("execute_request", CONNECTION_SHELL, &handler), 0);
    assert_non_null(handler->done);
    assert_int_equal(dispatch_find("execute_request", CONNECTION_CONTROL, &handler),
                     DISPATCH_E_WRONG_CHANNEL);
    assert_int_equal(dispatch_find("execute_request", CONNECTION_STDIN, &handler),
                     DISPATCH_E_WRONG_CHANNEL);
}

static void
test_kernel_info_and_shutdown_are_served_on_both(void **state)
{
    static const char *const types[] = { "kernel_info_request", "shutdown_request" };
    const struct handler *handler;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dispatch_find(types[i], CONNECTION_SHELL, &handler), 0);
        assert_int_equal(dispatch_find(types[i], CONNECTION_CONTROL, &handler), 0);
        assert_null(handler->done);
    }
}

static void
test_unknown_types_have_no_handler(void **state)
{
    static const char *const types[] = { "", "execute", "execute_reply", "input_reply" };
    const struct handler *handler = NULL;

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(dispatch_find(types[i], CONNECTION_SHELL, &handler),
                         DISPATCH_E_UNKNOWN_TYPE);
    assert_null(handler);
}

static void
test_requests_have_a_reply_of_their_name(void **state)
{
    static const char *const types[] = {
        "execute_request",     "complete_request",  "inspect_request",
        "is_complete_request", "comm_info_request", "history_request",
        "usage_request",       "connect_request",   "create_subshell_request",
        "debug_request",
    };

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const struct handler *handler = NULL;
        size_t stem = strlen(types[i]) - strlen("request");

        dispatch_find(types[i], CONNECTION_CONTROL, &handler);
        assert_non_null(handler);
        assert_memory_equal(handler->reply, types[i], stem);
        assert_string_equal(handler->reply + stem, "reply");
        assert_true(schema_knows(types[i]));
    }
}

static void
test_comm_messages_have_no_reply(void **state)
{
    static const char *const types[] = { "comm_open", "comm_msg", "comm_close" };
    const struct handler *handler;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dispatch_find(types[i], CONNECTION_SHELL, &handler), 0);
        assert_null(handler->reply);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interrupt_is_refused_on_shell),
        cmocka_unit_test(test_execute_is_served_on_shell_alone),
        cmocka_unit_test(test_kernel_info_and_shutdown_are_served_on_both),
        cmocka_unit_test(test_unknown_types_have_no_handler),
        cmocka_unit_test(test_requests_have_a_reply_of_their_name),
        cmocka_unit_test(test_comm_messages_have_no_reply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "kernel/comms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"

static int
setup(void **state)
{
    return comms_create((struct comms **)state);
}

static int
teardown(void **state)
{
    comms_destroy(*state);
    return 0;
}

static void
assert_listed(const struct comms *comms, const char *target, const char *expected)
{
    CLEANUP(buffer_fini) struct buffer out;

    buffer_init(&out, 1 << 20);
    assert_int_equal(comms_append(comms, target, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal((const char *)out.data, expected);
}

static void
test_open_comms_are_listed(void **state)
{
    assert_listed(*state, NULL, "{}");
    assert_int_equal(comms_open(*state, "1", "jupyter.widget", NULL), 0);
    assert_listed(*state, NULL, "{\"1\":{\"target_name\":\"jupyter.widget\"}}");
}

static void
test_the_list_can_be_of_one_target(void **state)
{
    assert_int_equal(comms_open(*state, "1", "a", NULL), 0);
    assert_int_equal(comms_open(*state, "2", "b", "m"), 0);
    assert_listed(*state, "b", "{\"2\":{\"target_name\":\"b\",\"target_module\":\"m\"}}");
    assert_listed(*state, "c", "{}");
}

static void
test_closed_comms_are_not_listed(void **state)
{
    assert_int_equal(comms_open(*state, "1", "a", NULL), 0);
    comms_close(*state, "unknown");
    comms_close(*state, "1");
    comms_close(*state, "1");
    assert_listed(*state, NULL, "{}");
    assert_int_equal(comms_count(*state), 0);
}

static void
test_an_id_that_is_opened_again_gets_the_new_target(void **state)
{
    assert_int_equal(comms_open(*state, "1", "a", NULL), 0);
    assert_int_equal(comms_open(*state, "1", "b", NULL), 0);
    assert_listed(*state, NULL, "{\"1\":{\"target_name\":\"b\"}}");
    assert_int_equal(comms_count(*state), 1);
}

static void
test_names_are_escaped(void **state)
{
    assert_int_equal(comms_open(*state, "\"", "a\\b", NULL), 0);
    assert_listed(*state, NULL, "{\"\\\"\":{\"target_name\":\"a\\\\b\"}}");
}

static void
test_their_number_is_bounded(void **state)
{
    char id[32];

    for (int i = 0; i < COMMS_MAX; i++) {
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(comms_open(*state, id, "t", NULL), 0);
    }
    assert_int_equal(comms_open(*state, "one more", "t", NULL), COMMS_E_FULL);
    assert_int_equal(comms_open(*state, "7", "known", NULL), 0);
    while (comms_any(*state) != NULL)
        comms_close(*state, comms_any(*state));
    assert_int_equal(comms_count(*state), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open_comms_are_listed),
        TEST(test_the_list_can_be_of_one_target),
        TEST(test_closed_comms_are_not_listed),
        TEST(test_an_id_that_is_opened_again_gets_the_new_target),
        TEST(test_names_are_escaped),
        TEST(test_their_number_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

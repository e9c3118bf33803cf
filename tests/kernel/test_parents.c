/* SPDX-License-Identifier: MIT */
#include "kernel/parents.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int
setup(void **state)
{
    return parents_create((struct parents **)state);
}

static int
teardown(void **state)
{
    parents_destroy(*state);
    return 0;
}

static struct parent *
add(struct parents *parents, uint64_t number, const char *header)
{
    const struct slice identities[] = { slice_text("client"), slice_text("proxy") };
    const struct origin origin = {
        .channel = CONNECTION_SHELL,
        .identities = identities,
        .identity_count = 2,
        .header = slice_text(header),
    };
    struct parent *parent;

    assert_int_equal(parents_add(parents, number, &origin, slice_text("\"1\""), &parent),
                     0);
    return parent;
}

static void
test_a_request_is_found_with_all_it_came_with(void **state)
{
    const struct parent *parent;

    add(*state, 7, "{\"msg_id\":\"x\"}");
    parent = parents_find(*state, 7);
    assert_non_null(parent);
    assert_int_equal(parent->number, 7);
    assert_int_equal(parent->origin.channel, CONNECTION_SHELL);
    assert_int_equal(parent->origin.identity_count, 2);
    assert_true(slice_equals_text(parent->origin.identities[0], "client"));
    assert_true(slice_equals_text(parent->origin.identities[1], "proxy"));
    assert_true(slice_equals_text(parent->origin.header, "{\"msg_id\":\"x\"}"));
    assert_true(slice_equals_text(parent->code, "\"1\""));
    assert_null(parents_find(*state, 8));
}

static void
test_an_ended_request_is_still_found(void **state)
{
    struct parent *parent = add(*state, 1, "{}");

    assert_int_equal(parents_open_count(*state), 1);
    parents_end(*state, parent);
    assert_int_equal(parents_open_count(*state), 0);
    assert_ptr_equal(parents_find(*state, 1), parent);
    assert_int_equal(parent->code.length, 0);
}

static void
test_the_oldest_ended_requests_are_forgotten(void **state)
{
    add(*state, 1, "{}"); /* never ends */
    for (uint64_t i = 2; i < 2 + PARENTS_ENDED_MAX + 5; i++)
        parents_end(*state, add(*state, i, "{}"));
    assert_non_null(parents_find(*state, 1));
    assert_null(parents_find(*state, 2));
    assert_null(parents_find(*state, 6));
    assert_non_null(parents_find(*state, 7));
    assert_int_equal(parents_open_count(*state), 1);
}

static void
test_their_bytes_are_bounded(void **state)
{
    size_t length = PARENTS_ENDED_BYTES_MAX / 4;
    char *header = malloc(length + 1);

    assert_non_null(header);
    memset(header, 'x', length);
    header[length] = '\0';
    for (uint64_t i = 1; i <= 5; i++)
        parents_end(*state, add(*state, i, header));
    assert_null(parents_find(*state, 2));
    assert_non_null(parents_find(*state, 5));
    free(header);
}

static void
test_numbers_far_apart_do_not_collide(void **state)
{
    add(*state, 5, "first");
    add(*state, 5 + 1024, "second");
    assert_true(slice_equals_text(parents_find(*state, 5)->origin.header, "first"));
    assert_true(
        slice_equals_text(parents_find(*state, 5 + 1024)->origin.header, "second"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_is_found_with_all_it_came_with),
        TEST(test_an_ended_request_is_still_found),
        TEST(test_the_oldest_ended_requests_are_forgotten),
        TEST(test_their_bytes_are_bounded),
        TEST(test_numbers_far_apart_do_not_collide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

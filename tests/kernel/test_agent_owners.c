/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/agent/agent.h"
#include "protocol/cleanup.h"
#include "tests/kernel/desk.h"

#define RATE 10 /* requests in a second */
#define ASKS_MAX 1000

static struct owner *
find(struct desk *desk, const char *name)
{
    struct owner *owner = NULL;

    assert_int_equal(owner_get(&owner, &desk->agent, name), 0);
    return owner;
}

static void
test_an_owner_is_the_same_for_the_same_name_alone(void **state)
{
    struct owner *ann = find(*state, "key:ann"), *bob = find(*state, "key:bob");

    assert_ptr_not_equal(ann, bob);
    assert_ptr_equal(find(*state, "key:ann"), ann);
    assert_ptr_equal(find(*state, "key:bob"), bob);
    assert_ptr_not_equal(find(*state, "key:an"), ann);
    assert_string_equal(ann->name, "key:ann");
}

/* How many requests OWNER may send at once. */
static int
count_asks(struct desk *desk, struct owner *owner, uint64_t *ret_wait_ms)
{
    int count = 0;

    while (count < ASKS_MAX && owner_may_ask(&desk->agent, owner, ret_wait_ms))
        count++;
    return count;
}

static void
ask_for_all(struct desk *desk, void *arg)
{
    struct owner *ann = find(desk, "key:ann");
    uint64_t wait_ms = 0;

    (void)arg;
    assert_int_equal(count_asks(desk, ann, &wait_ms), 2 * RATE);
    assert_in_range(wait_ms, 1, 1000 / RATE + 1);
    assert_int_equal(count_asks(desk, find(desk, "key:bob"), &wait_ms), 2 * RATE);
    ann->tokens_us -= 1000000 / RATE; /* as if it were that long ago */
    assert_int_equal(count_asks(desk, ann, &wait_ms), 1);
    ann->tokens_us -= 1000000 / RATE / 2;
    assert_int_equal(count_asks(desk, ann, &wait_ms), 0);
    assert_in_range(wait_ms, 1, 1000 / RATE / 2 + 1);
    ann->tokens_us -= 1000000;
    assert_int_equal(count_asks(desk, ann, &wait_ms), RATE);
    ann->tokens_us = 0; /* whoever was away for long has no more than that */
    assert_int_equal(count_asks(desk, ann, &wait_ms), 2 * RATE);
}

static void
test_requests_of_an_owner_are_bounded_in_time(void **state)
{
    struct desk *desk = *state;

    desk->bounds.requests_per_second = RATE;
    desk_in_turn(desk, ask_for_all, NULL);
}

static void
test_ids_are_not_to_be_guessed_and_have_room(void **state)
{
    char ids[100][AGENT_ID_BYTES];

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(ids); i++) {
        agent_make_id(ids[i], i % 2 == 0 ? "ctx_" : "run_");
        assert_int_equal(strlen(ids[i]), 24);
        assert_memory_equal(ids[i], i % 2 == 0 ? "ctx_" : "run_", 4);
        assert_int_equal(strspn(ids[i] + 4, "0123456789abcdefghjkmnpqrstvwxyz"), 20);
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(ids[i] + 4, ids[other] + 4);
    }
}

static void
test_contexts_are_found_by_id_and_by_name(void **state)
{
    struct agent_context nameless = { .id = "ctx_1" };
    struct agent_context named = { .id = "ctx_2", .name = "work", .next = &nameless };
    const struct owner owner = { .contexts = &named }, other = { .contexts = NULL };

    (void)state;
    assert_ptr_equal(owner_find_context(&owner, "ctx_1"), &nameless);
    assert_ptr_equal(owner_find_context(&owner, "ctx_2"), &named);
    assert_ptr_equal(owner_find_context(&owner, "work"), &named);
    assert_null(owner_find_context(&owner, ""));
    assert_null(owner_find_context(&owner, "wor"));
    assert_null(owner_find_context(&owner, "ctx_"));
    assert_null(owner_find_context(&other, "ctx_1"));
    named.deleted = true; /* its name is free again */
    assert_null(owner_find_context(&owner, "work"));
    assert_null(owner_find_context(&owner, "ctx_2"));
}

static void
test_runs_are_found_by_id_among_the_owners(void **state)
{
    struct run older = { .id = "run_1" };
    struct run newer = { .id = "run_2", .next_of_owner = &older };
    const struct owner owner = { .runs = &newer }, other = { .runs = NULL };

    (void)state;
    assert_ptr_equal(owner_find_run(&owner, "run_1"), &older);
    assert_ptr_equal(owner_find_run(&owner, "run_2"), &newer);
    assert_null(owner_find_run(&owner, "run_"));
    assert_null(owner_find_run(&owner, ""));
    assert_null(owner_find_run(&other, "run_1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_owner_is_the_same_for_the_same_name_alone),
        TEST(test_requests_of_an_owner_are_bounded_in_time),
        cmocka_unit_test(test_ids_are_not_to_be_guessed_and_have_room),
        cmocka_unit_test(test_contexts_are_found_by_id_and_by_name),
        cmocka_unit_test(test_runs_are_found_by_id_among_the_owners),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

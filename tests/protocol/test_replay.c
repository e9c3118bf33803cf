/* SPDX-License-Identifier: MIT */
#include "protocol/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

/* Digests that differ in their last bytes only, so that all have the same hash. */
static int
add_colliding(struct replay *replay, uint32_t number)
{
    uint8_t digest[SIGNATURE_BYTES] = { 0 };

    memcpy(digest + SIGNATURE_BYTES - sizeof number, &number, sizeof number);
    return replay_add(replay, digest);
}

static int
add_spread(struct replay *replay, uint64_t number)
{
    uint8_t digest[SIGNATURE_BYTES] = { 0 };
    uint64_t hash = number * UINT64_C(0x9e3779b97f4a7c15);

    memcpy(digest, &hash, sizeof hash);
    memcpy(digest + 8, &number, sizeof number);
    return replay_add(replay, digest);
}

static void
test_a_digest_is_taken_once(void **state)
{
    struct replay *replay = NULL;

    (void)state;
    assert_int_equal(replay_create(&replay, REPLAY_CAPACITY), 0);
    assert_int_equal(add_spread(replay, 1), 0);
    assert_int_equal(add_spread(replay, 1), REPLAY_E_SEEN);
    assert_int_equal(add_spread(replay, 2), 0);
    assert_int_equal(add_spread(replay, 1), REPLAY_E_SEEN);
    replay_destroy(replay);
    replay_destroy(NULL);
}

static void
test_the_oldest_is_forgotten_first_and_seeing_does_not_renew(void **state)
{
    struct replay *replay = NULL;

    (void)state;
    assert_int_equal(replay_create(&replay, 3), 0);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(add_spread(replay, i), 0);
    assert_int_equal(add_spread(replay, 1), REPLAY_E_SEEN);
    assert_int_equal(add_spread(replay, 4), 0); /* 1 goes */
    assert_int_equal(add_spread(replay, 2), REPLAY_E_SEEN);
    assert_int_equal(add_spread(replay, 1), 0); /* 2 goes */
    assert_int_equal(add_spread(replay, 3), REPLAY_E_SEEN);
    assert_int_equal(add_spread(replay, 4), REPLAY_E_SEEN);
    assert_int_equal(add_spread(replay, 2), 0);
    replay_destroy(replay);
}

static void
test_a_ring_of_one_remembers_the_last(void **state)
{
    struct replay *replay = NULL;

    (void)state;
    assert_int_equal(replay_create(&replay, 1), 0);
    assert_int_equal(add_spread(replay, 1), 0);
    assert_int_equal(add_spread(replay, 1), REPLAY_E_SEEN);
    assert_int_equal(add_spread(replay, 2), 0);
    assert_int_equal(add_spread(replay, 1), 0);
    replay_destroy(replay);
}

static void
test_equal_hashes_are_told_apart(void **state)
{
    struct replay *replay = NULL;

    (void)state;
    assert_int_equal(replay_create(&replay, 100), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(add_colliding(replay, i), 0);
        assert_int_equal(add_colliding(replay, i > 99 ? i - 99 : 0), REPLAY_E_SEEN);
    }
    replay_destroy(replay);
}

/* Small hashes, so that runs of slots overlap and wrap around; against a plain list. */
static void
test_it_agrees_with_a_list_over_a_long_time(void **state)
{
    enum { CAPACITY = 37, ROUNDS = 200000 };
    struct replay *replay = NULL;
    uint32_t last[CAPACITY], seed = 1;
    size_t count = 0, next = 0;

    (void)state;
    assert_int_equal(replay_create(&replay, CAPACITY), 0);
    for (size_t round = 0; round < ROUNDS; round++) {
        uint8_t digest[SIGNATURE_BYTES] = { 0 };
        bool seen = false;
        uint32_t number;

        seed = seed * 1664525 + 1013904223;
        number = seed >> 16 & 0x7f;
        digest[0] = (uint8_t)(120 + number % 16);
        digest[31] = (uint8_t)number;
        for (size_t i = 0; i < count; i++)
            seen = seen || last[i] == number;
        assert_int_equal(replay_add(replay, digest), seen ? REPLAY_E_SEEN : 0);
        if (seen)
            continue;
        last[next] = number;
        next = (next + 1) % CAPACITY;
        count += count < CAPACITY;
    }
    replay_destroy(replay);
}

static void
test_an_endpoint_remembers_65536_messages(void **state)
{
    struct replay *replay = NULL;

    (void)state;
    assert_int_equal(replay_create(&replay, REPLAY_CAPACITY), 0);
    for (uint64_t i = 0; i < REPLAY_CAPACITY; i++)
        assert_int_equal(add_spread(replay, i), 0);
    for (uint64_t i = 0; i < REPLAY_CAPACITY; i++)
        assert_int_equal(add_spread(replay, i), REPLAY_E_SEEN);
    assert_int_equal(add_spread(replay, REPLAY_CAPACITY), 0);
    assert_int_equal(add_spread(replay, 1), REPLAY_E_SEEN);
    assert_int_equal(add_spread(replay, 0), 0);
    replay_destroy(replay);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_digest_is_taken_once),
        cmocka_unit_test(test_the_oldest_is_forgotten_first_and_seeing_does_not_renew),
        cmocka_unit_test(test_a_ring_of_one_remembers_the_last),
        cmocka_unit_test(test_equal_hashes_are_told_apart),
        cmocka_unit_test(test_it_agrees_with_a_list_over_a_long_time),
        cmocka_unit_test(test_an_endpoint_remembers_65536_messages),
    };

    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}

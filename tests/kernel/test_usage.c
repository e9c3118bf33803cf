/* SPDX-License-Identifier: MIT */
#include "kernel/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/json.h"

static void
test_ticks_are_read_whatever_the_name_is(void **state)
{
    uint64_t ticks;

    (void)state;
    assert_true(
        usage_parse_stat("12 (py) 1 (thon) S 1 12 12 0 -1 4194560 100 0 0 0 30 12 "
                         "0 0 20 0 1 0 500 1 2",
                         &ticks));
    assert_int_equal(ticks, 42);
    assert_false(usage_parse_stat("12 no name", &ticks));
    assert_false(usage_parse_stat("12 (x) S 1", &ticks));
    assert_false(usage_parse_stat("", &ticks));
}

static void
test_host_time_is_busy_or_idle(void **state)
{
    uint64_t busy, total;

    (void)state;
    assert_true(usage_parse_host("cpu  10 1 5 100 20 2 3 4 0 0\n", &busy, &total));
    assert_int_equal(busy, 25);
    assert_int_equal(total, 145);
    assert_false(usage_parse_host("intr 1", &busy, &total));
}

static void
test_memory_is_read_by_name(void **state)
{
    struct usage_memory memory;

    (void)state;
    assert_true(usage_parse_memory("MemTotal:  4 kB\nMemFree: 1 kB\nMemAvailable: 2 kB\n"
                                   "SwapCached: 9 kB\nCached: 3 kB\n",
                                   &memory));
    assert_int_equal(memory.total, 4096);
    assert_int_equal(memory.free, 1024);
    assert_int_equal(memory.available, 2048);
    assert_int_equal(memory.cached, 3072);
    assert_int_equal(memory.slab, 0);
    assert_false(usage_parse_memory("MemFree: 1 kB\n", &memory));
    assert_false(usage_parse_memory("", &memory));
}

static void
test_the_proportional_share_is_not_taken_for_another_line(void **state)
{
    uint64_t bytes;

    (void)state;
    assert_true(usage_parse_pss("Rss: 8 kB\nPss_Dirty: 1 kB\nPss: 5 kB\n", &bytes));
    assert_int_equal(bytes, 5 * 1024);
    assert_false(usage_parse_pss("Rss: 8 kB\n", &bytes));
}

static void
test_our_own_process_has_a_size(void **state)
{
    static const struct json_limits limits = { 1 << 16, 8 };
    CLEANUP(buffer_fini) struct buffer out;
    struct usage usage = { 0 };
    int pids[] = { getpid(), -1 }; /* one that is no process counts nothing */
    int64_t value;

    (void)state;
    buffer_init(&out, 1 << 16);
    assert_int_equal(buffer_append_text(&out, "{"), 0);
    assert_int_equal(usage_append(&usage, pids, 2, 1000000, &out), 0);
    assert_int_equal(buffer_append_text(&out, "}"), 0);
    assert_int_equal(json_scan_object(buffer_slice(&out), &limits, NULL), 0);
    assert_int_equal(json_member_int(buffer_slice(&out), "kernel_memory", &value), 0);
    assert_true(value > 100000);
    assert_int_equal(json_member_int(buffer_slice(&out), "pid", &value), 0);
    assert_int_equal(value, getpid());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticks_are_read_whatever_the_name_is),
        cmocka_unit_test(test_host_time_is_busy_or_idle),
        cmocka_unit_test(test_memory_is_read_by_name),
        cmocka_unit_test(test_the_proportional_share_is_not_taken_for_another_line),
        cmocka_unit_test(test_our_own_process_has_a_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

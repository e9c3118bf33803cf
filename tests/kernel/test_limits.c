/* SPDX-License-Identifier: MIT */
#include "kernel/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define MIB ((uint64_t)1024 * 1024)

static void
test_each_limit_is_taken(void **state)
{
    struct context_limits limits = { 0 };

    (void)state;
    assert_int_equal(limits_parse(&limits,
                                  "memory=2G,cpus=1.5,processes=256,files=1024,file=1G,"
                                  "disk=0.5G,disk-files=20000,tmp=512M,tmp-files=300,"
                                  "output=64K,time=0.25",
                                  NULL),
                     0);
    assert_int_equal(limits.sandbox.memory_bytes, 2048 * MIB);
    assert_int_equal(limits.sandbox.cpu_milli, 1500);
    assert_int_equal(limits.sandbox.processes, 256);
    assert_int_equal(limits.sandbox.open_files, 1024);
    assert_int_equal(limits.sandbox.file_bytes, 1024 * MIB);
    assert_int_equal(limits.disk_bytes, 512 * MIB);
    assert_int_equal(limits.disk_inodes, 20000);
    assert_int_equal(limits.tmp_bytes, 512 * MIB);
    assert_int_equal(limits.tmp_inodes, 300);
    assert_int_equal(limits.output_bytes, 65536);
    assert_int_equal(limits.run_ms, 250);
}

static void
test_limits_become_members_of_the_protocol(void **state)
{
    CLEANUP(tree_decrefp) json_t *members = json_object();
    CLEANUP(tree_decrefp)
    json_t *wanted =
        json_pack("{sI sf sI sI}", "memory_bytes", (json_int_t)64 * 1024 * 1024, "cpus",
                  1.5, "run_ms", (json_int_t)250, "file_bytes", (json_int_t)0);
    struct error err = { 0 };

    (void)state;
    assert_int_equal(
        limits_parse_members(members, "memory=64M,cpus=1.5,time=0.25,file=none", &err),
        0);
    assert_true(json_equal(members, wanted));
    assert_int_equal(limits_parse_members(members, "memory=1,disk=1M", &err),
                     LIMITS_E_INVALID);
    assert_non_null(strstr(err.text, "memory"));
}

static void
test_what_is_not_named_stays(void **state)
{
    struct context_limits limits = { .run_ms = 7, .disk_bytes = 8 };

    (void)state;
    assert_int_equal(limits_parse(&limits, "memory=64M", NULL), 0);
    assert_int_equal(limits.run_ms, 7);
    assert_int_equal(limits.disk_bytes, 8);
}

static void
test_some_can_be_lifted(void **state)
{
    struct context_limits limits = { .run_ms = 7, .sandbox.memory_bytes = 8 };

    (void)state;
    assert_int_equal(limits_parse(&limits, "memory=none,time=none", NULL), 0);
    assert_int_equal(limits.run_ms, 0);
    assert_int_equal(limits.sandbox.memory_bytes, 0);
    assert_int_equal(limits_parse(&limits, "processes=none", NULL), LIMITS_E_INVALID);
}

static void
test_nonsense_is_refused_by_name(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        { "", "NAME=VALUE" },
        { "memory", "NAME=VALUE: 'memory'" },
        { "memory=", "limit memory" },
        { "memory=1M", "limit memory" }, /* no interpreter could start */
        { "memory=-1G", "limit memory" },
        { "memory=1GG", "limit memory" },
        { "memory=1.2.3G", "limit memory" },
        { "memory=99999999999999999999G", "limit memory" },
        { "memory=18446744073709551615T", "limit memory" },
        { "cpus=0", "limit cpus" },
        { "cpus=1.0001", "limit cpus" },
        { "processes=1.5", "limit processes" },
        { "processes=100K", "limit processes" },
        { "time=0x10", "limit time" },
        { "memory=1G,,time=1", "NAME=VALUE" },
        { "colour=1", "no limit 'colour'" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct context_limits limits = { 0 };
        struct error err = { 0 };

        assert_int_equal(limits_parse(&limits, rows[i].text, &err), LIMITS_E_INVALID);
        assert_non_null(strstr(err.text, rows[i].said));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_limit_is_taken),
        cmocka_unit_test(test_limits_become_members_of_the_protocol),
        cmocka_unit_test(test_what_is_not_named_stays),
        cmocka_unit_test(test_some_can_be_lifted),
        cmocka_unit_test(test_nonsense_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

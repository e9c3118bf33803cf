/* SPDX-License-Identifier: MIT */
/* Sandboxes that are made to see whether they can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "contexts/spawner.h"
#include "contexts/tier.h"
#include "protocol/cleanup.h"

struct fixture {
    struct spawner *spawner;
    struct loop *loop;
    bool done, works;
    char missing[ERROR_TEXT_BYTES];
    char output[1024];
};

static int
setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){ 0 };
    assert_int_equal(spawner_create(&fixture.spawner, NULL), 0);
    assert_int_equal(loop_create(&fixture.loop), 0);
    assert_int_equal(spawner_attach(fixture.spawner, fixture.loop), 0);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    spawner_destroy(f->spawner);
    loop_destroy(f->loop);
    return 0;
}

static int
on_tier(const struct tier_report *report, void *arg)
{
    struct fixture *f = arg;

    f->done = true;
    f->works = report->works;
    snprintf(f->missing, sizeof f->missing, "%s", report->missing);
    snprintf(f->output, sizeof f->output, "%.*s", (int)report->output.length,
             (const char *)report->output.data);
    assert_int_equal(report->works, report->remedy == NULL);
    return 0;
}

static void
probe(struct fixture *f, enum sandbox_tier tier, const char *const *program)
{
    struct tier_probe *probe;
    struct error err = { 0 };

    f->done = false;
    if (tier_probe_begin(&probe, f->loop, f->spawner, tier, program, on_tier, f, &err))
        fail_msg("%s", err.text);
    while (!f->done)
        assert_int_equal(loop_wait(f->loop, -1), 0);
}

static void
test_a_tier_that_works_says_so(void **state)
{
    struct fixture *f = *state;

    for (int tier = SANDBOX_TIER_FULL; tier <= SANDBOX_TIER_NESTED; tier++) {
        probe(f, (enum sandbox_tier)tier, NULL);
        if (!f->works)
            fail_msg("%s: %s", tier_name((enum sandbox_tier)tier), f->missing);
        assert_string_equal(f->missing, "");
    }
}

static void
test_what_the_program_prints_is_told(void **state)
{
    static const char *const program[] = { "/usr/bin/id", "-u", NULL };
    struct fixture *f = *state;

    probe(f, SANDBOX_TIER_FULL, program);
    assert_true(f->works);
    assert_true(strlen(f->output) > 1);
    assert_string_not_equal(f->output, "0\n");
}

static void
test_a_program_that_is_not_there_is_told(void **state)
{
    static const char *const program[] = { "/usr/bin/no-such-program", NULL };
    struct fixture *f = *state;

    probe(f, SANDBOX_TIER_NESTED, program);
    assert_false(f->works); /* a source that is asked for must be there */
    assert_non_null(strstr(f->missing, "No such file"));
}

static void
test_probe_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    struct tier_probe *probe;

    assert_int_equal(tier_probe_begin(&probe, f->loop, f->spawner, SANDBOX_TIER_FULL,
                                      NULL, on_tier, f, NULL),
                     0);
    tier_probe_cancel(probe);
    assert_false(f->done);
}

static void
test_refusal_names_the_layer_and_the_remedy(void **state)
{
    const struct tier_report report = { .tier = SANDBOX_TIER_FULL,
                                        .missing = "user ids: Operation not permitted",
                                        .remedy = "allow them" };
    char line[512];

    (void)state;
    tier_refusal(line, sizeof line, &report);
    assert_string_equal(line, "this machine gives no full sandbox: user ids: Operation "
                              "not permitted (allow them); --tier nested accepts a "
                              "weaker one (docs/sandbox.md)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_tier_that_works_says_so),
        TEST(test_what_the_program_prints_is_told),
        TEST(test_a_program_that_is_not_there_is_told),
        TEST(test_probe_can_be_cancelled),
        TEST(test_refusal_names_the_layer_and_the_remedy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

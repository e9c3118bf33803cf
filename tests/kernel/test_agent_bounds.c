/* SPDX-License-Identifier: MIT */
#include "kernel/agent/bounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

static json_t *
load(const char *text)
{
    static const struct json_limits limits = { 1 << 20, 32 };
    json_t *tree = NULL;

    if (tree_load(&tree, slice_text(text), &limits, NULL) != 0)
        fail_msg("not JSON: %s", text);
    return tree;
}

static int
take(struct agent_bounds *bounds, const char *text, struct error *err)
{
    CLEANUP(tree_decrefp) json_t *document = load(text);

    return bounds_take(bounds, document, err);
}

static int
take_limits(struct context_limits *ret, const char *text,
            const struct context_limits *ceilings, const char **ret_high,
            struct error *err)
{
    CLEANUP(tree_decrefp) json_t *limits = load(text);

    return bounds_take_limits(ret, limits, ceilings, ret_high, err);
}

/* Bounds of the service */

static void
test_the_usual_bounds_are_within_what_may_be_configured(void **state)
{
    struct agent_bounds bounds, same;
    CLEANUP(tree_decrefp) json_t *described = NULL;
    struct error err = { 0 };

    (void)state;
    bounds_init(&bounds);
    described = bounds_describe(&bounds);
    assert_int_equal(json_object_del(described, "message_bytes"), 0); /* not to be set */
    bounds_init(&same);
    if (bounds_take(&same, described, &err) != 0)
        fail_msg("%s", err.text);
    assert_memory_equal(&same, &bounds, sizeof bounds);
    assert_false(bounds.network_host);
    assert_true(bounds.contexts_per_owner <= bounds.contexts);
    assert_true(bounds.queue_per_context * 2 <= CONTEXT_QUEUE_MAX);
}

static void
test_a_configuration_changes_what_it_names(void **state)
{
    struct agent_bounds bounds, usual;
    struct error err = { 0 };

    (void)state;
    bounds_init(&bounds);
    bounds_init(&usual);
    assert_int_equal(take(&bounds, "{}", &err), 0);
    assert_memory_equal(&bounds, &usual, sizeof bounds);
    assert_int_equal(
        take(&bounds, "{\"contexts\":1,\"jupyter\":0,\"idle_timeout_s\":0}", &err), 0);
    assert_int_equal(bounds.contexts, 1);
    assert_int_equal(bounds.jupyter, 0);
    assert_int_equal(bounds.idle_timeout_s, 0);
    assert_int_equal(bounds.queue_per_context, usual.queue_per_context);
}

static void
test_bounds_that_make_no_sense_are_refused_by_name(void **state)
{
    static const struct {
        const char *text, *told;
    } rows[] = {
        { "[]", "an object" },
        { "null", "an object" },
        { "{\"context\":1}", "\"context\" is not known" },
        { "{\"network_host\":true}", "\"network_host\" is not known" },
        { "{\"contexts\":0}", "\"contexts\" must be a number from 1 to" },
        { "{\"contexts\":-1}", "\"contexts\"" },
        { "{\"contexts\":1000001}", "\"contexts\"" },
        { "{\"contexts\":1.5}", "\"contexts\"" },
        { "{\"contexts\":\"1\"}", "\"contexts\"" },
        { "{\"contexts\":null}", "\"contexts\"" },
        { "{\"contexts\":99999999999999999999}", "\"contexts\"" },
        { "{\"requests_per_second\":0}", "\"requests_per_second\"" },
        { "{\"results_bytes\":1023}", "\"results_bytes\"" },
        { "{\"log_bytes\":1073741825}", "\"log_bytes\"" },
        { "{\"jupyter\":-1}", "\"jupyter\"" },
        { "{\"idle_timeout_s\":2147483648}", "\"idle_timeout_s\"" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct agent_bounds bounds;
        struct error err = { 0 };

        bounds_init(&bounds);
        assert_int_equal(take(&bounds, rows[i].text, &err), BOUNDS_E_INVALID);
        if (strstr(err.text, rows[i].told) == NULL)
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

/* Limits of a context */

static void
test_limits_change_what_they_name_alone(void **state)
{
    struct context_limits limits = context_limits_of(CONTEXT_PROFILE_AGENT);
    struct context_limits expected = limits;
    struct error err = { 0 };

    (void)state;
    expected.sandbox.memory_bytes = 1 << 20;
    expected.sandbox.cpu_milli = 1500;
    expected.disk_inodes = 7;
    expected.run_ms = 250;
    if (take_limits(&limits,
                    "{\"memory_bytes\":1048576,\"cpus\":1.5,\"disk_files\":7,"
                    "\"run_ms\":250}",
                    NULL, NULL, &err) != 0)
        fail_msg("%s", err.text);
    assert_memory_equal(&limits, &expected, sizeof limits);
}

static void
test_each_limit_can_be_set_and_is_described_as_it_was_set(void **state)
{
    static const char *const names[] = { "memory_bytes", "cpus",       "processes",
                                         "open_files",   "file_bytes", "disk_bytes",
                                         "disk_files",   "tmp_bytes",  "tmp_files",
                                         "output_bytes", "run_ms" };
    struct context_limits limits = context_limits_of(CONTEXT_PROFILE_AGENT);
    CLEANUP(tree_decrefp) json_t *wish = json_object();
    CLEANUP(tree_decrefp) json_t *told = NULL;
    struct error err = { 0 };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(names); i++) {
        int value = 100 + (int)i;

        json_object_set_new(wish, names[i],
                            strcmp(names[i], "cpus") == 0 ? json_real(value / 8.0)
                                                          : json_integer(value));
    }
    assert_int_equal(bounds_take_limits(&limits, wish, NULL, NULL, &err), 0);
    told = bounds_describe_limits(&limits);
    assert_true(json_equal(told, wish));
}

static void
test_thousandths_of_a_cpu_are_exact(void **state)
{
    (void)state;
    for (unsigned milli = 1; milli <= 10000; milli++) {
        struct context_limits limits = { .run_ms = 0 };
        CLEANUP(tree_decrefp) json_t *told = json_object();

        json_object_set_new(told, "cpus", json_real(milli / 1000.0));
        assert_int_equal(bounds_take_limits(&limits, told, NULL, NULL, NULL), 0);
        assert_int_equal(limits.sandbox.cpu_milli, milli);
    }
}

static void
test_limits_that_make_no_sense_are_refused_by_name(void **state)
{
    static const struct {
        const char *text, *told;
    } rows[] = {
        { "[]", "an object" },
        { "{\"memory\":1}", "\"memory\" is no limit" },
        { "{\"memory_bytes\":-1}", "out of bounds" },
        { "{\"output_bytes\":268435457}", "out of bounds" },
        { "{\"memory_bytes\":1.5}", "must be an integer" },
        { "{\"memory_bytes\":\"1G\"}", "must be an integer" },
        { "{\"memory_bytes\":9000000000000001}", "out of bounds" },
        { "{\"memory_bytes\":1e300}", "must be an integer" },
        { "{\"cpus\":\"2\"}", "must be a number" },
        { "{\"cpus\":1e300}", "out of bounds" },
        { "{\"cpus\":-0.5}", "out of bounds" },
        { "{\"cpus\":0.0001}", "must be more than that" },
        { "{\"processes\":0}", "must be more than that" },
        { "{\"disk_bytes\":0}", "must be more than that" },
        { "{\"output_bytes\":0}", "must be more than that" },
        { "{\"run_ms\":null}", "must be an integer" },
        { "{\"run_ms\":true}", "must be an integer" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct context_limits limits = context_limits_of(CONTEXT_PROFILE_AGENT);
        struct error err = { 0 };
        const char *high = NULL;

        assert_int_equal(take_limits(&limits, rows[i].text, NULL, &high, &err),
                         BOUNDS_E_INVALID);
        assert_null(high);
        if (strstr(err.text, rows[i].told) == NULL)
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

static void
test_a_limit_may_reach_its_ceiling_and_not_pass_it(void **state)
{
    struct context_limits limits = context_limits_of(CONTEXT_PROFILE_AGENT);
    struct context_limits ceilings = limits;
    struct error err = { 0 };
    const char *high = NULL;

    (void)state;
    ceilings.sandbox.processes = 10;
    ceilings.sandbox.cpu_milli = 2000;
    assert_int_equal(
        take_limits(&limits, "{\"processes\":10,\"cpus\":2}", &ceilings, &high, &err), 0);
    assert_null(high);
    assert_int_equal(take_limits(&limits, "{\"processes\":11}", &ceilings, &high, &err),
                     BOUNDS_E_INVALID);
    assert_string_equal(high, "processes");
    assert_int_equal(limits.sandbox.processes, 10);
    err = (struct error){ 0 };
    assert_int_equal(take_limits(&limits, "{\"cpus\":2.001}", &ceilings, NULL, &err),
                     BOUNDS_E_INVALID);
    assert_non_null(strstr(err.text, "2000 thousandths"));
}

/* 0 is none: more than any ceiling. */
static void
test_no_limit_at_all_is_above_every_ceiling(void **state)
{
    static const char *const wishes[] = { "{\"memory_bytes\":0}", "{\"cpus\":0}",
                                          "{\"file_bytes\":0}", "{\"run_ms\":0}" };
    struct context_limits ceilings = context_limits_of(CONTEXT_PROFILE_AGENT);

    (void)state;
    ceilings.sandbox.memory_bytes = ceilings.sandbox.cpu_milli = 1000;
    ceilings.sandbox.file_bytes = ceilings.run_ms = 1000;
    for (size_t i = 0; i < N_ELEMENTS(wishes); i++) {
        struct context_limits limits = ceilings;
        const char *high = NULL;

        assert_int_equal(take_limits(&limits, wishes[i], &ceilings, &high, NULL),
                         BOUNDS_E_INVALID);
        assert_non_null(high);
        assert_int_equal(take_limits(&limits, wishes[i], NULL, NULL, NULL), 0);
    }
    ceilings = (struct context_limits){ .run_ms = 0 }; /* and no ceiling is none */
    assert_int_equal(take_limits(&(struct context_limits){ .run_ms = 1 },
                                 "{\"run_ms\":0,\"memory_bytes\":0}", &ceilings, NULL,
                                 NULL),
                     0);
}

static void
test_the_defaults_are_below_the_ceilings(void **state)
{
    struct agent_bounds bounds;
    CLEANUP(tree_decrefp) json_t *defaults = NULL;
    struct context_limits limits = { .run_ms = 0 };
    struct error err = { 0 };

    (void)state;
    bounds_init(&bounds);
    bounds.defaults.run_ms = bounds.ceilings.run_ms; /* none, unless it is asked for */
    defaults = bounds_describe_limits(&bounds.defaults);
    if (bounds_take_limits(&limits, defaults, &bounds.ceilings, NULL, &err) != 0)
        fail_msg("%s", err.text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_usual_bounds_are_within_what_may_be_configured),
        cmocka_unit_test(test_a_configuration_changes_what_it_names),
        cmocka_unit_test(test_bounds_that_make_no_sense_are_refused_by_name),
        cmocka_unit_test(test_limits_change_what_they_name_alone),
        cmocka_unit_test(test_each_limit_can_be_set_and_is_described_as_it_was_set),
        cmocka_unit_test(test_thousandths_of_a_cpu_are_exact),
        cmocka_unit_test(test_limits_that_make_no_sense_are_refused_by_name),
        cmocka_unit_test(test_a_limit_may_reach_its_ceiling_and_not_pass_it),
        cmocka_unit_test(test_no_limit_at_all_is_above_every_ceiling),
        cmocka_unit_test(test_the_defaults_are_below_the_ceilings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

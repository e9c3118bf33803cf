/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/notebook/report.h"
#include "protocol/cleanup.h"
#include "protocol/tree.h"
#include "tests/fault/allocation.h"

static const char *const events[] = {
    "{\"event\":\"begin\",\"notebooks\":[{\"path\":\"a.ipynb\"}]}",
    "{\"event\":\"notebook_begin\",\"path\":\"a.ipynb\",\"kernel\":\"k\"}",
    ("{\"event\":\"cell\",\"path\":\"a.ipynb\",\"cell\":0,\"id\":\"x\",\"line\":3,"
     "\"status\":\"failed\",\"reason\":{\"kind\":\"differs\",\"text\":\"a & b # c\"},"
     "\"traceback\":[\"t\"],\"stderr_tail\":\"s\",\"differences\":[{\"type\":\"stdout\","
     "\"message\":\"m\",\"lines\":[[\"-\",\"a\"],[\"+\",\"b\"]],\"numbers\":["
     "{\"expected\":1.5,\"actual\":2.5,\"distance\":1.0,\"relative\":0.5}]}]}"),
    ("{\"event\":\"notebook\",\"path\":\"a.ipynb\",\"status\":\"failed\","
     "\"notes\":[\"n\"],\"reason\":{\"kind\":\"k\",\"text\":\"t\"}}"),
    "{\"event\":\"cell\",\"path\":\"b.ipynb\",\"status\":\"passed\"}",
    "{\"event\":\"end\",\"status\":\"interrupted\",\"seconds\":1.5}",
};

static const struct report_kind *kind;

static int
swallow(struct slice text, void *arg)
{
    (void)text, (void)arg;
    return 0;
}

static int
feed(void *report, const char *text)
{
    static const struct json_limits limits = { 1 << 20, 64 };
    CLEANUP(tree_decrefp) json_t *event = NULL;
    int r = tree_load(&event, slice_text(text), &limits, NULL);

    return r == 0 ? kind->event(report, event) : r;
}

static int
run_report(void)
{
    const struct report_options options = { .write = swallow };
    void *report = NULL;
    int r = kind->create(&report, &options);

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(events); i++)
        r = feed(report, events[i]);
    kind->destroy(report);
    return r;
}

static void
test_reports_for_machines_survive_every_failing_allocation(void **state)
{
    static const struct report_kind *const kinds[] = { &report_jsonl, &report_junit,
                                                       &report_tap, &report_github };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
        kind = kinds[i];
        allocation_fail_each(run_report, false);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reports_for_machines_survive_every_failing_allocation),
    };

    allocation_hook_jansson();
    return cmocka_run_group_tests_name("fault_reports", tests, NULL, NULL);
}

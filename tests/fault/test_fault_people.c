/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/cli/screen.h"
#include "kernel/notebook/durations.h"
#include "kernel/notebook/report.h"
#include "protocol/cleanup.h"
#include "protocol/tree.h"
#include "tests/fault/allocation.h"

static const char *const events[] = {
    "{\"event\":\"begin\",\"jobs\":2,\"notebooks\":[{\"path\":\"a.ipynb\"},{}]}",
    ("{\"event\":\"progress\",\"done\":0.5,\"left_seconds\":3,\"running\":"
     "[{\"path\":\"a.ipynb\",\"cell\":1,\"cells\":2}]}"),
    ("{\"event\":\"cell\",\"path\":\"a.ipynb\",\"cell\":0,\"id\":\"x\",\"line\":3,"
     "\"status\":\"failed\",\"reason\":{\"kind\":\"differs\",\"text\":\"a & b\"},"
     "\"source\":\"one\\n\\ttwo\",\"traceback\":[\"\\u001b[31mt\\u001b[0m\"],"
     "\"stderr_tail\":\"s\",\"differences\":[{\"type\":\"stdout\",\"message\":\"m\","
     "\"lines\":[[\"-\",\"a b\"],[\"+\",\"b b\"],[\".\",\"3\"]],\"numbers\":["
     "{\"expected\":1.5,\"actual\":2.5,\"distance\":1.0,\"relative\":0.5}],"
     "\"rules\":[{\"pattern\":\"p\",\"replace\":\"r\"}]},"
     "{\"type\":\"text/html\",\"policy\":\"html\",\"actual\":\"<p>\\n  <b>x\"},"
     "{\"type\":\"image/svg+xml\",\"policy\":\"svg\",\"actual\":\"<svg>\"},"
     "{\"type\":\"image/png\",\"image\":{\"expected\":\"/proc/self/exe\",\"rms\":3}}]}"),
    "{\"event\":\"cell\",\"path\":\"a.ipynb\",\"cell\":1,\"status\":\"passed\"}",
    ("{\"event\":\"notebook\",\"path\":\"a.ipynb\",\"status\":\"failed\","
     "\"notes\":[\"n\"],\"pending\":\"p\",\"reason\":{\"text\":\"t\"}}"),
    "{\"event\":\"end\",\"status\":\"failed\",\"seconds\":1.5,\"accept\":\"command\"}",
};

static char durations_file[] = "/tmp/test_fault_people_XXXXXX";

static int
swallow(struct slice text, void *arg)
{
    (void)text, (void)arg;
    return 0;
}

static int
swallow_stream(enum screen_stream stream, struct slice text, void *arg)
{
    (void)stream;
    return swallow(text, arg);
}

static int
feed(const struct report_kind *kind, void *report, const char *text)
{
    static const struct json_limits limits = { 1 << 20, 64 };
    CLEANUP(tree_decrefp) json_t *event = NULL;
    int r = tree_load(&event, slice_text(text), &limits, NULL);

    return r == 0 ? kind->event(report, event) : r;
}

static int
run(const struct report_kind *kind, struct screen *screen)
{
    const struct report_options options = { .write = swallow,
                                            .screen = screen,
                                            .verbose = true };
    void *report = NULL;
    int r = kind->create(&report, &options);

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(events); i++)
        r = feed(kind, report, events[i]);
    kind->destroy(report);
    return r;
}

static int
run_text(void)
{
    const struct screen_options options = { .is_terminal = { true, true },
                                            .can_move = true,
                                            .colours = true,
                                            .columns = 150,
                                            .rows = 40,
                                            .write = swallow_stream };
    struct screen screen;
    int r;

    screen_init(&screen, &options);
    r = run(&report_text, &screen);
    screen_fini(&screen);
    return r;
}

static int
run_html(void)
{
    return run(&report_html, NULL);
}

static int
run_durations(void)
{
    struct durations *durations = NULL;
    int r = durations_read(&durations, durations_file);

    if (r == 0)
        r = durations_add(durations, "/a.ipynb", 1.5);
    if (r == 0)
        r = durations_add(durations, "/b.ipynb", 2.5);
    if (r == 0)
        durations_save(durations);
    durations_destroy(durations);
    return r;
}

static void
test_the_report_for_a_person_survives_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_text, false);
}

static void
test_the_page_survives_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_html, false);
}

static void
test_durations_survive_every_failing_allocation(void **state)
{
    int fd = mkstemp(durations_file);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(run_durations(), 0); /* there is something to read */
    allocation_fail_each(run_durations, true);
    assert_int_equal(unlink(durations_file), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_report_for_a_person_survives_every_failing_allocation),
        cmocka_unit_test(test_the_page_survives_every_failing_allocation),
        cmocka_unit_test(test_durations_survive_every_failing_allocation),
    };

    allocation_hook_jansson();
    return cmocka_run_group_tests_name("fault_people", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/file.h"
#include "kernel/notebook/directives.h"
#include "kernel/notebook/matching.h"
#include "kernel/notebook/outputs.h"
#include "kernel/notebook/project.h"
#include "protocol/cleanup.h"
#include "protocol/frame.h"
#include "protocol/notebook.h"
#include "protocol/tree.h"
#include "tests/fault/allocation.h"

static char folder[64], path[128], rules[128];

static int
add(struct outputs *outputs, size_t cell, enum frame_type type, const char *content)
{
    const struct frame frame = { .type = type, .content = slice_text(content) };

    return outputs_add_frame(outputs, cell, &frame);
}

#define SHOWN "{\"data\":{\"text/plain\":\"1\"},\"transient\":{\"display_id\":\"x\"}}"

static int
run_outputs(void)
{
    CLEANUP(outputs_destroyp) struct outputs *outputs = NULL;
    struct buffer out;
    int r = outputs_create(&outputs, 2);

    buffer_init(&out, 10000);
    if (r == 0)
        r = outputs_add_text(outputs, 0, false, slice_text("a\rb"));
    if (r == 0)
        r = add(outputs, 0, FRAME_DISPLAY_DATA, SHOWN);
    if (r == 0)
        r = add(outputs, 1, FRAME_EXECUTE_RESULT, SHOWN);
    if (r == 0)
        r = add(outputs, 1, FRAME_UPDATE_DISPLAY_DATA, SHOWN);
    if (r == 0)
        r = add(outputs, 1, FRAME_ERROR, "{\"ename\":\"E\",\"evalue\":\"v\"}");
    if (r == 0)
        r = outputs_append(outputs, 0, &out);
    if (r == 0)
        r = outputs_append(outputs, 1, &out);
    buffer_fini(&out);
    return r;
}

static int
run_directives(void)
{
    CLEANUP(directives_fini) struct directives directives = { 0 };
    CLEANUP(tree_decrefp) json_t *notes = json_array();
    const struct notebook_cell cell = {
        .type = NOTEBOOK_CODE,
        .metadata = slice_text("{\"tags\":[\"nbval-check-output\",\"cellwall-rtol=2\","
                               "\"cellwall-only=text/plain\"],\"cellwall\":{\"types\":"
                               "{\"a/b\":\"exact\"}}}"),
        .source =
            slice_text("# NBVAL_IGNORE_OUTPUT\n# cellwall: ignore=stderr timeout=3"),
    };

    if (notes == NULL)
        return -ENOMEM;
    return directives_read(&directives, &cell, "python", notes, NULL);
}

static int
run_project(void)
{
    CLEANUP(project_destroyp) struct project *project = NULL;
    CLEANUP(tree_decrefp) json_t *settings = NULL;
    int r = project_read(&project, path, NULL);

    if (r != 0)
        return r;
    settings = project_settings(project, path);
    return settings != NULL ? project_add_sanitize_file(settings, rules, NULL) : -ENOMEM;
}

static int
run_matching(void)
{
    struct notebook_cell cells[] = {
        { .type = NOTEBOOK_CODE, .source = slice_text("a") },
        { .type = NOTEBOOK_CODE, .source = slice_text("b"), .id = slice_text("i") },
    };
    const struct notebook one = { .cells = cells, .cell_count = 2 };
    const struct notebook other = { .cells = cells, .cell_count = 1 };
    CLEANUP(matching_fini) struct matching matching = { 0 };

    return matching_create(&matching, &one, &other);
}

static void
test_outputs_survive_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_outputs, false);
}

static void
test_directives_survive_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_directives, false);
}

static void
test_settings_survive_every_failing_allocation(void **state)
{
    static const char members[] =
        "{\"rtol\":1,\"sanitize\":[{\"pattern\":\"b\","
        "\"replace\":\"\"}],\"types\":{\"a/b\":\"text\"},\"exclude\":[\"a\"],"
        "\"notebooks\":{\"*\":{\"rtol\":2,\"types\":{\"c/d\":{\"rms\":1}}}}}";

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/cellwall-fault-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/" PROJECT_FILE, folder);
    snprintf(rules, sizeof rules, "%s/rules", folder);
    assert_int_equal(file_write(path, slice_text(members), 0600, NULL), 0);
    assert_int_equal(file_write(rules, slice_text("regex: a\nreplace: b\n"), 0600, NULL),
                     0);
    allocation_fail_each(run_project, false);
    assert_int_equal(unlink(rules), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void
test_matching_survives_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_matching, false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_survive_every_failing_allocation),
        cmocka_unit_test(test_directives_survive_every_failing_allocation),
        cmocka_unit_test(test_settings_survive_every_failing_allocation),
        cmocka_unit_test(test_matching_survives_every_failing_allocation),
    };

    allocation_hook_jansson();
    return cmocka_run_group_tests_name("fault_gathering", tests, NULL, NULL);
}

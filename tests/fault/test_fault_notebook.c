/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/file.h"
#include "kernel/notebook/pending.h"
#include "protocol/carriage.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/notebook.h"
#include "tests/fault/allocation.h"

#define STREAM "{\"output_type\":\"stream\",\"text\":\"a\\nb\"}"
#define BOOK(outputs)                                                                    \
    "{\"cells\":[{\"cell_type\":\"markdown\",\"source\":[\"a\\n\",\"b\"]},"              \
    "{\"cell_type\":\"code\",\"id\":\"x\",\"source\":\"1\",\"outputs\":" outputs         \
    "}],\"nbformat\":4}"
#define SHOWN                                                                            \
    "[" STREAM ",{\"output_type\":\"display_data\",\"data\":{\"text/plain\":\"a\","      \
    "\"image/png\":[\"a\",\"b\"],\"application/json\":{\"b\":[1,{}],\"a\":2}}}]"

static char folder[64], path[128], pending[128];

static int
run_render(void)
{
    struct buffer out;
    int r;

    buffer_init(&out, 10000);
    r = carriage_render(slice_text("a\nab\x1b[31mc\rd\x1b[0m\be\n"), &out);
    buffer_fini(&out);
    return r;
}

static int
run_read_old(void)
{
    CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;

    return notebook_read(
        &notebook,
        slice_text("{\"nbformat\":3,\"worksheets\":[{\"cells\":["
                   "{\"cell_type\":\"heading\",\"source\":\"a\"},"
                   "{\"cell_type\":\"code\",\"input\":\"a\",\"outputs\":["
                   "{\"output_type\":\"pyout\",\"text\":\"1\",\"json\":\"[1]\"}]}]}]}"),
        NULL);
}

static int
run_rewrite(void)
{
    const struct notebook_change change = { .cell = 1,
                                            .outputs = slice_text(SHOWN),
                                            .execution_count = 1 };
    CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
    struct buffer out;
    int r;

    buffer_init(&out, 10000);
    r = notebook_read(&notebook, slice_text(BOOK("[" STREAM "]")), NULL);
    if (r == 0)
        r = notebook_append_outputs(&notebook->cells[1], &out);
    if (r == 0)
        r = notebook_rewrite(notebook, &change, 1, &out, NULL);
    buffer_fini(&out);
    return r;
}

static int
run_accept(void)
{
    struct pending_accepted accepted;

    assert_int_equal(file_write(path, slice_text(BOOK("[]")), 0600, NULL), 0);
    assert_int_equal(file_write(pending, slice_text(BOOK(SHOWN)), 0600, NULL), 0);
    return pending_accept(path, NULL, &accepted, NULL);
}

static void
test_rendering_survives_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_render, false);
}

static void
test_notebooks_survive_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_read_old, false);
    allocation_fail_each(run_rewrite, false);
}

static void
test_acceptance_survives_every_failing_allocation(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/cellwall-fault-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.ipynb", folder);
    snprintf(pending, sizeof pending, "%s/a.pending.ipynb", folder);
    allocation_fail_each(run_accept, false);
    assert_int_equal(access(pending, F_OK), -1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rendering_survives_every_failing_allocation),
        cmocka_unit_test(test_notebooks_survive_every_failing_allocation),
        cmocka_unit_test(test_acceptance_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("fault_notebook", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * What a program in a real sandbox is answered by each system call that is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"

#define OUTPUT_BYTES_MAX ((size_t)64 * 1024)

static const char *const expected[] = {
#define CALL(name, error) #name " " #error,
#include "tests/sandbox/calls.def"
#undef CALL
};

static void
test_each_refused_call_answers_as_the_table_says(void **state)
{
    static const char *const argv[] = { "/probe", "calls", NULL };
    struct buffer output;
    struct box_spec box;
    char workspace[64];
    size_t bad = 0;
    int status;

    (void)state;
    buffer_init(&output, OUTPUT_BYTES_MAX);
    box_make_workspace(workspace);
    box_spec_init(&box, workspace, argv);
    status = box_run(&box.spec, &output);
    for (size_t i = 0; i < N_ELEMENTS(expected); i++) {
        if (box_has_line(&output, expected[i]))
            continue;
        print_error("not '%s'\n", expected[i]);
        bad++;
    }
    if (bad > 0 || status != 0)
        print_error("%.*s", (int)output.length, (char *)output.data);
    assert_int_equal(status, 0);
    assert_int_equal(bad, 0);
    box_spec_fini(&box);
    box_remove_workspace(workspace);
    buffer_fini(&output);
}

int
main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_refused_call_answers_as_the_table_says),
    };
    int r = box_become(argc, argv);

    return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}

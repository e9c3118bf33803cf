/* SPDX-License-Identifier: MIT */
#include "kernel/handlers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "kernel/kernel.h"
#include "protocol/cleanup.h"
#include "protocol/json.h"

static const struct kernel_options options = { .die_with_child = false };

/* The text of ename, evalue and traceback. The caller frees it. */
static char *
describe(const struct kernel *kernel, uint64_t next_epoch,
         const struct context_reason *reason)
{
    static const struct json_limits limits = { 1 << 20, 8 };
    CLEANUP(loss_fini) struct loss loss;
    struct buffer out;

    assert_int_equal(loss_init(&loss, loss_outlook_of(kernel), reason, next_epoch), 0);
    buffer_init(&out, 1 << 20);
    assert_int_equal(buffer_append_text(&out, "{"), 0);
    assert_int_equal(loss_append(&loss, &out), 0);
    assert_int_equal(buffer_append_text(&out, "}"), 0);
    assert_int_equal(json_scan_object(buffer_slice(&out), &limits, NULL), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    return (char *)out.data;
}

static void
assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no %s in %s", part, text);
}

static void
test_a_segmentation_fault_is_called_that(void **state)
{
    struct kernel kernel = { .options = &options };
    CLEANUP(freep)
    char *text =
        describe(&kernel, 2,
                 &(struct context_reason){ .kind = CONTEXT_REASON_CRASHED,
                                           .signal = SIGSEGV,
                                           .exit_status = -1,
                                           .state_lost = true,
                                           .text = "the interpreter died by signal 11" });

    (void)state;
    assert_has(text, "\"ename\":\"SegmentationFault\"");
    assert_has(text, "\"evalue\":\"the interpreter died by signal 11\"");
    assert_has(text, "A fresh interpreter (epoch 2) takes over");
}

static void
test_the_last_lines_of_stderr_are_quoted(void **state)
{
    struct kernel kernel = { .options = &options };
    CLEANUP(freep)
    char *text =
        describe(&kernel, 2,
                 &(struct context_reason){ .kind = CONTEXT_REASON_CRASHED,
                                           .text = "x",
                                           .stderr_tail = "first \"line\"\nsecond\n" });

    (void)state;
    assert_has(text, "\"  first \\\"line\\\"\",\"  second\"");
}

static void
test_a_stderr_of_one_very_long_line_is_cut(void **state)
{
    struct kernel kernel = { .options = &options };
    CLEANUP(freep) char *tail = calloc(1, 4 * CONTEXT_STDERR_TAIL_BYTES);
    CLEANUP(freep) char *text = NULL;

    (void)state;
    memset(tail, 'x', 4 * CONTEXT_STDERR_TAIL_BYTES - 1);
    text = describe(
        &kernel, 2,
        &(struct context_reason){ .kind = CONTEXT_REASON_CRASHED, .stderr_tail = tail });
    assert_has(text, "KernelDied");
}

static void
test_memory_is_told_with_its_peak(void **state)
{
    struct kernel kernel = { .options = &options };
    CLEANUP(freep)
    char *text =
        describe(&kernel, 2,
                 &(struct context_reason){ .kind = CONTEXT_REASON_MEMORY,
                                           .peak_bytes = (uint64_t)300 << 20,
                                           .text = "it used more than 256 MiB" });

    (void)state;
    assert_has(text, "\"ename\":\"OutOfMemory\"");
    assert_has(text, "(peak 300 MiB)");
}

static void
test_the_outlook_is_what_will_happen(void **state)
{
    const struct kernel_options dying = { .die_with_child = true };
    struct kernel kernel = { .options = &dying };
    CLEANUP(freep)
    char *ends =
        describe(&kernel, 2, &(struct context_reason){ .kind = CONTEXT_REASON_CRASHED });
    CLEANUP(freep) char *starts = NULL;

    (void)state;
    assert_has(ends, "The kernel ends with it");
    kernel.options = &options;
    starts =
        describe(&kernel, 0, &(struct context_reason){ .kind = CONTEXT_REASON_START });
    assert_has(starts, "\"ename\":\"KernelStartFailed\"");
    assert_has(starts, "The next cell tries to start it again");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_segmentation_fault_is_called_that),
        cmocka_unit_test(test_the_last_lines_of_stderr_are_quoted),
        cmocka_unit_test(test_a_stderr_of_one_very_long_line_is_cut),
        cmocka_unit_test(test_memory_is_told_with_its_peak),
        cmocka_unit_test(test_the_outlook_is_what_will_happen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "contexts/sandbox/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct slice
packet(const uint8_t *data)
{
    return (struct slice){ .data = data, .length = CONTROL_BYTES };
}

static void
test_a_report_survives_the_journey(void **state)
{
    const struct control_report reports[] = {
        { .kind = CONTROL_STARTED, .pid = 2 },
        { .kind = CONTROL_FAILED, .error = 13, .step = "mount /usr" },
        { .kind = CONTROL_EXITED,
          .pid = 2,
          .status = 0x8b,
          .user_us = UINT64_MAX,
          .system_us = 1234567890123,
          .peak_bytes = 1 },
        { .kind = CONTROL_EXITED, .pid = -1, .status = -1, .error = -1 },
    };
    struct control_report back;
    uint8_t data[CONTROL_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        control_report_encode(data, &reports[i]);
        assert_true(control_report_decode(&back, packet(data)));
        assert_int_equal(back.kind, reports[i].kind);
        assert_int_equal(back.pid, reports[i].pid);
        assert_int_equal(back.status, reports[i].status);
        assert_int_equal(back.error, reports[i].error);
        assert_true(back.user_us == reports[i].user_us);
        assert_true(back.system_us == reports[i].system_us);
        assert_true(back.peak_bytes == reports[i].peak_bytes);
        assert_string_equal(back.step, reports[i].step);
    }
}

static void
test_a_long_step_is_cut_and_ended(void **state)
{
    struct control_report report = { .kind = CONTROL_FAILED }, back;
    uint8_t data[CONTROL_BYTES];

    (void)state;
    memset(report.step, 'x', sizeof report.step);
    control_report_encode(data, &report);
    assert_true(control_report_decode(&back, packet(data)));
    assert_int_equal(strlen(back.step), CONTROL_STEP_BYTES - 1);
}

static void
test_a_command_survives_the_journey(void **state)
{
    struct control_command command = { .kind = CONTROL_SIGNAL, .signal = 2 }, back;
    uint8_t data[CONTROL_BYTES];

    (void)state;
    control_command_encode(data, &command);
    assert_true(control_command_decode(&back, packet(data)));
    assert_int_equal(back.kind, CONTROL_SIGNAL);
    assert_int_equal(back.signal, 2);
    command.kind = CONTROL_KILL_ALL;
    control_command_encode(data, &command);
    assert_true(control_command_decode(&back, packet(data)));
    assert_int_equal(back.kind, CONTROL_KILL_ALL);
}

static void
test_a_report_is_no_command_and_a_command_no_report(void **state)
{
    struct control_report report = { .kind = CONTROL_STARTED };
    struct control_command command = { .kind = CONTROL_SIGNAL };
    uint8_t data[CONTROL_BYTES];

    (void)state;
    control_report_encode(data, &report);
    assert_false(control_command_decode(&command, packet(data)));
    command.kind = CONTROL_SIGNAL;
    control_command_encode(data, &command);
    assert_false(control_report_decode(&report, packet(data)));
}

static void
test_other_lengths_are_no_messages(void **state)
{
    struct control_report report = { .kind = CONTROL_STARTED };
    struct control_command command;
    uint8_t data[CONTROL_BYTES + 1] = { 0 };

    (void)state;
    control_report_encode(data, &report);
    for (size_t length = 0; length <= sizeof data; length++) {
        struct slice slice = { .data = data, .length = length };

        assert_true(control_report_decode(&report, slice) == (length == CONTROL_BYTES));
        assert_false(control_command_decode(&command, slice));
    }
}

static void
test_padding_and_unknown_kinds_are_no_messages(void **state)
{
    struct control_report report = { .kind = CONTROL_FAILED, .step = "pivot" };
    struct control_command command = { .kind = CONTROL_KILL_ALL };
    uint8_t data[CONTROL_BYTES];
    static const size_t report_bytes[] = { 0, 3, 5, 7, 20, 60, 143, 144, 191 };
    static const size_t command_bytes[] = { 0, 3, 5, 7, 12, 100, 191 };

    (void)state;
    for (size_t i = 0; i < sizeof report_bytes / sizeof *report_bytes; i++) {
        control_report_encode(data, &report);
        data[report_bytes[i]] ^= 0x40;
        assert_false(control_report_decode(&report, packet(data)));
    }
    for (size_t i = 0; i < sizeof command_bytes / sizeof *command_bytes; i++) {
        control_command_encode(data, &command);
        data[command_bytes[i]] ^= 0x40;
        assert_false(control_command_decode(&command, packet(data)));
    }
}

static void
test_a_step_without_end_is_no_report(void **state)
{
    struct control_report report = { .kind = CONTROL_FAILED };
    uint8_t data[CONTROL_BYTES];

    (void)state;
    control_report_encode(data, &report);
    memset(data + 48, 'x', CONTROL_STEP_BYTES);
    assert_false(control_report_decode(&report, packet(data)));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_report_survives_the_journey),
        cmocka_unit_test(test_a_long_step_is_cut_and_ended),
        cmocka_unit_test(test_a_command_survives_the_journey),
        cmocka_unit_test(test_a_report_is_no_command_and_a_command_no_report),
        cmocka_unit_test(test_other_lengths_are_no_messages),
        cmocka_unit_test(test_padding_and_unknown_kinds_are_no_messages),
        cmocka_unit_test(test_a_step_without_end_is_no_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "contexts/sandbox/control.h"
#include "tests/fuzz/fuzz.h"

/* Decoding is exact: there is one encoding of each message. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice slice = { data, size };
    struct control_command command;
    struct control_report report;
    uint8_t again[CONTROL_BYTES];

    if (control_report_decode(&report, slice)) {
        control_report_encode(again, &report);
        CHECK(size == sizeof again && memcmp(again, data, size) == 0);
    }
    if (control_command_decode(&command, slice)) {
        control_command_encode(again, &command);
        CHECK(size == sizeof again && memcmp(again, data, size) == 0);
    }
    return 0;
}

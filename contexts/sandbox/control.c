/* SPDX-License-Identifier: MIT */
/*
 * Messages of one size, little-endian:
 *
 *     offset  size  report                  command
 *      0       4    TAG_REPORT              TAG_COMMAND
 *      4       4    kind                    kind
 *      8       4    pid                     signal
 *     12       4    status                  zero
 *     16       4    error                   zero
 *     20       4    zero                    zero
 *     24      24    user, system, peak      zero
 *     48      96    step, filled with NUL   zero
 *    144      48    zero                    zero
 */
#include "contexts/sandbox/control.h"

#include <string.h>

#define TAG_REPORT UINT32_C(0x31525743) /* "CWR1" */
#define TAG_COMMAND UINT32_C(0x31435743) /* "CWC1" */
#define STEP_OFFSET 48
#define REPORT_END (STEP_OFFSET + CONTROL_STEP_BYTES)
#define COMMAND_END 12

_Static_assert(REPORT_END <= CONTROL_BYTES, "a report fits its packet");

static void
put_u32(uint8_t *ret, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        ret[i] = (uint8_t)(value >> 8 * i);
}

static void
put_u64(uint8_t *ret, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        ret[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t
get_u32(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
           (uint32_t)data[3] << 24;
}

static uint64_t
get_u64(const uint8_t *data)
{
    return get_u32(data) | (uint64_t)get_u32(data + 4) << 32;
}

static bool
is_zero(const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (data[i] != 0)
            return false;
    }
    return true;
}

void
control_report_encode(uint8_t ret[CONTROL_BYTES], const struct control_report *report)
{
    memset(ret, 0, CONTROL_BYTES);
    put_u32(ret, TAG_REPORT);
    put_u32(ret + 4, (uint32_t)report->kind);
    put_u32(ret + 8, (uint32_t)report->pid);
    put_u32(ret + 12, (uint32_t)report->status);
    put_u32(ret + 16, (uint32_t)report->error);
    put_u64(ret + 24, report->user_us);
    put_u64(ret + 32, report->system_us);
    put_u64(ret + 40, report->peak_bytes);
    memcpy(ret + STEP_OFFSET, report->step,
           strnlen(report->step, CONTROL_STEP_BYTES - 1));
}

void
control_command_encode(uint8_t ret[CONTROL_BYTES], const struct control_command *command)
{
    memset(ret, 0, CONTROL_BYTES);
    put_u32(ret, TAG_COMMAND);
    put_u32(ret + 4, (uint32_t)command->kind);
    put_u32(ret + 8, (uint32_t)command->signal);
}

bool
control_report_decode(struct control_report *ret, struct slice data)
{
    const uint8_t *bytes = data.data;
    struct control_report report = { 0 };
    uint32_t kind;
    size_t step_length;

    if (data.length != CONTROL_BYTES || get_u32(bytes) != TAG_REPORT)
        return false;
    kind = get_u32(bytes + 4);
    if (kind < CONTROL_STARTED || kind > CONTROL_EXITED)
        return false;
    memcpy(report.step, bytes + STEP_OFFSET, CONTROL_STEP_BYTES);
    step_length = strnlen(report.step, CONTROL_STEP_BYTES);
    if (step_length == CONTROL_STEP_BYTES || !is_zero(bytes + 20, 4) ||
        !is_zero(bytes + STEP_OFFSET + step_length, CONTROL_STEP_BYTES - step_length) ||
        !is_zero(bytes + REPORT_END, CONTROL_BYTES - REPORT_END))
        return false;
    report.kind = (enum control_report_kind)kind;
    report.pid = (int32_t)get_u32(bytes + 8);
    report.status = (int32_t)get_u32(bytes + 12);
    report.error = (int32_t)get_u32(bytes + 16);
    report.user_us = get_u64(bytes + 24);
    report.system_us = get_u64(bytes + 32);
    report.peak_bytes = get_u64(bytes + 40);
    *ret = report;
    return true;
}

bool
control_command_decode(struct control_command *ret, struct slice data)
{
    const uint8_t *bytes = data.data;
    uint32_t kind;

    if (data.length != CONTROL_BYTES || get_u32(bytes) != TAG_COMMAND)
        return false;
    kind = get_u32(bytes + 4);
    if ((kind != CONTROL_SIGNAL && kind != CONTROL_KILL_ALL) ||
        !is_zero(bytes + COMMAND_END, CONTROL_BYTES - COMMAND_END))
        return false;
    *ret = (struct control_command){ .kind = (enum control_command_kind)kind,
                                     .signal = (int32_t)get_u32(bytes + 8) };
    return true;
}

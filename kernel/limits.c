/* SPDX-License-Identifier: MIT */
#include "kernel/limits.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)

enum unit { UNIT_BYTES, UNIT_COUNT, UNIT_THOUSANDTHS /* of what is written */ };

static const struct row {
    const char *name;
    const char *member; /* of the agent protocol's limits */
    enum unit unit;
    bool can_be_none;
    uint64_t least, most;
    size_t offset; /* of an uint64_t */
} rows[] = {
#define ROW(member) offsetof(struct context_limits, member)
    { "memory", "memory_bytes", UNIT_BYTES, true, 16 * MIB, 1024 * TIB,
      ROW(sandbox.memory_bytes) },
    { "cpus", "cpus", UNIT_THOUSANDTHS, true, 10, 4096000, ROW(sandbox.cpu_milli) },
    { "processes", "processes", UNIT_COUNT, false, 2, 4194304, ROW(sandbox.processes) },
    { "files", "open_files", UNIT_COUNT, false, 64, 1048576, ROW(sandbox.open_files) },
    { "file", "file_bytes", UNIT_BYTES, true, MIB, 1024 * TIB, ROW(sandbox.file_bytes) },
    { "disk", "disk_bytes", UNIT_BYTES, false, MIB, 1024 * TIB, ROW(disk_bytes) },
    { "disk-files", "disk_files", UNIT_COUNT, false, 64, UINT32_MAX, ROW(disk_inodes) },
    { "tmp", "tmp_bytes", UNIT_BYTES, false, MIB, 1024 * TIB, ROW(tmp_bytes) },
    { "tmp-files", "tmp_files", UNIT_COUNT, false, 64, UINT32_MAX, ROW(tmp_inodes) },
    { "output", "output_bytes", UNIT_BYTES, false, 4 * KIB, TIB, ROW(output_bytes) },
    { "time", "run_ms", UNIT_THOUSANDTHS, true, 10, 31536000000, ROW(run_ms) },
#undef ROW
};

/* Decimal digits with at most one point; the value in thousandths. */
static bool
read_thousandths(const char **text, uint64_t *ret)
{
    const uint64_t most = UINT64_MAX / 10000;
    uint64_t value = 0;
    int decimals = -1;

    if (**text < '0' || **text > '9')
        return false;
    for (; (**text >= '0' && **text <= '9') || (**text == '.' && decimals < 0); ++*text) {
        if (**text == '.') {
            decimals = 0;
            continue;
        }
        if (decimals == 3 || value > most)
            return false;
        value = value * 10 + (uint64_t)(**text - '0');
        decimals += decimals >= 0;
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 3; i++) {
        if (value > most)
            return false;
        value *= 10;
    }
    *ret = value;
    return true;
}

/* A power of 1024 behind a size. */
static uint64_t
read_scale(const char **text)
{
    static const char letters[] = "KMGT";
    const char *letter = **text == '\0' ? NULL : strchr(letters, **text);

    if (letter == NULL)
        return 1;
    ++*text;
    return UINT64_C(1) << 10 * (letter - letters + 1);
}

static bool
read_value(const struct row *row, const char *text, uint64_t *ret)
{
    uint64_t thousandths, scale = 1;

    if (row->can_be_none && strcmp(text, "none") == 0) {
        *ret = 0;
        return true;
    }
    if (!read_thousandths(&text, &thousandths))
        return false;
    if (row->unit == UNIT_BYTES)
        scale = read_scale(&text);
    if (*text != '\0')
        return false;
    if (row->unit != UNIT_THOUSANDTHS) {
        if (thousandths > UINT64_MAX / scale)
            return false;
        thousandths *= scale;
        if (thousandths % 1000 != 0 && row->unit == UNIT_COUNT)
            return false;
        thousandths /= 1000;
    }
    *ret = thousandths;
    return *ret >= row->least && *ret <= row->most;
}

/* NULL: LIMITS_E_INVALID, see ERR. */
static const struct row *
parse_one(char *item, uint64_t *ret_value, struct error *err)
{
    char *equals = strchr(item, '=');

    if (equals == NULL) {
        error_set(err, LIMITS_E_INVALID, "a limit must be NAME=VALUE: '%.60s'", item);
        return NULL;
    }
    *equals = '\0';
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        if (strcmp(rows[i].name, item) != 0)
            continue;
        if (read_value(&rows[i], equals + 1, ret_value))
            return &rows[i];
        error_set(err, LIMITS_E_INVALID,
                  "limit %s: '%.40s' is not %s, or too small or large", item, equals + 1,
                  rows[i].unit == UNIT_BYTES ? "a size, such as 512M" : "a number");
        return NULL;
    }
    error_set(err, LIMITS_E_INVALID, "there is no limit '%.60s'", item);
    return NULL;
}

int
limits_parse(struct context_limits *limits, const char *text, struct error *err)
{
    CLEANUP(freep) char *copy = strdup(text);
    char *rest = copy;

    if (copy == NULL)
        return -ENOMEM;
    while (rest != NULL) {
        uint64_t value = 0;
        const struct row *row = parse_one(strsep(&rest, ","), &value, err);

        if (row == NULL)
            return LIMITS_E_INVALID;
        memcpy((char *)limits + row->offset, &value, sizeof value);
    }
    return 0;
}

int
limits_parse_members(json_t *members, const char *text, struct error *err)
{
    CLEANUP(freep) char *copy = strdup(text);
    char *rest = copy;

    if (copy == NULL)
        return -ENOMEM;
    while (rest != NULL) {
        uint64_t value = 0;
        const struct row *row = parse_one(strsep(&rest, ","), &value, err);

        if (row == NULL)
            return LIMITS_E_INVALID;
        if (json_object_set_new(members, row->member,
                                strcmp(row->member, "cpus") == 0
                                    ? json_real((double)value / 1000)
                                    : json_integer((json_int_t)value)) < 0)
            return -ENOMEM;
    }
    return 0;
}

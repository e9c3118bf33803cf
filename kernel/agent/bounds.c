/* SPDX-License-Identifier: MIT */
#include "kernel/agent/bounds.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernel/agent/jupyter.h"
#include "kernel/agent/tally.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define MANY 1000000

static const struct bound {
    const char *name;
    size_t offset;
    int64_t min, max, fallback;
} rows[] = {
#define ROW(name, min, max, fallback)                                                    \
    { #name, offsetof(struct agent_bounds, name), min, max, fallback }
    ROW(contexts, 1, MANY, 1000),
    ROW(contexts_per_owner, 1, MANY, 256),
    ROW(executions_per_owner, 1, MANY, 1024),
    ROW(queue_per_context, 1, CONTEXT_QUEUE_MAX / 2, 64),
    ROW(requests_per_second, 1, MANY, 5000),
    ROW(results_bytes, 1024, INT64_C(128) << 20, INT64_C(32) << 20),
    ROW(log_bytes, 1024, INT64_C(1) << 30, INT64_C(8) << 20),
    ROW(jupyter, 0, JUPYTER_MAX, JUPYTER_MAX),
    ROW(idle_timeout_s, 0, INT32_MAX, 3600),
    ROW(idle_timeout_max_s, 0, INT32_MAX, 0),
#undef ROW
};

static int64_t *
place(struct agent_bounds *bounds, const struct bound *row)
{
    return (int64_t *)((char *)bounds + row->offset);
}

/* A client can have more than the defaults, but not the machine. */
static struct context_limits
usual_ceilings(const struct context_limits *defaults)
{
    struct context_limits ceilings = *defaults;

    ceilings.sandbox.memory_bytes *= 4;
    ceilings.sandbox.cpu_milli *= 4;
    ceilings.sandbox.processes *= 8;
    ceilings.sandbox.open_files *= 4;
    ceilings.sandbox.file_bytes *= 16;
    ceilings.disk_bytes *= 16;
    ceilings.disk_inodes *= 16;
    ceilings.tmp_bytes *= 16;
    ceilings.tmp_inodes *= 16;
    ceilings.output_bytes *= 8;
    ceilings.run_ms = UINT64_C(3600000);
    return ceilings;
}

void
bounds_init(struct agent_bounds *bounds)
{
    *bounds = (struct agent_bounds){ .contexts = 0 };
    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        *place(bounds, &rows[i]) = rows[i].fallback;
    bounds->defaults = context_limits_of(CONTEXT_PROFILE_AGENT);
    bounds->ceilings = usual_ceilings(&bounds->defaults);
}

static const struct bound *
find(const char *name)
{
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

int
bounds_take(struct agent_bounds *bounds, const json_t *document, struct error *err)
{
    const char *name;
    json_t *value;

    if (!json_is_object(document))
        return error_set(err, BOUNDS_E_INVALID, "must be an object");
    json_object_foreach((json_t *)document, name, value)
    {
        const struct bound *row = find(name);

        if (row == NULL)
            return error_set(err, BOUNDS_E_INVALID, "\"%.64s\" is not known", name);
        if (!json_is_integer(value) || json_integer_value(value) < row->min ||
            json_integer_value(value) > row->max)
            return error_set(err, BOUNDS_E_INVALID,
                             "\"%s\" must be a number from %" PRId64 " to %" PRId64, name,
                             row->min, row->max);
        *place(bounds, row) = json_integer_value(value);
    }
    if (bounds->idle_timeout_max_s != 0 &&
        (bounds->idle_timeout_s == 0 ||
         bounds->idle_timeout_s > bounds->idle_timeout_max_s))
        bounds->idle_timeout_s = bounds->idle_timeout_max_s;
    return 0;
}

/* Limits of a context by their names on the wire. */
static const struct limit {
    const char *name;
    size_t offset; /* of a uint64_t */
    bool may_be_none; /* 0 */
    bool in_thousandths; /* a number with a fraction */
    uint64_t most; /* 0: as much as a number can be */
} limits_of[] = {
#define LIMIT(member) offsetof(struct context_limits, member)
    { "memory_bytes", LIMIT(sandbox.memory_bytes), true, false, 0 },
    { "cpus", LIMIT(sandbox.cpu_milli), true, true, 0 },
    { "processes", LIMIT(sandbox.processes), false, false, 0 },
    { "open_files", LIMIT(sandbox.open_files), false, false, 0 },
    { "file_bytes", LIMIT(sandbox.file_bytes), true, false, 0 },
    { "disk_bytes", LIMIT(disk_bytes), false, false, 0 },
    { "disk_files", LIMIT(disk_inodes), false, false, 0 },
    { "tmp_bytes", LIMIT(tmp_bytes), false, false, 0 },
    { "tmp_files", LIMIT(tmp_inodes), false, false, 0 },
    { "output_bytes", LIMIT(output_bytes), false, false, TALLY_TEXT_BYTES_MAX },
    { "run_ms", LIMIT(run_ms), true, false, 0 },
#undef LIMIT
};

static uint64_t
limit_value(const struct context_limits *limits, const struct limit *row)
{
    return *(const uint64_t *)((const char *)limits + row->offset);
}

static const struct limit *
find_limit(const char *name)
{
    for (size_t i = 0; i < N_ELEMENTS(limits_of); i++) {
        if (strcmp(limits_of[i].name, name) == 0)
            return &limits_of[i];
    }
    return NULL;
}

static int
read_limit(const struct limit *row, const json_t *value, uint64_t *ret, struct error *err)
{
    double number = json_number_value(value) * (row->in_thousandths ? 1000 : 1);
    double most = row->most != 0 ? (double)row->most : 9e15;

    if (!json_is_number(value) || (!row->in_thousandths && !json_is_integer(value)))
        return error_set(err, BOUNDS_E_INVALID, "\"%s\" must be %s", row->name,
                         row->in_thousandths ? "a number" : "an integer");
    if (number < 0 || number > most)
        return error_set(err, BOUNDS_E_INVALID, "\"%s\" is out of bounds", row->name);
    *ret = (uint64_t)(number + 0.5); /* 1.001 * 1000 is a little less than 1001 */
    if (*ret == 0 && !(row->may_be_none && number == 0))
        return error_set(err, BOUNDS_E_INVALID, "\"%s\" must be more than that",
                         row->name);
    return 0;
}

int
bounds_take_limits(struct context_limits *ret, const json_t *limits,
                   const struct context_limits *ceilings, const char **ret_high,
                   struct error *err)
{
    const char *name;
    json_t *value;

    if (!json_is_object(limits))
        return error_set(err, BOUNDS_E_INVALID, "must be an object");
    json_object_foreach((json_t *)limits, name, value)
    {
        const struct limit *row = find_limit(name);
        uint64_t number = 0, ceiling;
        int r;

        if (row == NULL)
            return error_set(err, BOUNDS_E_INVALID, "\"%.64s\" is no limit", name);
        r = read_limit(row, value, &number, err);
        if (r != 0)
            return r;
        ceiling = ceilings == NULL ? 0 : limit_value(ceilings, row);
        if (ceiling != 0 && (number == 0 || number > ceiling)) {
            if (ret_high != NULL)
                *ret_high = row->name;
            return error_set(err, BOUNDS_E_INVALID, "\"%s\" may be at most %" PRIu64 "%s",
                             row->name, ceiling,
                             row->in_thousandths ? " thousandths" : "");
        }
        *(uint64_t *)((char *)ret + row->offset) = number;
    }
    return 0;
}

json_t *
bounds_describe_limits(const struct context_limits *limits)
{
    json_t *ret = json_object();

    for (size_t i = 0; i < N_ELEMENTS(limits_of); i++) {
        const struct limit *row = &limits_of[i];
        uint64_t value = limit_value(limits, row);

        json_object_set_new(ret, row->name,
                            row->in_thousandths ? json_real((double)value / 1000)
                                                : json_integer((json_int_t)value));
    }
    return ret;
}

json_t *
bounds_describe(const struct agent_bounds *bounds)
{
    json_t *ret = json_object();

    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        json_object_set_new(
            ret, rows[i].name,
            json_integer(*place((struct agent_bounds *)bounds, &rows[i])));
    json_object_set_new(ret, "message_bytes", json_integer(64 << 20));
    return ret;
}

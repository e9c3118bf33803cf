/* SPDX-License-Identifier: MIT */
/*
 * What programs that ask the system for processors and memory are told: libraries make
 * threads and buffers by it. The kernel tells of the machine; made-up files tell of the
 * limits. They are the files that libc (sysconf), procps, psutil, joblib, the JVM and
 * others read; sched_getaffinity cannot be made to agree without tying the context to
 * some processors.
 */
#include "contexts/profile_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>

#include "contexts/context.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define PROCESSORS "/sys/devices/system/cpu/"
#define GROUPS "/sys/fs/cgroup/"
#define PERIOD_US 100000

static int
add_text(struct profile *profile, const char *path, char *text, struct error *err)
{
    CLEANUP(freep) char *content = text;
    const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_FILE,
                                         .target = path,
                                         .source = content };

    return content == NULL ? -ENOMEM : profile_add_mount(profile, &mount, err);
}

__attribute__((format(printf, 1, 2))) static char *
format(const char *pattern, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, pattern);
    n = vasprintf(&text, pattern, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}

unsigned
profile_processors(const struct sandbox_limits *limits)
{
    unsigned there = (unsigned)get_nprocs();
    uint64_t wanted = (limits->cpu_milli + 999) / 1000;

    return wanted == 0 || wanted >= there ? 0 : (unsigned)wanted;
}

static int
add_processors(struct profile *profile, const struct sandbox_limits *limits,
               struct error *err)
{
    static const char *const paths[] = { PROCESSORS "online", PROCESSORS "possible",
                                         PROCESSORS "present" };
    unsigned count = profile_processors(limits);
    int r = 0;

    for (size_t i = 0; r == 0 && count > 0 && i < N_ELEMENTS(paths); i++)
        r = add_text(profile, paths[i],
                     count == 1 ? format("0\n") : format("0-%u\n", count - 1), err);
    return r;
}

static bool
memory_is_tight(const struct sandbox_limits *limits)
{
    struct sysinfo machine;

    return limits->memory_bytes > 0 && sysinfo(&machine) == 0 &&
           limits->memory_bytes < (uint64_t)machine.totalram * machine.mem_unit / 2;
}

static int
add_memory(struct profile *profile, const struct sandbox_limits *limits,
           struct error *err)
{
    uint64_t kib = limits->memory_bytes / 1024;

    if (!memory_is_tight(limits))
        return 0;
    return add_text(profile, "/proc/meminfo",
                    format("MemTotal:       %8" PRIu64 " kB\n"
                           "MemFree:        %8" PRIu64 " kB\n"
                           "MemAvailable:   %8" PRIu64 " kB\n"
                           "Buffers:               0 kB\n"
                           "Cached:                0 kB\n"
                           "SwapCached:            0 kB\n"
                           "Active:                0 kB\n"
                           "Inactive:              0 kB\n"
                           "SwapTotal:             0 kB\n"
                           "SwapFree:              0 kB\n"
                           "Shmem:                 0 kB\n"
                           "Slab:                  0 kB\n"
                           "SReclaimable:          0 kB\n",
                           kib, kib, kib),
                    err);
}

/* As version 2 would have it, whatever the machine has. */
static int
add_groups(struct profile *profile, const struct sandbox_limits *limits,
           struct error *err)
{
    int r = 0;

    if (limits->cpu_milli == 0 && !memory_is_tight(limits))
        return 0;
    r = add_text(profile, GROUPS "cgroup.controllers", format("cpu memory pids\n"), err);
    if (r == 0 && limits->cpu_milli > 0)
        r = add_text(
            profile, GROUPS "cpu.max",
            format("%" PRIu64 " %d\n", limits->cpu_milli * PERIOD_US / 1000, PERIOD_US),
            err);
    if (r == 0 && limits->memory_bytes > 0)
        r = add_text(profile, GROUPS "memory.max",
                     format("%" PRIu64 "\n", limits->memory_bytes), err);
    if (r == 0)
        r = add_text(profile, GROUPS "pids.max",
                     format("%" PRIu64 "\n", limits->processes), err);
    return r;
}

int
profile_add_view(struct profile *profile, const struct sandbox_limits *limits,
                 struct error *err)
{
    int r = add_processors(profile, limits, err);

    if (r == 0)
        r = add_memory(profile, limits, err);
    return r != 0 ? r : add_groups(profile, limits, err);
}

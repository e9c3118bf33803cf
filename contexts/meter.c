/* SPDX-License-Identifier: MIT */
/*
 * Version 1 tells by an eventfd that memory ran out, version 2 by an exceptional
 * condition on memory.events: https://docs.kernel.org/admin-guide/cgroup-v1/memory.html,
 * and cgroup-v2.html there.
 */
#include "contexts/meter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "contexts/processes.h"
#include "contexts/sandbox/cgroup.h"
#include "protocol/cleanup.h"

#define FILE_BYTES 1024
#define LOOK_US 100000 /* between two looks at processes that begin to run */
#define LOOK_US_MAX 3200000 /* ... that do nothing */
#define CHANGE_BYTES (1024 * 1024)
#define PROCESSES_MAX 4096
#define TIMED_MAX 64 /* processes whose time is summed up */

struct meter {
    struct cgroup group; /* owned */
    int events; /* owned: memory.oom_control or memory.events; -1: none */
    int notice; /* owned: version 1, an eventfd; -1: none */
    struct loop_source *source; /* owned */
    struct loop_timer *look; /* owned; NULL: there is a group, or no limit */
    uint64_t look_us;
    uint64_t seen_bytes, seen_peak_bytes; /* by the looks */
    uint64_t limit_bytes;
    int init_pidfd; /* borrowed */
    meter_full_fn *fn;
    void *arg;
};

CLEANUP_DEFINE(struct meter, meter_destroy);

static bool
read_file(int fd, char ret[FILE_BYTES])
{
    ssize_t n = fd < 0 ? -1 : pread(fd, ret, FILE_BYTES - 1, 0);

    if (n < 0)
        return false;
    ret[n] = '\0';
    return true;
}

/* The number behind NAME at the beginning of a line; 0: there is none. */
static uint64_t
number_after(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return strtoull(line + length, NULL, 10);
    }
    return 0;
}

static uint64_t
kills(const struct meter *meter)
{
    char text[FILE_BYTES];

    return read_file(meter->events, text) ? number_after(text, "oom_kill") : 0;
}

static int
on_notice(int fd, uint32_t events, void *arg)
{
    struct meter *meter = arg;
    uint64_t count;

    (void)events;
    if (meter->notice >= 0)
        return read(fd, &count, sizeof count) == (ssize_t)sizeof count
                   ? meter->fn(meter->arg)
                   : 0;
    return kills(meter) > 0 ? meter->fn(meter->arg) : 0; /* else of another kind */
}

static int
watch_version_1(struct meter *meter, int dir, struct loop *loop)
{
    CLEANUP(close_fdp)
    int control = openat(dir, "cgroup.event_control", O_WRONLY | O_CLOEXEC);
    char text[64];
    int n;

    if (control < 0)
        return 0; /* somebody else's to read: deaths are still told */
    meter->notice = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (meter->notice < 0)
        return -errno;
    n = snprintf(text, sizeof text, "%d %d", meter->notice, meter->events);
    if (write(control, text, (size_t)n) < 0)
        return 0;
    return loop_add_fd(&meter->source, loop, meter->notice, EPOLLIN, on_notice, meter);
}

static int
watch(struct meter *meter, struct loop *loop)
{
    for (size_t i = 0; i < meter->group.count; i++) {
        int dir = meter->group.dirs[i];

        meter->events = openat(dir, "memory.oom_control", O_RDONLY | O_CLOEXEC);
        if (meter->events >= 0)
            return watch_version_1(meter, dir, loop);
        meter->events = openat(dir, "memory.events", O_RDONLY | O_CLOEXEC);
        if (meter->events >= 0)
            return loop_add_fd(&meter->source, loop, meter->events, EPOLLPRI, on_notice,
                               meter);
    }
    return 0;
}

/* Forks share what they have not written: the exact sum decides. */
static int
on_look(void *arg)
{
    struct meter *meter = arg;
    static int pids[PROCESSES_MAX]; /* one thread */
    size_t count =
        processes_tree(processes_of_pidfd(meter->init_pidfd), pids, PROCESSES_MAX);
    uint64_t sum = processes_memory(pids, count, false);
    bool changed =
        sum > meter->seen_bytes + CHANGE_BYTES || sum + CHANGE_BYTES < meter->seen_bytes;

    meter->seen_bytes = sum;
    if (sum > meter->limit_bytes)
        sum = processes_memory(pids, count, true);
    if (sum > meter->seen_peak_bytes)
        meter->seen_peak_bytes = sum;
    meter->look_us = changed ? LOOK_US : 2 * meter->look_us;
    if (meter->look_us > LOOK_US_MAX)
        meter->look_us = LOOK_US_MAX;
    loop_timer_arm(meter->look, meter->look_us);
    return sum > meter->limit_bytes ? meter->fn(meter->arg) : 0;
}

void
meter_hurry(struct meter *meter)
{
    if (meter == NULL || meter->look == NULL)
        return;
    meter->look_us = LOOK_US;
    loop_timer_arm(meter->look, meter->look_us);
}

int
meter_create(struct meter **ret, struct loop *loop, const struct meter_subject *subject,
             meter_full_fn *fn, void *arg)
{
    CLEANUP(meter_destroyp) struct meter *meter = malloc(sizeof *meter);
    int r;

    if (meter == NULL) {
        cgroup_fini(subject->group);
        return -ENOMEM;
    }
    *meter = (struct meter){ .group = *subject->group,
                             .events = -1,
                             .notice = -1,
                             .limit_bytes = subject->memory_limit_bytes,
                             .init_pidfd = subject->init_pidfd,
                             .fn = fn,
                             .arg = arg };
    subject->group->count = 0;
    r = watch(meter, loop);
    if (r == 0 && meter->events < 0 && meter->limit_bytes > 0)
        r = loop_add_timer(&meter->look, loop, on_look, meter);
    if (r < 0)
        return r;
    meter_hurry(meter);
    *ret = meter;
    meter = NULL;
    return 0;
}

void
meter_destroy(struct meter *meter)
{
    if (meter == NULL)
        return;
    loop_source_destroy(meter->source);
    loop_timer_destroy(meter->look);
    close_fdp(&meter->notice);
    close_fdp(&meter->events);
    cgroup_fini(&meter->group);
    free(meter);
}

static uint64_t
read_cpu(const struct meter *meter)
{
    char text[FILE_BYTES];

    for (size_t i = 0; i < meter->group.count; i++) {
        int dir = meter->group.dirs[i];
        CLEANUP(close_fdp) int one = openat(dir, "cpuacct.usage", O_RDONLY | O_CLOEXEC);
        CLEANUP(close_fdp) int two = openat(dir, "cpu.stat", O_RDONLY | O_CLOEXEC);
        uint64_t used = read_file(two, text) ? number_after(text, "usage_usec") : 0;

        if (read_file(one, text))
            used = strtoull(text, NULL, 10) / 1000;
        if (used > 0)
            return used;
    }
    return 0;
}

/* No more of them than a run's beginning and end may be held up for. */
static uint64_t
sum_cpu(const struct meter *meter)
{
    int pids[TIMED_MAX];
    int init = processes_of_pidfd(meter->init_pidfd);

    return processes_cpu_us(pids, processes_tree(init, pids, TIMED_MAX));
}

struct meter_reading
meter_read(const struct meter *meter)
{
    static const char *const peaks[] = { "memory.max_usage_in_bytes", "memory.peak" };
    struct meter_reading reading = { 0 };
    char text[FILE_BYTES];

    if (meter == NULL)
        return reading;
    reading.memory_kills = kills(meter);
    reading.memory_peak_bytes = meter->seen_peak_bytes;
    for (size_t i = 0; i < meter->group.count; i++)
        for (size_t j = 0; j < N_ELEMENTS(peaks); j++) {
            CLEANUP(close_fdp)
            int fd = openat(meter->group.dirs[i], peaks[j], O_RDONLY | O_CLOEXEC);

            if (read_file(fd, text))
                reading.memory_peak_bytes = strtoull(text, NULL, 10);
        }
    reading.cpu_us = read_cpu(meter);
    if (reading.cpu_us == 0)
        reading.cpu_us = sum_cpu(meter);
    return reading;
}

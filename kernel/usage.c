/* SPDX-License-Identifier: MIT */
#include "kernel/usage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/text.h"

#define TEXT_BYTES 8192

bool
usage_parse_stat(const char *text, uint64_t *ret_ticks)
{
    const char *end = strrchr(text, ')'); /* the name may hold spaces and brackets */
    unsigned long long user, system;

    /* fields 3 to 13 are of no interest */
    if (end == NULL ||
        sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
               &system) != 2)
        return false;
    *ret_ticks = user + system;
    return true;
}

bool
usage_parse_host(const char *text, uint64_t *ret_busy, uint64_t *ret_total)
{
    unsigned long long user, nice, system, idle, wait = 0, irq = 0, soft = 0, steal = 0;

    if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
               &idle, &wait, &irq, &soft, &steal) < 4)
        return false;
    *ret_busy = user + nice + system + irq + soft + steal;
    *ret_total = *ret_busy + idle + wait;
    return true;
}

/* The number behind a line's "NAME:", in kB; as bytes. */
static bool
find_kib(const char *text, const char *name, uint64_t *ret)
{
    size_t length = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        unsigned long long value;

        if (line != text)
            line++;
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        if (sscanf(line + length + 1, "%llu", &value) != 1 || value > UINT64_MAX / 1024)
            return false;
        *ret = (uint64_t)value * 1024;
        return true;
    }
    return false;
}

bool
usage_parse_memory(const char *text, struct usage_memory *ret)
{
    struct usage_memory memory = { 0 };

    if (!find_kib(text, "MemTotal", &memory.total) || memory.total == 0)
        return false;
    find_kib(text, "MemAvailable", &memory.available);
    find_kib(text, "MemFree", &memory.free);
    find_kib(text, "Active", &memory.active);
    find_kib(text, "Inactive", &memory.inactive);
    find_kib(text, "Buffers", &memory.buffers);
    find_kib(text, "Cached", &memory.cached);
    find_kib(text, "Shmem", &memory.shared);
    find_kib(text, "Slab", &memory.slab);
    *ret = memory;
    return true;
}

bool
usage_parse_pss(const char *text, uint64_t *ret_bytes)
{
    return find_kib(text, "Pss", ret_bytes);
}

static bool
read_text(const char *path, char ret[TEXT_BYTES])
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, ret, TEXT_BYTES - 1) : -1;

    if (n <= 0)
        return false;
    ret[n] = '\0';
    return true;
}

/* The proportional share where the kernel lets us see it, else the resident set. */
static uint64_t
process_memory(int pid)
{
    char path[64], text[TEXT_BYTES];
    unsigned long long pages;
    uint64_t bytes;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    if (read_text(path, text) && usage_parse_pss(text, &bytes))
        return bytes;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    if (!read_text(path, text) || sscanf(text, "%*u %llu", &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t
process_ticks(int pid)
{
    char path[64], text[TEXT_BYTES];
    uint64_t ticks = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (read_text(path, text))
        usage_parse_stat(text, &ticks);
    return ticks;
}

static int
append_host(struct usage *usage, struct buffer *ret)
{
    char text[TEXT_BYTES];
    struct usage_memory memory;
    uint64_t busy, total, used;
    int r = 0;

    if (read_text("/proc/stat", text) && usage_parse_host(text, &busy, &total)) {
        if (usage->host_total != 0 && total > usage->host_total &&
            busy >= usage->host_busy)
            r = buffer_append_format(ret, ",\"host_cpu_percent\":%.1f",
                                     100.0 * (double)(busy - usage->host_busy) /
                                         (double)(total - usage->host_total));
        usage->host_busy = busy;
        usage->host_total = total;
    }
    if (r != 0 || !read_text("/proc/meminfo", text) || !usage_parse_memory(text, &memory))
        return r;
    used = memory.total > memory.available ? memory.total - memory.available : 0;
    return buffer_append_format(
        ret,
        ",\"host_virtual_memory\":{\"total\":%" PRIu64 ",\"available\":%" PRIu64
        ",\"percent\":%.1f,\"used\":%" PRIu64 ",\"free\":%" PRIu64 ",\"active\":%" PRIu64
        ",\"inactive\":%" PRIu64 ",\"buffers\":%" PRIu64 ",\"cached\":%" PRIu64
        ",\"shared\":%" PRIu64 ",\"slab\":%" PRIu64 "}",
        memory.total, memory.available, 100.0 * (double)used / (double)memory.total, used,
        memory.free, memory.active, memory.inactive, memory.buffers, memory.cached,
        memory.shared, memory.slab);
}

int
usage_append(struct usage *usage, const int *pids, size_t count, uint64_t now_us,
             struct buffer *ret)
{
    char host[256] = "";
    uint64_t ticks = 0, memory = 0;
    double cpu = 0;
    int r;

    for (size_t i = 0; i < count; i++) {
        ticks += process_ticks(pids[i]);
        memory += process_memory(pids[i]);
    }
    if (usage->time_us != 0 && now_us > usage->time_us && ticks > usage->process_ticks)
        cpu = 100.0 * 1e6 * (double)(ticks - usage->process_ticks) /
              (double)sysconf(_SC_CLK_TCK) / (double)(now_us - usage->time_us);
    usage->time_us = now_us;
    usage->process_ticks = ticks;
    gethostname(host, sizeof host - 1);
    r = buffer_append_text(ret, "\"hostname\":");
    if (r == 0)
        r = text_append_json(ret, host, strlen(host));
    if (r == 0)
        r = buffer_append_format(
            ret,
            ",\"pid\":%d,\"kernel_cpu\":%.1f,\"kernel_memory\":%" PRIu64
            ",\"cpu_count\":%ld",
            (int)getpid(), cpu, memory, sysconf(_SC_NPROCESSORS_ONLN));
    return r != 0 ? r : append_host(usage, ret);
}

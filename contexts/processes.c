/* SPDX-License-Identifier: MIT */
#include "contexts/processes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "protocol/cleanup.h"

#define TASKS_MAX 4096 /* threads of one process that are asked for children: all */

static void
fclosep(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
}

static void
closedirp(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

int
processes_of_pidfd(int pidfd)
{
    CLEANUP(fclosep) FILE *file = NULL;
    char path[64], line[128];
    int pid = 0;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pid: %d", &pid) == 1)
            break;
    return pid > 0 ? pid : 0;
}

/* Appends the children of one thread. */
static size_t
children_of_task(int pid, const char *task, int *ret, size_t count, size_t max)
{
    CLEANUP(fclosep) FILE *file = NULL;
    char path[320];
    int child;

    snprintf(path, sizeof path, "/proc/%d/task/%s/children", pid, task);
    file = fopen(path, "re");
    while (file != NULL && count < max && fscanf(file, "%d", &child) == 1)
        ret[count++] = child;
    return count;
}

static size_t
children_of(int pid, int *ret, size_t count, size_t max)
{
    CLEANUP(closedirp) DIR *folder = NULL;
    char path[64];
    const struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    folder = opendir(path);
    for (int i = 0; folder != NULL && i < TASKS_MAX && count < max;) {
        entry = readdir(folder);
        if (entry == NULL)
            break;
        if (entry->d_name[0] == '.')
            continue;
        count = children_of_task(pid, entry->d_name, ret, count, max);
        i++;
    }
    return count;
}

size_t
processes_tree(int root, int *ret, size_t max)
{
    size_t count = 0;

    if (max == 0 || root <= 0)
        return 0;
    ret[count++] = root;
    for (size_t i = 0; i < count && count < max; i++)
        count = children_of(ret[i], ret, count, max);
    return count;
}

/* The sum of the rows that begin with one of ROWS, up to NULL. */
static uint64_t
memory_of(int pid, const char *name, const char *const *rows)
{
    CLEANUP(fclosep) FILE *file = NULL;
    char path[64], line[256];
    uint64_t kib = 0;

    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        for (const char *const *row = rows; *row != NULL; row++)
            if (strncmp(line, *row, strlen(*row)) == 0)
                kib += strtoull(line + strlen(*row), NULL, 10);
    return kib * 1024;
}

uint64_t
processes_memory(const int *pids, size_t count, bool exact)
{
    static const char *const exact_rows[] = { "Pss:", NULL };
    /* Shared mappings without a file count as files in memory. */
    static const char *const rows[] = { "RssAnon:", "RssShmem:", NULL };
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += exact ? memory_of(pids[i], "smaps_rollup", exact_rows)
                     : memory_of(pids[i], "status", rows);
    return sum;
}

/* Of the children that PID has waited for: the 16th and 17th field. The second may have
 * any characters, in brackets. */
static uint64_t
waited_cpu_us(int pid)
{
    CLEANUP(fclosep) FILE *file = NULL;
    unsigned long long user, system;
    char path[64], text[1024];
    const char *rest;
    size_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "re");
    n = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[n] = '\0';
    rest = strrchr(text, ')');
    if (rest == NULL ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %llu %llu",
               &user, &system) != 2)
        return 0;
    return (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

uint64_t
processes_cpu_us(const int *pids, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        struct timespec used;
        clockid_t clock;

        if (clock_getcpuclockid(pids[i], &clock) == 0 && clock_gettime(clock, &used) == 0)
            sum += (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
        sum += waited_cpu_us(pids[i]);
    }
    return sum;
}

bool
processes_shares_users(int pid)
{
    char path[64];
    struct stat ours, theirs;

    snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
    return pid > 0 && stat("/proc/self/ns/user", &ours) == 0 &&
           stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
           ours.st_ino == theirs.st_ino;
}

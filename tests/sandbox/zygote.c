/* SPDX-License-Identifier: MIT */
/*
 * A zygote whose runners exec what their spec says: so every test of the sandbox can be
 * made with a runner that was forked. Some words instead of a program are for the fork as
 * it is, before an exec could hide what it has of the zygote.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contexts/sandbox/join.h"

#define SOCKET_FD 3

/* Where its descriptors lead. */
static int
tell_descriptors(const char *const *args)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    char target[256];

    (void)args;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        ssize_t n = readlinkat(dirfd(directory), entry->d_name, target, sizeof target);

        if (n <= 0 || n == sizeof target || atoi(entry->d_name) == dirfd(directory))
            continue;
        target[n] = '\0';
        printf("fd %s %.*s\n", entry->d_name, (int)strcspn(target, ":"), target);
    }
    return 0;
}

/* The processor that libc believes to be on, on each. */
static int
tell_processors(const char *const *args)
{
    cpu_set_t all, one;
    int wrong = 0;

    (void)args;
    sched_getaffinity(0, sizeof all, &all);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        if (sched_setaffinity(0, sizeof one, &one) < 0 || sched_getcpu() != i)
            wrong++;
    }
    printf("wrong %d\n", wrong);
    return 0;
}

static bool
is_shifted(const char *text, const char *shifted)
{
    for (; *shifted != '\0'; text++, shifted++)
        if (*text + 1 != *shifted)
            return false;
    return true;
}

/* How often its memory has a text, of which it gets each character's successor. */
static int
count_in_memory(const char *const *args)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    size_t length = strlen(args[1]);
    unsigned long from, to;
    char line[512], mode[8];
    int found = 0;

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' ||
            mode[1] != 'w')
            continue;
        for (const char *at = (const char *)from; at + length <= (const char *)to; at++)
            found += is_shifted(at, args[1]);
    }
    printf("found %d\n", found);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(const char *const *args);
} words[] = {
    { "/descriptors", tell_descriptors },
    { "/processors", tell_processors },
    { "/memory", count_in_memory },
};

int
main(void)
{
    const struct sandbox_join_hooks hooks = { 0 };
    struct sandbox_spec_copy copy;
    int r = sandbox_join_serve(SOCKET_FD, &hooks, &copy, NULL);

    if (r != SANDBOX_JOIN_RUNNER)
        return r == SANDBOX_JOIN_ENDED ? 0 : 1;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(copy.spec.argv[0], words[i].name) == 0)
            return words[i].run(copy.spec.argv);
    execve(copy.spec.argv[0], (char *const *)copy.spec.argv,
           (char *const *)copy.spec.env);
    return 127;
}

/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a bash by test_bash_interrupts.py: makes it slow where an interrupt
 * could be overlooked. SLOWBASH says where.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int depth; /* 0: the shell, 1: its children, and so on */

static void
pause_ms(const char *place, int at, long ms)
{
    const char *where = getenv("SLOWBASH");
    struct timespec rest = { 0, ms * 1000000 };

    if (where == NULL || strcmp(where, place) != 0 || depth != at)
        return;
    while (nanosleep(&rest, &rest) < 0)
        continue;
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the names are ours */

/* A subshell that forks: the interrupt comes before, and the child is far ahead after. */
pid_t
fork(void)
{
    pid_t (*real)(void) = dlsym(RTLD_NEXT, "fork");
    pid_t pid;

    pause_ms("fork", 1, 300);
    pid = real();
    if (pid == 0)
        depth++;
    else
        pause_ms("fork", 1, 300);
    return pid;
}

/* A job that is just being made: it has left the shell's group, and the interrupt comes
 * before it is in the foreground. */
int
setpgid(pid_t pid, pid_t group)
{
    int (*real)(pid_t, pid_t) = dlsym(RTLD_NEXT, "setpgid");
    int r = real(pid, group);

    pause_ms("job", 0, 300);
    return r;
}

int
tcsetpgrp(int fd, pid_t group)
{
    int (*real)(int, pid_t) = dlsym(RTLD_NEXT, "tcsetpgrp");

    pause_ms("job", 1, 600);
    return real(fd, group);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

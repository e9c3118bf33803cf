/* SPDX-License-Identifier: MIT */
/*
 * Every refused system call, by its number alone. The arguments are such that a call
 * which is not refused fails for them: no descriptor, no address, no size.
 */
#include "tests/sandbox/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    long number;
} calls[] = {
#define CALL(name, error) { #name, SYS_##name },
#include "tests/sandbox/calls.def"
#undef CALL
};

void
probe_run_calls(void)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        long r;

        errno = 0;
        r = syscall(calls[i].number, -1L, -1L, -1L, -1L, -1L, -1L);
        printf("%s %s\n", calls[i].name, r == -1 ? strerrorname_np(errno) : "done");
    }
}

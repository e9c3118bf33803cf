/* SPDX-License-Identifier: MIT */
/*
 * shut - run a test's step where nothing can be opened
 */
#ifndef TESTS_COMPARE_SHUT_H
#define TESTS_COMPARE_SHUT_H

#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seccomp.h>

/* Calls STEP in a child that is killed when it opens a file or a socket. Whether STEP
 * returned true. */
static inline bool
shut_run(bool (*step)(void))
{
    static const int calls[] = { SCMP_SYS(open),   SCMP_SYS(openat),  SCMP_SYS(openat2),
                                 SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(execve) };
    scmp_filter_ctx filter;
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        filter = seccomp_init(SCMP_ACT_ALLOW);
        if (filter == NULL)
            _exit(2);
        for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
            if (seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, calls[i], 0) != 0)
                _exit(2);
        }
        if (seccomp_load(filter) != 0)
            _exit(2);
        seccomp_release(filter);
        _exit(step() ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Functions of libc that bash calls, as this shell needs them.
 *
 * The library is preloaded so that it stands before libc: what would end the shell in the
 * middle of a cell must not, and no process that bash makes may overlook an interrupt.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtimes/bash/shell/bash.h"
#include "runtimes/bash/shell/shell.h"

#define PRELOAD "LD_PRELOAD="

/* Takes this library's name out of LD_PRELOAD, for it is nobody else's business. */
__attribute__((constructor)) static void
hide(void)
{
    char **to = environ;

    for (char **from = environ; from != NULL && *from != NULL; from++) {
        char *rest;

        if (strncmp(*from, PRELOAD, strlen(PRELOAD)) != 0) {
            *to++ = *from;
            continue;
        }
        rest = strchr(*from, ':');
        if (rest != NULL) {
            memmove(*from + strlen(PRELOAD), rest + 1, strlen(rest));
            *to++ = *from;
        }
    }
    if (to != NULL)
        *to = NULL;
}

static void *
libc(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's are reserved
 */

/* Bash means to exit in the middle of a cell: a syntax error under set -e does it. */
__attribute__((noreturn, visibility("default"))) void
exit(int status)
{
    static void (*real)(int) __attribute__((noreturn));

    if (shell_is_running && shell_is_itself()) {
        shell_exited = status & 0xff;
        siglongjmp(top_level, JUMP_EXIT_BUILTIN);
    }
    *(void **)&real = libc("exit");
    real(status);
}

/* Descriptors without which the shell would be lost: user code closes what it did not
 * open, or puts something else in its place. */
static bool
is_kept(int fd)
{
    return fd >= 0 && (fd == shell_control || (fd == shell_tty && fd > 2)) &&
           shell_is_itself();
}

__attribute__((visibility("default"))) int
close(int fd)
{
    static int (*real)(int);

    if (is_kept(fd)) {
        errno = EBADF;
        return -1;
    }
    if (real == NULL)
        *(void **)&real = libc("close");
    return real(fd);
}

__attribute__((visibility("default"))) int
dup2(int from, int to)
{
    static int (*real)(int, int);

    if (is_kept(to)) {
        errno = EBADF;
        return -1;
    }
    if (real == NULL)
        *(void **)&real = libc("dup2");
    return real(from, to);
}

__attribute__((visibility("default"))) int
execve(const char *path, char *const argv[], char *const envp[])
{
    static int (*real)(const char *, char *const *, char *const *);

    if (real == NULL)
        *(void **)&real = libc("execve");
    shell_before_exec();
    return real(path, argv, envp);
}

/* A subshell that dies of a signal gives the terminal back to the shell's group: by then
 * the next job may have it. */
__attribute__((visibility("default"))) int
tcsetpgrp(int fd, pid_t group)
{
    static int (*real)(int, pid_t);

    if (group == shell_pid && !shell_is_itself())
        return 0;
    if (real == NULL)
        *(void **)&real = libc("tcsetpgrp");
    return real(fd, group);
}

/* Bash's handler of SIGINT for the time of a wait puts the one before it back and sends
 * the signal again. When it comes so early that the one before is not yet known, it would
 * send it to itself for ever. */
__attribute__((visibility("default"))) int
kill(pid_t pid, int signal)
{
    static int (*real)(pid_t, int);
    struct sigaction action;

    if (signal == SIGINT && pid == getpid() && !shell_is_itself() &&
        sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
        action.sa_handler != SIG_IGN && action.sa_handler != trap_handler &&
        action.sa_handler != termsig_sighandler && action.sa_handler != shell_on_sigint) {
        terminating_signal = SIGINT;
        return 0;
    }
    if (real == NULL)
        *(void **)&real = libc("kill");
    return real(pid, signal);
}

static void
on_sigterm(int signal)
{
    (void)signal; /* ignored, as by every shell that a person types to */
}

/* Bash sees the default action for SIGTERM where there is our handler. Its own for
 * SIGINT, which comes with a trap on EXIT and with "trap - INT", would end the shell. */
__attribute__((visibility("default"))) int
sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
    static int (*real)(int, const struct sigaction *, struct sigaction *);
    struct sigaction ours;
    int r;

    if (real == NULL)
        *(void **)&real = libc("sigaction");
    if (signal == SIGTERM && action != NULL && action->sa_handler == SIG_DFL &&
        shell_pid != 0 && shell_is_itself()) {
        ours = *action;
        ours.sa_handler = on_sigterm;
        ours.sa_flags |= SA_RESTART;
        action = &ours;
    }
    if (signal == SIGINT && action != NULL && action->sa_handler == termsig_sighandler &&
        shell_pid != 0 && shell_is_itself()) {
        ours = *action;
        ours.sa_handler = shell_on_sigint;
        action = &ours;
    }
    r = real(signal, action, old);
    if (r == 0 && old != NULL && old->sa_handler == on_sigterm)
        old->sa_handler = SIG_DFL;
    return r;
}

/* What is forked by a shell that is about to end its cell, or by a subshell that is about
 * to end, would only be in the way. Bash blocks SIGINT meanwhile, and a signal that waits
 * is not the child's. So it may come here: what comes earlier is noted, and the child has
 * the note; what comes in the middle the kernel gives to both. The parent could not tell
 * the child later: by then it may have children of its own, or be gone. */
__attribute__((visibility("default"))) pid_t
fork(void)
{
    static pid_t (*real)(void);
    bool by_shell = shell_is_itself();
    sigset_t before;
    pid_t pid;

    if (real == NULL)
        *(void **)&real = libc("fork");
    shell_before_fork(&before);
    pid = real();
    if (pid == 0 && shell_is_interrupted()) {
        if (by_shell)
            _exit(128 + SIGINT); /* by the signal itself it would be one interrupt more */
        shell_die_of_interrupt(); /* a subshell that waits goes on if it ends otherwise */
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid == 0)
        shell_begin_child();
    return pid;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

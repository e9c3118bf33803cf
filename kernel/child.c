/* SPDX-License-Identifier: MIT */
#include "kernel/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define CHUNK_BYTES 4096

struct pipes {
    int out[2], errors[2];
};

static void
pipes_fini(struct pipes *pipes)
{
    close_fdp(&pipes->out[0]);
    close_fdp(&pipes->out[1]);
    close_fdp(&pipes->errors[0]);
    close_fdp(&pipes->errors[1]);
}

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A group of its own, and the signals as a program expects them. */
static int
prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes,
        const struct pipes *pipes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0) != 0 ||
        posix_spawn_file_actions_adddup2(actions, pipes->out[1], 1) != 0 ||
        posix_spawn_file_actions_adddup2(actions, pipes->errors[1], 2) != 0)
        return -ENOMEM;
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETPGROUP);
    return 0;
}

static int
start(char *const *argv, const struct pipes *pipes, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -ENOMEM;
    }
    r = prepare(&actions, &attributes, pipes);
    if (r == 0)
        r = -posix_spawn(ret, argv[0], &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

/* True at the end of the stream. */
static bool
take(int fd, struct buffer *ret, int *result)
{
    char chunk[CHUNK_BYTES];
    ssize_t n = read(fd, chunk, sizeof chunk);
    int r;

    if (n < 0)
        return errno != EINTR && errno != EAGAIN;
    r = buffer_append(ret, chunk, (size_t)n);
    if (r != 0)
        *result = r;
    return n == 0;
}

/* 0; CHILD_E_FAILED: the time is over; BUFFER_E_FULL counts as that too. */
static int
collect(const struct pipes *pipes, int timeout_ms, struct buffer *out,
        struct buffer *errors)
{
    struct pollfd fds[] = { { .fd = pipes->out[0], .events = POLLIN },
                            { .fd = pipes->errors[0], .events = POLLIN } };
    struct buffer *buffers[] = { out, errors };
    int64_t end = now_ms() + timeout_ms;

    while (fds[0].fd >= 0) { /* stderr may be held open by a grandchild: stdout counts */
        int64_t left = end - now_ms();
        int r = 0, n = poll(fds, N_ELEMENTS(fds), left > 0 ? (int)left : 0);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return CHILD_E_FAILED;
        for (size_t i = 0; n > 0 && i < N_ELEMENTS(fds); i++) {
            if (fds[i].revents != 0 && take(fds[i].fd, buffers[i], &r))
                fds[i].fd = -1;
        }
        if (r != 0)
            return r < 0 ? r : CHILD_E_FAILED;
    }
    return 0;
}

static int
finish(pid_t pid, int r, const char *name, struct error *err)
{
    siginfo_t info;
    int status;

    if (r == 0) { /* it stays a zombie, so that its group's number stays its own */
        while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
            continue;
    }
    kill(-pid, SIGKILL); /* what it left behind, or itself */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (r < 0)
        return r;
    if (r > 0)
        return error_set(err, CHILD_E_FAILED,
                         "%s: gave no answer in time, or too long a one", name);
    if (WIFSIGNALED(status))
        return error_set(err, CHILD_E_FAILED, "%s: ended by signal %d (%s)", name,
                         WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        return error_set(err, CHILD_E_FAILED, "%s: exit status %d", name,
                         WEXITSTATUS(status));
    return 0;
}

int
child_run(char *const *argv, int timeout_ms, struct buffer *out, struct buffer *errors,
          struct error *err)
{
    CLEANUP(pipes_fini) struct pipes pipes = { { -1, -1 }, { -1, -1 } };
    pid_t pid;
    int r;

    if (pipe2(pipes.out, O_CLOEXEC) < 0 || pipe2(pipes.errors, O_CLOEXEC) < 0)
        return error_errno(err, "pipe");
    r = start(argv, &pipes, &pid);
    if (r < 0)
        return error_set(err, CHILD_E_FAILED, "cannot run %s: %s", argv[0], strerror(-r));
    close(pipes.out[1]);
    close(pipes.errors[1]);
    pipes.out[1] = pipes.errors[1] = -1;
    r = collect(&pipes, timeout_ms, out, errors);
    return finish(pid, r, argv[0], err);
}

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
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/watch.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define CHUNK_BYTES 4096

/* Why not all was collected. */
enum collected { COLLECTED_ALL, COLLECTED_TOO_LITTLE, COLLECTED_STOPPED };

enum { FD_OUT, FD_ERRORS, FD_STOP, FD_END, FDS };

struct pipes {
    int out[2], errors[2];
};

/* What ends us meanwhile. It stays pending, so that it does so afterwards, or is read by
 * whom it is meant for. */
struct stop {
    sigset_t before; /* the signals that were blocked */
    int fd; /* owned */
};

static int
stop_init(struct stop *stop)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    sigset_t watched;

    sigemptyset(&watched);
    sigprocmask(SIG_BLOCK, NULL, &stop->before);
    for (size_t i = 0; i < N_ELEMENTS(numbers); i++) {
        /* One that is blocked already is a kernel's, and meant for a cell. */
        bool is_ours = numbers[i] != SIGINT || !sigismember(&stop->before, SIGINT);

        if (is_ours && !watch_is_ignored(numbers[i]))
            sigaddset(&watched, numbers[i]);
    }
    stop->fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (stop->fd < 0)
        return -errno;
    sigprocmask(SIG_BLOCK, &watched, NULL);
    return 0;
}

static void
stop_fini(struct stop *stop)
{
    close_fdp(&stop->fd);
    sigprocmask(SIG_SETMASK, &stop->before, NULL);
}

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

/* Until the program has ended, or its time has. What it left behind may hold stderr open:
 * stdout counts. */
static int
collect(struct pollfd fds[FDS], int end_fd, int timeout_ms, struct buffer *const *buffers)
{
    int64_t end = now_ms() + timeout_ms;

    for (;;) {
        int64_t left = end - now_ms();
        int r = 0, n;

        fds[FD_END].fd = fds[FD_OUT].fd < 0 ? end_fd : -1;
        n = poll(fds, FDS, left > 0 ? (int)left : 0);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return COLLECTED_TOO_LITTLE;
        if (n < 0)
            continue;
        if (fds[FD_STOP].revents != 0)
            return COLLECTED_STOPPED;
        if (fds[FD_END].revents != 0)
            return COLLECTED_ALL;
        for (size_t i = FD_OUT; i <= FD_ERRORS; i++) {
            if (fds[i].revents != 0 && take(fds[i].fd, buffers[i], &r))
                fds[i].fd = -1;
        }
        if (r != 0)
            return r < 0 ? r : COLLECTED_TOO_LITTLE;
    }
}

static int
finish(pid_t pid, int r, const char *name, struct error *err)
{
    int status;

    /* What it left behind, or itself. It is a zombie until then, so that its group's
     * number stays its own. */
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (r < 0)
        return r;
    if (r == COLLECTED_STOPPED)
        return error_set(err, CHILD_E_FAILED, "%s: interrupted", name);
    if (r == COLLECTED_TOO_LITTLE)
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

static int
watch_child(pid_t pid, const struct pipes *pipes, const struct stop *stop, int timeout_ms,
            struct buffer *const *buffers)
{
    CLEANUP(close_fdp) int end = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd fds[FDS] = {
        [FD_OUT] = { .fd = pipes->out[0], .events = POLLIN },
        [FD_ERRORS] = { .fd = pipes->errors[0], .events = POLLIN },
        [FD_STOP] = { .fd = stop->fd, .events = POLLIN },
        [FD_END] = { .fd = -1, .events = POLLIN },
    };

    return end < 0 ? -errno : collect(fds, end, timeout_ms, buffers);
}

int
child_run(char *const *argv, int timeout_ms, struct buffer *out, struct buffer *errors,
          struct error *err)
{
    CLEANUP(pipes_fini) struct pipes pipes = { { -1, -1 }, { -1, -1 } };
    struct buffer *const buffers[] = { [FD_OUT] = out, [FD_ERRORS] = errors };
    struct stop stop;
    pid_t pid;
    int r;

    if (pipe2(pipes.out, O_CLOEXEC) < 0 || pipe2(pipes.errors, O_CLOEXEC) < 0)
        return error_errno(err, "pipe");
    r = stop_init(&stop);
    if (r < 0)
        return r;
    r = start(argv, &pipes, &pid);
    if (r == 0) {
        close(pipes.out[1]);
        close(pipes.errors[1]);
        pipes.out[1] = pipes.errors[1] = -1;
        r = watch_child(pid, &pipes, &stop, timeout_ms, buffers);
        r = finish(pid, r, argv[0], err);
    } else {
        r = error_set(err, CHILD_E_FAILED, "cannot run %s: %s", argv[0], strerror(-r));
    }
    stop_fini(&stop);
    return r;
}

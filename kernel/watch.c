/* SPDX-License-Identifier: MIT */
/* PR_SET_PDEATHSIG would be simpler, but it fires when the *thread* ends that started us,
 * and Jupyter clients start kernels from threads that come and go. A pidfd knows. */
#include "kernel/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "kernel/command.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

struct watch {
    struct kernel *kernel; /* borrowed */
    int signals; /* owned */
    int parent; /* owned: pidfd, or -1 */
    struct loop_source *signal_source; /* owned */
    struct loop_source *parent_source; /* owned, or NULL */
};

CLEANUP_DEFINE(struct watch, watch_destroy);

bool
watch_is_ignored(int signal)
{
    struct sigaction action;

    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static sigset_t
watched_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (!watch_is_ignored(SIGHUP))
        sigaddset(&set, SIGHUP);
    return set;
}

void
watch_prepare(void)
{
    sigset_t set = watched_signals();

    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int
watch_open_signals(struct error *err)
{
    sigset_t set = watched_signals();
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

    return fd < 0 ? error_errno(err, "signalfd") : fd;
}

static int
on_signal(int fd, uint32_t events, void *arg)
{
    struct watch *watch = arg;
    struct signalfd_siginfo info;

    (void)events;
    if (read(fd, &info, sizeof info) != sizeof info)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (info.ssi_signo == SIGINT)
        return kernel_interrupt(watch->kernel);
    return kernel_stop(watch->kernel, EXIT_STATUS_INTERRUPTED);
}

static int
on_parent_end(int fd, uint32_t events, void *arg)
{
    struct watch *watch = arg;

    (void)fd, (void)events;
    loop_source_destroy(watch->parent_source); /* it stays readable */
    watch->parent_source = NULL;
    log_line("the process that started the kernel has ended, and so does the kernel");
    return kernel_stop(watch->kernel, EXIT_STATUS_INTERRUPTED);
}

/* The process to watch, or 0. 1 means that the launcher lives as long as the system. */
static pid_t
named_parent(void)
{
    const char *text = getenv("JPY_PARENT_PID");
    char *end;
    long pid;

    if (text == NULL)
        return 0;
    pid = strtol(text, &end, 10);
    return *text == '\0' || *end != '\0' || pid <= 1 || pid > INT32_MAX ? 0 : (pid_t)pid;
}

/* 0: PARENT is set, or there is none to watch. */
static int
open_parent(struct watch *watch, struct error *err)
{
    pid_t pid = named_parent();

    if (pid == 0)
        return 0;
    watch->parent = (int)syscall(SYS_pidfd_open, pid, 0);
    if (watch->parent < 0 && errno == ESRCH && getppid() > 1)
        /* The number means nothing in this pid namespace; who started us is alive. */
        watch->parent = (int)syscall(SYS_pidfd_open, getppid(), 0);
    if (watch->parent >= 0)
        return 0;
    if (errno == ESRCH)
        return error_set(err, WATCH_E_ORPHAN,
                         "the process that JPY_PARENT_PID names has ended");
    return error_errno(err, "pidfd_open");
}

int
watch_open_parent(struct error *err)
{
    int fd = (int)syscall(SYS_pidfd_open, getppid(), 0);

    return fd >= 0 ? fd : error_errno(err, "pidfd_open of the parent");
}

int
watch_create(struct watch **ret, struct loop *loop, struct kernel *kernel,
             struct error *err)
{
    CLEANUP(watch_destroyp) struct watch *watch = malloc(sizeof *watch);
    int r;

    if (watch == NULL)
        return -ENOMEM;
    *watch = (struct watch){ .kernel = kernel, .signals = -1, .parent = -1 };
    watch->signals = watch_open_signals(err);
    if (watch->signals < 0)
        return watch->signals;
    r = loop_add_fd(&watch->signal_source, loop, watch->signals, EPOLLIN, on_signal,
                    watch);
    if (r == 0)
        r = open_parent(watch, err);
    if (r == 0 && watch->parent >= 0)
        r = loop_add_fd(&watch->parent_source, loop, watch->parent, EPOLLIN,
                        on_parent_end, watch);
    if (r != 0)
        return r;
    *ret = watch;
    watch = NULL;
    return 0;
}

void
watch_destroy(struct watch *watch)
{
    if (watch == NULL)
        return;
    loop_source_destroy(watch->signal_source);
    loop_source_destroy(watch->parent_source);
    close_fdp(&watch->signals);
    close_fdp(&watch->parent);
    free(watch);
}

/* SPDX-License-Identifier: MIT */
/*
 * Owns the control socket, init's pidfd and the runner's. Whether the child is alive is
 * told by these three alone: its pipes may be held open by anybody.
 */
#include "contexts/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contexts/channel.h"
#include "contexts/loop.h"
#include "contexts/processes.h"
#include "contexts/spawner.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define REPORTS_A_TURN 16

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1U << 2)
#endif

struct child {
    struct loop *loop; /* borrowed */
    struct spawner *spawner; /* borrowed */
    uint64_t ticket;
    bool spawning; /* the spawner has not answered */
    bool gone;
    int control; /* owned */
    int init_pidfd; /* owned; -1: not known yet */
    int runner_pidfd; /* owned; -1: not known */
    struct loop_source *control_source; /* owned */
    struct loop_source *init_source; /* owned */
    const struct child_observer *observer; /* borrowed */
    void *arg;
};

CLEANUP_DEFINE(struct child, child_destroy);

static int
pidfd_signal(int pidfd, int signal, unsigned flags)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, flags);
}

static int
tell_gone(struct child *child, const struct error *err)
{
    if (child->gone)
        return 0;
    child->gone = true;
    loop_source_destroy(child->control_source);
    child->control_source = NULL;
    loop_source_destroy(child->init_source);
    child->init_source = NULL;
    return child->observer->on_gone(err, child->arg);
}

/* Tells what reports there are. 0: more may come; 1: the other end is closed; < 0. */
static int
read_reports(struct child *child)
{
    for (int i = 0; i < REPORTS_A_TURN; i++) {
        uint8_t packet[CONTROL_BYTES];
        struct control_report report;
        ssize_t n = recv(child->control, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
        int r;

        if (n < 0 && errno == ECONNRESET)
            continue; /* told once: init has left a command unread; reports follow */
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n < 0)
            return -errno;
        if (n == 0 || n > CONTROL_BYTES ||
            !control_report_decode(&report, (struct slice){ packet, (size_t)n }))
            return 1;
        r = child->observer->on_report(&report, child->arg);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
on_control(int fd, uint32_t events, void *arg)
{
    struct child *child = arg;
    int r = read_reports(child);

    (void)fd, (void)events;
    return r == 1 ? tell_gone(child, NULL) : r;
}

/* Init has ended, and so has all that it held; what it said last may still be unread. */
static int
on_init_end(int fd, uint32_t events, void *arg)
{
    struct child *child = arg;
    int r = read_reports(child);

    (void)fd, (void)events;
    return r < 0 ? r : tell_gone(child, NULL);
}

static int
on_spawned(int init_pidfd, const struct error *err, void *arg)
{
    struct child *child = arg;

    child->spawning = false;
    if (err != NULL)
        return tell_gone(child, err);
    child->init_pidfd = init_pidfd;
    if (child->gone)
        return 0;
    return loop_add_fd(&child->init_source, child->loop, init_pidfd, EPOLLIN, on_init_end,
                       child);
}

/* Ours, read without blocking, and the child's. */
static int
make_pipe(int *ret_ours, int *ret_theirs)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) {
        int r = -errno;

        close(ends[0]);
        close(ends[1]);
        return r;
    }
    *ret_ours = ends[0];
    *ret_theirs = ends[1];
    return 0;
}

static int
make_control(int *ret_ours, int *ret_theirs)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    *ret_ours = ends[0];
    *ret_theirs = ends[1];
    return 0;
}

/* All fds of a child while it is being made: what is not -1 is closed at the end. */
struct ends {
    struct output_fds ours;
    int theirs[SANDBOX_FD_COUNT];
};

static void
ends_close(struct ends *ends)
{
    close_fdp(&ends->ours.out);
    close_fdp(&ends->ours.err);
    close_fdp(&ends->ours.channel);
    for (int i = 0; i < SANDBOX_FD_COUNT; i++)
        close_fdp(&ends->theirs[i]);
}

static int
ends_open(struct ends *ends, int *ret_control)
{
    int r;

    ends->theirs[SANDBOX_STDIN] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (ends->theirs[SANDBOX_STDIN] < 0)
        return -errno;
    r = make_pipe(&ends->ours.out, &ends->theirs[SANDBOX_STDOUT]);
    if (r == 0)
        r = make_pipe(&ends->ours.err, &ends->theirs[SANDBOX_STDERR]);
    if (r == 0)
        r = channel_pair(&ends->ours.channel, &ends->theirs[SANDBOX_CHANNEL]);
    if (r == 0)
        r = make_control(ret_control, &ends->theirs[SANDBOX_CONTROL]);
    return r;
}

int
child_create(struct child **ret, struct loop *loop, struct spawner *spawner,
             const struct sandbox_spec *spec, const struct child_observer *observer,
             void *arg, struct output_fds *ret_fds, struct error *err)
{
    CLEANUP(ends_close) struct ends ends = { { -1, -1, -1 }, { -1, -1, -1, -1, -1 } };
    CLEANUP(child_destroyp) struct child *child = malloc(sizeof *child);
    int r;

    if (child == NULL)
        return -ENOMEM;
    *child = (struct child){
        .loop = loop,
        .spawner = spawner,
        .control = -1,
        .init_pidfd = -1,
        .runner_pidfd = -1,
        .observer = observer,
        .arg = arg,
    };
    r = ends_open(&ends, &child->control);
    if (r == 0)
        r = loop_add_fd(&child->control_source, loop, child->control, EPOLLIN, on_control,
                        child);
    if (r < 0)
        return r;
    r = spawner_spawn(spawner, spec, ends.theirs, NULL, on_spawned, child, &child->ticket,
                      err);
    if (r != 0)
        return r < 0 ? r : error_wrap(err, CHILD_E_SPAWN, "asking for a sandbox");
    child->spawning = true;

    *ret_fds = ends.ours;
    ends.ours = (struct output_fds){ -1, -1, -1 };
    *ret = child;
    child = NULL;
    return 0;
}

void
child_destroy(struct child *child)
{
    if (child == NULL)
        return;
    if (child->spawning)
        spawner_cancel(child->spawner, child->ticket);
    loop_source_destroy(child->control_source);
    loop_source_destroy(child->init_source);
    if (child->init_pidfd >= 0) {
        (void)pidfd_signal(child->init_pidfd, SIGKILL, 0); /* takes its namespace along */
        close(child->init_pidfd);
    }
    if (child->runner_pidfd >= 0)
        close(child->runner_pidfd);
    if (child->control >= 0)
        close(child->control); /* an init that we have no pidfd of ends by this */
    free(child);
}

void
child_set_runner(struct child *child, int pidfd)
{
    if (child->runner_pidfd >= 0)
        close(child->runner_pidfd);
    child->runner_pidfd = pidfd;
}

/* What does not arrive was sent to the dead. */
static void
command(struct child *child, struct control_command command)
{
    uint8_t packet[CONTROL_BYTES];

    control_command_encode(packet, &command);
    (void)send(child->control, packet, sizeof packet, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
child_interrupt(struct child *child)
{
    if (child->runner_pidfd >= 0 &&
        pidfd_signal(child->runner_pidfd, SIGINT, PIDFD_SIGNAL_PROCESS_GROUP) == 0)
        return;
    /* The kernel is older than 6.9, or the runner left its group: init knows both. */
    command(child, (struct control_command){ .kind = CONTROL_SIGNAL, .signal = SIGINT });
}

void
child_kill(struct child *child)
{
    command(child, (struct control_command){ .kind = CONTROL_KILL_ALL });
}

size_t
child_pids(const struct child *child, int *ret, size_t max)
{
    if (child->init_pidfd < 0)
        return 0;
    return processes_tree(processes_of_pidfd(child->init_pidfd), ret, max);
}

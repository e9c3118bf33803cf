/* SPDX-License-Identifier: MIT */
/*
 * Owns the control socket, init's pidfd and the runner's. Whether the child is alive is
 * told by these three alone: its pipes may be held open by anybody.
 */
#include "contexts/child.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "contexts/processes.h"
#include "contexts/sandbox/spec.h"
#include "contexts/spawner.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define REPORTS_A_TURN 16

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1U << 2)
#endif

struct child {
    struct loop *loop; /* borrowed */
    struct spawner_order *order; /* owned: until the spawner has answered */
    bool gone;
    bool is_nested; /* who watches over it must not be killed, but sees init's end */
    int control; /* owned; -1: not born yet */
    int init_pidfd; /* owned; -1: not born yet */
    int runner_pidfd; /* owned; -1: not known */
    struct meter *meter; /* owned; NULL: not born yet */
    uint64_t memory_limit_bytes;
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
on_full(void *arg)
{
    const struct child *child = arg;

    return child->gone ? 0 : child->observer->on_full(child->arg);
}

/* What the child keeps, and what it hands on. */
static struct output_fds
take_fds(struct child *child, struct spawner_child *born)
{
    struct output_fds fds = { born->out, born->err, born->channel };

    child->control = born->control;
    child->init_pidfd = born->init_pidfd;
    *born = (struct spawner_child)SPAWNER_CHILD_NONE;
    return fds;
}

static int
on_spawned(struct spawner_child *born, const struct error *err, void *arg)
{
    struct child *child = arg;
    struct output_fds fds;
    int r;

    child->order = NULL;
    if (born == NULL)
        return tell_gone(child, err);
    r = meter_create(&child->meter, child->loop,
                     &(struct meter_subject){
                         .group = &born->group,
                         .init_pidfd = born->init_pidfd,
                         .memory_limit_bytes = child->memory_limit_bytes,
                     },
                     on_full, child);
    if (r < 0)
        return r; /* the fds are the spawner's to close */
    fds = take_fds(child, born);
    r = child->observer->on_born(&fds, child->arg);
    if (r == 0)
        r = loop_add_fd(&child->control_source, child->loop, child->control, EPOLLIN,
                        on_control, child);
    if (r == 0)
        r = loop_add_fd(&child->init_source, child->loop, child->init_pidfd, EPOLLIN,
                        on_init_end, child);
    return r;
}

int
child_create(struct child **ret, struct loop *loop, struct spawner *spawner,
             const struct spawner_wish *wish, const struct child_observer *observer,
             void *arg, struct error *err)
{
    CLEANUP(child_destroyp) struct child *child = malloc(sizeof *child);
    int r;

    if (child == NULL)
        return -ENOMEM;
    *child = (struct child){
        .loop = loop,
        .is_nested = wish->spec->tier == SANDBOX_TIER_NESTED,
        .control = -1,
        .init_pidfd = -1,
        .runner_pidfd = -1,
        .memory_limit_bytes = wish->spec->limits.memory_bytes,
        .observer = observer,
        .arg = arg,
    };
    r = spawner_spawn(&child->order, spawner, wish, on_spawned, child, err);
    if (r != 0)
        return r < 0 ? r : error_wrap(err, CHILD_E_SPAWN, "asking for a sandbox");
    *ret = child;
    child = NULL;
    return 0;
}

void
child_destroy(struct child *child)
{
    if (child == NULL)
        return;
    spawner_cancel(child->order);
    loop_source_destroy(child->control_source);
    loop_source_destroy(child->init_source);
    meter_destroy(child->meter);
    if (child->init_pidfd >= 0) {
        /* And its namespace. Not before it has started: a zygote may just be forking in
         * there, which must not be torn; init then ends with its control socket. */
        if (!child->is_nested && child->runner_pidfd >= 0)
            (void)pidfd_signal(child->init_pidfd, SIGKILL, 0);
        close(child->init_pidfd);
    }
    if (child->runner_pidfd >= 0)
        close(child->runner_pidfd);
    if (child->control >= 0)
        close(child->control);
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

    if (child->control < 0)
        return;
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
    if (child->order != NULL) {
        spawner_cancel(child->order);
        child->order = NULL;
        (void)tell_gone(child, NULL);
        return;
    }
    command(child, (struct control_command){ .kind = CONTROL_KILL_ALL });
}

void
child_hurry(struct child *child)
{
    meter_hurry(child->meter);
}

struct meter_reading
child_read_meter(const struct child *child)
{
    return meter_read(child->meter);
}

size_t
child_pids(const struct child *child, int *ret, size_t max)
{
    if (child->init_pidfd < 0)
        return 0;
    return processes_tree(processes_of_pidfd(child->init_pidfd), ret, max);
}

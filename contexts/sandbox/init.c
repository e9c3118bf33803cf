/* SPDX-License-Identifier: MIT */
/*
 * pid 1 of a sandbox: builds it, forks the runner, and then waits for two things, the
 * control socket and the ends of children. User code can neither see nor stop it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/sandbox/nested.h"
#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

#define INIT_NAME "cellwall-init"
#define FORK_LINGER_MS 500 /* many times what a fork by a zygote takes */
#define ENDED_EARLY "runner ended while it was confined" /* as a step */

struct init {
    pid_t runner; /* inside; 0: reaped */
    bool is_zygote;
    bool is_alone; /* pid 1 of its own namespace */
    bool let_go; /* the runner may go on: init is safe from it */
    bool ready; /* the runner has said that it is confined */
    bool started;
};

/* If the server is gone, the context is too. */
static void
report_with(int control, const struct control_report *message, const int *fds,
            size_t fd_count)
{
    uint8_t data[CONTROL_BYTES];

    control_report_encode(data, message);
    if (passing_send(control, (struct slice){ .data = data, .length = sizeof data },
                     (struct slice){ 0 }, fds, fd_count, 0) < 0)
        _exit(1);
}

static void
report(int control, const struct control_report *message)
{
    report_with(control, message, NULL, 0);
}

/* The end of pid 1 is the end of every process in the sandbox. */
_Noreturn void
sandbox_report_failure(int control, const struct sandbox_failure *failure)
{
    struct control_report message = { .kind = CONTROL_FAILED, .error = failure->error };

    memcpy(message.step, failure->step, sizeof message.step);
    message.step[sizeof message.step - 1] = '\0';
    report(control, &message);
    _exit(1);
}

static void
report_started(struct init *init)
{
    struct control_report message = { .kind = CONTROL_STARTED, .pid = init->runner };
    int fds[SANDBOX_NAMESPACE_COUNT];

    init->started = true;
    if (!init->is_zygote) {
        report(SANDBOX_INIT_CONTROL, &message);
        return;
    }
    for (int i = 0; i < SANDBOX_NAMESPACE_COUNT; i++)
        fds[i] = SANDBOX_INIT_NAMESPACES + i;
    report_with(SANDBOX_INIT_CONTROL, &message, fds, SANDBOX_NAMESPACE_COUNT);
    for (int i = 0; i < SANDBOX_NAMESPACE_COUNT; i++)
        close(fds[i]);
}

static uint64_t
timeval_us(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void
report_exited(struct init *init, int status, const struct rusage *usage)
{
    struct control_report message = { .kind = CONTROL_EXITED,
                                      .pid = init->runner,
                                      .status = status,
                                      .user_us = timeval_us(usage->ru_utime),
                                      .system_us = timeval_us(usage->ru_stime),
                                      .peak_bytes = (uint64_t)usage->ru_maxrss * 1024 };

    init->runner = 0;
    report(SANDBOX_INIT_CONTROL, &message);
}

/* Once: who goes on talking would keep init from its control socket. */
static bool
is_ready(const struct init *init, const struct sandbox_failure *word)
{
    return word->error == 0 && word->pid == 0 && init->let_go && !init->ready;
}

/* The runner's word: ready, or why not; its end of the socket closes when it execs. */
static void
on_status(struct init *init)
{
    struct sandbox_failure failure;
    ssize_t n;

    while (!init->started) {
        n = recv(SANDBOX_INIT_STATUS, &failure, sizeof failure, MSG_DONTWAIT);
        /* A runner that ended without reading our go resets the socket once; its word is
         * still there. */
        if (n < 0 && (errno == EINTR || errno == ECONNRESET))
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n == (ssize_t)sizeof failure && is_ready(init, &failure)) {
            init->ready = true;
            continue;
        }
        if (n == 0 && init->ready) {
            report_started(init);
            return;
        }
        if (n != (ssize_t)sizeof failure || failure.error == 0)
            sandbox_failure_set(&failure, ECHILD, ENDED_EARLY, "");
        sandbox_report_failure(SANDBOX_INIT_CONTROL, &failure);
    }
}

/* The runner has ended, but a zygote may hold its end of the socket a moment longer. */
static void
settle_start(struct init *init)
{
    struct sandbox_failure failure;

    on_status(init); /* what it said last came before its end */
    if (init->started)
        return;
    if (init->ready) {
        report_started(init);
        return;
    }
    sandbox_failure_set(&failure, ECHILD, ENDED_EARLY, "");
    sandbox_report_failure(SANDBOX_INIT_CONTROL, &failure);
}

static void
on_child(struct init *init)
{
    struct signalfd_siginfo drained;
    struct rusage usage;
    int status;
    pid_t pid;

    while (read(SANDBOX_INIT_SIGNALS, &drained, sizeof drained) > 0)
        continue;
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        if (pid != init->runner)
            continue;
        settle_start(init);
        report_exited(init, status, &usage);
    }
    /* What a zygote has made may outlive it, but not the other way round. */
    if (init->is_zygote && init->runner == 0 && pid < 0)
        _exit(0);
}

/* Without a namespace of its own init may kill others than the context's; who watches
 * over it kills the rest when it ends. */
static void
kill_all(const struct init *init)
{
    if (init->is_alone) {
        kill(-1, SIGKILL);
        return;
    }
    if (init->runner <= 0)
        return;
    kill(-init->runner, SIGKILL);
    kill(init->runner, SIGKILL); /* it may have left its group */
}

static void
on_control(const struct init *init)
{
    struct control_command command;
    uint8_t data[CONTROL_BYTES];
    ssize_t n = recv(SANDBOX_INIT_CONTROL, data, sizeof data, MSG_DONTWAIT | MSG_TRUNC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        _exit(0);
    if ((size_t)n > sizeof data ||
        !control_command_decode(&command,
                                (struct slice){ .data = data, .length = (size_t)n }))
        return;
    if (command.kind == CONTROL_KILL_ALL)
        kill_all(init);
    else if (init->runner > 0)
        kill(-init->runner, command.signal);
}

static _Noreturn void
init_loop(struct init *init)
{
    for (;;) {
        struct pollfd fds[] = {
            [SANDBOX_INIT_CONTROL] = { .fd = SANDBOX_INIT_CONTROL, .events = POLLIN },
            [SANDBOX_INIT_STATUS] = { .fd = init->started ? -1 : SANDBOX_INIT_STATUS,
                                      .events = POLLIN },
            [SANDBOX_INIT_SIGNALS] = { .fd = SANDBOX_INIT_SIGNALS, .events = POLLIN },
        };

        if (poll(fds, sizeof fds / sizeof fds[0], -1) < 0) {
            if (errno != EINTR)
                _exit(1);
            continue;
        }
        if (fds[SANDBOX_INIT_STATUS].revents != 0)
            on_status(init);
        if (fds[SANDBOX_INIT_SIGNALS].revents != 0)
            on_child(init);
        if (fds[SANDBOX_INIT_CONTROL].revents != 0)
            on_control(init);
    }
}

static void
wait_for_ids(const struct sandbox_work *work)
{
    char byte;
    ssize_t n;

    do
        n = recv(work->sync, &byte, sizeof byte, 0);
    while (n < 0 && errno == EINTR);
    if (n != sizeof byte)
        _exit(1); /* the spawner is gone */
}

/* All trees, or none of them can be trusted to be in its place. */
static void
receive_trees(struct sandbox_work *work, uint32_t count)
{
    while (count > 0) {
        uint16_t indices[PASSING_FDS_MAX];
        struct passing passing;

        if (passing_receive(work->sync, indices, sizeof indices, 0, &passing) < 0 ||
            passing.fds_lost || passing.fd_count == 0 || passing.fd_count > count ||
            passing.length != passing.fd_count * sizeof *indices)
            _exit(1);
        for (size_t i = 0; i < passing.fd_count; i++) {
            if (indices[i] >= SANDBOX_MOUNTS_MAX)
                _exit(1);
            work->trees[indices[i]] = passing.fds[i];
        }
        count -= (uint32_t)passing.fd_count;
    }
}

static bool
has_its_fds(const struct sandbox_work *work, const struct sandbox_order *order,
            size_t count)
{
    size_t least = !order->is_last ? 0 : SANDBOX_FD_COUNT + (size_t)work->by_zygote;
    size_t more = order->is_last && work->by_zygote ? CGROUP_HIERARCHIES_MAX : 0;

    return count >= least && count <= least + more;
}

/* True for the last. What the spawner says is taken over into WORK. A shell that nobody
 * wanted, or whose order has not come whole, ends. */
static bool
receive_order(struct sandbox_work *work, struct sandbox_failure *ret)
{
    const size_t size = sizeof(struct sandbox_order) + SANDBOX_SPEC_BYTES_MAX;
    CLEANUP(freep) uint8_t *packet = malloc(size);
    struct sandbox_order order;
    struct passing passing;

    if (packet == NULL || passing_receive(work->sync, packet, size, 0, &passing) < 0 ||
        passing.cut || passing.fds_lost || passing.length < sizeof order)
        _exit(1);
    memcpy(&order, packet, sizeof order);
    if (!has_its_fds(work, &order, passing.fd_count))
        _exit(1);
    sandbox_spec_copy_fini(&work->copy);
    if (sandbox_spec_decode(&work->copy,
                            (struct slice){ .data = packet + sizeof order,
                                            .length = passing.length - sizeof order },
                            NULL) != 0)
        _exit(1);
    work->spec = &work->copy.spec;
    if (order.mount_from > order.mount_to || order.mount_to > work->spec->mount_count)
        _exit(1);
    work->mount_from = order.mount_from;
    work->mount_to = order.mount_to;
    if (order.is_last)
        memcpy(work->fds, passing.fds, sizeof work->fds);
    if (order.is_last && work->by_zygote) {
        work->zygote = passing.fds[SANDBOX_FD_COUNT];
        work->door_count = passing.fd_count - SANDBOX_FD_COUNT - 1;
        memcpy(work->doors, &passing.fds[SANDBOX_FD_COUNT + 1],
               work->door_count * sizeof *work->doors);
    }
    work->outer_uid = order.outer_uid;
    work->outer_gid = order.outer_gid;
    work->umask = order.umask;
    *ret = order.failure;
    receive_trees(work, order.tree_count);
    return order.is_last;
}

/* A failure before the order is told after it: only then there is somebody to tell. */
static void
build(struct sandbox_work *work)
{
    struct sandbox_failure failure = { 0 }, ordered;
    bool is_last;

    wait_for_ids(work);
    sandbox_steps_apply(&sandbox_shell_steps, work, &failure);
    do {
        is_last = receive_order(work, &ordered);
        if (failure.error == 0)
            failure = ordered;
        if (failure.error == 0)
            sandbox_steps_apply(is_last ? &sandbox_build_steps : &sandbox_mount_steps,
                                work, &failure);
    } while (!is_last);
    if (failure.error != 0)
        sandbox_report_failure(work->fds[SANDBOX_CONTROL], &failure);
}

/* Children's ends come as a readable fd. Every other signal finds pid 1 without a handler
 * and is dropped by the kernel. */
static int
open_signals(struct sandbox_work *work)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &mask, NULL) < 0)
        return -errno;
    work->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return work->signals < 0 ? -errno : 0;
}

static bool
is_nested(const struct sandbox_work *work)
{
    return work->spec->tier == SANDBOX_TIER_NESTED;
}

void
sandbox_runner_confine(struct sandbox_work *work)
{
    struct sandbox_failure word = { 0 };

    if (!sandbox_steps_apply(is_nested(work) ? &sandbox_nested_confine_steps
                                             : &sandbox_confine_steps,
                             work, &word)) {
        send(work->status, &word, sizeof word, MSG_NOSIGNAL);
        _exit(1);
    }
    if (send(work->status, &word, sizeof word, MSG_NOSIGNAL) < 0)
        _exit(1);
}

static _Noreturn void
init_main(struct sandbox_work *work, pid_t runner)
{
    struct init init = { .runner = runner,
                         .is_zygote = work->role == SANDBOX_ROLE_ZYGOTE,
                         .is_alone = !is_nested(work) };
    struct sandbox_failure failure;

    if (!sandbox_steps_apply(&sandbox_init_steps, work, &failure))
        sandbox_report_failure(work->fds[SANDBOX_CONTROL], &failure);
    prctl(PR_SET_NAME, INIT_NAME);
    init.let_go = send(work->status, "", 1, MSG_NOSIGNAL) >= 0;
    if (!init.let_go) {
        on_status(&init); /* the runner has failed already */
        _exit(1);
    }
    init_loop(&init);
}

/* Waits for EVENTS, but no longer than the server wants the context. Commands wait. */
static void
wait_with_server(const struct sandbox_work *work, int fd, short events)
{
    struct pollfd fds[] = { { .fd = work->fds[SANDBOX_CONTROL], .events = POLLRDHUP },
                            { .fd = fd, .events = events } };

    while (poll(fds, N_ELEMENTS(fds), -1) < 0)
        if (errno != EINTR)
            _exit(1);
    if (fds[0].revents != 0)
        _exit(0);
}

/* A zygote that is busy, or will never read, lets the socket fill. */
static int
send_call(const struct sandbox_work *work, struct slice packet, const int *fds,
          size_t fd_count)
{
    int r;

    do {
        wait_with_server(work, work->zygote, POLLOUT);
        r = passing_send(work->zygote, packet, (struct slice){ 0 }, fds, fd_count,
                         MSG_DONTWAIT);
    } while (r == -EAGAIN);
    return r;
}

static int
call_zygote(const struct sandbox_work *work, int status)
{
    const struct sandbox_call call = { .own_ids = work->own_ids,
                                       .umask = work->umask,
                                       .door_count = work->door_count };
    size_t namespaces = sandbox_call_door(&call) - SANDBOX_CALL_NAMESPACES;
    CLEANUP(buffer_fini) struct buffer packet = { 0 };
    int fds[SANDBOX_CALL_FD_COUNT];
    int r;

    memcpy(fds, work->fds, SANDBOX_CALL_STATUS * sizeof *fds);
    fds[SANDBOX_CALL_STATUS] = status;
    memcpy(&fds[SANDBOX_CALL_NAMESPACES], work->entries, namespaces * sizeof *fds);
    memcpy(&fds[sandbox_call_door(&call)], work->doors, sizeof work->doors);
    buffer_init(&packet, SANDBOX_CALL_BYTES_MAX);
    r = sandbox_call_encode(&packet, &call, work->spec);
    if (r == 0)
        r = send_call(work, buffer_slice(&packet), fds, sandbox_call_fd_count(&call));
    return r <= 0 ? r : -EINVAL;
}

/* With init ends what forks the runner here, and shares the zygote's memory: a zygote
 * whose fork is torn is lost. A fork takes milliseconds, so it is waited for, even by who
 * is not wanted any more; but no zygote keeps a context alive. */
static void
wait_for_fork(const struct sandbox_work *work)
{
    struct pollfd fds[] = { { .fd = work->status, .events = POLLIN },
                            { .fd = work->fds[SANDBOX_CONTROL], .events = POLLRDHUP } };

    while (poll(fds, N_ELEMENTS(fds), -1) < 0)
        if (errno != EINTR)
            _exit(1);
    if (fds[1].revents == 0)
        return;
    if (fds[0].revents == 0)
        poll(fds, 1, FORK_LINGER_MS);
    _exit(0);
}

static bool
hear(const struct sandbox_work *work, struct sandbox_failure *ret)
{
    wait_for_fork(work);
    return recv(work->status, ret, sizeof *ret, MSG_DONTWAIT) == (ssize_t)sizeof *ret;
}

/* Waits until the runner exists. It may fail, and say so, before who forked it has ended:
 * that is known by the next word, or the end of all. */
static pid_t
runner_from_zygote(const struct sandbox_work *work)
{
    struct sandbox_failure word = { 0 }, next;

    if (!hear(work, &word) || (word.error == 0 && word.pid <= 0))
        sandbox_failure_set(&word, ECHILD, "fork by the zygote", "");
    if (word.error != 0) {
        (void)hear(work, &next);
        sandbox_report_failure(work->fds[SANDBOX_CONTROL], &word);
    }
    return word.pid;
}

static int
compare_fds(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Of what the spawner had open nothing may be held while a zygote takes its time: not an
 * end of another's socket, nor of our own. */
static int
close_others(const struct sandbox_work *work, const int pair[2])
{
    int keep[SANDBOX_FD_COUNT + SANDBOX_CALL_NAMESPACE_COUNT + 4 +
             CGROUP_HIERARCHIES_MAX];
    size_t count = SANDBOX_FD_COUNT;
    int next = 0;

    memcpy(keep, work->fds, sizeof work->fds);
    for (int i = 0; i < SANDBOX_CALL_NAMESPACE_COUNT; i++)
        keep[count++] = work->entries[i];
    keep[count++] = work->zygote;
    keep[count++] = work->signals;
    keep[count++] = pair[0];
    keep[count++] = pair[1];
    for (size_t i = 0; i < work->door_count; i++)
        keep[count++] = work->doors[i];
    qsort(keep, count, sizeof *keep, compare_fds);
    for (size_t i = 0; i < count; i++) {
        if (keep[i] > next && sys_close_range((unsigned)next, (unsigned)keep[i] - 1) < 0)
            return -errno;
        if (keep[i] >= next)
            next = keep[i] + 1;
    }
    return sys_close_from((unsigned)next) < 0 ? -errno : 0;
}

static _Noreturn void
init_with_zygote(struct sandbox_work *work, const int pair[2])
{
    struct sandbox_failure failure = { 0 };
    int r = close_others(work, pair);

    /* Whom it calls has rights to what it is in; they must not be rights to itself. */
    if (r == 0 && sys_prctl(PR_SET_DUMPABLE, 0, 0, 0) < 0)
        r = -errno;
    if (r == 0)
        r = call_zygote(work, pair[1]);
    if (r < 0) {
        sandbox_failure_set(&failure, -r, "ask the zygote", "");
        sandbox_report_failure(work->fds[SANDBOX_CONTROL], &failure);
    }
    close(pair[1]);
    work->status = pair[0];
    init_main(work, runner_from_zygote(work));
}

void
sandbox_child_run(struct sandbox_work *work)
{
    build(work);
    sandbox_init_run(work);
}

void
sandbox_init_run(struct sandbox_work *work)
{
    struct sandbox_failure failure = { 0 };
    int pair[2], r;
    pid_t runner;

    r = open_signals(work);
    if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        r = -errno;
    if (r == 0 && work->by_zygote)
        init_with_zygote(work, pair);
    runner = r == 0 ? sys_fork() : -1;
    if (runner < 0) {
        sandbox_failure_set(&failure, r < 0 ? -r : errno, "fork the runner", "");
        sandbox_report_failure(work->fds[SANDBOX_CONTROL], &failure);
    }
    work->status = pair[runner == 0 ? 1 : 0];
    close(pair[runner == 0 ? 0 : 1]);
    if (runner > 0)
        init_main(work, runner);
    sandbox_runner_confine(work);
}

void
sandbox_child_failed(struct sandbox_work *work, int error, const char *step,
                     const char *object)
{
    struct sandbox_failure word = { 0 };

    sandbox_failure_set(&word, error, step, object);
    send(work->status, &word, sizeof word, MSG_NOSIGNAL);
    _exit(1);
}

/* SPDX-License-Identifier: MIT */
/*
 * Three processes make a runner. The helper enters the sandbox, all but its pid
 * namespace, which only a child can be born in; the middle is that child, and ends at
 * once, so that the runner, a child of its own, becomes init's. Helper and middle share
 * the zygote's memory: its page tables are copied once, for the runner.
 */
#include "contexts/sandbox/join.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define NAMESPACES                                                                       \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |          \
     CLONE_NEWCGROUP)

/* A function of its own, so that a child by vfork keeps its hands off its parent's frame.
 */
#define OWN_FRAME __attribute__((noinline))

static void
wait_for(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static void
tell_failure(const struct sandbox_work *work, const char *step)
{
    struct sandbox_failure word = { 0 };

    sandbox_failure_set(&word, errno, step, "");
    send(work->status, &word, sizeof word, MSG_NOSIGNAL);
}

static void
tell_birth(const struct sandbox_work *work)
{
    struct sandbox_failure word = { .pid = getpid() };

    if (send(work->status, &word, sizeof word, MSG_NOSIGNAL) < 0)
        _exit(1);
}

/* In the middle. Returns in the runner. */
static OWN_FRAME void
fork_runner(const struct sandbox_work *work)
{
    pid_t pid = sys_fork();

    if (pid == 0)
        return;
    if (pid < 0)
        tell_failure(work, "fork the runner");
    _exit(0);
}

/* In the helper. Returns in the runner. */
static OWN_FRAME void
enter_and_fork(const struct sandbox_work *work, int init)
{
    int namespaces = NAMESPACES;
    pid_t pid;

    if (work->spec->network == SANDBOX_NETWORK_NONE)
        namespaces |= CLONE_NEWNET;
    if (sys_setns(init, namespaces) < 0) {
        tell_failure(work, "enter the sandbox");
        _exit(1);
    }
    pid = vfork();
    if (pid == 0) {
        fork_runner(work);
        return;
    }
    if (pid < 0)
        tell_failure(work, "fork into the sandbox");
    else
        wait_for(pid);
    _exit(0);
}

/* True in the runner. */
static OWN_FRAME bool
make_runner(const struct sandbox_work *work, int init)
{
    pid_t pid = vfork();

    if (pid == 0) {
        enter_and_fork(work, init);
        return true;
    }
    if (pid < 0)
        tell_failure(work, "fork in the zygote");
    else
        wait_for(pid);
    return false;
}

static void
work_init(struct sandbox_work *work, const struct sandbox_spec *spec,
          const struct sandbox_call *call, const struct passing *passing)
{
    *work = (struct sandbox_work){ .spec = spec,
                                   .own_ids = call->own_ids,
                                   .umask = call->umask,
                                   .sync = -1,
                                   .root = -1,
                                   .empty = -1,
                                   .signals = -1 };
    for (int i = SANDBOX_STDIN; i <= SANDBOX_CHANNEL; i++)
        work->fds[i] = passing->fds[i];
    work->fds[SANDBOX_CONTROL] = -1;
    work->status = passing->fds[SANDBOX_CALL_STATUS];
}

/* True in the runner. Init hears of every failure, if only by the end of its socket. */
static bool
answer(const uint8_t *packet, const struct passing *passing,
       const struct sandbox_join_hooks *hooks, struct sandbox_spec_copy *ret)
{
    struct sandbox_call call;
    struct sandbox_work work;
    bool is_runner;

    if (passing->cut || passing->fds_lost || passing->fd_count != SANDBOX_CALL_FD_COUNT ||
        passing->length < sizeof call)
        return false;
    memcpy(&call, packet, sizeof call);
    if (sandbox_spec_decode(ret,
                            (struct slice){ .data = packet + sizeof call,
                                            .length = passing->length - sizeof call },
                            NULL) != 0)
        return false;
    work_init(&work, &ret->spec, &call, passing);
    if (hooks->before != NULL)
        hooks->before();
    is_runner = make_runner(&work, passing->fds[SANDBOX_CALL_INIT]);
    if (!is_runner) {
        if (hooks->after_in_zygote != NULL)
            hooks->after_in_zygote();
        sandbox_spec_copy_fini(ret);
        return false;
    }
    tell_birth(&work);
    sandbox_runner_confine(&work);
    if (hooks->after_in_runner != NULL)
        hooks->after_in_runner();
    close(work.status); /* init takes the runner for started */
    return true;
}

int
sandbox_join_serve(int socket, const struct sandbox_join_hooks *hooks,
                   struct sandbox_spec_copy *ret, struct error *err)
{
    size_t size = sizeof(struct sandbox_call) + SANDBOX_SPEC_BYTES_MAX;
    CLEANUP(freep) uint8_t *packet = malloc(size);

    if (packet == NULL)
        return -ENOMEM;
    for (;;) {
        struct passing passing;
        int r = passing_receive(socket, packet, size, 0, &passing);
        bool is_runner;

        if (r < 0)
            return error_set(err, r, "waiting for a request: %s", strerror(-r));
        if (passing.length == 0 && passing_is_ended(socket))
            return SANDBOX_JOIN_ENDED;
        is_runner = answer(packet, &passing, hooks, ret);
        if (is_runner)
            return SANDBOX_JOIN_RUNNER; /* its other fds are closed already */
        passing_fini(&passing);
    }
}

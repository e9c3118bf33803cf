/* SPDX-License-Identifier: MIT */
/*
 * Three processes make a runner. The helper enters the sandbox, all but its pid
 * namespace, which only a child can be born in; the middle is that child, and ends at
 * once, so that the runner, a child of its own, becomes init's. Helper and middle share
 * the zygote's memory: its page tables are copied once, for the runner.
 */
#include "contexts/sandbox/join.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h> /* and so a libc that uses it */
#endif

#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define TORN 3 /* exit status of a helper whose middle was killed */
#define RSEQ_BYTES 32 /* of the area, for the kernel; all that have been used so far */

/* A function of its own, so that a child by vfork keeps its hands off its parent's frame.
 */
#define OWN_FRAME __attribute__((noinline))

/* Its exit status. One that was killed may have held locks of libc, in the memory that it
 * shared: TORN. */
static int
wait_for(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : TORN;
}

static void
tell_failure(const struct sandbox_work *work, const char *step)
{
    struct sandbox_failure word = { 0 };

    sandbox_failure_set(&word, errno, step, "");
    send(work->status, &word, sizeof word, MSG_NOSIGNAL);
}

/* In the middle. Returns in the runner. What there is to tell is the helper's to tell:
 * init may end at any word, and takes with it who is still inside. */
static OWN_FRAME void
fork_runner(struct sandbox_work *work)
{
    pid_t pid;

    if (cgroup_enter(work->doors, work->door_count) < 0) {
        sandbox_failure_set(&work->word, errno, "enter its control group", "");
        _exit(1);
    }
    pid = sys_fork();
    if (pid == 0)
        return;
    if (pid < 0)
        sandbox_failure_set(&work->word, errno, "fork the runner", "");
    else
        work->word.pid = pid;
    _exit(0);
}

static void
enter(const struct sandbox_work *work)
{
    const struct sandbox_call call = { .own_ids = work->own_ids };
    size_t count = sandbox_call_door(&call) - SANDBOX_CALL_NAMESPACES;

    for (size_t i = 0; i < count; i++) {
        if (sys_setns(work->entries[i], sandbox_call_entries[i].type) == 0)
            continue;
        tell_failure(work, "enter the sandbox");
        _exit(1);
    }
}

/* What a child by vfork may do is to the letter of the standard next to nothing; here
 * each calls one function that has its own frame, and ends by _exit. */
/* NOLINTBEGIN(*vfork,*Vfork,bugprone-unsafe-functions) */
/* In the helper. Returns in the runner. Init hears of the runner, and lets it go, when
 * the middle is gone: user code shall not meet its remains. */
static OWN_FRAME void
enter_and_fork(struct sandbox_work *work)
{
    pid_t pid;

    enter(work);
    pid = vfork();
    if (pid == 0) {
        fork_runner(work);
        return;
    }
    if (pid < 0) {
        tell_failure(work, "fork into the sandbox");
        _exit(1);
    }
    if (wait_for(pid) == TORN)
        _exit(TORN);
    send(work->status, &work->word, sizeof work->word, MSG_NOSIGNAL);
    _exit(0);
}

/* In the runner SANDBOX_JOIN_RUNNER, else 0; or < 0: the zygote cannot go on. */
static OWN_FRAME int
make_runner(struct sandbox_work *work)
{
    pid_t pid = vfork();

    if (pid == 0) {
        enter_and_fork(work);
        return SANDBOX_JOIN_RUNNER;
    }
    if (pid > 0)
        return wait_for(pid) == TORN ? -ECANCELED : 0;
    tell_failure(work, "fork in the zygote");
    return 0;
}
/* NOLINTEND(*vfork,*Vfork,bugprone-unsafe-functions) */

static void
work_init(struct sandbox_work *work, const struct sandbox_spec *spec,
          const struct sandbox_call *call, const struct passing *passing)
{
    *work = (struct sandbox_work){ .spec = spec,
                                   .role = spec->role,
                                   .network = spec->network,
                                   .own_ids = call->own_ids,
                                   .umask = call->umask,
                                   .sync = -1,
                                   .root = -1,
                                   .proc = -1,
                                   .empty = -1,
                                   .signals = -1 };
    for (int i = SANDBOX_STDIN; i <= SANDBOX_CHANNEL; i++)
        work->fds[i] = passing->fds[i];
    work->fds[SANDBOX_CONTROL] = -1;
    work->status = passing->fds[SANDBOX_CALL_STATUS];
    memcpy(work->entries, &passing->fds[SANDBOX_CALL_NAMESPACES],
           (sandbox_call_door(call) - SANDBOX_CALL_NAMESPACES) * sizeof *work->entries);
    work->door_count = call->door_count;
    memcpy(work->doors, &passing->fds[sandbox_call_door(call)],
           work->door_count * sizeof *work->doors);
}

/* The kernel forgets a thread's restartable sequences in a child by vfork, which the
 * runner descends from: without them its libc would know a stale processor for ever. */
static void
restore_rseq(void)
{
#ifdef RSEQ_SIG
    struct rseq *area = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

    if (__rseq_size > 0 && syscall(SYS_rseq, area, RSEQ_BYTES, 0, RSEQ_SIG) < 0)
        area->cpu_id = (uint32_t)RSEQ_CPU_ID_REGISTRATION_FAILED;
#endif
}

/* Nothing of a packet stays: the forks to come are of other contexts. */
static bool
read_call(uint8_t *packet, const struct passing *passing, struct sandbox_call *ret,
          struct sandbox_spec_copy *ret_spec)
{
    int r = SANDBOX_SPEC_E_INVALID;

    if (!passing->cut && !passing->fds_lost)
        r = sandbox_call_decode(
            ret, ret_spec, (struct slice){ .data = packet, .length = passing->length });
    explicit_bzero(packet, passing->length);
    if (r != 0)
        return false;
    if (passing->fd_count == sandbox_call_fd_count(ret))
        return true;
    sandbox_spec_copy_fini(ret_spec);
    return false;
}

/* As make_runner. Init hears of every failure, if only by the end of its socket. */
static int
answer(uint8_t *packet, const struct passing *passing,
       const struct sandbox_join_hooks *hooks, struct sandbox_spec_copy *ret)
{
    struct sandbox_call call;
    struct sandbox_work work;
    int r;

    if (!read_call(packet, passing, &call, ret))
        return 0;
    work_init(&work, &ret->spec, &call, passing);
    if (hooks->before != NULL)
        hooks->before();
    r = make_runner(&work);
    if (r != SANDBOX_JOIN_RUNNER) {
        if (r == 0 && hooks->after_in_zygote != NULL)
            hooks->after_in_zygote();
        if (r == 0)
            sandbox_spec_copy_fini(ret);
        return r;
    }
    restore_rseq();
    sandbox_runner_confine(&work);
    if (hooks->after_in_runner != NULL)
        hooks->after_in_runner();
    close(work.status); /* init takes the runner for started */
    return SANDBOX_JOIN_RUNNER;
}

int
sandbox_join_serve(int socket, const struct sandbox_join_hooks *hooks,
                   struct sandbox_spec_copy *ret, struct error *err)
{
    CLEANUP(freep) uint8_t *packet = malloc(SANDBOX_CALL_BYTES_MAX);

    if (packet == NULL)
        return -ENOMEM;
    for (;;) {
        struct passing passing;
        int r = passing_receive(socket, packet, SANDBOX_CALL_BYTES_MAX, 0, &passing);

        if (r < 0)
            return error_set(err, r, "waiting for a request: %s", strerror(-r));
        if (passing.length == 0 && passing_is_ended(socket))
            return SANDBOX_JOIN_ENDED;
        r = answer(packet, &passing, hooks, ret);
        if (r == SANDBOX_JOIN_RUNNER)
            return SANDBOX_JOIN_RUNNER; /* its other fds are closed already */
        if (r < 0) /* no allocation may be given back, nor made, any more */
            _exit(EXIT_FAILURE);
        passing_fini(&passing);
    }
}

/* SPDX-License-Identifier: MIT */
#include "contexts/sandbox/nested.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define WARDEN_NAME "cellwall-warden"
#define BIT(capability) (UINT64_C(1) << (capability))

/* The warden's for its life: it takes on the runner's id to kill and to remove. Never the
 * capability to kill: "everybody" would be everybody on the machine. */
#define WARDEN_CAPABILITIES (BIT(CAP_SETUID) | BIT(CAP_SETGID))
/* What init and the runner need for their steps. */
#define BUILD_CAPABILITIES (WARDEN_CAPABILITIES | BIT(CAP_KILL))

static int
step_session(struct sandbox_work *work)
{
    (void)work;
    umask(0);
    return sys_setsid() < 0 ? -errno : 0;
}

static int *
descriptor(struct sandbox_work *work, int index)
{
    return index < SANDBOX_FD_COUNT ? &work->fds[index]
                                    : &work->doors[index - SANDBOX_FD_COUNT];
}

/* By way of high numbers, or placing one could close another. */
static int
step_descriptors(struct sandbox_work *work)
{
    int count = SANDBOX_FD_COUNT + (int)work->door_count;

    for (int i = 0; i < count; i++) {
        int high = sys_dup_at_least(*descriptor(work, i), count);

        if (high < 0)
            return -errno;
        *descriptor(work, i) = high;
    }
    for (int i = 0; i < count; i++) {
        if (sys_dup_onto(*descriptor(work, i), i, O_CLOEXEC) < 0)
            return -errno;
        *descriptor(work, i) = i;
    }
    return sys_close_from((unsigned)count) < 0 ? -errno : 0;
}

static int
step_subreaper(struct sandbox_work *work)
{
    (void)work;
    return sys_prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0) < 0 ? -errno : 0;
}

/* Containers refuse the call; then the seccomp program, which refuses all of them, is the
 * only wall in front of keys. */
static int
step_keyring(struct sandbox_work *work)
{
    (void)work;
    if (sys_keyctl_join_session() < 0 && errno != ENOSYS && errno != EDQUOT &&
        errno != EPERM)
        return -errno;
    return 0;
}

/* Descendants are found there, to be killed. */
static int
step_proc(struct sandbox_work *work)
{
    char text[32];
    ssize_t n = readlink("/proc/self", text, sizeof text - 1);

    sandbox_work_object(work, "/proc");
    if (n < 0)
        return -errno;
    text[n] = '\0';
    return strtol(text, NULL, 10) == getpid() ? 0 : -EXDEV;
}

/* Root without an id to change to would stay root, whose files Landlock does not keep
 * from a change of mode or owner. */
static int
step_choose_ids(struct sandbox_work *work)
{
    if (geteuid() != 0)
        return 0;
    if (!sandbox_has_capabilities(BUILD_CAPABILITIES | BIT(CAP_CHOWN)))
        return -EPERM;
    work->own_ids = true;
    work->outer_uid = SANDBOX_OWN_ID_BASE + 2 * (uid_t)getpid();
    work->outer_gid = work->outer_uid;
    return 0;
}

static int
step_own_pipes(struct sandbox_work *work)
{
    return work->own_ids ? sandbox_own_pipes(work) : 0;
}

/* The runner must be able to drop the bounding set, if this process can. */
static int
step_ids(struct sandbox_work *work)
{
    uint64_t kept = BUILD_CAPABILITIES;

    if (!work->own_ids)
        return 0;
    if (sandbox_has_capabilities(BIT(CAP_SETPCAP)))
        kept |= BIT(CAP_SETPCAP);
    if (sys_setgroups_none() < 0 || sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0) < 0 ||
        sys_setresgid(work->outer_gid) < 0 || sys_setresuid(work->outer_uid) < 0 ||
        sys_capset(kept) < 0)
        return -errno;
    /* The runner needs its own files in /proc, still. */
    return sys_prctl(PR_SET_DUMPABLE, 1, 0, 0) < 0 ? -errno : 0;
}

static const struct sandbox_step build_rows[] = {
    { "signals", sandbox_confine_signals, "none ignored, none blocked" },
    { "own session", step_session, "no controlling terminal, nobody's process group" },
    { "descriptors", step_descriptors, "the spawner's are not for others" },
    { "subreaper", step_subreaper, "what leaves its parent comes here" },
    { "keyring", step_keyring, "the spawner's keys are out of reach" },
    { "own proc", step_proc, "descendants are found there, to be killed" },
    { "choose ids", step_choose_ids, "root gives ids that nobody else has" },
    { "protect", sandbox_private_check, "what cannot be hidden is not shown" },
    { "private directory", sandbox_private_make, "in place of every tmpfs" },
    { "fill", sandbox_private_fill, "home, temporary files and caches" },
    { "variables", sandbox_private_name, "programs find their places" },
    { "own pipes", step_own_pipes, "/dev/stdout can be opened" },
    { "ids", step_ids, "neither root nor the user that started it" },
};

/* Without the right to change it, the bounding set bounds nothing: no program gains a
 * capability once there are no new privileges. */
static int
confine_privileges(struct sandbox_work *work)
{
    int r = 0;

    if (sandbox_has_capabilities(BIT(CAP_SETPCAP))) {
        r = sandbox_drop_bounding_set(work);
        if (r == 0)
            r = sandbox_lock_secure_bits(work);
    }
    sandbox_work_object(work, "ids");
    if (r == 0 && work->own_ids &&
        (sys_setresgid(work->outer_gid + 1) < 0 ||
         sys_setresuid(work->outer_uid + 1) < 0))
        r = -errno;
    return r == 0 ? sandbox_drop_capabilities(work) : r;
}

static const struct sandbox_step confine_rows[] = {
    { "session", sandbox_confine_session, "an interrupt reaches the whole group" },
    { "oom score", sandbox_confine_oom, "short of memory, user code goes first" },
    { "privileges", confine_privileges, "no capability, now or by any exec" },
    { "signals", sandbox_confine_signals, "none ignored, none blocked" },
    { "directory", sandbox_confine_directory, "starts in the workspace" },
    { "landlock", sandbox_nested_landlock, "the only wall around files, ..." },
    { "descriptors", sandbox_confine_descriptors, "nothing open but 0 to 3" },
    { "limit", sandbox_confine_limits, "no fork bomb, no cores, no real-time" },
    { "init", sandbox_confine_init, "no user code before init is safe from it" },
    { "seccomp", sandbox_confine_seccomp, "... and this one around the rest; last" },
};

const struct sandbox_steps sandbox_nested_build_steps = { build_rows,
                                                          N_ELEMENTS(build_rows) };
const struct sandbox_steps sandbox_nested_confine_steps = { confine_rows,
                                                            N_ELEMENTS(confine_rows) };

static _Noreturn void
warden_end(const struct sandbox_work *work, int status)
{
    sandbox_nested_kill(work);
    sandbox_nested_remove(work);
    _exit(status);
}

static int
step_warden_privileges(struct sandbox_work *work)
{
    sigset_t all;

    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 ||
        sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0) < 0 ||
        sys_capset(work->own_ids ? WARDEN_CAPABILITIES : 0) < 0 ||
        sys_prctl(PR_SET_DUMPABLE, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

static const struct sandbox_step warden_rows[] = {
    { "warden privileges", step_warden_privileges,
      "it cannot be read, and reaches its context alone" },
};
static const struct sandbox_steps warden_steps = { warden_rows, N_ELEMENTS(warden_rows) };

/* Init waits for this word, because from then on user code may run. */
static _Noreturn void
warden_main(struct sandbox_work *work, pid_t init, int word)
{
    struct sandbox_failure failure = { 0 };
    pid_t pid;

    sandbox_steps_apply(&warden_steps, work, &failure);
    prctl(PR_SET_NAME, WARDEN_NAME);
    (void)send(word, &failure, sizeof failure, MSG_NOSIGNAL);
    close(word);
    for (int i = 0; i < SANDBOX_FD_COUNT + (int)work->door_count; i++)
        close(i);
    sandbox_nested_sweep(work);
    do
        pid = waitpid(-1, NULL, 0);
    while (pid != init && (pid >= 0 || errno == EINTR));
    warden_end(work, 0);
}

/* The warden is in no group: it is there when a group is ended as a whole. */
static void
begin_init(const struct sandbox_work *work, int word)
{
    struct sandbox_failure failure = { 0 };
    ssize_t n;

    do
        n = recv(word, &failure, sizeof failure, 0);
    while (n < 0 && errno == EINTR);
    close(word);
    if (n != (ssize_t)sizeof failure)
        sandbox_failure_set(&failure, ECHILD, "warden", "");
    if (failure.error == 0) {
        int r = cgroup_enter(work->doors, work->door_count);

        if (r < 0)
            sandbox_failure_set(&failure, -r, "control group", "");
    }
    if (failure.error != 0)
        sandbox_report_failure(work->fds[SANDBOX_CONTROL], &failure);
}

static _Noreturn void
warden_failed(const struct sandbox_work *work, const struct sandbox_failure *failure)
{
    struct control_report message = { .kind = CONTROL_FAILED, .error = failure->error };
    uint8_t data[CONTROL_BYTES];

    memcpy(message.step, failure->step, sizeof message.step);
    control_report_encode(data, &message);
    (void)send(work->fds[SANDBOX_CONTROL], data, sizeof data, MSG_NOSIGNAL);
    warden_end(work, 1);
}

/* Returns in the runner. */
static void
warden_run(struct sandbox_work *work)
{
    struct sandbox_failure failure = { 0 };
    int pair[2];
    pid_t init = -1;

    if (!sandbox_steps_apply(&sandbox_nested_build_steps, work, &failure))
        warden_failed(work, &failure);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0)
        init = sys_fork();
    if (init < 0) {
        sandbox_failure_set(&failure, errno, "fork init", "");
        warden_failed(work, &failure);
    }
    close(pair[init == 0 ? 0 : 1]);
    if (init > 0)
        warden_main(work, init, pair[0]);
    begin_init(work, pair[1]);
    sandbox_init_run(work);
}

/* Returns in the parent; in the child there is no way back. */
static pid_t
make_child(struct sandbox_work *work, int *ret_pidfd)
{
    pid_t pid = sys_clone_plain(ret_pidfd);

    if (pid != 0)
        return pid;
    warden_run(work);
    sys_execve(work->spec->argv[0], work->spec->argv, work->spec->env);
    sandbox_child_failed(work, errno, "run", work->spec->argv[0]);
}

static int
make_group(struct sandbox_work *work, struct cgroups *groups, struct cgroup *ret)
{
    int r;

    if (groups == NULL)
        return 0;
    r = cgroup_create(ret, groups);
    if (r == 0)
        r = cgroup_limit(ret, groups, &work->spec->limits);
    if (r == 0)
        r = cgroup_open_doors(ret, work->doors);
    if (r == 0)
        work->door_count = ret->count;
    return r;
}

int
sandbox_nested_spawn(const struct sandbox_spec *spec, const int fds[SANDBOX_FD_COUNT],
                     struct cgroups *groups, struct sandbox_child *ret, struct error *err)
{
    struct sandbox_private private = { .folder = -1, .fd = -1 };
    struct sandbox_work work = { .spec = spec,
                                 .role = spec->role,
                                 .network = spec->network,
                                 .zygote = -1,
                                 .namespaces = { -1, -1 },
                                 .outer_uid = geteuid(),
                                 .outer_gid = getegid(),
                                 .sync = -1,
                                 .root = -1,
                                 .proc = -1,
                                 .empty = -1,
                                 .status = -1,
                                 .signals = -1,
                                 .private = &private };
    struct sandbox_child child = { .pidfd = -1 };
    int r;

    memcpy(work.fds, fds, sizeof work.fds);
    work.umask = umask(0);
    umask(work.umask);
    r = make_group(&work, groups, &child.group);
    if (r < 0)
        error_set(err, r, "sandbox: control group: %s", strerror(-r));
    else if (make_child(&work, &child.pidfd) < 0)
        r = error_errno(err, "sandbox: a child");
    for (size_t i = 0; i < work.door_count; i++)
        close(work.doors[i]);
    if (r == 0) {
        *ret = child;
        return 0;
    }
    cgroup_fini(&child.group);
    if (groups != NULL && child.group.id != 0)
        cgroup_remove(groups, child.group.id);
    return r;
}

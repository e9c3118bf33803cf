/* SPDX-License-Identifier: MIT */
#include "contexts/sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

#define SHELL_SYNC_FD 3 /* behind the standard ones, which are nobody's */

/* With ids of its own, init leaves the spawner's: its inside 0 is nobody outside. */
static int
step_init_ids(struct sandbox_work *work)
{
    if (work->own_ids &&
        (sys_setgroups_none() < 0 || sys_setresgid(0) < 0 || sys_setresuid(0) < 0))
        return -errno;
    /* Until it is built, pid 1 needs its own files in /proc. */
    return sys_prctl(PR_SET_DUMPABLE, 1, 0, 0) < 0 ? -errno : 0;
}

static int
step_session(struct sandbox_work *work)
{
    (void)work;
    umask(0); /* modes are made exactly as asked for */
    return sys_setsid() < 0 ? -errno : 0;
}

/* Made once it is in the groups that shall look like the top. */
static int
step_group_view(struct sandbox_work *work)
{
    (void)work;
    return sys_unshare(CLONE_NEWCGROUP) < 0 ? -errno : 0;
}

static int
step_private_mounts(struct sandbox_work *work)
{
    (void)work;
    return sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE) < 0 ? -errno : 0;
}

static int
step_sources(struct sandbox_work *work)
{
    return work->own_ids ? 0 : sandbox_sources_open(work);
}

static int
step_loopback(struct sandbox_work *work)
{
    struct ifreq request = { .ifr_name = "lo" };
    CLEANUP(close_fdp) int fd = -1;

    if (work->network == SANDBOX_NETWORK_HOST)
        return 0;
    fd = sys_socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || sys_ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return -errno;
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    return sys_ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

static int
step_host_name(struct sandbox_work *work)
{
    const char *name = work->spec->hostname;

    return sys_sethostname(name, strlen(name)) < 0 ? -errno : 0;
}

/* A kernel without keys has none to hide. A user with hundreds of contexts runs out of
 * keyrings; the calls that could reach one are refused by the seccomp program anyway. */
static int
step_keyring(struct sandbox_work *work)
{
    (void)work;
    if (sys_keyctl_join_session() < 0 && errno != ENOSYS && errno != EDQUOT)
        return -errno;
    return 0;
}

static int
write_own_map(struct sandbox_work *work, const char *path, unsigned id)
{
    char text[32];
    CLEANUP(close_fdp) int fd = -1;

    sandbox_work_object(work, path);
    snprintf(text, sizeof text, "%u 0 1\n", id);
    fd = sys_openat(AT_FDCWD, path, O_WRONLY, 0);
    if (fd < 0 || sys_write_file(fd, text, strlen(text)) < 0)
        return -errno;
    return 0;
}

static int
open_entry(struct sandbox_work *work, enum sandbox_call_namespace which)
{
    sandbox_work_object(work, sandbox_call_entries[which].path);
    work->entries[which] =
        sys_openat(AT_FDCWD, sandbox_call_entries[which].path, O_RDONLY, 0);
    return work->entries[which] < 0 ? -errno : 0;
}

/* What a zygote enters: before the second user namespace, which has no right to these. */
static int
step_entries(struct sandbox_work *work)
{
    int r = 0;

    for (int i = 0; work->by_zygote && r == 0 && i < SANDBOX_CALL_INNER_USER; i++)
        r = open_entry(work, (enum sandbox_call_namespace)i);
    return r;
}

/* An ordinary user was 0 while building. A second user namespace, without any right to
 * what was built, gives the usual id back. */
static int
step_user_ids(struct sandbox_work *work)
{
    int r;

    if (work->own_ids || work->role == SANDBOX_ROLE_ZYGOTE)
        return 0; /* a zygote has no use for its id, but its forks' namespaces have one */
    if (sys_unshare(CLONE_NEWUSER) < 0 || sys_prctl(PR_SET_DUMPABLE, 1, 0, 0) < 0)
        return -errno;
    r = write_own_map(work, "/proc/self/gid_map", work->outer_gid);
    if (r == 0)
        r = write_own_map(work, "/proc/self/uid_map", work->outer_uid);
    return r == 0 && work->by_zygote ? open_entry(work, SANDBOX_CALL_INNER_USER) : r;
}

static int
step_zygote_namespaces(struct sandbox_work *work)
{
    static const char *const paths[] = { [SANDBOX_NAMESPACE_USER] = "/proc/self/ns/user",
                                         [SANDBOX_NAMESPACE_PID] = "/proc/self/ns/pid" };

    for (size_t i = 0; work->role == SANDBOX_ROLE_ZYGOTE && i < N_ELEMENTS(paths); i++) {
        sandbox_work_object(work, paths[i]);
        work->namespaces[i] = sys_openat(AT_FDCWD, paths[i], O_RDONLY, 0);
        if (work->namespaces[i] < 0)
            return -errno;
    }
    return 0;
}

/* A shell may wait for long: nothing of the spawner's stays open in it. */
static int
step_shell_descriptors(struct sandbox_work *work)
{
    if (work->sync != SHELL_SYNC_FD &&
        sys_dup_onto(work->sync, SHELL_SYNC_FD, O_CLOEXEC) < 0)
        return -errno;
    work->sync = SHELL_SYNC_FD;
    return sys_close_from(SHELL_SYNC_FD + 1) < 0 ? -errno : 0;
}

/* With ids of its own, a shell is handed its sources. */
static int
step_leave_root(struct sandbox_work *work)
{
    return work->own_ids ? sandbox_root_enter(work) : 0;
}

static int
step_enter_root(struct sandbox_work *work)
{
    return work->own_ids ? 0 : sandbox_root_enter(work);
}

static const struct sandbox_step shell_rows[] = {
    { "shell descriptors", step_shell_descriptors, "the spawner's are not for others" },
    { "own session", step_session, "no controlling terminal, nobody's process group" },
    { "init ids", step_init_ids, "init is neither root nor the user that started it" },
    { "control group view", step_group_view, "the machine's groups are not told" },
    { "private mounts", step_private_mounts, "mounts neither come in nor go out" },
    { "zygote namespaces", step_zygote_namespaces, "contexts are made inside these" },
    { "new root", sandbox_root_attach, "nothing is there that was not put there" },
    { "proc", sandbox_root_proc, "only the sandbox's own processes, no host settings" },
    { "dev", sandbox_root_dev, "five harmless devices, own terminals, bounded memory" },
    { "loopback", step_loopback, "programs talk to themselves, to nobody else" },
    { "keyring", step_keyring, "the spawner's keys are out of reach" },
    { "leave root", step_leave_root, "the host's files are out of reach" },
};

static const struct sandbox_step mount_rows[] = {
    { "open", step_sources, "sources are found as the spawner sees them" },
    { "mount", sandbox_root_mounts, "the files that the spec grants" },
};

static const struct sandbox_step build_rows[] = {
    { "open", step_sources, "sources are found as the spawner sees them" },
    { "mount", sandbox_root_mounts, "the files that the spec grants" },
    { "enter root", step_enter_root, "the host's files are out of reach" },
    { "seal root", sandbox_root_seal, "no more than was put there" },
    { "host name", step_host_name, "the machine's name is not told" },
    { "entries", step_entries, "a zygote's fork can come in, and nobody else" },
    { "user ids", step_user_ids, "an ordinary user's id inside as outside" },
};

int
sandbox_init_descriptors(struct sandbox_work *work)
{
    int high[SANDBOX_INIT_FD_COUNT];
    const int from[] = { work->fds[SANDBOX_CONTROL], work->status, work->signals,
                         work->namespaces[SANDBOX_NAMESPACE_USER],
                         work->namespaces[SANDBOX_NAMESPACE_PID] };
    int count = work->role == SANDBOX_ROLE_ZYGOTE ? SANDBOX_INIT_FD_COUNT
                                                  : SANDBOX_INIT_NAMESPACES;

    _Static_assert(N_ELEMENTS(from) == SANDBOX_INIT_FD_COUNT, "one for each");
    for (int i = 0; i < count; i++) {
        high[i] = sys_dup_at_least(from[i], SANDBOX_INIT_FD_COUNT);
        if (high[i] < 0)
            return -errno;
    }
    for (int i = 0; i < count; i++)
        if (sys_dup_onto(high[i], i, O_CLOEXEC) < 0)
            return -errno;
    work->fds[SANDBOX_CONTROL] = SANDBOX_INIT_CONTROL;
    work->status = SANDBOX_INIT_STATUS;
    work->signals = SANDBOX_INIT_SIGNALS;
    return sys_close_from((unsigned)count) < 0 ? -errno : 0;
}

/* With ids of its own, init needs a capability to signal the runner. */
int
sandbox_init_privileges(struct sandbox_work *work)
{
    if (sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0) < 0 ||
        sys_capset(work->own_ids ? UINT64_C(1) << CAP_KILL : 0) < 0 ||
        sys_prctl(PR_SET_DUMPABLE, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

static const struct sandbox_step init_rows[] = {
    { "init descriptors", sandbox_init_descriptors,
      "init holds only its control socket" },
    { "init privileges", sandbox_init_privileges,
      "init cannot be read, and can only kill" },
};

int
sandbox_confine_init(struct sandbox_work *work)
{
    char go;
    ssize_t n;

    do
        n = recv(work->status, &go, sizeof go, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return n == 1 ? 0 : -ECANCELED;
}

static const struct sandbox_step confine_rows[] = {
    { "session", sandbox_confine_session, "an interrupt reaches the whole group" },
    { "own proc", sandbox_confine_proc,
      "a zygote sees itself in /proc, and nobody else" },
    { "oom score", sandbox_confine_oom, "short of memory, user code goes first" },
    { "privileges", sandbox_confine_privileges, "no capability, now or by any exec" },
    { "signals", sandbox_confine_signals, "none ignored, none blocked" },
    { "directory", sandbox_confine_directory, "starts in the workspace" },
    { "landlock", sandbox_confine_landlock, "a second wall behind the mounts" },
    { "descriptors", sandbox_confine_descriptors, "nothing open but 0 to 3" },
    { "limit", sandbox_confine_limits, "no fork bomb, no cores, no real-time" },
    { "init", sandbox_confine_init, "no user code before init is safe from it" },
    { "seccomp", sandbox_confine_seccomp, "only system calls on the list; last" },
};

const struct sandbox_steps sandbox_shell_steps = { shell_rows, N_ELEMENTS(shell_rows) };
const struct sandbox_steps sandbox_mount_steps = { mount_rows, N_ELEMENTS(mount_rows) };
const struct sandbox_steps sandbox_build_steps = { build_rows, N_ELEMENTS(build_rows) };
const struct sandbox_steps sandbox_init_steps = { init_rows, N_ELEMENTS(init_rows) };
const struct sandbox_steps sandbox_confine_steps = { confine_rows,
                                                     N_ELEMENTS(confine_rows) };

void
sandbox_work_object(struct sandbox_work *work, const char *object)
{
    snprintf(work->object, sizeof work->object, "%s", object);
}

void
sandbox_failure_set(struct sandbox_failure *ret, int error, const char *step,
                    const char *object)
{
    ret->error = error > 0 ? error : EIO;
    snprintf(ret->step, sizeof ret->step, object[0] != '\0' ? "%s %s" : "%s%s", step,
             object);
}

bool
sandbox_steps_apply(const struct sandbox_steps *steps, struct sandbox_work *work,
                    struct sandbox_failure *ret)
{
    for (size_t i = 0; i < steps->count; i++) {
        int r;

        sandbox_work_object(work, "");
        r = steps->rows[i].apply(work);
        if (r == 0)
            continue;
        sandbox_failure_set(ret, -r, steps->rows[i].name, work->object);
        return false;
    }
    return true;
}

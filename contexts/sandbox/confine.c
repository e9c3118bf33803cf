/* SPDX-License-Identifier: MIT */
/*
 * What the runner gives up before it runs user code.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

#define RUNNER_OOM_SCORE "500" /* of 1000: goes before the server and before init */
#define STATUS_FD 4 /* behind those that the runner keeps; closed by the exec */
#define LOCKED_BYTES ((uint64_t)8 * 1024 * 1024)
#define PENDING_SIGNALS 4096

#define SECURE_BITS                                                                      \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                     \
     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |                           \
     SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

int
sandbox_confine_session(struct sandbox_work *work)
{
    (void)work;
    return sys_setsid() < 0 ? -errno : 0;
}

int
sandbox_confine_oom(struct sandbox_work *work)
{
    CLEANUP(close_fdp) int fd = -1;

    if (work->role == SANDBOX_ROLE_ZYGOTE)
        return 0; /* it holds nothing of a user's, and others wait for it */
    fd = sys_openat(AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY, 0);
    if (fd < 0 || sys_write_file(fd, RUNNER_OOM_SCORE, strlen(RUNNER_OOM_SCORE)) < 0)
        return -errno;
    return 0;
}

/* The bounding set goes first: dropping from it takes a capability. */
int
sandbox_drop_bounding_set(struct sandbox_work *work)
{
    sandbox_work_object(work, "bounding set");
    for (unsigned long cap = 0; cap < 64; cap++) {
        if (sys_prctl(PR_CAPBSET_DROP, cap, 0, 0) == 0)
            continue;
        /* The first one that the kernel does not know ends the list. */
        return errno == EINVAL && cap > CAP_AUDIT_READ ? 0 : -errno;
    }
    return 0;
}

int
sandbox_lock_secure_bits(struct sandbox_work *work)
{
    sandbox_work_object(work, "secure bits");
    return sys_prctl(PR_SET_SECUREBITS, SECURE_BITS, 0, 0) < 0 ? -errno : 0;
}

int
sandbox_drop_capabilities(struct sandbox_work *work)
{
    sandbox_work_object(work, "capabilities");
    if (sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0) < 0 ||
        sys_capset(0) < 0)
        return -errno;
    sandbox_work_object(work, "no new privileges");
    if (sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0) < 0)
        return -errno;
    /* Changing ids took this away, and with it /proc/self. */
    sandbox_work_object(work, "dumpable");
    return sys_prctl(PR_SET_DUMPABLE, 1, 0, 0) < 0 ? -errno : 0;
}

int
sandbox_confine_privileges(struct sandbox_work *work)
{
    int r = sandbox_drop_bounding_set(work);

    if (r == 0)
        r = sandbox_lock_secure_bits(work);
    if (r < 0)
        return r;
    sandbox_work_object(work, "ids");
    if (work->own_ids &&
        (sys_setresgid(SANDBOX_RUNNER_ID) < 0 || sys_setresuid(SANDBOX_RUNNER_ID) < 0))
        return -errno;
    return sandbox_drop_capabilities(work);
}

/* Of what the spawner ignored or blocked nothing is left. */
int
sandbox_confine_signals(struct sandbox_work *work)
{
    const struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t none;

    (void)work;
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &action, NULL); /* SIGKILL, SIGSTOP and libc's own refuse */
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* Links are followed, as user code itself could; but not those in /proc, by which what
 * an earlier context left behind would lead to what is still open here. */
static int
open_directory(int at, const char *path, int *ret)
{
    const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                  .resolve = RESOLVE_NO_MAGICLINKS };
    int fd = sys_openat2(at, path, &how);

    if (fd < 0)
        return -errno;
    *ret = fd;
    return 0;
}

/* Opens PATH, and makes what is missing of it. */
static int
make_directory(const char *path, int *ret)
{
    CLEANUP(close_fdp) int at = -1;
    int r = open_directory(AT_FDCWD, "/", &at);

    while (r == 0 && *path == '/' && path[1] != '\0') {
        size_t length = strcspn(++path, "/");
        char name[NAME_MAX + 1];
        int next = -1;

        if (length > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, path, length);
        name[length] = '\0';
        path += length;
        r = open_directory(at, name, &next);
        if (r == -ENOENT) {
            if (sys_mkdirat(at, name, 0777) < 0 && errno != EEXIST)
                return -errno;
            r = open_directory(at, name, &next);
        }
        if (r == 0) {
            close(at);
            at = next;
        }
    }
    if (r == 0) {
        *ret = at;
        at = -1;
    }
    return r;
}

/* Made and entered with the runner's own rights. */
int
sandbox_confine_directory(struct sandbox_work *work)
{
    const char *path = work->spec->directory;
    CLEANUP(close_fdp) int fd = -1;
    int r;

    umask(work->umask);
    sandbox_work_object(work, path);
    r = open_directory(AT_FDCWD, path, &fd);
    if (r == -ENOENT && work->spec->make_directory)
        r = make_directory(path, &fd);
    if (r < 0)
        return r;
    return sys_fchdir(fd) < 0 ? -errno : 0;
}

/* By way of high numbers, or placing one could close another. */
int
sandbox_confine_descriptors(struct sandbox_work *work)
{
    int high[STATUS_FD + 1];

    for (int i = 0; i <= STATUS_FD; i++) {
        high[i] =
            sys_dup_at_least(i == STATUS_FD ? work->status : work->fds[i], STATUS_FD + 1);
        if (high[i] < 0)
            return -errno;
    }
    for (int i = 0; i <= STATUS_FD; i++)
        if (sys_dup_onto(high[i], i, i == STATUS_FD ? O_CLOEXEC : 0) < 0)
            return -errno;
    work->status = STATUS_FD;
    return sys_close_from(STATUS_FD + 1) < 0 ? -errno : 0;
}

int
sandbox_confine_limits(struct sandbox_work *work)
{
    const struct sandbox_limits *limits = &work->spec->limits;
    const struct {
        const char *name;
        int resource;
        uint64_t limit;
    } rows[] = {
        { "core", RLIMIT_CORE, 0 },
        { "fsize", RLIMIT_FSIZE,
          limits->file_bytes > 0 ? limits->file_bytes : UINT64_MAX },
        { "memlock", RLIMIT_MEMLOCK, LOCKED_BYTES },
        { "msgqueue", RLIMIT_MSGQUEUE, 0 },
        { "nice", RLIMIT_NICE, 0 },
        { "rtprio", RLIMIT_RTPRIO, 0 },
        { "rttime", RLIMIT_RTTIME, 0 },
        { "sigpending", RLIMIT_SIGPENDING, PENDING_SIGNALS },
        { "nofile", RLIMIT_NOFILE, limits->open_files },
        /* Where init has the runner's id, it counts too. */
        { "nproc", RLIMIT_NPROC, limits->processes + (work->own_ids ? 0 : 1) },
    };

    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        sandbox_work_object(work, rows[i].name);
        if (sys_set_rlimit(rows[i].resource, rows[i].limit) < 0)
            return -errno;
    }
    return 0;
}

int
sandbox_confine_seccomp(struct sandbox_work *work)
{
    struct slice code = work->spec->seccomp;
    size_t count = code.length / sizeof(struct sock_filter);
    struct sock_fprog program = { .len = (unsigned short)count,
                                  .filter = (struct sock_filter *)(uintptr_t)code.data };

    if (count == 0 || count > BPF_MAXINSNS ||
        code.length % sizeof(struct sock_filter) != 0)
        return -EINVAL;
    return sys_seccomp(&program) < 0 ? -errno : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The end of a context that has no pid namespace: every process that it has made is
 * killed, wherever it hides, and then its files are removed. Processes first: from then
 * on nobody races.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contexts/sandbox/nested.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

#define ANCESTORS_MAX                                                                    \
    64 /* looked at in one pass; the next finds deeper ones higher up                    \
        */
#define PASS_NS (5 * 1000 * 1000)
#define SWEEP_AGE_S 60 /* a younger directory may not have its lock yet */
#define STAT_BYTES 512

#define OWN_IDS_END (SANDBOX_OWN_ID_BASE + 2U * 4194304 + 2)

/* 0: there is no such process. */
static pid_t
parent_of(pid_t pid)
{
    char path[32], text[STAT_BYTES];
    CLEANUP(close_fdp) int fd = -1;
    const char *after;
    ssize_t n;
    int parent;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    after = strrchr(text, ')'); /* a name may have any bytes */
    return after != NULL && sscanf(after, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* Each process is found by its number, which may be another's a moment later: only when
 * the whole line of parents is the same twice was each of them there all the time. */
static bool
is_below(pid_t pid, pid_t ancestor)
{
    pid_t line[ANCESTORS_MAX + 1] = { pid };
    int count = 0;

    while (line[count] != ancestor) {
        if (line[count] <= 1 || count == ANCESTORS_MAX)
            return false;
        line[count + 1] = parent_of(line[count]);
        count++;
    }
    for (int i = 0; i < count; i++)
        if (parent_of(line[i]) != line[i + 1])
            return false;
    return count > 0;
}

static void
kill_if_below(pid_t pid, pid_t ancestor)
{
    CLEANUP(close_fdp) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool is_gone = pidfd < 0 && errno == ESRCH;

    if (is_gone || !is_below(pid, ancestor))
        return;
    if (pidfd < 0 || sys_pidfd_kill(pidfd) < 0)
        kill(pid, SIGKILL); /* the calls are refused here */
}

/* Upward through the numbers, as new processes get theirs: what is forked meanwhile is
 * still to come. */
static void
kill_descendants(void)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        long pid = strtol(entry->d_name, NULL, 10);

        if (pid > 1 && pid != getpid())
            kill_if_below((pid_t)pid, getpid());
    }
    if (folder != NULL)
        closedir(folder);
}

static bool
become(uid_t uid, gid_t gid)
{
    return setresgid((gid_t)-1, gid, (gid_t)-1) == 0 &&
           setresuid((uid_t)-1, uid, (uid_t)-1) == 0;
}

/* With the runner's id in effect, but not as its own, this process reaches all of them at
 * once and none of them reaches it. With the capability to kill it would reach everybody.
 */
static bool
kill_own_ids(const struct sandbox_work *work)
{
    const uint64_t ids = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID;
    bool done = false;

    if (!work->own_ids || getuid() != work->outer_uid || sys_capset(ids) < 0 ||
        sandbox_has_capabilities(UINT64_C(1) << CAP_KILL))
        return false;
    if (become(work->outer_uid + 1, work->outer_gid + 1) &&
        geteuid() == work->outer_uid + 1) {
        kill(-1, SIGKILL);
        done = true;
    }
    (void)become(work->outer_uid, work->outer_gid);
    return done;
}

void
sandbox_nested_kill(const struct sandbox_work *work)
{
    const struct timespec pause = { .tv_nsec = PASS_NS };
    sigset_t child;
    pid_t pid;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        if (!kill_own_ids(work))
            kill_descendants();
        do
            pid = waitpid(-1, NULL, WNOHANG);
        while (pid > 0 || (pid < 0 && errno == EINTR));
        if (pid < 0)
            return; /* no child: orphans would be ours */
        sigtimedwait(&child, NULL, &pause);
    }
}

static void
make_enterable(int folder, const char *name)
{
    if (fchmodat(folder, name, 0700, 0) < 0)
        return; /* so does what follows, which is looked at */
}

/* Emptying a folder needs no depth: a folder in it that is not empty moves up to TOP. */
static void
empty_folder(int top, int folder, unsigned *moved)
{
    CLEANUP(close_fdp) int copy = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    char name[32];

    if (directory == NULL)
        return;
    copy = -1;
    rewinddir(directory);
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            unlinkat(folder, entry->d_name, 0) == 0 ||
            unlinkat(folder, entry->d_name, AT_REMOVEDIR) == 0)
            continue;
        make_enterable(folder, entry->d_name);
        snprintf(name, sizeof name, ".%x-%u", (unsigned)getpid(), (*moved)++);
        (void)renameat(folder, entry->d_name, top, name);
    }
    closedir(directory);
}

/* False: nothing more can be done. */
static bool
empty_pass(int top, unsigned *moved, bool *ret_empty)
{
    CLEANUP(close_fdp) int copy = fcntl(top, F_DUPFD_CLOEXEC, 0);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    bool progress = false;

    if (directory == NULL)
        return false;
    copy = -1;
    *ret_empty = true;
    rewinddir(directory);
    while ((entry = readdir(directory)) != NULL) {
        CLEANUP(close_fdp) int folder = -1;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *ret_empty = false;
        if (unlinkat(top, entry->d_name, 0) == 0) {
            progress = true;
            continue;
        }
        make_enterable(top, entry->d_name);
        folder =
            openat(top, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder >= 0)
            empty_folder(top, folder, moved);
        progress |= unlinkat(top, entry->d_name, AT_REMOVEDIR) == 0;
    }
    closedir(directory);
    return progress;
}

static void
remove_folder(int parent, const char *name)
{
    CLEANUP(close_fdp) int top = -1;
    unsigned moved = 0;
    bool empty = false;

    make_enterable(parent, name);
    top = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (top >= 0 && !empty && empty_pass(top, &moved, &empty))
        continue;
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

/* Of what the runner's id alone has made there. */
static void
remove_shared_memory(uid_t owner)
{
    DIR *directory = opendir("/dev/shm");
    const struct dirent *entry;
    struct stat st;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        int folder = dirfd(directory);

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            st.st_uid != owner)
            continue;
        if (S_ISDIR(st.st_mode))
            remove_folder(folder, entry->d_name);
        else
            (void)unlinkat(folder, entry->d_name, 0);
    }
    if (directory != NULL)
        closedir(directory);
}

void
sandbox_nested_remove(const struct sandbox_work *work)
{
    const struct sandbox_private *private = work->private;
    struct stat st;
    bool is_runners;

    if (private->fd < 0) {
        if (private->folder >= 0)
            (void)unlinkat(private->folder, private->name, AT_REMOVEDIR);
        return;
    }
    /* It may not have come to the runner. */
    is_runners =
        work->own_ids && fstat(private->fd, &st) == 0 && st.st_uid == work->outer_uid + 1;
    if (is_runners && !become(work->outer_uid + 1, work->outer_gid + 1))
        return; /* the next sweep finds it */
    remove_folder(private->folder, private->name);
    if (is_runners)
        remove_shared_memory(work->outer_uid + 1);
}

/* Nobody's any more, of an id that this process may take on. */
static void
sweep_entry(const struct sandbox_work *work, const char *name)
{
    int parent = work->private->folder;
    CLEANUP(close_fdp) int fd = -1;
    struct stat st;

    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode) ||
        time(NULL) - st.st_mtime < SWEEP_AGE_S)
        return;
    if (work->own_ids && (st.st_uid < SANDBOX_OWN_ID_BASE || st.st_uid >= OWN_IDS_END ||
                          !become(st.st_uid, (gid_t)st.st_uid)))
        return;
    if (work->own_ids || st.st_uid == geteuid())
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        remove_folder(parent, name);
    if (work->own_ids)
        (void)become(work->outer_uid, work->outer_gid);
}

void
sandbox_nested_sweep(const struct sandbox_work *work)
{
    int copy = fcntl(work->private->folder, F_DUPFD_CLOEXEC, 0);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (strncmp(entry->d_name, SANDBOX_PRIVATE_PREFIX,
                    strlen(SANDBOX_PRIVATE_PREFIX)) == 0 &&
            strcmp(entry->d_name, work->private->name) != 0)
            sweep_entry(work, entry->d_name);
    if (directory != NULL)
        closedir(directory);
    else if (copy >= 0)
        close(copy);
}

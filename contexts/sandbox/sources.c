/* SPDX-License-Identifier: MIT */
/*
 * Sources of bind mounts: detached copies of mounts, restricted before anybody sees them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

static bool
is_bind(const struct sandbox_mount *mount)
{
    return mount->kind == SANDBOX_MOUNT_BIND_RO || mount->kind == SANDBOX_MOUNT_BIND_RW;
}

/* A link is no way to a source: an earlier context may have left it there, and we can
 * reach more than user code should see. The tree is private, or mounts that are made
 * outside later would show inside. */
static int
source_open(const struct sandbox_mount *mount, int *ret)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                               .propagation = MS_PRIVATE };
    const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
                                  .resolve = RESOLVE_NO_SYMLINKS };
    CLEANUP(close_fdp) int source = sys_openat2(AT_FDCWD, mount->source, &how);
    CLEANUP(close_fdp) int tree = -1;

    if (source < 0) {
        bool missing = errno == ENOENT || errno == ENOTDIR;

        return missing && (mount->flags & SANDBOX_MOUNT_OPTIONAL) != 0 ? 0 : -errno;
    }
    tree = sys_open_tree(
        source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
    if (tree < 0)
        return -errno;
    if (mount->kind == SANDBOX_MOUNT_BIND_RO)
        attr.attr_set |= MOUNT_ATTR_RDONLY;
    if (sys_mount_setattr(tree, AT_RECURSIVE, &attr) < 0)
        return -errno;
    *ret = tree;
    tree = -1;
    return 0;
}

int
sandbox_sources_open(struct sandbox_work *work)
{
    const struct sandbox_spec *spec = work->spec;

    for (size_t i = work->mount_from; i < work->mount_to; i++) {
        int r;

        if (!is_bind(&spec->mounts[i]))
            continue;
        sandbox_work_object(work, spec->mounts[i].source);
        r = source_open(&spec->mounts[i], &work->trees[i]);
        if (r < 0)
            return r;
    }
    sandbox_work_object(work, "");
    return 0;
}

void
sandbox_sources_close(struct sandbox_work *work)
{
    for (size_t i = 0; i < N_ELEMENTS(work->trees); i++) {
        close_fdp(&work->trees[i]);
        work->trees[i] = -1;
    }
}

/* The process that holds a user namespace while it is opened; it must not outlive us. */
static _Noreturn void
userns_holder(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent)
        pause();
    _exit(0);
}

static int
write_map(pid_t pid, const char *name, unsigned inside, unsigned outside)
{
    char path[64], text[64];
    CLEANUP(close_fdp) int fd = -1;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    snprintf(text, sizeof text, "%u %u 1\n", inside, outside);
    fd = sys_openat(AT_FDCWD, path, O_WRONLY, 0);
    if (fd < 0 || sys_write_file(fd, text, strlen(text)) < 0)
        return -errno;
    return 0;
}

static int
userns_map(int *ret, pid_t pid, const struct stat *inside, uid_t uid, gid_t gid)
{
    char path[64];
    int fd, r;

    r = write_map(pid, "uid_map", inside->st_uid, uid);
    if (r == 0)
        r = write_map(pid, "gid_map", inside->st_gid, gid);
    if (r < 0)
        return r;
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return -errno;
    *ret = fd;
    return 0;
}

/* A user namespace in which the owner that INSIDE names is UID and GID outside. */
static int
userns_open(int *ret, const struct stat *inside, uid_t uid, gid_t gid)
{
    CLEANUP(close_fdp) int pidfd = -1;
    pid_t parent = getpid();
    pid_t pid = sys_clone(CLONE_NEWUSER, &pidfd);
    int r;

    if (pid == 0)
        userns_holder(parent);
    if (pid < 0)
        return -errno;
    r = userns_map(ret, pid, inside, uid, gid);
    sys_pidfd_kill(pidfd);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return r;
}

/* On disk the files stay their owner's; inside they are the runner's. */
static int
map_owner(const struct sandbox_work *work, int tree)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
    CLEANUP(close_fdp) int userns = -1;
    struct stat st;
    int r;

    if (fstat(tree, &st) < 0)
        return -errno;
    r = userns_open(&userns, &st, work->outer_uid + 1, work->outer_gid + 1);
    if (r < 0)
        return r;
    attr.userns_fd = (uint64_t)userns;
    return sys_mount_setattr(tree, AT_RECURSIVE, &attr) < 0 ? -errno : 0;
}

int
sandbox_sources_map_owners(struct sandbox_work *work)
{
    const struct sandbox_spec *spec = work->spec;

    for (size_t i = work->mount_from; i < work->mount_to; i++) {
        int r;

        bool is_given = spec->mounts[i].kind == SANDBOX_MOUNT_GIVEN;

        if ((spec->mounts[i].kind != SANDBOX_MOUNT_BIND_RW && !is_given) ||
            work->trees[i] < 0)
            continue;
        sandbox_work_object(work,
                            is_given ? spec->mounts[i].target : spec->mounts[i].source);
        r = map_owner(work, work->trees[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * What a context without mounts may open: the sources of the spec's mounts, its private
 * directory, and a few devices and facts. Names and metadata outside stay visible.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/sandbox/landlock.h"
#include "contexts/sandbox/nested.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

#define DEPTH_MAX 32 /* folders between a mount and what it hides */

static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/full",
                                       "/dev/random", "/dev/urandom" };

/* Of /proc nothing but these: a rule for /proc itself would show the machine's other
 * processes, and one for a process's own directory does not outlive a fork. */
static const char *const facts[] = {
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/vm/overcommit_memory",
    "/proc/uptime",
    "/proc/version",
};

struct grants {
    struct sandbox_landlock landlock;
    const struct sandbox_work *work; /* borrowed */
};

static void
grants_fini(struct grants *grants)
{
    sandbox_landlock_close(&grants->landlock);
}

/* Links are not followed: an earlier context may have left one. */
static int
open_plain(const char *path, int *ret)
{
    const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
                                  .resolve = RESOLVE_NO_SYMLINKS };

    *ret = sys_openat2(AT_FDCWD, path, &how);
    return *ret < 0 ? -errno : 0;
}

static int
grant(const struct grants *grants, const char *path, enum sandbox_grant what)
{
    CLEANUP(close_fdp) int fd = -1;
    int r = open_plain(path, &fd);

    return r < 0 ? r : sandbox_landlock_allow(&grants->landlock, fd, what);
}

static bool
is_within(const char *path, const char *ancestor)
{
    size_t length = strlen(ancestor);

    return strncmp(path, ancestor, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

enum cover { COVER_NONE, COVER_BELOW, COVER_WHOLE };

/* Whether a mount hides PATH, or something below it. */
static enum cover
cover_of(const struct grants *grants, const char *path)
{
    const struct sandbox_spec *spec = grants->work->spec;
    enum cover cover = COVER_NONE;

    for (size_t i = 0; i < spec->mount_count; i++) {
        const struct sandbox_mount *mount = &spec->mounts[i];

        if (mount->kind != SANDBOX_MOUNT_MASK && mount->kind != SANDBOX_MOUNT_TMPFS)
            continue;
        if (strcmp(mount->target, path) == 0)
            return COVER_WHOLE;
        if (is_within(mount->target, path))
            cover = COVER_BELOW;
    }
    return cover;
}

static int grant_around(const struct grants *grants, const char *path, int depth);

static int
grant_entry(const struct grants *grants, const char *path, int depth)
{
    int r = 0;

    switch (cover_of(grants, path)) {
    case COVER_WHOLE:
        break;
    case COVER_BELOW:
        r = grant_around(grants, path, depth);
        break;
    case COVER_NONE:
        r = grant(grants, path, SANDBOX_GRANT_READ);
        break;
    }
    /* Links lead where they have a rule of their own; the rest is gone, or closed. */
    return r == -ELOOP || r == -ENOENT || r == -EACCES ? 0 : r;
}

/* Every entry of PATH but what is hidden; PATH itself cannot be listed then. */
static int
grant_around(const struct grants *grants, const char *path, int depth)
{
    DIR *folder;
    const struct dirent *entry;
    int r = 0;

    if (depth == DEPTH_MAX)
        return -ELOOP;
    folder = opendir(path);
    if (folder == NULL)
        return -errno;
    while (r == 0 && (entry = readdir(folder)) != NULL) {
        CLEANUP(freep) char *child = NULL;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (asprintf(&child, "%s/%s", path, entry->d_name) < 0) {
            child = NULL;
            r = -ENOMEM;
            break;
        }
        r = grant_entry(grants, child, depth + 1);
    }
    closedir(folder);
    return r;
}

static int
grant_mount(const struct grants *grants, const struct sandbox_mount *mount)
{
    char path[PATH_MAX];
    int r = 0;

    switch (mount->kind) {
    case SANDBOX_MOUNT_BIND_RO:
        r = cover_of(grants, mount->source) == COVER_BELOW
                ? grant_around(grants, mount->source, 0)
                : grant(grants, mount->source, SANDBOX_GRANT_READ);
        break;
    case SANDBOX_MOUNT_BIND_RW:
        r = grant(grants, mount->source, SANDBOX_GRANT_READ_WRITE);
        break;
    case SANDBOX_MOUNT_TMPFS:
        if (snprintf(path, sizeof path, "%s%s", grants->work->private->path,
                     mount->target) >= (int)sizeof path)
            return -ENAMETOOLONG;
        r = grant(grants, path, SANDBOX_GRANT_READ_WRITE);
        break;
    case SANDBOX_MOUNT_FILE: /* the machine's own */
        r = grant(grants, mount->target, SANDBOX_GRANT_READ);
        return r == -ENOENT || r == -EACCES || r == -ELOOP ? 0 : r;
    case SANDBOX_MOUNT_SYMLINK:
    case SANDBOX_MOUNT_MASK:
    case SANDBOX_MOUNT_GIVEN: /* not in this tier */
    case SANDBOX_MOUNT_END:
        break;
    }
    if ((r == -ENOENT || r == -ENOTDIR || r == -EACCES) &&
        (mount->flags & SANDBOX_MOUNT_OPTIONAL) != 0)
        r = 0;
    return r;
}

static int
grant_list(const struct grants *grants, const char *const *paths, size_t count,
           enum sandbox_grant what)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        r = grant(grants, paths[i], what);
        if (r == -ENOENT || r == -EACCES)
            r = 0;
    }
    return r;
}

/* With an id that others share, only a kernel that confines signals keeps user code from
 * killing init, and whoever started it. */
static int
check_version(struct sandbox_work *work, int abi)
{
    if (abi < 0)
        return abi;
    if (work->own_ids || abi >= SANDBOX_LANDLOCK_SCOPES)
        return 0;
    sandbox_work_object(work, "signals");
    return -EOPNOTSUPP;
}

int
sandbox_nested_landlock(struct sandbox_work *work)
{
    CLEANUP(grants_fini)
    struct grants grants = { .landlock = { .ruleset = -1 }, .work = work };
    int abi = sandbox_landlock_abi();
    int r = check_version(work, abi);

    if (r == 0)
        r = sandbox_landlock_open(&grants.landlock, abi,
                                  work->network == SANDBOX_NETWORK_NONE);
    for (size_t i = 0; r == 0 && i < work->spec->mount_count; i++) {
        sandbox_work_object(work, work->spec->mounts[i].target);
        r = grant_mount(&grants, &work->spec->mounts[i]);
    }
    if (r < 0)
        return r;
    sandbox_work_object(work, "");
    r = grant_list(&grants, devices, N_ELEMENTS(devices), SANDBOX_GRANT_DEVICE);
    if (r == 0)
        r = grant_list(&grants, facts, N_ELEMENTS(facts), SANDBOX_GRANT_READ);
    /* Others' semaphores are closed by their modes only to an id of its own. */
    if (r == 0 && work->own_ids)
        r = grant(&grants, "/dev/shm", SANDBOX_GRANT_READ_WRITE);
    if (r == -ENOENT || r == -ELOOP)
        r = 0;
    if (r < 0)
        return r;
    return sys_landlock_restrict(grants.landlock.ruleset) < 0 ? -errno : 0;
}

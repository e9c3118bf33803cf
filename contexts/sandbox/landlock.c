/* SPDX-License-Identifier: MIT */
/*
 * Landlock, a second wall behind the mounts: writing only below what is mounted writable,
 * and no signals or abstract sockets to anything outside, even on the host's network.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

/* Bits of the kernel's interface that older headers lack. */
#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define SCOPE_ABSTRACT_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

#define READ                                                                             \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |                         \
     LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE                                                                            \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                     \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                      \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                        \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | FS_REFER |             \
     FS_TRUNCATE)
/* Handled, but given to nobody. */
#define NEVER (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#define FILE_ONLY                                                                        \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |                         \
     LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

/* What the kernel's version ABI can handle. */
static struct ruleset
ruleset_for(int abi)
{
    struct ruleset set = { .fs = READ | WRITE | NEVER };

    if (abi < 2)
        set.fs &= ~FS_REFER;
    if (abi < 3)
        set.fs &= ~FS_TRUNCATE;
    if (abi >= 5)
        set.fs |= FS_IOCTL_DEV;
    if (abi >= 6)
        set.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
    return set;
}

/* Sizes that the kernel's versions know; it refuses what it does not. */
static size_t
ruleset_bytes(int abi)
{
    if (abi < 4)
        return offsetof(struct ruleset, net);
    return abi < 6 ? offsetof(struct ruleset, scoped) : sizeof(struct ruleset);
}

static int
allow(struct sandbox_work *work, int ruleset, uint64_t handled, const char *path,
      uint64_t access)
{
    CLEANUP(close_fdp) int fd = -1;
    struct stat st;

    sandbox_work_object(work, path);
    fd = sys_openat(AT_FDCWD, path, O_PATH, 0);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        access &= FILE_ONLY;
    return sys_landlock_add_path(ruleset, access & handled, fd) < 0 ? -errno : 0;
}

static int
allow_spec(struct sandbox_work *work, int ruleset, uint64_t handled)
{
    const struct sandbox_spec *spec = work->spec;

    for (size_t i = 0; i < spec->mount_count; i++) {
        const struct sandbox_mount *mount = &spec->mounts[i];
        int r;

        if (mount->kind != SANDBOX_MOUNT_BIND_RW && mount->kind != SANDBOX_MOUNT_TMPFS)
            continue;
        r = allow(work, ruleset, handled, mount->target, READ | WRITE);
        if (r == -ENOENT && (mount->flags & SANDBOX_MOUNT_OPTIONAL) != 0)
            r = 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int
sandbox_confine_landlock(struct sandbox_work *work)
{
    CLEANUP(close_fdp) int ruleset = -1;
    struct ruleset set;
    int abi, r;

    /* A zygote's forks live elsewhere, where its rules name nothing; theirs are their
     * own. */
    if (work->role == SANDBOX_ROLE_ZYGOTE)
        return 0;
    abi = sys_landlock_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
    set = ruleset_for(abi);
    ruleset = sys_landlock_create(&set, ruleset_bytes(abi), 0);
    if (ruleset < 0)
        return -errno;

    r = allow(work, ruleset, set.fs, "/", READ);
    if (r == 0)
        r = allow(work, ruleset, set.fs, "/dev",
                  LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV);
    if (r == 0)
        r = allow(work, ruleset, set.fs, "/dev/shm", READ | WRITE);
    if (r == 0)
        r = allow(work, ruleset, set.fs, "/proc", LANDLOCK_ACCESS_FS_WRITE_FILE);
    if (r == 0)
        r = allow_spec(work, ruleset, set.fs);
    sandbox_work_object(work, "");
    if (r < 0)
        return r;
    return sys_landlock_restrict(ruleset) < 0 ? -errno : 0;
}

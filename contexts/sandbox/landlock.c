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

#include "contexts/sandbox/landlock.h"
#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

/* Bits of the kernel's interface that older headers lack. */
#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define NET_BIND_TCP (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

/* What each kind of grant allows. */
#define READ                                                                             \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |                         \
     LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE                                                                            \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                     \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                      \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                        \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | FS_REFER |             \
     FS_TRUNCATE)
static const uint64_t grants[] = {
    [SANDBOX_GRANT_READ] = READ,
    [SANDBOX_GRANT_READ_WRITE] = READ | WRITE,
    [SANDBOX_GRANT_WRITE_FILES] = LANDLOCK_ACCESS_FS_WRITE_FILE,
    [SANDBOX_GRANT_DEVICES] = LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV,
    [SANDBOX_GRANT_DEVICE] =
        LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV,
};

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
    if (abi >= SANDBOX_LANDLOCK_SCOPES)
        set.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
    return set;
}

/* Sizes that the kernel's versions know; it refuses what it does not. */
static size_t
ruleset_bytes(int abi)
{
    if (abi < SANDBOX_LANDLOCK_TCP)
        return offsetof(struct ruleset, net);
    return abi < SANDBOX_LANDLOCK_SCOPES ? offsetof(struct ruleset, scoped)
                                         : sizeof(struct ruleset);
}

int
sandbox_landlock_abi(void)
{
    int abi = sys_landlock_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return abi < 0 ? -errno : abi;
}

int
sandbox_landlock_open(struct sandbox_landlock *ret, int abi, bool deny_tcp)
{
    struct ruleset set = ruleset_for(abi);

    if (deny_tcp && abi >= SANDBOX_LANDLOCK_TCP)
        set.net = NET_BIND_TCP | NET_CONNECT_TCP;
    ret->handled = set.fs;
    ret->ruleset = sys_landlock_create(&set, ruleset_bytes(abi), 0);
    return ret->ruleset < 0 ? -errno : 0;
}

void
sandbox_landlock_close(struct sandbox_landlock *landlock)
{
    close_fdp(&landlock->ruleset);
}

int
sandbox_landlock_allow(const struct sandbox_landlock *landlock, int path,
                       enum sandbox_grant grant)
{
    uint64_t access = grants[grant] & landlock->handled;
    struct stat st;

    if (fstat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        access &= FILE_ONLY;
    return sys_landlock_add_path(landlock->ruleset, access, path) < 0 ? -errno : 0;
}

static int
allow(struct sandbox_work *work, const struct sandbox_landlock *landlock,
      const char *path, enum sandbox_grant grant)
{
    CLEANUP(close_fdp) int fd = -1;

    sandbox_work_object(work, path);
    fd = sys_openat(AT_FDCWD, path, O_PATH, 0);
    return fd < 0 ? -errno : sandbox_landlock_allow(landlock, fd, grant);
}

static int
allow_spec(struct sandbox_work *work, const struct sandbox_landlock *landlock)
{
    const struct sandbox_spec *spec = work->spec;

    for (size_t i = 0; i < spec->mount_count; i++) {
        const struct sandbox_mount *mount = &spec->mounts[i];
        int r;

        if (mount->kind != SANDBOX_MOUNT_BIND_RW && mount->kind != SANDBOX_MOUNT_TMPFS &&
            mount->kind != SANDBOX_MOUNT_GIVEN)
            continue;
        r = allow(work, landlock, mount->target, SANDBOX_GRANT_READ_WRITE);
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
    CLEANUP(sandbox_landlock_close) struct sandbox_landlock landlock = { .ruleset = -1 };
    int abi, r;

    /* A zygote's forks live elsewhere, where its rules name nothing; theirs are their
     * own. */
    if (work->role == SANDBOX_ROLE_ZYGOTE)
        return 0;
    abi = sandbox_landlock_abi();
    if (abi < 0)
        return abi == -ENOSYS || abi == -EOPNOTSUPP ? 0 : abi;
    r = sandbox_landlock_open(&landlock, abi, false);
    if (r == 0)
        r = allow(work, &landlock, "/", SANDBOX_GRANT_READ);
    if (r == 0)
        r = allow(work, &landlock, "/dev", SANDBOX_GRANT_DEVICES);
    if (r == 0)
        r = allow(work, &landlock, "/dev/shm", SANDBOX_GRANT_READ_WRITE);
    if (r == 0)
        r = allow(work, &landlock, "/proc", SANDBOX_GRANT_WRITE_FILES);
    if (r == 0)
        r = allow_spec(work, &landlock);
    sandbox_work_object(work, "");
    if (r < 0)
        return r;
    return sys_landlock_restrict(landlock.ruleset) < 0 ? -errno : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The new root: a small tmpfs with mounts on it, which then becomes "/" for good.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

#define ROOT_BYTES ((uint64_t)4 * 1024 * 1024) /* directories, links, made-up files */
#define ROOT_INODES 4096
#define SMALL_PROC_BYTES ((uint64_t)64 * 1024)
#define SMALL_PROC_INODES 32
#define OWN_PROC "/proc/2" /* the runner is init's first child */
#define SHM_BYTES ((uint64_t)64 * 1024 * 1024)
#define SHM_INODES 4096
#define PTY_MAX "64"

int
sandbox_filesystem_open(int *ret, const char *type, const struct sandbox_option *options,
                        size_t count, unsigned attributes)
{
    CLEANUP(close_fdp) int fs = sys_fsopen(type);
    int mount;

    if (fs < 0)
        return -errno;
    for (size_t i = 0; i < count; i++)
        if (sys_fsconfig(fs, FSCONFIG_SET_STRING, options[i].key, options[i].value) < 0)
            return -errno;
    if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
        return -errno;
    mount = sys_fsmount(fs, attributes);
    if (mount < 0)
        return -errno;
    *ret = mount;
    return 0;
}

/* Bounded in bytes and inodes; the runner's. */
static int
tmpfs_open(const struct sandbox_work *work, int *ret, uint64_t bytes, uint64_t inodes,
           unsigned mode)
{
    char size[24], nodes[24], mode_text[16], id[16];
    const struct sandbox_option options[] = { { "size", size },
                                              { "nr_inodes", nodes },
                                              { "mode", mode_text },
                                              { "uid", id },
                                              { "gid", id } };

    /* 0 would mean no bound at all. */
    snprintf(size, sizeof size, "%llu", (unsigned long long)(bytes > 0 ? bytes : 1));
    snprintf(nodes, sizeof nodes, "%llu", (unsigned long long)(inodes > 0 ? inodes : 1));
    snprintf(mode_text, sizeof mode_text, "%o", mode & 07777);
    snprintf(id, sizeof id, "%d", work->own_ids ? SANDBOX_RUNNER_ID : 0);
    return sandbox_filesystem_open(ret, "tmpfs", options, N_ELEMENTS(options),
                                   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

/* Attaches MOUNT at the directory PATH, which is made if it is not there. */
static int
attach_at(struct sandbox_work *work, int mount, const char *path)
{
    CLEANUP(close_fdp) int target = -1;
    int r = sandbox_inside_directory(work, path, &target);

    if (r < 0)
        return r;
    return sys_move_mount(mount, target) < 0 ? -errno : 0;
}

/* On top of the old root: wherever else it were put, it could hide a source. */
int
sandbox_root_attach(struct sandbox_work *work)
{
    char size[24], nodes[24];
    const struct sandbox_option options[] = { { "size", size },
                                              { "nr_inodes", nodes },
                                              { "mode", "755" } };
    CLEANUP(close_fdp) int old = -1;
    int r;

    snprintf(size, sizeof size, "%llu", (unsigned long long)ROOT_BYTES);
    snprintf(nodes, sizeof nodes, "%d", ROOT_INODES);
    r = sandbox_filesystem_open(&work->root, "tmpfs", options, N_ELEMENTS(options),
                                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (r < 0)
        return r;
    old = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
    if (old < 0)
        return -errno;
    return sys_move_mount(work->root, old) < 0 ? -errno : 0;
}

/* Parts of /proc that speak of the machine, not of this sandbox. What only the machine's
 * root may read needs no cover. */
static const struct proc_cover {
    const char *path;
    bool hide; /* else read-only */
} proc_covers[] = {
    { "/proc/acpi", true },           { "/proc/asound", true },
    { "/proc/kallsyms", true },       { "/proc/kcore", true },
    { "/proc/key-users", true },      { "/proc/keys", true },
    { "/proc/latency_stats", true },  { "/proc/sched_debug", true },
    { "/proc/scsi", true },           { "/proc/timer_list", true },
    { "/proc/bus", false },           { "/proc/fs", false },
    { "/proc/irq", false },           { "/proc/sys", false },
    { "/proc/sysrq-trigger", false },
};

static int
make_read_only(struct sandbox_work *work, const char *path)
{
    const struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                                 MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
    CLEANUP(close_fdp) int target = -1;
    CLEANUP(close_fdp) int tree = -1;
    int r;

    r = sandbox_inside_open(work, path, &target);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    tree = sys_open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0 || sys_mount_setattr(tree, 0, &attr) < 0 ||
        sys_move_mount(tree, target) < 0)
        return -errno;
    return 0;
}

/* Attaches what PATH, below the full /proc, shows at the same place in the small one. */
static int
show_machine_file(struct sandbox_work *work, const char *path)
{
    CLEANUP(close_fdp) int tree = -1;
    CLEANUP(close_fdp) int target = -1;
    struct stat st;
    int r;

    sandbox_work_object(work, path);
    tree = sys_open_tree(work->proc, path + strlen("/proc/"),
                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(tree, &st) < 0)
        return -errno;
    r = S_ISDIR(st.st_mode) ? sandbox_inside_directory(work, path, &target)
                            : sandbox_inside_file(work, path, &target);
    if (r < 0)
        return r;
    return sys_move_mount(tree, target) < 0 ? -errno : 0;
}

/* Covers /proc, for a zygote, with a small one that shows no process but its own: it may
 * trace the inits that are made inside its own user namespace, and until they are built
 * they see all that the spawner does. */
static int
cover_proc(struct sandbox_work *work)
{
    static const char *const machine[] = {
        "/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg", "/proc/meminfo",
        "/proc/stat",    "/proc/sys",         "/proc/uptime",  "/proc/version",
    };
    const struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC };
    CLEANUP(close_fdp) int small = -1;
    CLEANUP(close_fdp) int own = -1;
    int r = tmpfs_open(work, &small, SMALL_PROC_BYTES, SMALL_PROC_INODES, 0555);

    if (r == 0)
        r = attach_at(work, small, "/proc");
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(machine); i++)
        r = show_machine_file(work, machine[i]);
    if (r == 0)
        r = sandbox_inside_directory(work, OWN_PROC, &own);
    if (r == 0)
        r = sandbox_inside_symlink(work, "/proc/self", strrchr(OWN_PROC, '/') + 1);
    if (r < 0)
        return r;
    return sys_mount_setattr(small, 0, &attr) < 0 ? -errno : 0;
}

int
sandbox_confine_proc(struct sandbox_work *work)
{
    CLEANUP(close_fdp) int tree = -1;

    if (work->role != SANDBOX_ROLE_ZYGOTE)
        return 0;
    tree = sys_open_tree(work->proc, "self", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return tree < 0 ? -errno : attach_at(work, tree, OWN_PROC);
}

int
sandbox_root_proc(struct sandbox_work *work)
{
    const struct sandbox_option options[] = { { "hidepid", "2" } };
    int r;

    r = sandbox_filesystem_open(&work->proc, "proc", options, N_ELEMENTS(options),
                                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (r == 0)
        r = attach_at(work, work->proc, "/proc");
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(proc_covers); i++) {
        sandbox_work_object(work, proc_covers[i].path);
        r = proc_covers[i].hide ? sandbox_inside_hide(work, proc_covers[i].path)
                                : make_read_only(work, proc_covers[i].path);
    }
    return r == 0 && work->role == SANDBOX_ROLE_ZYGOTE ? cover_proc(work) : r;
}

static const struct device {
    const char *path;
    unsigned major_number, minor_number;
} devices[] = {
    { "/dev/null", 1, 3 },   { "/dev/zero", 1, 5 },    { "/dev/full", 1, 7 },
    { "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 },
};

/* Read-only keeps its mode, owner and times; writing to the device works all the same. */
static int
bind_device(struct sandbox_work *work, const struct device *device)
{
    const struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                                 MOUNT_ATTR_NOEXEC,
                                     .propagation = MS_PRIVATE };
    CLEANUP(close_fdp) int tree = -1;
    CLEANUP(close_fdp) int target = -1;
    struct stat st;
    int r;

    sandbox_work_object(work, device->path);
    tree = sys_open_tree(AT_FDCWD, device->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || fstat(tree, &st) < 0)
        return -errno;
    if (!S_ISCHR(st.st_mode) ||
        st.st_rdev != makedev(device->major_number, device->minor_number))
        return -ENODEV;
    r = sandbox_inside_file(work, device->path, &target);
    if (r < 0)
        return r;
    if (sys_mount_setattr(tree, 0, &attr) < 0 || sys_move_mount(tree, target) < 0)
        return -errno;
    return 0;
}

/* Pseudo-terminals of its own. */
static int
mount_devpts(struct sandbox_work *work)
{
    const struct sandbox_option options[] = { { "ptmxmode", "0666" },
                                              { "mode", "0620" },
                                              { "max", PTY_MAX } };
    CLEANUP(close_fdp) int pts = -1;
    int r;

    sandbox_work_object(work, "/dev/pts");
    r = sandbox_filesystem_open(&pts, "devpts", options, N_ELEMENTS(options),
                                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    if (r == 0)
        r = attach_at(work, pts, "/dev/pts");
    if (r == 0)
        r = sandbox_inside_symlink(work, "/dev/ptmx", "pts/ptmx");
    return r;
}

int
sandbox_root_dev(struct sandbox_work *work)
{
    static const struct {
        const char *path;
        const char *text;
    } links[] = {
        { "/dev/fd", "/proc/self/fd" },
        { "/dev/stdin", "/proc/self/fd/0" },
        { "/dev/stdout", "/proc/self/fd/1" },
        { "/dev/stderr", "/proc/self/fd/2" },
    };
    CLEANUP(close_fdp) int shm = -1;
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(devices); i++)
        r = bind_device(work, &devices[i]);
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(links); i++)
        r = sandbox_inside_symlink(work, links[i].path, links[i].text);
    if (r == 0)
        r = mount_devpts(work);
    if (r < 0)
        return r;
    sandbox_work_object(work, "/dev/shm");
    r = tmpfs_open(work, &shm, SHM_BYTES, SHM_INODES, 01777);
    return r < 0 ? r : attach_at(work, shm, "/dev/shm");
}

static int
mount_bind(struct sandbox_work *work, const struct sandbox_mount *mount)
{
    CLEANUP(close_fdp) int tree = -1;
    CLEANUP(close_fdp) int target = -1;
    struct stat st;
    int r;

    tree = work->trees[mount - work->spec->mounts];
    work->trees[mount - work->spec->mounts] = -1;
    if (tree < 0)
        return 0; /* optional, and its source is not there */
    if (fstat(tree, &st) < 0)
        return -errno;
    r = S_ISDIR(st.st_mode) ? sandbox_inside_directory(work, mount->target, &target)
                            : sandbox_inside_file(work, mount->target, &target);
    if (r < 0)
        return r;
    return sys_move_mount(tree, target) < 0 ? -errno : 0;
}

/* As a bind, but nothing else can take its place. */
static int
mount_given(struct sandbox_work *work, const struct sandbox_mount *mount)
{
    return work->trees[mount - work->spec->mounts] < 0 ? -EBADF : mount_bind(work, mount);
}

static int
mount_tmpfs(struct sandbox_work *work, const struct sandbox_mount *mount)
{
    CLEANUP(close_fdp) int tmpfs = -1;
    int r = tmpfs_open(work, &tmpfs, mount->bytes, mount->inodes, mount->mode);

    return r < 0 ? r : attach_at(work, tmpfs, mount->target);
}

static int
mount_file(struct sandbox_work *work, const struct sandbox_mount *mount)
{
    CLEANUP(close_fdp) int target = -1;
    int r = sandbox_inside_file(work, mount->target, &target);

    return r < 0 ? r : sandbox_inside_content(work, mount->source, target);
}

static int
mount_symlink(struct sandbox_work *work, const struct sandbox_mount *mount)
{
    return sandbox_inside_symlink(work, mount->target, mount->source);
}

static int
mount_mask(struct sandbox_work *work, const struct sandbox_mount *mount)
{
    return sandbox_inside_hide(work, mount->target);
}

static int (*const mount_kinds[])(struct sandbox_work *, const struct sandbox_mount *) = {
    [SANDBOX_MOUNT_BIND_RO] = mount_bind,    [SANDBOX_MOUNT_BIND_RW] = mount_bind,
    [SANDBOX_MOUNT_TMPFS] = mount_tmpfs,     [SANDBOX_MOUNT_FILE] = mount_file,
    [SANDBOX_MOUNT_SYMLINK] = mount_symlink, [SANDBOX_MOUNT_MASK] = mount_mask,
    [SANDBOX_MOUNT_GIVEN] = mount_given,
};
_Static_assert(N_ELEMENTS(mount_kinds) == SANDBOX_MOUNT_END, "a row for each kind");

int
sandbox_root_mounts(struct sandbox_work *work)
{
    const struct sandbox_spec *spec = work->spec;

    for (size_t i = work->mount_from; i < work->mount_to; i++) {
        const struct sandbox_mount *mount = &spec->mounts[i];
        int r;

        sandbox_work_object(work, mount->target);
        if (mount->kind >= SANDBOX_MOUNT_END || strcmp(mount->target, "/") == 0)
            return -EINVAL;
        r = mount_kinds[mount->kind](work, mount);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The old root goes below the new one and is let go of: nothing leads to it any more. */
int
sandbox_root_enter(struct sandbox_work *work)
{
    if (sys_fchdir(work->root) < 0 || sys_pivot_root(".", ".") < 0 ||
        sys_umount(".", MNT_DETACH) < 0 || sys_chdir("/") < 0)
        return -errno;
    return 0;
}

int
sandbox_root_seal(struct sandbox_work *work)
{
    const struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

    return sys_mount_setattr(work->root, 0, &attr) < 0 ? -errno : 0;
}

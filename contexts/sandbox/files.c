/* SPDX-License-Identifier: MIT */
/*
 * Paths below the new root. A writable mount may hold links that a hostile program left
 * there, so every walk is the kernel's own, confined to the new root.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

#define CONTENT_NAME ".content"
#define RENAME_RACES_MAX 64

int
sandbox_inside_open(struct sandbox_work *work, const char *path, int *ret)
{
    const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
                                  .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    int fd = -1;

    /* EAGAIN: somebody renames or mounts, anywhere, while we go through "..". */
    for (int i = 0; i < RENAME_RACES_MAX; i++) {
        fd = sys_openat2(work->root, path, &how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    if (fd < 0)
        return -errno;
    *ret = fd;
    return 0;
}

/* Splits PATH at its last slash: DIRECTORY gets the part before it, "/" if none. */
static int
split_path(const char *path, char directory[PATH_MAX], const char **name)
{
    const char *slash = strrchr(path, '/');
    size_t length;

    if (path[0] != '/' || slash[1] == '\0' || strlen(path) >= PATH_MAX)
        return -EINVAL;
    length = slash == path ? 1 : (size_t)(slash - path);
    memcpy(directory, path, length);
    directory[length] = '\0';
    *name = slash + 1;
    return 0;
}

/* A made directory belongs to whom its parent belongs to: what lies in the runner's home
 * is the runner's. */
static int
make_directory(int parent, const char *name)
{
    struct stat st;

    if (sys_mkdirat(parent, name, 0755) < 0 || fstat(parent, &st) < 0)
        return -errno;
    if (st.st_uid == geteuid())
        return 0;
    return sys_fchownat(parent, name, st.st_uid, st.st_gid) < 0 ? -errno : 0;
}

static int
step_into(struct sandbox_work *work, const char *prefix, int *parent)
{
    int fd, r;

    r = sandbox_inside_open(work, prefix, &fd);
    if (r == -ENOENT) {
        r = make_directory(*parent, strrchr(prefix, '/') + 1);
        if (r == 0)
            r = sandbox_inside_open(work, prefix, &fd);
    }
    if (r < 0)
        return r;
    close(*parent);
    *parent = fd;
    return 0;
}

int
sandbox_inside_directory(struct sandbox_work *work, const char *path, int *ret)
{
    CLEANUP(close_fdp) int fd = -1;
    char prefix[PATH_MAX];
    int r;

    if (path[0] != '/' || strlen(path) >= sizeof prefix)
        return -EINVAL;
    r = sandbox_inside_open(work, path, &fd);
    if (r == -ENOENT)
        r = sandbox_inside_open(work, "/", &fd);
    else if (r == 0)
        path = "";
    for (const char *end = path; r == 0 && *end != '\0';) {
        end += 1 + strcspn(end + 1, "/");
        memcpy(prefix, path, (size_t)(end - path));
        prefix[end - path] = '\0';
        r = step_into(work, prefix, &fd);
    }
    if (r < 0)
        return r;
    *ret = fd;
    fd = -1;
    return 0;
}

int
sandbox_inside_file(struct sandbox_work *work, const char *path, int *ret)
{
    CLEANUP(close_fdp) int parent = -1;
    char directory[PATH_MAX];
    const char *name;
    int fd, r;

    r = sandbox_inside_open(work, path, ret);
    if (r != -ENOENT)
        return r;
    r = split_path(path, directory, &name);
    if (r == 0)
        r = sandbox_inside_directory(work, directory, &parent);
    if (r < 0)
        return r;
    fd = sys_openat(parent, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    *ret = fd;
    return 0;
}

int
sandbox_inside_symlink(struct sandbox_work *work, const char *path, const char *text)
{
    CLEANUP(close_fdp) int parent = -1;
    char directory[PATH_MAX];
    const char *name;
    int r;

    r = split_path(path, directory, &name);
    if (r == 0)
        r = sandbox_inside_directory(work, directory, &parent);
    if (r < 0)
        return r;
    return sys_symlinkat(text, parent, name) < 0 ? -errno : 0;
}

/* The file lives on the root's own tmpfs. Once mounted it loses its name there; before,
 * the kernel would not mount it. */
int
sandbox_inside_content(struct sandbox_work *work, const char *content, int target)
{
    const struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                                 MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
    CLEANUP(close_fdp) int file = -1;
    CLEANUP(close_fdp) int tree = -1;

    file = sys_openat(work->root, CONTENT_NAME, O_WRONLY | O_CREAT | O_EXCL, 0444);
    if (file < 0 || sys_write_file(file, content, strlen(content)) < 0)
        return -errno;
    tree = sys_open_tree(work->root, CONTENT_NAME, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || sys_mount_setattr(tree, 0, &attr) < 0 ||
        sys_move_mount(tree, target) < 0 || sys_unlinkat(work->root, CONTENT_NAME) < 0)
        return -errno;
    return 0;
}

static int
empty_filesystem(int *ret)
{
    const unsigned attributes =
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    CLEANUP(close_fdp) int fs = sys_fsopen("tmpfs");
    int mount;

    if (fs < 0 || sys_fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "1") < 0 ||
        sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "555") < 0 ||
        sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
        return -errno;
    mount = sys_fsmount(fs, attributes);
    if (mount < 0)
        return -errno;
    *ret = mount;
    return 0;
}

/* A home can have hundreds of directories to hide: all but the first show the first. */
static int
cover_directory(struct sandbox_work *work, int target)
{
    CLEANUP(close_fdp) int copy = -1;
    int r;

    if (work->empty < 0) {
        r = empty_filesystem(&work->empty);
        if (r < 0)
            return r;
        return sys_move_mount(work->empty, target) < 0 ? -errno : 0;
    }
    copy = sys_open_tree(work->empty, "",
                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (copy < 0)
        return -errno;
    return sys_move_mount(copy, target) < 0 ? -errno : 0;
}

int
sandbox_inside_hide(struct sandbox_work *work, const char *path)
{
    CLEANUP(close_fdp) int target = -1;
    struct stat st;
    int r;

    r = sandbox_inside_open(work, path, &target);
    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    if (r < 0)
        return r;
    if (fstat(target, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? cover_directory(work, target)
                               : sandbox_inside_content(work, "", target);
}

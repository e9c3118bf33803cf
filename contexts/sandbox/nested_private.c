/* SPDX-License-Identifier: MIT */
/*
 * The private directory of a context without mounts: what the full tier mounts a tmpfs on
 * lies below it, at the same path.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/sandbox/nested.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

static bool
is_within(const char *path, const char *ancestor)
{
    size_t length = strlen(ancestor);

    if (length == 1)
        return true;
    return strncmp(path, ancestor, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

static bool
is_bind(const struct sandbox_mount *mount)
{
    return mount->kind == SANDBOX_MOUNT_BIND_RO || mount->kind == SANDBOX_MOUNT_BIND_RW;
}

/* The mount on top at PATH, among the first COUNT, or NULL. */
static const struct sandbox_mount *
mount_at(const struct sandbox_spec *spec, const char *path, size_t count)
{
    while (count > 0) {
        const struct sandbox_mount *mount = &spec->mounts[--count];

        if (is_within(path, mount->target))
            return mount;
    }
    return NULL;
}

bool
sandbox_private_translate(const struct sandbox_work *work, const char *path, char *ret)
{
    const struct sandbox_mount *mount =
        mount_at(work->spec, path, work->spec->mount_count);
    int n = 0;

    if (mount != NULL && mount->kind == SANDBOX_MOUNT_TMPFS)
        n = snprintf(ret, PATH_MAX, "%s%s", work->private->path, path);
    return n > 0 && n < PATH_MAX;
}

/* Rules of Landlock only ever add: nothing below what is writable can be less. */
static const struct sandbox_mount *
writable_above(const struct sandbox_spec *spec, size_t index)
{
    const struct sandbox_mount *mount = &spec->mounts[index];

    for (size_t i = 0; i < index; i++)
        if (spec->mounts[i].kind == SANDBOX_MOUNT_BIND_RW &&
            is_within(mount->target, spec->mounts[i].target))
            return &spec->mounts[i];
    return NULL;
}

/* A bind is a path that is there anyway, or goes into a directory of ours as a link. */
static bool
is_in_place(const struct sandbox_spec *spec, size_t index)
{
    const struct sandbox_mount *mount = &spec->mounts[index], *below;
    CLEANUP(freep) char *real = NULL;

    if (strcmp(mount->target, mount->source) == 0)
        return true;
    below = mount_at(spec, mount->target, index);
    if (below != NULL && below->kind == SANDBOX_MOUNT_TMPFS)
        return true;
    real = realpath(mount->target, NULL);
    return (real != NULL && strcmp(real, mount->source) == 0) ||
           (mount->flags & SANDBOX_MOUNT_OPTIONAL) != 0;
}

int
sandbox_private_check(struct sandbox_work *work)
{
    const struct sandbox_spec *spec = work->spec;

    for (size_t i = 0; i < spec->mount_count; i++) {
        const struct sandbox_mount *mount = &spec->mounts[i];

        sandbox_work_object(work, mount->target);
        if (mount->kind != SANDBOX_MOUNT_BIND_RW &&
            mount->kind != SANDBOX_MOUNT_SYMLINK && writable_above(spec, i) != NULL)
            return -EOPNOTSUPP;
        if (is_bind(mount) && !is_in_place(spec, i))
            return -EOPNOTSUPP;
    }
    return 0;
}

/* True when some context is given what lies in FOLDER, or the runner could not go there.
 */
static bool
is_open_to_others(const struct sandbox_work *work, const char *folder)
{
    const struct sandbox_spec *spec = work->spec;
    struct stat st;

    for (size_t i = 0; i < spec->mount_count; i++)
        if (is_bind(&spec->mounts[i]) && is_within(folder, spec->mounts[i].source))
            return true;
    return stat(folder, &st) < 0 || (work->own_ids && (st.st_mode & S_IXOTH) == 0);
}

static int
make_in(struct sandbox_work *work, const char *folder)
{
    struct sandbox_private *private = work->private;
    CLEANUP(close_fdp)
    int parent = sys_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
    uint64_t number;

    if (parent < 0 || getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return -errno;
    snprintf(private->name, sizeof private->name, SANDBOX_PRIVATE_PREFIX "%016llx",
             (unsigned long long)number);
    if (snprintf(private->path, sizeof private->path, "%s/%s", folder, private->name) >=
        (int)sizeof private->path - NAME_MAX)
        return -ENAMETOOLONG;
    if (sys_mkdirat(parent, private->name, 0700) < 0)
        return -errno;
    private->folder = parent;
    parent = -1;
    private->fd = sys_openat(private->folder, private->name,
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (private->fd < 0 || flock(private->fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    return 0;
}

int
sandbox_private_make(struct sandbox_work *work)
{
    const char *const folders[] = { getenv("TMPDIR"), "/tmp", "/var/tmp" };

    for (size_t i = 0; i < N_ELEMENTS(folders); i++) {
        CLEANUP(freep) char *real = NULL;

        if (folders[i] == NULL || folders[i][0] != '/')
            continue;
        real = realpath(folders[i], NULL);
        if (real == NULL || is_open_to_others(work, real))
            continue;
        sandbox_work_object(work, real);
        return make_in(work, real);
    }
    return -EOPNOTSUPP;
}

static int
give(const struct sandbox_work *work, int folder, const char *name)
{
    if (!work->own_ids)
        return 0;
    return sys_fchownat(folder, name, work->outer_uid + 1, work->outer_gid + 1) < 0
               ? -errno
               : 0;
}

/* Makes the directories of PATH below the private one as needed, and opens the last. What
 * is there is ours alone so far. */
static int
open_below(struct sandbox_work *work, const char *path, int *ret)
{
    CLEANUP(close_fdp) int at = sys_dup_at_least(work->private->fd, 0);
    char name[NAME_MAX + 1];

    if (at < 0)
        return -errno;
    while (*path != '\0') {
        size_t length = strcspn(++path, "/");
        int next, r;

        if (length == 0 || length > NAME_MAX)
            return -EINVAL;
        memcpy(name, path, length);
        name[length] = '\0';
        path += length;
        if (sys_mkdirat(at, name, 0755) == 0)
            r = give(work, at, name);
        else
            r = errno == EEXIST ? 0 : -errno;
        if (r < 0)
            return r;
        next = sys_openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        if (next < 0)
            return -errno;
        close(at);
        at = next;
    }
    *ret = at;
    at = -1;
    return 0;
}

static int
write_file(struct sandbox_work *work, int folder, const char *name, const char *content)
{
    CLEANUP(close_fdp)
    int fd = sys_openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);

    if (fd < 0 || sys_write_file(fd, content, strlen(content)) < 0)
        return -errno;
    return give(work, folder, name);
}

/* What is mounted on a tmpfs. */
static int
fill_entry(struct sandbox_work *work, const struct sandbox_mount *mount)
{
    const char *slash = strrchr(mount->target, '/');
    CLEANUP(freep) char *parent = strndup(mount->target, (size_t)(slash - mount->target));
    CLEANUP(close_fdp) int folder = -1;
    int r;

    if (parent == NULL)
        return -ENOMEM;
    r = open_below(work, parent, &folder);
    if (r < 0)
        return r;
    if (mount->kind == SANDBOX_MOUNT_FILE)
        return write_file(work, folder, slash + 1, mount->source);
    return sys_symlinkat(mount->source, folder, slash + 1) < 0 ? -errno : 0;
}

static int
fill_mount(struct sandbox_work *work, size_t index)
{
    const struct sandbox_mount *mount = &work->spec->mounts[index], *below;
    CLEANUP(close_fdp) int fd = -1;
    int r;

    if (mount->kind == SANDBOX_MOUNT_TMPFS) {
        r = open_below(work, mount->target, &fd);
        return r == 0 && fchmod(fd, mount->mode) < 0 ? -errno : r;
    }
    below = mount_at(work->spec, mount->target, index);
    if (below == NULL || below->kind != SANDBOX_MOUNT_TMPFS ||
        mount->kind == SANDBOX_MOUNT_MASK ||
        (is_bind(mount) && strcmp(mount->target, mount->source) == 0))
        return 0;
    return fill_entry(work, mount);
}

int
sandbox_private_fill(struct sandbox_work *work)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < work->spec->mount_count; i++) {
        sandbox_work_object(work, work->spec->mounts[i].target);
        r = fill_mount(work, i);
    }
    if (r == 0 && work->own_ids &&
        sys_fchown(work->private->fd, work->outer_uid + 1, work->outer_gid + 1) < 0)
        r = -errno;
    return r;
}

/* NAME=value with the value's own place, or the same text. Never freed: the next thing in
 * this process is an exec. NULL: no memory. */
static const char *
translate_variable(const struct sandbox_work *work, const char *variable)
{
    const char *value = variable + strcspn(variable, "=");
    char path[PATH_MAX];
    char *text;

    value += *value == '=';
    if (value[0] != '/' || strchr(value, ':') != NULL ||
        !sandbox_private_translate(work, value, path))
        return variable;
    return asprintf(&text, "%.*s%s", (int)(value - variable), variable, path) < 0 ? NULL
                                                                                  : text;
}

/* Processes and threads of this user, which RLIMIT_NPROC counts with the context's. */
static uint64_t
count_own_threads(void)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    uint64_t count = 0;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[sizeof entry->d_name + 16];
        struct stat st;

        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%s/task", entry->d_name);
        if (stat(path, &st) == 0 && st.st_uid == getuid() && st.st_nlink > 2)
            count += st.st_nlink - 2;
    }
    if (folder != NULL)
        closedir(folder);
    return count;
}

/* Where nobody counts what a tmpfs holds, a file may at least not be larger than one. */
static void
bound_files(struct sandbox_spec *spec)
{
    uint64_t bytes = 0;

    if (spec->limits.file_bytes != 0)
        return;
    for (size_t i = 0; i < spec->mount_count; i++) {
        if (spec->mounts[i].kind == SANDBOX_MOUNT_BIND_RW)
            return;
        if (spec->mounts[i].kind == SANDBOX_MOUNT_TMPFS && spec->mounts[i].bytes > bytes)
            bytes = spec->mounts[i].bytes;
    }
    spec->limits.file_bytes = bytes;
}

int
sandbox_private_name(struct sandbox_work *work)
{
    static char directory[PATH_MAX]; /* of this process's only context */
    struct sandbox_spec *spec = &work->copy.spec;
    const char **env;
    size_t count = 0;

    while (work->spec->env != NULL && work->spec->env[count] != NULL)
        count++;
    env = calloc(count + 1, sizeof *env);
    if (env == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        env[i] = translate_variable(work, work->spec->env[i]);
        if (env[i] == NULL)
            return -ENOMEM;
    }
    *spec = *work->spec;
    spec->env = env;
    if (sandbox_private_translate(work, spec->directory, directory))
        spec->directory = directory;
    if (!work->own_ids)
        spec->limits.processes += count_own_threads();
    bound_files(spec);
    work->spec = spec;
    return 0;
}

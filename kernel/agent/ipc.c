/* SPDX-License-Identifier: MIT */
#include "kernel/agent/ipc.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

static int
fail(struct error *err, const char *what, const char *path)
{
    return error_set(err, IPC_E_BIND, "cannot %s %s: %s", what, path, strerror(errno));
}

/* Who can write to the folder can put a socket of his own in ours' place, unless the
 * folder is sticky, as /tmp is. */
static int
check_folder(const char *path, struct error *err)
{
    char folder[IPC_PATH_BYTES];
    struct stat st;
    char *slash;

    memcpy(folder, path, strlen(path) + 1);
    slash = strrchr(folder, '/');
    slash[slash == folder] = '\0'; /* the root's own stays */
    if (stat(folder, &st) < 0)
        return fail(err, "find the folder", folder);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, IPC_E_BIND, "%s is not a folder", folder);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return error_set(err, IPC_E_BIND,
                         "the folder %s belongs to another user (%u), who could take "
                         "the socket's place",
                         folder, (unsigned)st.st_uid);
    if ((st.st_mode & 022) != 0 && (st.st_mode & S_ISVTX) == 0)
        return error_set(err, IPC_E_BIND,
                         "other users can write to %s and take the socket's place: "
                         "chmod go-w it, or use another folder",
                         folder);
    return 0;
}

/* Somebody listens at ADDRESS, as far as can be told. */
static bool
is_served(const struct sockaddr_un *address)
{
    CLEANUP(close_fdp)
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ||
           connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
           errno != ECONNREFUSED;
}

static int
remove_stale(const struct sockaddr_un *address, struct error *err)
{
    const char *path = address->sun_path;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : fail(err, "look at", path);
    if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
        return error_set(err, IPC_E_BIND,
                         "%s is there already, and not a socket of this user", path);
    if (is_served(address))
        return error_set(err, IPC_E_BIND, "another process listens at %s already", path);
    return unlink(path) < 0 && errno != ENOENT ? fail(err, "remove", path) : 0;
}

static int
bind_file(int fd, const struct sockaddr_un *address, struct error *err)
{
    const struct sockaddr *bare = (const struct sockaddr *)address;
    int r;

    if (bind(fd, bare, sizeof *address) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return fail(err, "listen at", address->sun_path);
    r = remove_stale(address, err);
    if (r != 0)
        return r;
    return bind(fd, bare, sizeof *address) == 0
               ? 0
               : fail(err, "listen at", address->sun_path);
}

int
ipc_listen(int *ret_fd, struct ipc_file *ret_file, const char *path, int backlog,
           struct error *err)
{
    CLEANUP(close_fdp) int fd = -1;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct ipc_file file = { .path = "" };
    struct stat st;
    int r;

    if (path[0] != '/')
        return error_set(err, IPC_E_BIND, "the path of a socket is absolute: \"%s\"",
                         path);
    if (strlen(path) >= IPC_PATH_BYTES)
        return error_set(err, IPC_E_BIND,
                         "%s has %zu bytes, the path of a socket at most "
                         "%zu: use a shorter one",
                         path, strlen(path), IPC_PATH_BYTES - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    memcpy(file.path, path, strlen(path) + 1);
    r = check_folder(path, err);
    if (r != 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(err, "socket");
    if (fchmod(fd, 0600) < 0) /* what bind gives to the file, less the umask */
        return error_errno(err, "fchmod of a socket");
    r = bind_file(fd, &address, err);
    if (r != 0)
        return r;
    if (lstat(path, &st) < 0 || listen(fd, backlog) < 0) {
        r = fail(err, "listen at", path);
        unlink(path);
        return r;
    }
    file.device = st.st_dev;
    file.inode = st.st_ino;
    *ret_file = file;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

void
ipc_file_remove(struct ipc_file *file)
{
    struct stat st;

    if (file->path[0] != '\0' && lstat(file->path, &st) == 0 &&
        st.st_dev == file->device && st.st_ino == file->inode)
        unlink(file->path);
    file->path[0] = '\0';
}

/* The number at the end of ADDRESS, behind a colon, and what is before that. */
static bool
take_number(struct slice *address, uint32_t *ret)
{
    uint64_t number = 0, unit = 1;
    size_t at = address->length;

    while (at > 0 && address->data[at - 1] >= '0' && address->data[at - 1] <= '9') {
        number += unit * (uint64_t)(address->data[--at] - '0');
        unit *= 10;
        if (number > UINT32_MAX || unit > UINT64_C(10000000000))
            return false;
    }
    if (unit == 1 || at == 0 || address->data[at - 1] != ':')
        return false;
    address->length = at - 1;
    *ret = (uint32_t)number;
    return true;
}

bool
ipc_read_peer(struct ipc_peer *ret, struct slice address)
{
    uint32_t uid, gid, pid;

    if (!take_number(&address, &pid) || pid > INT32_MAX || !take_number(&address, &gid) ||
        !take_number(&address, &uid))
        return false;
    *ret = (struct ipc_peer){ .uid = uid, .pid = (pid_t)pid };
    return true;
}

/* SPDX-License-Identifier: MIT */
#include "kernel/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define CHUNK_BYTES 4096

static int
fail(struct error *err, const char *what, const char *path)
{
    return error_set(err, FILE_E_FAILED, "cannot %s %s: %s", what, path, strerror(errno));
}

static int
read_all(int fd, const char *path, struct buffer *ret, struct error *err)
{
    char chunk[CHUNK_BYTES];

    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, "read", path);
        if (n == 0)
            return 0;
        r = buffer_append(ret, chunk, (size_t)n);
        if (r == BUFFER_E_FULL)
            return error_set(err, FILE_E_FAILED, "%s: larger than %zu bytes", path,
                             ret->limit);
        if (r < 0)
            return r;
    }
}

int
file_read(const char *path, struct buffer *ret, struct error *err)
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? fail(err, "open", path) : read_all(fd, path, ret, err);
}

int
file_read_regular(const char *path, struct buffer *ret, struct error *err)
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return fail(err, "open", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, FILE_E_FAILED, "%s: it is not a regular file", path);
    return read_all(fd, path, ret, err);
}

static int
write_all(int fd, struct slice data)
{
    while (data.length > 0) {
        ssize_t n = write(fd, data.data, data.length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data.data += n;
        data.length -= (size_t)n;
    }
    return 0;
}

int
file_write(const char *path, struct slice data, mode_t mode, struct error *err)
{
    CLEANUP(close_fdp) int fd = -1;
    char temporary[PATH_MAX];
    int r, n = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);

    if (n < 0 || (size_t)n >= sizeof temporary)
        return error_set(err, FILE_E_FAILED, "%s: the path is too long", path);
    fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return fail(err, "create", path);
    r = write_all(fd, data);
    if (r == 0 && fchmod(fd, mode) == 0 && rename(temporary, path) == 0)
        return 0;
    if (r < 0)
        errno = -r;
    r = fail(err, "write", path);
    unlink(temporary);
    return r;
}

int
file_make_directories(const char *path, mode_t mode, struct error *err)
{
    char part[PATH_MAX];
    size_t length = strlen(path);

    if (length >= sizeof part)
        return error_set(err, FILE_E_FAILED, "%s: the path is too long", path);
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, mode) < 0 && errno != EEXIST)
            return fail(err, "create the folder", part);
        part[i] = path[i];
    }
    return 0;
}

int
file_join(char ret[PATH_MAX], const char *folder, const char *name, struct error *err)
{
    int n = snprintf(ret, PATH_MAX, "%s%s%s", folder, name[0] != '\0' ? "/" : "", name);

    if (n < 0 || n >= PATH_MAX)
        return error_set(err, FILE_E_FAILED, "%s/%s: the path is too long", folder, name);
    return 0;
}

int
file_executable(char ret[PATH_MAX], struct error *err)
{
    ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);

    if (n < 0)
        return fail(err, "read", "/proc/self/exe");
    ret[n] = '\0';
    return 0;
}

int
file_runtimes(char ret[PATH_MAX], struct error *err)
{
    static const char *const places[] = { "runtimes", "../share/cellwall/runtimes" };
    const char *named = getenv("CELLWALL_RUNTIMES");
    char folder[PATH_MAX], path[PATH_MAX];
    char *slash;
    int r;

    if (named != NULL && named[0] != '\0') {
        if (realpath(named, ret) == NULL)
            return fail(err, "find the folder CELLWALL_RUNTIMES names,", named);
        return 0;
    }
    r = file_executable(folder, err);
    if (r != 0)
        return r;
    slash = strrchr(folder, '/');
    if (slash != NULL)
        *slash = '\0';
    for (size_t i = 0; i < N_ELEMENTS(places); i++) {
        r = file_join(path, folder, places[i], err);
        if (r != 0)
            return r;
        if (realpath(path, ret) != NULL)
            return 0;
    }
    return error_set(err, FILE_E_FAILED,
                     "no runtimes in %s/runtimes or %s/../share/cellwall/runtimes; set "
                     "CELLWALL_RUNTIMES to their folder",
                     folder, folder);
}

int
file_jupyter_data(char ret[PATH_MAX], struct error *err)
{
    const char *named = getenv("JUPYTER_DATA_DIR");
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");

    if (named != NULL && named[0] != '\0')
        return file_join(ret, named, "", err);
    if (data != NULL && data[0] != '\0')
        return file_join(ret, data, "jupyter", err);
    if (home != NULL && home[0] != '\0')
        return file_join(ret, home, ".local/share/jupyter", err);
    return error_set(err, FILE_E_FAILED, "HOME is not set; set it or JUPYTER_DATA_DIR");
}

int
file_jupyter_runtime(char ret[PATH_MAX], struct error *err)
{
    const char *named = getenv("JUPYTER_RUNTIME_DIR");
    char data[PATH_MAX];
    int r;

    if (named != NULL && named[0] != '\0')
        return file_join(ret, named, "", err);
    r = file_jupyter_data(data, err);
    return r != 0 ? r : file_join(ret, data, "runtime", err);
}

static int
name_server_folder(char ret[PATH_MAX], struct error *err)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *temporary = getenv("TMPDIR");
    char name[64];
    struct stat st;

    if (runtime != NULL && runtime[0] == '/' && stat(runtime, &st) == 0 &&
        st.st_uid == geteuid())
        return file_join(ret, runtime, "cellwall", err);
    if (temporary == NULL || temporary[0] != '/')
        temporary = "/tmp";
    snprintf(name, sizeof name, "cellwall-%u", (unsigned)geteuid());
    return file_join(ret, temporary, name, err);
}

int
file_server_folder(char ret[PATH_MAX], bool make, struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    int r = name_server_folder(path, err);

    if (r != 0)
        return r;
    if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
        return fail(err, "create the folder", path);
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? FILE_E_MISSING : fail(err, "look at", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return error_set(err, FILE_E_FAILED,
                         "%s is not a folder of this user: remove it, or set "
                         "XDG_RUNTIME_DIR",
                         path);
    if ((st.st_mode & 077) != 0)
        return error_set(err, FILE_E_FAILED,
                         "%s is open to other users: chmod 700 it, if all in it is yours",
                         path);
    memcpy(ret, path, sizeof path);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "kernel/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define CHUNK_BYTES 4096

static int
fail(struct error *err, const char *what, const char *path)
{
    return error_set(err, KEY_FILE_E_FAILED, "cannot %s %s: %s", what, path,
                     strerror(errno));
}

int
key_file_check(int fd, const char *path, mode_t forbidden, struct stat *ret,
               struct error *err)
{
    if (fstat(fd, ret) < 0)
        return error_errno(err, "fstat %s", path);
    if (!S_ISREG(ret->st_mode))
        return error_set(err, KEY_FILE_E_FAILED, "%s is not a regular file", path);
    if (ret->st_uid != geteuid() && ret->st_uid != 0)
        return error_set(err, KEY_FILE_E_FAILED,
                         "%s belongs to another user (%u), whose keys could be in it",
                         path, (unsigned)ret->st_uid);
    if ((ret->st_mode & forbidden) != 0)
        return error_set(err, KEY_FILE_E_FAILED, "%s is open to other users: chmod %s it",
                         path, (forbidden & 044) != 0 ? "600" : "go-w");
    return 0;
}

int
key_file_read(int fd, const char *path, struct buffer *ret, struct error *err)
{
    for (;;) {
        char chunk[CHUNK_BYTES];
        ssize_t n = read(fd, chunk, sizeof chunk);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, "read", path);
        r = n == 0 ? 0 : buffer_append(ret, chunk, (size_t)n);
        sodium_memzero(chunk, sizeof chunk);
        if (r == BUFFER_E_FULL)
            return error_set(err, KEY_FILE_E_FAILED, "%s: larger than %zu bytes", path,
                             ret->limit);
        if (r < 0 || n == 0)
            return r;
    }
}

int
key_file_write(int fd, const char *path, struct slice text, struct error *err)
{
    while (text.length > 0) {
        ssize_t n = write(fd, text.data, text.length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, "write", path);
        text.data += n;
        text.length -= (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : fail(err, "write", path);
}

int
key_file_create(const char *path, struct slice text, struct error *err)
{
    CLEANUP(close_fdp)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
    int r;

    if (fd < 0 && errno == EEXIST)
        return error_set(err, KEY_FILE_E_FAILED,
                         "%s is there already, and keys are never overwritten: name "
                         "another file, or remove it",
                         path);
    if (fd < 0)
        return fail(err, "create", path);
    r = key_file_write(fd, path, text, err);
    if (r != 0)
        unlink(path);
    return r;
}

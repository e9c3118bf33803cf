/* SPDX-License-Identifier: MIT */
/* Paths and files; workspace_files_tree.c has what goes through directories. */
#include "contexts/workspace_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "contexts/sandbox/sys.h"
#include "contexts/workspace.h"
#include "contexts/workspace_files_parts.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define FILE_MODE 0644
#define DIRECTORY_MODE 0755
#define RACES_MAX 64

static const char *const result_names[] = {
    [WORKSPACE_FILES_E_INVALID] = "invalid",
    [WORKSPACE_FILES_E_NOT_FOUND] = "not_found",
    [WORKSPACE_FILES_E_EXISTS] = "exists",
    [WORKSPACE_FILES_E_IS_DIRECTORY] = "is_directory",
    [WORKSPACE_FILES_E_NOT_DIRECTORY] = "not_directory",
    [WORKSPACE_FILES_E_NOT_FILE] = "not_file",
    [WORKSPACE_FILES_E_NOT_EMPTY] = "not_empty",
    [WORKSPACE_FILES_E_TOO_LARGE] = "too_large",
    [WORKSPACE_FILES_E_NO_SPACE] = "no_space",
    [WORKSPACE_FILES_E_DENIED] = "denied",
    [WORKSPACE_FILES_E_UNFINISHED] = "unfinished",
};

/* What code in a context can make the kernel say. */
static const struct answer {
    int error;
    int result;
    const char *sentence;
} answers[] = {
    { ENOENT, WORKSPACE_FILES_E_NOT_FOUND, "there is no such file or directory" },
    { EEXIST, WORKSPACE_FILES_E_EXISTS, "it exists already" },
    { EISDIR, WORKSPACE_FILES_E_IS_DIRECTORY, "it is a directory" },
    { ENOTDIR, WORKSPACE_FILES_E_NOT_DIRECTORY,
      "it, or a part of the path, is not a directory" },
    { ELOOP, WORKSPACE_FILES_E_NOT_FILE,
      "it, or a part of the path, is a link, and links are not followed" },
    { ENXIO, WORKSPACE_FILES_E_NOT_FILE, "it is a pipe, a socket or a device" },
    { ENODEV, WORKSPACE_FILES_E_NOT_FILE, "it is a pipe, a socket or a device" },
    { ENOTEMPTY, WORKSPACE_FILES_E_NOT_EMPTY, "the directory is not empty" },
    { EFBIG, WORKSPACE_FILES_E_TOO_LARGE, "no file can be so large" },
    { ENOSPC, WORKSPACE_FILES_E_NO_SPACE, "the workspace is full" },
    { EDQUOT, WORKSPACE_FILES_E_NO_SPACE, "the workspace is full" },
    { EACCES, WORKSPACE_FILES_E_DENIED, "its mode, or a directory's, forbids it" },
    { EPERM, WORKSPACE_FILES_E_DENIED, "it may not be changed" },
    { EROFS, WORKSPACE_FILES_E_DENIED, "it may not be changed" },
    { EXDEV, WORKSPACE_FILES_E_DENIED, "it leads out of the workspace" },
    { ETXTBSY, WORKSPACE_FILES_E_DENIED, "it is a program that is running" },
    { EAGAIN, WORKSPACE_FILES_E_DENIED, "code in a context keeps it to itself" },
    { EBUSY, WORKSPACE_FILES_E_DENIED, "code in a context keeps it to itself" },
    { ENAMETOOLONG, WORKSPACE_FILES_E_INVALID, "the path is too long" },
};

const char *
workspace_files_result_name(int e)
{
    return e > 0 && (size_t)e < N_ELEMENTS(result_names) ? result_names[e] : "unknown";
}

static const char *
shown(const struct workspace_path *path)
{
    return path->text[0] == '\0' ? "the workspace" : path->text;
}

static bool
is_our_own(int r)
{
    static const int failures[] = { ENOMEM, EMFILE, ENFILE, EBADF, EFAULT, ENOSYS };

    for (size_t i = 0; i < N_ELEMENTS(failures); i++)
        if (failures[i] == -r)
            return true;
    return false;
}

int
workspace_files_result(int r, const struct workspace_path *path, struct error *err)
{
    int result = is_our_own(r) ? r : WORKSPACE_FILES_E_DENIED;

    if (r >= 0)
        return r;
    for (size_t i = 0; i < N_ELEMENTS(answers); i++)
        if (answers[i].error == -r)
            return error_set(err, answers[i].result, "%.300s: %s", shown(path),
                             answers[i].sentence);
    return error_set(err, result, "%.300s: %s", shown(path), strerror(-r));
}

static int
invalid(struct error *err, const char *why)
{
    return error_set(err, WORKSPACE_FILES_E_INVALID, "the path %s", why);
}

/* One part; *end is where it goes. */
static int
add_part(struct workspace_path *ret, char **end, struct slice part, struct error *err)
{
    if (part.length == 0 || slice_equals_text(part, "."))
        return 0;
    if (slice_equals_text(part, ".."))
        return invalid(err, "has a part \"..\", which is not followed");
    if (part.length > NAME_MAX)
        return invalid(err, "has a part of more than 255 bytes");
    if (*end != ret->text)
        *(*end)++ = '/';
    ret->name = *end;
    memcpy(*end, part.data, part.length);
    *end += part.length;
    return 0;
}

static bool
skip_prefix(struct slice *path)
{
    size_t length = strlen(WORKSPACE_PATH);

    if (path->length < length || memcmp(path->data, WORKSPACE_PATH, length) != 0 ||
        (path->length > length && path->data[length] != '/'))
        return false;
    path->data += length;
    path->length -= length;
    return true;
}

int
workspace_path_init(struct workspace_path *ret, struct slice from, struct error *err)
{
    char *end = ret->text;
    int parts = 0;

    ret->name = ret->text;
    if (from.length > WORKSPACE_FILES_PATH_BYTES_MAX)
        return invalid(err, "has more than 4095 bytes");
    if (from.length > 0 && memchr(from.data, '\0', from.length) != NULL)
        return invalid(err, "has a NUL");
    if (from.length > 0 && from.data[0] == '/' && !skip_prefix(&from))
        return invalid(err, "must be relative, or begin with " WORKSPACE_PATH);
    while (from.length > 0) {
        const uint8_t *slash = memchr(from.data, '/', from.length);
        struct slice part = { from.data,
                              slash == NULL ? from.length : (size_t)(slash - from.data) };
        const char *before = end;
        int r = add_part(ret, &end, part, err);

        if (r != 0)
            return r;
        parts += end != before;
        if (parts > WORKSPACE_FILES_DEPTH_MAX)
            return invalid(err, "has more than 64 parts");
        from.data += part.length + (slash != NULL);
        from.length -= part.length + (slash != NULL);
    }
    *end = '\0';
    return 0;
}

/* The umask is for the server's own files. It is the process's: but of its threads, those
 * of ZeroMQ make none. */
static int
open_whatever_umask(int at, const char *path, const struct open_how *how)
{
    mode_t own = umask(0);
    int fd = sys_openat2(at, path, how), error = errno;

    umask(own);
    errno = error;
    return fd;
}

/* As mkdirat, likewise; 0 or -errno. */
static int
make_directory(int at, const char *name)
{
    mode_t own = umask(0);
    int r = mkdirat(at, name, DIRECTORY_MODE) < 0 ? -errno : 0;

    umask(own);
    return r;
}

/* EAGAIN is also what the kernel says when somebody renames while it looks. O_PATH takes
 * few other flags; a link that ought to be a directory is told as a link. */
int
workspace_files_open(int at, const char *path, int flags, mode_t mode)
{
    int always = O_CLOEXEC | ((flags & O_DIRECTORY) != 0 ? 0 : O_NOFOLLOW);
    const struct open_how how = {
        .flags = (uint64_t)(flags | always |
                            ((flags & O_PATH) != 0 ? 0 : O_NONBLOCK | O_NOCTTY)),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                   RESOLVE_NO_XDEV,
    };
    int fd = -1;

    for (int i = 0; i < RACES_MAX; i++) {
        fd = open_whatever_umask(at, path[0] == '\0' ? "." : path, &how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd < 0 ? -errno : fd;
}

static int
open_directory(int at, const char *path)
{
    return workspace_files_open(at, path, O_PATH | O_DIRECTORY, 0);
}

/* With the parts of TEXT made on the way, which is changed back when this returns. */
static int
make_way(int folder, char *text, int *ret)
{
    int at = open_directory(folder, "");

    for (char *part = text, *slash; at >= 0 && *part != '\0'; part = slash) {
        char kept;
        int next;

        slash = strchrnul(part, '/');
        kept = *slash;
        *slash = '\0';
        next = make_directory(at, part);
        if (next == 0 || next == -EEXIST)
            next = open_directory(at, part);
        *slash = kept;
        slash += kept == '/';
        close(at);
        at = next;
    }
    if (at < 0)
        return at;
    *ret = at;
    return 0;
}

int
workspace_files_open_parent(int folder, const struct workspace_path *path,
                            bool make_parents, int *ret)
{
    size_t length = (size_t)(path->name - path->text);
    char text[sizeof path->text];
    int fd;

    memcpy(text, path->text, length);
    text[length > 0 ? length - 1 : 0] = '\0'; /* less the slash */
    if (make_parents)
        return make_way(folder, text, ret);
    fd = open_directory(folder, text);
    if (fd < 0)
        return fd;
    *ret = fd;
    return 0;
}

void
workspace_file_from(struct workspace_file *ret, const struct stat *from)
{
    *ret = (struct workspace_file){
        .type = S_ISREG(from->st_mode)   ? WORKSPACE_FILE_REGULAR
                : S_ISDIR(from->st_mode) ? WORKSPACE_FILE_DIRECTORY
                : S_ISLNK(from->st_mode) ? WORKSPACE_FILE_LINK
                                         : WORKSPACE_FILE_OTHER,
        .bytes = S_ISREG(from->st_mode) ? (uint64_t)from->st_size : 0,
        .modified_ms =
            (int64_t)from->st_mtim.tv_sec * 1000 + from->st_mtim.tv_nsec / 1000000,
        .mode = from->st_mode & 07777,
    };
}

/* Of what was opened: only regular files are read and written. 0 or -errno. */
static int
check_file(int fd, struct stat *ret)
{
    if (fstat(fd, ret) < 0)
        return -errno;
    if (S_ISDIR(ret->st_mode))
        return -EISDIR;
    return S_ISREG(ret->st_mode) ? 0 : -ENXIO;
}

/* At OFFSET, or where the file's end is. 0 or -errno. */
static int
write_all(int fd, struct slice bytes, bool append, uint64_t offset)
{
    while (bytes.length > 0) {
        ssize_t n = append ? write(fd, bytes.data, bytes.length)
                           : pwrite(fd, bytes.data, bytes.length, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        bytes.data += n;
        bytes.length -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int
fill(int fd, const struct workspace_write *wish, struct workspace_file *ret)
{
    struct stat st;
    int r = check_file(fd, &st);

    if (r == 0 && wish->how == WORKSPACE_WRITE_REPLACE && ftruncate(fd, 0) < 0)
        r = -errno;
    if (r == 0)
        r = write_all(fd, wish->bytes, wish->how == WORKSPACE_WRITE_APPEND,
                      wish->how == WORKSPACE_WRITE_AT ? wish->offset : 0);
    if (r == 0 && fstat(fd, &st) < 0)
        r = -errno;
    if (r == 0 && ret != NULL)
        workspace_file_from(ret, &st);
    return r;
}

/* A directory's fd or name is never created. */
static int
open_to_write(int folder, const struct workspace_write *wish,
              const struct workspace_path *path, int *ret)
{
    static const int flags[] = { [WORKSPACE_WRITE_REPLACE] = 0,
                                 [WORKSPACE_WRITE_NEW] = O_EXCL,
                                 [WORKSPACE_WRITE_APPEND] = O_APPEND,
                                 [WORKSPACE_WRITE_AT] = 0 };
    CLEANUP(close_fdp) int parent = -1;
    int fd, r;

    if (path->text[0] == '\0')
        return -EISDIR;
    r = workspace_files_open_parent(folder, path, wish->make_parents, &parent);
    if (r < 0)
        return r;
    fd = workspace_files_open(parent, path->name, O_WRONLY | O_CREAT | flags[wish->how],
                              FILE_MODE);
    if (fd < 0)
        return fd;
    *ret = fd;
    return 0;
}

int
workspace_files_write(int folder, const struct workspace_write *wish,
                      struct workspace_file *ret, struct error *err)
{
    CLEANUP(close_fdp) int fd = -1;
    struct workspace_path path;
    int r = workspace_path_init(&path, wish->path, err);

    if (r != 0)
        return r;
    if (wish->how == WORKSPACE_WRITE_AT &&
        (wish->offset > INT64_MAX || wish->bytes.length > INT64_MAX - wish->offset))
        return workspace_files_result(-EFBIG, &path, err);
    r = open_to_write(folder, wish, &path, &fd);
    if (r == 0)
        r = fill(fd, wish, ret);
    return workspace_files_result(r, &path, err);
}

/* The file may shrink meanwhile: then there is less. 0 or -errno. */
static int
read_up_to(int fd, uint64_t offset, size_t length, struct buffer *ret)
{
    while (length > 0) {
        ssize_t n = pread(fd, ret->data + ret->length, length, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        ret->length += (size_t)n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

int
workspace_files_read(int folder, struct slice text, uint64_t offset, uint64_t length,
                     struct buffer *ret, struct workspace_file *ret_file,
                     struct error *err)
{
    CLEANUP(close_fdp) int fd = -1;
    struct workspace_path path;
    struct stat st = { 0 };
    int r = workspace_path_init(&path, text, err);

    if (r != 0)
        return r;
    if (length > WORKSPACE_FILES_READ_BYTES_MAX)
        return error_set(err, WORKSPACE_FILES_E_TOO_LARGE,
                         "%.300s: more than %zu bytes cannot be read at once",
                         shown(&path), WORKSPACE_FILES_READ_BYTES_MAX);
    fd = workspace_files_open(folder, path.text, O_RDONLY, 0);
    r = fd < 0 ? fd : check_file(fd, &st);
    if (r < 0)
        return workspace_files_result(r, &path, err);
    if (offset >= (uint64_t)st.st_size)
        length = 0;
    else if (length > (uint64_t)st.st_size - offset)
        length = (uint64_t)st.st_size - offset;
    r = length == 0 ? 0 : buffer_reserve(ret, (size_t)length);
    if (r == BUFFER_E_FULL)
        return error_set(err, WORKSPACE_FILES_E_TOO_LARGE,
                         "%.300s: there is no room for %llu bytes", shown(&path),
                         (unsigned long long)length);
    if (r == 0)
        r = read_up_to(fd, offset, (size_t)length, ret);
    if (r == 0 && ret_file != NULL)
        workspace_file_from(ret_file, &st);
    return workspace_files_result(r, &path, err);
}

int
workspace_files_look(int folder, struct slice text, struct workspace_file *ret,
                     struct error *err)
{
    CLEANUP(close_fdp) int fd = -1;
    struct workspace_path path;
    struct stat st;
    int r = workspace_path_init(&path, text, err);

    if (r != 0)
        return r;
    fd = workspace_files_open(folder, path.text, O_PATH, 0);
    r = fd < 0 ? fd : 0;
    if (r == 0 && fstat(fd, &st) < 0)
        r = -errno;
    if (r == 0)
        workspace_file_from(ret, &st);
    return workspace_files_result(r, &path, err);
}

int
workspace_files_make_directory(int folder, struct slice text, bool make_parents,
                               struct error *err)
{
    CLEANUP(close_fdp) int parent = -1;
    CLEANUP(close_fdp) int there = -1;
    struct workspace_path path = { .name = NULL };
    int r = workspace_path_init(&path, text, err);

    if (r != 0)
        return r;
    if (path.text[0] == '\0')
        return make_parents ? 0 : workspace_files_result(-EEXIST, &path, err);
    r = workspace_files_open_parent(folder, &path, make_parents, &parent);
    if (r == 0)
        r = make_directory(parent, path.name);
    if (r == -EEXIST && make_parents) {
        there = open_directory(parent, path.name);
        r = there >= 0 ? 0 : r;
    }
    return workspace_files_result(r, &path, err);
}

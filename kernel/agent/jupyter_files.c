/* SPDX-License-Identifier: MIT */
/* A Jupyter server looks into the folder that it watches now and then. It reads every
 * file there, whatever its name, so no temporary file may ever stand there; and it takes
 * a file by a name that it knows for the same kernel as before, so no name may come
 * again. */
#include "kernel/agent/jupyter_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/file.h"
#include "protocol/cleanup.h"
#include "protocol/connection.h"
#include "protocol/error.h"

#define PREFIX "kernel-cellwall-"
#define SUFFIX ".json"

static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789._-";

static int
fail(struct error *err, const char *verb, const char *path)
{
    return error_set(err, JUPYTER_FILES_E_FAILED, "cannot %s %s: %s", verb, path,
                     strerror(errno));
}

int
jupyter_files_folder(char ret[PATH_MAX], struct error *err)
{
    char folder[PATH_MAX];
    struct stat st;
    int r = file_server_folder(folder, true, err);

    if (r == 0)
        r = file_join(ret, folder, "jupyter", err);
    if (r != 0)
        return JUPYTER_FILES_E_FAILED;
    if (mkdir(ret, 0700) < 0 && errno != EEXIST)
        return fail(err, "create the folder", ret);
    if (lstat(ret, &st) < 0)
        return fail(err, "look at", ret);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return error_set(err, JUPYTER_FILES_E_FAILED,
                         "%s is not a folder for this user alone: remove it", ret);
    return 0;
}

/* One call, so that a reader finds all or, at worst, text that is no JSON yet. */
static int
create(const char *path, struct slice data)
{
    CLEANUP(close_fdp)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t n;
    int r;

    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) < 0) /* the umask may have left less */
        n = -1;
    else
        n = write(fd, data.data, data.length);
    if (n == (ssize_t)data.length)
        return 0;
    r = n < 0 ? -errno : -ENOSPC;
    unlink(path);
    return r;
}

static void
make_harmless(char ret[JUPYTER_FILES_NAME_BYTES_MAX + 1], const char *name)
{
    size_t length = strnlen(name, JUPYTER_FILES_NAME_BYTES_MAX);

    for (size_t i = 0; i < length; i++)
        ret[i] = '_';
    for (size_t i = 0; i < length; i++)
        if (strchr(harmless, name[i]) != NULL)
            ret[i] = name[i];
    ret[length] = '\0';
}

int
jupyter_files_write(char ret[PATH_MAX], const char *folder, const char *name,
                    const char *chance, struct slice data, struct error *err)
{
    char path[PATH_MAX], safe[JUPYTER_FILES_NAME_BYTES_MAX + 1];
    CLEANUP(freep) char *file = NULL;
    int r = file_make_directories(folder, 0700, err);

    if (r != 0)
        return JUPYTER_FILES_E_FAILED;
    make_harmless(safe, name);
    if (asprintf(&file, PREFIX "%s-%s" SUFFIX, safe, chance) < 0)
        return -ENOMEM;
    if (file_join(path, folder, file, err) != 0)
        return JUPYTER_FILES_E_FAILED;
    r = create(path, data);
    if (r < 0) {
        errno = -r;
        return fail(err, "create", path);
    }
    memcpy(ret, path, sizeof path);
    return 0;
}

/* PATH is a connection file of a kernel with sockets in FOLDER. */
static bool
is_of(const char *path, const char *folder)
{
    CLEANUP(buffer_fini) struct buffer text;
    struct connection connection = { 0 };
    size_t length = strlen(folder);
    bool is;

    buffer_init(&text, CONNECTION_BYTES_MAX);
    if (file_read(path, &text, NULL) != 0)
        return false;
    is = connection_init(&connection, buffer_slice(&text), NULL) == 0;
    if (text.data != NULL)
        sodium_memzero(text.data, text.length);
    if (!is)
        return false;
    is = connection.ipc && strncmp(connection.ip, folder, length) == 0 &&
         connection.ip[length] == '/';
    connection_fini(&connection);
    return is;
}

static bool
has_our_name(const char *name)
{
    size_t length = strlen(name);

    return length > strlen(PREFIX SUFFIX) && strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
           strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static void
sweep_entry(const char *path, const char *name, const char *folder, bool sockets)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return;
    if ((sockets && S_ISSOCK(st.st_mode)) ||
        (S_ISREG(st.st_mode) && has_our_name(name) && is_of(path, folder)))
        unlink(path);
}

static int
sweep(const char *path, const char *folder, struct error *err)
{
    char entry[PATH_MAX];
    DIR *directory = opendir(path);

    if (directory == NULL)
        return errno == ENOENT ? 0 : fail(err, "read the folder", path);
    for (struct dirent *d = readdir(directory); d != NULL; d = readdir(directory)) {
        if (file_join(entry, path, d->d_name, NULL) == 0)
            sweep_entry(entry, d->d_name, folder, strcmp(path, folder) == 0);
    }
    closedir(directory);
    return 0;
}

int
jupyter_files_sweep(const char *connection_dir, struct error *err)
{
    char folder[PATH_MAX];
    int r = jupyter_files_folder(folder, err);

    if (r == 0)
        r = sweep(folder, folder, err);
    return r == 0 && connection_dir != NULL ? sweep(connection_dir, folder, err) : r;
}

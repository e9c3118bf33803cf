/* SPDX-License-Identifier: MIT */
/*
 * Folders are opened one within the other and links to them are not followed, so that
 * whoever changes the tree meanwhile can neither lead the walk elsewhere nor in circles.
 */
#include "kernel/notebook/find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/notebook/pending.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define SUFFIX ".ipynb"
#define FIRST_CAPACITY 16

struct walk {
    struct found *found;
    struct error *err;
    char path[PATH_MAX]; /* of what is looked at, as it is shown */
    size_t length;
    size_t notebooks; /* below PATH, known ones too */
    size_t entries;
};

/* The names in a folder. */
struct names {
    char **items; /* owned */
    size_t count, capacity;
};

static void
names_fini(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static int
compare_texts(const void *one, const void *other)
{
    return strcmp(one, other);
}

static int
compare_items(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static const char *
shown_path(const struct walk *walk)
{
    return walk->length > 0 ? walk->path : ".";
}

static int
fail(struct walk *walk, const char *what)
{
    return error_set(walk->err, FIND_E_FAILED, "%.300s: %s", shown_path(walk), what);
}

static int
fail_errno(struct walk *walk, const char *what)
{
    return error_set(walk->err, FIND_E_FAILED, "cannot %s %.300s: %s", what,
                     shown_path(walk), strerror(errno));
}

/* Takes TEXT, even on failure. */
static int
append_text(char ***items, size_t *count, size_t *capacity, char *text)
{
    size_t wanted = *capacity == 0 ? FIRST_CAPACITY : 2 * *capacity;
    char **grown;

    if (text == NULL)
        return -ENOMEM;
    if (*count == *capacity) {
        grown = realloc(*items, wanted * sizeof *grown);
        if (grown == NULL) {
            free(text);
            return -ENOMEM;
        }
        *items = grown;
        *capacity = wanted;
    }
    (*items)[(*count)++] = text;
    return 0;
}

/* What WALK is at is a notebook. */
static int
add(struct walk *walk)
{
    struct found *found = walk->found;
    char *absolute;
    char **node;

    walk->notebooks++;
    absolute = realpath(walk->path, NULL);
    if (absolute == NULL && errno == ENOENT) /* a link to nothing, as an annex has them */
        absolute = strdup(walk->path);
    if (absolute == NULL)
        return errno == ENOMEM ? -ENOMEM : fail_errno(walk, "find");
    node = tsearch(absolute, &found->known, compare_texts);
    if (node == NULL || *node != absolute) {
        free(absolute);
        return node == NULL ? -ENOMEM : 0;
    }
    if (found->count == FIND_MAX)
        return error_set(walk->err, FIND_E_FAILED, "more than %d notebooks", FIND_MAX);
    return append_text(&found->paths, &found->count, &found->capacity,
                       strdup(walk->path));
}

/* Goes on to NAME in the folder that WALK is at. */
static int
descend(struct walk *walk, const char *name)
{
    size_t length = walk->length;
    const char *slash = length > 0 && walk->path[length - 1] != '/' ? "/" : "";
    int n =
        snprintf(walk->path + length, sizeof walk->path - length, "%s%s", slash, name);

    if (n < 0 || (size_t)n >= sizeof walk->path - length) {
        walk->path[length] = '\0';
        return fail(walk, "a path below it is too long");
    }
    walk->length += (size_t)n;
    return 0;
}

static void
ascend(struct walk *walk, size_t length)
{
    walk->length = length;
    walk->path[length] = '\0';
}

static bool
ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), wanted = strlen(end);

    return length >= wanted && strcmp(name + length - wanted, end) == 0;
}

static int
read_names(struct walk *walk, DIR *folder, struct names *names)
{
    const struct dirent *entry;
    int r;

    for (errno = 0; (entry = readdir(folder)) != NULL; errno = 0) {
        if (++walk->entries > FIND_ENTRIES_MAX)
            return fail(walk, "too many files are here and before");
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "node_modules") == 0)
            continue;
        r = append_text(&names->items, &names->count, &names->capacity,
                        strdup(entry->d_name));
        if (r < 0)
            return r;
    }
    if (errno != 0)
        return fail_errno(walk, "read");
    if (names->count > 0)
        qsort(names->items, names->count, sizeof *names->items, compare_items);
    return 0;
}

static int walk_folder(struct walk *walk, int fd, unsigned depth);

static int
walk_entry(struct walk *walk, int folder, const char *name, unsigned depth)
{
    struct stat status, target;
    int fd;

    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail_errno(walk, "look at");
    if (S_ISDIR(status.st_mode)) {
        if (depth == FIND_DEPTH_MAX)
            return fail(walk, "folders are nested too deeply");
        fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? fail_errno(walk, "open") : walk_folder(walk, fd, depth + 1);
    }
    if (!ends_with(name, SUFFIX) || ends_with(name, PENDING_SUFFIX))
        return 0;
    if (S_ISLNK(status.st_mode) && fstatat(folder, name, &target, 0) == 0)
        status = target;
    return S_ISREG(status.st_mode) || S_ISLNK(status.st_mode) ? add(walk) : 0;
}

/* Takes FD. */
static int
walk_folder(struct walk *walk, int fd, unsigned depth)
{
    CLEANUP(names_fini) struct names names = { 0 };
    size_t length = walk->length;
    struct stat status;
    DIR *folder;
    int r;

    if (depth > 1 && fstatat(fd, "pyvenv.cfg", &status, AT_SYMLINK_NOFOLLOW) == 0) {
        close(fd);
        return 0;
    }
    folder = fdopendir(fd);
    if (folder == NULL) {
        r = fail_errno(walk, "open");
        close(fd);
        return r;
    }
    r = read_names(walk, folder, &names);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        r = descend(walk, names.items[i]);
        if (r == 0)
            r = walk_entry(walk, fd, names.items[i], depth);
        if (r == 0)
            ascend(walk, length);
    }
    closedir(folder);
    return r;
}

/* PATH without "/" behind it, nothing in place of ".". */
static int
begin(struct walk *walk, const char *path)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0 || length >= sizeof walk->path)
        return error_set(walk->err, FIND_E_FAILED,
                         length == 0 ? "the path is empty" : "%.300s: it is too long",
                         path);
    if (length == 1 && path[0] == '.')
        length = 0;
    memcpy(walk->path, path, length);
    ascend(walk, length);
    return 0;
}

int
find_notebooks(struct found *found, const char *path, struct error *err)
{
    struct walk walk = { .found = found, .err = err };
    struct stat status;
    int fd, r = begin(&walk, path);

    if (r != 0)
        return r;
    if (stat(path, &status) < 0)
        return error_set(err, FIND_E_FAILED, "%.300s: %s", path, strerror(errno));
    if (S_ISREG(status.st_mode))
        return add(&walk);
    if (!S_ISDIR(status.st_mode))
        return error_set(err, FIND_E_FAILED, "%.300s: neither a file nor a folder", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, FIND_E_FAILED, "cannot open %.300s: %s", path,
                         strerror(errno));
    r = walk_folder(&walk, fd, 1);
    if (r == 0 && walk.notebooks == 0)
        return error_set(err, FIND_E_FAILED, "%.300s: there are no notebooks in it",
                         path);
    return r;
}

void
found_fini(struct found *found)
{
    for (size_t i = 0; i < found->count; i++)
        free(found->paths[i]);
    free(found->paths);
    tdestroy(found->known, free);
    *found = (struct found){ 0 };
}

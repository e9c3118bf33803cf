/* SPDX-License-Identifier: MIT */
/*
 * Going through directories that others change at the same time. A directory is entered
 * by an fd, from that of the one above, and never left by "..": whoever moves it takes
 * nobody along.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contexts/workspace_files_parts.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define USABLE 0700
#define LEVELS_MAX 16 /* of directories that are open while they are emptied */
#define NAMES_MAX 64 /* tries to find one that is not taken */
#define RENAME_NOREPLACE_FLAG 1U

static void
closedirp(DIR **directory)
{
    if (*directory != NULL)
        closedir(*directory);
}

static bool
is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

struct walk {
    struct workspace_listing *listing; /* borrowed */
    size_t max, room;
    struct buffer prefix; /* owned: of the directory under way, with its '/' */
};

/* Takes over the entry's path. -ENOMEM or 0. */
static int
add_entry(struct walk *walk, char *path, const struct workspace_file *file)
{
    struct workspace_listing *listing = walk->listing;

    if (path == NULL)
        return -ENOMEM;
    if (listing->count == walk->room) {
        size_t room = walk->room == 0 ? 64 : 2 * walk->room;
        struct workspace_entry *entries =
            reallocarray(listing->entries, room, sizeof *entries);

        if (entries == NULL) {
            free(path);
            return -ENOMEM;
        }
        listing->entries = entries;
        walk->room = room;
    }
    listing->entries[listing->count++] =
        (struct workspace_entry){ .path = path, .file = *file };
    return 0;
}

static char *
path_of(const struct walk *walk, const char *name)
{
    size_t length = strlen(name) + 1;
    char *path = malloc(walk->prefix.length + length);

    if (path == NULL)
        return NULL;
    if (walk->prefix.length > 0)
        memcpy(path, walk->prefix.data, walk->prefix.length);
    memcpy(path + walk->prefix.length, name, length);
    return path;
}

static int list_directory(struct walk *walk, int fd, unsigned depth);

/* What has gone since, or cannot be looked into, is passed over. */
static int
list_below(struct walk *walk, int fd, const char *name, unsigned depth)
{
    size_t length = walk->prefix.length;
    int below = workspace_files_open(fd, name, O_RDONLY | O_DIRECTORY, 0);
    int r;

    if (below == -EMFILE || below == -ENFILE || below == -ENOMEM)
        return below;
    if (below < 0)
        return 0;
    r = buffer_append_text(&walk->prefix, name);
    if (r == 0)
        r = buffer_append(&walk->prefix, "/", 1);
    if (r == 0)
        return list_directory(walk, below, depth);
    close(below);
    if (r == BUFFER_E_FULL) { /* no request could name it */
        walk->listing->truncated = true;
        walk->prefix.length = length;
        r = 0;
    }
    return r;
}

static int
list_entry(struct walk *walk, int fd, const char *name, unsigned depth)
{
    size_t length = walk->prefix.length;
    struct workspace_file file;
    struct stat st;
    int r;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    workspace_file_from(&file, &st);
    r = add_entry(walk, path_of(walk, name), &file);
    if (r == 0 && file.type == WORKSPACE_FILE_DIRECTORY && depth > 1)
        r = list_below(walk, fd, name, depth - 1);
    walk->prefix.length = length;
    return r;
}

/* Takes FD. The recursion is as deep as DEPTH, which is bounded. */
static int
list_directory(struct walk *walk, int fd, unsigned depth)
{
    CLEANUP(closedirp) DIR *directory = fdopendir(fd);
    const struct dirent *entry;
    int r = 0;

    if (directory == NULL) {
        r = -errno;
        close(fd);
        return r;
    }
    while (r == 0 && (entry = readdir(directory)) != NULL) {
        if (is_dots(entry->d_name))
            continue;
        if (walk->listing->count == walk->max) {
            walk->listing->truncated = true;
            break;
        }
        r = list_entry(walk, fd, entry->d_name, depth);
    }
    return r;
}

static int
compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct workspace_entry *)a)->path,
                  ((const struct workspace_entry *)b)->path);
}

int
workspace_files_list(int folder, const struct workspace_list *wish,
                     struct workspace_listing *ret, struct error *err)
{
    CLEANUP(workspace_listing_fini) struct workspace_listing listing = { 0 };
    struct walk walk = { .listing = &listing, .max = wish->entries_max };
    unsigned depth = wish->depth == 0 ? 1 : wish->depth;
    struct workspace_path path;
    int fd, r = workspace_path_init(&path, wish->path, err);

    if (r != 0)
        return r;
    if (walk.max == 0 || walk.max > WORKSPACE_FILES_ENTRIES_MAX)
        walk.max = WORKSPACE_FILES_ENTRIES_MAX;
    if (depth > WORKSPACE_FILES_DEPTH_MAX)
        depth = WORKSPACE_FILES_DEPTH_MAX;
    fd = workspace_files_open(folder, path.text, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return workspace_files_result(fd, &path, err);
    buffer_init(&walk.prefix, WORKSPACE_FILES_PATH_BYTES_MAX);
    r = list_directory(&walk, fd, depth);
    buffer_fini(&walk.prefix);
    if (r != 0)
        return workspace_files_result(r, &path, err);
    if (listing.count > 0)
        qsort(listing.entries, listing.count, sizeof *listing.entries, compare_entries);
    *ret = listing;
    listing = (struct workspace_listing){ 0 };
    return 0;
}

void
workspace_listing_fini(struct workspace_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->entries[i].path);
    free(listing->entries);
    *listing = (struct workspace_listing){ 0 };
}

struct removal {
    unsigned left; /* entries that may still be worked on */
    int top; /* borrowed: the directory that is removed with all that is in it */
    unsigned renamed; /* names given so far */
    int failure; /* the first that was passed over: -errno */
};

static void
note_failure(struct removal *removal, int r)
{
    if (removal->failure == 0)
        removal->failure = r;
}

/* For an ordinary user modes count, and code may have taken its own directory's rights:
 * by the fd alone, which is no link. */
static int
open_unlocked(int parent, const char *name)
{
    CLEANUP(close_fdp)
    int path = workspace_files_open(parent, name, O_PATH | O_DIRECTORY, 0);
    char link[32];
    struct stat st;

    if (path < 0)
        return path;
    snprintf(link, sizeof link, "/proc/self/fd/%d", path);
    if (fstat(path, &st) < 0 || chmod(link, (st.st_mode & 07777) | USABLE) < 0)
        return -errno;
    return workspace_files_open(parent, name, O_RDONLY | O_DIRECTORY, 0);
}

static int
open_to_empty(int parent, const char *name)
{
    int fd = workspace_files_open(parent, name, O_RDONLY | O_DIRECTORY, 0);
    struct stat st;

    if (fd == -EACCES)
        return open_unlocked(parent, name);
    if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & USABLE) != USABLE)
        (void)fchmod(fd, (st.st_mode & 07777) | USABLE); /* else the removal fails */
    return fd;
}

/* What is too deep for us is moved up, to be found there again. */
static int
move_up(struct removal *removal, int parent, const char *name)
{
    CLEANUP(close_fdp) int unlocked = open_to_empty(parent, name);

    (void)unlocked; /* opened for what that does to its mode */
    for (int i = 0; i < NAMES_MAX; i++) {
        char fresh[32];

        snprintf(fresh, sizeof fresh, ".removed-%u", removal->renamed++);
        if (syscall(SYS_renameat2, parent, name, removal->top, fresh,
                    RENAME_NOREPLACE_FLAG) == 0)
            return 0;
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

static int empty_directory(struct removal *removal, int fd, unsigned levels);

/* 0, or -errno when it is still there. */
static int
remove_directory(struct removal *removal, int parent, const char *name, unsigned levels)
{
    int fd, r;

    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return -errno;
    if (levels == 0)
        return move_up(removal, parent, name);
    fd = open_to_empty(parent, name);
    if (fd < 0)
        return fd;
    r = empty_directory(removal, fd, levels - 1);
    if (r < 0)
        return r;
    return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int
remove_entry(struct removal *removal, int parent, const char *name, unsigned levels)
{
    if (unlinkat(parent, name, 0) == 0)
        return 0;
    if (errno != EISDIR)
        return -errno;
    return remove_directory(removal, parent, name, levels);
}

/* Takes FD. -EINPROGRESS: there is more than may be worked on; other failures are passed
 * over, for what can go shall go. */
static int
empty_directory(struct removal *removal, int fd, unsigned levels)
{
    CLEANUP(closedirp) DIR *directory = fdopendir(fd);
    const struct dirent *entry;
    int r = 0;

    if (directory == NULL) {
        r = -errno;
        close(fd);
        return r;
    }
    while (r == 0 && (entry = readdir(directory)) != NULL) {
        if (is_dots(entry->d_name))
            continue;
        if (removal->left == 0)
            return -EINPROGRESS;
        removal->left--;
        r = remove_entry(removal, fd, entry->d_name, levels);
        if (r < 0 && r != -EINPROGRESS && r != -ENOENT)
            note_failure(removal, r);
        if (r != -EINPROGRESS)
            r = 0;
    }
    return r;
}

/* Once more for what was moved up, behind the place to which it had been read. */
static int
remove_tree(int parent, const char *name, int *ret_failure)
{
    struct removal removal = { .left = WORKSPACE_FILES_ENTRIES_MAX, .top = -1 };
    int r;

    do {
        unsigned renamed = removal.renamed;
        int fd = open_to_empty(parent, name);

        if (fd < 0)
            return fd;
        removal.top = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (removal.top < 0) {
            r = -errno;
            close(fd);
            return r;
        }
        removal.failure = 0;
        r = empty_directory(&removal, fd, LEVELS_MAX);
        close(removal.top);
        if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
            r = -errno;
        if (r == -ENOTEMPTY && removal.renamed == renamed)
            break; /* somebody adds, or something stays */
    } while (r == -ENOTEMPTY);
    *ret_failure = removal.failure;
    return r;
}

int
workspace_files_remove(int folder, struct slice text, bool recursive, struct error *err)
{
    CLEANUP(close_fdp) int parent = -1;
    struct workspace_path path;
    int failure = 0, r = workspace_path_init(&path, text, err);

    if (r != 0)
        return r;
    if (path.text[0] == '\0')
        return error_set(err, WORKSPACE_FILES_E_INVALID,
                         "the workspace itself cannot be removed: name what is in it");
    r = workspace_files_open_parent(folder, &path, false, &parent);
    if (r == 0 && unlinkat(parent, path.name, 0) < 0)
        r = -errno;
    if (r == -EISDIR) {
        r = unlinkat(parent, path.name, AT_REMOVEDIR) < 0 ? -errno : 0;
        if (r == -ENOTEMPTY && recursive)
            r = remove_tree(parent, path.name, &failure);
    }
    if (r == -EINPROGRESS)
        return error_set(err, WORKSPACE_FILES_E_UNFINISHED,
                         "%.300s: more than %d entries are not removed at once: part of "
                         "it is gone, ask again",
                         path.text, WORKSPACE_FILES_ENTRIES_MAX);
    if (r == -ENOTEMPTY && failure != 0)
        r = failure;
    return workspace_files_result(r, &path, err);
}

/* SPDX-License-Identifier: MIT */
/*
 * workspace_files - the server's hands in a workspace
 *
 * Code in a context may change the same files at the same time, to lead the server
 * astray: links, devices and FIFOs are not followed or opened, no path leaves the folder,
 * every call is bounded, and none waits for anybody. What such code does meanwhile is
 * seen or not, and harms no other.
 *
 * Paths are relative to the folder, or begin with WORKSPACE_PATH; "." and empty parts
 * are passed over, ".." is refused. In texts for a person and in listings names are as
 * they are on disk: any bytes but NUL and '/'.
 */
#ifndef CONTEXTS_WORKSPACE_FILES_H
#define CONTEXTS_WORKSPACE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"

struct error;

#define WORKSPACE_FILES_PATH_BYTES_MAX 4095
#define WORKSPACE_FILES_DEPTH_MAX 64 /* parts of a path */
#define WORKSPACE_FILES_READ_BYTES_MAX ((size_t)32 * 1024 * 1024) /* in one call */
#define WORKSPACE_FILES_ENTRIES_MAX 10000 /* looked at in one call */

/* Positive results of all functions, with a sentence in ERR. */
enum {
    WORKSPACE_FILES_E_INVALID = 1, /* the path, or the wish */
    WORKSPACE_FILES_E_NOT_FOUND,
    WORKSPACE_FILES_E_EXISTS,
    WORKSPACE_FILES_E_IS_DIRECTORY, /* where a file is wanted */
    WORKSPACE_FILES_E_NOT_DIRECTORY, /* a part of the path, or what was to be listed */
    WORKSPACE_FILES_E_NOT_FILE, /* a link, FIFO, socket or device */
    WORKSPACE_FILES_E_NOT_EMPTY,
    WORKSPACE_FILES_E_TOO_LARGE, /* a file or a wish */
    WORKSPACE_FILES_E_NO_SPACE, /* the workspace's bytes or inodes are used up */
    WORKSPACE_FILES_E_DENIED, /* the code in the context has forbidden it, by a mode */
    WORKSPACE_FILES_E_UNFINISHED /* more entries than one call works on: call again */
};

/* "not_found", ...; for E > 0 of the above. */
const char *workspace_files_result_name(int e);

enum workspace_file_type {
    WORKSPACE_FILE_REGULAR,
    WORKSPACE_FILE_DIRECTORY,
    WORKSPACE_FILE_LINK,
    WORKSPACE_FILE_OTHER /* FIFO, socket, device */
};

struct workspace_file {
    enum workspace_file_type type;
    uint64_t bytes; /* of a regular file */
    int64_t modified_ms; /* since 1970 */
    unsigned mode; /* permissions: 0 to 07777 */
};

enum workspace_write_how {
    WORKSPACE_WRITE_REPLACE, /* the whole file becomes BYTES */
    WORKSPACE_WRITE_NEW, /* it must not exist */
    WORKSPACE_WRITE_APPEND,
    WORKSPACE_WRITE_AT /* at OFFSET; what lies between is zeros */
};

struct workspace_write {
    struct slice path;
    struct slice bytes;
    enum workspace_write_how how;
    uint64_t offset; /* WRITE_AT */
    bool make_parents;
};

/* A new file has mode 0644, whatever the umask. *RET (may be NULL) is the file as it was
 * when it was written. When there is no space, part may have been written; a file that
 * REPLACE or NEW was to fill is left with that part. */
int workspace_files_write(int folder, const struct workspace_write *wish,
                          struct workspace_file *ret, struct error *err);

/* Appends to RET (owned by the caller) what the file has from OFFSET on, LENGTH bytes at
 * most: fewer at its end. LENGTH beyond READ_BYTES_MAX or RET's limit is TOO_LARGE.
 * *RET_FILE (may be NULL): the file as it was opened, its whole size. */
int workspace_files_read(int folder, struct slice text, uint64_t offset, uint64_t length,
                         struct buffer *ret, struct workspace_file *ret_file,
                         struct error *err);

/* What is at PATH; links are told of, not followed. */
int workspace_files_look(int folder, struct slice text, struct workspace_file *ret,
                         struct error *err);

struct workspace_entry {
    char *path; /* owned: relative to the listed directory; bytes, not always UTF-8 */
    struct workspace_file file;
};

struct workspace_listing {
    struct workspace_entry *entries; /* owned */
    size_t count;
    bool truncated; /* there is more than was asked for, or than may be looked at */
};

struct workspace_list {
    struct slice path; /* empty: the folder itself */
    unsigned depth; /* 1: the directory's own entries; 0 is 1 */
    size_t entries_max; /* at most ENTRIES_MAX; 0: that */
};

/* In the order of strcmp. What cannot be looked into is listed, and passed over. */
int workspace_files_list(int folder, const struct workspace_list *wish,
                         struct workspace_listing *ret, struct error *err);
void workspace_listing_fini(struct workspace_listing *listing);

/* Removes a file, a link (itself), anything but a directory; a directory if it is empty,
 * or, RECURSIVE, with all that is in it. Not the folder itself. UNFINISHED: removed in
 * part. */
int workspace_files_remove(int folder, struct slice text, bool recursive,
                           struct error *err);

/* Mode 0755, whatever the umask. EXISTS when there is something already; with
 * MAKE_PARENTS a directory that is there will do. */
int workspace_files_make_directory(int folder, struct slice text, bool make_parents,
                                   struct error *err);

#endif

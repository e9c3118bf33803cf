/* SPDX-License-Identifier: MIT */
/*
 * workspace_files_parts - what the files of workspace_files share
 */
#ifndef CONTEXTS_WORKSPACE_FILES_PARTS_H
#define CONTEXTS_WORKSPACE_FILES_PARTS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "contexts/workspace_files.h"

/* A path that was checked: plain parts with one '/' between them; empty: the folder. */
struct workspace_path {
    char text[WORKSPACE_FILES_PATH_BYTES_MAX + 1];
    char *name; /* its last part, in TEXT */
};

int workspace_path_init(struct workspace_path *ret, struct slice from, struct error *err);

/* Opens PATH below AT: no link is followed, nothing is waited for, no terminal is taken.
 * Returns the fd, or -errno. MODE: of what O_CREAT makes. */
int workspace_files_open(int at, const char *path, int flags, mode_t mode);

/* Opens the directory that PATH's last part is in; *ret is the caller's. 0 or -errno. */
int workspace_files_open_parent(int folder, const struct workspace_path *path,
                                bool make_parents, int *ret);

/* The positive result for -errno, or -errno if that is a failure of our own; ERR gets
 * PATH and a sentence. */
int workspace_files_result(int r, const struct workspace_path *path, struct error *err);

void workspace_file_from(struct workspace_file *ret, const struct stat *from);

#endif

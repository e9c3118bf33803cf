/* SPDX-License-Identifier: MIT */
/*
 * file - small files as a whole, and the folders that Jupyter and we keep them in
 */
#ifndef KERNEL_FILE_H
#define KERNEL_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "protocol/buffer.h"

enum {
    FILE_E_FAILED = 1, /* see ERR, which names the file */
    FILE_E_MISSING /* file_server_folder alone: it is not there */
};

struct error;

/* Appends what PATH holds, at most RET's limit. 0, FILE_E_FAILED, -ENOMEM. */
int file_read(const char *path, struct buffer *ret, struct error *err);

/* The same of a regular file: anything else, such as a pipe, fails at once. */
int file_read_regular(const char *path, struct buffer *ret, struct error *err);

/* Replaces PATH by a file with these bytes: readers see the old or the new, never a
 * part. 0 or FILE_E_FAILED. */
int file_write(const char *path, struct slice data, mode_t mode, struct error *err);

/* Makes PATH and its parents, each new one with MODE. 0 or FILE_E_FAILED. */
int file_make_directories(const char *path, mode_t mode, struct error *err);

/* Joins two parts with "/". 0 or FILE_E_FAILED: longer than PATH_MAX. */
int file_join(char ret[PATH_MAX], const char *folder, const char *name,
              struct error *err);

/* This program. 0 or FILE_E_FAILED. */
int file_executable(char ret[PATH_MAX], struct error *err);

/* Where the runtimes are: $CELLWALL_RUNTIMES, "runtimes" beside the program, or
 * ../share/cellwall/runtimes from there. 0 or FILE_E_FAILED. */
int file_runtimes(char ret[PATH_MAX], struct error *err);

/* Jupyter's folders of this user: $JUPYTER_DATA_DIR, $XDG_DATA_HOME/jupyter or
 * ~/.local/share/jupyter; $JUPYTER_RUNTIME_DIR or "runtime" in the first. They need not
 * exist. 0 or FILE_E_FAILED. */
int file_jupyter_data(char ret[PATH_MAX], struct error *err);
int file_jupyter_runtime(char ret[PATH_MAX], struct error *err);

/* The folder of this user's server: "cellwall" in $XDG_RUNTIME_DIR, if that is set and
 * this user's, else cellwall-UID in $TMPDIR or /tmp. MAKE: it is made, with mode 0700, if
 * it is not there. 0, FILE_E_FAILED: it is not there, not this user's, or open to others.
 */
int file_server_folder(char ret[PATH_MAX], bool make, struct error *err);

#endif

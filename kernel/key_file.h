/* SPDX-License-Identifier: MIT */
/*
 * key_file - files that decide who may do what: whose they are, and what is in them
 */
#ifndef KERNEL_KEY_FILE_H
#define KERNEL_KEY_FILE_H

#include <sys/stat.h>

#include "protocol/buffer.h"

enum { KEY_FILE_E_FAILED = 1 }; /* see ERR, which names the file */

struct error;

/* The file FD, which PATH names, is a regular one of this user or root, and has none of
 * the FORBIDDEN mode bits. RET is set in any case but < 0. KEY_FILE_E_FAILED, < 0. */
int key_file_check(int fd, const char *path, mode_t forbidden, struct stat *ret,
                   struct error *err);

/* Appends what can be read from FD, at most RET's limit. KEY_FILE_E_FAILED, < 0. */
int key_file_read(int fd, const char *path, struct buffer *ret, struct error *err);

/* Appends TEXT to the file FD. KEY_FILE_E_FAILED. */
int key_file_write(int fd, const char *path, struct slice text, struct error *err);

/* Makes the file PATH with mode 0600 and TEXT in it; one that is there already stays as
 * it is. KEY_FILE_E_FAILED. */
int key_file_create(const char *path, struct slice text, struct error *err);

#endif

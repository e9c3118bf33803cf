/* SPDX-License-Identifier: MIT */
/*
 * source - the code that a command line names
 */
#ifndef KERNEL_CLI_SOURCE_H
#define KERNEL_CLI_SOURCE_H

#include "protocol/buffer.h"

#define SOURCE_BYTES_MAX ((size_t)32 * 1024 * 1024)

enum { SOURCE_E_FAILED = 1 }; /* cannot be read, or is not UTF-8; see ERR */

struct error;

/* The language that a file's name tells, or NULL. Borrowed. */
const char *source_language(const char *path);

/* Appends the file PATH, or stdin for "-", without a byte order mark. */
int source_read(const char *path, struct buffer *ret, struct error *err);

#endif

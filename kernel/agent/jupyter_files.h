/* SPDX-License-Identifier: MIT */
/*
 * jupyter_files - sockets and connection files of the Jupyter kernels in front of
 * contexts
 */
#ifndef KERNEL_AGENT_JUPYTER_FILES_H
#define KERNEL_AGENT_JUPYTER_FILES_H

#include <limits.h>

#include "protocol/buffer.h"

#define JUPYTER_FILES_NAME_BYTES_MAX 64 /* of a context's name in a file's name */

enum { JUPYTER_FILES_E_FAILED = 1 }; /* see ERR, which names the file */

struct error;

/* "jupyter" in file_server_folder, for this user alone; made if need be. 0 or
 * JUPYTER_FILES_E_FAILED. */
int jupyter_files_folder(char ret[PATH_MAX], struct error *err);

/* Writes DATA to kernel-cellwall-NAME-CHANCE.json in FOLDER (made if need be), with mode
 * 0600; characters of NAME that a file's name had better not have become "_". CHANCE:
 * never the same again. Never replaces a file; readers that look while it is written find
 * no JSON. 0, JUPYTER_FILES_E_FAILED, -ENOMEM. */
int jupyter_files_write(char ret[PATH_MAX], const char *folder, const char *name,
                        const char *chance, struct slice data, struct error *err);

/* Removes what a server that was killed has left: sockets, and connection files that name
 * them, in jupyter_files_folder and in CONNECTION_DIR (may be NULL). Only for the one
 * server that holds file_server_folder, before it opens any. 0, JUPYTER_FILES_E_FAILED,
 * < 0. */
int jupyter_files_sweep(const char *connection_dir, struct error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * mounts - which paths of the host a kernel needs in its sandbox, as far as its
 * kernelspec tells
 */
#ifndef RUNTIMES_JUPYTER_MOUNTS_H
#define RUNTIMES_JUPYTER_MOUNTS_H

#include <jansson.h>

struct kernel_json;

/* The kernelspec's folder, the installation of its program, what its command and its
 * search paths name, and what its metadata asks for; nothing of the system's, which every
 * sandbox shows. The caller owns *ret, an array of strings. 0 or -ENOMEM. */
int mounts_find(json_t **ret, const struct kernel_json *spec);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernelspec - the folder by which Jupyter finds a kernel
 */
#ifndef KERNEL_KERNELSPEC_H
#define KERNEL_KERNELSPEC_H

#include <limits.h>

#include "protocol/buffer.h"

#define KERNELSPEC_BYTES_MAX ((size_t)512 * 1024) /* of any file in it */
#define KERNELSPEC_VERSION "5.5.0" /* of the Jupyter protocol, as SemVer */

enum { KERNELSPEC_E_FAILED = 1 }; /* see ERR */

struct environment;
struct error;
struct runtime;

/* Plain data, all borrowed. */
struct kernelspec {
    const struct runtime *runtime;
    const struct environment *environment; /* kept as environment.json */
    const char *program; /* absolute path of cellwall */
    const char *network; /* "none" or "host" */
    const char *tier; /* "full" or "nested", or NULL */
    const char *profile, *limits; /* as "cellwall kernel" takes them; NULL: its own */
    const char *runtimes; /* what CELLWALL_RUNTIMES shall be, or NULL */
};

/* Appends kernel.json. 0, BUFFER_E_FULL, -ENOMEM. */
int kernelspec_append(const struct kernelspec *spec, struct buffer *ret);

/* Writes KERNELS/cellwall-NAME with kernel.json, environment.json and the runtime's
 * logos, in place of one that is there: Jupyter sees the old or the new, never a part.
 * RET gets the folder's path. 0, KERNELSPEC_E_FAILED, -ENOMEM. */
int kernelspec_write(const struct kernelspec *spec, const char *kernels,
                     char ret[PATH_MAX], struct error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * probe - asks an interpreter what it is, before any context exists
 *
 * A runtime may name a command that prints one JSON object: {"executable", "version",
 * "language_info", "mounts", "banner", "error", ...}. For a runtime that serves many
 * languages the answer has "name", "display_name", "language" and "logos" (a folder) of
 * the interpreter, too. install-kernelspec keeps the answer beside the kernelspec, so
 * that a kernel starts without asking again.
 */
#ifndef KERNEL_PROBE_H
#define KERNEL_PROBE_H

#include <jansson.h>

#include "protocol/buffer.h"

#define PROBE_TIMEOUT_MS 20000
#define PROBE_BYTES_MAX ((size_t)256 * 1024) /* of its output, and of a kept file */
#define PROBE_MOUNTS_MAX 200

enum {
    PROBE_E_FAILED = 1, /* the interpreter cannot be used, or not be found; see ERR */
    PROBE_E_STALE /* the kept file is damaged, or of another runtime or interpreter */
};

struct error;
struct runtime;

/* What is known of a runtime on this machine. Plain data; strings are owned by the
 * document unless noted. */
struct environment {
    char *interpreter; /* owned: absolute path, symbolic links kept, as the probe tells
                        * it, or as it was found; NULL: needs none */
    const char *name; /* the interpreter's, else the runtime's */
    const char *display_name, *language; /* likewise */
    const char *logos; /* a folder, or NULL: the runtime's */
    const char *prefix; /* of the interpreter's installation, or NULL */
    const char *banner; /* or NULL */
    const char **mounts; /* owned array, NULL-terminated */
    const json_t *language_info; /* borrowed from the document or the runtime */
    json_t *document; /* owned: what the probe said, and "cellwall": our own notes */
};

/* PYTHON if it is meant for RUNTIME, where an option names it for several runtimes at
 * once: for those of that language. Else NULL. */
const char *environment_python(const struct runtime *runtime, const char *python);

/* Runs RUNTIME's probe (borrowed, must outlive *ret), if it has one, for interpreter
 * PYTHON (NULL: the runtime's default). Blocks up to PROBE_TIMEOUT_MS and makes a child:
 * call it before there are sockets and keys. 0, PROBE_E_FAILED, < 0. */
int environment_probe(struct environment **ret, const struct runtime *runtime,
                      const char *python, struct error *err);

/* Reads what environment_append wrote. 0; PROBE_E_STALE: probe again; < 0. */
int environment_load(struct environment **ret, struct slice text,
                     const struct runtime *runtime, const char *python,
                     struct error *err);

int environment_append(const struct environment *environment, struct buffer *ret);

/* NULL is allowed. */
void environment_destroy(struct environment *environment);
void environment_destroyp(struct environment **environment);

#endif

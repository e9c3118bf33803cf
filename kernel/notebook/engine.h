/* SPDX-License-Identifier: MIT */
/*
 * engine - which interpreter runs a notebook
 *
 * Looks at runtimes and asks interpreters what they are when the first notebook needs
 * them, which blocks: ask before anything else goes on.
 */
#ifndef KERNEL_NOTEBOOK_ENGINE_H
#define KERNEL_NOTEBOOK_ENGINE_H

#include <jansson.h>

#include "protocol/cleanup.h"

enum { ENGINE_E_NONE = 1 }; /* there is none; see ERR */

struct engine; /* opaque */
struct error;
struct language;

/* PYTHON: the interpreter of Python, NULL: as for "cellwall serve". PRELOAD: what a
 * running server's zygotes import, see settings.h, or NULL. Both are borrowed. */
int engine_create(struct engine **ret, const char *python, json_t *preload,
                  struct error *err);
void engine_destroy(struct engine *engine); /* NULL is allowed */
CLEANUP_DEFINE(struct engine, engine_destroy);

/* Plain data; each may be NULL. */
struct engine_wish {
    const char *language; /* Jupyter's name: whatever the kernelspec is */
    const char *kernelspec; /* as the notebook names it */
};

/* Of our own runtimes one for the language; else the kernelspec's kernel, behind the
 * bridge. *RET is borrowed as long as the engine. */
int engine_find(struct engine *engine, const struct engine_wish *wish,
                const struct language **ret, struct error *err);

/* The Jupyter kernel that is installed as KERNELSPEC, behind the bridge, whatever
 * runtimes there are for its language. */
int engine_find_kernelspec(struct engine *engine, const char *kernelspec,
                           const struct language **ret, struct error *err);

#endif

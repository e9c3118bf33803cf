/* SPDX-License-Identifier: MIT */
/*
 * runtime - a language's descriptor, runtime.json, as checked data
 */
#ifndef CONTEXTS_RUNTIME_H
#define CONTEXTS_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct json_t;

/* Open, plain data; strings owned by the runtime. In argv and mounts "{interpreter}"
 * stands for the interpreter's path and "{runtime}" for the runtime's folder. */
struct runtime {
    char *name; /* "python" */
    char *display_name; /* "Python" */
    char *language; /* "python" */
    char *folder; /* absolute path */
    char **argv; /* NULL-terminated */
    char **env; /* NULL-terminated "NAME=value", added to the allow-listed environment */
    char **mounts; /* NULL-terminated paths, read-only */
    char *interpreter; /* default: a program name, looked up in PATH; NULL: none needed */
    struct json_t *language_info; /* Jupyter's, without what is probed */
    struct json_t *document; /* all of runtime.json */
};

enum { RUNTIME_E_NOT_FOUND = 1, RUNTIME_E_INVALID };

/* Reads FOLDER/NAME/runtime.json. The caller owns *ret. */
int runtime_load(struct runtime **ret, const char *folder, const char *name,
                 struct error *err);
void runtime_destroy(struct runtime *runtime); /* NULL is allowed */

#endif

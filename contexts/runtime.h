/* SPDX-License-Identifier: MIT */
/*
 * runtime - a language's descriptor, runtime.json, as checked data
 *
 * A runtime is a folder with a runner and this object:
 *
 *     name           string: the folder's name
 *     display_name   string: for a person, "Python"
 *     language       string: Jupyter's name of it, "python"
 *     argv           array of strings: the runner's command inside the sandbox
 *     env            object of strings, or nothing: on top of the allow-listed variables
 *     mounts         array of strings, or nothing: more paths, read-only
 *     interpreter    string, null or nothing: the default program, looked up in PATH
 *     interpreters   array of strings, or nothing: an interpreter is no program, but
 * found by these patterns, see interpreters.h; there is no default then spawner
 * "launcher": each runner is started by argv; "zygote": by its fork, where there can be
 * one zygote         array of strings, or nothing: the command of the zygote, a process
 *                    that has the language ready and forks runners, for that spawner
 *     interrupt_mode "message" or "signal", or nothing ("message"): Jupyter's
 *     language_info  object: Jupyter's, as far as it is known without the interpreter
 *     preload        array of strings, or nothing: what a zygote imports ahead
 *     features       object, or nothing: the runner's own
 *     probe          array of strings, null or nothing: a command for the host
 *
 * In argv, zygote, env, mounts and probe "{interpreter}" stands for the interpreter's
 * path and "{runtime}" for the runtime's folder. Other members are refused. Probe prints
 * what an interpreter is and needs, as a JSON object.
 */
#ifndef CONTEXTS_RUNTIME_H
#define CONTEXTS_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct json_t;

#define RUNTIME_NAME_BYTES_MAX 64
#define RUNTIME_FILE_BYTES_MAX ((size_t)1024 * 1024)
#define RUNTIME_STRINGS_MAX 256 /* of each array, and of env */

/* Open, plain data; strings owned by the runtime. Arrays are never NULL unless noted. */
struct runtime {
    char *name; /* "python" */
    char *display_name; /* "Python" */
    char *language; /* "python" */
    char *folder; /* absolute path */
    char **argv; /* NULL-terminated */
    char **env; /* NULL-terminated "NAME=value", added to the allow-listed environment */
    char **mounts; /* NULL-terminated paths, read-only */
    char **zygote; /* NULL-terminated argv; NULL: each runner is started by argv */
    char **preload; /* NULL-terminated names of what the zygote imports ahead */
    char **probe; /* NULL-terminated argv; NULL: there is nothing to ask */
    char *interpreter; /* default: a program name, looked up in PATH; NULL: none needed */
    char **interpreters; /* NULL-terminated patterns; NULL: they are programs */
    struct json_t *language_info; /* Jupyter's, without what is probed */
    struct json_t *document; /* all of runtime.json */
};

enum { RUNTIME_E_NOT_FOUND = 1, RUNTIME_E_INVALID };

/* Reads FOLDER/NAME/runtime.json. The caller owns *ret. */
int runtime_load(struct runtime **ret, const char *folder, const char *name,
                 struct error *err);
void runtime_destroy(struct runtime *runtime); /* NULL is allowed */
void runtime_destroyp(struct runtime **runtime);

/* NAMES: an array of strings, in place of what runtime.json says. RUNTIME_E_INVALID. */
int runtime_set_preload(struct runtime *runtime, const struct json_t *names,
                        struct error *err);

/* True when it needs one: a program, or what its patterns find. */
bool runtime_takes_interpreter(const struct runtime *runtime);

/* The absolute path, links kept, of NAMED or (NULL) of the default: a name without a
 * slash is looked up in PATH, or by the runtime's patterns, others from the working
 * directory. The caller frees *ret; it is NULL for a runtime that needs none.
 * RUNTIME_E_NOT_FOUND, also when NAMED is not wanted. */
int runtime_find_interpreter(char **ret, const struct runtime *runtime, const char *named,
                             struct error *err);

/* TEXT with its placeholders replaced; the caller frees *ret. RUNTIME_E_INVALID: it asks
 * for an INTERPRETER, which is NULL. */
int runtime_expand(char **ret, const struct runtime *runtime, const char *interpreter,
                   const char *text, struct error *err);

#endif

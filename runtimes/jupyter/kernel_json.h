/* SPDX-License-Identifier: MIT */
/*
 * kernel_json - an installed kernelspec, kernel.json, as checked data
 *
 * The file comes from whoever made the kernel: its size, depth and lists are bounded, and
 * what it lacks is told in words for a person. Members that we do not know are ignored,
 * as Jupyter does; ours are in metadata.cellwall:
 *
 *     mounts          array of strings: more paths, read-only; "~/" is the home folder
 *     transport       "ipc" (the default) or "tcp", for kernels that know no other
 *     start_timeout_s integer: how long to wait for the kernel's first answer
 */
#ifndef RUNTIMES_JUPYTER_KERNEL_JSON_H
#define RUNTIMES_JUPYTER_KERNEL_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "protocol/buffer.h"

#define KERNEL_JSON_BYTES_MAX ((size_t)256 * 1024)
#define KERNEL_JSON_WORDS_MAX 256 /* of argv, and of env */
#define KERNEL_JSON_START_S 55 /* within what a context may take */

enum { KERNEL_JSON_E_INVALID = 1 }; /* see ERR */

struct error;

/* Plain data; strings are borrowed from the document unless noted. */
struct kernel_json {
    char *path; /* owned: of the file */
    char *folder; /* owned: where it is, {resource_dir} */
    char *name; /* owned: the folder's name */
    char *prefix; /* owned: P of P/share/jupyter/kernels/NAME, or NULL */
    char *program; /* owned: absolute path of argv[0] */
    const json_t *argv, *env; /* not empty; ENV may be NULL */
    const char *display_name, *language;
    const json_t *mounts; /* of metadata.cellwall, or NULL */
    bool interrupt_by_message; /* else by SIGINT */
    bool tcp; /* else ipc */
    int start_s;
    json_t *document; /* owned */
};

/* Reads PATH and finds its program in the prefix's bin or in PATH. The caller owns *ret.
 * 0, KERNEL_JSON_E_INVALID, < 0. */
int kernel_json_load(struct kernel_json **ret, const char *path, struct error *err);

/* As kernel_json_load from TEXT; the program is not looked for. For tests. */
int kernel_json_parse(struct kernel_json **ret, const char *path, struct slice text,
                      struct error *err);
void kernel_json_destroy(struct kernel_json *spec); /* NULL is allowed */
void kernel_json_destroyp(struct kernel_json **spec);

/* A NULL-terminated command with its templates filled in; free with
 * kernel_json_free_words. 0 or -ENOMEM. */
int kernel_json_command(char ***ret, const struct kernel_json *spec,
                        const char *connection_file);

/* The environment of this process with the kernelspec's variables on top. 0 or -ENOMEM.
 */
int kernel_json_environment(char ***ret, const struct kernel_json *spec);
void kernel_json_free_words(char **words); /* NULL is allowed */
void kernel_json_free_wordsp(char ***words);

#endif

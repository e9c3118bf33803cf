/* SPDX-License-Identifier: MIT */
/*
 * folder - a temporary folder with a runtime in it, for tests that read and write files
 */
#ifndef TESTS_KERNEL_FOLDER_H
#define TESTS_KERNEL_FOLDER_H

#include <limits.h>

struct runtime;

struct folder {
    char path[PATH_MAX];
    struct runtime *runtime; /* owned: "toy", whose interpreter is a shell script */
    char interpreter[PATH_MAX];
};

/* Makes PATH/toy/runtime.json, and an interpreter that prints ANSWER when it is probed.
 */
void folder_init(struct folder *folder, const char *answer);

/* Writes NAME (a path below the folder). */
void folder_put(const struct folder *folder, const char *name, const char *text,
                unsigned mode);

/* The text of NAME; the caller frees it. Fails the test when it is not there. */
char *folder_get(const struct folder *folder, const char *name);

/* Removes everything. */
void folder_fini(struct folder *folder);

#endif

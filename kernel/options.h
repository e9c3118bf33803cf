/* SPDX-License-Identifier: MIT */
/*
 * options - command lines, by table
 *
 * A command describes its options as rows; parsing and the OPTIONS part of its help come
 * from the same rows. Nothing is copied: values are borrowed from argv.
 */
#ifndef KERNEL_OPTIONS_H
#define KERNEL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define OPTION_LIST_MAX 64

enum option_kind {
    OPTION_FLAG, /* target: bool */
    OPTION_TEXT, /* target: const char * */
    OPTION_CHOICE, /* target: const char *, one of CHOICES */
    OPTION_LIST, /* target: struct option_list, one item each time */
    OPTION_WORDS, /* target: struct option_list: all that is not an option, "-" too; at
                     most one such row, and what follows "--" goes there as it is */
    OPTION_PATHS /* target: struct option_paths: likewise, as many as there are */
};

struct option_list {
    const char *items[OPTION_LIST_MAX];
    size_t count;
};

struct option_paths {
    const char **items; /* owned */
    size_t count;
};

void option_paths_fini(struct option_paths *paths);

struct option_spec {
    const char *name; /* without "--"; of words: as the help shows them */
    char letter; /* short form, or 0 */
    enum option_kind kind;
    const char *argument; /* as the help shows it; NULL for flags */
    const char *choices; /* "a|b|c" */
    size_t offset; /* of the target in the options struct */
    const char *help; /* lines separated by '\n' */
};

enum {
    OPTIONS_E_USAGE = 1, /* see ERR */
    OPTIONS_E_HELP /* --help or -h was given */
};

struct error;

/* Reads ARGV (NULL-terminated, without the command's name) into TARGET. Options may stand
 * before, between and behind words. What the table does not know is OPTIONS_E_USAGE, or
 * skipped when UNKNOWN_COUNT is not NULL, which then gets how many arguments that were.
 */
int options_parse(void *target, const struct option_spec *specs, size_t count,
                  char *const *argv, size_t *unknown_count, struct error *err);

/* Writes the rows, --help included, as the OPTIONS part of a help text. */
void options_print(FILE *out, const struct option_spec *specs, size_t count);

#endif

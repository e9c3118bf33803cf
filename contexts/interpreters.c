/* SPDX-License-Identifier: MIT */
#include "contexts/interpreters.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define NAME "{name}"
#define OUR_OWN "cellwall-" /* kernelspecs that this program has installed itself */
#define TEXT_BYTES_MAX ((size_t)300)

/* Called with each place of a pattern: the folder that the name is in, and what follows
 * the name. > 0: enough. */
typedef int place_fn(const char *folder, const char *rest, void *arg);

static bool
is_name(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL)
            return false;
    }
    return length > 0 && length <= INTERPRETERS_NAME_BYTES_MAX && name[0] != '.' &&
           strncmp(name, OUR_OWN, strlen(OUR_OWN)) != 0;
}

static bool
is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}

int
interpreters_check_pattern(const char *pattern)
{
    const char *name = strstr(pattern, "/" NAME "/");

    if ((pattern[0] != '/' && pattern[0] != '$') || name == NULL ||
        strchr(name, '/') == NULL || strlen(pattern) >= PATH_MAX)
        return INTERPRETERS_E_INVALID;
    return 0;
}

/* One place: PREFIX, of a variable or empty, then PATTERN's own part. */
static int
visit(const char *prefix, size_t length, const char *pattern, place_fn *fn, void *arg)
{
    const char *name = strstr(pattern, "/" NAME "/");
    char folder[PATH_MAX];
    int n;

    if (name == NULL || length >= PATH_MAX)
        return 0;
    n = snprintf(folder, sizeof folder, "%.*s%.*s", (int)length, prefix,
                 (int)(name - pattern), pattern);
    if (n >= (int)sizeof folder || folder[0] != '/')
        return 0;
    return fn(folder, name + 1 + strlen(NAME), arg);
}

static int
visit_pattern(const char *pattern, place_fn *fn, void *arg)
{
    char name[64];
    size_t length = strcspn(pattern, "/");
    const char *list;
    int r = 0;

    if (pattern[0] != '$')
        return visit("", 0, pattern, fn, arg);
    if (length > sizeof name)
        return 0;
    snprintf(name, sizeof name, "%.*s", (int)length - 1, pattern + 1);
    for (list = getenv(name); r == 0 && list != NULL && *list != '\0';) {
        size_t part = strcspn(list, ":");

        r = visit(list, part, pattern + length, fn, arg);
        list += part + (list[part] == ':');
    }
    return r;
}

static int
visit_all(char *const *patterns, place_fn *fn, void *arg)
{
    int r = 0;

    for (; r == 0 && *patterns != NULL; patterns++)
        r = visit_pattern(*patterns, fn, arg);
    return r;
}

struct list {
    char **paths; /* owned; with room for INTERPRETERS_MAX and a NULL */
    char *names[INTERPRETERS_MAX]; /* owned */
    size_t count;
};

void
interpreters_free(char **paths)
{
    for (size_t i = 0; paths != NULL && paths[i] != NULL; i++)
        free(paths[i]);
    free(paths);
}

void
interpreters_freep(char ***paths)
{
    interpreters_free(*paths);
}

static bool
has_name(const struct list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->names[i], name) == 0)
            return true;
    }
    return false;
}

/* Keeps the list ordered by name. */
static int
list_add(struct list *list, const char *name, const char *path)
{
    char *own_name, *own_path;
    size_t at = list->count;

    if (list->count == INTERPRETERS_MAX || has_name(list, name))
        return 0;
    own_name = strdup(name);
    own_path = strdup(path);
    if (own_name == NULL || own_path == NULL) {
        free(own_name);
        free(own_path);
        return -ENOMEM;
    }
    for (; at > 0 && strcmp(list->names[at - 1], name) > 0; at--) {
        list->names[at] = list->names[at - 1];
        list->paths[at] = list->paths[at - 1];
    }
    list->names[at] = own_name;
    list->paths[at] = own_path;
    list->count++;
    return 0;
}

static int
list_folder(const char *folder, const char *rest, void *arg)
{
    DIR *entries = opendir(folder);
    const struct dirent *entry;
    int r = 0;

    while (r == 0 && entries != NULL && (entry = readdir(entries)) != NULL) {
        char path[PATH_MAX];

        if (is_name(entry->d_name) &&
            snprintf(path, sizeof path, "%s/%s%s", folder, entry->d_name, rest) <
                (int)sizeof path &&
            is_file(path))
            r = list_add(arg, entry->d_name, path);
    }
    if (entries != NULL)
        closedir(entries);
    return r;
}

static int
list_all(struct list *list, char *const *patterns)
{
    list->paths = calloc(INTERPRETERS_MAX + 1, sizeof *list->paths);
    return list->paths == NULL ? -ENOMEM : visit_all(patterns, list_folder, list);
}

static void
list_fini(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    interpreters_free(list->paths);
}

int
interpreters_list(char ***ret, char *const *patterns)
{
    CLEANUP(list_fini) struct list list = { 0 };
    int r = list_all(&list, patterns);

    if (r != 0)
        return r;
    *ret = list.paths;
    list.paths = NULL;
    return 0;
}

static int
not_found(char *const *patterns, const char *named, struct error *err)
{
    CLEANUP(list_fini) struct list list = { 0 };
    char names[TEXT_BYTES_MAX] = "";
    int r = list_all(&list, patterns);

    if (r != 0)
        return r;
    for (size_t i = 0; i < list.count; i++) {
        size_t length = strlen(names);

        snprintf(names + length, sizeof names - length, "%s%s", i > 0 ? ", " : "",
                 list.names[i]);
    }
    if (named == NULL)
        return error_set(err, INTERPRETERS_E_NOT_FOUND,
                         "it must be told which interpreter is wanted; here are: %s",
                         list.count > 0 ? names : "none");
    return error_set(err, INTERPRETERS_E_NOT_FOUND,
                     "there is no interpreter %.120s; here are: %s", named,
                     list.count > 0 ? names : "none");
}

struct wish {
    const char *name;
    char *found; /* owned */
};

static int
look_in(const char *folder, const char *rest, void *arg)
{
    struct wish *wish = arg;
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s%s", folder, wish->name, rest) >=
            (int)sizeof path ||
        !is_file(path))
        return 0;
    wish->found = strdup(path);
    return wish->found == NULL ? -ENOMEM : 1;
}

/* PATH is a file, or a folder that has the file which the first pattern ends with. */
static int
find_path(char **ret, const char *pattern, const char *named)
{
    CLEANUP(freep) char *real = realpath(named, NULL);
    const char *rest = strstr(pattern, "/" NAME "/") + 1 + strlen(NAME);
    char path[PATH_MAX];

    if (real == NULL)
        return errno == ENOMEM ? -ENOMEM : 0;
    if (snprintf(path, sizeof path, "%s%s", real, is_file(real) ? "" : rest) >=
            (int)sizeof path ||
        !is_file(path))
        return 0;
    *ret = strdup(path);
    return *ret == NULL ? -ENOMEM : 0;
}

int
interpreters_find(char **ret, char *const *patterns, const char *named, struct error *err)
{
    struct wish wish = { .name = named };
    int r = 0;

    if (named != NULL && strchr(named, '/') != NULL)
        r = find_path(&wish.found, patterns[0], named);
    else if (named != NULL && is_name(named))
        r = visit_all(patterns, look_in, &wish);
    if (r < 0)
        return r;
    if (wish.found == NULL)
        return not_found(patterns, named, err);
    *ret = wish.found;
    return 0;
}

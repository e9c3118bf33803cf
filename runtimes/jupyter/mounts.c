/* SPDX-License-Identifier: MIT */
/*
 * A folder is shown with all that is in it, to code that is not trusted. So of the home
 * folder nothing is shown that lies there for other programs as well: "~/.cargo/bin" is,
 * "~/.cargo" with its tokens is not.
 */
#include "runtimes/jupyter/mounts.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "runtimes/jupyter/kernel_json.h"

#define MOUNTS_MAX 100
#define LINKS_MAX 16 /* on the way to a program */

static const char *const shown_anyway[] = { "/usr", "/bin",   "/sbin", "/lib",
                                            "/etc", "/lib32", "/lib64" };
static const char *const never[] = { "/proc", "/sys", "/dev", "/run" };

/* Ends of the names of variables that hold places of a language's own. */
static const char *const search_paths[] = { "PATH",  "LIBS",    "LIBS_USER", "LIBS_SITE",
                                            "_HOME", "_PREFIX", "_ROOT" };

static bool
is_within(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    if (strcmp(folder, "/") == 0)
        return true;
    return strncmp(path, folder, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

static bool
is_plain(const char *path)
{
    size_t length = strlen(path);

    return path[0] == '/' && length > 1 && path[length - 1] != '/' &&
           strstr(path, "//") == NULL && strstr(path, "/./") == NULL &&
           strstr(path, "/../") == NULL && strcmp(path + length - 2, "/.") != 0 &&
           (length < 3 || strcmp(path + length - 3, "/..") != 0);
}

static bool
is_within_any(const char *path, const char *const *folders, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_within(path, folders[i]))
            return true;
    }
    return false;
}

static const char *
home(void)
{
    const char *named = getenv("HOME");

    return named != NULL && named[0] == '/' && named[1] != '\0' ? named : "/nonexistent";
}

/* The home folder, what is above it, and what lies hidden just below it. */
static bool
is_many_programs(const char *path)
{
    size_t length = strlen(home());

    if (is_within(home(), path) || strcmp(path, "/") == 0)
        return true;
    return is_within(path, home()) && path[length + 1] == '.' &&
           strchr(path + length + 1, '/') == NULL;
}

static int
add(json_t *mounts, const char *path, bool asked_for)
{
    size_t i;
    const json_t *other;

    if (path[0] != '/' || access(path, F_OK) < 0 ||
        is_within_any(path, never, N_ELEMENTS(never)) ||
        is_within_any(path, shown_anyway, N_ELEMENTS(shown_anyway)) ||
        is_within(home(), path) || (!asked_for && is_many_programs(path)))
        return 0;
    json_array_foreach(mounts, i, other)
    {
        if (is_within(path, json_string_value(other)))
            return 0;
    }
    if (json_array_size(mounts) == MOUNTS_MAX)
        return 0;
    return json_array_append_new(mounts, json_string(path)) < 0 ? -ENOMEM : 0;
}

/* As it is named, and as it is. */
static int
add_both(json_t *mounts, const char *path, bool asked_for)
{
    CLEANUP(freep) char *real = realpath(path, NULL);
    int r = is_plain(path) ? add(mounts, path, asked_for) : 0;

    if (r == 0 && real != NULL && (strcmp(real, path) != 0 || !is_plain(path)))
        r = add(mounts, real, asked_for);
    return r;
}

/* PATH's folder; for a program in a "bin" the installation around that. */
static int
add_around(json_t *mounts, const char *path)
{
    char folder[PATH_MAX];
    char *slash;

    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder ||
        (slash = strrchr(folder, '/')) == NULL || slash == folder)
        return 0;
    *slash = '\0';
    slash = strrchr(folder, '/');
    if (strcmp(slash, "/bin") == 0 && slash != folder) {
        *slash = '\0';
        if (!is_many_programs(folder))
            return add_both(mounts, folder, false);
        *slash = '/';
    }
    return add_both(mounts, folder, false);
}

/* Each link on the way may lie in an installation of its own: an environment's, then that
 * of which it is one. */
static int
add_program(json_t *mounts, const char *program)
{
    char path[PATH_MAX], next[PATH_MAX], target[PATH_MAX];
    int r = 0;

    if (snprintf(path, sizeof path, "%s", program) >= (int)sizeof path)
        return 0;
    for (int i = 0; r == 0 && i < LINKS_MAX; i++) {
        ssize_t n;
        int length;

        r = add_around(mounts, path);
        n = readlink(path, target, sizeof target - 1);
        if (n < 0)
            break;
        target[n] = '\0';
        length = target[0] == '/'
                     ? snprintf(next, sizeof next, "%s", target)
                     : snprintf(next, sizeof next, "%.*s/%s",
                                (int)(strrchr(path, '/') - path), path, target);
        if (length >= (int)sizeof next)
            break;
        memcpy(path, next, sizeof path);
    }
    return r;
}

/* A path in a word of the command, "--option=PATH" too: a folder, or that of a file. */
static int
add_word(json_t *mounts, const char *word)
{
    const char *path = word[0] == '/' ? word : strstr(word, "=/");
    struct stat st;

    if (path == NULL)
        return 0;
    path += path[0] == '=';
    if (stat(path, &st) < 0)
        return 0;
    return S_ISDIR(st.st_mode) ? add_both(mounts, path, false) : add_around(mounts, path);
}

static bool
is_search_path(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < N_ELEMENTS(search_paths); i++) {
        size_t end = strlen(search_paths[i]);

        if (length >= end && strcmp(name + length - end, search_paths[i]) == 0)
            return true;
    }
    return false;
}

static int
add_search_path(json_t *mounts, const char *list)
{
    int r = 0;

    while (r == 0 && *list != '\0') {
        size_t length = strcspn(list, ":");
        CLEANUP(freep) char *path = strndup(list, length);

        if (path == NULL)
            return -ENOMEM;
        r = add_both(mounts, path, false);
        list += length + (list[length] == ':');
    }
    return r;
}

static int
add_wish(json_t *mounts, const char *path)
{
    char expanded[PATH_MAX];

    if (strncmp(path, "~/", 2) != 0)
        return add_both(mounts, path, true);
    if (snprintf(expanded, sizeof expanded, "%s/%s", home(), path + 2) >=
        (int)sizeof expanded)
        return 0;
    return add_both(mounts, expanded, true);
}

static int
add_variables(json_t *mounts, const struct kernel_json *spec)
{
    CLEANUP(kernel_json_free_wordsp) char **words = NULL;
    const char *name;
    json_t *value;
    int r = kernel_json_environment(&words, spec);

    json_object_foreach((json_t *)spec->env, name, value)
    {
        size_t length = strlen(name);

        if (!is_search_path(name))
            continue;
        for (char **word = words; r == 0 && *word != NULL; word++)
            if (strncmp(*word, name, length) == 0 && (*word)[length] == '=')
                r = add_search_path(mounts, *word + length + 1);
    }
    return r;
}

int
mounts_find(json_t **ret, const struct kernel_json *spec)
{
    json_t *mounts = json_array();
    CLEANUP(kernel_json_free_wordsp) char **command = NULL;
    int r = kernel_json_command(&command, spec, "");

    if (mounts == NULL)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < json_array_size(spec->mounts); i++)
        r = add_wish(mounts, json_string_value(json_array_get(spec->mounts, i)));
    if (r == 0)
        r = add_program(mounts, spec->program);
    for (size_t i = 1; r == 0 && command[i] != NULL; i++)
        r = add_word(mounts, command[i]);
    if (r == 0)
        r = add_variables(mounts, spec);
    if (r == 0)
        r = add_both(mounts, spec->folder, true);
    if (r != 0) {
        json_decref(mounts);
        return r;
    }
    *ret = mounts;
    return 0;
}

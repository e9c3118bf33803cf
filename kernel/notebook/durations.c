/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/durations.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernel/file.h"
#include "protocol/tree.h"

#define FILE_NAME "durations.json"
#define FILE_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define PATH_BYTES_MAX 700 /* of a notebook: with more the file might be too long */
#define FILE_DEPTH_MAX 4
#define VERSION 1
#define SECONDS_MAX 1e6 /* more is no duration that anybody waits for */
#define WEIGHT 0.5 /* of the newest among all */

/* The file is {"version": 1, "notebooks": [[path, seconds], ...]}, those that were used
 * longest ago first. */
struct entry {
    char *path; /* owned */
    double seconds;
    uint64_t used; /* greater than that of those used before */
};

struct durations {
    char file[PATH_MAX]; /* "": there is no place for one */
    struct entry *entries; /* owned, sorted by path */
    size_t count, capacity;
    uint64_t clock;
    bool is_changed;
};

static bool
name_file(char ret[PATH_MAX])
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char folder[PATH_MAX];
    int r;

    if (cache != NULL && cache[0] == '/')
        r = file_join(folder, cache, "cellwall", NULL);
    else if (home != NULL && home[0] == '/')
        r = file_join(folder, home, ".cache/cellwall", NULL);
    else
        return false;
    return r == 0 && file_join(ret, folder, FILE_NAME, NULL) == 0;
}

/* Where PATH is, or would be. */
static size_t
place_of(const struct durations *durations, const char *path, bool *ret_found)
{
    size_t begin = 0, end = durations->count;

    *ret_found = false;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        int order = strcmp(durations->entries[middle].path, path);

        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

static void
forget(struct durations *durations, size_t place)
{
    free(durations->entries[place].path);
    memmove(&durations->entries[place], &durations->entries[place + 1],
            (durations->count - place - 1) * sizeof durations->entries[0]);
    durations->count--;
}

static void
forget_oldest(struct durations *durations)
{
    size_t oldest = 0;

    for (size_t i = 1; i < durations->count; i++) {
        if (durations->entries[i].used < durations->entries[oldest].used)
            oldest = i;
    }
    forget(durations, oldest);
}

static int
grow(struct durations *durations)
{
    size_t capacity = durations->capacity > 0 ? 2 * durations->capacity : 64;
    struct entry *entries;

    if (durations->count < durations->capacity)
        return 0;
    entries = realloc(durations->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return -ENOMEM;
    durations->entries = entries;
    durations->capacity = capacity;
    return 0;
}

static bool
is_duration(double seconds)
{
    return isfinite(seconds) && seconds >= 0 && seconds <= SECONDS_MAX;
}

int
durations_add(struct durations *durations, const char *path, double seconds)
{
    struct entry entry = { .seconds = seconds, .used = ++durations->clock };
    bool found;
    size_t place;

    if (!is_duration(seconds) || strlen(path) > PATH_BYTES_MAX)
        return 0;
    place = place_of(durations, path, &found);
    if (found) {
        struct entry *known = &durations->entries[place];

        known->seconds += WEIGHT * (seconds - known->seconds);
        known->used = entry.used;
        durations->is_changed = true;
        return 0;
    }
    if (durations->count == DURATIONS_MAX) {
        forget_oldest(durations);
        place = place_of(durations, path, &found);
    }
    entry.path = strndup(path, PATH_BYTES_MAX);
    if (entry.path == NULL)
        return -ENOMEM;
    if (grow(durations) != 0) {
        free(entry.path);
        return -ENOMEM;
    }
    memmove(&durations->entries[place + 1], &durations->entries[place],
            (durations->count - place) * sizeof durations->entries[0]);
    durations->entries[place] = entry;
    durations->count++;
    durations->is_changed = true;
    return 0;
}

/* Whatever is wrong with the file: it is as if it were not there. */
static int
load(json_t **ret, const char *file)
{
    const struct json_limits limits = { FILE_BYTES_MAX, FILE_DEPTH_MAX };
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, FILE_BYTES_MAX);
    r = file[0] == '\0' ? FILE_E_FAILED : file_read(file, &text, NULL);
    if (r == 0)
        r = tree_load_object(ret, buffer_slice(&text), &limits, NULL);
    return r;
}

static int
read_entries(struct durations *durations)
{
    CLEANUP(tree_decrefp) json_t *tree = NULL;
    const json_t *rows, *row;
    size_t i;
    int r = load(&tree, durations->file);

    if (r != 0)
        return r < 0 ? r : 0;
    if (json_integer_value(json_object_get(tree, "version")) != VERSION)
        return 0;
    rows = json_object_get(tree, "notebooks");
    json_array_foreach(rows, i, row)
    {
        const char *path = json_string_value(json_array_get(row, 0));
        const json_t *seconds = json_array_get(row, 1);

        if (i == DURATIONS_MAX)
            break;
        if (path != NULL && json_is_number(seconds))
            r = durations_add(durations, path, json_number_value(seconds));
        if (r != 0)
            return r;
    }
    durations->is_changed = false;
    return 0;
}

int
durations_read(struct durations **ret, const char *path)
{
    CLEANUP(durations_destroyp)
    struct durations *durations = calloc(1, sizeof *durations);
    int r;

    if (durations == NULL)
        return -ENOMEM;
    if (path == NULL) {
        if (!name_file(durations->file))
            durations->file[0] = '\0';
    } else if (strlen(path) < sizeof durations->file) {
        memcpy(durations->file, path, strlen(path) + 1);
    }
    r = read_entries(durations);
    if (r != 0)
        return r;
    *ret = durations;
    durations = NULL;
    return 0;
}

void
durations_destroy(struct durations *durations)
{
    if (durations == NULL)
        return;
    for (size_t i = 0; i < durations->count; i++)
        free(durations->entries[i].path);
    free(durations->entries);
    free(durations);
}

double
durations_of(const struct durations *durations, const char *path)
{
    bool found;
    size_t place = place_of(durations, path, &found);

    return found ? durations->entries[place].seconds : -1;
}

static int
compare_use(const void *left, const void *right)
{
    const struct entry *one = left, *other = right;

    return one->used < other->used ? -1 : one->used > other->used;
}

/* All that is known, as the file has it. */
static json_t *
make_rows(const struct durations *durations)
{
    json_t *rows = json_array();
    CLEANUP(freep) struct entry *sorted = NULL;

    if (rows == NULL || durations->count == 0)
        return rows;
    sorted = calloc(durations->count, sizeof *sorted);
    if (sorted == NULL) {
        json_decref(rows);
        return NULL;
    }
    memcpy(sorted, durations->entries, durations->count * sizeof *sorted);
    qsort(sorted, durations->count, sizeof *sorted, compare_use);
    for (size_t i = 0; i < durations->count; i++) {
        json_t *row = json_pack("[sf]", sorted[i].path, sorted[i].seconds);

        /* A path that is not UTF-8 has no place in JSON. */
        if (row != NULL)
            json_array_append_new(rows, row);
    }
    return rows;
}

static void
make_folder(const char *file)
{
    char folder[PATH_MAX];
    char *slash;

    memcpy(folder, file, sizeof folder);
    slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder)
        return;
    *slash = '\0';
    (void)file_make_directories(folder, 0700, NULL); /* the writing will fail, then */
}

void
durations_save(struct durations *durations)
{
    CLEANUP(buffer_fini) struct buffer text;
    CLEANUP(tree_decrefp) json_t *tree = NULL;
    json_t *rows;

    buffer_init(&text, FILE_BYTES_MAX);
    if (!durations->is_changed || durations->file[0] == '\0')
        return;
    rows = make_rows(durations);
    if (rows == NULL)
        return;
    tree = json_pack("{si so}", "version", VERSION, "notebooks", rows);
    if (tree == NULL || tree_append(&text, tree, JSON_COMPACT) != 0)
        return;
    make_folder(durations->file);
    if (file_write(durations->file, buffer_slice(&text), 0600, NULL) == 0)
        durations->is_changed = false;
}

/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/accepting.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/notebook/find.h"
#include "kernel/notebook/pending.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

static int
accept_one(const char *path, const char *cell, size_t *ret_cells, struct error *err)
{
    struct pending_accepted accepted = { 0 };
    int r = pending_accept(path, cell, &accepted, err);

    if (r != 0)
        return r < 0 ? r : ACCEPTING_E_FAILED;
    *ret_cells += accepted.cells;
    printf("%s: %zu accepted", path, accepted.cells);
    if (accepted.left > 0)
        printf(", %zu pending", accepted.left);
    putchar('\n');
    return 0;
}

static bool
has_pending(const char *path)
{
    char pending[PATH_MAX];

    return pending_path(pending, path, NULL) == 0 && access(pending, F_OK) == 0;
}

static int
accept_found(const char *path, size_t *ret_cells, struct error *err)
{
    struct found found = { 0 };
    int r = find_notebooks(&found, path, err);

    for (size_t i = 0; r == 0 && i < found.count; i++) {
        if (found.count == 1 || has_pending(found.paths[i]))
            r = accept_one(found.paths[i], NULL, ret_cells, err);
    }
    found_fini(&found);
    return r <= 0 ? r : ACCEPTING_E_FAILED;
}

/* PATH, or PATH:CELL where there is no such file. */
static int
accept_path(const char *path, size_t *ret_cells, struct error *err)
{
    CLEANUP(freep) char *notebook = NULL;
    char *colon;

    if (access(path, F_OK) == 0)
        return accept_found(path, ret_cells, err);
    notebook = strdup(path);
    if (notebook == NULL)
        return -ENOMEM;
    colon = strrchr(notebook, ':');
    if (colon == NULL)
        return accept_found(path, ret_cells, err);
    *colon = '\0';
    return accept_one(notebook, colon + 1, ret_cells, err);
}

int
accepting_run(const struct option_paths *paths, struct error *err)
{
    size_t cells = 0;
    int r = 0;

    if (paths->count == 0)
        r = accept_found(".", &cells, err);
    for (size_t i = 0; r == 0 && i < paths->count; i++)
        r = accept_path(paths->items[i], &cells, err);
    if (r == 0 && cells == 0)
        puts("nothing is pending");
    return r;
}

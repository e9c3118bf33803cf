/* SPDX-License-Identifier: MIT */
#include "contexts/workspace.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "contexts/launches.h"
#include "contexts/spawner.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

struct workspace {
    struct launches *launches; /* borrowed */
    struct workspace_limits limits;
    unsigned uses; /* its owner's is one */
    uint64_t number; /* the ticket of the request, too */
    bool is_pending;
    bool is_given_up; /* by its owner */
    int folder; /* owned; -1: not there yet, or given up */
    int lease; /* owned; -1: there is no tmpfs */
    workspace_done_fn *fn;
    void *arg;
};

static int
on_made(int folder, int lease, const struct error *err, void *arg)
{
    struct workspace *workspace = arg;

    workspace->is_pending = false;
    workspace->lease = lease;
    if (workspace->is_given_up) {
        close_fdp(&folder); /* contexts alone want it still */
        return 0;
    }
    workspace->folder = folder;
    return workspace->fn == NULL ? 0 : workspace->fn(workspace, err, workspace->arg);
}

static int
result_of(int r)
{
    switch (r) {
    case LAUNCHES_E_FULL:
        return WORKSPACE_E_FULL;
    case LAUNCHES_E_GONE:
        return WORKSPACE_E_GONE;
    default:
        return r;
    }
}

int
workspace_create(struct workspace **ret, struct spawner *spawner,
                 const struct workspace_limits *limits, workspace_done_fn *fn, void *arg,
                 struct error *err)
{
    const struct launches_bounds bounds = { limits->bytes, limits->inodes };
    CLEANUP(freep) struct workspace *workspace = malloc(sizeof *workspace);
    int r;

    if (workspace == NULL)
        return -ENOMEM;
    if (bounds.bytes == 0 || bounds.inodes == 0)
        return error_set(err, WORKSPACE_E_LIMITS,
                         "a workspace must have a bound on bytes and on files");
    if (spawner_launches(spawner) == NULL)
        return error_set(err, WORKSPACE_E_GONE, "there is no launcher to keep it");
    *workspace = (struct workspace){ .launches = spawner_launches(spawner),
                                     .limits = *limits,
                                     .uses = 1,
                                     .is_pending = true,
                                     .folder = -1,
                                     .lease = -1,
                                     .fn = fn,
                                     .arg = arg };
    r = launches_workspace(workspace->launches, &bounds, on_made, workspace,
                           &workspace->number, err);
    if (r != 0)
        return result_of(r);
    *ret = workspace;
    workspace = NULL;
    return 0;
}

struct workspace *
workspace_ref(struct workspace *workspace)
{
    assert(workspace->uses > 0);
    workspace->uses++;
    return workspace;
}

void
workspace_unref(struct workspace *workspace)
{
    if (workspace == NULL || --workspace->uses > 0)
        return;
    if (workspace->is_pending)
        launches_cancel(workspace->launches, workspace->number);
    close_fdp(&workspace->folder);
    close_fdp(&workspace->lease);
    free(workspace);
}

void
workspace_destroy(struct workspace *workspace)
{
    if (workspace == NULL)
        return;
    assert(!workspace->is_given_up);
    workspace->is_given_up = true;
    close_fdp(&workspace->folder);
    workspace->folder = -1;
    workspace_unref(workspace);
}

int
workspace_folder(const struct workspace *workspace)
{
    return workspace->folder;
}

struct workspace_limits
workspace_limits(const struct workspace *workspace)
{
    return workspace->limits;
}

uint64_t
workspace_number(const struct workspace *workspace)
{
    return workspace->number;
}

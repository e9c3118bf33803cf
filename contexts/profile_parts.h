/* SPDX-License-Identifier: MIT */
/*
 * profile_parts - what the files of a profile share (internal to profile*.c)
 */
#ifndef CONTEXTS_PROFILE_PARTS_H
#define CONTEXTS_PROFILE_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "contexts/profile.h"
#include "contexts/workspace.h"

struct context_options;
struct error;

/* Writable places outside HOME, at the same paths in every context and every zygote. */
#define PROFILE_OWN_FOLDER "/run/cellwall"
#define PROFILE_CACHE_FOLDER PROFILE_OWN_FOLDER "/cache"
#define PROFILE_IPYTHON_FOLDER PROFILE_OWN_FOLDER "/ipython"
#define PROFILE_MATPLOTLIB_FOLDER PROFILE_OWN_FOLDER "/matplotlib"
#define PROFILE_PACKAGES_FOLDER PROFILE_OWN_FOLDER "/packages"

#define PROFILE_USER "user" /* whom user code runs as */
#define PROFILE_HOME "/home/user" /* for one who has no usable HOME outside */
#define PROFILE_WORKSPACE WORKSPACE_PATH /* an agent's home and working directory */

/* Strings that grow, always NULL-terminated when not NULL. */
struct profile_texts {
    char **items; /* owned, as are the strings */
    size_t count, capacity;
};

struct profile {
    struct sandbox_spec spec;
    struct sandbox_mount mounts[SANDBOX_MOUNTS_MAX];
    struct profile_texts argv, env;
    struct profile_texts kept; /* strings that mounts point to */
    bool is_zygote;
    bool has_workspace; /* one that outlives the interpreter */
    struct profile *zygote; /* owned; NULL: none */
    char *home; /* owned: absolute, the server's */
    const char *home_inside; /* borrowed */
    char *directory; /* owned: absolute, without links */
    char *cwd; /* owned: within the directory; NULL: the directory */
    char *interpreter; /* owned: absolute; NULL: none */
};

/* Takes TEXT, even on failure; NULL is -ENOMEM. */
int profile_texts_add(struct profile_texts *texts, char *text);

/* A copy of TEXT that lives as long as the profile; NULL: no memory. */
const char *profile_keep(struct profile *profile, const char *text);

/* MOUNT's strings are copied; links in the source of a bind are followed now, for they
 * will not be when it is mounted. PROFILE_E_OPTIONS: there are too many. */
int profile_add_mount(struct profile *profile, const struct sandbox_mount *mount,
                      struct error *err);

/* True when PATH is ANCESTOR or below it; both are plain absolute paths. */
bool profile_is_within(const char *path, const char *ancestor);

/* Checks that DIRECTORY (plain, absolute) may be given to user code. */
int profile_check_directory(const char *directory, struct error *err);

/* Fills in the mounts and the variables. */
int profile_add_mounts(struct profile *profile, const struct context_options *options,
                       struct error *err);
int profile_add_variables(struct profile *profile, const struct context_options *options,
                          struct error *err);

/* Makes up the files that tell of processors and memory, to agree with LIMITS. */
int profile_add_view(struct profile *profile, const struct sandbox_limits *limits,
                     struct error *err);

/* How many processors LIMITS leaves; 0: all. */
unsigned profile_processors(const struct sandbox_limits *limits);

/* True when the context's own variables can be given to a process that runs already. */
bool profile_variables_can_wait(const struct context_options *options);

#endif

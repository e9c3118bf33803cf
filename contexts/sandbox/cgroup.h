/* SPDX-License-Identifier: MIT */
/*
 * cgroup - control groups of contexts, as a spawner makes and removes them (libc only)
 *
 * Limits that the kernel keeps for all of a context's processes together. Each context
 * has a fresh group in each hierarchy that can limit something: one of version 2, or up
 * to one for each controller of version 1, or both. They are made below "cellwall-PID" in
 * the spawner's own group, so that whatever limits the spawner limits them. A machine, or
 * a user, that has no right to any gets none.
 */
#ifndef CONTEXTS_SANDBOX_CGROUP_H
#define CONTEXTS_SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "contexts/sandbox/spec.h"

#define CGROUP_HIERARCHIES_MAX 3
#define CGROUP_NAME_BYTES 32

enum cgroup_controller { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, CGROUP_CONTROLLERS };

struct cgroup_hierarchy {
    int above; /* owned: the group in which ours was made */
    int dir; /* owned and locked: ours, of all contexts */
    char name[CGROUP_NAME_BYTES]; /* of ours */
    bool unified; /* version 2 */
    unsigned controllers; /* of what is limited here, a bit for each */
};

/* Where groups are made. Plain data. */
struct cgroups {
    struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
    size_t count; /* 0: no group can be made */
    char name[CGROUP_NAME_BYTES]; /* of ours, where nobody else has it */
    uint64_t last; /* the last context's group */
    int quick; /* owned: a mount that makes entering groups cheap; -1: none */
};

#define CGROUPS_NONE { .quick = -1 }

/* The group of one context. Plain data. */
struct cgroup {
    uint64_t id; /* its name */
    size_t count; /* as the groups have; 0: none */
    int dirs[CGROUP_HIERARCHIES_MAX]; /* owned, opened for reading */
};

/* Finds out what can be had, and removes what spawners that are gone have left. Never
 * fails: what is missing is missing. */
void cgroups_open(struct cgroups *ret);

/* Removes all groups that are empty. */
void cgroups_close(struct cgroups *groups);

/* The controllers that are there, a bit for each. */
unsigned cgroups_controllers(const struct cgroups *groups);

/* A fresh group. The caller owns *ret. 0 or < 0. */
int cgroup_create(struct cgroup *ret, struct cgroups *groups);

/* Sets what LIMITS has and the groups can. 0 or < 0. */
int cgroup_limit(const struct cgroup *group, const struct cgroups *groups,
                 const struct sandbox_limits *limits);

/* Moves the process PID into it. 0 or < 0. */
int cgroup_put(const struct cgroup *group, pid_t pid);

/* The files by which a process enters by itself, with the rights of their opener: one for
 * each hierarchy. The caller owns them. 0 or < 0. */
int cgroup_open_doors(const struct cgroup *group, int ret[CGROUP_HIERARCHIES_MAX]);

/* Moves the calling process through COUNT of those doors. 0 or < 0. */
int cgroup_enter(const int *doors, size_t count);

/* Closes its directories; the group stays. */
void cgroup_fini(struct cgroup *group);

/* Removes the group named ID, which nobody is in any more. False: it is still there. */
bool cgroup_remove(const struct cgroups *groups, uint64_t id);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * landlock - rulesets of the kernel's version (internal to this folder)
 */
#ifndef CONTEXTS_SANDBOX_LANDLOCK_H
#define CONTEXTS_SANDBOX_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Versions from which on something can be handled. */
#define SANDBOX_LANDLOCK_TRUNCATE 3
#define SANDBOX_LANDLOCK_TCP 4
#define SANDBOX_LANDLOCK_SCOPES 6 /* signals and abstract sockets to the outside */

enum sandbox_grant {
    SANDBOX_GRANT_READ, /* and execute */
    SANDBOX_GRANT_READ_WRITE,
    SANDBOX_GRANT_WRITE_FILES, /* those that are there */
    SANDBOX_GRANT_DEVICES, /* the same, and their ioctls */
    SANDBOX_GRANT_DEVICE /* one, to read too */
};

struct sandbox_landlock {
    int ruleset; /* owned; -1: none */
    uint64_t handled; /* accesses to files that need a grant */
};

/* The kernel's version, or < 0: there is none. */
int sandbox_landlock_abi(void);

/* On success the caller owns *ret. DENY_TCP: connect and bind, where ABI knows them. */
int sandbox_landlock_open(struct sandbox_landlock *ret, int abi, bool deny_tcp);
void sandbox_landlock_close(struct sandbox_landlock *landlock);

/* Below the open file PATH (O_PATH will do). */
int sandbox_landlock_allow(const struct sandbox_landlock *landlock, int path,
                           enum sandbox_grant grant);

#endif

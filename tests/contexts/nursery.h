/* SPDX-License-Identifier: MIT */
/*
 * nursery - a spawner for tests, and children that say who they are
 *
 * Children run /bin/sh in the real sandbox: each prints its process id, which tells who
 * made it, and waits. Zygotes are zygote.c.
 */
#ifndef TESTS_CONTEXTS_NURSERY_H
#define TESTS_CONTEXTS_NURSERY_H

#include <stdbool.h>
#include <stddef.h>

#include "contexts/sandbox/spec.h"
#include "contexts/spawner.h"
#include "protocol/error.h"

#define NURSERY_PID_EXEC 2 /* of a runner, inside */
#define NURSERY_PID_FORK 3 /* who forked it was there before */
struct workspace;

#define NURSERY_TEXT_BYTES 16384
#define NURSERY_MOUNTS_MAX 8

struct nursery {
    struct spawner *spawner;
    struct loop *loop;
    char directory[64]; /* of this test's own: writable inside; and a file in it */
    char watched[96];
    struct sandbox_mount mounts[NURSERY_MOUNTS_MAX];
    struct sandbox_mount zygote_mounts[NURSERY_MOUNTS_MAX];
    const char *zygote_argv[4];
    struct sandbox_spec spec, zygote;
    struct spawner_wish wish; /* of both */
    char told[NURSERY_TEXT_BYTES]; /* all that the spawner said, a line each */
};

/* cmocka's setup and teardown: a launcher for each test, which sees to it that no process
 * and no fd is left. */
int nursery_setup(void **state);
int nursery_teardown(void **state);

/* The spec's directory becomes one in WORKSPACE, to be made. */
void nursery_use_workspace(struct nursery *n, const struct workspace *workspace);

/* How the zygote behaves; see zygote.c. */
void nursery_set_zygote(struct nursery *n, const char *behaviour, const char *argument);

/* Turns the loop until the spawner has said TEXT, anywhere in a line. */
void nursery_wait_told(struct nursery *n, const char *text);
void nursery_on_told(const char *text, void *arg); /* for spawner_use_zygotes */

/* One order and what came of it. */
struct kid {
    struct nursery *nursery;
    struct spawner_order *order;
    struct spawner_child child;
    int calls;
    struct error error;
};

/* Asks SPAWNER for a child; fails the test when it may not be asked. */
void kid_ask(struct kid *kid, struct nursery *n, struct spawner *spawner);
/* Waits until it came; it may be an error. */
void kid_wait(struct kid *kid);
/* Asks, waits, and returns the process id that it prints. */
int kid_start(struct kid *kid, struct nursery *n, struct spawner *spawner);
int kid_read_pid(struct kid *kid);
bool kid_is_alive(const struct kid *kid);
void kid_end(struct kid *kid); /* kills it; not before it came */

/* Processes in the sandboxes of a spawner's launcher. */
size_t nursery_count_processes(const struct nursery *n, const struct spawner *spawner);
void nursery_wait_processes(struct nursery *n, const struct spawner *spawner,
                            size_t count);

#endif

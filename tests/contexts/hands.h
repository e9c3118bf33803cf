/* SPDX-License-Identifier: MIT */
/*
 * hands - the server's hands in a workspace, for tests: a real one, kept by a real keeper
 */
#ifndef TESTS_CONTEXTS_HANDS_H
#define TESTS_CONTEXTS_HANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "contexts/sandbox/keeper.h"
#include "contexts/workspace_files.h"
#include "protocol/error.h"

#define HANDS_BYTES ((uint64_t)4 * 1024 * 1024)
#define HANDS_INODES 12000
#define HANDS_RACES 3000 /* tries of what may go wrong once */

struct hands {
    struct keeper keeper;
    struct keeper_workspace workspace;
    int folder; /* the workspace's */
    struct error err;
};

/* cmocka's setup and teardown: a workspace for each test, and a watchdog. */
int hands_setup(void **state);
int hands_teardown(void **state);

/* Forgets the last error. */
struct error *hands_fresh(struct hands *f);

/* Each is one call of workspace_files, and returns its result. */
int hands_put(struct hands *f, const char *path, const char *text,
              enum workspace_write_how how);
int hands_read(struct hands *f, const char *path);
int hands_remove_all(struct hands *f, const char *path);
int hands_remove_one(struct hands *f, const char *path);
int hands_make_directory(struct hands *f, const char *path, bool parents);
int hands_list(struct hands *f, const char *path, unsigned depth, size_t max,
               struct workspace_listing *ret);

void hands_assert_content(struct hands *f, const char *path, const char *expected);
bool hands_has(const struct hands *f, const char *path); /* a link is enough */

/* Ends a child of this process. */
void hands_stop(pid_t pid);

/* A positive result, with its sentence. */
#define hands_assert_refused(f, call, expected)                                          \
    do {                                                                                 \
        assert_int_equal(call, expected);                                                \
        assert_int_equal((f)->err.code, expected);                                       \
        assert_string_not_equal((f)->err.text, "");                                      \
    } while (0)

#endif

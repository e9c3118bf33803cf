/* SPDX-License-Identifier: MIT */
/*
 * failing - one system call of contexts/sandbox/sys.h that fails, among all that pass by
 *
 * For programs that are linked with the options of cellwall_wrap: each wrapped call asks
 * failing_must_fail first.
 */
#ifndef TESTS_SANDBOX_FAILING_H
#define TESTS_SANDBOX_FAILING_H

#include <stdbool.h>

#define FAILING_NAME_BYTES 64

/* What a zygote shall make fail, and what it sees, in a file that it shares with the
 * test: the calls of helper, middle and runner are counted together. */
struct failing_plan {
    int wanted; /* the number of the call that shall fail */
    int count; /* so far, for the request under way */
    char name[FAILING_NAME_BYTES]; /* of the call that did */
    int descriptors; /* the zygote's, at the start of the request */
    int children; /* the zygote's then, zombies included */
};
#define FAILING_PLAN "plan" /* the file's name */

/* Shall the call NAME fail? The program's own decision. */
bool failing_must_fail(const char *name);

#endif

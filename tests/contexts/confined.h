/* SPDX-License-Identifier: MIT */
/*
 * confined - runs a program in the real sandbox and waits for its end
 */
#ifndef TESTS_CONTEXTS_CONFINED_H
#define TESTS_CONTEXTS_CONFINED_H

#include <stddef.h>

struct sandbox_spec;

/* Writes what it printed (both streams, NUL-terminated, cut at SIZE) to RET and returns
 * its exit status; fails the test when it could not be started or was killed. */
int confined_run(const struct sandbox_spec *spec, char *ret, size_t size);

#endif

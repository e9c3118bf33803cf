/* SPDX-License-Identifier: MIT */
/*
 * become - runs a test as "root" or as "user", as its first argument says
 */
#ifndef TESTS_CONTEXTS_BECOME_H
#define TESTS_CONTEXTS_BECOME_H

/* 0: that is who it is now; else what main returns: it cannot be, and said so. */
int become_who(int argc, char **argv);

#endif

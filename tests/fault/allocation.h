/* SPDX-License-Identifier: MIT */
/*
 * allocation - counts allocations, and makes a chosen one fail
 *
 * The program must be linked with --wrap for malloc, calloc, realloc, free, strndup and
 * vasprintf.
 */
#ifndef TESTS_FAULT_ALLOCATION_H
#define TESTS_FAULT_ALLOCATION_H

#include <stdbool.h>
#include <stddef.h>

/* Makes jansson allocate through the same functions. */
void allocation_hook_jansson(void);

/* The NUMBERth allocation from now fails (1: the next); 0: none does. */
void allocation_fail(size_t number);

/* Whether it has come to that since. */
bool allocation_failed(void);

/* Allocations that have not been freed. */
long allocation_live(void);

/* Runs PATH with its first, second, ... allocation failing, until none is left to fail.
 * Each time all memory must be given back, and the result must be -ENOMEM, or with
 * MAY_BE_LESS also 0: an optional answer may go without a part. */
void allocation_fail_each(int (*path)(void), bool may_be_less);

#endif

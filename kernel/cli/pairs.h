/* SPDX-License-Identifier: MIT */
/*
 * pairs - NAME=VALUE of a command line, as an object of strings
 */
#ifndef KERNEL_CLI_PAIRS_H
#define KERNEL_CLI_PAIRS_H

#include <jansson.h>

#include "kernel/options.h"

enum { PAIRS_E_INVALID = 1 }; /* see ERR */

struct error;

/* Sets OBJECT's member NAME ("env") to what LIST has. 0, PAIRS_E_INVALID, < 0. */
int pairs_add(json_t *object, const char *name, const struct option_list *list,
              struct error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * accepting - what "cellwall test --accept" does, and says
 */
#ifndef KERNEL_NOTEBOOK_ACCEPTING_H
#define KERNEL_NOTEBOOK_ACCEPTING_H

#include "kernel/options.h"

enum { ACCEPTING_E_FAILED = 1 }; /* see ERR; what went before is done */

struct error;

/* PATHS: notebooks, folders, or NOTEBOOK:CELL; none: the working directory. Prints a line
 * for each notebook that something was taken over into. 0, ACCEPTING_E_FAILED, < 0. */
int accepting_run(const struct option_paths *paths, struct error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * durations - how long notebooks took the last times, for the progress line and the order
 *
 * One small file in the user's cache folder ($XDG_CACHE_HOME/cellwall,
 * ~/.cache/cellwall); what is wrong with it, or missing, only makes guesses worse.
 * Bounded: the entries that were not used for longest go.
 */
#ifndef KERNEL_NOTEBOOK_DURATIONS_H
#define KERNEL_NOTEBOOK_DURATIONS_H

#include "protocol/cleanup.h"

#define DURATIONS_MAX 10000 /* notebooks */

struct durations; /* opaque */

/* PATH: of the file, NULL: the user's. 0, -ENOMEM. */
int durations_read(struct durations **ret, const char *path);
void durations_destroy(struct durations *durations); /* NULL is allowed */
CLEANUP_DEFINE(struct durations, durations_destroy);

/* Seconds that the notebook at PATH (absolute) took, weighted towards the last runs; < 0:
 * not known. */
double durations_of(const struct durations *durations, const char *path);
int durations_add(struct durations *durations, const char *path, double seconds);

/* Writes the file if something was added; failures are nobody's concern. */
void durations_save(struct durations *durations);

#endif

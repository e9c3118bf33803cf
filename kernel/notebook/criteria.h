/* SPDX-License-Identifier: MIT */
/*
 * criteria - the settings by which outputs are compared: their check, and their merging
 *
 * docs/notebook-tests.md has their table under "Comparison". Regular expressions are
 * looked at by the comparing program alone.
 */
#ifndef KERNEL_NOTEBOOK_CRITERIA_H
#define KERNEL_NOTEBOOK_CRITERIA_H

#include <jansson.h>
#include <stdbool.h>

#define CRITERIA_RULES_MAX 256 /* of "sanitize", and pointers of "ignore" */
#define CRITERIA_TYPES_MAX 1000
#define CRITERIA_TYPE_BYTES_MAX 128
#define CRITERIA_TEXT_BYTES_MAX 65536 /* of a pattern */

enum {
    CRITERIA_E_INVALID = 1, /* see ERR, which names the member */
    CRITERIA_E_UNKNOWN /* no such member */
};

struct error;

/* Whether member NAME may have VALUE. 0, CRITERIA_E_INVALID, CRITERIA_E_UNKNOWN. */
int criteria_check_member(const char *name, const json_t *value, struct error *err);

/* All members of SETTINGS. 0, CRITERIA_E_INVALID: also for one that is not known, and
 * when SETTINGS is no object. */
int criteria_check(const json_t *settings, struct error *err);

/* "stdout", "stderr", "error", a MIME type or a pattern of those. */
bool criteria_is_type(const char *text);

/* Puts what FROM has into INTO: "types" and "normalise" by key, "sanitize" is appended,
 * all others replace. Other members than comparison settings, too. 0 or -ENOMEM. */
int criteria_merge(json_t *into, const json_t *from);

#endif

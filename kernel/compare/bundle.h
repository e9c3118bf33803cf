/* SPDX-License-Identifier: MIT */
/*
 * bundle - two MIME bundles: which of their types are compared, and how
 */
#ifndef KERNEL_COMPARE_BUNDLE_H
#define KERNEL_COMPARE_BUNDLE_H

#include <jansson.h>
#include <stdbool.h>

struct findings;
struct settings;

/* Whether BUNDLE (an object) has a type that is not ignored. */
bool bundle_counts(const struct settings *settings, const json_t *bundle);

/* Compares output number OUTPUT. 0 or -ENOMEM. */
int bundle_compare(struct findings *findings, json_int_t output, const json_t *expected,
                   const json_t *actual);

/* Appends the names of what is in BUNDLE, the richest first, to TEXT of SIZE bytes. */
void bundle_describe(const json_t *bundle, char *text, size_t size);

/* *RET is the text of VALUE, a string or an array of strings, which are joined: the
 * caller owns it, a string. NULL: it is neither. 0 or -ENOMEM. */
int bundle_join(json_t **ret, const json_t *value);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * prepare - a text in the form in which it is compared
 */
#ifndef KERNEL_COMPARE_PREPARE_H
#define KERNEL_COMPARE_PREPARE_H

#include "protocol/buffer.h"

struct error;
struct policy;
struct settings;

/* Appends RAW (UTF-8) as POLICY says: what a front end shows of it, the rules of
 * "sanitize", HTML and SVG in their canonical form, the built-in rules, white space.
 * 0, COMPARE_E_INVALID, -ENOMEM. Counts down the steps of SETTINGS. */
int prepare_text(struct settings *settings, const struct policy *policy, struct slice raw,
                 struct buffer *ret, struct error *err);

#endif

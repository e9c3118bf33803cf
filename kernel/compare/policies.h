/* SPDX-License-Identifier: MIT */
/*
 * policies - two values of one type compared: what does not agree goes to the findings
 */
#ifndef KERNEL_COMPARE_POLICIES_H
#define KERNEL_COMPARE_POLICIES_H

#include <jansson.h>

#include "protocol/buffer.h"

struct findings;
struct policy;

/* Each adds at most one difference. 0 or -ENOMEM. */

/* Of text, HTML, SVG, and errors as text: after all rules, numbers with tolerance. */
int policy_compare_text(struct findings *findings, const struct policy *policy,
                        json_int_t output, struct slice expected, struct slice actual);

/* Of any JSON: members in any order, numbers with tolerance, without what is ignored. */
int policy_compare_json(struct findings *findings, const struct policy *policy,
                        json_int_t output, const json_t *expected, const json_t *actual);

/* EXPECTED and ACTUAL are base64. */
int policy_compare_image(struct findings *findings, const struct policy *policy,
                         json_int_t output, struct slice expected, struct slice actual);

/* Bytes: of what base64 stands for, when both sides are that. */
int policy_compare_exact(struct findings *findings, const struct policy *policy,
                         json_int_t output, struct slice expected, struct slice actual);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * difference - what is told of two outputs that do not agree
 */
#ifndef KERNEL_COMPARE_DIFFERENCE_H
#define KERNEL_COMPARE_DIFFERENCE_H

#include <jansson.h>
#include <stdbool.h>

#include "protocol/buffer.h"

#define DIFFERENCE_OF_STREAM (-1)

struct policy;
struct settings;

/* Of one cell. */
struct findings {
    struct settings *settings; /* borrowed */
    json_t *differences; /* borrowed: an array */
    bool propose;
};

/* Plain data; docs/notebook-tests.md says what the members are. Trees are handed over
 * to findings_add; what is NULL becomes null, or an empty array. */
struct difference {
    const char *type; /* NULL: a whole output */
    json_int_t output; /* or DIFFERENCE_OF_STREAM */
    const char *kind;
    const char *policy; /* or NULL */
    char message[512];
    struct slice expected, actual; /* data NULL: none */
    json_t *lines, *numbers, *image, *rules;
};

/* The members that POLICY and OUTPUT give; FORMAT makes the message. */
__attribute__((format(printf, 5, 6))) void
difference_init(struct difference *ret, const struct policy *policy, json_int_t output,
                const char *kind, const char *format, ...);

bool findings_are_full(const struct findings *findings);

/* Takes the trees of DIFFERENCE. When there are COMPARE_DIFFERENCES_MAX, it is dropped.
 * 0 or -ENOMEM. */
int findings_add(struct findings *findings, struct difference *difference);

/* Notes that a side cannot be read: WHY is a sentence. 0 or -ENOMEM. */
int findings_add_invalid(struct findings *findings, const struct policy *policy,
                         json_int_t output, bool is_actual, const char *why);

#endif

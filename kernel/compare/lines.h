/* SPDX-License-Identifier: MIT */
/*
 * lines - the difference of two texts, line by line
 */
#ifndef KERNEL_COMPARE_LINES_H
#define KERNEL_COMPARE_LINES_H

#include <jansson.h>

#include "protocol/buffer.h"

#define LINES_CONTEXT 3
#define LINES_SHOWN_BYTES_MAX 1000 /* of one line: around where it differs */

struct tolerance;

/* Plain data; the trees are the caller's. */
struct lines_difference {
    json_t *lines; /* array of [mark, text], see docs/notebook-tests.md */
    json_t *numbers; /* array: in lines that stand in each other's place */
    json_t *pairs; /* array of [expected, actual], whole: such lines */
    size_t removed, added;
    size_t first; /* line of EXPECTED, from 1 */
};

/* Lines that differ only in numbers within TOLERANCE are equal. 0 or -ENOMEM. */
int lines_compare(struct lines_difference *ret, struct slice expected,
                  struct slice actual, const struct tolerance *tolerance);
void lines_difference_fini(struct lines_difference *difference);

#endif

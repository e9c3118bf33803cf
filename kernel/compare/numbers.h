/* SPDX-License-Identifier: MIT */
/*
 * numbers - numbers in text, and whether two are near enough
 */
#ifndef KERNEL_COMPARE_NUMBERS_H
#define KERNEL_COMPARE_NUMBERS_H

#include <jansson.h>
#include <stdbool.h>

#include "protocol/buffer.h"

#define NUMBERS_MAX 100 /* of a difference's "numbers" */

/* Plain data. */
struct tolerance {
    double rtol, atol;
};

/* Whether two doubles agree. NaN agrees with NaN, an infinity with itself. */
bool numbers_near(double expected, double actual, const struct tolerance *tolerance);

/* Whether two texts are the same but for numbers with a fraction or an exponent, which
 * are near enough. Where such numbers are not equally long, the amount of spaces
 * does not count: columns are as wide as their numbers. */
bool numbers_texts_agree(struct slice expected, struct slice actual,
                         const struct tolerance *tolerance);

/* Appends to RET (an array; at most NUMBERS_MAX in all) the pairs of numbers of two lines
 * that are too far apart, as far as the lines are the same otherwise. 0 or -ENOMEM. */
int numbers_far(json_t *ret, struct slice expected, struct slice actual,
                const struct tolerance *tolerance);

/* Appends one such pair. 0 or -ENOMEM. */
int numbers_add(json_t *ret, double expected, double actual);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * sets - the order of what stands in braces on one line
 */
#ifndef KERNEL_COMPARE_SETS_H
#define KERNEL_COMPARE_SETS_H

#include "protocol/buffer.h"

#define SETS_ITEMS_MAX 10000 /* of one set, in at most 64 KiB; a larger one stays */

/* Appends TEXT with the items of each set in the order of their bytes. A set is {...} on
 * one line without a colon among its items: what has one is a dictionary, whose order
 * means something. Results of buffer_append. */
int sets_order(struct slice text, struct buffer *ret);

#endif

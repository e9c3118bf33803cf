/* SPDX-License-Identifier: MIT */
/*
 * base64 - as notebooks have it: in one piece, in lines, with a line end behind it
 */
#ifndef KERNEL_COMPARE_BASE64_H
#define KERNEL_COMPARE_BASE64_H

#include <jansson.h>

#include "protocol/buffer.h"

/* Appends the bytes that TEXT stands for. 0, COMPARE_E_INVALID (it is none, RET is full),
 * -ENOMEM. */
int base64_decode(struct slice text, struct buffer *ret);

/* The caller owns *ret, a string. 0 or -ENOMEM. */
int base64_encode(json_t **ret, struct slice bytes);

#endif

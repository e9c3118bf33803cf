/* SPDX-License-Identifier: MIT */
/*
 * text - UTF-8, JSON strings, hexadecimal
 *
 * What a program prints is bytes; what goes to a client is UTF-8 in JSON. Here is the one
 * place that turns the first into the second.
 */
#ifndef PROTOCOL_TEXT_H
#define PROTOCOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/buffer.h"

/* True when all LENGTH bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong
 * forms, at most U+10FFFF). */
bool text_is_utf8(const void *data, size_t length);

/* The length (1 to 4) of the well-formed character that DATA begins with, 0: there is
 * none.
 */
size_t text_utf8_character(const void *data, size_t length);

/* The length of the prefix that does not end inside a sequence which more bytes could
 * still complete: LENGTH less 0 to 3. */
size_t text_utf8_whole(const void *data, size_t length);

/* Appends DATA with each ill-formed sequence replaced by U+FFFD (maximal subparts, as
 * Unicode 15, section 3.9 recommends). Results of buffer_append. */
int text_append_utf8(struct buffer *buffer, const void *data, size_t length);

/* Appends a JSON string, quotes included; DATA as for text_append_utf8. */
int text_append_json(struct buffer *buffer, const void *data, size_t length);

/* Writes 2 * LENGTH lower-case digits and a NUL. */
void text_hex(char *ret, const void *data, size_t length);

#endif

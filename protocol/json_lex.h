/* SPDX-License-Identifier: MIT */
/*
 * json_lex - what the scanner and the reader of JSON share
 */
#ifndef PROTOCOL_JSON_LEX_H
#define PROTOCOL_JSON_LEX_H

#include <stdbool.h>
#include <stdint.h>

static inline bool
json_is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static inline bool
json_is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static inline const uint8_t *
json_skip_space(const uint8_t *at, const uint8_t *end)
{
    while (at < end && json_is_space(*at))
        at++;
    return at;
}

/* Reads the digits behind "\u", and the escape behind it when the two are a pair. RET is
 * a code point or a lone surrogate; NULL when the digits are wrong. */
const uint8_t *json_read_unit(const uint8_t *at, const uint8_t *end, uint32_t *ret);

#endif

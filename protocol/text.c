/* SPDX-License-Identifier: MIT */
#include "protocol/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"
#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* What one look at a sequence's start found. */
struct sequence {
    size_t length; /* bytes that belong together: a character, or a maximal subpart */
    bool valid;
    bool partial; /* the input ended before the sequence could be told */
};

/* The range that the second byte must be in, by the first (Unicode table 3-7). */
static size_t
sequence_needs(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0)
            *low = 0xa0;
        if (lead == 0xed)
            *high = 0x9f;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0)
            *low = 0x90;
        if (lead == 0xf4)
            *high = 0x8f;
        return 4;
    }
    return 0;
}

static struct sequence
sequence_at(const uint8_t *data, size_t length)
{
    uint8_t low, high;
    size_t needs;

    if (data[0] < 0x80)
        return (struct sequence){ .length = 1, .valid = true };
    needs = sequence_needs(data[0], &low, &high);
    if (needs == 0)
        return (struct sequence){ .length = 1 };
    for (size_t i = 1; i < needs; i++) {
        if (i == length)
            return (struct sequence){ .length = i, .partial = true };
        if (data[i] < low || data[i] > high)
            return (struct sequence){ .length = i };
        low = 0x80;
        high = 0xbf;
    }
    return (struct sequence){ .length = needs, .valid = true };
}

/* The length of the well-formed prefix. */
static size_t
valid_prefix(const uint8_t *data, size_t length)
{
    size_t i = 0;

    while (i < length) {
        uint64_t word;
        struct sequence sequence;

        if (length - i >= sizeof word) { /* eight ASCII bytes at a time */
            memcpy(&word, data + i, sizeof word);
            if ((word & HIGHS) == 0) {
                i += sizeof word;
                continue;
            }
        }
        sequence = sequence_at(data + i, length - i);
        if (!sequence.valid)
            break;
        i += sequence.length;
    }
    return i;
}

bool
text_is_utf8(const void *data, size_t length)
{
    return valid_prefix(data, length) == length;
}

size_t
text_utf8_character(const void *data, size_t length)
{
    struct sequence sequence = { 0 };

    if (length > 0)
        sequence = sequence_at(data, length);
    return sequence.valid ? sequence.length : 0;
}

size_t
text_utf8_whole(const void *data, size_t length)
{
    const uint8_t *bytes = data;

    for (size_t back = 1; back <= 3 && back <= length; back++) {
        struct sequence sequence = sequence_at(bytes + length - back, back);

        if (sequence.partial && sequence.length == back)
            return length - back;
    }
    return length;
}

int
text_append_utf8(struct buffer *buffer, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    size_t i = 0;
    int r;

    while (i < length) {
        size_t n = valid_prefix(bytes + i, length - i);

        r = buffer_append(buffer, bytes + i, n);
        if (r != 0)
            return r;
        i += n;
        if (i == length)
            break;
        r = buffer_append_text(buffer, REPLACEMENT);
        if (r != 0)
            return r;
        i += sequence_at(bytes + i, length - i).length;
    }
    return 0;
}

/* Not zero when a byte of WORD must be escaped: control, quote or backslash. */
static uint64_t
escapable(uint64_t word)
{
    uint64_t quote = word ^ (ONES * '"'), backslash = word ^ (ONES * '\\');

    return (((word - ONES * 0x20) & ~word) | ((quote - ONES) & ~quote) |
            ((backslash - ONES) & ~backslash)) &
           HIGHS;
}

/* The length of what needs no escape at the start. */
static size_t
unescaped_prefix(const uint8_t *data, size_t length)
{
    uint64_t word;
    size_t i = 0;

    while (length - i >= sizeof word) {
        memcpy(&word, data + i, sizeof word);
        if (escapable(word) != 0)
            break;
        i += sizeof word;
    }
    while (i < length && data[i] >= 0x20 && data[i] != '"' && data[i] != '\\')
        i++;
    return i;
}

static int
append_escape(struct buffer *buffer, uint8_t byte)
{
    static const char names[] = "btn?fr"; /* from 0x08 on; \v has no short form */
    char escape[8] = { '\\', (char)byte };

    if (byte >= 0x08 && byte <= 0x0d && byte != 0x0b)
        escape[1] = names[byte - 0x08];
    else if (byte < 0x20)
        snprintf(escape, sizeof escape, "\\u%04x", byte);
    return buffer_append(buffer, escape, byte < 0x20 && escape[1] == 'u' ? 6 : 2);
}

int
text_append_json(struct buffer *buffer, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    size_t i = 0, n;
    int r;

    r = buffer_append(buffer, "\"", 1);
    while (r == 0 && i < length) {
        n = unescaped_prefix(bytes + i, length - i);
        r = text_append_utf8(buffer, bytes + i, n);
        i += n;
        if (r == 0 && i < length)
            r = append_escape(buffer, bytes[i++]);
    }
    return r != 0 ? r : buffer_append(buffer, "\"", 1);
}

void
text_hex(char *ret, const void *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;

    for (size_t i = 0; i < length; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * length] = '\0';
}

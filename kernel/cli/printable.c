/* SPDX-License-Identifier: MIT */
#include "kernel/cli/printable.h"

#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/text.h"

#define ESC 0x1b
#define BEL 0x07
#define DEL 0x7f
#define CAN 0x18
#define SUB 0x1a
#define PICTURES 0x2400 /* U+2400 + c is the picture of the control character c */
#define PICTURE_OF_DEL 0x2421
#define REPLACEMENT 0xfffd

/* Ranges that are not one column wide; sorted. */
static const struct range {
    uint32_t first, last;
    int width;
} ranges[] = {
    { 0x0300, 0x036f, 0 },   { 0x0483, 0x0489, 0 },   { 0x0591, 0x05bd, 0 },
    { 0x0610, 0x061a, 0 },   { 0x064b, 0x065f, 0 },   { 0x093c, 0x093c, 0 },
    { 0x0941, 0x0948, 0 },   { 0x1100, 0x115f, 2 },   { 0x1160, 0x11ff, 0 },
    { 0x1ab0, 0x1aff, 0 },   { 0x1dc0, 0x1dff, 0 },   { 0x200b, 0x200f, 0 },
    { 0x202a, 0x202e, 0 },   { 0x2060, 0x2064, 0 },   { 0x20d0, 0x20ff, 0 },
    { 0x231a, 0x231b, 2 },   { 0x23e9, 0x23ec, 2 },   { 0x25fd, 0x25fe, 2 },
    { 0x2614, 0x2615, 2 },   { 0x2705, 0x2705, 2 },   { 0x274c, 0x274c, 2 },
    { 0x2e80, 0x303e, 2 },   { 0x3041, 0xa4cf, 2 },   { 0xac00, 0xd7a3, 2 },
    { 0xf900, 0xfaff, 2 },   { 0xfe00, 0xfe0f, 0 },   { 0xfe20, 0xfe2f, 0 },
    { 0xfe30, 0xfe6f, 2 },   { 0xfeff, 0xfeff, 0 },   { 0xff00, 0xff60, 2 },
    { 0xffe0, 0xffe6, 2 },   { 0x1f300, 0x1f64f, 2 }, { 0x1f680, 0x1f6ff, 2 },
    { 0x1f900, 0x1f9ff, 2 }, { 0x20000, 0x3fffd, 2 },
};

int
printable_width(uint32_t character)
{
    for (size_t i = 0; i < N_ELEMENTS(ranges) && character >= ranges[i].first; i++) {
        if (character <= ranges[i].last)
            return ranges[i].width;
    }
    return 1;
}

uint32_t
printable_character(struct slice text, size_t *ret_length)
{
    static const uint8_t masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    size_t length = text_utf8_character(text.data, text.length);
    uint32_t character;

    if (length == 0) { /* not from JSON: a byte for itself */
        *ret_length = 1;
        return REPLACEMENT;
    }
    character = text.data[0] & masks[length];
    for (size_t i = 1; i < length; i++)
        character = character << 6 | (text.data[i] & 0x3f);
    *ret_length = length;
    return character;
}

size_t
printable_columns(const char *text)
{
    struct slice rest = slice_text(text);
    size_t columns = 0, length;

    while (rest.length > 0) {
        columns += (size_t)printable_width(printable_character(rest, &length));
        rest.data += length;
        rest.length -= length;
    }
    return columns;
}

static int
append_character(struct buffer *ret, uint32_t character)
{
    const char bytes[] = { (char)(0xe0 | character >> 12),
                           (char)(0x80 | (character >> 6 & 0x3f)),
                           (char)(0x80 | (character & 0x3f)) };

    return buffer_append(ret, bytes, sizeof bytes);
}

/* A control character that is not obeyed, C0 or C1. */
static int
append_picture(struct buffer *ret, uint32_t character)
{
    if (character == DEL)
        return append_character(ret, PICTURE_OF_DEL);
    return append_character(ret, character < 0x20 ? PICTURES + character : REPLACEMENT);
}

static void
hold(struct printable *printable, uint8_t byte)
{
    if (printable->length < sizeof printable->held)
        printable->held[printable->length] = (char)byte;
    printable->length++;
}

static void
begin(struct printable *printable, enum printable_state state)
{
    printable->state = state;
    printable->length = 0;
    hold(printable, ESC);
    if (state == PRINTABLE_CONTROL)
        hold(printable, '[');
}

static bool
is_colour(const struct printable *printable)
{
    static const char digits[] = "0123456789;:";
    size_t length = printable->length;

    return length >= 3 && length <= sizeof printable->held && printable->held[1] == '[' &&
           printable->held[length - 1] == 'm' &&
           length - 3 == strspn(printable->held + 2, digits);
}

static bool
is_reset(const struct printable *printable)
{
    return strspn(printable->held + 2, "0") == printable->length - 3;
}

/* A sequence is whole. */
static int
end_sequence(struct printable *printable, struct buffer *ret)
{
    bool colour = is_colour(printable);

    printable->state = PRINTABLE_TEXT;
    if (colour && printable->colours)
        printable->coloured = !is_reset(printable);
    if (colour ? !printable->colours : printable->terminal)
        return 0;
    return buffer_append(ret, printable->held, printable->length);
}

static int
on_control_character(struct printable *printable, uint32_t character, struct buffer *ret)
{
    if (character == ESC) {
        begin(printable, PRINTABLE_ESCAPE);
        return 0;
    }
    if (character == '\n' || character == '\r' || character == '\b' || character == '\t')
        return buffer_append(ret, (const char[]){ (char)character }, 1);
    switch (character) {
    case 0x9b: /* CSI */
        begin(printable, PRINTABLE_CONTROL);
        return 0;
    case 0x90: /* DCS */
    case 0x98: /* SOS */
    case 0x9d: /* OSC */
    case 0x9e: /* PM */
    case 0x9f: /* APC */
        begin(printable, PRINTABLE_STRING);
        return 0;
    default:
        return append_picture(ret, character);
    }
}

/* Returns whether CHARACTER is used up; else it is text again. */
static bool
on_sequence(struct printable *printable, uint32_t character, struct buffer *ret,
            int *ret_result)
{
    bool is_string = printable->state == PRINTABLE_STRING ||
                     printable->state == PRINTABLE_STRING_ESCAPE;

    *ret_result = 0;
    if (character == CAN || character == SUB) {
        printable->state = PRINTABLE_TEXT;
        return true;
    }
    if (is_string) {
        bool ended = character == BEL || character == 0x9c ||
                     (printable->state == PRINTABLE_STRING_ESCAPE && character == '\\');

        if (ended || ++printable->length > PRINTABLE_STRING_BYTES)
            printable->state = PRINTABLE_TEXT;
        else if (printable->state == PRINTABLE_STRING_ESCAPE) {
            begin(printable, PRINTABLE_ESCAPE); /* it was the beginning of another */
            return on_sequence(printable, character, ret, ret_result);
        } else if (character == ESC)
            printable->state = PRINTABLE_STRING_ESCAPE;
        return true;
    }
    if (character < 0x20 || character > 0x7e) { /* no part of a sequence */
        printable->state = PRINTABLE_TEXT;
        return false;
    }
    hold(printable, (uint8_t)character);
    if (printable->state == PRINTABLE_CONTROL) {
        if (character >= 0x40)
            *ret_result = end_sequence(printable, ret);
    } else if (character == '[') {
        printable->state = PRINTABLE_CONTROL;
    } else if (strchr("]PX^_", (int)character) != NULL) {
        printable->state = PRINTABLE_STRING;
    } else if (character >= 0x30) {
        *ret_result = end_sequence(printable, ret);
    }
    return true;
}

/* Only colours are of interest: all else is given back as it came. */
static int
pass(struct printable *printable, uint32_t character, struct slice bytes,
     struct buffer *ret)
{
    if (printable->state == PRINTABLE_TEXT && character == ESC) {
        begin(printable, PRINTABLE_ESCAPE);
        return 0;
    }
    if (printable->state == PRINTABLE_ESCAPE && character == '[') {
        hold(printable, '[');
        printable->state = PRINTABLE_CONTROL;
        return 0;
    }
    if (printable->state == PRINTABLE_CONTROL && character >= 0x20 && character < 0x7f &&
        printable->length < sizeof printable->held) {
        hold(printable, (uint8_t)character);
        return character >= 0x40 ? end_sequence(printable, ret) : 0;
    }
    if (printable->state != PRINTABLE_TEXT) {
        int r = buffer_append(ret, printable->held, printable->length);

        printable->state = PRINTABLE_TEXT;
        return r != 0 ? r : pass(printable, character, bytes, ret);
    }
    return buffer_append(ret, bytes.data, bytes.length);
}

static int
filter(struct printable *printable, uint32_t character, struct slice bytes,
       struct buffer *ret)
{
    int r = 0;

    if (printable->state != PRINTABLE_TEXT && on_sequence(printable, character, ret, &r))
        return r;
    if (character < 0x20 || (character >= DEL && character < 0xa0))
        return on_control_character(printable, character, ret);
    if (character == REPLACEMENT) /* it, or a byte that is no character */
        return append_character(ret, REPLACEMENT);
    return buffer_append(ret, bytes.data, bytes.length);
}

int
printable_append(struct printable *printable, struct slice text, struct buffer *ret)
{
    int r = 0;

    while (r == 0 && text.length > 0) {
        struct slice one = { text.data, 0 };
        uint32_t character = printable_character(text, &one.length);

        r = printable->terminal ? filter(printable, character, one, ret)
                                : pass(printable, character, one, ret);
        text.data += one.length;
        text.length -= one.length;
    }
    return r;
}

int
printable_finish(struct printable *printable, struct buffer *ret)
{
    int r = 0;

    if (!printable->terminal && printable->state != PRINTABLE_TEXT)
        r = buffer_append(ret, printable->held, printable->length);
    if (r == 0 && printable->terminal && printable->coloured)
        r = buffer_append_text(ret, "\x1b[0m");
    printable->state = PRINTABLE_TEXT;
    printable->coloured = false;
    return r;
}

int
printable_append_line(struct buffer *ret, const char *text)
{
    struct slice rest = slice_text(text);
    int r = 0;

    while (r == 0 && rest.length > 0) {
        size_t length;
        uint32_t character = printable_character(rest, &length);

        if (character < 0x20 || (character >= DEL && character < 0xa0))
            r = append_picture(ret, character);
        else if (character == REPLACEMENT)
            r = append_character(ret, REPLACEMENT);
        else
            r = buffer_append(ret, rest.data, length);
        rest.data += length;
        rest.length -= length;
    }
    return r;
}

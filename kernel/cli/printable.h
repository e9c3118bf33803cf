/* SPDX-License-Identifier: MIT */
/*
 * printable - what of a program's text may reach a terminal
 *
 * A terminal obeys what it is shown: text can rename its window, write its clipboard, or
 * have it type an answer. What passes here is printable characters, \n, \r, \b, \t, and
 * colours (SGR). Other escape sequences vanish, other control characters become the
 * pictures that Unicode has for them. A sequence may be split anywhere over calls.
 */
#ifndef KERNEL_CLI_PRINTABLE_H
#define KERNEL_CLI_PRINTABLE_H

#include <stdbool.h>

#include "protocol/buffer.h"

#define PRINTABLE_SEQUENCE_BYTES 64 /* longer ones are not kept */
#define PRINTABLE_STRING_BYTES 4096 /* as much of an unended one vanishes */

enum printable_state {
    PRINTABLE_TEXT,
    PRINTABLE_ESCAPE, /* behind ESC */
    PRINTABLE_CONTROL, /* a CSI sequence */
    PRINTABLE_STRING, /* OSC, DCS and the like, up to their end */
    PRINTABLE_STRING_ESCAPE /* behind an ESC in one */
};

/* Plain data, zeroed at first but for the two choices. */
struct printable {
    bool terminal; /* else all passes but the colours */
    bool colours; /* whether these pass */
    enum printable_state state;
    bool coloured; /* what passed last was not a reset */
    char held[PRINTABLE_SEQUENCE_BYTES]; /* of a sequence, from its ESC on */
    size_t length; /* of it, also beyond what is held */
};

/* Appends what passes of TEXT, which is UTF-8, whole characters. Results of
 * buffer_append. */
int printable_append(struct printable *printable, struct slice text, struct buffer *ret);

/* The text is over: a sequence that is not ended is dropped, and colours are reset. */
int printable_finish(struct printable *printable, struct buffer *ret);

/* Appends TEXT for a place of one line: no colours, control characters as pictures. */
int printable_append_line(struct buffer *ret, const char *text);

/* How many columns a terminal needs for a character: 0, 1 or 2. */
int printable_width(uint32_t character);

/* The character that TEXT (whole, well-formed) begins with. RET_LENGTH: its bytes. */
uint32_t printable_character(struct slice text, size_t *ret_length);

/* The columns of a text without control characters. */
size_t printable_columns(const char *text);

#endif

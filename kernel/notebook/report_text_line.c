/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/cli/printable.h"
#include "kernel/notebook/report_read.h"
#include "kernel/notebook/report_text.h"

#define LINE_COLUMNS_MAX 2000 /* of a line that is not broken */
#define TAB_COLUMNS 8
#define COLOURED_BYTES_MAX ((size_t)64 * 1024) /* of a traceback */

const struct text_look text_look_plain = {
    "", "", "", "", "", { "", "" }, { "", "" }, ""
};
const struct text_look text_look_coloured = {
    .title = "\x1b[1m",
    .faint = "\x1b[2m",
    .good = "\x1b[32m",
    .warn = "\x1b[33m",
    .bad = "\x1b[1;31m",
    .sides = { "\x1b[31m", "\x1b[32m" },
    .parts = { "\x1b[1;7;31m", "\x1b[1;7;32m" },
    .end = "\x1b[0m",
};

void
text_glyph_read(struct text_glyph *ret, struct slice text, unsigned column)
{
    uint32_t character = printable_character(text, &ret->bytes);

    if (character == '\t') {
        ret->width = TAB_COLUMNS - column % TAB_COLUMNS;
        ret->length = ret->width;
        memset(ret->text, ' ', ret->length);
    } else if (character < 0x20) { /* the pictures of control characters */
        ret->length = (size_t)snprintf(ret->text, sizeof ret->text, "\xe2\x90%c",
                                       (int)(0x80 | character));
        ret->width = 1;
    } else if (character == 0x7f || (character > 0x7f && character < 0xa0) ||
               report_is_hidden(character)) {
        ret->length = (size_t)snprintf(ret->text, sizeof ret->text, "<U+%04X>",
                                       (unsigned)character);
        ret->width = (unsigned)ret->length;
    } else if (character == 0xfffd) { /* it, or a byte that is no character */
        ret->length = 3;
        memcpy(ret->text, "\xef\xbf\xbd", ret->length);
        ret->width = 1;
    } else {
        ret->length = ret->bytes;
        memcpy(ret->text, text.data, ret->length);
        ret->width = (unsigned)printable_width(character);
    }
}

void
text_put_line(struct ink *ink, struct slice text)
{
    unsigned column = 0;

    while (text.length > 0 && column < LINE_COLUMNS_MAX) {
        struct text_glyph glyph;

        text_glyph_read(&glyph, text, column);
        ink_slice(ink, (struct slice){ (const uint8_t *)glyph.text, glyph.length });
        column += glyph.width;
        text.data += glyph.bytes;
        text.length -= glyph.bytes;
    }
    if (text.length > 0)
        ink_format(ink, " ... %zu more bytes", text.length);
}

void
text_put_styled(const struct text_paper *paper, const char *style, const char *text)
{
    ink_text(paper->ink, style);
    text_put_line(paper->ink, slice_text(text));
    ink_text(paper->ink, paper->look->end);
}

/* The end of TEXT with at most ROWS lines and COLOURED_BYTES_MAX bytes. RET_LEFT_OUT:
 * lines before it. */
static struct slice
last_lines(struct slice text, size_t rows, size_t *ret_left_out)
{
    size_t begin = text.length, found = 0;

    *ret_left_out = 0;
    while (text.length > 0 && text.data[text.length - 1] == '\n')
        text.length--;
    for (begin = text.length; begin > 0; begin--) {
        if (text.data[begin - 1] == '\n' && ++found == rows)
            break;
        if (text.length - begin >= COLOURED_BYTES_MAX &&
            (text.data[begin] & 0xc0) != 0x80) /* whole characters */
            break;
    }
    for (size_t i = 0; i < begin; i++)
        *ret_left_out += text.data[i] == '\n';
    return (struct slice){ text.data + begin, text.length - begin };
}

void
text_put_coloured(const struct text_paper *paper, struct slice text, unsigned indent,
                  size_t rows)
{
    struct printable filter = { .terminal = true,
                                .colours =
                                    paper->columns > 0 && paper->look->end[0] != '\0' };
    struct ink *ink = paper->ink;
    size_t left_out;

    text = last_lines(text, rows, &left_out);
    if (left_out > 0) {
        ink_format(ink, "%*s... ", (int)indent, "");
        ink_count(ink, left_out, "line before", "lines before");
        ink_text(ink, "\n");
    }
    ink_repeat(ink, ' ', indent);
    for (size_t at = 0, end; at < text.length && ink->failure == 0; at = end + 1) {
        /* What moves the cursor within a line does not pass. */
        for (end = at; end < text.length && strchr("\n\r\b", text.data[end]) == NULL;)
            end++;
        ink->failure = printable_append(
            &filter, (struct slice){ text.data + at, end - at }, &ink->buffer);
        if (end < text.length && text.data[end] == '\n') {
            ink_text(ink, "\n");
            ink_repeat(ink, ' ', indent);
        }
    }
    if (ink->failure == 0)
        ink->failure = printable_finish(&filter, &ink->buffer);
    ink_text(ink, "\n");
}

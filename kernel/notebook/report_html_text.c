/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <sodium.h>

#include "kernel/cli/printable.h"
#include "kernel/notebook/report_html.h"
#include "kernel/notebook/report_read.h"
#include "protocol/cleanup.h"
#include "protocol/text.h"

#define FILTERED_BYTES_MAX (4 * HTML_TEXT_BYTES_MAX) /* pictures are 3 bytes */
#define PARAMETERS_MAX 16 /* of an escape sequence */
#define NONE (-1)

static bool
put_special(struct ink *ink, uint8_t byte)
{
    static const char *const names[] = { ['&'] = "&amp;",
                                         ['<'] = "&lt;",
                                         ['>'] = "&gt;",
                                         ['"'] = "&quot;",
                                         ['\''] = "&#39;" };

    if (byte >= N_ELEMENTS(names) || names[byte] == NULL)
        return false;
    ink_text(ink, names[byte]);
    return true;
}

/* As they are called; few typefaces have pictures of them. */
static const char *const controls[0x20] = {
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS",  "TAB", "LF",
    "VT",  "FF",  "CR",  "SO",  "SI",  "DLE", "DC1", "DC2", "DC3", "DC4", "NAK",
    "SYN", "ETB", "CAN", "EM",  "SUB", "ESC", "FS",  "GS",  "RS",  "US",
};

static void
put_character(struct ink *ink, uint32_t character, struct slice bytes)
{
    if (character < 0x20 && character != '\n' && character != '\t')
        ink_format(ink, "<span class=\"u\">%s</span>", controls[character]);
    else if ((character >= 0x7f && character < 0xa0) || report_is_hidden(character))
        ink_format(ink, "<span class=\"u\">U+%04X</span>", (unsigned)character);
    else if (character == 0xfffd) /* it, or a byte that is no character */
        ink_text(ink, "&#xfffd;");
    else if (!put_special(ink, bytes.data[0]))
        ink_slice(ink, bytes);
}

static void
put_all(struct ink *ink, struct slice text)
{
    while (text.length > 0 && ink->failure == 0) {
        struct slice one = { text.data, 0 };
        uint32_t character = printable_character(text, &one.length);

        put_character(ink, character, one);
        text.data += one.length;
        text.length -= one.length;
    }
}

static struct slice
cut(struct slice text, size_t max)
{
    if (text.length > max)
        text.length = text_utf8_whole(text.data, max);
    return text;
}

static void
put_left_out(struct ink *ink, size_t bytes)
{
    if (bytes > 0)
        ink_format(ink, "<span class=\"u\">%zu more bytes</span>", bytes);
}

void
html_put_text(struct ink *ink, struct slice text, size_t max)
{
    struct slice begun = cut(text, max);

    put_all(ink, begun);
    put_left_out(ink, text.length - begun.length);
}

void
html_put_name(struct ink *ink, const char *text)
{
    html_put_text(ink, slice_text(text), HTML_NAME_BYTES_MAX);
}

void
html_put_attribute(struct ink *ink, struct slice text)
{
    while (text.length > 0 && ink->failure == 0) {
        size_t length;
        uint32_t character = printable_character(text, &length);

        if ((character < 0x20 && character != '\n' && character != '\t') ||
            (character >= 0x7f && character < 0xa0) || character == 0xfffd)
            ink_text(ink, "&#xfffd;");
        else if (!put_special(ink, text.data[0]))
            ink_slice(ink, (struct slice){ text.data, length });
        text.data += length;
        text.length -= length;
    }
}

/* How text looks. */
struct ansi {
    int colour; /* 0 to 15, NONE or RGB */
    unsigned rgb;
    bool bold, dim, italic, under, back;
    bool is_open; /* a span is */
};

#define RGB 16 /* a colour of its own */

static const struct ansi plain = { .colour = NONE };

/* A colour of the table of 256. */
static void
set_indexed(struct ansi *ansi, unsigned index)
{
    static const unsigned steps[] = { 0, 95, 135, 175, 215, 255 };

    if (index < 16) {
        ansi->colour = (int)index;
    } else if (index < 232) {
        index -= 16;
        ansi->colour = RGB;
        ansi->rgb =
            steps[index / 36] << 16 | steps[index / 6 % 6] << 8 | steps[index % 6];
    } else {
        ansi->colour = 8; /* the greys: one that can be read on any page */
    }
}

/* The parameters from AT on: 38 or 48 and what follows. Returns how many there are. */
static size_t
set_extended(struct ansi *ansi, const unsigned *values, size_t count)
{
    bool is_text = values[0] == 38;

    if (count >= 3 && values[1] == 5) {
        if (is_text)
            set_indexed(ansi, values[2] & 0xff);
        else
            ansi->back = true;
        return 3;
    }
    if (count >= 5 && values[1] == 2) {
        if (is_text) {
            ansi->colour = RGB;
            ansi->rgb =
                (values[2] & 0xff) << 16 | (values[3] & 0xff) << 8 | (values[4] & 0xff);
        } else {
            ansi->back = true;
        }
        return 5;
    }
    return count;
}

/* What a parameter turns on or off. Backgrounds are all one: their colours are made for
 * other pages. */
static const struct turn {
    unsigned first, last;
    size_t flag; /* of struct ansi */
    bool on;
} turns[] = {
    { 1, 1, offsetof(struct ansi, bold), true },
    { 2, 2, offsetof(struct ansi, dim), true },
    { 3, 3, offsetof(struct ansi, italic), true },
    { 4, 4, offsetof(struct ansi, under), true },
    { 7, 7, offsetof(struct ansi, back), true },
    { 22, 22, offsetof(struct ansi, bold), false },
    { 22, 22, offsetof(struct ansi, dim), false },
    { 23, 23, offsetof(struct ansi, italic), false },
    { 24, 24, offsetof(struct ansi, under), false },
    { 27, 27, offsetof(struct ansi, back), false },
    { 40, 47, offsetof(struct ansi, back), true },
    { 49, 49, offsetof(struct ansi, back), false },
    { 100, 107, offsetof(struct ansi, back), true },
};

static void
set_one(struct ansi *ansi, unsigned value)
{
    if (value == 0)
        *ansi = plain;
    else if (value >= 30 && value <= 37)
        ansi->colour = (int)value - 30;
    else if (value == 39)
        ansi->colour = NONE;
    else if (value >= 90 && value <= 97)
        ansi->colour = (int)value - 90 + 8;
    for (size_t i = 0; i < N_ELEMENTS(turns); i++) {
        if (value >= turns[i].first && value <= turns[i].last)
            *(bool *)((char *)ansi + turns[i].flag) = turns[i].on;
    }
}

/* SEQUENCE is what stands between ESC [ and m. */
static void
set_all(struct ansi *ansi, struct slice sequence)
{
    unsigned values[PARAMETERS_MAX] = { 0 };
    size_t count = 1, at = 0;

    for (size_t i = 0; i < sequence.length; i++) {
        uint8_t byte = sequence.data[i];

        if (byte >= '0' && byte <= '9')
            values[count - 1] = (values[count - 1] * 10 + (byte - '0')) % 10000;
        else if (count == PARAMETERS_MAX)
            break;
        else
            count++;
    }
    while (at < count) {
        if (values[at] == 38 || values[at] == 48)
            at += set_extended(ansi, values + at, count - at);
        else
            set_one(ansi, values[at++]);
    }
}

static void
open_span(struct ink *ink, struct ansi *ansi)
{
    if (ansi->colour == NONE && !ansi->bold && !ansi->dim && !ansi->italic &&
        !ansi->under && !ansi->back)
        return;
    ink_text(ink, "<span class=\"");
    if (ansi->colour >= 0 && ansi->colour < RGB)
        ink_format(ink, "k%d", ansi->colour);
    ink_format(ink, "%s%s%s%s%s\"", ansi->bold ? " bold" : "", ansi->dim ? " dim" : "",
               ansi->italic ? " italic" : "", ansi->under ? " under" : "",
               ansi->back ? " back" : "");
    if (ansi->colour == RGB) /* as much of it as can be read on any page */
        ink_format(ink, " style=\"color:color-mix(in srgb,#%06x 65%%,var(--ink))\"",
                   ansi->rgb);
    ink_text(ink, ">");
    ansi->is_open = true;
}

static void
close_span(struct ink *ink, struct ansi *ansi)
{
    if (ansi->is_open)
        ink_text(ink, "</span>");
    ansi->is_open = false;
}

/* Text in which no other escape sequences are than colours. */
static void
put_spans(struct ink *ink, struct slice text)
{
    struct ansi ansi = plain;

    while (text.length > 0 && ink->failure == 0) {
        const uint8_t *escape = memchr(text.data, 0x1b, text.length), *end;
        struct slice part = { text.data, escape != NULL ? (size_t)(escape - text.data)
                                                        : text.length };

        if (part.length > 0) {
            open_span(ink, &ansi);
            put_all(ink, part);
            close_span(ink, &ansi);
        }
        text.data += part.length;
        text.length -= part.length;
        if (text.length == 0)
            return;
        end = memchr(text.data, 'm', text.length);
        if (end == NULL || end - text.data < 2)
            return;
        set_all(&ansi, (struct slice){ text.data + 2, (size_t)(end - text.data) - 2 });
        text.length -= (size_t)(end + 1 - text.data);
        text.data = end + 1;
    }
}

void
html_put_coloured(struct ink *ink, struct slice text, size_t max)
{
    CLEANUP(buffer_fini) struct buffer filtered;
    struct printable filter = { .terminal = true, .colours = true };
    struct slice begun = cut(text, max);
    int r = 0;

    buffer_init(&filtered, FILTERED_BYTES_MAX);
    for (size_t at = 0, end; r == 0 && at < begun.length; at = end + 1) {
        for (end = at;
             end < begun.length && begun.data[end] != '\r' && begun.data[end] != '\b';)
            end++;
        r = printable_append(&filter, (struct slice){ begun.data + at, end - at },
                             &filtered);
    }
    if (r < 0)
        ink->failure = r;
    put_spans(ink, buffer_slice(&filtered));
    put_left_out(ink, text.length - begun.length);
}

void
html_put_image(struct ink *ink, const char *mime, struct slice bytes, const char *role)
{
    size_t size = sodium_base64_encoded_len(bytes.length, sodium_base64_VARIANT_ORIGINAL);

    ink_format(ink, "<img class=\"%s\" alt=\"%s picture\" src=\"data:%s;base64,", role,
               role, mime);
    if (ink->failure == 0)
        ink->failure = buffer_reserve(&ink->buffer, size);
    if (ink->failure == 0) {
        sodium_bin2base64((char *)ink->buffer.data + ink->buffer.length, size, bytes.data,
                          bytes.length, sodium_base64_VARIANT_ORIGINAL);
        ink->buffer.length += size - 1; /* without its NUL */
    }
    ink_text(ink, "\">");
}

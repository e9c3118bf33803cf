/* SPDX-License-Identifier: MIT */
/*
 * A line is rendered in places, one for each character that it shows. Lines that have
 * nothing to render are copied. Colours belong to the places: what is left of coloured
 * text keeps its colour when the beginning of that text is replaced.
 */
#include "protocol/carriage.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/text.h"

#define ESCAPE 0x1b
#define SEQUENCE_BYTES_MAX 64 /* a longer one is text */
#define PARAMETERS_MAX 16 /* of a sequence; what follows is ignored */
#define NUMBER_MAX 9999
#define STYLE_BYTES 96 /* of the sequence that sets a style */

/* How a colour is set: "31", "91", "38;5;9" or "38;2;255;0;0". */
enum colour_kind { COLOUR_DEFAULT, COLOUR_NAMED, COLOUR_INDEXED, COLOUR_DIRECT };

/* Plain data without padding, so that two can be compared as bytes. */
struct colour {
    uint8_t kind, a, b, c;
};

struct style {
    uint32_t flags; /* bit N: what the parameter N sets, 1 to 9 */
    struct colour front, back;
};

/* A character, its UTF-8 as it is in memory, and the number of its style. */
struct place {
    uint8_t character[4];
    uint32_t style;
};

struct rendering {
    struct buffer *ret; /* borrowed */
    struct buffer places; /* of the line */
    struct buffer styles; /* that the line has had; the last is the present one */
    size_t at; /* the cursor */
    struct style style; /* the present one */
};

static int
add_style(struct rendering *rendering)
{
    return buffer_append(&rendering->styles, &rendering->style, sizeof rendering->style);
}

/* The length of the sequence ESC [ ... m that AT begins with, 0: there is none. */
static size_t
sequence_length(const uint8_t *at, const uint8_t *end)
{
    size_t left = (size_t)(end - at);

    if (left < 3 || at[0] != ESCAPE || at[1] != '[')
        return 0;
    if (left > SEQUENCE_BYTES_MAX)
        left = SEQUENCE_BYTES_MAX;
    for (size_t i = 2; i < left; i++) {
        if (at[i] == 'm')
            return i + 1;
        if ((at[i] < '0' || at[i] > '9') && at[i] != ';' && at[i] != ':')
            return 0;
    }
    return 0;
}

static size_t
read_parameters(unsigned ret[PARAMETERS_MAX], const uint8_t *at, const uint8_t *end)
{
    size_t count = 1;

    ret[0] = 0;
    for (; at < end; at++) {
        if (*at == ';' || *at == ':') {
            if (count == PARAMETERS_MAX)
                break;
            ret[count++] = 0;
        } else if (ret[count - 1] <= NUMBER_MAX / 10) {
            ret[count - 1] = ret[count - 1] * 10 + *at - '0';
        }
    }
    return count;
}

/* What follows a 38 or 48; returns how many parameters that is. */
static size_t
read_colour(struct colour *ret, const unsigned *parameters, size_t count)
{
    if (count >= 2 && parameters[0] == 5) {
        *ret = (struct colour){ COLOUR_INDEXED, (uint8_t)parameters[1], 0, 0 };
        return 2;
    }
    if (count >= 4 && parameters[0] == 2) {
        *ret = (struct colour){ COLOUR_DIRECT, (uint8_t)parameters[1],
                                (uint8_t)parameters[2], (uint8_t)parameters[3] };
        return 4;
    }
    return count;
}

static void
apply(struct style *style, unsigned parameter)
{
    static const uint32_t cleared[] = {
        [2] = 1U << 1 | 1U << 2, [3] = 1U << 3, [4] = 1U << 4, [5] = 1U << 5 | 1U << 6,
        [7] = 1U << 7,           [8] = 1U << 8, [9] = 1U << 9,
    };
    struct colour named = { COLOUR_NAMED, (uint8_t)parameter, 0, 0 };

    if (parameter == 0)
        *style = (struct style){ 0 };
    else if (parameter <= 9)
        style->flags |= 1U << parameter;
    else if (parameter == 39)
        style->front = (struct colour){ 0 };
    else if (parameter == 49)
        style->back = (struct colour){ 0 };
    else if (parameter >= 20 && parameter <= 29)
        style->flags &= ~cleared[parameter - 20];
    else if ((parameter >= 30 && parameter <= 37) || (parameter >= 90 && parameter <= 97))
        style->front = named;
    else if ((parameter >= 40 && parameter <= 47) ||
             (parameter >= 100 && parameter <= 107))
        style->back = named;
}

static void
apply_sequence(struct style *style, const uint8_t *at, size_t length)
{
    unsigned parameters[PARAMETERS_MAX];
    size_t count = read_parameters(parameters, at + 2, at + length - 1);

    for (size_t i = 0; i < count; i++) {
        if (parameters[i] == 38)
            i += read_colour(&style->front, parameters + i + 1, count - i - 1);
        else if (parameters[i] == 48)
            i += read_colour(&style->back, parameters + i + 1, count - i - 1);
        else
            apply(style, parameters[i]);
    }
}

static bool
same_style(const struct style *a, const struct style *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static size_t
print_colour(char *ret, size_t size, struct colour colour, unsigned extended)
{
    int n = 0;

    if (colour.kind == COLOUR_NAMED)
        n = snprintf(ret, size, ";%u", colour.a);
    else if (colour.kind == COLOUR_INDEXED)
        n = snprintf(ret, size, ";%u;5;%u", extended, colour.a);
    else if (colour.kind == COLOUR_DIRECT)
        n = snprintf(ret, size, ";%u;2;%u;%u;%u", extended, colour.a, colour.b, colour.c);
    assert(n >= 0 && (size_t)n < size);
    return (size_t)n;
}

/* Appends what turns text in style FROM into text in style TO. */
static int
change_style(struct buffer *ret, const struct style *from, const struct style *to)
{
    static const struct style none = { 0 };
    char text[STYLE_BYTES], *parameters = text;
    size_t n = 0;

    if (same_style(from, to))
        return 0;
    for (unsigned flag = 1; flag <= 9; flag++) {
        if ((to->flags >> flag & 1) != 0) {
            text[n++] = ';';
            text[n++] = (char)('0' + flag);
        }
    }
    n += print_colour(text + n, sizeof text - n, to->front, 38);
    n += print_colour(text + n, sizeof text - n, to->back, 48);
    text[n] = '\0';
    if (same_style(from, &none))
        parameters++; /* the first semicolon: TO has something to set */
    return buffer_append_format(ret, "\x1b[%s%sm", parameters == text ? "0" : "",
                                parameters);
}

static int
put(struct rendering *rendering, const uint8_t *at, size_t length)
{
    struct place place = {
        .style = (uint32_t)(rendering->styles.length / sizeof(struct style) - 1)
    };
    size_t offset = rendering->at++ * sizeof place;

    memcpy(place.character, at, length);
    if (offset == rendering->places.length)
        return buffer_append(&rendering->places, &place, sizeof place);
    memcpy(rendering->places.data + offset, &place, sizeof place);
    return 0;
}

/* One character, or sequence, of the line; RET: its length. */
static int
step(struct rendering *rendering, const uint8_t *at, const uint8_t *end, size_t *ret)
{
    size_t length;

    *ret = 1;
    if (*at == '\r') {
        rendering->at = 0;
        return 0;
    }
    if (*at == '\b') {
        if (rendering->at > 0)
            rendering->at--;
        return 0;
    }
    length = *at == ESCAPE ? sequence_length(at, end) : 0;
    if (length > 0) {
        *ret = length;
        apply_sequence(&rendering->style, at, length);
        return add_style(rendering);
    }
    length = text_utf8_character(at, (size_t)(end - at));
    if (length > 0)
        *ret = length;
    return put(rendering, at, *ret);
}

/* BEFORE: the style that the line begins in. */
static int
write_places(const struct rendering *rendering, struct style before)
{
    size_t count = rendering->places.length / sizeof(struct place);
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        struct place place;
        struct style style;
        size_t length;

        memcpy(&place, rendering->places.data + i * sizeof place, sizeof place);
        memcpy(&style, rendering->styles.data + place.style * sizeof style, sizeof style);
        length = text_utf8_character(place.character, sizeof place.character);
        r = change_style(rendering->ret, &before, &style);
        before = style;
        if (r == 0)
            r = buffer_append(rendering->ret, place.character, length > 0 ? length : 1);
    }
    return r != 0 ? r : change_style(rendering->ret, &before, &rendering->style);
}

static int
render_line(struct rendering *rendering, const uint8_t *at, const uint8_t *end)
{
    struct style before = rendering->style;
    int r;

    buffer_clear(&rendering->places, SIZE_MAX);
    buffer_clear(&rendering->styles, SIZE_MAX);
    rendering->at = 0;
    r = add_style(rendering);
    while (r == 0 && at < end) {
        size_t length;

        r = step(rendering, at, end, &length);
        at += length;
    }
    return r != 0 ? r : write_places(rendering, before);
}

static int
copy_line(struct rendering *rendering, const uint8_t *at, const uint8_t *end)
{
    int r = buffer_append(rendering->ret, at, (size_t)(end - at));

    while (at < end && (at = memchr(at, ESCAPE, (size_t)(end - at))) != NULL) {
        size_t length = sequence_length(at, end);

        if (length > 0)
            apply_sequence(&rendering->style, at, length);
        at += length > 0 ? length : 1;
    }
    return r;
}

static bool
has_byte(const uint8_t *at, const uint8_t *end, int byte)
{
    return at < end && memchr(at, byte, (size_t)(end - at)) != NULL;
}

static int
take_line(struct rendering *rendering, const uint8_t *at, const uint8_t *end)
{
    while (end > at && end[-1] == '\r') /* nothing is written behind it */
        end--;
    if (!has_byte(at, end, '\r') && !has_byte(at, end, '\b'))
        return copy_line(rendering, at, end);
    return render_line(rendering, at, end);
}

int
carriage_render(struct slice text, struct buffer *ret)
{
    struct rendering rendering = { .ret = ret };
    const uint8_t *at = text.data, *end;
    int r = 0;

    if (text.length == 0)
        return 0;
    end = at + text.length;
    buffer_init(&rendering.places, SIZE_MAX);
    buffer_init(&rendering.styles, SIZE_MAX);
    while (r == 0 && at < end) {
        const uint8_t *line = memchr(at, '\n', (size_t)(end - at));

        r = take_line(&rendering, at, line != NULL ? line : end);
        if (r == 0 && line != NULL)
            r = buffer_append(ret, "\n", 1);
        at = line != NULL ? line + 1 : end;
    }
    buffer_fini(&rendering.places);
    buffer_fini(&rendering.styles);
    return r;
}

/* SPDX-License-Identifier: MIT */
#include "kernel/cli/screen.h"

#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES 65536 /* of text that is made ready at a time */
#define MADE_BYTES_MAX ((size_t)8 * CHUNK_BYTES) /* of it: pictures are longer */
#define TAB_COLUMNS 8
#define COLUMNS_MIN 10

void
screen_init(struct screen *screen, const struct screen_options *options)
{
    *screen = (struct screen){ .options = *options };
    for (int i = 0; i < SCREEN_STREAMS; i++) {
        screen->last[i] = '\n';
        screen->filters[i] = (struct printable){
            .terminal = options->is_terminal[i],
            .colours = options->can_move,
        };
    }
    buffer_init(&screen->text, MADE_BYTES_MAX);
}

void
screen_fini(struct screen *screen)
{
    buffer_fini(&screen->text);
}

void
screen_resize(struct screen *screen, unsigned columns, unsigned rows)
{
    screen->options.columns = columns;
    screen->options.rows = rows;
}

/* Follows the cursor over what was made harmless. A character in the last column leaves
 * the cursor there, until another follows. */
static void
follow(struct screen *screen, struct slice text)
{
    unsigned columns = screen->options.columns;

    while (text.length > 0) {
        size_t length;
        uint32_t character = printable_character(text, &length);
        unsigned width;

        if (character == 0x1b) { /* a colour */
            while (length < text.length && text.data[length - 1] != 'm')
                length++;
            width = 0;
        } else {
            width = character < 0x20 ? 0 : (unsigned)printable_width(character);
        }
        if (character == '\n') {
            screen->row++;
            screen->column = 0;
        } else if (character == '\r') {
            screen->column = 0;
        } else if (character == '\b') {
            screen->column -= screen->column > 0;
        } else if (character == '\t') {
            screen->column += TAB_COLUMNS - screen->column % TAB_COLUMNS;
            if (columns > 0 && screen->column >= columns)
                screen->column = columns - 1;
        } else if (columns > 0 && screen->column + width > columns) {
            screen->row++;
            screen->column = width;
        } else {
            screen->column += width;
        }
        text.data += length;
        text.length -= length;
    }
}

static int
write_out(struct screen *screen, enum screen_stream stream, struct slice text)
{
    return text.length == 0 ? 0
                            : screen->options.write(stream, text, screen->options.arg);
}

/* To the terminal that has the cursor, without following it. */
static int
command_cursor(struct screen *screen, const char *text)
{
    enum screen_stream stream =
        screen->options.is_terminal[SCREEN_OUT] ? SCREEN_OUT : SCREEN_ERR;

    return write_out(screen, stream, slice_text(text));
}

int
screen_hide_status(struct screen *screen)
{
    if (!screen->has_status)
        return 0;
    screen->has_status = false;
    return write_out(screen, SCREEN_ERR, slice_text("\r\x1b[K"));
}

int
screen_show_status(struct screen *screen, const char *text)
{
    unsigned room = screen->options.columns;
    size_t length = strlen(text);
    int r;

    if (!screen->options.is_terminal[SCREEN_ERR] || !screen->options.can_move ||
        screen->column != 0 || room < COLUMNS_MIN)
        return 0;
    if (length > room - 1)
        length = room - 1; /* never to the next line */
    buffer_clear(&screen->text, CHUNK_BYTES);
    r = buffer_append_format(&screen->text, "\r%s%.*s%s\x1b[K",
                             screen->options.colours ? "\x1b[2m" : "", (int)length, text,
                             screen->options.colours ? "\x1b[0m" : "");
    if (r != 0)
        return r < 0 ? r : 0;
    screen->has_status = true;
    return write_out(screen, SCREEN_ERR, buffer_slice(&screen->text));
}

/* What is in screen->text goes out. */
static int
flush(struct screen *screen, enum screen_stream stream)
{
    struct slice made = buffer_slice(&screen->text);
    int r;

    if (made.length == 0)
        return 0;
    screen->last[stream] = (char)made.data[made.length - 1];
    r = write_out(screen, stream, made);
    if (screen->options.is_terminal[stream])
        follow(screen, made);
    return r;
}

static int
print(struct screen *screen, enum screen_stream stream, struct printable *filter,
      struct slice text)
{
    int r = screen->options.is_terminal[stream] ? screen_hide_status(screen) : 0;

    while (r == 0 && text.length > 0) {
        struct slice part = text;

        if (part.length > CHUNK_BYTES) {
            part.length = CHUNK_BYTES;
            while ((part.data[part.length] & 0xc0) == 0x80) /* a whole character */
                part.length--;
        }
        buffer_clear(&screen->text, CHUNK_BYTES);
        r = printable_append(filter, part, &screen->text);
        if (r == 0)
            r = flush(screen, stream);
        text.data += part.length;
        text.length -= part.length;
    }
    return r;
}

int
screen_print(struct screen *screen, enum screen_stream stream, struct slice text)
{
    if (!screen->options.is_terminal[stream] && text.length > 0) {
        screen->last[stream] = (char)text.data[text.length - 1];
        return write_out(screen, stream, text);
    }
    return print(screen, stream, &screen->filters[stream], text);
}

int
screen_print_coloured(struct screen *screen, enum screen_stream stream, struct slice text)
{
    struct printable filter = { .terminal = screen->options.is_terminal[stream],
                                .colours = screen->options.colours &&
                                           screen->options.is_terminal[stream] };
    int r = print(screen, stream, &filter, text);

    buffer_clear(&screen->text, CHUNK_BYTES);
    if (r == 0)
        r = printable_finish(&filter, &screen->text);
    return r != 0 ? r : flush(screen, stream);
}

int
screen_print_raw(struct screen *screen, enum screen_stream stream, struct slice text)
{
    int r = screen->options.is_terminal[stream] ? screen_hide_status(screen) : 0;

    screen->known_row = screen->row += UINT32_MAX;
    return r != 0 ? r : write_out(screen, stream, text);
}

int
screen_begin_line(struct screen *screen, enum screen_stream stream)
{
    bool is_within = screen->options.is_terminal[stream] ? screen->column != 0
                                                         : screen->last[stream] != '\n';

    return is_within ? screen_print(screen, stream, slice_text("\n")) : 0;
}

void
screen_note_typed(struct screen *screen, struct slice text)
{
    follow(screen, text);
}

bool
screen_erase(struct screen *screen, uint64_t row, int *ret_result)
{
    uint64_t up = screen->row - row;
    char text[32];

    *ret_result = 0;
    if (!screen->options.is_terminal[SCREEN_OUT] || !screen->options.can_move ||
        row > screen->row || up >= screen->options.rows)
        return false;
    *ret_result = screen_hide_status(screen);
    if (*ret_result != 0)
        return true;
    if (up > 0)
        snprintf(text, sizeof text, "\r\x1b[%uA\x1b[J", (unsigned)up);
    else
        snprintf(text, sizeof text, "\r\x1b[J");
    screen->row = row;
    screen->column = 0;
    screen->last[SCREEN_OUT] = '\n';
    *ret_result = command_cursor(screen, text);
    return true;
}

int
screen_finish(struct screen *screen)
{
    int r = screen_hide_status(screen);

    for (int i = 0; r == 0 && i < SCREEN_STREAMS; i++) {
        buffer_clear(&screen->text, CHUNK_BYTES);
        r = printable_finish(&screen->filters[i], &screen->text);
        if (r == 0)
            r = write_out(screen, (enum screen_stream)i, buffer_slice(&screen->text));
    }
    return r;
}

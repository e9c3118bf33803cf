/* SPDX-License-Identifier: MIT */
/*
 * report_text - what the parts of the report for a person have in common
 *
 * All text of notebooks is hostile: what a line is made of here is printable characters
 * and the colours of a look, nothing else.
 */
#ifndef KERNEL_NOTEBOOK_REPORT_TEXT_H
#define KERNEL_NOTEBOOK_REPORT_TEXT_H

#include <jansson.h>
#include <stdbool.h>

#include "kernel/notebook/ink.h"
#include "kernel/notebook/sides.h"

/* Escape sequences, or empty texts where there are no colours. */
struct text_look {
    const char *title, *faint, *good, *warn, *bad;
    const char *sides[SIDES_COUNT]; /* a line of a diff */
    const char *parts[SIDES_COUNT]; /* what has changed within it */
    const char *end;
};

extern const struct text_look text_look_plain, text_look_coloured;

/* Where a report writes. Plain data, all borrowed. */
struct text_paper {
    struct ink *ink;
    const struct text_look *look;
    unsigned columns; /* of the terminal, 0: it is none */
};

/* A character as it is shown. Plain data. */
struct text_glyph {
    char text[16];
    size_t length; /* of TEXT */
    unsigned width; /* in columns */
    size_t bytes; /* of the character itself */
};

/* The first character of TEXT, which is not empty, at COLUMN of its line. */
void text_glyph_read(struct text_glyph *ret, struct slice text, unsigned column);

/* TEXT as one line, at most LINE_COLUMNS_MAX columns of it. */
void text_put_line(struct ink *ink, struct slice text);

/* The same between two of the look's sequences. */
void text_put_styled(const struct text_paper *paper, const char *style, const char *text);

/* The rows of a diff (the member "lines"), side by side where there is room. */
void text_put_diff(const struct text_paper *paper, const json_t *lines);

/* TEXT with the colours that it has, if there are to be any; each line behind INDENT
 * spaces. Of more than ROWS lines the last ones. */
void text_put_coloured(const struct text_paper *paper, struct slice text, unsigned indent,
                       size_t rows);

/* A failed cell, as a block of lines. */
void text_put_cell(const struct text_paper *paper, const json_t *event);

/* One difference of a cell, as part of its block. */
void text_put_difference(const struct text_paper *paper, const json_t *difference);

/* "notebooks/a.ipynb, cell 3 (line 120)" */
void text_put_place(const struct text_paper *paper, const json_t *event);

#endif

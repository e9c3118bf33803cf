/* SPDX-License-Identifier: MIT */
/*
 * sides - a line diff as rows of two sides, and what has changed within a line
 */
#ifndef KERNEL_NOTEBOOK_SIDES_H
#define KERNEL_NOTEBOOK_SIDES_H

#include <jansson.h>
#include <stdbool.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"

#define SIDES_ROWS_MAX 10000 /* of one diff */
#define SIDES_SPANS_MAX 32 /* of one line: the last takes in those beyond */

enum sides_side { SIDES_EXPECTED, SIDES_ACTUAL, SIDES_COUNT };

/* Plain data; the text is borrowed of the event. */
struct sides_row {
    char mark; /* '=': a line of both; '~': it has changed; '-': expected alone; '+':
                  actual alone; '.': lines that were left out */
    struct slice text[SIDES_COUNT]; /* of '=' and '.' the same */
};

struct sides {
    struct sides_row *rows; /* owned */
    size_t count;
    bool is_cut; /* there were more rows */
};

/* Of the member "lines" of a difference; what is not as it should be is left out. 0 or
 * -ENOMEM. */
int sides_read(struct sides *ret, const json_t *lines);
void sides_fini(struct sides *sides);

/* Whether a row is of what differs. */
bool sides_is_change(const struct sides_row *row);

/* Bytes of a line, from BEGIN up to END. Plain data. */
struct sides_span {
    size_t begin, end;
};

/* Plain data. */
struct sides_changes {
    struct sides_span spans[SIDES_COUNT][SIDES_SPANS_MAX]; /* in their order */
    size_t counts[SIDES_COUNT];
};

/* What differs between the two lines of ROW, in whole words. Nothing for a row that has
 * not changed, and nothing where they have so little in common that a person does better
 * with the lines as they are. */
void sides_compare(struct sides_changes *ret, const struct sides_row *row);

#endif

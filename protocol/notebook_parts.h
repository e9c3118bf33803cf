/* SPDX-License-Identifier: MIT */
/*
 * notebook_parts - what the reader and the writer of notebooks share
 */
#ifndef PROTOCOL_NOTEBOOK_PARTS_H
#define PROTOCOL_NOTEBOOK_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/notebook.h"

/* Where the parts of a cell are in the file; raw JSON. */
struct notebook_place {
    struct slice object;
    struct buffer decoded; /* owned: its id and source; of nbformat 3, its outputs */
};

struct notebook_parts {
    struct buffer text; /* owned: the file */
    struct slice json; /* in it, without a byte order mark */
    struct notebook_place *places; /* owned, one for each cell */
};

/* Whether VALUE is a string, or an array of strings alone. */
bool notebook_is_text(struct slice value);

/* Appends the string VALUE, or the strings of the array VALUE as one, decoded. 0,
 * JSON_E_TYPE, JSON_E_TOO_LARGE, -ENOMEM. */
int notebook_decode_lines(struct slice value, struct buffer *ret);

/* Appends an output of nbformat 3 in the form of 4; what is not one as it is. 0,
 * NOTEBOOK_E_TOO_LARGE, -ENOMEM. */
int notebook_upgrade_output(struct slice output, struct buffer *ret);

/* Appends the text of a heading cell of nbformat 3 as Markdown. As the last; JSON_E_TYPE:
 * SOURCE is not text. */
int notebook_upgrade_heading(struct slice source, int64_t level, struct buffer *ret);

#endif

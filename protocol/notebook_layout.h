/* SPDX-License-Identifier: MIT */
/*
 * notebook_layout - outputs as nbformat writes them, in the style of the file around them
 */
#ifndef PROTOCOL_NOTEBOOK_LAYOUT_H
#define PROTOCOL_NOTEBOOK_LAYOUT_H

#include <stdbool.h>

#include "protocol/buffer.h"

/* Plain data; borrows from the file. */
struct notebook_layout {
    bool compact; /* all in one line */
    struct slice newline; /* the file's line end */
    struct slice base; /* what the lines of the cell's members begin with */
    struct slice unit; /* one level more */
    struct slice colon; /* between a member's name and its value: ": " */
    struct slice gap; /* compact: what follows a comma */
};

/* All in one line, without spaces. */
extern const struct notebook_layout notebook_layout_plain;

/* The layout of FILE, an object. One pass over it: once for all cells. */
void notebook_layout_find(struct notebook_layout *ret, struct slice file);

/* That of CELL, an object in it, to begin with what FILE has. */
void notebook_layout_find_cell(struct notebook_layout *ret,
                               const struct notebook_layout *file, struct slice cell);

/* Appends a line end and the indentation of the cell's members, or the gap. */
int notebook_layout_break(const struct notebook_layout *layout, struct buffer *ret);

/* Appends OUTPUTS, a JSON array that json_scan has accepted, nested at most
 * NOTEBOOK_DEPTH_MAX deep. 0, BUFFER_E_FULL, -ENOMEM; on failure RET may have got a part.
 */
int notebook_layout_outputs(const struct notebook_layout *layout, struct slice outputs,
                            struct buffer *ret);

#endif

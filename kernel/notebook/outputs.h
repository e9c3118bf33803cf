/* SPDX-License-Identifier: MIT */
/*
 * outputs - what the cells of a notebook show, gathered as a front end does it
 *
 * Text of each stream in one piece as long as nothing else comes between; carriage
 * returns and backspaces rendered; clear_output obeyed; displays replaced by their
 * updates, in earlier cells too.
 */
#ifndef KERNEL_NOTEBOOK_OUTPUTS_H
#define KERNEL_NOTEBOOK_OUTPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"

#define OUTPUTS_CELL_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define OUTPUTS_CELL_MAX 10000 /* outputs */
#define OUTPUTS_BYTES_MAX ((size_t)512 * 1024 * 1024) /* of all cells */
#define OUTPUTS_ERROR_BYTES_MAX 65536 /* of an error's value where all else is full */

enum { OUTPUTS_E_FULL = 1 }; /* left out, or in part; outputs_lost counts it */

struct frame;
struct outputs; /* opaque */

/* Of a notebook of CELLS cells. The caller owns *ret. 0, -ENOMEM. */
int outputs_create(struct outputs **ret, size_t cells);
void outputs_destroy(struct outputs *outputs); /* NULL is allowed */
CLEANUP_DEFINE(struct outputs, outputs_destroy);

/* TEXT is valid UTF-8. 0, OUTPUTS_E_FULL, -ENOMEM, as the next. */
int outputs_add_text(struct outputs *outputs, size_t cell, bool is_stderr,
                     struct slice text);

/* Display data, its updates, results, errors and clear_output; others are ignored.
 * FRAME's content is checked JSON. What all displays with an id show is what the last
 * display or update with it had. An error is kept even where nothing else has room, but
 * perhaps not its traceback. */
int outputs_add_frame(struct outputs *outputs, size_t cell, const struct frame *frame);

/* Appends CELL's outputs as a JSON array in nbformat 4's form, strings in one piece. 0,
 * BUFFER_E_FULL, -ENOMEM; on failure RET may have got a part. */
int outputs_append(const struct outputs *outputs, size_t cell, struct buffer *ret);

/* Whether CELL shows an error, and the name and value of the last one (decoded; borrowed
 * until CELL gets another output). */
bool outputs_error(const struct outputs *outputs, size_t cell, struct slice *ret_name,
                   struct slice *ret_value);

/* Bytes that came while CELL ran and had no room. */
size_t outputs_lost(const struct outputs *outputs, size_t cell);

#endif

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

#define OUTPUTS_CELL_BYTES_MAX ((size_t)64 * 1024 * 1024) /* of MIME bundles */
#define OUTPUTS_CELL_MAX 10000 /* outputs */

enum { OUTPUTS_E_FULL = 1 }; /* this output was left out; lost_bytes counts it */

struct frame;
struct outputs; /* opaque */

/* Of a notebook of CELLS cells. The caller owns *ret. 0, -ENOMEM. */
int outputs_create(struct outputs **ret, size_t cells);
void outputs_destroy(struct outputs *outputs); /* NULL is allowed */
CLEANUP_DEFINE(struct outputs, outputs_destroy);

/* TEXT is valid UTF-8. 0, OUTPUTS_E_FULL, -ENOMEM, as the next. */
int outputs_add_text(struct outputs *outputs, size_t cell, bool is_stderr,
                     struct slice text);

/* Display data, its updates, results, errors and clear_output; others are ignored. */
int outputs_add_frame(struct outputs *outputs, size_t cell, const struct frame *frame);

/* Appends CELL's outputs as a JSON array in nbformat 4's form, strings in one piece. */
int outputs_append(const struct outputs *outputs, size_t cell, struct buffer *ret);

/* Whether CELL shows an error, and its name (decoded; borrowed) and value. */
bool outputs_error(const struct outputs *outputs, size_t cell, struct slice *ret_name,
                   struct slice *ret_value);

#endif

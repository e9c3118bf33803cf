/* SPDX-License-Identifier: MIT */
/*
 * notebook - Jupyter notebooks as checked structs over their own bytes
 *
 * nbformat 4.0 to 4.5, later minors of 4 (what they add is kept), and 3, whose cells and
 * outputs are given in the form of 4. The file's text is kept as it is: a notebook that
 * is written again differs from it in the replaced outputs and nothing else.
 *
 * The format: nbformat.readthedocs.io, and JEP 62 for the ids of cells.
 */
#ifndef PROTOCOL_NOTEBOOK_H
#define PROTOCOL_NOTEBOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"

#define NOTEBOOK_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define NOTEBOOK_CELLS_MAX 10000
#define NOTEBOOK_OUTPUTS_MAX 10000 /* of a cell */
#define NOTEBOOK_DEPTH_MAX 128 /* of its JSON */

enum {
    NOTEBOOK_E_INVALID = 1, /* not a notebook that can be read; see ERR */
    NOTEBOOK_E_OLD, /* notebook_rewrite: nbformat 3 */
    NOTEBOOK_E_TOO_LARGE /* notebook_rewrite: RET's limit */
};

enum notebook_cell_type { NOTEBOOK_CODE, NOTEBOOK_MARKDOWN, NOTEBOOK_RAW };

/* Plain data; owned by the notebook, or borrowed from its text. */
struct notebook_cell {
    enum notebook_cell_type type;
    size_t line; /* of the file, 1, 2, ...: where its source begins */
    struct slice id; /* decoded; empty: none */
    struct slice source; /* decoded, UTF-8 */
    struct slice metadata; /* a JSON object */
    int64_t execution_count; /* -1: null, none, or no code */
    struct slice *outputs; /* each a JSON object of nbformat 4; strings that the format
                              allows to be lists of lines may be such lists */
    size_t output_count;
};

struct notebook {
    int format, minor; /* of the file */
    struct slice metadata; /* a JSON object */
    struct notebook_cell *cells; /* of all types, in their order */
    size_t cell_count;
    struct notebook_parts *parts; /* owned: the text, and where things are in it */
};

struct error;

/* TEXT is copied. The caller owns *ret. 0, NOTEBOOK_E_INVALID, -ENOMEM. */
int notebook_read(struct notebook **ret, struct slice text, struct error *err);
void notebook_destroy(struct notebook *notebook); /* NULL is allowed */
CLEANUP_DEFINE(struct notebook, notebook_destroy);

/* Appends CELL's outputs as a JSON array in one line, with the keys, lists of lines and
 * escapes of notebook_rewrite: outputs that mean the same give the same text. Results of
 * buffer_append. */
int notebook_append_outputs(const struct notebook_cell *cell, struct buffer *ret);

/* What replaces the outputs and the execution count of one cell of code. */
struct notebook_change {
    size_t cell; /* index in cells */
    struct slice outputs; /* a JSON array of outputs; their strings in one piece or as
                             lists of lines */
    int64_t execution_count; /* -1: null */
};

/* Appends the file with CHANGES (in the order of their cells) made, and all other bytes
 * as they are. What is new is laid out as nbformat does: keys sorted, text in lists of
 * lines, characters unescaped, the file's own indentation and line ends. 0,
 * NOTEBOOK_E_INVALID (outputs that are not an array), NOTEBOOK_E_OLD,
 * NOTEBOOK_E_TOO_LARGE, -ENOMEM; on failure RET is as it was. */
int notebook_rewrite(const struct notebook *notebook,
                     const struct notebook_change *changes, size_t count,
                     struct buffer *ret, struct error *err);

#endif

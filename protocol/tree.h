/* SPDX-License-Identifier: MIT */
/*
 * tree - jansson's trees from untrusted text, and back
 *
 * For what the server itself reads; what only passes through it stays text (json.h). A
 * text that json_scan takes always gives a tree: where jansson has no place for what JSON
 * allows, the tree has a stand-in (U+FFFD for a lone surrogate and for NUL in a member's
 * name, a double for an integer beyond 64 bits, the largest double for one beyond that),
 * and the text itself is what gets forwarded.
 */
#ifndef PROTOCOL_TREE_H
#define PROTOCOL_TREE_H

#include <jansson.h>

#include "protocol/buffer.h"
#include "protocol/json.h"

#define TREE_VALUES_MAX 1000000 /* a tree takes up to 100 bytes a value */

struct error;

/* Scans TEXT and builds its tree; the caller owns *ret (json_decref). The positive
 * results of json_scan (JSON_E_TOO_LARGE: or more than TREE_VALUES_MAX), or -ENOMEM. */
int tree_load(json_t **ret, struct slice text, const struct json_limits *limits,
              struct error *err);

/* As tree_load, and the value must be an object: else JSON_E_TYPE. */
int tree_load_object(json_t **ret, struct slice text, const struct json_limits *limits,
                     struct error *err);

/* Appends TREE as JSON in UTF-8, doubles with 15 digits. FLAGS are jansson's, usually
 * JSON_COMPACT. 0, BUFFER_E_FULL, -ENOMEM; on failure RET may have got a part. */
int tree_append(struct buffer *ret, const json_t *tree, size_t flags);

/* For CLEANUP(tree_decrefp). */
static inline void
tree_decrefp(json_t **tree)
{
    json_decref(*tree);
}

#endif

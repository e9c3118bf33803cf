/* SPDX-License-Identifier: MIT */
/*
 * compare - whether what a cell shows is what it should show
 *
 * The program cellwall-compare reads requests from its stdin and writes answers to its
 * stdout, each a length (4 bytes, little-endian) and so many bytes of JSON. Outputs come
 * from untrusted code and are decoded by large libraries: so the program confines itself
 * before it reads the first byte, and one that dies ends one comparison and nothing else.
 *
 * Request:
 *
 *     settings   object: the project's, see docs/notebook-tests.md "Comparison"
 *     cell       object of the same members, which go first; or nothing
 *     expected   array of outputs of nbformat 4
 *     actual     array of outputs of nbformat 4
 *     propose    bool: whether to propose sanitising rules; or nothing
 *
 * Answer:
 *
 *     agree         bool
 *     differences   array of objects, docs/notebook-tests.md "Events"; pictures in them
 *                   are base64 text here
 *     error         string, or nothing: the settings cannot be used (a regular expression
 *                   that is none, ...): a sentence
 */
#ifndef KERNEL_COMPARE_COMPARE_H
#define KERNEL_COMPARE_COMPARE_H

#include <jansson.h>

#include "protocol/buffer.h"

#define COMPARE_MESSAGE_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define COMPARE_DEPTH_MAX 128
#define COMPARE_LINES_MAX 2000 /* of a difference's "lines" */
#define COMPARE_TEXT_BYTES_MAX ((size_t)256 * 1024) /* of its "expected", "actual" */
#define COMPARE_DIFFERENCES_MAX 100 /* of a cell */

enum {
    COMPARE_E_INVALID = 1, /* a value is not what its type says: see ERR */
    COMPARE_E_SETTINGS /* see ERR */
};

struct error;

/* Answers one request. *RET is the caller's. 0 or -ENOMEM: whatever is wrong with the
 * request is told in the answer. */
int compare_answer(json_t **ret, const json_t *request);

#endif

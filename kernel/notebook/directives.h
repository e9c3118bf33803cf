/* SPDX-License-Identifier: MIT */
/*
 * directives - what a cell says about its own test: tags, comments, metadata
 *
 * Those of nbval and nbclient mean what they mean there; ours are "cellwall-NAME" or
 * "cellwall-NAME=VALUE" as a tag, and "cellwall: NAME=VALUE NAME" as a comment. A comment
 * beats a tag. docs/notebook-tests.md has the table.
 */
#ifndef KERNEL_NOTEBOOK_DIRECTIVES_H
#define KERNEL_NOTEBOOK_DIRECTIVES_H

#include <jansson.h>
#include <stdbool.h>

#include "protocol/buffer.h"

enum directives_compare { DIRECTIVES_DEFAULT, DIRECTIVES_COMPARE, DIRECTIVES_IGNORE };

/* Whether it raises an exception. nbval and nbclient have tags that allow one. */
enum directives_raises { DIRECTIVES_NEVER, DIRECTIVES_MAY_RAISE, DIRECTIVES_MUST_RAISE };

/* Plain data, zeroed at first. */
struct directives {
    bool skip; /* is not run */
    enum directives_raises raises;
    enum directives_compare compare; /* its outputs */
    double timeout_s; /* 0: as all others */
    json_t *comparison; /* owned or NULL: settings for this cell, as in the
                           configuration: "rtol", "types", "sanitize", ... */
};

struct error;
struct notebook_cell;

enum { DIRECTIVES_E_INVALID = 1 }; /* one of ours is unknown, or has no such value */

/* LANGUAGE: Jupyter's name, it tells what a comment looks like. NOTES: an array that gets
 * a sentence for whatever contradicts itself. 0, DIRECTIVES_E_INVALID, -ENOMEM. */
int directives_read(struct directives *ret, const struct notebook_cell *cell,
                    const char *language, json_t *notes, struct error *err);
void directives_fini(struct directives *directives);

#endif

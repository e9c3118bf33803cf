/* SPDX-License-Identifier: MIT */
/*
 * schema - what the content of each client message must look like
 *
 * One table: message type, and of each field its name, whether it is required, its JSON
 * type, its bounds and its default. Fields that the table does not name are ignored; null
 * in an optional field counts as absent.
 */
#ifndef PROTOCOL_SCHEMA_H
#define PROTOCOL_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>

enum {
    SCHEMA_E_UNKNOWN_TYPE = 1, /* no row for this message type */
    SCHEMA_E_INVALID /* a field is missing, of a wrong type or out of bounds; see ERR */
};

struct error;

/* True when the table has a row for TYPE. */
bool schema_knows(const char *type);

/* Checks CONTENT (any tree). ERR names the field, what was expected and what came. 0,
 * SCHEMA_E_UNKNOWN_TYPE, SCHEMA_E_INVALID. */
int schema_check(const char *type, const json_t *content, struct error *err);

/* Fills in the defaults of a CONTENT that schema_check took: afterwards every field that
 * has a default is there with the right type, and a null without one is gone. Derived
 * ones too: store_history is false in a silent execute_request, cursor_pos defaults to
 * the end of the code (in code points), and one behind the end is moved to it. 0 or
 * -ENOMEM. */
int schema_fill(const char *type, json_t *content);

#endif

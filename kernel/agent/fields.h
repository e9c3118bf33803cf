/* SPDX-License-Identifier: MIT */
/*
 * fields - what the content of a request may have
 *
 * A request's members are rows of a table. What no row names is refused: a misspelt limit
 * must not be taken for none.
 */
#ifndef KERNEL_AGENT_FIELDS_H
#define KERNEL_AGENT_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct refusal;

#define FIELDS_STRING_BYTES_MAX 65536 /* of one in an object of strings */

enum field_kind {
    FIELD_TEXT = 1, /* MIN to MAX bytes, any characters */
    FIELD_NAME, /* MIN to MAX bytes without NUL */
    FIELD_BOOL,
    FIELD_INTEGER, /* MIN to MAX */
    FIELD_NUMBER, /* MIN to MAX, with a fraction or without */
    FIELD_CHOICE, /* one of CHOICES: "a|b" */
    FIELD_STRINGS, /* object of up to MAX strings without NUL */
    FIELD_OBJECT,
    FIELD_HANDLE /* string without NUL, or an object */
};

struct field {
    const char *name; /* NULL ends a table */
    enum field_kind kind;
    bool required;
    int64_t min, max;
    const char *choices;
};

/* null counts as absent, and is gone from CONTENT afterwards. 0 or AGENT_E_REFUSED. */
int fields_check(const struct field *fields, json_t *content, struct refusal *no);

/* Refuses the member NAME, of which WHAT is said. Returns AGENT_E_REFUSED. */
int fields_refuse(struct refusal *no, const char *name, const char *what);

/* Of a CONTENT that was checked. */
bool fields_flag(const json_t *content, const char *name, bool fallback);
const char *fields_text(const json_t *content, const char *name, const char *fallback);
int64_t fields_integer(const json_t *content, const char *name, int64_t fallback);

#endif

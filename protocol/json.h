/* SPDX-License-Identifier: MIT */
/*
 * json - checks JSON text, and finds values in it, without building a tree
 *
 * What only passes through the server is checked here and forwarded byte for byte. The
 * grammar is RFC 8259 and nothing more: no NaN, no comments, no bytes behind the value,
 * no raw control characters; every byte outside of escapes is well-formed UTF-8. Numbers
 * may have any size. Escapes may name any 16-bit unit, U+0000 and lone surrogates too
 * (Python and JavaScript both write them), and are forwarded as they came; where such a
 * string is decoded, a lone surrogate becomes U+FFFD.
 *
 * Only json_scan may be given bytes of unknown quality. The other functions expect text
 * that it has accepted, or a value found in such text. Of members with the same name the
 * last counts, as in Python and JavaScript.
 */
#ifndef PROTOCOL_JSON_H
#define PROTOCOL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define JSON_DEPTH_MAX 512 /* the most that limits may ask for */

enum {
    JSON_E_INVALID = 1, /* not JSON; see ERR */
    JSON_E_TOO_LARGE, /* more bytes than allowed, or than RET has room for */
    JSON_E_TOO_DEEP, /* arrays and objects nested deeper than allowed */
    JSON_E_MISSING, /* no such member */
    JSON_E_TYPE /* there is a value, but of another type */
};

enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
};

/* What a text has that parsers differ about; or-ed. */
enum {
    JSON_HAS_NUL = 1, /* an escaped U+0000 */
    JSON_HAS_LONE_SURROGATE = 2,
    JSON_HAS_LARGE_NUMBER = 4 /* might not fit into 64 bits, or a double */
};

struct error;

/* Plain data. */
struct json_limits {
    size_t max_bytes;
    unsigned max_depth; /* 1: no nesting inside the outermost; at most JSON_DEPTH_MAX */
};

/* What a scan learns besides. Plain data. */
struct json_facts {
    unsigned has; /* JSON_HAS_* */
    size_t values; /* all of them, nested ones too, without the names of members */
};

/* Checks that TEXT is one JSON value with whitespace around it. 0, JSON_E_INVALID,
 * JSON_E_TOO_LARGE, JSON_E_TOO_DEEP. Allocates nothing. */
int json_scan(struct slice text, const struct json_limits *limits, struct error *err);
int json_scan_facts(struct slice text, const struct json_limits *limits,
                    struct json_facts *ret, struct error *err);

/* As json_scan; on failure RET_BYTE is how many bytes come before the place. */
int json_scan_locate(struct slice text, const struct json_limits *limits,
                     size_t *ret_byte, struct error *err);

/* As json_scan, and the value must be an object: else JSON_E_TYPE. */
int json_scan_object(struct slice text, const struct json_limits *limits,
                     struct error *err);

enum json_kind json_kind(struct slice value);

/* "object", "string" and so on, for error texts. */
const char *json_kind_name(enum json_kind kind);

/* Finds member KEY (decoded) of OBJECT; RET borrows its raw value, without whitespace
 * around it. 0, JSON_E_MISSING, JSON_E_TYPE (not an object). Looks at the top level only;
 * its cost is one pass over OBJECT. */
int json_member(struct slice object, const char *key, struct slice *ret);

/* Walks the members of an object or the elements of an array. Plain data. */
struct json_iterator {
    const uint8_t *at;
    const uint8_t *end;
    enum json_kind kind; /* of what is walked */
};

/* 0, or JSON_E_TYPE when VALUE is neither an array nor an object. */
int json_iterate(struct json_iterator *ret, struct slice value);

/* The next member or element, false at the end. KEY (raw string with its quotes; for an
 * array: empty) may be NULL. */
bool json_next(struct json_iterator *iterator, struct slice *key, struct slice *value);

enum json_event {
    JSON_EVENT_END, /* of the text */
    JSON_EVENT_OPEN, /* an array or object begins: its kind is that of RET */
    JSON_EVENT_CLOSE,
    JSON_EVENT_SCALAR /* the name of a member too: every other one within an object */
};

/* Walks a whole text with all that is nested in it, in one pass, as events. RET borrows
 * the raw scalar, or the one byte that opens or closes. */
void json_walk(struct json_iterator *ret, struct slice text);
enum json_event json_next_event(struct json_iterator *iterator, struct slice *ret);

/* Whether VALUE is a string that decodes to TEXT. */
bool json_string_equals(struct slice value, const char *text);

/* Appends the decoded string as UTF-8. 0, JSON_E_TYPE, JSON_E_TOO_LARGE (RET's limit),
 * -ENOMEM; on failure RET may have got a part. */
int json_decode_string(struct slice value, struct buffer *ret);

/* Decodes VALUE into RET, a C string of at most SIZE bytes with its NUL. 0, JSON_E_TYPE,
 * JSON_E_TOO_LARGE, JSON_E_INVALID (it has a NUL inside). */
int json_get_string(struct slice value, char *ret, size_t size);

/* 0 or JSON_E_TYPE. */
int json_get_bool(struct slice value, bool *ret);

/* 0, JSON_E_TYPE (not a number, or one with a fraction or an exponent), JSON_E_TOO_LARGE
 * (does not fit). */
int json_get_int(struct slice value, int64_t *ret);

/* json_member and json_get_* in one: their results together. */
int json_member_string(struct slice object, const char *key, char *ret, size_t size);
int json_member_bool(struct slice object, const char *key, bool *ret);
int json_member_int(struct slice object, const char *key, int64_t *ret);

#endif

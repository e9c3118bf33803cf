/* SPDX-License-Identifier: MIT */
/*
 * jansson refuses some JSON that clients do send: lone surrogates, NUL in names, integers
 * beyond 64 bits. A text that has such a thing (few do, the scan tells) is copied with
 * stand-ins first. Asking jansson to read all integers as doubles would lose the
 * difference between 1 and 1.0, which the schema needs.
 */
#include "protocol/tree.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define STAND_IN "\\ufffd"
#define TOO_LARGE "1e308" /* for what no double holds; no longer than any such number */

static unsigned
unit_at(const uint8_t *escape)
{
    char digits[5];

    memcpy(digits, escape + 2, 4);
    digits[4] = '\0';
    return (unsigned)strtoul(digits, NULL, 16);
}

static bool
is_escaped_unit(const uint8_t *at, const uint8_t *end, unsigned low, unsigned high)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return false;
    return unit_at(at) >= low && unit_at(at) <= high;
}

/* Copies one escape of a string; RET_LENGTH is what was read. */
static int
tame_escape(struct buffer *ret, const uint8_t *at, const uint8_t *end, bool is_key,
            size_t *ret_length)
{
    bool pair = is_escaped_unit(at, end, 0xd800, 0xdbff) &&
                is_escaped_unit(at + 6, end, 0xdc00, 0xdfff);

    *ret_length = pair ? 12 : at[1] == 'u' ? 6 : 2;
    if (!pair && (is_escaped_unit(at, end, 0xd800, 0xdfff) ||
                  (is_key && is_escaped_unit(at, end, 0, 0))))
        return buffer_append_text(ret, STAND_IN);
    return buffer_append(ret, at, *ret_length);
}

static const uint8_t *
string_end(const uint8_t *at, const uint8_t *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\')
            at++;
    }
    return at;
}

static bool
is_followed_by_colon(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
        at++;
    return at < end && *at == ':';
}

/* AT is at the opening quote, RET_NEXT gets the place behind the closing one. */
static int
tame_string(struct buffer *ret, const uint8_t *at, const uint8_t *end,
            const uint8_t **ret_next)
{
    const uint8_t *close = string_end(at, end);
    bool is_key = is_followed_by_colon(close + 1, end);
    int r = 0;

    while (r == 0 && at < close) {
        const uint8_t *escape = memchr(at, '\\', (size_t)(close - at));
        size_t plain = (size_t)((escape != NULL ? escape : close) - at), length;

        r = buffer_append(ret, at, plain);
        at += plain;
        if (r == 0 && escape != NULL) {
            r = tame_escape(ret, at, close, is_key, &length);
            at += length;
        }
    }
    *ret_next = close + 1;
    return r != 0 ? r : buffer_append(ret, "\"", 1);
}

static bool
is_in_number(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || byte == '+' || byte == '-' || byte == '.' ||
           byte == 'e' || byte == 'E';
}

static int
tame_number(struct buffer *ret, const uint8_t *at, size_t length)
{
    CLEANUP(freep) char *copy = strndup((const char *)at, length);
    double value;
    char *end;

    if (copy == NULL)
        return -ENOMEM;
    value = strtod(copy, &end);
    if (!isfinite(value))
        return buffer_append_text(ret, value > 0 ? TOO_LARGE : "-" TOO_LARGE);
    errno = 0;
    if (strpbrk(copy, ".eE") == NULL) {
        (void)strtoll(copy, &end, 10);
        if (errno != 0)
            return buffer_append_format(ret, "%.17e", value);
    }
    return buffer_append(ret, at, length);
}

/* Appends TEXT, which json_scan has accepted, as jansson will take it. */
static int
tame(struct buffer *ret, struct slice text)
{
    const uint8_t *at = text.data, *end = text.data + text.length, *from;
    int r = 0;

    while (r == 0 && at < end) {
        from = at;
        if (*at == '"') {
            r = tame_string(ret, at, end, &at);
        } else if (*at == '-' || (*at >= '0' && *at <= '9')) {
            while (at < end && is_in_number(*at))
                at++;
            r = tame_number(ret, from, (size_t)(at - from));
        } else {
            r = buffer_append(ret, at++, 1);
        }
    }
    return r;
}

static int
load(json_t **ret, struct slice text, struct error *err)
{
    json_error_t error;
    json_t *tree = json_loadb((const char *)text.data, text.length,
                              JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (tree == NULL) {
        if (error.text[0] == '\0') /* jansson's way to say that memory ran out */
            return -ENOMEM;
        return error_set(err, JSON_E_INVALID, "not JSON: %s", error.text);
    }
    *ret = tree;
    return 0;
}

int
tree_load(json_t **ret, struct slice text, const struct json_limits *limits,
          struct error *err)
{
    struct json_facts facts;
    struct buffer tamed;
    int r;

    r = json_scan_facts(text, limits, &facts, err);
    if (r != 0)
        return r;
    if (facts.values > TREE_VALUES_MAX)
        return error_set(err, JSON_E_TOO_LARGE, "JSON of %zu values, at most %d",
                         facts.values, TREE_VALUES_MAX);
    if (facts.has == 0)
        return load(ret, text, err);

    /* Only an integer of 19 digits and more can grow, to the 24 bytes of a double. */
    buffer_init(&tamed, 2 * text.length);
    r = tame(&tamed, text);
    if (r == 0)
        r = load(ret, buffer_slice(&tamed), err);
    buffer_fini(&tamed);
    return r;
}

int
tree_load_object(json_t **ret, struct slice text, const struct json_limits *limits,
                 struct error *err)
{
    CLEANUP(tree_decrefp) json_t *tree = NULL;
    int r;

    r = tree_load(&tree, text, limits, err);
    if (r != 0)
        return r;
    if (!json_is_object(tree))
        return error_set(err, JSON_E_TYPE, "expected an object, got %s",
                         json_kind_name(json_kind(text)));
    *ret = tree;
    tree = NULL;
    return 0;
}

struct sink {
    struct buffer *buffer;
    int result;
};

static int
on_dumped(const char *data, size_t length, void *arg)
{
    struct sink *sink = arg;

    sink->result = buffer_append(sink->buffer, data, length);
    return sink->result == 0 ? 0 : -1;
}

int
tree_append(struct buffer *ret, const json_t *tree, size_t flags)
{
    struct sink sink = { .buffer = ret };

    if (json_dump_callback(tree, on_dumped, &sink,
                           flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) == 0)
        return 0;
    return sink.result != 0 ? sink.result : -ENOMEM;
}

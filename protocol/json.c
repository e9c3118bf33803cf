/* SPDX-License-Identifier: MIT */
/*
 * Finds and decodes values in text that the scanner has accepted. It stays within the
 * bytes that it is given even when they are not.
 */
#include "protocol/json.h"

#include <assert.h>
#include <string.h>

#include "protocol/json_lex.h"

#define REPLACEMENT 0xfffd

static struct slice
trim(struct slice text)
{
    const uint8_t *end = text.data + text.length;
    const uint8_t *at = text.length > 0 ? json_skip_space(text.data, end) : end;

    while (end > at && json_is_space(end[-1]))
        end--;
    return (struct slice){ .data = at, .length = (size_t)(end - at) };
}

enum json_kind
json_kind(struct slice value)
{
    value = trim(value);
    if (value.length == 0)
        return JSON_KIND_NULL;
    switch (value.data[0]) {
    case '{':
        return JSON_KIND_OBJECT;
    case '[':
        return JSON_KIND_ARRAY;
    case '"':
        return JSON_KIND_STRING;
    case 't':
    case 'f':
        return JSON_KIND_BOOL;
    case 'n':
        return JSON_KIND_NULL;
    default:
        return JSON_KIND_NUMBER;
    }
}

const char *
json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {
        [JSON_KIND_NULL] = "null",       [JSON_KIND_BOOL] = "a boolean",
        [JSON_KIND_NUMBER] = "a number", [JSON_KIND_STRING] = "a string",
        [JSON_KIND_ARRAY] = "an array",  [JSON_KIND_OBJECT] = "an object",
    };

    return names[kind];
}

/* From the opening quote to behind the closing one. */
static const uint8_t *
skip_string(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *from = at + 1, *quote = at;

    for (;;) {
        size_t backslashes = 0;

        quote = memchr(quote + 1, '"', (size_t)(end - quote - 1));
        if (quote == NULL)
            return end;
        while (quote - backslashes > from && quote[-(ptrdiff_t)backslashes - 1] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            return quote + 1;
    }
}

static const uint8_t *
skip_scalar(const uint8_t *at, const uint8_t *end)
{
    if (*at == '"')
        return skip_string(at, end);
    while (at < end && !json_is_space(*at) && *at != ',' && *at != '}' && *at != ']')
        at++;
    return at;
}

/* From a value's first byte to behind its last. */
static const uint8_t *
skip_value(const uint8_t *at, const uint8_t *end)
{
    size_t depth = 0;

    if (at < end && *at != '{' && *at != '[')
        return skip_scalar(at, end);
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
        if (depth == 0)
            return at;
    }
    return end;
}

int
json_iterate(struct json_iterator *ret, struct slice value)
{
    enum json_kind kind;

    value = trim(value);
    kind = json_kind(value);
    if ((kind != JSON_KIND_OBJECT && kind != JSON_KIND_ARRAY) || value.length < 2)
        return JSON_E_TYPE;
    *ret = (struct json_iterator){ .at = value.data + 1,
                                   .end = value.data + value.length - 1,
                                   .kind = kind };
    return 0;
}

static struct slice
between(const uint8_t *from, const uint8_t *to)
{
    return (struct slice){ .data = from, .length = (size_t)(to - from) };
}

bool
json_next(struct json_iterator *iterator, struct slice *key, struct slice *value)
{
    const uint8_t *at = json_skip_space(iterator->at, iterator->end), *from;
    struct slice name = { .data = at };

    if (at < iterator->end && *at == ',')
        at = json_skip_space(at + 1, iterator->end);
    if (at == iterator->end)
        return false;
    if (iterator->kind == JSON_KIND_OBJECT) {
        from = at;
        at = skip_string(at, iterator->end);
        name = between(from, at);
        at = json_skip_space(at, iterator->end);
        if (at < iterator->end) /* the colon */
            at = json_skip_space(at + 1, iterator->end);
    }
    from = at;
    at = skip_value(at, iterator->end);
    if (at == from)
        return false;
    *value = between(from, at);
    if (key != NULL)
        *key = name;
    iterator->at = at;
    return true;
}

void
json_walk(struct json_iterator *ret, struct slice text)
{
    *ret = (struct json_iterator){ .at = text.data, .end = text.data + text.length };
}

enum json_event
json_next_event(struct json_iterator *iterator, struct slice *ret)
{
    const uint8_t *at = iterator->at, *end = iterator->end;
    enum json_event event;

    while (at < end && (json_is_space(*at) || *at == ',' || *at == ':'))
        at++;
    if (at == end)
        return JSON_EVENT_END;
    if (*at == '{' || *at == '[')
        event = JSON_EVENT_OPEN;
    else if (*at == '}' || *at == ']')
        event = JSON_EVENT_CLOSE;
    else
        event = JSON_EVENT_SCALAR;
    iterator->at = event == JSON_EVENT_SCALAR ? skip_scalar(at, end) : at + 1;
    *ret = between(at, iterator->at);
    return event;
}

int
json_member(struct slice object, const char *key, struct slice *ret)
{
    struct json_iterator iterator;
    struct slice name, value;
    int r = JSON_E_MISSING;

    if (json_kind(object) != JSON_KIND_OBJECT || json_iterate(&iterator, object) != 0)
        return JSON_E_TYPE;
    while (json_next(&iterator, &name, &value)) {
        if (!json_string_equals(name, key))
            continue;
        *ret = value;
        r = 0;
    }
    return r;
}

static size_t
encode_utf8(uint8_t ret[4], uint32_t point)
{
    if (point < 0x80) {
        ret[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        ret[0] = (uint8_t)(0xc0 | point >> 6);
        ret[1] = (uint8_t)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        ret[0] = (uint8_t)(0xe0 | point >> 12);
        ret[1] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        ret[2] = (uint8_t)(0x80 | (point & 0x3f));
        return 3;
    }
    ret[0] = (uint8_t)(0xf0 | point >> 18);
    ret[1] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
    ret[2] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
    ret[3] = (uint8_t)(0x80 | (point & 0x3f));
    return 4;
}

/* Decodes a string piece by piece: a run without escapes, or one escape. */
struct pieces {
    const uint8_t *at;
    const uint8_t *end; /* at the closing quote */
    uint8_t room[4];
};

static bool
pieces_begin(struct pieces *ret, struct slice value)
{
    value = trim(value);
    if (value.length < 2 || value.data[0] != '"' || value.data[value.length - 1] != '"')
        return false;
    *ret = (struct pieces){ .at = value.data + 1, .end = value.data + value.length - 1 };
    return true;
}

static bool
pieces_next(struct pieces *pieces, struct slice *ret)
{
    static const char names[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    const uint8_t *at = pieces->at, *stop;
    const char *name;
    uint32_t point;

    if (at == pieces->end)
        return false;
    stop = memchr(at, '\\', (size_t)(pieces->end - at));
    if (stop == NULL)
        stop = pieces->end;
    if (stop > at) {
        *ret = between(at, stop);
        pieces->at = stop;
        return true;
    }
    if (pieces->end - at < 2)
        return false;
    if (at[1] == 'u') {
        at = json_read_unit(at + 2, pieces->end, &point);
        if (at == NULL)
            return false;
        if (point >= 0xd800 && point <= 0xdfff)
            point = REPLACEMENT;
        pieces->at = at;
    } else {
        name = at[1] != '\0' ? strchr(names, at[1]) : NULL;
        point = name != NULL ? (uint8_t)bytes[name - names] : at[1];
        pieces->at = at + 2;
    }
    *ret = (struct slice){ .data = pieces->room,
                           .length = encode_utf8(pieces->room, point) };
    return true;
}

bool
json_string_equals(struct slice value, const char *text)
{
    size_t left = strlen(text);
    struct pieces pieces;
    struct slice piece;

    if (!pieces_begin(&pieces, value))
        return false;
    while (pieces_next(&pieces, &piece)) {
        if (piece.length > left || memcmp(piece.data, text, piece.length) != 0)
            return false;
        text += piece.length;
        left -= piece.length;
    }
    return left == 0;
}

int
json_decode_string(struct slice value, struct buffer *ret)
{
    struct pieces pieces;
    struct slice piece;
    int r = 0;

    if (!pieces_begin(&pieces, value))
        return JSON_E_TYPE;
    while (r == 0 && pieces_next(&pieces, &piece))
        r = buffer_append(ret, piece.data, piece.length);
    return r > 0 ? JSON_E_TOO_LARGE : r;
}

int
json_get_string(struct slice value, char *ret, size_t size)
{
    struct pieces pieces, again;
    struct slice piece;
    size_t used = 0;

    assert(size > 0);
    if (!pieces_begin(&pieces, value))
        return JSON_E_TYPE;
    again = pieces;
    while (pieces_next(&pieces, &piece)) {
        if (memchr(piece.data, '\0', piece.length) != NULL)
            return JSON_E_INVALID;
        if (piece.length >= size - used)
            return JSON_E_TOO_LARGE;
        used += piece.length;
    }
    while (pieces_next(&again, &piece)) {
        memcpy(ret, piece.data, piece.length);
        ret += piece.length;
    }
    *ret = '\0';
    return 0;
}

int
json_get_bool(struct slice value, bool *ret)
{
    if (json_kind(value) != JSON_KIND_BOOL)
        return JSON_E_TYPE;
    *ret = trim(value).data[0] == 't';
    return 0;
}

int
json_get_int(struct slice value, int64_t *ret)
{
    uint64_t number = 0, most = INT64_MAX, digit;
    bool negative;

    value = trim(value);
    if (value.length == 0 || json_kind(value) != JSON_KIND_NUMBER)
        return JSON_E_TYPE;
    negative = value.data[0] == '-';
    most += negative;
    for (size_t i = negative ? 1 : 0; i < value.length; i++) {
        if (!json_is_digit(value.data[i]))
            return JSON_E_TYPE;
        digit = (uint64_t)value.data[i] - '0';
        if (number > (most - digit) / 10)
            return JSON_E_TOO_LARGE;
        number = number * 10 + digit;
    }
    *ret = (int64_t)(negative ? 0 - number : number);
    return 0;
}

int
json_member_string(struct slice object, const char *key, char *ret, size_t size)
{
    struct slice value;
    int r = json_member(object, key, &value);

    return r != 0 ? r : json_get_string(value, ret, size);
}

int
json_member_bool(struct slice object, const char *key, bool *ret)
{
    struct slice value;
    int r = json_member(object, key, &value);

    return r != 0 ? r : json_get_bool(value, ret);
}

int
json_member_int(struct slice object, const char *key, int64_t *ret)
{
    struct slice value;
    int r = json_member(object, key, &value);

    return r != 0 ? r : json_get_int(value, ret);
}

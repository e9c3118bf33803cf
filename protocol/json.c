/* SPDX-License-Identifier: MIT */
/*
 * The scanner keeps one bit for each open array or object, so that depth costs no stack.
 * Inside strings, where nearly all bytes of a large display are, it takes eight at a
 * time.
 */
#include "protocol/json.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"

#define REPLACEMENT 0xfffd
#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

enum expect {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END, /* right behind "[" */
    EXPECT_KEY,
    EXPECT_KEY_OR_END, /* right behind "{" */
    EXPECT_COMMA_OR_END,
    EXPECT_NOTHING /* the value is complete */
};

struct scan {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    enum expect expect;
    unsigned depth; /* arrays and objects that are open */
    unsigned max_depth;
    uint8_t objects[JSON_DEPTH_MAX / 8]; /* bit DEPTH - 1: an object, else an array */
    struct json_facts facts;
    struct error *err;
};

static bool
is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static bool
is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static const uint8_t *
skip_space(const uint8_t *at, const uint8_t *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

static const uint8_t *
skip_digits(const uint8_t *at, const uint8_t *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

/* A high bit for each byte that is not plain: control, quote, backslash or not ASCII. The
 * lowest one is exact; a borrow may set false ones above it. */
static uint64_t
unplain(uint64_t word)
{
    uint64_t quote = word ^ (ONES * '"'), backslash = word ^ (ONES * '\\');

    return ((word - ONES * 0x20) | (quote - ONES) | (backslash - ONES) | word) & HIGHS;
}

/* To the first byte of a string's inside that is not plain. */
static const uint8_t *
skip_plain(const uint8_t *at, const uint8_t *end)
{
    uint64_t word;

    while ((size_t)(end - at) >= sizeof word) {
        memcpy(&word, at, sizeof word);
        if (unplain(word) != 0)
            break;
        at += sizeof word;
    }
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\' && *at < 0x80)
        at++;
    return at;
}

/* The value of four hexadecimal digits, -1 when they are not. */
static int
hex4(const uint8_t *at, const uint8_t *end)
{
    int value = 0;

    if (end - at < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        if (is_digit(at[i]))
            value = value * 16 + at[i] - '0';
        else if ((at[i] | 0x20) >= 'a' && (at[i] | 0x20) <= 'f')
            value = value * 16 + (at[i] | 0x20) - 'a' + 10;
        else
            return -1;
    }
    return value;
}

/* Reads the digits behind "\u", and the escape behind it when the two are a pair. RET is
 * a code point or a lone surrogate; NULL when the digits are wrong. */
static const uint8_t *
read_unit(const uint8_t *at, const uint8_t *end, uint32_t *ret)
{
    int high = hex4(at, end), low;

    if (high < 0)
        return NULL;
    at += 4;
    *ret = (uint32_t)high;
    if (high < 0xd800 || high > 0xdbff || end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return at;
    low = hex4(at + 2, end);
    if (low < 0xdc00 || low > 0xdfff)
        return at;
    *ret = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return at + 6;
}

static int
invalid(const struct scan *scan, const uint8_t *at, const char *what)
{
    if (at >= scan->end)
        return error_set(scan->err, JSON_E_INVALID, "JSON ends too early, at byte %zu",
                         (size_t)(scan->end - scan->start));
    return error_set(scan->err, JSON_E_INVALID, "not JSON at byte %zu: %s",
                     (size_t)(at - scan->start), what);
}

static int
scan_escape(struct scan *scan)
{
    const uint8_t *at = scan->at + 1;
    uint32_t unit;

    if (at == scan->end)
        return invalid(scan, at, "");
    if (*at != 'u') {
        if (*at == '\0' || strchr("\"\\/bfnrt", *at) == NULL)
            return invalid(scan, at, "unknown escape");
        scan->at = at + 1;
        return 0;
    }
    at = read_unit(at + 1, scan->end, &unit);
    if (at == NULL)
        return invalid(scan, scan->at, "wrong digits in an escape");
    if (unit == 0)
        scan->facts.has |= JSON_HAS_NUL;
    if (unit >= 0xd800 && unit <= 0xdfff)
        scan->facts.has |= JSON_HAS_LONE_SURROGATE;
    scan->at = at;
    return 0;
}

static int
scan_string(struct scan *scan)
{
    int r;

    scan->at++;
    for (;;) {
        scan->at = skip_plain(scan->at, scan->end);
        if (scan->at == scan->end)
            return invalid(scan, scan->at, "");
        if (*scan->at == '"') {
            scan->at++;
            return 0;
        }
        if (*scan->at == '\\') {
            r = scan_escape(scan);
            if (r != 0)
                return r;
        } else if (*scan->at < 0x20) {
            return invalid(scan, scan->at, "raw control character in a string");
        } else {
            size_t n = text_utf8_character(scan->at, (size_t)(scan->end - scan->at));

            if (n == 0)
                return invalid(scan, scan->at, "not UTF-8");
            scan->at += n;
        }
    }
}

static int
scan_number(struct scan *scan)
{
    const uint8_t *at = scan->at, *from;
    bool whole = true, large;

    if (*at == '-')
        at++;
    from = at;
    at = skip_digits(at, scan->end);
    if (at == from || (*from == '0' && at - from > 1))
        return invalid(scan, from, "expected a number");
    large = at - from > 200;
    if (at - from > 18)
        scan->facts.has |= JSON_HAS_LARGE_NUMBER;
    if (at < scan->end && *at == '.') {
        from = ++at;
        at = skip_digits(at, scan->end);
        if (at == from)
            return invalid(scan, at, "expected a digit");
        whole = false;
    }
    if (at < scan->end && (*at | 0x20) == 'e') {
        at++;
        if (at < scan->end && (*at == '+' || *at == '-'))
            at++;
        from = at;
        at = skip_digits(at, scan->end);
        if (at == from)
            return invalid(scan, at, "expected a digit");
        whole = false;
        large = large || at - from > 2;
    }
    if (!whole && large)
        scan->facts.has |= JSON_HAS_LARGE_NUMBER;
    scan->at = at;
    return 0;
}

static int
scan_literal(struct scan *scan, const char *word)
{
    size_t length = strlen(word), left = (size_t)(scan->end - scan->at);

    if (left < length || memcmp(scan->at, word, length) != 0)
        return invalid(scan, scan->at, "expected a value");
    scan->at += length;
    return 0;
}

static bool
in_object(const struct scan *scan)
{
    unsigned bit = scan->depth - 1;

    return (scan->objects[bit / 8] >> (bit % 8) & 1) != 0;
}

static int
scan_open(struct scan *scan, bool object)
{
    unsigned bit = scan->depth;

    if (scan->depth == scan->max_depth)
        return error_set(scan->err, JSON_E_TOO_DEEP,
                         "JSON nested deeper than %u at byte %zu", scan->max_depth,
                         (size_t)(scan->at - scan->start));
    scan->objects[bit / 8] &= (uint8_t)~(1U << (bit % 8));
    scan->objects[bit / 8] |= (uint8_t)(object ? 1U << (bit % 8) : 0);
    scan->depth++;
    scan->expect = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    scan->at++;
    return 0;
}

static void
scan_after_value(struct scan *scan)
{
    scan->expect = scan->depth > 0 ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
}

static void
scan_close(struct scan *scan)
{
    scan->at++;
    scan->depth--;
    scan_after_value(scan);
}

static int
scan_value(struct scan *scan)
{
    int r;

    scan->facts.values++;
    switch (*scan->at) {
    case '{':
        return scan_open(scan, true);
    case '[':
        return scan_open(scan, false);
    case '"':
        r = scan_string(scan);
        break;
    case 't':
        r = scan_literal(scan, "true");
        break;
    case 'f':
        r = scan_literal(scan, "false");
        break;
    case 'n':
        r = scan_literal(scan, "null");
        break;
    default:
        if (*scan->at != '-' && !is_digit(*scan->at))
            return invalid(scan, scan->at, "expected a value");
        r = scan_number(scan);
    }
    scan_after_value(scan);
    return r;
}

static int
scan_key(struct scan *scan)
{
    int r;

    if (*scan->at != '"')
        return invalid(scan, scan->at, "expected the name of a member");
    r = scan_string(scan);
    if (r != 0)
        return r;
    scan->at = skip_space(scan->at, scan->end);
    if (scan->at == scan->end || *scan->at != ':')
        return invalid(scan, scan->at, "expected a colon");
    scan->at++;
    scan->expect = EXPECT_VALUE;
    return 0;
}

/* AT is at a byte that is not space. */
static int
scan_step(struct scan *scan)
{
    switch (scan->expect) {
    case EXPECT_VALUE_OR_END:
        if (*scan->at == ']') {
            scan_close(scan);
            return 0;
        }
        return scan_value(scan);
    case EXPECT_VALUE:
        return scan_value(scan);
    case EXPECT_KEY_OR_END:
        if (*scan->at == '}') {
            scan_close(scan);
            return 0;
        }
        return scan_key(scan);
    case EXPECT_KEY:
        return scan_key(scan);
    case EXPECT_COMMA_OR_END:
        if (*scan->at == (in_object(scan) ? '}' : ']')) {
            scan_close(scan);
            return 0;
        }
        if (*scan->at != ',')
            return invalid(scan, scan->at, "expected a comma or the end");
        scan->at++;
        scan->expect = in_object(scan) ? EXPECT_KEY : EXPECT_VALUE;
        return 0;
    case EXPECT_NOTHING:
        break;
    }
    return invalid(scan, scan->at, "bytes behind the value");
}

int
json_scan_facts(struct slice text, const struct json_limits *limits,
                struct json_facts *ret, struct error *err)
{
    struct scan scan = { .start = text.data, .at = text.data, .err = err };
    int r = 0;

    assert(limits->max_depth <= JSON_DEPTH_MAX);
    if (text.length > limits->max_bytes)
        return error_set(err, JSON_E_TOO_LARGE, "JSON of %zu bytes, at most %zu",
                         text.length, limits->max_bytes);
    if (text.length == 0)
        return error_set(err, JSON_E_INVALID, "JSON of no bytes");
    scan.end = text.data + text.length;
    scan.max_depth = limits->max_depth;
    while (r == 0) {
        scan.at = skip_space(scan.at, scan.end);
        if (scan.at == scan.end)
            break;
        r = scan_step(&scan);
    }
    if (r == 0 && scan.expect != EXPECT_NOTHING)
        r = invalid(&scan, scan.at, "");
    if (r == 0)
        *ret = scan.facts;
    return r;
}

int
json_scan(struct slice text, const struct json_limits *limits, struct error *err)
{
    struct json_facts facts;

    return json_scan_facts(text, limits, &facts, err);
}

int
json_scan_object(struct slice text, const struct json_limits *limits, struct error *err)
{
    int r = json_scan(text, limits, err);

    if (r == 0 && json_kind(text) != JSON_KIND_OBJECT)
        r = error_set(err, JSON_E_TYPE, "expected an object, got %s",
                      json_kind_name(json_kind(text)));
    return r;
}

static struct slice
trim(struct slice text)
{
    const uint8_t *end = text.data + text.length;
    const uint8_t *at = text.length > 0 ? skip_space(text.data, end) : end;

    while (end > at && is_space(end[-1]))
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
    while (at < end && !is_space(*at) && *at != ',' && *at != '}' && *at != ']')
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
    const uint8_t *at = skip_space(iterator->at, iterator->end), *from;
    struct slice name = { .data = at };

    if (at < iterator->end && *at == ',')
        at = skip_space(at + 1, iterator->end);
    if (at == iterator->end)
        return false;
    if (iterator->kind == JSON_KIND_OBJECT) {
        from = at;
        at = skip_string(at, iterator->end);
        name = between(from, at);
        at = skip_space(at, iterator->end);
        if (at < iterator->end) /* the colon */
            at = skip_space(at + 1, iterator->end);
    }
    from = at;
    at = skip_value(at, iterator->end);
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

    while (at < end && (is_space(*at) || *at == ',' || *at == ':'))
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
        at = read_unit(at + 2, pieces->end, &point);
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
        if (!is_digit(value.data[i]))
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

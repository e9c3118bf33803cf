/* SPDX-License-Identifier: MIT */
/*
 * The scanner keeps one bit for each open array or object, so that depth costs no stack.
 * Inside strings, where nearly all bytes of a large display are, it takes eight at a
 * time.
 */
#include <assert.h>
#include <string.h>

#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/json_lex.h"
#include "protocol/text.h"

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

static const uint8_t *
skip_digits(const uint8_t *at, const uint8_t *end)
{
    while (at < end && json_is_digit(*at))
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
        if (json_is_digit(at[i]))
            value = value * 16 + at[i] - '0';
        else if ((at[i] | 0x20) >= 'a' && (at[i] | 0x20) <= 'f')
            value = value * 16 + (at[i] | 0x20) - 'a' + 10;
        else
            return -1;
    }
    return value;
}

const uint8_t *
json_read_unit(const uint8_t *at, const uint8_t *end, uint32_t *ret)
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
    at = json_read_unit(at + 1, scan->end, &unit);
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
        if (*scan->at != '-' && !json_is_digit(*scan->at))
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
    scan->at = json_skip_space(scan->at, scan->end);
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

/* On failure SCAN is at the place, or close behind what is wrong there. */
static int
scan_text(struct scan *scan, struct slice text, const struct json_limits *limits)
{
    int r = 0;

    assert(limits->max_depth <= JSON_DEPTH_MAX);
    if (text.length > limits->max_bytes)
        return error_set(scan->err, JSON_E_TOO_LARGE, "JSON of %zu bytes, at most %zu",
                         text.length, limits->max_bytes);
    if (text.length == 0)
        return error_set(scan->err, JSON_E_INVALID, "JSON of no bytes");
    scan->end = text.data + text.length;
    scan->max_depth = limits->max_depth;
    while (r == 0) {
        scan->at = json_skip_space(scan->at, scan->end);
        if (scan->at == scan->end)
            break;
        r = scan_step(scan);
    }
    if (r == 0 && scan->expect != EXPECT_NOTHING)
        r = invalid(scan, scan->at, "");
    return r;
}

int
json_scan_facts(struct slice text, const struct json_limits *limits,
                struct json_facts *ret, struct error *err)
{
    struct scan scan = { .start = text.data, .at = text.data, .err = err };
    int r = scan_text(&scan, text, limits);

    if (r == 0)
        *ret = scan.facts;
    return r;
}

int
json_scan_locate(struct slice text, const struct json_limits *limits, size_t *ret_byte,
                 struct error *err)
{
    struct scan scan = { .start = text.data, .at = text.data, .err = err };
    int r = scan_text(&scan, text, limits);

    if (r != 0)
        *ret_byte = (size_t)(scan.at - scan.start);
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

/* SPDX-License-Identifier: MIT */
/*
 * A number is a number only where it stands alone: not in an identifier, a version or a
 * longer row of digits and dots. Those are text, and text must be the same.
 */
#include "kernel/compare/numbers.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "protocol/cleanup.h"

#define NUMBER_BYTES_MAX 64

enum kind { KIND_END, KIND_BYTE, KIND_SPACE, KIND_INTEGER, KIND_REAL };

/* A piece of a text. Plain data. */
struct token {
    enum kind kind;
    struct slice text;
    double value; /* of numbers */
};

struct scanner {
    const uint8_t *at, *begin, *end;
    bool after_real; /* a sign here may be that of an imaginary part */
};

static bool
is_word(uint8_t byte)
{
    return isalnum(byte) || byte == '_' || byte >= 0x80;
}

static size_t
count_digits(const uint8_t *at, const uint8_t *end)
{
    size_t n = 0;

    while (at + n < end && isdigit(at[n]))
        n++;
    return n;
}

static size_t
word_number(const uint8_t *at, const uint8_t *end)
{
    static const char *const words[] = { "infinity", "inf", "nan" };

    if (at == end || strchr("iInN", *at) == NULL || *at == '\0')
        return 0;
    for (size_t i = 0; i < N_ELEMENTS(words); i++) {
        size_t length = strlen(words[i]);

        if ((size_t)(end - at) >= length &&
            strncasecmp((const char *)at, words[i], length) == 0 &&
            ((size_t)(end - at) == length || !is_word(at[length])))
            return length;
    }
    return 0;
}

/* The length of the number at AT, without a sign; 0: there is none. */
static size_t
digits_number(const uint8_t *at, const uint8_t *end, bool *ret_real)
{
    size_t whole = count_digits(at, end), fraction = 0, length = whole, exponent;

    *ret_real = false;
    if (at + length < end && at[length] == '.') {
        fraction = count_digits(at + length + 1, end);
        if (whole + fraction == 0)
            return 0;
        length += 1 + fraction;
        *ret_real = true;
    }
    if (length == 0)
        return 0;
    if (at + length < end && (at[length] == 'e' || at[length] == 'E')) {
        exponent = length + 1;
        if (at + exponent < end && (at[exponent] == '+' || at[exponent] == '-'))
            exponent++;
        if (count_digits(at + exponent, end) > 0) {
            length = exponent + count_digits(at + exponent, end);
            *ret_real = true;
        }
    }
    /* 1.2.3 is a version; the full stop of a sentence is no part of a number */
    if (at + length < end && at[length] == '.' && count_digits(at + length + 1, end) > 0)
        return 0;
    return length;
}

static bool
read_number(struct scanner *scanner, struct token *ret)
{
    const uint8_t *at = scanner->at, *end = scanner->end;
    uint8_t before = at > scanner->begin ? at[-1] : ' ';
    bool in_word = is_word(before) && before < 0x80; /* a plus-minus sign is no letter */
    bool sign = (*at == '-' || *at == '+') && (!in_word || scanner->after_real);
    char copy[NUMBER_BYTES_MAX + 1];
    bool real = false;
    size_t length;

    if (!sign && (in_word || before == '.'))
        return false;
    length = digits_number(at + sign, end, &real);
    if (length == 0) {
        length = word_number(at + sign, end);
        real = true;
    }
    if (length == 0 || length + sign > NUMBER_BYTES_MAX)
        return false;
    length += sign;
    memcpy(copy, at, length);
    copy[length] = '\0';
    ret->value = strtod(copy, NULL);
    if (isinf(ret->value) && isdigit((unsigned char)copy[length - 1]))
        return false; /* beyond what a double holds */
    ret->kind = real ? KIND_REAL : KIND_INTEGER;
    ret->text = (struct slice){ at, length };
    scanner->at += length;
    scanner->after_real = real;
    return true;
}

/* What may begin a number or spaces: between such bytes text is one token. */
static bool
is_special(uint8_t byte)
{
    return byte == ' ' || byte == '+' || byte == '-' || byte == '.' || isdigit(byte) ||
           (byte | 0x20) == 'i' || (byte | 0x20) == 'n';
}

static void
next_token(struct scanner *scanner, struct token *ret)
{
    const uint8_t *at = scanner->at;
    size_t length = 1;

    *ret = (struct token){ .kind = KIND_END, .text = { at, 0 } };
    if (at == scanner->end)
        return;
    if (*at == ' ') {
        while (at + length < scanner->end && at[length] == ' ')
            length++;
        ret->kind = KIND_SPACE;
    } else if (read_number(scanner, ret)) {
        return;
    } else {
        /* the digits of what is no number are none either */
        while (at + length < scanner->end &&
               (isdigit(*at) ? isdigit(at[length]) || at[length] == '.'
                             : !is_special(*at) && !is_special(at[length])))
            length++;
        ret->kind = KIND_BYTE;
    }
    ret->text = (struct slice){ at, length };
    scanner->at += length;
    scanner->after_real = false;
}

static struct scanner
scan(struct slice text)
{
    if (text.length == 0)
        text = slice_text("");
    return (struct scanner){ .at = text.data,
                             .begin = text.data,
                             .end =
                                 text.length > 0 ? text.data + text.length : text.data };
}

static bool
same_text(const struct token *a, const struct token *b)
{
    return a->text.length == b->text.length &&
           (a->text.length == 0 ||
            memcmp(a->text.data, b->text.data, a->text.length) == 0);
}

static bool
is_number(const struct token *token)
{
    return token->kind == KIND_INTEGER || token->kind == KIND_REAL;
}

bool
numbers_near(double expected, double actual, const struct tolerance *tolerance)
{
    if (isnan(expected) || isnan(actual))
        return isnan(expected) && isnan(actual);
    if (isinf(expected) || isinf(actual))
        return isinf(expected) && isinf(actual) && (expected > 0) == (actual > 0);
    return fabs(expected - actual) <= tolerance->atol + tolerance->rtol * fabs(expected);
}

/* Text apart from spaces and numbers, and numbers that are near. */
static bool
tokens_agree(const struct token *a, const struct token *b,
             const struct tolerance *tolerance)
{
    if (a->kind == KIND_REAL && b->kind == KIND_REAL)
        return same_text(a, b) || numbers_near(a->value, b->value, tolerance);
    return a->kind == b->kind && same_text(a, b);
}

/* Both sides' next tokens, and what stands between them and those before. Plain data. */
struct pair {
    struct token a, b;
    bool spaces_differ; /* in amount, or one side has none */
    bool joined; /* one side has none, and words stand on both sides of it */
};

static bool
begins_with_word(const struct token *token)
{
    return token->text.length > 0 && is_word(token->text.data[0]) && !is_number(token);
}

static bool
ends_with_word(const struct scanner *scanner)
{
    return scanner->at > scanner->begin && is_word(scanner->at[-1]);
}

static void
next_pair(struct scanner *one, struct scanner *other, struct pair *ret)
{
    bool after_word = ends_with_word(one) && ends_with_word(other);
    size_t spaces_a = 0, spaces_b = 0;

    next_token(one, &ret->a);
    next_token(other, &ret->b);
    if (ret->a.kind == KIND_SPACE) {
        spaces_a = ret->a.text.length;
        next_token(one, &ret->a);
    }
    if (ret->b.kind == KIND_SPACE) {
        spaces_b = ret->b.text.length;
        next_token(other, &ret->b);
    }
    ret->spaces_differ = spaces_a != spaces_b;
    ret->joined =
        (spaces_a == 0) != (spaces_b == 0) && after_word && begins_with_word(&ret->a);
}

/* Leaves out the lines that both texts begin with. */
static void
skip_common_lines(struct slice *a, struct slice *b)
{
    size_t common = 0, lines = 0;

    for (; common < a->length && common < b->length && a->data[common] == b->data[common];
         common++)
        if (a->data[common] == '\n')
            lines = common + 1;
    if (lines > 0) {
        *a = (struct slice){ a->data + lines, a->length - lines };
        *b = (struct slice){ b->data + lines, b->length - lines };
    }
}

bool
numbers_texts_agree(struct slice expected, struct slice actual,
                    const struct tolerance *tolerance)
{
    struct scanner one, other;
    bool spaces_differ = false, widths_differ = false;
    struct pair pair;

    skip_common_lines(&expected, &actual);
    one = scan(expected);
    other = scan(actual);
    do {
        next_pair(&one, &other, &pair);
        if (!tokens_agree(&pair.a, &pair.b, tolerance) || pair.joined)
            return false;
        if (pair.a.kind == KIND_REAL && pair.a.text.length != pair.b.text.length)
            widths_differ = true;
        if (pair.spaces_differ)
            spaces_differ = true;
    } while (pair.a.kind != KIND_END);
    return !spaces_differ || widths_differ;
}

static json_t *
number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

int
numbers_add(json_t *ret, double expected, double actual)
{
    double distance = fabs(expected - actual);
    json_t *pair;

    if (json_array_size(ret) >= NUMBERS_MAX)
        return 0;
    pair = json_pack(
        "{s:o, s:o, s:o, s:o}", "expected", number_or_null(expected), "actual",
        number_or_null(actual), "distance", number_or_null(distance), "relative",
        expected != 0 ? number_or_null(distance / fabs(expected)) : json_null());
    return pair == NULL || json_array_append_new(ret, pair) != 0 ? -ENOMEM : 0;
}

int
numbers_far(json_t *ret, struct slice expected, struct slice actual,
            const struct tolerance *tolerance)
{
    struct scanner one = scan(expected), other = scan(actual);
    struct pair pair;
    int r = 0;

    do {
        next_pair(&one, &other, &pair);
        if (tokens_agree(&pair.a, &pair.b, tolerance))
            continue;
        if (!is_number(&pair.a) || !is_number(&pair.b))
            break;
        if (pair.a.value != pair.b.value) /* 1 is not 1.0, but not far from it */
            r = numbers_add(ret, pair.a.value, pair.b.value);
    } while (r == 0 && pair.a.kind != KIND_END);
    return r;
}

/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/sides.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX 160 /* of a line whose words are compared; longer ones: its ends */
#define COMMON_SHARE 4 /* lines with less than a 1/COMMON_SHARE in common are others */

struct token {
    struct slice text;
    size_t at; /* byte of the line */
    bool is_common;
};

struct tokens {
    struct token list[TOKENS_MAX];
    size_t count;
};

static char
mark_of(const json_t *line)
{
    const char *mark = json_string_value(json_array_get(line, 0));

    return mark != NULL && mark[0] != '\0' && strchr("=-+.", mark[0]) != NULL &&
                   mark[1] == '\0'
               ? mark[0]
               : '\0';
}

static struct slice
text_of(const json_t *line)
{
    const json_t *text = json_array_get(line, 1);
    struct slice slice = { (const uint8_t *)json_string_value(text),
                           json_string_length(text) };

    if (slice.length > 0 && slice.data[slice.length - 1] == '\n')
        slice.length--;
    return slice;
}

/* The first row from RUN on that lacks its right side. */
static size_t
place_of_actual(const struct sides *sides, size_t run)
{
    while (run < sides->count && sides->rows[run].mark != '-')
        run++;
    return run;
}

int
sides_read(struct sides *ret, const json_t *lines)
{
    size_t wanted = json_array_size(lines), run = 0; /* where the last changes begin */
    struct sides sides = { .is_cut = wanted > SIDES_ROWS_MAX };

    if (sides.is_cut)
        wanted = SIDES_ROWS_MAX;
    sides.rows = calloc(wanted + 1, sizeof *sides.rows);
    if (sides.rows == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < wanted; i++) {
        const json_t *line = json_array_get(lines, i);
        char mark = mark_of(line);
        struct slice text = text_of(line);
        size_t place = mark == '+' ? place_of_actual(&sides, run) : sides.count;

        if (mark == '\0')
            continue;
        if (place < sides.count) {
            sides.rows[place].mark = '~';
            sides.rows[place].text[SIDES_ACTUAL] = text;
            run = place + 1;
            continue;
        }
        sides.rows[sides.count].mark = mark;
        if (mark != '+')
            sides.rows[sides.count].text[SIDES_EXPECTED] = text;
        if (mark != '-')
            sides.rows[sides.count].text[SIDES_ACTUAL] = text;
        sides.count++;
        if (mark != '-')
            run = sides.count; /* nothing before this lacks its right side */
    }
    *ret = sides;
    return 0;
}

void
sides_fini(struct sides *sides)
{
    free(sides->rows);
    sides->rows = NULL;
}

bool
sides_is_change(const struct sides_row *row)
{
    return row->mark != '=' && row->mark != '.';
}

static bool
is_word(struct slice text, size_t at)
{
    uint8_t byte = text.data[at];

    if (isalnum(byte) || byte == '_' || byte >= 0x80)
        return true;
    /* The point of a number. */
    return byte == '.' && at > 0 && isdigit(text.data[at - 1]) && at + 1 < text.length &&
           isdigit(text.data[at + 1]);
}

/* Words, runs of spaces, and other characters alone. False: there are too many. */
static bool
split(struct tokens *ret, struct slice text)
{
    ret->count = 0;
    for (size_t at = 0, end; at < text.length; at = end) {
        end = at + 1;
        if (is_word(text, at)) {
            while (end < text.length && is_word(text, end))
                end++;
        } else if (text.data[at] == ' ') {
            while (end < text.length && text.data[end] == ' ')
                end++;
        }
        if (ret->count == TOKENS_MAX)
            return false;
        ret->list[ret->count++] =
            (struct token){ .text = { text.data + at, end - at }, .at = at };
    }
    return true;
}

static bool
is_same(const struct token *left, const struct token *right)
{
    return left->text.length == right->text.length &&
           memcmp(left->text.data, right->text.data, left->text.length) == 0;
}

/* The longest common series of tokens, by the bytes of them that are no spaces. */
static size_t
match(struct tokens *left, struct tokens *right)
{
    static_assert(TOKENS_MAX < 256, "the table is on the stack");
    uint32_t best[TOKENS_MAX + 1][TOKENS_MAX + 1];
    size_t i, j;

    memset(best[left->count], 0, sizeof best[0]);
    for (i = left->count; i-- > 0;) {
        best[i][right->count] = 0;
        for (j = right->count; j-- > 0;) {
            const struct token *one = &left->list[i];
            uint32_t skip =
                best[i + 1][j] > best[i][j + 1] ? best[i + 1][j] : best[i][j + 1];

            best[i][j] = skip;
            if (is_same(one, &right->list[j])) {
                uint32_t take = best[i + 1][j + 1] + 1; /* spaces: a little */

                if (one->text.data[0] != ' ')
                    take +=
                        4 * (uint32_t)(one->text.length < 1024 ? one->text.length : 1024);
                if (take > skip)
                    best[i][j] = take;
            }
        }
    }
    for (i = j = 0; i < left->count && j < right->count;) {
        if (best[i][j] == best[i + 1][j]) {
            i++;
        } else if (best[i][j] == best[i][j + 1]) {
            j++;
        } else {
            left->list[i++].is_common = true;
            right->list[j++].is_common = true;
        }
    }
    return best[0][0];
}

static void
add_span(struct sides_changes *changes, size_t side, size_t begin, size_t end)
{
    size_t *count = &changes->counts[side];
    struct sides_span *last = *count > 0 ? &changes->spans[side][*count - 1] : NULL;

    if (last != NULL && (last->end == begin || *count == SIDES_SPANS_MAX))
        last->end = end;
    else
        changes->spans[side][(*count)++] = (struct sides_span){ begin, end };
}

static void
collect(struct sides_changes *changes, size_t side, const struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++) {
        const struct token *token = &tokens->list[i];

        if (!token->is_common)
            add_span(changes, side, token->at, token->at + token->text.length);
    }
}

static size_t
weight_of(const struct tokens *tokens)
{
    size_t weight = 0;

    for (size_t i = 0; i < tokens->count; i++) {
        if (tokens->list[i].text.data[0] != ' ')
            weight += 1 + 4 * tokens->list[i].text.length;
    }
    return weight;
}

/* What is between the beginning and the end that both have. */
static void
compare_ends(struct sides_changes *ret, const struct slice text[SIDES_COUNT])
{
    const uint8_t *a = text[0].data, *b = text[1].data;
    size_t shorter = text[0].length < text[1].length ? text[0].length : text[1].length;
    size_t begin = 0, end = 0;

    while (begin < shorter && a[begin] == b[begin])
        begin++;
    while (begin > 0 && begin < text[0].length && (a[begin] & 0xc0) == 0x80)
        begin--; /* whole characters */
    while (end < shorter - begin &&
           a[text[0].length - end - 1] == b[text[1].length - end - 1])
        end++;
    while (end > 0 && (a[text[0].length - end] & 0xc0) == 0x80)
        end--;
    if (begin + end < shorter / COMMON_SHARE)
        return;
    for (size_t side = 0; side < SIDES_COUNT; side++) {
        if (text[side].length - end > begin)
            add_span(ret, side, begin, text[side].length - end);
    }
}

void
sides_compare(struct sides_changes *ret, const struct sides_row *row)
{
    struct tokens tokens[SIDES_COUNT];
    size_t common, weights[SIDES_COUNT];

    ret->counts[0] = ret->counts[1] = 0;
    if (row->mark != '~')
        return;
    if (!split(&tokens[0], row->text[0]) || !split(&tokens[1], row->text[1])) {
        compare_ends(ret, row->text);
        return;
    }
    common = match(&tokens[0], &tokens[1]);
    for (size_t side = 0; side < SIDES_COUNT; side++)
        weights[side] = weight_of(&tokens[side]);
    if (common < (weights[0] > weights[1] ? weights[0] : weights[1]) / COMMON_SHARE)
        return;
    for (size_t side = 0; side < SIDES_COUNT; side++)
        collect(ret, side, &tokens[side]);
}

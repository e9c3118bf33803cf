/* SPDX-License-Identifier: MIT */
/*
 * The shortest edit script (Myers, 1986) of what remains between the common beginning and
 * the common end. When it would be longer than EDITS_MAX, nobody reads it: then all of
 * one side stands before all of the other.
 */
#include "kernel/compare/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/numbers.h"
#include "protocol/cleanup.h"
#include "protocol/text.h"

#define EDITS_MAX 1000
#define WORK_MAX ((size_t)20 * 1000 * 1000) /* comparisons of two lines */
#define PAIRS_MAX 200
#define BEFORE_DIFFERENCE_BYTES 80
#define ELLIPSIS "\xe2\x80\xa6"

struct line {
    struct slice text;
    uint64_t hash;
};

struct side {
    struct line *lines; /* owned */
    size_t count;
};

struct diff {
    struct side a, b; /* expected, actual */
    const struct tolerance *tolerance; /* borrowed */
    size_t work;
    bool *removed, *added; /* owned: by line */
};

static uint64_t
hash_of(struct slice text)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ text.data[i]) * 1099511628211u;
    return hash;
}

static int
split(struct side *ret, struct slice text)
{
    const struct slice known = text.length > 0 ? text : slice_text("");
    const uint8_t *at = known.data, *end = at + known.length, *newline;
    size_t count = text.length > 0;

    for (size_t i = 0; i < text.length; i++)
        count += text.data[i] == '\n';
    ret->lines = calloc(count + 1, sizeof *ret->lines);
    if (ret->lines == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        ret->lines[i].text =
            (struct slice){ at, (size_t)((newline != NULL ? newline : end) - at) };
        ret->lines[i].hash = hash_of(ret->lines[i].text);
        at = newline != NULL ? newline + 1 : end;
    }
    ret->count = count;
    return 0;
}

static bool
lines_equal(struct diff *diff, size_t i, size_t j)
{
    const struct line *a = &diff->a.lines[i], *b = &diff->b.lines[j];

    diff->work++;
    if (a->hash == b->hash && a->text.length == b->text.length)
        return a->text.length == 0 ||
               memcmp(a->text.data, b->text.data, a->text.length) == 0;
    diff->work += (a->text.length + b->text.length) / 64;
    return numbers_texts_agree(a->text, b->text, diff->tolerance);
}

/* Of round D the ends of diagonals -D to D are stored, behind those of earlier rounds. */
static int *
round_of(int *rounds, int d)
{
    return rounds + (size_t)d * (size_t)d + d;
}

/* The diagonal that diagonal K of round D comes from. */
static int
previous_diagonal(const int *before, int d, int k)
{
    if (k == -d || (k != d && before[k - 1] < before[k + 1]))
        return k + 1;
    return k - 1;
}

/* Walks back through what each round of the search has reached. */
static void
trace_back(struct diff *diff, int *rounds, int edits, size_t begin, int k)
{
    for (int d = edits; d > 0; d--) {
        const int *before = round_of(rounds, d - 1);
        int previous = previous_diagonal(before, d, k), x = before[previous];

        if (previous == k + 1)
            diff->added[begin + (size_t)(x - previous)] = true;
        else
            diff->removed[begin + (size_t)x] = true;
        k = previous;
    }
}

/* The number of edits that N lines of one side and M of the other need, or -1: too many.
 */
static int
search(struct diff *diff, int *rounds, size_t begin, int n, int m)
{
    for (int d = 0; d <= EDITS_MAX && diff->work < WORK_MAX; d++) {
        int *now = round_of(rounds, d), *before = d > 0 ? round_of(rounds, d - 1) : NULL;

        for (int k = -d; k <= d; k += 2) {
            int previous = d > 0 ? previous_diagonal(before, d, k) : 0;
            int x = d > 0 ? before[previous] + (previous < k) : 0;

            while (x < n && x - k < m &&
                   lines_equal(diff, begin + (size_t)x, begin + (size_t)(x - k)))
                x++;
            now[k] = x;
            if (x >= n && x - k >= m)
                return d;
        }
    }
    return -1;
}

static int
find_edits(struct diff *diff)
{
    CLEANUP(freep) int *rounds = NULL;
    size_t n = diff->a.count, m = diff->b.count, begin = 0;
    int edits;

    while (begin < n && begin < m && lines_equal(diff, begin, begin))
        begin++;
    while (n > begin && m > begin && lines_equal(diff, n - 1, m - 1)) {
        n--;
        m--;
    }
    rounds = malloc((EDITS_MAX + 2) * (EDITS_MAX + 2) * sizeof *rounds);
    if (rounds == NULL)
        return -ENOMEM;
    diff->work = 0;
    edits = search(diff, rounds, begin, (int)(n - begin), (int)(m - begin));
    if (edits >= 0) {
        trace_back(diff, rounds, edits, begin, (int)(n - begin) - (int)(m - begin));
        return 0;
    }
    for (size_t i = begin; i < n; i++)
        diff->removed[i] = true;
    for (size_t i = begin; i < m; i++)
        diff->added[i] = true;
    return 0;
}

static bool
is_inside_character(struct slice text, size_t at)
{
    return at < text.length && (text.data[at] & 0xc0) == 0x80;
}

/* Appends a row; of a long line what stands around FOCUS. */
static int
add_row(json_t *rows, const char *mark, struct slice text, size_t focus)
{
    size_t begin = 0, end = text.length;
    struct buffer shown;
    json_t *row = NULL;
    int r = 0;

    buffer_init(&shown, LINES_SHOWN_BYTES_MAX + 64);
    if (text.length > LINES_SHOWN_BYTES_MAX) {
        begin = focus > BEFORE_DIFFERENCE_BYTES ? focus - BEFORE_DIFFERENCE_BYTES : 0;
        if (begin > text.length - LINES_SHOWN_BYTES_MAX)
            begin = text.length - LINES_SHOWN_BYTES_MAX;
        end = begin + LINES_SHOWN_BYTES_MAX;
        while (is_inside_character(text, begin))
            begin++;
        while (is_inside_character(text, end))
            end--;
    }
    if (begin > 0)
        r = buffer_append_text(&shown, ELLIPSIS);
    if (r == 0 && end > begin)
        r = buffer_append(&shown, text.data + begin, end - begin);
    if (r == 0 && end < text.length)
        r = buffer_append_text(&shown, ELLIPSIS);
    if (r == 0)
        row = json_pack("[s, s%]", mark, shown.length > 0 ? (char *)shown.data : "",
                        shown.length);
    buffer_fini(&shown);
    return row == NULL || json_array_append_new(rows, row) != 0 ? -ENOMEM : 0;
}

static int
add_left_out(json_t *rows, size_t count)
{
    char text[64];

    snprintf(text, sizeof text, "%zu line%s", count, count == 1 ? "" : "s");
    return add_row(rows, ".", slice_text(text), 0);
}

static size_t
common_prefix(struct slice a, struct slice b)
{
    size_t n = 0;

    while (n < a.length && n < b.length && a.data[n] == b.data[n])
        n++;
    return n;
}

static int
add_pair(struct lines_difference *ret, struct slice a, struct slice b,
         const struct tolerance *tolerance)
{
    int r = numbers_far(ret->numbers, a, b, tolerance);
    json_t *pair;

    if (r < 0 || json_array_size(ret->pairs) >= PAIRS_MAX)
        return r;
    pair = json_pack("[s%, s%]", a.length > 0 ? (const char *)a.data : "", a.length,
                     b.length > 0 ? (const char *)b.data : "", b.length);
    return pair == NULL || json_array_append_new(ret->pairs, pair) != 0 ? -ENOMEM : 0;
}

/* Lines I to I_END of one side stand where J to J_END of the other do. */
static int
add_change(struct lines_difference *ret, const struct diff *diff, size_t i, size_t i_end,
           size_t j, size_t j_end)
{
    size_t focus = 0, both = i_end - i < j_end - j ? i_end - i : j_end - j;
    int r = 0;

    if (ret->removed + ret->added == 0)
        ret->first = i + 1;
    ret->removed += i_end - i;
    ret->added += j_end - j;
    for (size_t n = 0;
         r == 0 && n < i_end - i && json_array_size(ret->lines) < COMPARE_LINES_MAX;
         n++) {
        struct slice text = diff->a.lines[i + n].text;

        focus = n < both ? common_prefix(text, diff->b.lines[j + n].text) : 0;
        r = add_row(ret->lines, "-", text, focus);
    }
    for (size_t n = 0;
         r == 0 && n < j_end - j && json_array_size(ret->lines) < COMPARE_LINES_MAX;
         n++) {
        struct slice text = diff->b.lines[j + n].text;

        focus = n < both ? common_prefix(diff->a.lines[i + n].text, text) : 0;
        r = add_row(ret->lines, "+", text, focus);
    }
    for (size_t n = 0; r == 0 && n < both && i_end - i == j_end - j; n++)
        r = add_pair(ret, diff->a.lines[i + n].text, diff->b.lines[j + n].text,
                     diff->tolerance);
    return r;
}

/* COUNT equal lines from I: only those near a change are shown. */
static int
add_equal(json_t *rows, const struct side *side, size_t i, size_t count, bool is_first,
          bool is_last)
{
    size_t head = is_first ? 0 : LINES_CONTEXT, tail = is_last ? 0 : LINES_CONTEXT;
    int r = 0;

    if (head + tail + 1 >= count)
        head = count, tail = 0;
    for (size_t n = 0; r == 0 && n < head; n++)
        r = add_row(rows, "=", side->lines[i + n].text, 0);
    if (r == 0 && count > head + tail)
        r = add_left_out(rows, count - head - tail);
    for (size_t n = count - tail; r == 0 && n < count; n++)
        r = add_row(rows, "=", side->lines[i + n].text, 0);
    return r;
}

static int
add_all(struct lines_difference *ret, const struct diff *diff)
{
    size_t i = 0, j = 0, from, other;
    int r = 0;

    while (r == 0 && (i < diff->a.count || j < diff->b.count)) {
        from = i;
        other = j;
        while (i < diff->a.count && diff->removed[i])
            i++;
        while (j < diff->b.count && diff->added[j])
            j++;
        if (i > from || j > other) {
            r = add_change(ret, diff, from, i, other, j);
            continue;
        }
        while (i < diff->a.count && j < diff->b.count && !diff->removed[i] &&
               !diff->added[j]) {
            i++;
            j++;
        }
        if (json_array_size(ret->lines) < COMPARE_LINES_MAX)
            r = add_equal(ret->lines, &diff->a, from, i - from, from + other == 0,
                          i == diff->a.count && j == diff->b.count);
    }
    if (r == 0 && json_array_size(ret->lines) >= COMPARE_LINES_MAX)
        r = add_row(ret->lines, ".", slice_text("the rest"), 0);
    return r;
}

static int
compare(struct lines_difference *ret, struct diff *diff, struct slice expected,
        struct slice actual)
{
    int r;

    r = split(&diff->a, expected);
    if (r == 0)
        r = split(&diff->b, actual);
    if (r < 0)
        return r;
    diff->removed = calloc(diff->a.count + 1, sizeof *diff->removed);
    diff->added = calloc(diff->b.count + 1, sizeof *diff->added);
    if (diff->removed == NULL || diff->added == NULL || ret->lines == NULL ||
        ret->numbers == NULL || ret->pairs == NULL)
        return -ENOMEM;
    r = find_edits(diff);
    return r == 0 ? add_all(ret, diff) : r;
}

int
lines_compare(struct lines_difference *ret, struct slice expected, struct slice actual,
              const struct tolerance *tolerance)
{
    struct lines_difference made = { .lines = json_array(),
                                     .numbers = json_array(),
                                     .pairs = json_array() };
    struct diff diff = { .tolerance = tolerance };
    int r = compare(&made, &diff, expected, actual);

    free(diff.a.lines);
    free(diff.b.lines);
    free(diff.removed);
    free(diff.added);
    if (r < 0)
        lines_difference_fini(&made);
    else
        *ret = made;
    return r;
}

void
lines_difference_fini(struct lines_difference *difference)
{
    json_decref(difference->lines);
    json_decref(difference->numbers);
    json_decref(difference->pairs);
    *difference = (struct lines_difference){ .lines = NULL };
}

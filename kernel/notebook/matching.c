/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/matching.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/notebook.h"

/* The cells of code of one notebook. */
struct side {
    const struct notebook *notebook; /* borrowed */
    size_t *cells; /* owned: their indices there */
    size_t *sources; /* owned: equal numbers are equal sources */
    size_t *others; /* owned: the match on the other side, or MATCHING_NONE */
    size_t count;
};

/* A text of a cell, to be sorted. */
struct entry {
    struct slice text;
    struct side *side;
    size_t index; /* in SIDE */
};

static void
side_fini(struct side *side)
{
    free(side->cells);
    free(side->sources);
    free(side->others);
}

static int
side_init(struct side *side, const struct notebook *notebook)
{
    size_t room = notebook->cell_count + 1;

    *side = (struct side){ .notebook = notebook };
    side->cells = calloc(room, sizeof *side->cells);
    side->sources = calloc(room, sizeof *side->sources);
    side->others = calloc(room, sizeof *side->others);
    if (side->cells == NULL || side->sources == NULL || side->others == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < notebook->cell_count; i++) {
        if (notebook->cells[i].type != NOTEBOOK_CODE)
            continue;
        side->others[side->count] = MATCHING_NONE;
        side->cells[side->count++] = i;
    }
    return 0;
}

static const struct notebook_cell *
cell_of(const struct side *side, size_t index)
{
    return &side->notebook->cells[side->cells[index]];
}

static void
match(struct side *before, size_t i, struct side *after, size_t j)
{
    before->others[i] = j;
    after->others[j] = i;
}

static int
compare_texts(struct slice a, struct slice b)
{
    if (a.length != b.length)
        return a.length < b.length ? -1 : 1;
    return a.length > 0 ? memcmp(a.data, b.data, a.length) : 0;
}

static int
compare_entries(const void *one, const void *other)
{
    const struct entry *a = one, *b = other;
    int r = compare_texts(a->text, b->text);

    return r != 0 ? r : (a->index > b->index) - (a->index < b->index);
}

/* Which text of a cell is meant; its length is 0: it has none. */
typedef struct slice text_fn(const struct notebook_cell *cell);

static struct slice
id_of(const struct notebook_cell *cell)
{
    return cell->id;
}

static struct slice
source_of(const struct notebook_cell *cell)
{
    return cell->source;
}

static void
add_entries(struct entry *entries, size_t *count, struct side *side, text_fn *text)
{
    for (size_t i = 0; i < side->count; i++)
        entries[(*count)++] = (struct entry){ text(cell_of(side, i)), side, i };
}

/* The texts of all cells of both sides, sorted. NULL: no memory. */
static struct entry *
sort_entries(struct side *before, struct side *after, text_fn *text, size_t *ret_count)
{
    struct entry *entries = calloc(before->count + after->count + 1, sizeof *entries);

    *ret_count = 0;
    if (entries == NULL)
        return NULL;
    add_entries(entries, ret_count, before, text);
    add_entries(entries, ret_count, after, text);
    qsort(entries, *ret_count, sizeof *entries, compare_entries);
    return entries;
}

/* Ids that several cells of a side have, which they may not, match nothing. */
static int
match_ids(struct side *before, struct side *after)
{
    size_t count, end;
    CLEANUP(freep) struct entry *entries = sort_entries(before, after, id_of, &count);

    if (entries == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i = end) {
        const struct entry *first = &entries[i], *second = &entries[i + 1];

        for (end = i + 1; end < count; end++)
            if (compare_texts(entries[end].text, first->text) != 0)
                break;
        if (end != i + 2 || first->text.length == 0 || first->side == second->side)
            continue;
        if (first->side == before)
            match(before, first->index, after, second->index);
        else
            match(before, second->index, after, first->index);
    }
    return 0;
}

static int
number_sources(struct side *before, struct side *after)
{
    size_t count, number = 0;
    CLEANUP(freep) struct entry *entries = sort_entries(before, after, source_of, &count);

    if (entries == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare_texts(entries[i - 1].text, entries[i].text) != 0)
            number++;
        entries[i].side->sources[entries[i].index] = number;
    }
    return 0;
}

/* Those that have no match yet. NULL: no memory. */
static size_t *
list_free(const struct side *side, size_t *ret_count)
{
    size_t *list = calloc(side->count + 1, sizeof *list);

    *ret_count = 0;
    for (size_t i = 0; list != NULL && i < side->count; i++)
        if (side->others[i] == MATCHING_NONE)
            list[(*ret_count)++] = i;
    return list;
}

/* Two lists of cells without a match. */
struct free_cells {
    struct side *before, *after;
    size_t *a, *b; /* owned */
    size_t n, m;
};

static void
free_cells_fini(struct free_cells *cells)
{
    free(cells->a);
    free(cells->b);
}

static bool
is_same(const struct free_cells *cells, size_t i, size_t j)
{
    return cells->before->sources[cells->a[i]] == cells->after->sources[cells->b[j]];
}

static void
match_in_turn(struct free_cells *cells)
{
    size_t next = 0;

    for (size_t i = 0; i < cells->n; i++) {
        size_t j = next;

        while (j < cells->m && !is_same(cells, i, j))
            j++;
        if (j == cells->m)
            continue;
        match(cells->before, cells->a[i], cells->after, cells->b[j]);
        next = j + 1;
    }
}

/* LENGTHS[i][j]: of the longest common series of what is from I and J on. */
static int
match_longest(struct free_cells *cells)
{
    size_t width = cells->m + 1;
    CLEANUP(freep)
    uint16_t *lengths = calloc((cells->n + 1) * width, sizeof *lengths);

    static_assert(NOTEBOOK_CELLS_MAX <= UINT16_MAX, "a length fits");
    if (lengths == NULL)
        return -ENOMEM;
    for (size_t i = cells->n; i-- > 0;) {
        for (size_t j = cells->m; j-- > 0;) {
            uint16_t down = lengths[(i + 1) * width + j];
            uint16_t right = lengths[i * width + j + 1];

            if (is_same(cells, i, j))
                lengths[i * width + j] = (uint16_t)(lengths[(i + 1) * width + j + 1] + 1);
            else
                lengths[i * width + j] = down > right ? down : right;
        }
    }
    for (size_t i = 0, j = 0; i < cells->n && j < cells->m;) {
        if (is_same(cells, i, j))
            match(cells->before, cells->a[i++], cells->after, cells->b[j++]);
        else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])
            i++;
        else
            j++;
    }
    return 0;
}

static int
match_sources(struct side *before, struct side *after)
{
    CLEANUP(free_cells_fini)
    struct free_cells cells = { .before = before, .after = after };
    int r = number_sources(before, after);

    cells.a = list_free(before, &cells.n);
    cells.b = list_free(after, &cells.m);
    if (r < 0 || cells.a == NULL || cells.b == NULL)
        return -ENOMEM;
    if ((cells.n + 1) * (cells.m + 1) <= MATCHING_WORK_MAX)
        return match_longest(&cells);
    match_in_turn(&cells);
    return 0;
}

/* What is free behind the same match goes together. */
static void
match_rest(struct side *before, struct side *after)
{
    for (size_t i = 0, j = 0; i < before->count; i++) {
        if (before->others[i] != MATCHING_NONE) {
            j = before->others[i] + 1;
            continue;
        }
        if (j < after->count && after->others[j] == MATCHING_NONE) {
            match(before, i, after, j);
            j++;
        }
    }
}

static void
add(struct matching *matching, const struct side *before, size_t i,
    const struct side *after, size_t j)
{
    matching->pairs[matching->count++] = (struct matching_pair){
        i == MATCHING_NONE ? MATCHING_NONE : before->cells[i],
        j == MATCHING_NONE ? MATCHING_NONE : after->cells[j],
    };
}

/* What was removed from I on. */
static void
add_removed(struct matching *matching, const struct side *before, size_t i,
            const struct side *after)
{
    for (; i < before->count && before->others[i] == MATCHING_NONE; i++)
        add(matching, before, i, after, MATCHING_NONE);
}

static int
add_all(struct matching *matching, const struct side *before, const struct side *after)
{
    *matching = (struct matching){ 0 };
    matching->pairs = calloc(before->count + after->count + 1, sizeof *matching->pairs);
    if (matching->pairs == NULL)
        return -ENOMEM;
    add_removed(matching, before, 0, after);
    for (size_t j = 0; j < after->count; j++) {
        add(matching, before, after->others[j], after, j);
        if (after->others[j] != MATCHING_NONE)
            add_removed(matching, before, after->others[j] + 1, after);
    }
    return 0;
}

int
matching_create(struct matching *ret, const struct notebook *before,
                const struct notebook *after)
{
    CLEANUP(side_fini) struct side a = { 0 };
    CLEANUP(side_fini) struct side b = { 0 };
    int r = side_init(&a, before);

    if (r == 0)
        r = side_init(&b, after);
    if (r == 0)
        r = match_ids(&a, &b);
    if (r == 0)
        r = match_sources(&a, &b);
    if (r < 0)
        return r;
    match_rest(&a, &b);
    return add_all(ret, &a, &b);
}

void
matching_fini(struct matching *matching)
{
    free(matching->pairs);
    *matching = (struct matching){ 0 };
}

/* SPDX-License-Identifier: MIT */
#include "kernel/compare/sets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"

/* The items of one pair of braces. Plain data but for the array. */
struct items {
    struct slice *items; /* owned */
    size_t count, capacity;
};

static int
compare_items(const void *one, const void *other)
{
    const struct slice *a = one, *b = other;
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->data, b->data, shorter);

    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static int
add_item(struct items *items, const uint8_t *begin, const uint8_t *end)
{
    struct slice *grown;

    while (begin < end && *begin == ' ')
        begin++;
    while (begin < end && end[-1] == ' ')
        end--;
    if (items->count == items->capacity) {
        items->capacity = items->capacity == 0 ? 16 : 2 * items->capacity;
        grown = realloc(items->items, items->capacity * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        items->items = grown;
    }
    items->items[items->count++] = (struct slice){ begin, (size_t)(end - begin) };
    return 0;
}

/* Behind the quoted text that AT begins; END of the line when it has no end. */
static const uint8_t *
skip_quoted(const uint8_t *at, const uint8_t *end)
{
    uint8_t quote = *at++;

    while (at < end && *at != quote)
        at += *at == '\\' && at + 1 < end ? 2 : 1;
    return at < end ? at + 1 : end;
}

/* Reads the set that begins behind a brace. *RET_END: its closing brace, or NULL: it is
 * none. */
static int
read_set(struct items *items, const uint8_t *at, const uint8_t *end,
         const uint8_t **ret_end)
{
    const uint8_t *begin = at;
    size_t depth = 0;
    int r = 0;

    *ret_end = NULL;
    items->count = 0;
    while (r == 0 && at < end && items->count < SETS_ITEMS_MAX) {
        if (*at == '"' || *at == '\'') {
            at = skip_quoted(at, end);
            continue;
        }
        if (depth == 0 && (*at == ':' || *at == '}')) {
            *ret_end = *at == '}' ? at : NULL;
            return *at == '}' ? add_item(items, begin, at) : 0;
        }
        if (*at == '{' || *at == '[' || *at == '(')
            depth++;
        else if (depth > 0 && (*at == '}' || *at == ']' || *at == ')'))
            depth--;
        else if (depth == 0 && *at == ',') {
            r = add_item(items, begin, at);
            begin = at + 1;
        }
        at++;
    }
    return r;
}

static int
append_set(struct buffer *ret, struct items *items)
{
    int r = buffer_append_text(ret, "{");

    qsort(items->items, items->count, sizeof *items->items, compare_items);
    for (size_t i = 0; r == 0 && i < items->count; i++) {
        if (i > 0)
            r = buffer_append_text(ret, ", ");
        if (r == 0)
            r = buffer_append(ret, items->items[i].data, items->items[i].length);
    }
    return r == 0 ? buffer_append_text(ret, "}") : r;
}

/* A line may have so many braces that reading on from each is too much: after so many
 * that begin no set, the rest of the line stays as it is. */
#define TRIES_MAX 16
#define SET_BYTES_MAX ((ptrdiff_t)64 * 1024)

static int
order_line(struct items *items, const uint8_t *at, const uint8_t *end, struct buffer *ret)
{
    const uint8_t *brace, *close;
    unsigned tries = 0;
    int r = 0;

    while (r == 0 && at < end) {
        brace = tries < TRIES_MAX ? memchr(at, '{', (size_t)(end - at)) : NULL;
        if (brace == NULL)
            return buffer_append(ret, at, (size_t)(end - at));
        r = buffer_append(ret, at, (size_t)(brace - at));
        if (r == 0)
            r = read_set(items, brace + 1,
                         end - brace > SET_BYTES_MAX ? brace + SET_BYTES_MAX : end,
                         &close);
        if (r == 0 && close != NULL) {
            r = append_set(ret, items);
            at = close + 1;
        } else if (r == 0) {
            r = buffer_append_text(ret, "{");
            at = brace + 1;
            tries++;
        }
    }
    return r;
}

int
sets_order(struct slice text, struct buffer *ret)
{
    struct items items = { .items = NULL };
    const struct slice known = text.length > 0 ? text : slice_text("");
    const uint8_t *at = known.data, *end = at + known.length, *line_end;
    int r = 0;

    while (r == 0 && at < end) {
        line_end = memchr(at, '\n', (size_t)(end - at));
        line_end = line_end != NULL ? line_end : end;
        r = order_line(&items, at, line_end, ret);
        if (r == 0 && line_end < end)
            r = buffer_append_text(ret, "\n");
        at = line_end < end ? line_end + 1 : end;
    }
    free(items.items);
    return r;
}

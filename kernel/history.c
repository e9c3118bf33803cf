/* SPDX-License-Identifier: MIT */
/* A ring of entries in the order of their runs, so also in order of session and line. */
#include "kernel/history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/text.h"

struct entry {
    uint64_t session;
    uint32_t line;
    bool has_output;
    struct slice input; /* owned */
    struct slice output; /* owned */
};

struct history {
    struct entry *entries; /* owned: HISTORY_ENTRIES_MAX of them */
    size_t first, count;
    size_t bytes;
};

int
history_create(struct history **ret)
{
    CLEANUP(freep) struct history *history = calloc(1, sizeof *history);

    if (history == NULL)
        return -ENOMEM;
    history->entries = calloc(HISTORY_ENTRIES_MAX, sizeof *history->entries);
    if (history->entries == NULL)
        return -ENOMEM;
    *ret = history;
    history = NULL;
    return 0;
}

static struct entry *
entry_at(const struct history *history, size_t index)
{
    return &history->entries[(history->first + index) % HISTORY_ENTRIES_MAX];
}

static void
forget_oldest(struct history *history)
{
    struct entry *entry = entry_at(history, 0);

    history->bytes -= entry->input.length + entry->output.length;
    free((void *)entry->input.data);
    free((void *)entry->output.data);
    *entry = (struct entry){ 0 };
    history->first = (history->first + 1) % HISTORY_ENTRIES_MAX;
    history->count--;
}

void
history_destroy(struct history *history)
{
    if (history == NULL)
        return;
    while (history->count > 0)
        forget_oldest(history);
    free(history->entries);
    free(history);
}

static int
copy(struct slice *ret, struct slice from)
{
    uint8_t *data = malloc(from.length + 1);

    if (data == NULL)
        return -ENOMEM;
    if (from.length > 0)
        memcpy(data, from.data, from.length);
    *ret = (struct slice){ data, from.length };
    return 0;
}

int
history_add(struct history *history, uint64_t session, uint32_t line, struct slice input)
{
    struct entry entry = { .session = session, .line = line };
    int r;

    if (input.length > HISTORY_BYTES_MAX)
        return 0;
    r = copy(&entry.input, input);
    if (r < 0)
        return r;
    while (history->count == HISTORY_ENTRIES_MAX ||
           (history->count > 0 && history->bytes + input.length > HISTORY_BYTES_MAX))
        forget_oldest(history);
    *entry_at(history, history->count++) = entry;
    history->bytes += input.length;
    return 0;
}

int
history_set_output(struct history *history, uint64_t session, uint32_t line,
                   struct slice output)
{
    struct slice kept;
    int r;

    if (output.length > HISTORY_OUTPUT_BYTES_MAX)
        return 0;
    for (size_t i = history->count; i-- > 0;) {
        struct entry *entry = entry_at(history, i);

        if (entry->session != session || entry->line != line)
            continue;
        r = copy(&kept, output);
        if (r < 0)
            return r;
        history->bytes += kept.length - entry->output.length;
        free((void *)entry->output.data);
        entry->output = kept;
        entry->has_output = true;
        while (history->count > 1 && history->bytes > HISTORY_BYTES_MAX)
            forget_oldest(history);
        return 0;
    }
    return 0;
}

static size_t
character_length(const uint8_t *at, const uint8_t *end)
{
    size_t n = 1;

    while (at + n < end && (at[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* Whether PATTERN fits all of TEXT. STEPS is what may still be spent: "*a*a*a*b" against
 * a long text is slow for every matcher of this kind. */
static bool
glob_matches(struct slice pattern, struct slice text, uint64_t *steps)
{
    const uint8_t *p = pattern.data, *p_end = p + pattern.length;
    const uint8_t *t = text.data, *t_end = t + text.length;
    const uint8_t *star = NULL, *resume = NULL; /* where the last "*" was and fits to */

    while (t < t_end) {
        if (*steps == 0)
            return false;
        (*steps)--;
        if (p < p_end && *p == '*') {
            star = ++p;
            resume = t;
        } else if (p < p_end && *p == '?') {
            p++;
            t += character_length(t, t_end);
        } else if (p < p_end && *p == *t) {
            p++;
            t++;
        } else if (star != NULL) {
            p = star;
            t = resume += character_length(resume, t_end);
        } else {
            return false;
        }
    }
    while (p < p_end && *p == '*')
        p++;
    return p == p_end;
}

/* The latest session there is: the current one, unless nothing has run in it. */
static uint64_t
range_session(const struct history_query *query, uint64_t current)
{
    if (query->session > 0)
        return (uint64_t)query->session;
    if (-query->session >= (int64_t)current)
        return 0; /* before the first */
    return current - (uint64_t)-query->session;
}

static bool
range_has(const struct history_query *query, uint64_t session, const struct entry *entry)
{
    return entry->session == session && (int64_t)entry->line >= query->start &&
           (!query->has_stop || (int64_t)entry->line < query->stop);
}

static bool
same_input(const struct entry *a, const struct entry *b)
{
    return a->input.length == b->input.length &&
           memcmp(a->input.data, b->input.data, a->input.length) == 0;
}

static int
compare_inputs(const void *left, const void *right)
{
    const struct entry *a = *(const struct entry *const *)left;
    const struct entry *b = *(const struct entry *const *)right;
    size_t shorter =
        a->input.length < b->input.length ? a->input.length : b->input.length;
    int order = memcmp(a->input.data, b->input.data, shorter);

    if (order != 0)
        return order;
    return (a->input.length > b->input.length) - (a->input.length < b->input.length);
}

/* Unmarks all but the newest of equal inputs. */
static int
keep_unique(const struct history *history, bool *chosen)
{
    CLEANUP(freep)
    const struct entry **sorted = calloc(history->count + 1, sizeof *sorted);
    CLEANUP(freep) size_t *newest = calloc(history->count + 1, sizeof *newest);
    size_t count = 0;

    if (sorted == NULL || newest == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < history->count; i++) {
        if (chosen[i])
            sorted[count++] = entry_at(history, i);
    }
    qsort(sorted, count, sizeof *sorted, compare_inputs);
    for (size_t i = 0, start = 0; i < count; i++) {
        size_t index = ((size_t)(sorted[i] - history->entries) + HISTORY_ENTRIES_MAX -
                        history->first) %
                       HISTORY_ENTRIES_MAX;

        if (i == 0 || !same_input(sorted[i], sorted[i - 1]))
            newest[start = i] = index;
        else if (index > newest[start]) {
            chosen[newest[start]] = false;
            newest[start] = index;
        } else {
            chosen[index] = false;
        }
    }
    return 0;
}

/* Marks in CHOSEN what QUERY asks for. */
static int
choose(const struct history *history, const struct history_query *query, uint64_t current,
       bool *chosen)
{
    uint64_t session = range_session(query, current), steps = HISTORY_SEARCH_STEPS_MAX;
    int64_t left = query->n;
    int r = 0;

    for (size_t i = history->count; i-- > 0;) {
        const struct entry *entry = entry_at(history, i);

        if (query->access == HISTORY_RANGE)
            chosen[i] = range_has(query, session, entry);
        else if (query->access == HISTORY_SEARCH)
            chosen[i] = glob_matches(query->pattern, entry->input, &steps);
        else
            chosen[i] = true;
    }
    if (query->access == HISTORY_SEARCH && query->unique)
        r = keep_unique(history, chosen);
    if (r < 0 || query->access == HISTORY_RANGE || query->n <= 0)
        return r;
    for (size_t i = history->count; i-- > 0;) {
        if (chosen[i] && left-- <= 0)
            chosen[i] = false;
    }
    return 0;
}

static int
append_entry(struct buffer *ret, const struct entry *entry, bool output, bool first)
{
    int r = buffer_append_format(ret, "%s[%" PRIu64 ",%" PRIu32 ",%s", first ? "" : ",",
                                 entry->session, entry->line, output ? "[" : "");

    if (r == 0)
        r = text_append_json(ret, entry->input.data, entry->input.length);
    if (r == 0 && output)
        r = buffer_append_text(ret, ",");
    if (r == 0 && output && entry->has_output)
        r = text_append_json(ret, entry->output.data, entry->output.length);
    else if (r == 0 && output)
        r = buffer_append_text(ret, "null");
    return r != 0 ? r : buffer_append_text(ret, output ? "]]" : "]");
}

int
history_append(const struct history *history, const struct history_query *query,
               uint64_t current_session, struct buffer *ret)
{
    CLEANUP(freep) bool *chosen = calloc(history->count + 1, sizeof *chosen);
    bool first = true;
    int r;

    if (chosen == NULL)
        return -ENOMEM;
    r = choose(history, query, current_session, chosen);
    if (r == 0)
        r = buffer_append_text(ret, "[");
    for (size_t i = 0; r == 0 && i < history->count; i++) {
        if (!chosen[i])
            continue;
        r = append_entry(ret, entry_at(history, i), query->output, first);
        first = false;
    }
    return r != 0 ? r : buffer_append_text(ret, "]");
}

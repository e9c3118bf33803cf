/* SPDX-License-Identifier: MIT */
#include "kernel/authorised.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define NAME_CHARACTERS                                                                  \
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-"
#define KEYS_FIRST 16 /* room, at first */

struct entry {
    unsigned char key[KEYS_BINARY_BYTES];
    char name[KEYS_NAME_BYTES];
    unsigned line; /* where it stands, for errors */
};

struct authorised {
    struct entry *entries; /* owned; in the order of their keys */
    const struct entry **names; /* owned; in the order of their names */
    size_t count, capacity;
};

CLEANUP_DEFINE(struct authorised, authorised_destroy);

void
authorised_destroy(struct authorised *authorised)
{
    if (authorised == NULL)
        return;
    free(authorised->entries);
    free(authorised->names);
    free(authorised);
}

size_t
authorised_count(const struct authorised *authorised)
{
    return authorised->count;
}

bool
authorised_is_name(const char *name)
{
    size_t length = strspn(name, NAME_CHARACTERS);

    return length > 0 && length < KEYS_NAME_BYTES && name[length] == '\0';
}

static bool
is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next word off LINE; empty: there is none. */
static struct slice
take_word(struct slice *line)
{
    struct slice word;

    while (line->length > 0 && is_blank(line->data[0])) {
        line->data++;
        line->length--;
    }
    word = (struct slice){ line->data, 0 };
    while (line->length > 0 && !is_blank(line->data[0])) {
        line->data++;
        line->length--;
        word.length++;
    }
    return word;
}

/* Takes a line off TEXT, without its end. */
static struct slice
take_line(struct slice *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->length);
    struct slice line = { text->data,
                          end != NULL ? (size_t)(end - text->data) : text->length };

    text->data += line.length + (end != NULL);
    text->length -= line.length + (end != NULL);
    return line;
}

/* Copies WORD as a string; false: it is longer than SIZE allows, or has a NUL. */
static bool
copy_word(char *ret, size_t size, struct slice word)
{
    if (word.length >= size || memchr(word.data, '\0', word.length) != NULL)
        return false;
    memcpy(ret, word.data, word.length);
    ret[word.length] = '\0';
    return true;
}

static int
read_entry(struct entry *ret, struct slice line, unsigned number, struct error *err)
{
    struct slice name = take_word(&line), key = take_word(&line);
    char text[KEYS_TEXT_BYTES];

    ret->line = number;
    if (!copy_word(ret->name, sizeof ret->name, name) || !authorised_is_name(ret->name))
        return error_set(err, AUTHORISED_E_INVALID,
                         "line %u: a name has 1 to %d letters, digits, or \"._-\"",
                         number, KEYS_NAME_BYTES - 1);
    if (key.length != KEYS_TEXT_BYTES - 1 || !copy_word(text, sizeof text, key) ||
        zmq_z85_decode(ret->key, text) == NULL)
        return error_set(err, AUTHORISED_E_INVALID,
                         "line %u: the key of %s is not one of %d Z85 characters", number,
                         ret->name, KEYS_TEXT_BYTES - 1);
    if (take_word(&line).length > 0)
        return error_set(err, AUTHORISED_E_INVALID,
                         "line %u: there is something behind the key of %s", number,
                         ret->name);
    return 0;
}

static int
make_room(struct authorised *authorised, struct error *err)
{
    size_t capacity = authorised->capacity == 0 ? KEYS_FIRST : 2 * authorised->capacity;
    struct entry *entries;

    if (authorised->count < authorised->capacity)
        return 0;
    if (authorised->count >= AUTHORISED_KEYS_MAX)
        return error_set(err, AUTHORISED_E_INVALID, "there are more than %d keys",
                         AUTHORISED_KEYS_MAX);
    if (capacity > AUTHORISED_KEYS_MAX)
        capacity = AUTHORISED_KEYS_MAX;
    entries = realloc(authorised->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return -ENOMEM;
    authorised->entries = entries;
    authorised->capacity = capacity;
    return 0;
}

static int
read_lines(struct authorised *authorised, struct slice text, struct error *err)
{
    int r = 0;

    for (unsigned number = 1; r == 0 && text.length > 0; number++) {
        struct slice line = take_line(&text), rest = line;
        struct slice word = take_word(&rest);

        if (word.length == 0 || word.data[0] == '#')
            continue;
        r = make_room(authorised, err);
        if (r == 0)
            r = read_entry(&authorised->entries[authorised->count], line, number, err);
        if (r == 0)
            authorised->count++;
    }
    return r;
}

static int
compare_keys(const void *a, const void *b)
{
    return memcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key,
                  KEYS_BINARY_BYTES);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct entry *const *)a)->name,
                  (*(const struct entry *const *)b)->name);
}

static int
refuse_twins(const struct entry *a, const struct entry *b, const char *what,
             struct error *err)
{
    return error_set(err, AUTHORISED_E_INVALID,
                     "lines %u and %u (%s, %s) have the same %s",
                     a->line < b->line ? a->line : b->line,
                     a->line < b->line ? b->line : a->line, a->name, b->name, what);
}

/* Sorts both ways; equal ones are neighbours then. */
static int
sort(struct authorised *authorised, struct error *err)
{
    size_t count = authorised->count;

    if (count == 0)
        return 0;
    authorised->names = calloc(count, sizeof *authorised->names);
    if (authorised->names == NULL)
        return -ENOMEM;
    qsort(authorised->entries, count, sizeof *authorised->entries, compare_keys);
    for (size_t i = 0; i < count; i++)
        authorised->names[i] = &authorised->entries[i];
    qsort(authorised->names, count, sizeof *authorised->names, compare_names);
    for (size_t i = 1; i < count; i++) {
        const struct entry *entry = &authorised->entries[i];

        if (compare_keys(entry - 1, entry) == 0)
            return refuse_twins(entry - 1, entry, "key", err);
        if (compare_names(&authorised->names[i - 1], &authorised->names[i]) == 0)
            return refuse_twins(authorised->names[i - 1], authorised->names[i], "name",
                                err);
    }
    return 0;
}

int
authorised_create(struct authorised **ret, struct slice text, struct error *err)
{
    CLEANUP(authorised_destroyp) struct authorised *authorised = NULL;
    int r;

    if (text.length > AUTHORISED_BYTES_MAX)
        return error_set(err, AUTHORISED_E_INVALID, "larger than %zu bytes",
                         AUTHORISED_BYTES_MAX);
    authorised = calloc(1, sizeof *authorised);
    if (authorised == NULL)
        return -ENOMEM;
    r = read_lines(authorised, text, err);
    if (r == 0)
        r = sort(authorised, err);
    if (r != 0)
        return r;
    *ret = authorised;
    authorised = NULL;
    return 0;
}

const char *
authorised_name(const struct authorised *authorised,
                const unsigned char key[KEYS_BINARY_BYTES])
{
    struct entry wanted;
    const struct entry *found;

    if (authorised->count == 0)
        return NULL;
    memcpy(wanted.key, key, sizeof wanted.key);
    found = bsearch(&wanted, authorised->entries, authorised->count, sizeof wanted,
                    compare_keys);
    return found != NULL ? found->name : NULL;
}

bool
authorised_has_name(const struct authorised *authorised, const char *name)
{
    struct entry entry;
    const struct entry *wanted = &entry;

    if (authorised->count == 0 || !authorised_is_name(name))
        return false;
    memcpy(entry.name, name, strlen(name) + 1);
    return bsearch(&wanted, authorised->names, authorised->count,
                   sizeof *authorised->names, compare_names) != NULL;
}

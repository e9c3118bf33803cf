/* SPDX-License-Identifier: MIT */
#include "kernel/compare/markup_names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libxml/hash.h>

#include "protocol/cleanup.h"

#define NAME_BYTES_MAX 256 /* a longer word is not looked up: data, not a name */
#define UUID_BYTES 36
#define HASH_BYTES 32 /* of a UUID without its dashes */
#define HEX "0123456789abcdef"
#define SHORT_HASH_BYTES 5 /* the least that pandas takes of one */

struct markup_names {
    xmlHashTable *ids; /* owned: the number as a pointer */
    xmlHashTable *generated; /* owned: as well */
};

CLEANUP_DEFINE(struct markup_names, markup_names_destroy);

int
markup_names_create(struct markup_names **ret)
{
    CLEANUP(markup_names_destroyp)
    struct markup_names *names = calloc(1, sizeof *names);

    if (names == NULL)
        return -ENOMEM;
    names->ids = xmlHashCreate(0);
    names->generated = xmlHashCreate(0);
    if (names->ids == NULL || names->generated == NULL)
        return -ENOMEM;

    *ret = names;
    names = NULL;
    return 0;
}

void
markup_names_destroy(struct markup_names *names)
{
    if (names == NULL)
        return;
    xmlHashFree(names->ids, NULL);
    xmlHashFree(names->generated, NULL);
    free(names);
}

static size_t
number_of(xmlHashTable *table, const char *name)
{
    return (size_t)(uintptr_t)xmlHashLookup(table, (const xmlChar *)name);
}

/* *RET: the number that NAME has, or now gets. */
static int
number(xmlHashTable *table, const char *name, size_t *ret)
{
    size_t known = number_of(table, name);

    if (known == 0) {
        known = (size_t)xmlHashSize(table) + 1;
        if (xmlHashAddEntry(table, (const xmlChar *)name, (void *)(uintptr_t)known) != 0)
            return -ENOMEM;
    }
    *ret = known;
    return 0;
}

/* The number of the id that NAME begins with, and the length of that; 0: of none. NAME
 * is as it was on return. */
static size_t
find_prefix(struct markup_names *names, char *name, size_t length, size_t *ret_length)
{
    size_t found;
    char c;

    for (size_t i = length - 1; i > 0; i--) {
        c = name[i];
        if (c != '-' && c != '_')
            continue;
        name[i] = '\0';
        found = number_of(names->ids, name);
        name[i] = c;
        if (found != 0) {
            *ret_length = i;
            return found;
        }
    }
    return 0;
}

int
markup_names_add(struct markup_names *names, const char *id)
{
    size_t length = strlen(id), ignored;
    char copy[NAME_BYTES_MAX + 1];

    if (length == 0)
        return 0;
    if (length <= NAME_BYTES_MAX) {
        memcpy(copy, id, length + 1);
        if (find_prefix(names, copy, length, &ignored) != 0)
            return 0;
    }
    return number(names->ids, id, &ignored);
}

static bool
is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool
is_uuid(const char *text)
{
    for (size_t i = 0; i < UUID_BYTES; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : !is_hex(text[i]))
            return false;
    }
    return true;
}

/* A part of a name. */
struct span {
    size_t start, length; /* 0: there is none */
};

/* In a class such as T_ab12f: a part that is of both, digits and letters up to f. */
static struct span
find_short_hash(const char *name)
{
    size_t length, digits, start = 0;

    for (;; start += length + 1) {
        length = strcspn(name + start, "-_");
        digits = 0;
        for (size_t i = 0; i < length; i++)
            digits += name[start + i] >= '0' && name[start + i] <= '9';
        if (length >= SHORT_HASH_BYTES && digits > 0 && digits < length &&
            strspn(name + start, HEX) == length)
            return (struct span){ start, length };
        if (name[start + length] == '\0')
            return (struct span){ 0 };
    }
}

/* Behind a dash may be the hash of something. That of data which the script itself holds
 * (altair's) would tell of differences that are tolerated there; elsewhere it is all that
 * tells of them. */
static struct span
find_generated(const char *name, size_t length, bool dashed)
{
    size_t tail;

    for (size_t i = 0; i + UUID_BYTES <= length; i++) {
        if (is_uuid(name + i))
            return (struct span){ i, UUID_BYTES };
    }
    if (length < HASH_BYTES)
        return (struct span){ 0 };
    tail = length - HASH_BYTES;
    if (strspn(name + tail, HEX) != HASH_BYTES ||
        (tail > 0 && ((!dashed && name[tail - 1] == '-') || is_hex(name[tail - 1]))))
        return (struct span){ 0 };
    return (struct span){ tail, HASH_BYTES };
}

struct word {
    const char *data; /* borrowed */
    size_t length;
    bool id, class, dashed; /* what it may be by its place */
};

static int
append_generated(struct markup_names *names, struct buffer *ret, char *name,
                 struct span span)
{
    size_t end = span.start + span.length, found;
    char c = name[end];
    int r;

    name[end] = '\0';
    r = number(names->generated, name + span.start, &found);
    name[end] = c;
    if (r == 0)
        r = buffer_append(ret, name, span.start);
    if (r == 0)
        r = buffer_append_format(ret, "generated%zu", found);
    return r != 0 ? r : buffer_append_text(ret, name + end);
}

static int
append_word(struct markup_names *names, struct buffer *ret, struct word word)
{
    char name[NAME_BYTES_MAX + 1];
    size_t found = 0, used = word.length;
    struct span span;
    int r;

    if (word.length > NAME_BYTES_MAX)
        return buffer_append(ret, word.data, word.length);
    memcpy(name, word.data, word.length);
    name[word.length] = '\0';
    if (word.id)
        found = number_of(names->ids, name);
    if (word.id && found == 0)
        found = find_prefix(names, name, word.length, &used);
    if (found != 0) {
        r = buffer_append_format(ret, "id%zu", found);
        return r != 0 ? r : buffer_append_text(ret, name + used);
    }
    span = find_generated(name, word.length, word.dashed);
    if (span.length == 0 && word.class)
        span = find_short_hash(name);
    if (span.length == 0)
        return buffer_append(ret, name, word.length);
    return append_generated(names, ret, name, span);
}

static bool
is_name_character(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '-' || c >= 0x80;
}

/* Fills in what the word at I of TEXT may be. */
static void
judge(struct word *word, struct slice text, size_t i, enum markup_place place)
{
    char before = i > 0 ? (char)text.data[i - 1] : '\0';
    char earlier = i > 1 ? (char)text.data[i - 2] : '\0';

    switch (place) {
    case MARKUP_IN_ID:
        word->id = true;
        break;
    case MARKUP_IN_CLASS:
        word->id = word->class = true;
        break;
    case MARKUP_IN_DATA:
    case MARKUP_IN_SCRIPT:
        word->dashed = true;
        word->id = (before != '\0' && strchr("#\"'`", before) != NULL) ||
                   (place == MARKUP_IN_DATA && i == 0);
        break;
    case MARKUP_IN_STYLE:
        word->id = before == '#' || before == '.';
        word->class = before == '.';
        break;
    case MARKUP_IN_VALUE:
        word->id =
            before == '#' && (i == 1 || (earlier != '\0' && strchr("('\"", earlier)));
        break;
    }
}

/* Ids may have any characters but white space, so a list of them is cut only there. */
static bool
ends_word(uint8_t c, enum markup_place place)
{
    if (place == MARKUP_IN_ID || place == MARKUP_IN_CLASS)
        return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
    return !is_name_character(c);
}

int
markup_names_append(struct markup_names *names, struct buffer *ret, struct slice text,
                    enum markup_place place)
{
    struct word word;
    size_t i = 0, start;
    int r;

    while (i < text.length) {
        start = i;
        while (i < text.length && ends_word(text.data[i], place))
            i++;
        r = buffer_append(ret, text.data + start, i - start);
        if (r != 0)
            return r;
        start = i;
        while (i < text.length && !ends_word(text.data[i], place))
            i++;
        if (i == start)
            break;
        word =
            (struct word){ .data = (const char *)text.data + start, .length = i - start };
        judge(&word, text, start, place);
        r = append_word(names, ret, word);
        if (r != 0)
            return r;
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "kernel/parents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"

#define BUCKETS 1024

struct record {
    struct parent parent; /* first: a parent is a record */
    struct record *next_in_bucket;
    struct record *next_ended;
    size_t bytes; /* of the record with its bytes, without the code */
    struct slice identities[]; /* then the bytes of these and of the header */
};

struct parents {
    struct record *buckets[BUCKETS]; /* owned */
    struct record *first_ended, *last_ended; /* oldest first */
    size_t ended_count, ended_bytes;
    size_t open_count;
};

int
parents_create(struct parents **ret)
{
    struct parents *parents = calloc(1, sizeof *parents);

    if (parents == NULL)
        return -ENOMEM;
    *ret = parents;
    return 0;
}

static void
record_free(struct record *record)
{
    free((void *)record->parent.code.data);
    free(record);
}

void
parents_destroy(struct parents *parents)
{
    if (parents == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (parents->buckets[i] != NULL) {
            struct record *record = parents->buckets[i];

            parents->buckets[i] = record->next_in_bucket;
            record_free(record);
        }
    }
    free(parents);
}

/* Copies FROM to AT and returns the place behind it. */
static uint8_t *
put(uint8_t *at, struct slice from, struct slice *ret)
{
    if (from.length > 0)
        memcpy(at, from.data, from.length);
    *ret = (struct slice){ at, from.length };
    return at + from.length;
}

static struct record *
record_make(const struct origin *origin)
{
    size_t bytes = sizeof(struct record) + origin->header.length +
                   origin->identity_count * sizeof(struct slice);
    struct record *record;
    uint8_t *at;

    for (size_t i = 0; i < origin->identity_count; i++)
        bytes += origin->identities[i].length;
    record = calloc(1, bytes);
    if (record == NULL)
        return NULL;
    record->bytes = bytes;
    record->parent.origin = *origin;
    record->parent.origin.identities = record->identities;
    at = (uint8_t *)&record->identities[origin->identity_count];
    for (size_t i = 0; i < origin->identity_count; i++)
        at = put(at, origin->identities[i], &record->identities[i]);
    put(at, origin->header, &record->parent.origin.header);
    return record;
}

int
parents_add(struct parents *parents, uint64_t number, const struct origin *origin,
            struct slice code, struct parent **ret)
{
    struct record *record = record_make(origin);
    struct record **bucket = &parents->buckets[number % BUCKETS];

    if (record == NULL)
        return -ENOMEM;
    if (code.length > 0) {
        uint8_t *copy = malloc(code.length);

        if (copy == NULL) {
            free(record);
            return -ENOMEM;
        }
        put(copy, code, &record->parent.code);
    }
    record->parent.number = number;
    record->next_in_bucket = *bucket;
    *bucket = record;
    parents->open_count++;
    *ret = &record->parent;
    return 0;
}

struct parent *
parents_find(const struct parents *parents, uint64_t number)
{
    struct record *record = parents->buckets[number % BUCKETS];

    while (record != NULL && record->parent.number != number)
        record = record->next_in_bucket;
    return record != NULL ? &record->parent : NULL;
}

void
parents_drop_code(struct parents *parents, struct parent *parent)
{
    (void)parents;
    free((void *)parent->code.data);
    parent->code = (struct slice){ NULL, 0 };
}

static void
forget_oldest(struct parents *parents)
{
    struct record *record = parents->first_ended;
    struct record **link = &parents->buckets[record->parent.number % BUCKETS];

    while (*link != record)
        link = &(*link)->next_in_bucket;
    *link = record->next_in_bucket;
    parents->first_ended = record->next_ended;
    if (parents->first_ended == NULL)
        parents->last_ended = NULL;
    parents->ended_count--;
    parents->ended_bytes -= record->bytes;
    record_free(record);
}

void
parents_end(struct parents *parents, struct parent *parent)
{
    struct record *record = (struct record *)parent;

    parents_drop_code(parents, parent);
    parents->open_count--;
    while (parents->ended_count > 0 &&
           (parents->ended_count == PARENTS_ENDED_MAX ||
            parents->ended_bytes + record->bytes > PARENTS_ENDED_BYTES_MAX))
        forget_oldest(parents);
    if (parents->last_ended != NULL)
        parents->last_ended->next_ended = record;
    else
        parents->first_ended = record;
    parents->last_ended = record;
    parents->ended_count++;
    parents->ended_bytes += record->bytes;
}

size_t
parents_open_count(const struct parents *parents)
{
    return parents->open_count;
}

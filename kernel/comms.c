/* SPDX-License-Identifier: MIT */
#include "kernel/comms.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/text.h"

#define BUCKETS 1024

struct comm {
    struct comm *next_in_bucket; /* owned */
    char *target; /* points into id's block */
    char *module; /* likewise, or NULL */
    char id[]; /* then target and module */
};

struct comms {
    struct comm *buckets[BUCKETS]; /* owned */
    size_t count;
};

int
comms_create(struct comms **ret)
{
    struct comms *comms = calloc(1, sizeof *comms);

    if (comms == NULL)
        return -ENOMEM;
    *ret = comms;
    return 0;
}

void
comms_destroy(struct comms *comms)
{
    if (comms == NULL)
        return;
    for (const char *id = comms_any(comms); id != NULL; id = comms_any(comms))
        comms_close(comms, id);
    free(comms);
}

/* FNV-1a. Whoever picks ids that collide slows only their own kernel. */
static size_t
bucket_of(const char *id)
{
    uint32_t hash = 2166136261u;

    for (; *id != '\0'; id++)
        hash = (hash ^ (uint8_t)*id) * 16777619u;
    return hash % BUCKETS;
}

/* The link that points to the comm, or to the NULL at the end of its bucket. */
static struct comm **
find(struct comms *comms, const char *id)
{
    struct comm **link = &comms->buckets[bucket_of(id)];

    while (*link != NULL && strcmp((*link)->id, id) != 0)
        link = &(*link)->next_in_bucket;
    return link;
}

static struct comm *
make(const char *id, const char *target, const char *module)
{
    size_t id_bytes = strlen(id) + 1, target_bytes = strlen(target) + 1;
    size_t module_bytes = module != NULL ? strlen(module) + 1 : 0;
    struct comm *comm = malloc(sizeof *comm + id_bytes + target_bytes + module_bytes);

    if (comm == NULL)
        return NULL;
    comm->next_in_bucket = NULL;
    comm->target = comm->id + id_bytes;
    comm->module = module != NULL ? comm->target + target_bytes : NULL;
    memcpy(comm->id, id, id_bytes);
    memcpy(comm->target, target, target_bytes);
    if (module != NULL)
        memcpy(comm->module, module, module_bytes);
    return comm;
}

int
comms_open(struct comms *comms, const char *id, const char *target, const char *module)
{
    struct comm *comm, **link = find(comms, id);

    if (*link == NULL && comms->count == COMMS_MAX)
        return COMMS_E_FULL;
    comm = make(id, target, module);
    if (comm == NULL)
        return -ENOMEM;
    if (*link != NULL) {
        comm->next_in_bucket = (*link)->next_in_bucket;
        free(*link);
    } else {
        comms->count++;
    }
    *link = comm;
    return 0;
}

void
comms_close(struct comms *comms, const char *id)
{
    struct comm **link = find(comms, id), *comm = *link;

    if (comm == NULL)
        return;
    *link = comm->next_in_bucket;
    free(comm);
    comms->count--;
}

size_t
comms_count(const struct comms *comms)
{
    return comms->count;
}

const char *
comms_any(const struct comms *comms)
{
    for (size_t i = 0; comms->count > 0 && i < BUCKETS; i++) {
        if (comms->buckets[i] != NULL)
            return comms->buckets[i]->id;
    }
    return NULL;
}

static int
append_comm(struct buffer *ret, const struct comm *comm, bool first)
{
    int r = first ? 0 : buffer_append_text(ret, ",");

    if (r == 0)
        r = text_append_json(ret, comm->id, strlen(comm->id));
    if (r == 0)
        r = buffer_append_text(ret, ":{\"target_name\":");
    if (r == 0)
        r = text_append_json(ret, comm->target, strlen(comm->target));
    if (r == 0 && comm->module != NULL) {
        r = buffer_append_text(ret, ",\"target_module\":");
        if (r == 0)
            r = text_append_json(ret, comm->module, strlen(comm->module));
    }
    return r != 0 ? r : buffer_append_text(ret, "}");
}

int
comms_append(const struct comms *comms, const char *target, struct buffer *ret)
{
    bool first = true;
    int r = buffer_append_text(ret, "{");

    for (size_t i = 0; i < BUCKETS; i++) {
        for (const struct comm *comm = comms->buckets[i]; r == 0 && comm != NULL;
             comm = comm->next_in_bucket) {
            if (target != NULL && strcmp(comm->target, target) != 0)
                continue;
            r = append_comm(ret, comm, first);
            first = false;
        }
    }
    return r != 0 ? r : buffer_append_text(ret, "}");
}

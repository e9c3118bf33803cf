/* SPDX-License-Identifier: MIT */
#include "kernel/agent/events.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_BYTES 128 /* of an event beside its parts, for the bound */

struct events {
    struct event **ring; /* owned, as are the events */
    size_t capacity, first, count;
    size_t bytes, bytes_max;
    uint64_t next_seq;
    uint64_t total; /* bytes of all that there ever were */
};

int
events_create(struct events **ret, size_t bytes_max)
{
    struct events *events = calloc(1, sizeof *events);

    if (events == NULL)
        return -ENOMEM;
    events->bytes_max = bytes_max;
    events->next_seq = 1;
    *ret = events;
    return 0;
}

static struct event *
at(const struct events *events, size_t index)
{
    assert(index < events->count && events->count <= events->capacity);
    return events->ring[(events->first + index) % events->capacity];
}

static void
drop_first(struct events *events)
{
    struct event *event = at(events, 0);

    events->bytes -= event->bytes;
    events->first = (events->first + 1) % events->capacity;
    events->count--;
    free(event);
}

void
events_destroy(struct events *events)
{
    if (events == NULL)
        return;
    while (events->count > 0)
        drop_first(events);
    free(events->ring);
    free(events);
}

uint64_t
events_next_seq(const struct events *events)
{
    return events->next_seq;
}

static int
grow(struct events *events)
{
    size_t capacity = events->capacity == 0 ? 16 : 2 * events->capacity;
    struct event **ring;

    if (events->count < events->capacity)
        return 0;
    ring = calloc(capacity, sizeof *ring);
    if (ring == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < events->count; i++)
        ring[i] = at(events, i);
    free(events->ring);
    events->ring = ring;
    events->capacity = capacity;
    events->first = 0;
    return 0;
}

static struct slice
put(uint8_t **to, struct slice from)
{
    struct slice copy = { *to, from.length };

    if (from.length > 0)
        memcpy(*to, from.data, from.length);
    *to += from.length;
    return copy;
}

/* One piece of memory: the event, its array of buffers, and all bytes. */
static struct event *
make(const struct event_parts *parts)
{
    size_t head = sizeof(struct event) + parts->buffer_count * sizeof(struct slice);
    size_t bytes = parts->metadata.length + parts->content.length;
    struct event *event;
    struct slice *buffers;
    uint8_t *to;

    for (size_t i = 0; i < parts->buffer_count; i++)
        bytes += parts->buffers[i].length;
    event = malloc(head + bytes);
    if (event == NULL)
        return NULL;
    buffers = (struct slice *)(event + 1);
    to = (uint8_t *)event + head;
    *event = (struct event){
        .type = parts->type,
        .bytes = bytes + EVENT_BYTES,
        .metadata = put(&to, parts->metadata),
        .content = put(&to, parts->content),
        .buffers = buffers,
        .buffer_count = parts->buffer_count,
    };
    for (size_t i = 0; i < parts->buffer_count; i++)
        buffers[i] = put(&to, parts->buffers[i]);
    return event;
}

int
events_add(struct events *events, const struct event_parts *parts)
{
    struct event *event;
    int r = grow(events);

    if (r < 0)
        return r;
    event = make(parts);
    if (event == NULL)
        return -ENOMEM;
    event->seq = events->next_seq++;
    event->offset = events->total;
    while (events->count > 0 && events->bytes + event->bytes > events->bytes_max)
        drop_first(events);
    events->ring[(events->first + events->count) % events->capacity] = event;
    events->count++;
    events->bytes += event->bytes;
    events->total += event->bytes;
    return 0;
}

const struct event *
events_after(const struct events *events, uint64_t after)
{
    uint64_t first = events->next_seq - events->count;

    if (after >= events->next_seq - 1)
        return NULL;
    return at(events, after + 1 <= first ? 0 : (size_t)(after + 1 - first));
}

uint64_t
events_bytes_after(const struct events *events, uint64_t after)
{
    const struct event *event = events_after(events, after);

    return event == NULL ? 0 : events->total - event->offset;
}

uint64_t
events_missed(const struct events *events, uint64_t after)
{
    uint64_t first = events->next_seq - events->count;

    return after < first - 1 ? first - 1 - after : 0;
}

size_t
events_bytes(const struct events *events)
{
    return events->bytes;
}

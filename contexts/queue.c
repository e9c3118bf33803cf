/* SPDX-License-Identifier: MIT */
#include "contexts/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

CLEANUP_DEFINE(struct request, request_destroy);

static void
copy(uint8_t **at, struct slice *part)
{
    if (part->length > 0)
        memcpy(*at, part->data, part->length);
    part->data = *at;
    *at += part->length;
}

/* Gives REQUEST memory of its own for what its frame borrows. */
static int
own(struct request *request, size_t bytes)
{
    struct frame *frame = &request->frame;
    uint8_t *at;

    request->data = malloc(bytes);
    request->buffers = calloc((size_t)frame->buffer_count + 1, sizeof *request->buffers);
    if (request->data == NULL || request->buffers == NULL)
        return -ENOMEM;
    at = request->data;
    copy(&at, &frame->header);
    copy(&at, &frame->metadata);
    copy(&at, &frame->content);
    for (uint32_t i = 0; i < frame->buffer_count; i++) {
        request->buffers[i] = frame->buffers[i];
        copy(&at, &request->buffers[i]);
    }
    frame->buffers = request->buffers;
    return 0;
}

int
request_create(struct request **ret, const struct context_request *wish, uint64_t number,
               uint64_t now_us, struct error *err)
{
    uint8_t head[FRAME_FIXED_BYTES + 4 * FRAME_BUFFERS_MAX];
    CLEANUP(request_destroyp) struct request *request = malloc(sizeof *request);
    int r;

    if (request == NULL)
        return -ENOMEM;
    *request = (struct request){
        .number = number,
        .expires_us = UINT64_MAX,
        .timeout_ms = wish->timeout_ms,
        .kill_on_timeout = wish->kill_on_timeout,
        .silent = wish->silent,
        .store_history = wish->store_history,
        .stop_on_error = wish->stop_on_error,
        .group = wish->group,
        .frame = {
            .type = wish->type,
            .number = number,
            .header = wish->header,
            .metadata = wish->metadata,
            .content = wish->content,
            .buffers = wish->buffers,
            .buffer_count = wish->buffer_count,
        },
    };
    if (wish->queue_ms > 0 && wish->queue_ms < (UINT64_MAX - now_us) / 1000)
        request->expires_us = now_us + wish->queue_ms * 1000;
    r = frame_encode_head(head, &request->frame, FRAME_FROM_SERVER, err);
    if (r != 0)
        return r < 0 ? r : CONTEXT_E_TOO_LARGE;
    request->bytes = frame_bytes(&request->frame);
    r = own(request, request->bytes);
    if (r < 0)
        return r;

    *ret = request;
    request = NULL;
    return 0;
}

void
request_destroy(struct request *request)
{
    if (request == NULL)
        return;
    free(request->data);
    free(request->buffers);
    free(request);
}

bool
request_is_execute(const struct request *request)
{
    return request->frame.type == FRAME_EXECUTE_REQUEST;
}

void
queue_init(struct queue *queue)
{
    *queue = (struct queue){ 0 };
    queue->last = &queue->first;
}

void
queue_fini(struct queue *queue)
{
    struct request *request;

    while ((request = queue_take(queue)) != NULL)
        request_destroy(request);
}

static void
append(struct queue *queue, struct request *request)
{
    request->next = NULL;
    *queue->last = request;
    queue->last = &request->next;
    queue->count++;
    queue->bytes += request->bytes;
}

int
queue_add(struct queue *queue, struct request *request)
{
    if (queue->count >= CONTEXT_QUEUE_MAX ||
        request->bytes > CONTEXT_QUEUE_BYTES_MAX - queue->bytes)
        return CONTEXT_E_QUEUE_FULL;
    append(queue, request);
    return 0;
}

static struct request *
take(struct queue *queue, struct request **at)
{
    struct request *request = *at;

    *at = request->next;
    if (*at == NULL)
        queue->last = at;
    queue->count--;
    queue->bytes -= request->bytes;
    request->next = NULL;
    return request;
}

struct request *
queue_take(struct queue *queue)
{
    return queue->first != NULL ? take(queue, &queue->first) : NULL;
}

struct request *
queue_take_turn(struct queue *queue, unsigned group)
{
    for (struct request **at = &queue->first; *at != NULL; at = &(*at)->next) {
        if ((*at)->group != group)
            return take(queue, at);
    }
    return queue_take(queue);
}

size_t
queue_count_runs(const struct queue *queue, unsigned group)
{
    size_t count = 0;

    for (const struct request *at = queue->first; at != NULL; at = at->next)
        count += request_is_execute(at) && at->group == group;
    return count;
}

void
queue_move(struct queue *queue, struct queue *ret, queue_is_fn *is, uint64_t value)
{
    struct queue kept;
    struct request *request;

    queue_init(&kept);
    while ((request = queue_take(queue)) != NULL)
        append(is(request, value) ? ret : &kept, request);
    queue_init(queue);
    while ((request = queue_take(&kept)) != NULL)
        append(queue, request);
}

uint64_t
queue_next_expiry(const struct queue *queue)
{
    uint64_t next = UINT64_MAX;

    for (const struct request *r = queue->first; r != NULL; r = r->next)
        if (r->expires_us < next)
            next = r->expires_us;
    return next;
}

/* SPDX-License-Identifier: MIT */
/* POLLOUT of an XPUB socket is always set, even while a send would be refused: so a timer
 * tries again. */
#include "kernel/iopub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/endpoint.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"

struct packet {
    struct packet *next;
    size_t bytes;
    size_t count;
    struct slice frames[]; /* then their bytes */
};

struct iopub {
    struct endpoint *endpoint; /* borrowed */
    struct loop *loop; /* borrowed */
    struct loop_timer *retry; /* owned */
    struct packet *first, *last; /* owned: the queue */
    size_t count, bytes;
    bool open;
    bool high;
    uint64_t refused_us; /* since when the first packet is refused; 0: it is not */
    uint64_t losses;
    iopub_pressure_fn *fn;
    void *arg;
};

CLEANUP_DEFINE(struct iopub, iopub_destroy);

static int
on_retry(void *arg)
{
    return iopub_flush(arg);
}

int
iopub_create(struct iopub **ret, struct endpoint *endpoint, struct loop *loop,
             iopub_pressure_fn *fn, void *arg)
{
    CLEANUP(iopub_destroyp) struct iopub *iopub = calloc(1, sizeof *iopub);
    int r;

    if (iopub == NULL)
        return -ENOMEM;
    *iopub = (struct iopub){ .endpoint = endpoint, .loop = loop, .fn = fn, .arg = arg };
    r = loop_add_timer(&iopub->retry, loop, on_retry, iopub);
    if (r < 0)
        return r;
    *ret = iopub;
    iopub = NULL;
    return 0;
}

static void
drop_first(struct iopub *iopub)
{
    struct packet *packet = iopub->first;

    iopub->first = packet->next;
    if (iopub->first == NULL)
        iopub->last = NULL;
    iopub->count--;
    iopub->bytes -= packet->bytes;
    iopub->refused_us = 0;
    free(packet);
}

void
iopub_destroy(struct iopub *iopub)
{
    if (iopub == NULL)
        return;
    while (iopub->first != NULL)
        drop_first(iopub);
    loop_timer_destroy(iopub->retry);
    free(iopub);
}

static struct packet *
packet_make(const struct slice *frames, size_t count)
{
    size_t bytes = sizeof(struct packet) + count * sizeof *frames;
    struct packet *packet;
    uint8_t *at;

    for (size_t i = 0; i < count; i++)
        bytes += frames[i].length;
    packet = malloc(bytes);
    if (packet == NULL)
        return NULL;
    *packet = (struct packet){ .bytes = bytes, .count = count };
    at = (uint8_t *)&packet->frames[count];
    for (size_t i = 0; i < count; i++) {
        if (frames[i].length > 0)
            memcpy(at, frames[i].data, frames[i].length);
        packet->frames[i] = (struct slice){ at, frames[i].length };
        at += frames[i].length;
    }
    return packet;
}

static int
tell_pressure(struct iopub *iopub)
{
    bool above = iopub->count >= IOPUB_HIGH_MESSAGES || iopub->bytes >= IOPUB_HIGH_BYTES;
    bool below =
        iopub->count < IOPUB_HIGH_MESSAGES / 2 && iopub->bytes < IOPUB_HIGH_BYTES / 2;

    if (iopub->high ? !below : !above)
        return 0;
    iopub->high = !iopub->high;
    return iopub->fn(iopub->high, iopub->arg);
}

static int
enqueue(struct iopub *iopub, const struct slice *frames, size_t count, bool first)
{
    struct packet *packet = packet_make(frames, count);

    if (packet == NULL)
        return -ENOMEM;
    if (first) {
        packet->next = iopub->first;
        iopub->first = packet;
    } else if (iopub->last != NULL) {
        iopub->last->next = packet;
    }
    if (!first || iopub->last == NULL)
        iopub->last = packet;
    if (iopub->first == NULL)
        iopub->first = packet;
    iopub->count++;
    iopub->bytes += packet->bytes;
    return tell_pressure(iopub);
}

int
iopub_send(struct iopub *iopub, const struct slice *frames, size_t count)
{
    int r;

    if (iopub->open && iopub->first == NULL) {
        r = endpoint_send(iopub->endpoint, CONNECTION_IOPUB, frames, count);
        if (r != ENDPOINT_E_AGAIN)
            return r < 0 ? r : 0;
        loop_timer_arm(iopub->retry, IOPUB_RETRY_US);
    }
    return enqueue(iopub, frames, count, false);
}

int
iopub_send_first(struct iopub *iopub, const struct slice *frames, size_t count)
{
    return enqueue(iopub, frames, count, true);
}

/* The first packet was refused once more. */
static int
wait_or_lose(struct iopub *iopub)
{
    uint64_t now_us = loop_now_us(iopub->loop);
    int r;

    if (iopub->refused_us == 0)
        iopub->refused_us = now_us;
    if (now_us - iopub->refused_us < IOPUB_STALL_US)
        return ENDPOINT_E_AGAIN;
    r = endpoint_send_lossy(iopub->endpoint, iopub->first->frames, iopub->first->count);
    if (r < 0)
        return r;
    iopub->losses++;
    log_line("a client has not read its output for %u s and is losing messages",
             (unsigned)(IOPUB_STALL_US / 1000000));
    return 0;
}

int
iopub_flush(struct iopub *iopub)
{
    while (iopub->open && iopub->first != NULL) {
        int r = endpoint_send(iopub->endpoint, CONNECTION_IOPUB, iopub->first->frames,
                              iopub->first->count);

        if (r == ENDPOINT_E_AGAIN)
            r = wait_or_lose(iopub);
        if (r == ENDPOINT_E_AGAIN) {
            loop_timer_arm(iopub->retry, IOPUB_RETRY_US);
            break;
        }
        if (r < 0)
            return r;
        drop_first(iopub);
    }
    return tell_pressure(iopub);
}

int
iopub_open(struct iopub *iopub)
{
    iopub->open = true;
    return iopub_flush(iopub);
}

bool
iopub_is_open(const struct iopub *iopub)
{
    return iopub->open;
}

size_t
iopub_queued(const struct iopub *iopub)
{
    return iopub->count;
}

bool
iopub_is_full(const struct iopub *iopub)
{
    return iopub->count >= IOPUB_FULL_MESSAGES || iopub->bytes >= IOPUB_FULL_BYTES;
}

uint64_t
iopub_losses(const struct iopub *iopub)
{
    return iopub->losses;
}

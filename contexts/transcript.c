/* SPDX-License-Identifier: MIT */
/*
 * Owns what is held back: partial characters, text that waits to be merged, the ends of
 * both streams. Text goes the same way always: spend (budget), then merge, then tell.
 */
#include "contexts/transcript.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "contexts/ring.h"
#include "protocol/cleanup.h"
#include "protocol/text.h"

#define CHUNK_BYTES ((size_t)64 * 1024) /* what is looked at in one go */
#define CLEAN_BYTES_MAX (3 * CHUNK_BYTES + 16) /* each byte may become U+FFFD */
#define KEEP_BYTES ((size_t)4096)

static const char *const stream_names[2] = { "stdout", "stderr" };

/* What one request may still print. */
struct account {
    uint64_t left; /* bytes that may pass at once */
    struct context_truncation streams[2];
    struct ring tails[2]; /* of the running request only */
    bool told; /* that later text is left out */
};

struct partial {
    uint8_t bytes[4]; /* the beginning of a character */
    size_t length;
};

struct transcript {
    struct loop *loop; /* borrowed */
    struct loop_timer *timer; /* owned: armed while text waits to be merged */
    uint64_t budget;
    uint64_t current; /* the request that began last: whose raw bytes are */
    bool running; /* and it has not ended */
    struct account own; /* of the running request */
    struct account others;
    struct partial partials[2];
    struct ring stderr_tail;
    struct buffer clean; /* owned: bytes on their way to UTF-8 */
    struct buffer joined; /* owned: a partial character and what follows */
    struct buffer waiting; /* owned: to be merged */
    uint64_t waiting_number;
    bool waiting_is_stderr;
    bool has_told;
    uint64_t told_us; /* when text was told last */
    transcript_fn *fn;
    void *arg;
};

CLEANUP_DEFINE(struct transcript, transcript_destroy);

static int
on_timer(void *arg)
{
    return transcript_flush(arg);
}

static void
account_reset(struct transcript *transcript, struct account *account)
{
    account->left = transcript->budget / 2;
    account->told = false;
    for (int i = 0; i < 2; i++) {
        account->streams[i] = (struct context_truncation){ 0 };
        ring_clear(&account->tails[i]);
    }
}

int
transcript_create(struct transcript **ret, struct loop *loop, uint64_t budget_bytes,
                  transcript_fn *fn, void *arg)
{
    CLEANUP(transcript_destroyp)
    struct transcript *transcript = malloc(sizeof *transcript);
    uint64_t tail = budget_bytes / 2;
    int r;

    if (transcript == NULL)
        return -ENOMEM;
    *transcript =
        (struct transcript){ .loop = loop, .budget = budget_bytes, .fn = fn, .arg = arg };
    if (tail > TRANSCRIPT_TAIL_BYTES_MAX)
        tail = TRANSCRIPT_TAIL_BYTES_MAX;
    for (int i = 0; i < 2; i++)
        ring_init(&transcript->own.tails[i], (size_t)tail);
    ring_init(&transcript->stderr_tail, CONTEXT_STDERR_TAIL_BYTES);
    account_reset(transcript, &transcript->own);
    account_reset(transcript, &transcript->others);
    buffer_init(&transcript->clean, CLEAN_BYTES_MAX);
    buffer_init(&transcript->joined, 2 * CHUNK_BYTES);
    buffer_init(&transcript->waiting, TRANSCRIPT_MERGE_BYTES);
    r = loop_add_timer(&transcript->timer, loop, on_timer, transcript);
    if (r < 0)
        return r;

    *ret = transcript;
    transcript = NULL;
    return 0;
}

void
transcript_destroy(struct transcript *transcript)
{
    if (transcript == NULL)
        return;
    loop_timer_destroy(transcript->timer);
    for (int i = 0; i < 2; i++)
        ring_fini(&transcript->own.tails[i]);
    ring_fini(&transcript->stderr_tail);
    buffer_fini(&transcript->clean);
    buffer_fini(&transcript->joined);
    buffer_fini(&transcript->waiting);
    free(transcript);
}

static int
tell(struct transcript *transcript, uint64_t number, bool is_stderr, struct slice text)
{
    transcript->told_us = loop_now_us(transcript->loop);
    transcript->has_told = true;
    return transcript->fn(number, is_stderr, text, transcript->arg);
}

int
transcript_flush(struct transcript *transcript)
{
    int r;

    loop_timer_disarm(transcript->timer);
    if (transcript->waiting.length == 0)
        return 0;
    r = tell(transcript, transcript->waiting_number, transcript->waiting_is_stderr,
             buffer_slice(&transcript->waiting));
    buffer_clear(&transcript->waiting, TRANSCRIPT_MERGE_BYTES);
    return r;
}

/* The longest beginning of TEXT of at most LENGTH bytes that cuts no character. */
static size_t
whole_characters(struct slice text, size_t length)
{
    if (length >= text.length)
        return text.length;
    while (length > 0 && (text.data[length] & 0xc0) == 0x80)
        length--;
    return length;
}

static bool
is_due(const struct transcript *transcript)
{
    const struct buffer *waiting = &transcript->waiting;

    return waiting->data[waiting->length - 1] == '\n' &&
           (!transcript->has_told ||
            loop_now_us(transcript->loop) - transcript->told_us >= TRANSCRIPT_MERGE_US);
}

static int
merge(struct transcript *transcript, uint64_t number, bool is_stderr, struct slice text)
{
    struct buffer *waiting = &transcript->waiting;
    int r = 0;

    if (waiting->length > 0 && (transcript->waiting_number != number ||
                                transcript->waiting_is_stderr != is_stderr))
        r = transcript_flush(transcript);
    transcript->waiting_number = number;
    transcript->waiting_is_stderr = is_stderr;
    while (r == 0 && text.length > 0) {
        size_t n = whole_characters(text, TRANSCRIPT_MERGE_BYTES - waiting->length);

        if (n > 0 && waiting->length == 0)
            loop_timer_arm(transcript->timer, TRANSCRIPT_MERGE_US);
        r = buffer_append(waiting, text.data, n);
        text.data += n;
        text.length -= n;
        if (r == 0 && text.length > 0) /* full, but for less than a character */
            r = transcript_flush(transcript);
    }
    if (r == 0 && waiting->length > 0 && is_due(transcript))
        r = transcript_flush(transcript);
    return r;
}

/* Once for each account that is overdrawn and keeps no end. */
static int
tell_overdrawn(struct transcript *transcript, uint64_t number)
{
    if (transcript->others.told)
        return 0;
    transcript->others.told = true;
    return merge(transcript, number, true,
                 slice_text("\n[cellwall: further output of finished cells is left "
                            "out until the next one runs]\n"));
}

/* TEXT is valid UTF-8. */
static int
spend(struct transcript *transcript, uint64_t number, bool is_stderr, struct slice text)
{
    bool own = transcript->running && number == transcript->current;
    struct account *account = own ? &transcript->own : &transcript->others;
    struct context_truncation *stream = &account->streams[is_stderr];
    struct slice head = text, rest = text;
    int r;

    head.length = whole_characters(
        text, account->left < text.length ? (size_t)account->left : text.length);
    rest.data += head.length;
    rest.length -= head.length;
    account->left = rest.length > 0 ? 0 : account->left - head.length;
    stream->total_bytes += text.length;
    stream->kept_bytes += head.length;

    r = is_stderr ? ring_add(&transcript->stderr_tail, text) : 0;
    if (r == 0 && head.length > 0)
        r = merge(transcript, number, is_stderr, head);
    if (r < 0 || rest.length == 0)
        return r;
    if (own)
        return ring_add(&account->tails[is_stderr], rest);
    return tell_overdrawn(transcript, number);
}

int
transcript_add_text(struct transcript *transcript, uint64_t number, bool is_stderr,
                    struct slice text)
{
    int r = 0;

    while (r == 0 && text.length > 0) {
        struct slice chunk = text;

        if (chunk.length > CHUNK_BYTES)
            chunk.length = text_utf8_whole(chunk.data, CHUNK_BYTES);
        text.data += chunk.length;
        text.length -= chunk.length;
        if (!text_is_utf8(chunk.data, chunk.length)) {
            transcript->clean.length = 0;
            r = text_append_utf8(&transcript->clean, chunk.data, chunk.length);
            chunk = buffer_slice(&transcript->clean);
        }
        if (r == 0)
            r = spend(transcript, number, is_stderr, chunk);
    }
    return r;
}

/* At most CHUNK_BYTES. */
static int
add_chunk(struct transcript *transcript, bool is_stderr, struct slice bytes)
{
    struct partial *partial = &transcript->partials[is_stderr];
    struct slice whole;
    int r;

    if (partial->length > 0) {
        transcript->joined.length = 0;
        r = buffer_append(&transcript->joined, partial->bytes, partial->length);
        if (r == 0)
            r = buffer_append(&transcript->joined, bytes.data, bytes.length);
        if (r < 0)
            return r;
        bytes = buffer_slice(&transcript->joined);
    }
    whole = bytes;
    whole.length = text_utf8_whole(bytes.data, bytes.length);
    partial->length = bytes.length - whole.length;
    memcpy(partial->bytes, bytes.data + whole.length, partial->length);
    return transcript_add_text(transcript, transcript->current, is_stderr, whole);
}

int
transcript_add_bytes(struct transcript *transcript, bool is_stderr, struct slice bytes)
{
    int r = 0;

    while (r == 0 && bytes.length > 0) {
        struct slice chunk = bytes;

        if (chunk.length > CHUNK_BYTES)
            chunk.length = CHUNK_BYTES;
        r = add_chunk(transcript, is_stderr, chunk);
        bytes.data += chunk.length;
        bytes.length -= chunk.length;
    }
    return r;
}

int
transcript_begin(struct transcript *transcript, uint64_t number)
{
    transcript->current = number;
    transcript->running = true;
    transcript->has_told = false; /* its first line waits for nobody's last one */
    account_reset(transcript, &transcript->own);
    account_reset(transcript, &transcript->others);
    return 0;
}

/* What is left of a character when nothing can follow. */
static int
end_partial(struct transcript *transcript, bool is_stderr)
{
    struct partial *partial = &transcript->partials[is_stderr];
    struct slice bytes = { partial->bytes, partial->length };

    partial->length = 0;
    return transcript_add_text(transcript, transcript->current, is_stderr, bytes);
}

static int
tell_tail(struct transcript *transcript, bool is_stderr)
{
    struct account *account = &transcript->own;
    struct ring *ring = &account->tails[is_stderr];
    struct slice first, second, text;
    struct buffer bytes;
    char line[128];
    int r;

    ring_slices(ring, &first, &second);
    buffer_init(&bytes, first.length + second.length);
    r = buffer_append(&bytes, first.data, first.length);
    if (r == 0)
        r = buffer_append(&bytes, second.data, second.length);
    text = buffer_slice(&bytes);
    while (text.length > 0 && (text.data[0] & 0xc0) == 0x80) {
        text.data++; /* the ring cut this character */
        text.length--;
    }
    account->streams[is_stderr].kept_bytes += text.length;
    if (r == 0 && ring->dropped > 0) {
        snprintf(line, sizeof line, "\n[cellwall: %llu bytes of %s left out here]\n",
                 (unsigned long long)(ring->dropped + bytes.length - text.length),
                 stream_names[is_stderr]);
        r = merge(transcript, transcript->current, is_stderr, slice_text(line));
    }
    if (r == 0 && text.length > 0)
        r = merge(transcript, transcript->current, is_stderr, text);
    buffer_fini(&bytes);
    return r;
}

int
transcript_end(struct transcript *transcript, struct context_truncation *ret_out,
               struct context_truncation *ret_err)
{
    int r = 0;

    for (int i = 0; r == 0 && i < 2; i++)
        r = end_partial(transcript, i != 0);
    for (int i = 0; r == 0 && i < 2; i++)
        r = tell_tail(transcript, i != 0);
    if (r == 0)
        r = transcript_flush(transcript);
    *ret_out = transcript->own.streams[0];
    *ret_err = transcript->own.streams[1];
    transcript->running = false;
    account_reset(transcript, &transcript->own);
    buffer_clear(&transcript->clean, KEEP_BYTES);
    buffer_clear(&transcript->joined, KEEP_BYTES);
    buffer_clear(&transcript->waiting, KEEP_BYTES);
    return r;
}

int
transcript_restart(struct transcript *transcript)
{
    int r = transcript_flush(transcript);

    transcript->current = 0;
    transcript->partials[0].length = 0;
    transcript->partials[1].length = 0;
    ring_clear(&transcript->stderr_tail);
    account_reset(transcript, &transcript->others);
    return r;
}

int
transcript_stderr_tail(const struct transcript *transcript, struct buffer *ret)
{
    CLEANUP(freep) uint8_t *bytes = NULL;
    struct slice first, second;
    const uint8_t *newline;
    size_t length, skip = 0;

    ring_slices(&transcript->stderr_tail, &first, &second);
    length = first.length + second.length;
    if (length == 0)
        return 0;
    bytes = malloc(length);
    if (bytes == NULL)
        return -ENOMEM;
    memcpy(bytes, first.data, first.length);
    if (second.length > 0)
        memcpy(bytes + first.length, second.data, second.length);
    if (transcript->stderr_tail.dropped > 0) { /* the first line is cut */
        newline = memchr(bytes, '\n', length - 1);
        if (newline != NULL)
            skip = (size_t)(newline - bytes) + 1;
    }
    while (skip < length && (bytes[skip] & 0xc0) == 0x80)
        skip++;
    return buffer_append(ret, bytes + skip, length - skip);
}

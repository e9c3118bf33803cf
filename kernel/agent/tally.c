/* SPDX-License-Identifier: MIT */
#include "kernel/agent/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/frame.h"
#include "protocol/json.h"
#include "protocol/text.h"

struct result {
    struct slice data, metadata; /* owned, raw JSON */
    struct slice display_id; /* owned, raw JSON string; empty: none */
    size_t wanted; /* bytes: more than it has when its last update had no room */
    bool is_main;
};

struct tally {
    struct buffer out, err; /* owned */
    struct result *results; /* owned */
    size_t count, capacity;
    size_t bytes_max;
    uint64_t total, kept;
    bool clears; /* with the next output */
};

int
tally_create(struct tally **ret, size_t results_bytes)
{
    struct tally *tally = calloc(1, sizeof *tally);

    if (tally == NULL)
        return -ENOMEM;
    tally->bytes_max = results_bytes;
    buffer_init(&tally->out, TALLY_TEXT_BYTES_MAX);
    buffer_init(&tally->err, TALLY_TEXT_BYTES_MAX);
    *ret = tally;
    return 0;
}

static void
result_fini(struct result *result)
{
    free((void *)result->data.data);
    free((void *)result->metadata.data);
    free((void *)result->display_id.data);
}

static void
clear(struct tally *tally)
{
    while (tally->count > 0)
        result_fini(&tally->results[--tally->count]);
    tally->total = tally->kept = 0;
    buffer_clear(&tally->out, 0);
    buffer_clear(&tally->err, 0);
    tally->clears = false;
}

void
tally_destroy(struct tally *tally)
{
    if (tally == NULL)
        return;
    clear(tally);
    free(tally->results);
    buffer_fini(&tally->out);
    buffer_fini(&tally->err);
    free(tally);
}

int
tally_add_text(struct tally *tally, bool is_stderr, struct slice text)
{
    int r;

    if (tally->clears)
        clear(tally);
    r = buffer_append(is_stderr ? &tally->err : &tally->out, text.data, text.length);
    return r < 0 ? r : 0; /* what is full was cut before */
}

static int
copy(struct slice *ret, struct slice from)
{
    uint8_t *data = malloc(from.length + 1);

    if (data == NULL)
        return -ENOMEM;
    memcpy(data, from.data, from.length);
    *ret = (struct slice){ data, from.length };
    return 0;
}

/* Members that are missing are empty objects. */
static int
read_bundle(struct slice content, struct result *ret)
{
    struct slice data = slice_text("{}"), metadata = slice_text("{}"), transient, id;
    int r;

    (void)json_member(content, "data", &data);
    (void)json_member(content, "metadata", &metadata);
    r = copy(&ret->data, data);
    if (r == 0)
        r = copy(&ret->metadata, metadata);
    if (r == 0 && json_member(content, "transient", &transient) == 0 &&
        json_member(transient, "display_id", &id) == 0 &&
        json_kind(id) == JSON_KIND_STRING)
        r = copy(&ret->display_id, id);
    return r;
}

static size_t
size_of(const struct result *result)
{
    return result->data.length + result->metadata.length;
}

static bool
has_room(const struct tally *tally, size_t bytes)
{
    return bytes <= tally->bytes_max && tally->kept <= tally->bytes_max - bytes;
}

static int
grow(struct tally *tally)
{
    size_t capacity = tally->capacity == 0 ? 8 : 2 * tally->capacity;
    struct result *results;

    if (tally->count < tally->capacity)
        return 0;
    results = realloc(tally->results, capacity * sizeof *results);
    if (results == NULL)
        return -ENOMEM;
    tally->results = results;
    tally->capacity = capacity;
    return 0;
}

static int
add_result(struct tally *tally, const struct frame *frame)
{
    struct result result = { .is_main = frame->type == FRAME_EXECUTE_RESULT };
    int r = grow(tally);

    if (r == 0)
        r = read_bundle(frame->content, &result);
    if (r == 0)
        tally->total += size_of(&result);
    result.wanted = size_of(&result);
    if (r < 0 || tally->count == TALLY_RESULTS_MAX ||
        !has_room(tally, size_of(&result))) {
        result_fini(&result);
        return r;
    }
    tally->kept += size_of(&result);
    tally->results[tally->count++] = result;
    return 0;
}

static bool
is_display(const struct result *result, struct slice id)
{
    return result->display_id.length == id.length && id.length > 0 &&
           memcmp(result->display_id.data, id.data, id.length) == 0;
}

/* As FRAME has it, if there is room; else it stays as it was. */
static int
renew(struct tally *tally, struct result *result, const struct frame *frame)
{
    struct result next = { .is_main = result->is_main };
    int r = read_bundle(frame->content, &next);
    size_t before = size_of(result), after = size_of(&next);

    if (r == 0) {
        tally->total += after - result->wanted;
        result->wanted = next.wanted = after;
    }
    if (r < 0 || (after > before && !has_room(tally, after - before))) {
        result_fini(&next);
        return r;
    }
    tally->kept += after - before;
    result_fini(result);
    *result = next;
    return 0;
}

/* All displays with this id show the new data. */
static int
update(struct tally *tally, const struct frame *frame)
{
    struct result fresh = { .is_main = false };
    int r = read_bundle(frame->content, &fresh);

    for (size_t i = 0; r == 0 && i < tally->count; i++) {
        if (is_display(&tally->results[i], fresh.display_id))
            r = renew(tally, &tally->results[i], frame);
    }
    result_fini(&fresh);
    return r;
}

int
tally_add_frame(struct tally *tally, const struct frame *frame)
{
    bool wait = false;

    switch (frame->type) {
    case FRAME_CLEAR_OUTPUT:
        (void)json_member_bool(frame->content, "wait", &wait);
        if (wait)
            tally->clears = true;
        else
            clear(tally);
        return 0;
    case FRAME_DISPLAY_DATA:
    case FRAME_EXECUTE_RESULT:
        if (tally->clears)
            clear(tally);
        return add_result(tally, frame);
    case FRAME_UPDATE_DISPLAY_DATA:
        return update(tally, frame);
    default:
        return 0;
    }
}

static int
append_result(const struct result *result, struct buffer *ret)
{
    int r = buffer_append_text(ret, "{\"data\":");

    if (r == 0)
        r = buffer_append(ret, result->data.data, result->data.length);
    if (r == 0)
        r = buffer_append_text(ret, ",\"metadata\":");
    if (r == 0)
        r = buffer_append(ret, result->metadata.data, result->metadata.length);
    if (r == 0 && result->display_id.length > 0) {
        r = buffer_append_text(ret, ",\"display_id\":");
        if (r == 0)
            r = buffer_append(ret, result->display_id.data, result->display_id.length);
    }
    if (r == 0)
        r = buffer_append_format(ret, ",\"is_main_result\":%s}",
                                 result->is_main ? "true" : "false");
    return r;
}

int
tally_append(const struct tally *tally, struct buffer *ret)
{
    int r = buffer_append_text(ret, "\"results\":[");

    for (size_t i = 0; r == 0 && i < tally->count; i++) {
        if (i > 0)
            r = buffer_append_text(ret, ",");
        if (r == 0)
            r = append_result(&tally->results[i], ret);
    }
    if (r == 0)
        r = buffer_append_text(ret, "],\"logs\":{\"stdout\":");
    if (r == 0)
        r = text_append_json(ret, tally->out.data, tally->out.length);
    if (r == 0)
        r = buffer_append_text(ret, ",\"stderr\":");
    if (r == 0)
        r = text_append_json(ret, tally->err.data, tally->err.length);
    return r != 0 ? r : buffer_append_text(ret, "}");
}

void
tally_results(const struct tally *tally, uint64_t *ret_total, uint64_t *ret_kept)
{
    *ret_total = tally->total;
    *ret_kept = tally->kept;
}

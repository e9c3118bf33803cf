/* SPDX-License-Identifier: MIT */
/*
 * All displays with the same id show the same at any time, so what they show is kept once
 * and an update is made once, however many of them there are.
 */
#include "kernel/notebook/outputs.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/carriage.h"
#include "protocol/frame.h"
#include "protocol/json.h"
#include "protocol/text.h"

#define OUTPUT_BYTES 256 /* that any output is taken to need besides what it holds */
#define FIRST_CAPACITY 8

/* A cell that shows a display, so many times. */
struct holder {
    size_t cell, count;
};

struct display {
    struct buffer id; /* owned, decoded; empty: none */
    struct slice data, metadata; /* owned, raw JSON */
    struct holder *holders; /* owned */
    size_t holder_count, holder_capacity;
};

enum output_kind {
    OUTPUT_STDOUT,
    OUTPUT_STDERR,
    OUTPUT_DISPLAY,
    OUTPUT_RESULT,
    OUTPUT_ERROR
};

struct output {
    enum output_kind kind;
    struct buffer text; /* owned: a stream's, or an error as raw JSON */
    struct display *display; /* shared by those with the same id */
    int64_t execution_count; /* of a result; -1: null */
};

struct cell {
    struct output *outputs; /* owned */
    size_t count, capacity;
    size_t bytes; /* of what its outputs hold */
    size_t lost;
    size_t errors;
    struct buffer error_name, error_value; /* owned: of the last one */
    bool clears; /* with the next output */
};

struct outputs {
    struct cell *cells; /* owned */
    size_t cell_count;
    size_t bytes; /* of all cells */
    void *displays; /* owned: tree of those with an id (tsearch) */
};

static struct cell *
cell_of(const struct outputs *outputs, size_t index)
{
    assert(index < outputs->cell_count);
    return &outputs->cells[index];
}

int
outputs_create(struct outputs **ret, size_t cells)
{
    struct outputs *outputs = calloc(1, sizeof *outputs);

    if (outputs == NULL)
        return -ENOMEM;
    outputs->cells = calloc(cells > 0 ? cells : 1, sizeof *outputs->cells);
    if (outputs->cells == NULL) {
        free(outputs);
        return -ENOMEM;
    }
    outputs->cell_count = cells;
    for (size_t i = 0; i < cells; i++) {
        buffer_init(&outputs->cells[i].error_name, FRAME_CONTENT_BYTES_MAX);
        buffer_init(&outputs->cells[i].error_value, FRAME_CONTENT_BYTES_MAX);
    }
    *ret = outputs;
    return 0;
}

static void
display_destroy(struct display *display)
{
    if (display == NULL)
        return;
    buffer_fini(&display->id);
    free((void *)display->data.data);
    free((void *)display->metadata.data);
    free(display->holders);
    free(display);
}

CLEANUP_DEFINE(struct display, display_destroy);

static int
compare_ids(const void *one, const void *other)
{
    const struct buffer *a = &((const struct display *)one)->id;
    const struct buffer *b = &((const struct display *)other)->id;

    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return memcmp(a->data, b->data, a->length);
}

static struct display *
find_display(const struct outputs *outputs, const struct display *like)
{
    void *const *node = tfind(like, &outputs->displays, compare_ids);

    return node != NULL ? *node : NULL;
}

/* CELL shows DISPLAY once less. */
static void
release(struct outputs *outputs, struct display *display, size_t cell)
{
    size_t i = display->holder_count;

    do
        assert(i > 0);
    while (display->holders[--i].cell != cell);
    if (--display->holders[i].count > 0)
        return;
    display->holders[i] = display->holders[--display->holder_count];
    if (display->holder_count > 0)
        return;
    if (display->id.length > 0)
        tdelete(display, &outputs->displays, compare_ids);
    display_destroy(display);
}

static void
clear(struct outputs *outputs, size_t index)
{
    struct cell *cell = cell_of(outputs, index);

    while (cell->count > 0) {
        struct output *output = &cell->outputs[--cell->count];

        if (output->display != NULL)
            release(outputs, output->display, index);
        buffer_fini(&output->text);
    }
    outputs->bytes -= cell->bytes;
    cell->bytes = 0;
    cell->errors = 0;
    cell->clears = false;
}

void
outputs_destroy(struct outputs *outputs)
{
    if (outputs == NULL)
        return;
    for (size_t i = 0; i < outputs->cell_count; i++) {
        clear(outputs, i);
        free(outputs->cells[i].outputs);
        buffer_fini(&outputs->cells[i].error_name);
        buffer_fini(&outputs->cells[i].error_value);
    }
    free(outputs->cells);
    free(outputs);
}

/* How many more bytes CELL may hold. */
static size_t
room(const struct outputs *outputs, const struct cell *cell)
{
    size_t here =
        cell->bytes < OUTPUTS_CELL_BYTES_MAX ? OUTPUTS_CELL_BYTES_MAX - cell->bytes : 0;
    size_t all =
        outputs->bytes < OUTPUTS_BYTES_MAX ? OUTPUTS_BYTES_MAX - outputs->bytes : 0;

    return here < all ? here : all;
}

static void
take_room(struct outputs *outputs, struct cell *cell, size_t bytes)
{
    cell->bytes += bytes;
    outputs->bytes += bytes;
}

static int
lose(struct cell *cell, size_t bytes)
{
    cell->lost += bytes;
    return OUTPUTS_E_FULL;
}

/* Room for one more in the array. */
static int
grow(struct cell *cell)
{
    size_t capacity = cell->capacity == 0 ? FIRST_CAPACITY : 2 * cell->capacity;
    struct output *outputs;

    if (cell->count < cell->capacity)
        return 0;
    outputs = realloc(cell->outputs, capacity * sizeof *outputs);
    if (outputs == NULL)
        return -ENOMEM;
    cell->outputs = outputs;
    cell->capacity = capacity;
    return 0;
}

/* The last output, if it can take text of this KIND, else a new one. NULL: no room. */
static int
find_stream(struct outputs *outputs, struct cell *cell, enum output_kind kind,
            struct output **ret)
{
    int r;

    *ret = NULL;
    if (cell->count > 0 && cell->outputs[cell->count - 1].kind == kind) {
        *ret = &cell->outputs[cell->count - 1];
        return 0;
    }
    if (cell->count >= OUTPUTS_CELL_MAX || room(outputs, cell) <= OUTPUT_BYTES)
        return 0;
    r = grow(cell);
    if (r < 0)
        return r;
    take_room(outputs, cell, OUTPUT_BYTES);
    *ret = &cell->outputs[cell->count++];
    **ret = (struct output){ .kind = kind };
    buffer_init(&(*ret)->text, OUTPUTS_CELL_BYTES_MAX);
    return 0;
}

int
outputs_add_text(struct outputs *outputs, size_t cell, bool is_stderr, struct slice text)
{
    struct cell *of = cell_of(outputs, cell);
    struct output *output;
    size_t fits = text.length;
    int r;

    if (text.length == 0)
        return 0;
    if (of->clears)
        clear(outputs, cell);
    r = find_stream(outputs, of, is_stderr ? OUTPUT_STDERR : OUTPUT_STDOUT, &output);
    if (r < 0)
        return r;
    if (output == NULL)
        return lose(of, text.length);
    if (fits > room(outputs, of))
        fits = text_utf8_whole(text.data, room(outputs, of));
    r = buffer_append(&output->text, text.data, fits);
    if (r != 0)
        return r < 0 ? r : lose(of, text.length);
    take_room(outputs, of, fits);
    return fits == text.length ? 0 : lose(of, text.length - fits);
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

/* Member KEY of OBJECT if it is of this KIND, else OTHERWISE. */
static struct slice
member_or(struct slice object, const char *key, enum json_kind kind,
          const char *otherwise)
{
    struct slice value;

    if (json_member(object, key, &value) == 0 && json_kind(value) == kind)
        return value;
    return slice_text(otherwise);
}

static int
read_display(struct display **ret, struct slice content)
{
    CLEANUP(display_destroyp) struct display *display = calloc(1, sizeof *display);
    struct slice transient, id;
    int r;

    if (display == NULL)
        return -ENOMEM;
    buffer_init(&display->id, content.length);
    r = copy(&display->data, member_or(content, "data", JSON_KIND_OBJECT, "{}"));
    if (r == 0)
        r = copy(&display->metadata,
                 member_or(content, "metadata", JSON_KIND_OBJECT, "{}"));
    transient = member_or(content, "transient", JSON_KIND_OBJECT, "{}");
    id = member_or(transient, "display_id", JSON_KIND_STRING, "\"\"");
    if (r == 0)
        r = json_decode_string(id, &display->id);
    if (r < 0)
        return r;
    assert(r == 0); /* it is a string, and shorter than CONTENT */
    *ret = display;
    display = NULL;
    return 0;
}

static size_t
size_of(const struct display *display)
{
    return display->data.length + display->metadata.length;
}

static void
swap_contents(struct display *one, struct display *other)
{
    struct slice data = one->data, metadata = one->metadata;

    one->data = other->data;
    one->metadata = other->metadata;
    other->data = data;
    other->metadata = metadata;
}

/* DISPLAY shows what FRESH has, in all cells or, where one has no room, in none. */
static int
renew(struct outputs *outputs, struct display *display, struct display *fresh)
{
    size_t before = size_of(display), after = size_of(fresh), count = 0;

    for (size_t i = 0; i < display->holder_count; i++) {
        const struct holder *holder = &display->holders[i];
        size_t bytes = outputs->cells[holder->cell].bytes - holder->count * before;

        count += holder->count;
        if (after > before && bytes + holder->count * after > OUTPUTS_CELL_BYTES_MAX)
            return OUTPUTS_E_FULL;
    }
    if (after > before && outputs->bytes + count * (after - before) > OUTPUTS_BYTES_MAX)
        return OUTPUTS_E_FULL;
    for (size_t i = 0; i < display->holder_count; i++) {
        const struct holder *holder = &display->holders[i];
        struct cell *cell = &outputs->cells[holder->cell];

        cell->bytes = cell->bytes - holder->count * before + holder->count * after;
    }
    outputs->bytes = outputs->bytes - count * before + count * after;
    swap_contents(display, fresh);
    return 0;
}

/* CELL shows DISPLAY once more. */
static int
hold(struct display *display, size_t cell)
{
    struct holder *holders = display->holders, *grown;
    size_t capacity = display->holder_capacity;

    for (size_t i = display->holder_count; i-- > 0;) {
        if (holders[i].cell == cell) {
            holders[i].count++;
            return 0;
        }
    }
    if (display->holder_count == capacity) {
        capacity = capacity == 0 ? 1 : 2 * capacity;
        grown = realloc(holders, capacity * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        display->holders = holders = grown;
        display->holder_capacity = capacity;
    }
    holders[display->holder_count++] = (struct holder){ .cell = cell, .count = 1 };
    return 0;
}

/* -1: it has none that a notebook could store. */
static int64_t
read_execution_count(struct slice content)
{
    int64_t count;

    if (json_member_int(content, "execution_count", &count) != 0 || count < 0)
        return -1;
    return count;
}

/* FRESH, or the one with its id, which then shows what FRESH has. *FRESH is taken when it
 * is that one. */
static int
choose_display(struct outputs *outputs, struct display **fresh, struct display **ret)
{
    struct display *known =
        (*fresh)->id.length > 0 ? find_display(outputs, *fresh) : NULL;
    int r;

    if (known != NULL) {
        r = renew(outputs, known, *fresh);
        if (r == 0)
            *ret = known;
        return r;
    }
    if ((*fresh)->id.length > 0 &&
        tsearch(*fresh, &outputs->displays, compare_ids) == NULL)
        return -ENOMEM;
    *ret = *fresh;
    *fresh = NULL;
    return 0;
}

static int
add_display(struct outputs *outputs, size_t index, const struct frame *frame)
{
    CLEANUP(display_destroyp) struct display *fresh = NULL;
    struct cell *cell = cell_of(outputs, index);
    struct output output = { .kind = OUTPUT_DISPLAY, .execution_count = -1 };
    size_t bytes;
    int r;

    if (frame->type == FRAME_EXECUTE_RESULT) {
        output.kind = OUTPUT_RESULT;
        output.execution_count = read_execution_count(frame->content);
    }
    r = grow(cell);
    if (r == 0)
        r = read_display(&fresh, frame->content);
    if (r < 0)
        return r;
    bytes = size_of(fresh);
    if (cell->count >= OUTPUTS_CELL_MAX || bytes + OUTPUT_BYTES > room(outputs, cell))
        return lose(cell, bytes);
    r = hold(fresh, index); /* first what can fail: a display without holders is gone */
    if (r == 0)
        r = choose_display(outputs, &fresh, &output.display);
    if (r == 0 && fresh != NULL) {
        /* The earlier ones have grown in this cell, too, perhaps. */
        if (bytes + OUTPUT_BYTES > room(outputs, cell))
            r = OUTPUTS_E_FULL;
        else
            r = hold(output.display, index);
    }
    if (r != 0)
        return r < 0 ? r : lose(cell, bytes);
    take_room(outputs, cell, bytes + OUTPUT_BYTES);
    cell->outputs[cell->count++] = output;
    return 0;
}

static int
update_display(struct outputs *outputs, size_t index, const struct frame *frame)
{
    CLEANUP(display_destroyp) struct display *fresh = NULL;
    struct display *known;
    int r = read_display(&fresh, frame->content);

    if (r < 0)
        return r;
    known = fresh->id.length > 0 ? find_display(outputs, fresh) : NULL;
    if (known == NULL)
        return 0;
    r = renew(outputs, known, fresh);
    return r == 0 ? 0 : lose(cell_of(outputs, index), size_of(fresh));
}

/* The parts of an error, raw JSON. */
struct parts {
    struct slice name, value, traceback;
};

static bool
has_strings_only(struct slice array)
{
    struct json_iterator iterator;
    struct slice value;

    if (json_iterate(&iterator, array) != 0)
        return false;
    while (json_next(&iterator, NULL, &value))
        if (json_kind(value) != JSON_KIND_STRING)
            return false;
    return true;
}

static struct parts
read_parts(struct slice content)
{
    struct parts parts = {
        .name = member_or(content, "ename", JSON_KIND_STRING, "\"Error\""),
        .value = member_or(content, "evalue", JSON_KIND_STRING, "\"\""),
        .traceback = member_or(content, "traceback", JSON_KIND_ARRAY, "[]"),
    };

    if (!has_strings_only(parts.traceback))
        parts.traceback = slice_text("[]");
    return parts;
}

static size_t
size_of_parts(const struct parts *parts)
{
    return parts->name.length + parts->value.length + parts->traceback.length;
}

static void
shorten(struct parts *parts)
{
    parts->traceback = slice_text("[]");
    if (parts->name.length > OUTPUTS_ERROR_BYTES_MAX)
        parts->name = slice_text("\"Error\"");
    if (parts->value.length > OUTPUTS_ERROR_BYTES_MAX)
        parts->value = slice_text("\"\"");
}

static int
append_slice(struct buffer *ret, struct slice slice)
{
    return buffer_append(ret, slice.data, slice.length);
}

static int
append_parts(struct buffer *ret, const struct parts *parts)
{
    int r = buffer_append_text(ret, "{\"ename\":");

    if (r == 0)
        r = append_slice(ret, parts->name);
    if (r == 0)
        r = buffer_append_text(ret, ",\"evalue\":");
    if (r == 0)
        r = append_slice(ret, parts->value);
    if (r == 0)
        r = buffer_append_text(ret, ",\"output_type\":\"error\",\"traceback\":");
    if (r == 0)
        r = append_slice(ret, parts->traceback);
    return r != 0 ? r : buffer_append_text(ret, "}");
}

static int
remember_error(struct cell *cell, const struct parts *parts)
{
    int r;

    buffer_clear(&cell->error_name, 0);
    buffer_clear(&cell->error_value, 0);
    r = json_decode_string(parts->name, &cell->error_name);
    if (r == 0)
        r = json_decode_string(parts->value, &cell->error_value);
    assert(r <= 0); /* strings of a frame */
    return r;
}

static int
add_error(struct outputs *outputs, size_t index, const struct frame *frame)
{
    struct cell *cell = cell_of(outputs, index);
    struct parts parts = read_parts(frame->content);
    struct output output = { .kind = OUTPUT_ERROR, .execution_count = -1 };
    size_t bytes = size_of_parts(&parts), lost = 0;
    int r = grow(cell);

    if (r < 0)
        return r;
    if (cell->count >= OUTPUTS_CELL_MAX || bytes + OUTPUT_BYTES > room(outputs, cell)) {
        if (cell->errors > 0)
            return lose(cell, bytes);
        shorten(&parts); /* that there was an error must not get lost */
        lost = bytes - (parts.name.length + parts.value.length);
        bytes = size_of_parts(&parts);
    }
    buffer_init(&output.text, FRAME_CONTENT_BYTES_MAX + OUTPUT_BYTES);
    r = append_parts(&output.text, &parts);
    if (r == 0)
        r = remember_error(cell, &parts);
    if (r != 0) {
        buffer_fini(&output.text);
        return r < 0 ? r : lose(cell, bytes);
    }
    take_room(outputs, cell, bytes + OUTPUT_BYTES);
    cell->outputs[cell->count++] = output;
    cell->errors++;
    return lost == 0 ? 0 : lose(cell, lost);
}

int
outputs_add_frame(struct outputs *outputs, size_t cell, const struct frame *frame)
{
    struct cell *of = cell_of(outputs, cell);
    bool wait = false;

    switch (frame->type) {
    case FRAME_CLEAR_OUTPUT:
        (void)json_member_bool(frame->content, "wait", &wait);
        if (wait)
            of->clears = true;
        else
            clear(outputs, cell);
        return 0;
    case FRAME_UPDATE_DISPLAY_DATA:
        return update_display(outputs, cell, frame);
    case FRAME_DISPLAY_DATA:
    case FRAME_EXECUTE_RESULT:
    case FRAME_ERROR:
        if (of->clears)
            clear(outputs, cell);
        return frame->type == FRAME_ERROR ? add_error(outputs, cell, frame)
                                          : add_display(outputs, cell, frame);
    default:
        return 0;
    }
}

static int
append_stream(const struct output *output, struct buffer *ret)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, OUTPUTS_CELL_BYTES_MAX);
    r = carriage_render(buffer_slice(&output->text), &text);
    if (r == 0)
        r = buffer_append_format(ret,
                                 "{\"name\":\"%s\",\"output_type\":\"stream\",\"text\":",
                                 output->kind == OUTPUT_STDERR ? "stderr" : "stdout");
    if (r == 0)
        r = text_append_json(ret, text.data, text.length);
    return r != 0 ? r : buffer_append_text(ret, "}");
}

static int
append_display(const struct output *output, struct buffer *ret)
{
    bool is_result = output->kind == OUTPUT_RESULT;
    int r = buffer_append_text(ret, "{\"data\":");

    if (r == 0)
        r = append_slice(ret, output->display->data);
    if (r == 0 && is_result && output->execution_count >= 0)
        r = buffer_append_format(ret, ",\"execution_count\":%lld",
                                 (long long)output->execution_count);
    else if (r == 0 && is_result)
        r = buffer_append_text(ret, ",\"execution_count\":null");
    if (r == 0)
        r = buffer_append_text(ret, ",\"metadata\":");
    if (r == 0)
        r = append_slice(ret, output->display->metadata);
    return r != 0 ? r
                  : buffer_append_format(ret, ",\"output_type\":\"%s\"}",
                                         is_result ? "execute_result" : "display_data");
}

static int
append_output(const struct output *output, struct buffer *ret)
{
    switch (output->kind) {
    case OUTPUT_STDOUT:
    case OUTPUT_STDERR:
        return append_stream(output, ret);
    case OUTPUT_ERROR:
        return append_slice(ret, buffer_slice(&output->text));
    default:
        return append_display(output, ret);
    }
}

int
outputs_append(const struct outputs *outputs, size_t cell, struct buffer *ret)
{
    const struct cell *of = cell_of(outputs, cell);
    int r = buffer_append_text(ret, "[");

    for (size_t i = 0; r == 0 && i < of->count; i++) {
        if (i > 0)
            r = buffer_append_text(ret, ",");
        if (r == 0)
            r = append_output(&of->outputs[i], ret);
    }
    return r != 0 ? r : buffer_append_text(ret, "]");
}

bool
outputs_error(const struct outputs *outputs, size_t cell, struct slice *ret_name,
              struct slice *ret_value)
{
    const struct cell *of = cell_of(outputs, cell);

    if (of->errors == 0)
        return false;
    *ret_name = buffer_slice(&of->error_name);
    *ret_value = buffer_slice(&of->error_value);
    return true;
}

size_t
outputs_lost(const struct outputs *outputs, size_t cell)
{
    return cell_of(outputs, cell)->lost;
}

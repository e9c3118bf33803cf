/* SPDX-License-Identifier: MIT */
/*
 * What cells show. Each line is one thing that comes: its first two bytes say what, and
 * in which cell, the rest is the text or the content. What is gathered is JSON.
 */
#include <string.h>

#include "kernel/notebook/outputs.h"
#include "protocol/frame.h"
#include "protocol/json.h"
#include "protocol/text.h"
#include "tests/fuzz/fuzz.h"

#define CELLS 3

static void
add_line(struct outputs *outputs, struct slice line)
{
    static const struct json_limits limits = { 8192, JSON_DEPTH_MAX / 2 };
    static const enum frame_type types[] = { FRAME_DISPLAY_DATA,
                                             FRAME_UPDATE_DISPLAY_DATA,
                                             FRAME_EXECUTE_RESULT, FRAME_ERROR,
                                             FRAME_CLEAR_OUTPUT };
    const struct slice rest = { line.data + 2, line.length - 2 };
    size_t cell = line.data[1] % CELLS, kind = line.data[0] % (N_ELEMENTS(types) + 2);

    if (kind >= N_ELEMENTS(types)) {
        if (text_is_utf8(rest.data, rest.length))
            CHECK(outputs_add_text(outputs, cell, kind == N_ELEMENTS(types), rest) == 0);
    } else if (json_scan_object(rest, &limits, NULL) == 0) {
        const struct frame frame = { .type = types[kind], .content = rest };

        CHECK(outputs_add_frame(outputs, cell, &frame) == 0);
    }
}

static void
check(const struct outputs *outputs, size_t cell)
{
    static const struct json_limits limits = { SIZE_MAX, JSON_DEPTH_MAX };
    struct slice name, value;
    struct buffer out;

    buffer_init(&out, (size_t)1 << 30);
    CHECK(outputs_append(outputs, cell, &out) == 0);
    CHECK(json_scan(buffer_slice(&out), &limits, NULL) == 0);
    CHECK(json_kind(buffer_slice(&out)) == JSON_KIND_ARRAY);
    if (outputs_error(outputs, cell, &name, &value)) {
        CHECK(text_is_utf8(name.data, name.length));
        CHECK(text_is_utf8(value.data, value.length));
    }
    CHECK(outputs_lost(outputs, cell) == 0);
    buffer_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outputs *outputs = NULL;

    CHECK(outputs_create(&outputs, CELLS) == 0);
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end != NULL ? (size_t)(end - data) : size;

        if (length > 2)
            add_line(outputs, (struct slice){ data, length });
        length += end != NULL;
        data += length;
        size -= length;
    }
    for (size_t cell = 0; cell < CELLS; cell++)
        check(outputs, cell);
    outputs_destroy(outputs);
    return 0;
}

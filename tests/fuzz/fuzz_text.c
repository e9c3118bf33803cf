/* SPDX-License-Identifier: MIT */
/* The first byte says how many bytes each piece has, the rest is what a program printed.
 */
#include <string.h>

#include "protocol/buffer.h"
#include "protocol/json.h"
#include "protocol/text.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT ((size_t)1 << 24)

static void
check_same(const struct buffer *a, const struct buffer *b)
{
    CHECK(a->length == b->length);
    CHECK(a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

/* As the output path does: what may still become a character waits for more. */
static void
append_in_pieces(struct buffer *ret, const uint8_t *data, size_t size, size_t piece)
{
    struct buffer waiting;
    size_t n, whole;

    buffer_init(&waiting, LIMIT);
    for (size_t i = 0; i < size; i += n) {
        n = size - i < piece ? size - i : piece;
        CHECK(buffer_append(&waiting, data + i, n) == 0);
        whole = text_utf8_whole(waiting.data, waiting.length);
        CHECK(whole <= waiting.length && waiting.length - whole <= 3);
        CHECK(text_append_utf8(ret, waiting.data, whole) == 0);
        buffer_consume(&waiting, whole);
    }
    CHECK(text_append_utf8(ret, waiting.data, waiting.length) == 0);
    buffer_fini(&waiting);
}

static void
check_json(const uint8_t *data, size_t size, const struct buffer *clean)
{
    struct json_limits limits = { LIMIT, 1 };
    struct buffer quoted, decoded;

    buffer_init(&quoted, LIMIT);
    buffer_init(&decoded, LIMIT);
    CHECK(text_append_json(&quoted, data, size) == 0);
    CHECK(json_scan(buffer_slice(&quoted), &limits, NULL) == 0);
    CHECK(json_decode_string(buffer_slice(&quoted), &decoded) == 0);
    check_same(&decoded, clean);
    buffer_fini(&quoted);
    buffer_fini(&decoded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer clean, pieces;
    size_t piece;

    if (size < 1)
        return 0;
    piece = 1 + data[0] % 16;
    data++;
    size--;
    buffer_init(&clean, LIMIT);
    buffer_init(&pieces, LIMIT);
    CHECK(text_append_utf8(&clean, data, size) == 0);
    CHECK(text_is_utf8(clean.data, clean.length));
    if (text_is_utf8(data, size))
        CHECK(clean.length == size && (size == 0 || memcmp(clean.data, data, size) == 0));
    append_in_pieces(&pieces, data, size, piece);
    check_same(&pieces, &clean);
    check_json(data, size, &clean);
    buffer_fini(&clean);
    buffer_fini(&pieces);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Frames are separated by NUL. A frame "S" behind the delimiter stands for the right
 * signature, so that what lies behind the check is reached.
 */
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/message.h"
#include "protocol/replay.h"
#include "protocol/schema.h"
#include "protocol/tree.h"
#include "protocol/wire.h"
#include "tests/fuzz/fuzz.h"

#define FRAMES_MAX 64

static size_t
split(struct slice *ret, const uint8_t *data, size_t size)
{
    size_t count = 0;

    while (count < FRAMES_MAX) {
        const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
        size_t length = end != NULL ? (size_t)(end - data) : size;

        ret[count++] = (struct slice){ data, length };
        if (end == NULL)
            break;
        data += length + 1;
        size -= length + 1;
    }
    return count;
}

static void
sign(struct slice *frames, size_t count, const struct signature_key *key,
     char signature[SIGNATURE_HEX_BYTES + 1])
{
    for (size_t i = 0; i + WIRE_FIXED_FRAMES <= count; i++) {
        if (!slice_equals_text(frames[i], WIRE_DELIMITER))
            continue;
        if (!slice_equals_text(frames[i + 1], "S"))
            return;
        signature_compute(key, frames + i + 2, signature);
        frames[i + 1] = slice_text(signature);
        return;
    }
}

static void
check_content(struct message *message)
{
    CLEANUP(tree_decrefp) json_t *before = NULL;
    struct error err = { 0 };
    int r = message_check(message, &err);

    CHECK(r >= 0 && err.code == r);
    CHECK((r == 0) == (message->content != NULL));
    if (r != 0)
        return;
    before = json_deep_copy(message->content);
    CHECK(schema_check(message->type, message->content, NULL) == 0);
    CHECK(schema_fill(message->type, message->content) == 0);
    CHECK(json_equal(before, message->content));
}

/* Its header must be usable as the parent of an answer. */
static void
check_answer(const struct message *message, const struct signature_key *key)
{
    struct message_header header = { .id = message->id,
                                     .session = message->session,
                                     .username = message->username,
                                     .type = message->type };
    struct slice frames[WIRE_FIXED_FRAMES], parts[SIGNATURE_PARTS] = { 0 };
    char signature[SIGNATURE_HEX_BYTES + 1];
    struct replay *replay = NULL;
    struct message answer;
    struct buffer out;

    buffer_init(&out, WIRE_HEADER_BYTES_MAX);
    CHECK(message_append_header(&out, &header) == 0);
    parts[0] = buffer_slice(&out);
    parts[1] = message->wire.header;
    wire_compose(frames, signature, key, parts);
    CHECK(replay_create(&replay, 1) == 0);
    CHECK(message_init(&answer, frames, N_ELEMENTS(frames), key, replay, NULL) == 0);
    CHECK(strcmp(answer.parent_id, message->id) == 0);
    CHECK(strcmp(answer.id, message->id) == 0);
    replay_destroy(replay);
    buffer_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice frames[FRAMES_MAX];
    char signature[SIGNATURE_HEX_BYTES + 1];
    struct signature_key *key = NULL;
    struct replay *replay = NULL;
    struct error err = { 0 };
    struct message message;
    size_t count = split(frames, data, size);
    int r;

    CHECK(signature_key_create(&key, slice_text("secret")) == 0);
    CHECK(replay_create(&replay, 2) == 0);
    sign(frames, count, key, signature);
    r = message_init(&message, frames, count, key, replay, &err);
    CHECK(r >= 0 && r < WIRE_E_END && err.code == r);
    if (r == 0) {
        check_content(&message);
        check_answer(&message, key);
        message_fini(&message);
        CHECK(message_init(&message, frames, count, key, replay, NULL) ==
              WIRE_E_REPLAYED);
    }
    replay_destroy(replay);
    signature_key_destroy(key);
    return 0;
}

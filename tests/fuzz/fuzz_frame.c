/* SPDX-License-Identifier: MIT */
/* The first byte is the sender; then packets, each behind its length in two bytes. */
#include <string.h>

#include "protocol/error.h"
#include "protocol/frame.h"
#include "tests/fuzz/fuzz.h"

/* What was read must be what would be written. */
static void
check_frame(const struct frame *frame, enum frame_sender sender,
            const struct frame_reader *reader)
{
    struct buffer bytes;

    buffer_init(&bytes, FRAME_BYTES_MAX);
    CHECK(frame_encode(&bytes, frame, sender, NULL) == 0);
    CHECK(bytes.length == frame_bytes(frame));
    CHECK(bytes.length == reader->bytes.length);
    CHECK(memcmp(bytes.data, reader->bytes.data, bytes.length) == 0);
    buffer_fini(&bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum frame_sender sender;
    struct frame_reader reader;
    const uint8_t *end = data + size;
    int r = 0;

    if (size < 1)
        return 0;
    sender = *data++ % 2 == 0 ? FRAME_FROM_SERVER : FRAME_FROM_RUNNER;
    frame_reader_init(&reader, sender);
    while ((r == 0 || r == FRAME_E_AGAIN) && end - data >= 2) {
        size_t length = (size_t)(data[0] | data[1] << 8);
        struct error err = { 0 };
        struct frame frame;

        data += 2;
        if (length > (size_t)(end - data))
            length = (size_t)(end - data);
        r = frame_reader_take(&reader, data, length, &frame, &err);
        CHECK(r >= 0 && r <= FRAME_E_TOO_LARGE);
        CHECK((r == FRAME_E_ILLEGAL || r == FRAME_E_TOO_LARGE) == (err.code != 0));
        if (r == 0)
            check_frame(&frame, sender, &reader);
        data += length;
    }
    frame_reader_fini(&reader);
    return 0;
}

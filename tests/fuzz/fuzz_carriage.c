/* SPDX-License-Identifier: MIT */
/*
 * Rendering against a plain model of it, for text without colours; with colours, what is
 * rendered must be text that has nothing to render.
 */
#include <string.h>

#include "protocol/carriage.h"
#include "protocol/text.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_MAX 8192
#define ESCAPE 0x1b

/* Characters of a line, as numbers, in the places where they end up. */
static size_t
render_line(const uint8_t *at, const uint8_t *end, uint8_t (*places)[4])
{
    size_t count = 0, cursor = 0;

    while (at < end) {
        size_t length = text_utf8_character(at, (size_t)(end - at));

        if (*at == '\r') {
            cursor = 0;
        } else if (*at == '\b') {
            cursor -= cursor > 0;
        } else {
            memset(places[cursor], 0, sizeof *places);
            memcpy(places[cursor++], at, length);
            count = cursor > count ? cursor : count;
        }
        at += length;
    }
    return count;
}

static void
check_model(struct slice text, struct slice rendered)
{
    static uint8_t places[TEXT_MAX][4], model[TEXT_MAX];
    const uint8_t *at = text.data, *end = text.data + text.length;
    size_t length = 0;

    while (at < end) {
        const uint8_t *line = memchr(at, '\n', (size_t)(end - at));
        size_t count = render_line(at, line != NULL ? line : end, places);

        for (size_t i = 0; i < count; i++) {
            size_t n = text_utf8_character(places[i], sizeof places[i]);

            memcpy(model + length, places[i], n);
            length += n;
        }
        if (line != NULL)
            model[length++] = '\n';
        at = line != NULL ? line + 1 : end;
    }
    CHECK(rendered.length == length);
    CHECK(length == 0 || memcmp(rendered.data, model, length) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = { data, size };
    struct buffer out, again;

    if (size > TEXT_MAX || !text_is_utf8(data, size))
        return 0;
    buffer_init(&out, SIZE_MAX);
    buffer_init(&again, SIZE_MAX);
    CHECK(carriage_render(text, &out) == 0);
    CHECK(text_is_utf8(out.data, out.length));
    CHECK(carriage_render(buffer_slice(&out), &again) == 0);
    CHECK(out.length == again.length);
    CHECK(out.length == 0 || memcmp(out.data, again.data, out.length) == 0);
    if (size > 0 && memchr(data, ESCAPE, size) == NULL)
        check_model(text, buffer_slice(&out));
    buffer_fini(&out);
    buffer_fini(&again);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* The bytes are SVG that a cell has shown. */
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/svg.h"
#include "protocol/text.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT ((size_t)1 << 24)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer once, again;
    int r;

    svg_init();
    buffer_init(&once, LIMIT);
    buffer_init(&again, LIMIT);
    r = svg_canonical((struct slice){ data, size }, &once, NULL);
    CHECK(r == 0 || r == COMPARE_E_INVALID);
    CHECK(r == 0 || once.length == 0);
    CHECK(once.length == 0 || once.data[once.length - 1] == '\n');
    CHECK(text_is_utf8(once.data, once.length));
    CHECK(svg_canonical((struct slice){ data, size }, &again, NULL) == r);
    CHECK(once.length == again.length);
    CHECK(once.length == 0 || memcmp(once.data, again.data, once.length) == 0);
    buffer_fini(&once);
    buffer_fini(&again);
    return 0;
}

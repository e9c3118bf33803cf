/* SPDX-License-Identifier: MIT */
/* The bytes are a PNG or a JPEG that a cell has shown; the checksums of a PNG's chunks
 * are put right, or hardly any change would get past them. */
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/image.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT ((size_t)1 << 24)
#define PIXELS_MAX ((uint64_t)256 * 256) /* that are drawn: more takes too long */

static uint32_t
checksum(const uint8_t *data, size_t length)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & (0 - (crc & 1)));
    }
    return ~crc;
}

static void
mend(uint8_t *png, size_t size)
{
    size_t at = 8, length;
    uint32_t crc;

    while (size >= 12 && at <= size - 12) {
        length = (size_t)png[at] << 24 | (size_t)png[at + 1] << 16 |
                 (size_t)png[at + 2] << 8 | png[at + 3];
        if (length > size - 12 - at)
            return;
        crc = checksum(png + at + 4, length + 4);
        for (unsigned i = 0; i < 4; i++)
            png[at + 8 + length + i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

static void
check_difference(const struct image *image)
{
    struct image_distance distance;
    struct image *drawn = NULL;
    struct buffer png;
    uint32_t width, height, drawn_width, drawn_height;

    image_size(image, &width, &height);
    CHECK(width > 0 && height > 0 && (uint64_t)width * height <= IMAGE_PIXELS_MAX);
    if ((uint64_t)width * height > PIXELS_MAX)
        return;
    image_compare(image, image, &distance);
    CHECK(distance.same_size && distance.pixels == 0);
    CHECK(!(distance.rms > 0) && !(distance.share > 0));
    buffer_init(&png, LIMIT);
    CHECK(image_draw_difference(image, image, &png) == 0);
    CHECK(image_decode(&drawn, buffer_slice(&png), NULL) == 0);
    image_size(drawn, &drawn_width, &drawn_height);
    CHECK(drawn_width == width && drawn_height == height);
    image_destroy(drawn);
    buffer_fini(&png);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = malloc(size + 1);
    struct image *image = NULL;
    int r;

    CHECK(file != NULL);
    memcpy(file, data, size);
    if (size > 0 && file[0] == 0x89)
        mend(file, size);
    r = image_decode(&image, (struct slice){ file, size }, NULL);
    CHECK(r == 0 || r == COMPARE_E_INVALID);
    CHECK((r == 0) == (image != NULL));
    if (image != NULL)
        check_difference(image);
    image_destroy(image);
    free(file);
    return 0;
}

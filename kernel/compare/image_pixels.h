/* SPDX-License-Identifier: MIT */
/*
 * image_pixels - what is behind struct image, for the decoders and for who draws
 */
#ifndef KERNEL_COMPARE_IMAGE_PIXELS_H
#define KERNEL_COMPARE_IMAGE_PIXELS_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/compare/image.h"
#include "protocol/cleanup.h"

#define IMAGE_SIDE_MAX 65535u /* as JPEG has it */
#define IMAGE_CHANNELS 4u

struct image {
    uint32_t width, height;
    uint8_t *pixels; /* owned: rows from the top, RGBA, no padding */
};

/* What a person sees of a pixel: over white. */
struct colour {
    uint8_t r, g, b;
};

CLEANUP_DEFINE(struct image, image_destroy);

/* An image of zeros. 0, COMPARE_E_INVALID (no pixels, or more than IMAGE_PIXELS_MAX) or
 * -ENOMEM. */
int image_create(struct image **ret, uint64_t width, uint64_t height, struct error *err);

/* As image_decode, of one type. */
int image_decode_png(struct image **ret, struct slice file, struct error *err);
int image_decode_jpeg(struct image **ret, struct slice file, struct error *err);

/* X and Y are within. */
struct colour image_colour(const struct image *image, uint32_t x, uint32_t y);

/* How far apart a person sees them: 0 to 1, where 1 is black and white; the square of a
 * distance in YIQ. Above IMAGE_VISIBLE the difference counts. */
double image_distance_seen(struct colour a, struct colour b);
#define IMAGE_VISIBLE (0.1 * 0.1)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * image - how far two pictures are apart
 */
#ifndef KERNEL_COMPARE_IMAGE_H
#define KERNEL_COMPARE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define IMAGE_PIXELS_MAX ((uint64_t)64 * 1024 * 1024)

struct error;

struct image; /* opaque: decoded, 8 bits RGBA */

/* Decodes the bytes of a file, PNG or JPEG by its own signature. 0, COMPARE_E_INVALID
 * (damaged, another type, too large), -ENOMEM. */
int image_decode(struct image **ret, struct slice file, struct error *err);
void image_destroy(struct image *image); /* NULL is allowed */
void image_size(const struct image *image, uint32_t *ret_width, uint32_t *ret_height);

/* Plain data. */
struct image_distance {
    bool same_size;
    double rms; /* root of the mean square over all samples, transparent pixels over
                   white: 0 to 255, as matplotlib's compare_images has it */
    uint64_t pixels; /* that differ visibly: by more than a tenth of the largest distance
                        in YIQ (Kotsarenko and Ramos, 2010) */
    double share; /* of all pixels */
};

/* Of different size: everything else is 0. */
void image_compare(const struct image *a, const struct image *b,
                   struct image_distance *ret);

/* Appends a PNG of the larger width and height: EXPECTED as a pale grey, what differs in
 * red; where only one of the two has pixels, blue (EXPECTED) or orange (ACTUAL). 0,
 * BUFFER_E_FULL or -ENOMEM. */
int image_draw_difference(const struct image *expected, const struct image *actual,
                          struct buffer *ret);

#endif

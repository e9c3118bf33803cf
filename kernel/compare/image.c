/* SPDX-License-Identifier: MIT */
/*
 * Distances are those of what a person sees: of pixels over white. For pictures without
 * transparency, which nearly all are, the root mean square is then the number that
 * matplotlib's own comparison has.
 */
#include "kernel/compare/image.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/image_pixels.h"
#include "protocol/error.h"

/* The largest squared distance in YIQ of two colours that have 8 bits a channel. */
#define YIQ_LARGEST 35215.0

int
image_create(struct image **ret, uint64_t width, uint64_t height, struct error *err)
{
    CLEANUP(image_destroyp) struct image *image = NULL;

    if (width == 0 || height == 0)
        return error_set(err, COMPARE_E_INVALID, "the picture has no pixels");
    if (width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX ||
        width * height > IMAGE_PIXELS_MAX)
        return error_set(err, COMPARE_E_INVALID, "the picture is too large: %llu x %llu",
                         (unsigned long long)width, (unsigned long long)height);
    image = malloc(sizeof *image);
    if (image == NULL)
        return -ENOMEM;
    *image = (struct image){ .width = (uint32_t)width, .height = (uint32_t)height };
    image->pixels = calloc((size_t)(width * height), IMAGE_CHANNELS);
    if (image->pixels == NULL)
        return -ENOMEM;

    *ret = image;
    image = NULL;
    return 0;
}

void
image_destroy(struct image *image)
{
    if (image == NULL)
        return;
    free(image->pixels);
    free(image);
}

int
image_decode(struct image **ret, struct slice file, struct error *err)
{
    static const struct {
        const char *signature;
        size_t length;
        int (*decode)(struct image **ret, struct slice file, struct error *err);
    } types[] = {
        { "\x89PNG\r\n\x1a\n", 8, image_decode_png },
        { "\xff\xd8\xff", 3, image_decode_jpeg },
    };

    for (size_t i = 0; i < N_ELEMENTS(types); i++) {
        if (file.length >= types[i].length &&
            memcmp(file.data, types[i].signature, types[i].length) == 0)
            return types[i].decode(ret, file, err);
    }
    return error_set(err, COMPARE_E_INVALID, "the picture is neither PNG nor JPEG");
}

void
image_size(const struct image *image, uint32_t *ret_width, uint32_t *ret_height)
{
    *ret_width = image->width;
    *ret_height = image->height;
}

static uint8_t
over_white(uint8_t sample, uint8_t alpha)
{
    return (uint8_t)(255 - ((255 - sample) * alpha + 127) / 255);
}

struct colour
image_colour(const struct image *image, uint32_t x, uint32_t y)
{
    const uint8_t *p = image->pixels + ((size_t)y * image->width + x) * IMAGE_CHANNELS;

    return (struct colour){ over_white(p[0], p[3]), over_white(p[1], p[3]),
                            over_white(p[2], p[3]) };
}

double
image_distance_seen(struct colour a, struct colour b)
{
    double r = a.r - b.r, g = a.g - b.g, blue = a.b - b.b;
    double y = 0.29889531 * r + 0.58662247 * g + 0.11448223 * blue;
    double i = 0.59597799 * r - 0.27417610 * g - 0.32180189 * blue;
    double q = 0.21147017 * r - 0.52261711 * g + 0.31114694 * blue;

    return (0.5053 * y * y + 0.299 * i * i + 0.1957 * q * q) / YIQ_LARGEST;
}

static unsigned
square(uint8_t a, uint8_t b)
{
    int d = a - b;

    return (unsigned)(d * d);
}

void
image_compare(const struct image *a, const struct image *b, struct image_distance *ret)
{
    uint64_t squares = 0, pixels = (uint64_t)a->width * a->height;
    struct colour ca, cb;

    *ret = (struct image_distance){ .same_size =
                                        a->width == b->width && a->height == b->height };
    if (!ret->same_size)
        return;
    for (uint32_t y = 0; y < a->height; y++) {
        for (uint32_t x = 0; x < a->width; x++) {
            ca = image_colour(a, x, y);
            cb = image_colour(b, x, y);
            squares += square(ca.r, cb.r) + square(ca.g, cb.g) + square(ca.b, cb.b);
            ret->pixels += image_distance_seen(ca, cb) > IMAGE_VISIBLE;
        }
    }
    ret->rms = sqrt((double)squares / (double)(3 * pixels));
    ret->share = (double)ret->pixels / (double)pixels;
}

/* SPDX-License-Identifier: MIT */
/*
 * The picture of a difference. What is expected is there as a pale grey, for orientation;
 * on it stands out what differs. A person must find a single changed pixel, so each one
 * has a halo.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "kernel/compare/image_pixels.h"

#define FADED 0.25 /* of the contrast of what is expected is left */
#define WEAKEST 0.4 /* of red: a difference that one could not see */

struct drawing {
    const struct image *expected, *actual; /* borrowed */
    uint32_t width, height;
    struct buffer *ret; /* borrowed */
    int result; /* why it was left */
    png_structp png; /* owned */
    png_infop info; /* owned */
    uint8_t *row; /* owned: RGB */
    float *red; /* owned: three rows of how much of it there is, y at y % 3 */
};

static void
drawing_fini(struct drawing *drawing)
{
    png_destroy_write_struct(&drawing->png, &drawing->info);
    free(drawing->row);
    free(drawing->red);
}

static void PNGCBAPI
on_error(png_structp png, png_const_charp text)
{
    struct drawing *drawing = png_get_error_ptr(png);

    (void)text;
    if (drawing->result == 0)
        drawing->result = -ENOMEM; /* nothing else is left to fail */
    png_longjmp(png, 1);
}

static void PNGCBAPI
on_warning(png_structp png, png_const_charp text)
{
    (void)png, (void)text;
}

static void PNGCBAPI
on_write(png_structp png, png_bytep data, size_t length)
{
    struct drawing *drawing = png_get_io_ptr(png);

    drawing->result = buffer_append(drawing->ret, data, length);
    if (drawing->result != 0)
        png_error(png, "full");
}

static bool
is_within(const struct image *image, uint32_t x, uint32_t y)
{
    return x < image->width && y < image->height;
}

static float *
red_row(const struct drawing *drawing, uint32_t y)
{
    return drawing->red + (size_t)(y % 3) * drawing->width;
}

static void
measure_row(struct drawing *drawing, uint32_t y)
{
    float *red = red_row(drawing, y);
    double seen;

    for (uint32_t x = 0; x < drawing->width; x++) {
        red[x] = 0;
        if (y >= drawing->height || !is_within(drawing->expected, x, y) ||
            !is_within(drawing->actual, x, y))
            continue;
        seen = image_distance_seen(image_colour(drawing->expected, x, y),
                                   image_colour(drawing->actual, x, y));
        if (seen > IMAGE_VISIBLE)
            red[x] = 1;
        else if (seen > 0)
            red[x] = (float)(WEAKEST + (1 - WEAKEST) * sqrt(seen / IMAGE_VISIBLE) / 2);
    }
}

/* How much red pixel X of row Y gets: its own, or half of its reddest neighbour's. */
static float
redness(const struct drawing *drawing, uint32_t x, uint32_t y)
{
    float own = red_row(drawing, y)[x], around = 0;
    uint32_t top = y > 0 ? y - 1 : 0, left = x > 0 ? x - 1 : 0;

    if (own > 0)
        return own;
    for (uint32_t j = top; j <= y + 1; j++) {
        for (uint32_t i = left; i <= x + 1 && i < drawing->width; i++)
            around = fmaxf(around, red_row(drawing, j)[i]);
    }
    return around / 2;
}

static double
grey(struct colour c)
{
    return 255 + (0.299 * c.r + 0.587 * c.g + 0.114 * c.b - 255) * FADED;
}

static void
put(uint8_t *ret, double r, double g, double b)
{
    ret[0] = (uint8_t)lround(r);
    ret[1] = (uint8_t)lround(g);
    ret[2] = (uint8_t)lround(b);
}

static void
draw_pixel(const struct drawing *drawing, uint32_t x, uint32_t y, uint8_t *ret)
{
    bool was = is_within(drawing->expected, x, y), is = is_within(drawing->actual, x, y);
    double base = 255, red;

    if (was || is)
        base = grey(image_colour(was ? drawing->expected : drawing->actual, x, y));
    red = was && is ? (double)redness(drawing, x, y) : 0;
    if (was && is)
        put(ret, base + (224 - base) * red, base * (1 - red), base * (1 - red));
    else if (was)
        put(ret, base * 0.72, base * 0.84, base); /* gone: blue */
    else if (is)
        put(ret, base, base * 0.86, base * 0.6); /* new: orange */
    else
        put(ret, 128, 128, 128); /* in neither */
}

static void
draw(struct drawing *drawing)
{
    png_structp png = drawing->png;

    png_set_write_fn(png, drawing, on_write, NULL);
    png_set_IHDR(png, drawing->info, drawing->width, drawing->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, drawing->info);
    measure_row(drawing, 0);
    for (uint32_t y = 0; y < drawing->height; y++) {
        measure_row(drawing, y + 1);
        for (uint32_t x = 0; x < drawing->width; x++)
            draw_pixel(drawing, x, y, drawing->row + (size_t)x * 3);
        png_write_row(png, drawing->row);
    }
    png_write_end(png, drawing->info);
}

int
image_draw_difference(const struct image *expected, const struct image *actual,
                      struct buffer *ret)
{
    CLEANUP(drawing_fini)
    struct drawing drawing = {
        .expected = expected,
        .actual = actual,
        .width = expected->width > actual->width ? expected->width : actual->width,
        .height = expected->height > actual->height ? expected->height : actual->height,
        .ret = ret,
    };
    size_t before = ret->length;

    drawing.row = malloc((size_t)drawing.width * 3);
    drawing.red = malloc((size_t)drawing.width * 3 * sizeof *drawing.red);
    drawing.png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, &drawing, on_error, on_warning);
    if (drawing.row == NULL || drawing.red == NULL || drawing.png == NULL)
        return -ENOMEM;
    drawing.info = png_create_info_struct(drawing.png);
    if (drawing.info == NULL)
        return -ENOMEM;
    if (setjmp(png_jmpbuf(drawing.png)) == 0)
        draw(&drawing);
    if (drawing.result != 0)
        ret->length = before; /* all or nothing */
    return drawing.result;
}

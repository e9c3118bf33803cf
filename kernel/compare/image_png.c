/* SPDX-License-Identifier: MIT */
/*
 * PNG, with everything that is not needed for the pixels left out: profiles, texts and
 * gamma are not read, so that there is nothing in them to go wrong. An error leaves by
 * longjmp, so all that must survive it is in one struct outside of the frame.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/image_pixels.h"
#include "protocol/error.h"

#define CHUNK_BYTES_MAX ((png_alloc_size_t)1024 * 1024)

struct reader {
    struct slice rest; /* borrowed: of the file */
    struct error *err; /* borrowed */
    int result; /* why it was left */
    png_structp png; /* owned */
    png_infop info; /* owned */
    struct image *image; /* owned */
};

static void
reader_fini(struct reader *reader)
{
    png_destroy_read_struct(&reader->png, &reader->info, NULL);
    image_destroy(reader->image);
}

static void PNGCBAPI
on_error(png_structp png, png_const_charp text)
{
    struct reader *reader = png_get_error_ptr(png);

    if (reader->result == 0)
        reader->result =
            error_set(reader->err, COMPARE_E_INVALID, "the PNG is damaged: %s", text);
    png_longjmp(png, 1);
}

static void PNGCBAPI
on_warning(png_structp png, png_const_charp text)
{
    (void)png, (void)text;
}

static void PNGCBAPI
on_read(png_structp png, png_bytep ret, size_t length)
{
    struct reader *reader = png_get_io_ptr(png);

    if (length > reader->rest.length)
        png_error(png, "it ends too early");
    memcpy(ret, reader->rest.data, length);
    reader->rest.data += length;
    reader->rest.length -= length;
}

/* Whatever the file has: 8 bits a channel, RGBA. */
static void
set_transformations(png_structp png)
{
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 0xff, PNG_FILLER_AFTER);
}

static void
read_pixels(struct reader *reader)
{
    png_structp png = reader->png;
    size_t row_bytes;
    int passes;

    png_set_read_fn(png, reader, on_read);
    png_set_user_limits(png, IMAGE_SIDE_MAX, IMAGE_SIDE_MAX);
    png_set_chunk_malloc_max(png, CHUNK_BYTES_MAX);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(png, reader->info);
    set_transformations(png);
    passes = png_set_interlace_handling(png);
    reader->result = image_create(&reader->image, png_get_image_width(png, reader->info),
                                  png_get_image_height(png, reader->info), reader->err);
    if (reader->result != 0)
        return;
    png_read_update_info(png, reader->info);
    row_bytes = (size_t)reader->image->width * IMAGE_CHANNELS;
    if (png_get_rowbytes(png, reader->info) != row_bytes)
        png_error(png, "its rows have another length");
    for (int pass = 0; pass < passes; pass++) {
        for (uint32_t y = 0; y < reader->image->height; y++)
            png_read_row(png, reader->image->pixels + y * row_bytes, NULL);
    }
    png_read_end(png, NULL);
}

int
image_decode_png(struct image **ret, struct slice file, struct error *err)
{
    CLEANUP(reader_fini) struct reader reader = { .rest = file, .err = err };

    reader.png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
    if (reader.png == NULL)
        return -ENOMEM;
    reader.info = png_create_info_struct(reader.png);
    if (reader.info == NULL)
        return -ENOMEM;
    if (setjmp(png_jmpbuf(reader.png)) == 0)
        read_pixels(&reader);
    if (reader.result != 0)
        return reader.result;

    *ret = reader.image;
    reader.image = NULL;
    return 0;
}

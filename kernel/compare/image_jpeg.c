/* SPDX-License-Identifier: MIT */
/*
 * JPEG. The library fills what is missing of a damaged file with grey and warns; here a
 * warning means that the picture is not the one that was meant, and it is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/image_pixels.h"
#include "protocol/error.h"

#define MEMORY_BYTES_MAX (512L * 1024 * 1024) /* of coefficients of progressive files */
#define SCANS_MAX 100 /* each goes over the whole picture; encoders write about ten */

struct reader {
    struct jpeg_decompress_struct jpeg; /* owned */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf leave;
    struct error *err; /* borrowed */
    int result; /* why it was left */
    struct image *image; /* owned */
    uint8_t *row; /* owned: as the library gives it */
};

static void
reader_fini(struct reader *reader)
{
    jpeg_destroy_decompress(&reader->jpeg);
    image_destroy(reader->image);
    free(reader->row);
}

static void
leave(struct reader *reader, const char *text)
{
    reader->result =
        error_set(reader->err, COMPARE_E_INVALID, "the JPEG is damaged: %s", text);
    longjmp(reader->leave, 1);
}

static void
on_error(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];

    if (jpeg->err->msg_code == JERR_OUT_OF_MEMORY) {
        reader->result = -ENOMEM;
        longjmp(reader->leave, 1);
    }
    jpeg->err->format_message(jpeg, text);
    leave(reader, text);
}

static void
on_message(j_common_ptr jpeg, int level)
{
    if (level < 0 && jpeg->err->msg_code != JWRN_EXTRANEOUS_DATA)
        on_error(jpeg);
}

static void
on_progress(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;

    if (reader->jpeg.input_scan_number > SCANS_MAX)
        leave(reader, "it has too many scans");
}

/* CMYK is stored inverted by all that write it, since Adobe did. */
static void
put_pixel(uint8_t *ret, const uint8_t *p, int components)
{
    if (components == 1)
        ret[0] = ret[1] = ret[2] = p[0];
    else if (components == 3)
        memcpy(ret, p, 3);
    else
        for (int i = 0; i < 3; i++)
            ret[i] = (uint8_t)((p[i] * p[3] + 127) / 255);
    ret[3] = 0xff;
}

static void
choose_colours(struct reader *reader)
{
    switch (reader->jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE:
        reader->jpeg.out_color_space = JCS_GRAYSCALE;
        break;
    case JCS_RGB:
    case JCS_YCbCr:
        reader->jpeg.out_color_space = JCS_RGB;
        break;
    case JCS_CMYK:
    case JCS_YCCK:
        reader->jpeg.out_color_space = JCS_CMYK;
        break;
    default:
        leave(reader, "its colours are of an unknown kind");
    }
}

static void
read_pixels(struct reader *reader)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    uint8_t *to;

    jpeg_read_header(jpeg, TRUE);
    reader->result =
        image_create(&reader->image, jpeg->image_width, jpeg->image_height, reader->err);
    if (reader->result != 0)
        return;
    choose_colours(reader);
    jpeg->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(jpeg);
    if (jpeg->output_width != reader->image->width ||
        jpeg->output_height != reader->image->height ||
        (jpeg->output_components != 1 && jpeg->output_components != 3 &&
         jpeg->output_components != 4))
        leave(reader, "its rows have another length");
    reader->row = malloc((size_t)jpeg->output_width * (size_t)jpeg->output_components);
    if (reader->row == NULL) {
        reader->result = -ENOMEM;
        return;
    }
    to = reader->image->pixels;
    while (jpeg->output_scanline < jpeg->output_height) {
        jpeg_read_scanlines(jpeg, &reader->row, 1);
        for (size_t x = 0; x < jpeg->output_width; x++, to += IMAGE_CHANNELS)
            put_pixel(to, reader->row + x * (size_t)jpeg->output_components,
                      jpeg->output_components);
    }
    jpeg_finish_decompress(jpeg);
}

int
image_decode_jpeg(struct image **ret, struct slice file, struct error *err)
{
    CLEANUP(reader_fini) struct reader reader = { .err = err };

    reader.jpeg.err = jpeg_std_error(&reader.errors);
    reader.errors.error_exit = on_error;
    reader.errors.emit_message = on_message;
    reader.progress.progress_monitor = on_progress;
    reader.jpeg.client_data = &reader;
    if (setjmp(reader.leave) == 0) {
        jpeg_create_decompress(&reader.jpeg);
        reader.jpeg.mem->max_memory_to_use = MEMORY_BYTES_MAX;
        reader.jpeg.progress = &reader.progress;
        jpeg_mem_src(&reader.jpeg, file.data, file.length);
        read_pixels(&reader);
    }
    if (reader.result != 0)
        return reader.result;

    *ret = reader.image;
    reader.image = NULL;
    return 0;
}

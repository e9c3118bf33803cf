/* SPDX-License-Identifier: MIT */
#include "kernel/compare/image.h"

#include <math.h>
#include <string.h>

#include <png.h>

#include "kernel/compare/compare.h"
#include "protocol/error.h"
#include "tests/compare/samples.h"

#define SIDE 4u
#define PNG_BYTES_MAX ((size_t)16 * 1024 * 1024)

static void
assert_near(double value, double expected, double distance)
{
    if (!(fabs(value - expected) <= distance))
        fail_msg("%f is not %f", value, expected);
}

static struct image *
decode(const char *name)
{
    struct error err = { 0 };
    struct image *image = NULL;
    struct buffer file;

    buffer_init(&file, SAMPLE_BYTES_MAX);
    sample_read(name, &file);
    if (image_decode(&image, buffer_slice(&file), &err) != 0)
        fail_msg("%s: %s", name, err.text);
    buffer_fini(&file);
    return image;
}

static struct image_distance
compare(const char *a, const char *b)
{
    struct image *left = decode(a), *right = decode(b);
    struct image_distance distance;

    image_compare(left, right, &distance);
    image_destroy(left);
    image_destroy(right);
    return distance;
}

static void
on_write(png_structp png, png_bytep data, size_t length)
{
    assert_int_equal(buffer_append(png_get_io_ptr(png), data, length), 0);
}

/* A PNG whose rows all are ROW, as libpng has it for TYPE and DEPTH. */
static void
encode(struct buffer *ret, int type, int depth, int interlace, uint32_t side,
       const uint8_t *row)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_color palette[2] = { { 10, 20, 30 }, { 200, 100, 50 } };
    png_byte alphas[2] = { 255, 51 };
    int passes;

    assert_int_equal(setjmp(png_jmpbuf(png)), 0);
    png_set_write_fn(png, ret, on_write, NULL);
    png_set_IHDR(png, info, side, side, depth, type, interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_set_PLTE(png, info, palette, 2);
        png_set_tRNS(png, info, alphas, 2, NULL);
    }
    png_set_gAMA(png, info, 1.0);
    png_write_info(png, info);
    passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++) {
        for (uint32_t y = 0; y < side; y++)
            png_write_row(png, row);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
}

/* How far SIDE x SIDE pixels like ROW are from those of PIXEL (R, G, B over white). */
static double
distance_to(int type, int depth, int interlace, const uint8_t *row, const uint8_t *pixel)
{
    uint8_t rgb[3 * SIDE];
    struct image *a = NULL, *b = NULL;
    struct image_distance distance;
    struct buffer png, plain;

    for (size_t i = 0; i < SIDE; i++)
        memcpy(rgb + 3 * i, pixel, 3);
    buffer_init(&png, PNG_BYTES_MAX);
    buffer_init(&plain, PNG_BYTES_MAX);
    encode(&png, type, depth, interlace, SIDE, row);
    encode(&plain, PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE, SIDE, rgb);
    assert_int_equal(image_decode(&a, buffer_slice(&png), NULL), 0);
    assert_int_equal(image_decode(&b, buffer_slice(&plain), NULL), 0);
    image_compare(a, b, &distance);
    assert_true(distance.same_size);
    image_destroy(a);
    image_destroy(b);
    buffer_fini(&png);
    buffer_fini(&plain);
    return distance.rms;
}

static void
test_every_kind_of_png_has_the_colours_that_it_shows(void **state)
{
    static const struct {
        int type, depth;
        uint8_t row[8 * SIDE], pixel[3];
    } kinds[] = {
        { PNG_COLOR_TYPE_GRAY, 1, { 0xff }, { 255, 255, 255 } },
        { PNG_COLOR_TYPE_GRAY, 2, { 0x55 }, { 85, 85, 85 } },
        { PNG_COLOR_TYPE_GRAY, 8, { 7, 7, 7, 7 }, { 7, 7, 7 } },
        { PNG_COLOR_TYPE_GRAY, 16, { 7, 7, 7, 7, 7, 7, 7, 7 }, { 7, 7, 7 } },
        { PNG_COLOR_TYPE_PALETTE, 1, { 0x00 }, { 10, 20, 30 } },
        { PNG_COLOR_TYPE_PALETTE, 8, { 1, 1, 1, 1 }, { 244, 224, 214 } },
        { PNG_COLOR_TYPE_GRAY_ALPHA,
          8,
          { 0, 51, 0, 51, 0, 51, 0, 51 },
          { 204, 204, 204 } },
        { PNG_COLOR_TYPE_RGB, 8, { 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3 }, { 1, 2, 3 } },
        { PNG_COLOR_TYPE_RGB,
          16,
          { 1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3 },
          { 1, 2, 3 } },
        { PNG_COLOR_TYPE_RGB_ALPHA, 8, { 0 }, { 255, 255, 255 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (int interlace = 0; interlace < 2; interlace++) {
            double rms = distance_to(kinds[i].type, kinds[i].depth, interlace,
                                     kinds[i].row, kinds[i].pixel);

            if (rms > 0)
                fail_msg("kind %zu, interlace %d: %f", i, interlace, rms);
        }
    }
}

static void
test_distance_is_the_one_that_matplotlib_calculates(void **state)
{
    (void)state;
    /* The numbers are those of matplotlib.testing.compare.calculate_rms. */
    assert_near(compare("plot_once.png", "plot_moved.png").rms, 21.239848294, 1e-6);
    assert_near(compare("noise_a.png", "noise_b.png").rms, 5.435823496, 1e-6);
    assert_near(compare("plot_once.png", "plot_once.png").rms, 0, 0);
}

static void
test_changes_that_nobody_sees_are_not_counted(void **state)
{
    struct image_distance noise = compare("noise_a.png", "noise_b.png");
    struct image_distance moved = compare("plot_once.png", "plot_moved.png");

    (void)state;
    assert_int_equal(noise.pixels, 0);
    assert_true(moved.pixels > 100 && moved.pixels < 1000);
    assert_near(moved.share, (double)moved.pixels / (100 * 75), 1e-12);
}

static void
test_jpeg_shows_what_was_encoded(void **state)
{
    (void)state;
    /* As far apart as another decoder says. */
    assert_near(compare("plot_once.png", "plot.jpg").rms, 4.159957, 0.05);
    assert_near(compare("plot_once.png", "plot_progressive.jpg").rms, 4.159957, 0.05);
    assert_near(compare("plot_once.png", "plot_grey.jpg").rms, 7.486385, 0.05);
    assert_near(compare("plot_once.png", "plot_cmyk.jpg").rms, 1.615329, 0.05);
}

static void
test_size_that_differs_is_told_and_nothing_else(void **state)
{
    struct image_distance distance = compare("plot_once.png", "noise_a.png");

    (void)state;
    assert_false(distance.same_size);
    assert_near(distance.rms, 0, 0);
    assert_int_equal(distance.pixels, 0);
}

/* Appends the difference of two samples. */
static void
draw(const char *a, const char *b, struct buffer *ret)
{
    struct image *left = decode(a), *right = decode(b);

    assert_int_equal(image_draw_difference(left, right, ret), 0);
    image_destroy(left);
    image_destroy(right);
}

/* The pixels of a PNG, decoded by libpng's own simple interface. */
static uint8_t *
pixels_of(const struct buffer *png, uint32_t *ret_width, uint32_t *ret_height)
{
    png_image image = { .version = PNG_IMAGE_VERSION };
    uint8_t *pixels;

    assert_true(png_image_begin_read_from_memory(&image, png->data, png->length));
    image.format = PNG_FORMAT_RGB;
    pixels = malloc(PNG_IMAGE_SIZE(image));
    assert_non_null(pixels);
    assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
    *ret_width = image.width;
    *ret_height = image.height;
    return pixels;
}

static size_t
count_coloured(const struct buffer *png)
{
    uint32_t width, height;
    uint8_t *pixels = pixels_of(png, &width, &height);
    size_t n = 0;

    for (size_t i = 0; i < (size_t)width * height; i++)
        n += pixels[3 * i] != pixels[3 * i + 1] || pixels[3 * i] != pixels[3 * i + 2];
    free(pixels);
    return n;
}

static void
test_difference_is_red_where_pictures_differ_and_grey_where_not(void **state)
{
    struct image_distance moved = compare("plot_once.png", "plot_moved.png");
    struct buffer same, different;

    (void)state;
    buffer_init(&same, PNG_BYTES_MAX);
    buffer_init(&different, PNG_BYTES_MAX);
    draw("plot_once.png", "plot_once.png", &same);
    draw("plot_once.png", "plot_moved.png", &different);
    assert_int_equal(count_coloured(&same), 0);
    assert_true(count_coloured(&different) >= moved.pixels);
    assert_true(count_coloured(&different) < 100 * 75 / 3);
    buffer_fini(&same);
    buffer_fini(&different);
}

static void
test_difference_of_unequal_sizes_holds_both(void **state)
{
    struct buffer png;
    uint32_t width, height;
    uint8_t *pixels;

    (void)state;
    buffer_init(&png, PNG_BYTES_MAX);
    draw("noise_a.png", "plot_once.png", &png);
    pixels = pixels_of(&png, &width, &height);
    assert_int_equal(width, 100);
    assert_int_equal(height, 75);
    /* The last pixel is in the second alone: orange. */
    pixels += 3 * ((size_t)width * height - 1);
    assert_true(pixels[0] > pixels[1] && pixels[1] > pixels[2]);
    free(pixels - 3 * ((size_t)width * height - 1));
    buffer_fini(&png);
}

static void
test_difference_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    struct image *image = decode("plot_once.png");
    struct buffer png;

    (void)state;
    buffer_init(&png, 100);
    assert_int_equal(buffer_append_text(&png, "before"), 0);
    assert_int_equal(image_draw_difference(image, image, &png), BUFFER_E_FULL);
    assert_int_equal(png.length, 6);
    buffer_fini(&png);
    image_destroy(image);
}

static void
assert_refused(const void *data, size_t length)
{
    struct slice file = { data, length };
    struct error err = { 0 };
    struct image *image = NULL;

    assert_int_equal(image_decode(&image, file, &err), COMPARE_E_INVALID);
    assert_null(image);
    assert_true(err.text[0] != '\0');
}

static void
test_file_that_ends_too_early_is_refused_wherever_it_ends(void **state)
{
    static const char *const names[] = { "tiny.png", "tiny.jpg", "tiny_progressive.jpg" };
    struct buffer file;
    uint8_t *exact;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        buffer_init(&file, SAMPLE_BYTES_MAX);
        sample_read(names[i], &file);
        for (size_t length = 0; length < file.length; length++) {
            exact = malloc(length + 1); /* so that reading on is seen */
            assert_non_null(exact);
            memcpy(exact, file.data, length);
            assert_refused(exact, length);
            free(exact);
        }
        buffer_fini(&file);
    }
}

static void
test_damage_never_does_more_than_a_refusal(void **state)
{
    static const char *const names[] = { "tiny.png", "tiny.jpg", "tiny_progressive.jpg" };
    struct image *image;
    struct buffer file;
    int r;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        buffer_init(&file, SAMPLE_BYTES_MAX);
        sample_read(names[i], &file);
        for (size_t at = 0; at < 8 * file.length; at++) {
            file.data[at / 8] ^= (uint8_t)(1u << at % 8);
            image = NULL;
            r = image_decode(&image, buffer_slice(&file), NULL);
            assert_true(r == 0 ? image != NULL : r == COMPARE_E_INVALID);
            image_destroy(image);
            file.data[at / 8] ^= (uint8_t)(1u << at % 8);
        }
        buffer_fini(&file);
    }
}

static void
append_chunk(struct buffer *png, const char *type, const uint8_t *data, size_t length)
{
    uint8_t size[4] = { (uint8_t)(length >> 24), (uint8_t)(length >> 16),
                        (uint8_t)(length >> 8), (uint8_t)length };
    uint32_t crc = UINT32_MAX;
    size_t from;

    assert_int_equal(buffer_append(png, size, 4), 0);
    from = png->length;
    assert_int_equal(buffer_append(png, type, 4), 0);
    assert_int_equal(buffer_append(png, data, length), 0);
    for (size_t i = from; i < png->length; i++) {
        crc ^= png->data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & (0 - (crc & 1)));
    }
    crc = ~crc;
    for (int shift = 24; shift >= 0; shift -= 8)
        assert_int_equal(buffer_append(png, &(uint8_t){ (uint8_t)(crc >> shift) }, 1), 0);
}

static void
append_header(struct buffer *png, uint32_t width, uint32_t height)
{
    uint8_t header[13] = { 0, 0, 0, 0, 0, 0, 0, 0, 8, 2 };

    for (unsigned i = 0; i < 4; i++) {
        header[i] = (uint8_t)(width >> (24 - 8 * i));
        header[4 + i] = (uint8_t)(height >> (24 - 8 * i));
    }
    assert_int_equal(buffer_append(png, "\x89PNG\r\n\x1a\n", 8), 0);
    append_chunk(png, "IHDR", header, sizeof header);
}

static void
test_png_of_too_many_pixels_is_refused_before_memory_is_taken(void **state)
{
    static const uint32_t sides[][2] = {
        { 100000, 100000 }, { 1, 100000 }, { 65535, 65535 }, { 8193, 8192 }, { 0, 1 },
    };
    struct buffer png;

    (void)state;
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        buffer_init(&png, PNG_BYTES_MAX);
        append_header(&png, sides[i][0], sides[i][1]);
        append_chunk(&png, "IDAT", (const uint8_t *)"x", 1);
        append_chunk(&png, "IEND", (const uint8_t *)"", 0);
        assert_refused(png.data, png.length);
        buffer_fini(&png);
    }
}

/* Far more pixels come out of IDAT than the header has room for: the rest is dropped by
 * the library or refused, and nowhere stored. */
static void
test_png_with_more_pixels_than_it_says_has_those_that_it_says(void **state)
{
    uint32_t side = 3000, width, height;
    uint8_t *row = calloc(side, 3);
    struct image *image = NULL;
    struct buffer large, png;
    int r;

    (void)state;
    assert_non_null(row);
    buffer_init(&large, PNG_BYTES_MAX);
    buffer_init(&png, PNG_BYTES_MAX);
    encode(&large, PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE, side, row);
    append_header(&png, 2, 2);
    assert_int_equal(buffer_append(&png, large.data + 33, large.length - 33), 0);
    r = image_decode(&image, buffer_slice(&png), NULL);
    if (r == 0) {
        image_size(image, &width, &height);
        assert_true(width == 2 && height == 2);
    } else {
        assert_int_equal(r, COMPARE_E_INVALID);
    }
    image_destroy(image);
    buffer_fini(&large);
    buffer_fini(&png);
    free(row);
}

/* Each scan goes over the whole picture: some kilobytes could keep a decoder busy for
 * hours. */
static void
test_jpeg_with_very_many_scans_is_refused(void **state)
{
    struct buffer file, many;
    size_t scan, end;

    (void)state;
    buffer_init(&file, SAMPLE_BYTES_MAX);
    buffer_init(&many, SAMPLE_BYTES_MAX);
    sample_read("tiny_progressive.jpg", &file);
    end = file.length - 2;
    for (scan = end - 1; file.data[scan] != 0xff || file.data[scan + 1] != 0xda; scan--)
        assert_true(scan > 0);
    assert_int_equal(buffer_append(&many, file.data, end), 0);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buffer_append(&many, file.data + scan, end - scan), 0);
    assert_int_equal(buffer_append(&many, "\xff\xd9", 2), 0);
    assert_refused(many.data, many.length);
    buffer_fini(&file);
    buffer_fini(&many);
}

static void
test_what_is_neither_png_nor_jpeg_is_refused(void **state)
{
    (void)state;
    assert_refused("", 0);
    assert_refused("GIF89a", 6);
    assert_refused("\x89PNG", 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_png_has_the_colours_that_it_shows),
        cmocka_unit_test(test_distance_is_the_one_that_matplotlib_calculates),
        cmocka_unit_test(test_changes_that_nobody_sees_are_not_counted),
        cmocka_unit_test(test_jpeg_shows_what_was_encoded),
        cmocka_unit_test(test_size_that_differs_is_told_and_nothing_else),
        cmocka_unit_test(test_difference_is_red_where_pictures_differ_and_grey_where_not),
        cmocka_unit_test(test_difference_of_unequal_sizes_holds_both),
        cmocka_unit_test(test_difference_that_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(test_file_that_ends_too_early_is_refused_wherever_it_ends),
        cmocka_unit_test(test_damage_never_does_more_than_a_refusal),
        cmocka_unit_test(test_png_of_too_many_pixels_is_refused_before_memory_is_taken),
        cmocka_unit_test(test_png_with_more_pixels_than_it_says_has_those_that_it_says),
        cmocka_unit_test(test_jpeg_with_very_many_scans_is_refused),
        cmocka_unit_test(test_what_is_neither_png_nor_jpeg_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

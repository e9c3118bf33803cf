/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/compare/base64.h"
#include "kernel/compare/compare.h"
#include "kernel/compare/difference.h"
#include "kernel/compare/image.h"
#include "kernel/compare/policies.h"
#include "kernel/compare/settings.h"
#include "protocol/error.h"

#define PERCENT 100

/* One side of the comparison. */
struct picture {
    struct buffer file; /* owned */
    struct image *image; /* owned */
    uint32_t width, height;
};

static int
open_picture(struct picture *ret, struct slice text, struct error *err)
{
    int r = base64_decode(text, &ret->file);

    if (r > 0)
        return error_set(err, COMPARE_E_INVALID, "this is not base64");
    if (r == 0)
        r = image_decode(&ret->image, buffer_slice(&ret->file), err);
    if (r == 0)
        image_size(ret->image, &ret->width, &ret->height);
    return r;
}

static void
close_picture(struct picture *picture)
{
    image_destroy(picture->image);
    buffer_fini(&picture->file);
}

static int
draw(json_t **ret, const struct image *expected, const struct image *actual)
{
    struct buffer drawn;
    int r;

    buffer_init(&drawn, COMPARE_MESSAGE_BYTES_MAX);
    r = image_draw_difference(expected, actual, &drawn);
    if (r == 0)
        r = base64_encode(ret, buffer_slice(&drawn));
    buffer_fini(&drawn);
    if (r > 0)
        *ret = json_null(); /* too large to be shown */
    return r < 0 ? r : 0;
}

/* Pictures of different size have no distance. */
static json_t *
measured(const struct image_distance *distance, double value)
{
    return distance->same_size ? json_real(value) : json_null();
}

static int
describe(json_t **ret, const struct policy *policy, const struct picture sides[2],
         const struct image_distance *distance)
{
    json_t *drawn = NULL, *expected = NULL, *actual = NULL;
    int r = draw(&drawn, sides[0].image, sides[1].image);

    if (r == 0)
        r = base64_encode(&expected, buffer_slice(&sides[0].file));
    if (r == 0)
        r = base64_encode(&actual, buffer_slice(&sides[1].file));
    if (r == 0) {
        *ret = json_pack(
            "{s:s, s:[I, I], s:[I, I], s:o, s:f, s:o, s:f, s:O, s:O, s:O}", "mime",
            policy->type, "expected_size", (json_int_t)sides[0].width,
            (json_int_t)sides[0].height, "actual_size", (json_int_t)sides[1].width,
            (json_int_t)sides[1].height, "rms", measured(distance, distance->rms),
            "rms_limit", policy->rms, "share", measured(distance, distance->share),
            "share_limit", policy->pixels, "expected", expected, "actual", actual,
            "difference", drawn);
        r = *ret == NULL ? -ENOMEM : 0;
    }
    json_decref(drawn);
    json_decref(expected);
    json_decref(actual);
    return r;
}

static int
compare(struct findings *findings, const struct policy *policy, json_int_t output,
        const struct picture sides[2])
{
    struct image_distance distance;
    struct difference difference;
    int r;

    image_compare(sides[0].image, sides[1].image, &distance);
    if (distance.same_size && distance.rms <= policy->rms &&
        distance.share <= policy->pixels)
        return 0;
    if (distance.same_size)
        difference_init(&difference, policy, output, "differs",
                        "%.3g RMS (limit %.3g), %.3g %% of the pixels differ visibly "
                        "(limit %.3g %%)",
                        distance.rms, policy->rms, PERCENT * distance.share,
                        PERCENT * policy->pixels);
    else
        difference_init(&difference, policy, output, "differs",
                        "%ux%u pixels instead of %ux%u", sides[1].width, sides[1].height,
                        sides[0].width, sides[0].height);
    r = describe(&difference.image, policy, sides, &distance);
    return r == 0 ? findings_add(findings, &difference) : r;
}

int
policy_compare_image(struct findings *findings, const struct policy *policy,
                     json_int_t output, struct slice expected, struct slice actual)
{
    const struct slice text[2] = { expected, actual };
    struct picture sides[2] = { { .image = NULL } };
    struct error err = { 0 };
    int r = 0, side = 0;

    if (expected.length == actual.length &&
        (expected.length == 0 || memcmp(expected.data, actual.data, actual.length) == 0))
        return 0;
    buffer_init(&sides[0].file, COMPARE_MESSAGE_BYTES_MAX);
    buffer_init(&sides[1].file, COMPARE_MESSAGE_BYTES_MAX);
    for (; r == 0 && side < 2; side++)
        r = open_picture(&sides[side], text[side], &err);
    if (r == 0)
        r = compare(findings, policy, output, sides);
    else if (r > 0)
        r = findings_add_invalid(findings, policy, output, side == 2, err.text);
    close_picture(&sides[0]);
    close_picture(&sides[1]);
    return r;
}

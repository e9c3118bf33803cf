/* SPDX-License-Identifier: MIT */
#include "contexts/marker.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
marker_scan_init(struct marker_scan *scan, const uint8_t nonce[FRAME_NONCE_BYTES])
{
    *scan = (struct marker_scan){ .data = malloc(MARKER_SCAN_BYTES) };
    if (scan->data == NULL)
        return -ENOMEM;
    memcpy(scan->nonce, nonce, sizeof scan->nonce);
    return 0;
}

void
marker_scan_fini(struct marker_scan *scan)
{
    free(scan->data);
    *scan = (struct marker_scan){ 0 };
}

size_t
marker_scan_room(struct marker_scan *scan, uint8_t **ret)
{
    if (scan->start > 0) {
        memmove(scan->data, scan->data + scan->start, scan->end - scan->start);
        scan->end -= scan->start;
        scan->start = 0;
    }
    *ret = scan->data + scan->end;
    return MARKER_SCAN_BYTES - scan->end;
}

void
marker_scan_add(struct marker_scan *scan, size_t length)
{
    assert(length <= MARKER_SCAN_BYTES - scan->end);
    scan->end += length;
}

/* How many bytes at the end of [AT, END) may be the start of a nonce. */
static size_t
begun(const struct marker_scan *scan, const uint8_t *at, const uint8_t *end)
{
    size_t length = (size_t)(end - at);

    if (length > FRAME_NONCE_BYTES - 1)
        length = FRAME_NONCE_BYTES - 1;
    while (length > 0 && memcmp(end - length, scan->nonce, length) != 0)
        length--;
    return length;
}

static struct slice
take(struct marker_scan *scan, const uint8_t *up_to)
{
    struct slice slice = { scan->data + scan->start, 0 };

    slice.length = (size_t)(up_to - slice.data);
    scan->start += slice.length;
    return slice;
}

/* Markers of small frames stand one behind the other: there the search is a comparison.
 */
static const uint8_t *
find(const struct marker_scan *scan, const uint8_t *at, const uint8_t *end)
{
    size_t length = (size_t)(end - at);

    if (length >= FRAME_NONCE_BYTES && memcmp(at, scan->nonce, FRAME_NONCE_BYTES) == 0)
        return at;
    return memmem(at, length, scan->nonce, FRAME_NONCE_BYTES);
}

struct slice
marker_scan_take(struct marker_scan *scan, uint64_t next)
{
    const uint8_t *end = scan->data + scan->end, *search = scan->data + scan->start;

    while (scan->met < next) {
        const uint8_t *hit = find(scan, search, end);
        uint64_t number;

        if (hit == NULL)
            return take(scan, end - begun(scan, search, end));
        if (end - hit < FRAME_MARKER_BYTES)
            return take(scan, hit);
        number = frame_marker_sequence(hit);
        if (number <= scan->met || number > next) {
            search = hit + 1;
            continue;
        }
        if (hit > scan->data + scan->start)
            return take(scan, hit); /* the marker itself is met by the next call */
        scan->met = number;
        scan->start += FRAME_MARKER_BYTES;
        search = scan->data + scan->start;
    }
    return (struct slice){ scan->data + scan->start, 0 };
}

struct slice
marker_scan_rest(struct marker_scan *scan)
{
    return take(scan, scan->data + scan->end);
}

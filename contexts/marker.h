/* SPDX-License-Identifier: MIT */
/*
 * marker - finds a runner's output markers in the bytes of one pipe
 *
 * A marker counts when its number is one that is expected: later than the last one that
 * was met, and not later than the next frame's. Anything else that looks like a marker is
 * plain text, for user code may write what it likes. No fds here.
 */
#ifndef CONTEXTS_MARKER_H
#define CONTEXTS_MARKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/frame.h"

#define MARKER_SCAN_BYTES ((size_t)64 * 1024)

/* Open, plain data but for DATA. */
struct marker_scan {
    uint8_t nonce[FRAME_NONCE_BYTES];
    uint64_t met; /* number of the last marker that was met, 0: none */
    uint8_t *data; /* owned: MARKER_SCAN_BYTES */
    size_t start, end; /* bytes that were added and not yet taken */
};

/* 0 or -ENOMEM. */
int marker_scan_init(struct marker_scan *scan, const uint8_t nonce[FRAME_NONCE_BYTES]);
void marker_scan_fini(struct marker_scan *scan);

/* Where to read to, and how many bytes at most (never 0 once marker_scan_take has been
 * called until it gave nothing). */
size_t marker_scan_room(struct marker_scan *scan, uint8_t **ret);
void marker_scan_add(struct marker_scan *scan, size_t length);

/* Takes the next run of plain bytes in front of the marker NEXT, which is the one of the
 * next frame; borrowed until marker_scan_room. Empty: the marker was met (met == NEXT),
 * or more bytes are needed. After marker NEXT was met, takes nothing until NEXT grows. */
struct slice marker_scan_take(struct marker_scan *scan, uint64_t next);

/* No more bytes will come: takes what waits for the rest of a marker. */
struct slice marker_scan_rest(struct marker_scan *scan);

#endif

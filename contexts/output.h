/* SPDX-License-Identifier: MIT */
/*
 * output - what comes from one child, in the program's order
 *
 * Reads the channel and the two output pipes together. Frame k passes when its marker was
 * met in both pipes; bytes in front of marker k pass when frame k - 1 has. Does a bounded
 * amount of work in each turn of the loop.
 */
#ifndef CONTEXTS_OUTPUT_H
#define CONTEXTS_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/frame.h"

struct channel;
struct error;
struct loop;
struct output; /* opaque */

/* Each returns 0, or < 0 to stop the loop. None may destroy the output. */
struct output_observer {
    /* Bytes that were written to a pipe: any bytes, cut anywhere. */
    int (*on_text)(bool is_stderr, struct slice bytes, void *arg);
    /* A frame that the table of frame.c allows. > 0: no more frames. */
    int (*on_frame)(const struct frame *frame, void *arg);
    /* No frame will come any more: the channel was closed or, with ERR, has brought what
     * is no frame. Called once. */
    int (*on_closed)(const struct error *err, void *arg);
};

/* Read ends of the child's stdout and stderr, and our end of its channel. */
struct output_fds {
    int out, err, channel;
};

/* Takes FDS, whatever it returns, and begins to read. OBSERVER is borrowed. */
int output_create(struct output **ret, struct loop *loop, const struct output_fds *fds,
                  const uint8_t nonce[FRAME_NONCE_BYTES],
                  const struct output_observer *observer, void *arg);
void output_destroy(struct output *output); /* NULL is allowed */

/* For sending. Borrowed. */
struct channel *output_channel(struct output *output);

/* While not reading, the child is slowed: its pipes and its channel fill. */
int output_set_reading(struct output *output, bool reading);

/* The child is dead: passes on what it left, FRAMES too if asked for, up to a bound, read
 * or not. Not to be called from a callback. */
int output_drain(struct output *output, bool frames);

/* Frames that passed though a marker of theirs was not there: 0 for an honest runner. */
uint64_t output_missed(const struct output *output);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Owns the channel and the pipes of one child. Does not know requests: whose text it is,
 * and whether a frame is legal, is its observer's business.
 *
 * A pipe that is ahead (its next marker was met, the frame has not come) is not read; the
 * other pipe and the channel are, so the runner cannot be stuck between them.
 *
 * Each source reads what it was woken for and no more, and nothing is read again only to
 * see that it is empty. A program that prints one small piece after another would still
 * cost a wake-up for each, and pay for it itself: so after CHATTER_PIECES of them we rest
 * for a moment after each look, and find many at once.
 */
#include "contexts/output.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "contexts/channel.h"
#include "contexts/loop.h"
#include "contexts/marker.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define KIB ((size_t)1024)
#define CHANNEL_BYTES_A_TURN (1024 * KIB)
#define PIPE_BYTES_A_TURN (128 * KIB)

/* More than a pipe can hold (fs.pipe-max-size): a marker written before its frame was
 * sent is found within so many bytes, or never. */
#define PIPE_BYTES_MAX (1024 * KIB + MARKER_SCAN_BYTES)

/* Small pieces of text in a row; then how long we rest. It must not hold up a program
 * that writes much: the pieces of a rest have room in pipe and socket. */
#define CHATTER_PIECES 64
#define CHATTER_BYTES 512
#define CHATTER_REST_US 1000

#define DRAIN_BYTES (16 * 1024 * KIB) /* of frames: more than a socket holds */

struct pipe {
    struct output *output; /* borrowed */
    int fd; /* owned; -1: at its end */
    bool is_stderr;
    struct loop_source *source; /* owned; NULL: not read now */
    uint64_t emptied_us; /* the turn in which it was found empty */
    struct marker_scan scan;
};

struct output {
    struct loop *loop; /* borrowed */
    struct channel *channel; /* owned */
    struct pipe pipes[2];
    uint64_t next; /* sequence number of the next frame */
    uint64_t missed;
    bool reading;
    bool closed; /* no more frames */
    bool busy; /* inside a callback or drain: they update the sources at their end */
    enum frame_type told; /* of the frame that passed last */
    unsigned chatter; /* small pieces of text since anything else */
    struct loop_timer *rest; /* owned */
    bool resting;
    const struct output_observer *observer; /* borrowed */
    void *arg;
};

CLEANUP_DEFINE(struct output, output_destroy);

static loop_fd_fn on_pipe_readable;
static channel_readable_fn on_channel_readable;

static bool
pipe_is_ahead(const struct pipe *pipe)
{
    return pipe->scan.met == pipe->output->next;
}

static bool
is_listening(const struct output *output)
{
    return output->reading && !output->resting;
}

static int
pipe_update(struct pipe *pipe)
{
    struct output *output = pipe->output;

    if (!is_listening(output) || pipe->fd < 0) {
        loop_source_destroy(pipe->source);
        pipe->source = NULL;
        return 0;
    }
    if (pipe->source != NULL || pipe_is_ahead(pipe))
        return 0;
    return loop_add_fd(&pipe->source, output->loop, pipe->fd, EPOLLIN, on_pipe_readable,
                       pipe);
}

static int
update(struct output *output)
{
    int r = channel_set_reading(output->channel, is_listening(output) && !output->closed);

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(output->pipes); i++)
        r = pipe_update(&output->pipes[i]);
    return r;
}

static int
on_rested(void *arg)
{
    struct output *output = arg;

    output->resting = false;
    return update(output);
}

static void
note_text(struct output *output, size_t bytes)
{
    output->chatter = bytes < CHATTER_BYTES ? output->chatter + 1 : 0;
}

/* At the end of whatever reads. */
static int
settle(struct output *output)
{
    if (output->chatter >= CHATTER_PIECES && output->reading && !output->resting) {
        output->resting = true;
        loop_timer_arm(output->rest, CHATTER_REST_US);
    }
    return update(output);
}

static void
pipe_end(struct pipe *pipe)
{
    if (pipe->fd < 0)
        return;
    loop_source_destroy(pipe->source);
    pipe->source = NULL;
    close(pipe->fd);
    pipe->fd = -1;
}

int
output_create(struct output **ret, struct loop *loop, const struct output_fds *fds,
              const uint8_t nonce[FRAME_NONCE_BYTES],
              const struct output_observer *observer, void *arg)
{
    CLEANUP(close_fdp) int channel = fds->channel;
    CLEANUP(output_destroyp) struct output *output = malloc(sizeof *output);
    int r;

    if (output == NULL) {
        close(fds->out);
        close(fds->err);
        return -ENOMEM;
    }
    *output = (struct output){
        .loop = loop, .next = 1, .reading = true, .observer = observer, .arg = arg
    };
    output->pipes[0] = (struct pipe){ .output = output, .fd = fds->out };
    output->pipes[1] =
        (struct pipe){ .output = output, .fd = fds->err, .is_stderr = true };
    r = channel_create(&output->channel, loop, channel, on_channel_readable, output);
    if (r < 0)
        return r;
    channel = -1;
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(output->pipes); i++)
        r = marker_scan_init(&output->pipes[i].scan, nonce);
    if (r == 0)
        r = loop_add_timer(&output->rest, loop, on_rested, output);
    if (r == 0)
        r = update(output);
    if (r < 0)
        return r;

    *ret = output;
    output = NULL;
    return 0;
}

void
output_destroy(struct output *output)
{
    if (output == NULL)
        return;
    for (size_t i = 0; i < N_ELEMENTS(output->pipes); i++) {
        pipe_end(&output->pipes[i]);
        marker_scan_fini(&output->pipes[i].scan);
    }
    channel_destroy(output->channel);
    loop_timer_destroy(output->rest);
    free(output);
}

struct channel *
output_channel(struct output *output)
{
    return output->channel;
}

uint64_t
output_missed(const struct output *output)
{
    return output->missed;
}

static int
pipe_tell(struct pipe *pipe, struct slice bytes)
{
    struct output *output = pipe->output;

    if (bytes.length == 0)
        return 0;
    note_text(output, bytes.length);
    return output->observer->on_text(pipe->is_stderr, bytes, output->arg);
}

/* Passes on what was read and may go. */
static int
pipe_pass(struct pipe *pipe)
{
    struct slice bytes;
    int r;

    do {
        bytes = marker_scan_take(&pipe->scan, pipe->output->next);
        r = pipe_tell(pipe, bytes);
    } while (r == 0 && bytes.length > 0);
    return r;
}

/* Reads once: how many bytes came, 0: none now (or none any more), < 0. A read that is
 * not filled has emptied the pipe; who writes last of all is read to the end for certain.
 */
static ssize_t
pipe_fill(struct pipe *pipe)
{
    uint8_t *to;
    size_t room = marker_scan_room(&pipe->scan, &to);
    ssize_t n;

    if (pipe->fd < 0)
        return 0;
    n = read(pipe->fd, to, room);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return -errno;
    if (n == 0) {
        pipe_end(pipe);
        return pipe_tell(pipe, marker_scan_rest(&pipe->scan));
    }
    if (n < 0 || ((size_t)n < room && !pipe->output->closed))
        pipe->emptied_us = loop_now_us(pipe->output->loop);
    if (n < 0)
        return 0;
    marker_scan_add(&pipe->scan, (size_t)n);
    return n;
}

/* Passes on what comes up to the next marker, reading BOUND bytes or a few more; lowers
 * *BUDGET by what was read. 0 or < 0. */
static int
pipe_read(struct pipe *pipe, size_t bound, size_t *budget)
{
    pipe->emptied_us = 0;
    for (;;) {
        ssize_t n;
        int r = pipe_pass(pipe);

        if (r < 0)
            return r;
        if (pipe_is_ahead(pipe) || bound == 0 || pipe->emptied_us != 0)
            return 0;
        n = pipe_fill(pipe);
        if (n <= 0)
            return (int)n;
        bound -= (size_t)n < bound ? (size_t)n : bound;
        *budget -= (size_t)n < *budget ? (size_t)n : *budget;
    }
}

/* Lets everything out that the program wrote before it sent the frame that has come. */
static int
reach_markers(struct output *output, size_t *budget)
{
    bool missed = false;
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(output->pipes); i++) {
        r = pipe_read(&output->pipes[i], PIPE_BYTES_MAX, budget);
        missed |= !pipe_is_ahead(&output->pipes[i]);
    }
    output->missed += missed;
    return r;
}

static int
end_frames(struct output *output, const struct error *err)
{
    output->closed = true;
    return output->observer->on_closed(err, output->arg);
}

static int
tell_frame(struct output *output, const struct frame *frame)
{
    int r;

    if (frame->type == FRAME_STREAM)
        note_text(output, frame->buffers[0].length);
    else
        output->chatter = 0;
    output->told = frame->type;
    r = output->observer->on_frame(frame, output->arg);
    if (r > 0)
        output->closed = true;
    return r > 0 ? CHANNEL_E_AGAIN : r;
}

/* The next frame, if there is one. 0; CHANNEL_E_AGAIN: none, or none any more; < 0. */
static int
pass_frame(struct output *output, size_t *budget)
{
    struct error err = { 0 };
    struct frame frame;
    int r = channel_next(output->channel, budget, &frame, &err);

    if (r == CHANNEL_E_CLOSED || r == CHANNEL_E_ILLEGAL) {
        r = end_frames(output, r == CHANNEL_E_CLOSED ? NULL : &err);
        return r < 0 ? r : CHANNEL_E_AGAIN;
    }
    if (r != 0)
        return r;
    if (frame.sequence != output->next) {
        error_set(&err, CHANNEL_E_ILLEGAL, "%s frame out of sequence",
                  frame_type_name(frame.type));
        r = end_frames(output, &err);
        return r < 0 ? r : CHANNEL_E_AGAIN;
    }
    r = reach_markers(output, budget);
    if (r < 0)
        return r;
    output->next++;
    return tell_frame(output, &frame);
}

/* Up to a reply, because behind it there is nothing before the next request. Then text
 * that was read before may go, too. */
static int
pass_frames(struct output *output)
{
    size_t budget = CHANNEL_BYTES_A_TURN;
    int r = 0;

    output->busy = true;
    output->told = FRAME_TYPE_END;
    while (r == 0 && output->reading && !output->closed && output->told != FRAME_REPLY)
        r = pass_frame(output, &budget);
    for (size_t i = 0; r >= 0 && i < N_ELEMENTS(output->pipes); i++)
        r = pipe_pass(&output->pipes[i]);
    output->busy = false;
    return r;
}

static int
on_channel_readable(void *arg)
{
    struct output *output = arg;
    int r = pass_frames(output);

    return r < 0 ? r : settle(output);
}

/* A pipe that is ahead is mostly empty, and the frame is on its way: only if it becomes
 * readable meanwhile is it worth the system calls to leave it alone. */
static int
wait_for_frame(struct pipe *pipe)
{
    uint64_t next = pipe->output->next;
    int r = pass_frames(pipe->output);

    if (r == 0 && pipe->output->next == next) {
        loop_source_destroy(pipe->source);
        pipe->source = NULL;
    }
    return r;
}

static int
on_pipe_readable(int fd, uint32_t events, void *arg)
{
    struct pipe *pipe = arg;
    struct output *output = pipe->output;
    size_t budget = PIPE_BYTES_A_TURN;
    int r;

    (void)fd, (void)events;
    if (pipe->emptied_us == loop_now_us(output->loop))
        return 0; /* for a frame, in this turn */
    if (pipe_is_ahead(pipe)) {
        r = wait_for_frame(pipe);
    } else {
        output->busy = true;
        r = pipe_read(pipe, budget, &budget);
        output->busy = false;
    }
    return r < 0 ? r : settle(output);
}

int
output_set_reading(struct output *output, bool reading)
{
    output->reading = reading;
    return output->busy ? 0 : update(output);
}

int
output_drain(struct output *output, bool frames)
{
    size_t budget = DRAIN_BYTES;
    int r = 0;

    loop_timer_disarm(output->rest);
    output->resting = false;
    output->busy = true;
    while (r == 0 && frames && !output->closed)
        r = pass_frame(output, &budget);
    output->closed = true;
    output->next = UINT64_MAX; /* markers of frames that never came are markers still */
    for (size_t i = 0; r >= 0 && i < N_ELEMENTS(output->pipes); i++) {
        r = pipe_read(&output->pipes[i], PIPE_BYTES_MAX, &budget);
        if (r >= 0)
            r = pipe_tell(&output->pipes[i], marker_scan_rest(&output->pipes[i].scan));
    }
    output->busy = false;
    return r < 0 ? r : update(output);
}

/* SPDX-License-Identifier: MIT */
/*
 * bridge - a runner whose interpreter is a Jupyter kernel
 *
 * Frames of the server become messages of a Jupyter client, and the kernel's messages
 * become frames. One request at a time is under way; it is answered exactly once,
 * whatever the kernel sends or leaves out.
 */
#ifndef RUNTIMES_JUPYTER_BRIDGE_H
#define RUNTIMES_JUPYTER_BRIDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/frame.h"
#include "runtimes/jupyter/kernel.h"

#define BRIDGE_TAKE_MS 5000 /* until a kernel has begun with what is no execution */
#define BRIDGE_SETTLE_MS 2000 /* of silence, when one of reply and idle is missing */
#define BRIDGE_INPUT_MS                                                                  \
    10 /* of silence before a question: its prompt's text is first                       \
        */
#define BRIDGE_BEGIN_MS 250 /* until a run that was announced has surely begun */

struct error;
struct kernel_json;
struct message;
struct runner;

/* The request under way; type 0: none. Ends are reached in any order. */
struct bridge_request {
    enum frame_type type;
    uint64_t number;
    uint32_t execution_count;
    bool allow_stdin;
    bool busy; /* the kernel has said so */
    bool begun; /* user code may run: an interrupt finds it */
    bool idle;
    bool answered; /* REPLY is the content that came; empty: none */
    bool error_told, drop_told;
    bool wants_interrupt, was_interrupted;
    bool input_is_open; /* the server was asked */
    struct buffer reply; /* owned */
    struct buffer input; /* owned: content of a question that is still to be asked */
    struct buffer input_header; /* owned: of the question */
    int64_t begin_ms, settle_ms, ask_ms; /* when to look again, 0: never */
};

/* Open within the bridge. */
struct bridge {
    struct runner *runner; /* owned */
    const struct kernel_json *spec; /* borrowed */
    struct kernel kernel; /* owned */
    struct bridge_request request;
    uint64_t last_number; /* of a request so far */
    bool interrupt_waits; /* it came before the request that it is for */
    bool ended; /* nobody is there any more to talk to */
    int signals; /* owned: a signalfd of SIGINT */
};

/* Both: 0 or < 0, the server is gone. */
int bridge_on_frame(struct bridge *bridge, const struct frame *frame, struct error *err);
int bridge_on_message(struct bridge *bridge, int channel, const struct message *message,
                      struct error *err);

/* A message that could not be read: says so in the run's stderr, once. */
int bridge_on_drop(struct bridge *bridge, const char *why, struct error *err);

int bridge_on_interrupt(struct bridge *bridge, struct error *err);

/* What is due by now. RET_MS: how long to wait for what is next, -1: nothing is. */
int bridge_on_time(struct bridge *bridge, int64_t *ret_ms, struct error *err);

/* Sends FRAME as the request's of NUMBER. A frame that is too large is left out. While
 * the server does not read, the kernel is stopped. */
int bridge_send(struct bridge *bridge, struct frame *frame, struct error *err);
int bridge_send_text(struct bridge *bridge, uint64_t number, bool is_stderr,
                     struct slice text, struct error *err);

/* Answers the request under way. */
int bridge_finish(struct bridge *bridge, struct error *err);

/* Answers if all that belongs to the request has come. */
int bridge_finish_if_whole(struct bridge *bridge, struct error *err);

#endif

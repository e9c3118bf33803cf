/* SPDX-License-Identifier: MIT */
/*
 * link - the runner's conversation with the server, beside the thread that runs
 * JavaScript
 *
 * A thread of its own reads the channel and takes SIGINT, so that both work while user
 * code keeps the main thread busy. What is sent is sent by the main thread, at once.
 *
 * User code runs between link_enter and link_leave, on the main thread and in the event
 * loop. An interrupt in that time posts LINK_STOPPED, from which whoever entered learns
 * it. The JavaScript that runs is unwound before; where it is sheltered only if it takes
 * long, for it may be what others have started, and that goes on. What the stopped code
 * has left in Node's queues runs from then on, as soon as it can: after link_drain it is
 * user code like any other, and stopped in turn if it takes long.
 */
#ifndef RUNTIMES_NODE_EXT_LINK_H
#define RUNTIMES_NODE_EXT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/frame.h"

struct buffer;
struct error;
struct link; /* opaque */

enum link_event_kind {
    LINK_REQUEST, /* a frame of the server's: to be answered */
    LINK_STOPPED, /* user code was stopped; see STOP */
    LINK_DRAINED, /* what it had left has run */
    LINK_CLOSED /* the server is gone, or wants the runner to end */
};

/* Why user code was stopped. */
enum link_stop { LINK_STOP_NONE, LINK_STOP_INTERRUPT, LINK_STOP_EXIT, LINK_STOP_HEAP };

/* Owned by who receives it; freed with free. */
struct link_event {
    enum link_event_kind kind;
    enum frame_type type; /* of a request; its texts follow one another in TEXTS */
    uint64_t number;
    uint32_t execution_count;
    uint64_t entry; /* of what was stopped or drained: which link_enter it is about */
    size_t header_bytes, metadata_bytes, content_bytes;
    char texts[];
};

/* Hands EVENT over to the main thread. From any thread; takes EVENT. */
typedef void link_post_fn(struct link_event *event, void *arg);

/* Takes fd 3 and appends the configure frame's content. 0 or < 0. */
int link_create(struct link **ret, struct buffer *configure, struct error *err);

/* Starts the thread. LINK lives as long as the process. */
int link_start(struct link *link, link_post_fn *post, void *arg, struct error *err);

/* As runner_send. A reply ends its request: interrupts from then on are late. */
int link_send(struct link *link, struct frame *frame, struct error *err);

/* The main thread takes up a request. Until then an interrupt stops what keeps it from
 * that: what earlier requests have left, such as timers. */
void link_begin(struct link *link);

/* User code begins. False: not at all, an interrupt was here first. */
bool link_enter(struct link *link);

/* User code has ended; says what has stopped it since link_enter. */
enum link_stop link_leave(struct link *link);

/* As link_leave, for what EVENT, a LINK_STOPPED, is about; LINK_STOP_NONE: that has been
 * left already. */
enum link_stop link_stopped(struct link *link, const struct link_event *event);

/* After link_stopped: what is left of the stopped code begins, and LINK_DRAINED follows
 * it; or another LINK_STOPPED, if that took too long or was interrupted. */
void link_drain(struct link *link);

/* As link_leave, for what EVENT, a LINK_DRAINED, is about. False: it was stopped. */
bool link_drained(struct link *link, const struct link_event *event);

/* Whether the user code that runs has been stopped. If so, it is unwound at once.
 * IS_COMING: a child has died of an interrupt, whose signal may be with a thread that has
 * no processor yet; it is waited for, but not for long. */
bool link_obey(struct link *link, bool is_coming);

/* Stops the user code that runs, from within. False: none has been entered. */
bool link_stop(struct link *link, enum link_stop why);

/* Sends CONTENT as an input request and waits for the answer's content (malloc'd, owned
 * by the caller); NULL: there is none, for an interrupt or the server's end. 0 or as
 * runner_send. */
int link_ask(struct link *link, uint64_t number, struct slice content, char **ret,
             size_t *ret_length, struct error *err);

/* Makes SIGINT the link's and fds 1 and 2 the pipes, if user code has changed that. */
void link_restore(struct link *link);

#endif

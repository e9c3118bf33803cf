/* SPDX-License-Identifier: MIT */
/*
 * runner - a runner's end of the channel, for runners written in C or with a C part
 *
 * libc only. Frames are never cut short by a signal: a send that began is finished. One
 * lock covers markers and frame, so that threads may send at the same time. After a fork
 * of user code the child must not send: runner_send answers -EPERM there.
 */
#ifndef RUNTIMES_LIB_RUNNER_H
#define RUNTIMES_LIB_RUNNER_H

#include <stdint.h>

#include "protocol/frame.h"

struct error;
struct runner; /* opaque */

#define RUNNER_CHANNEL_FD 3
#define RUNNER_PRIVATE_FD_MIN 100 /* private duplicates are at or above this */

/* Moves fd 3 out of user code's way (CLOEXEC, >= RUNNER_PRIVATE_FD_MIN), duplicates the
 * pipes at fds 1 and 2 likewise, and reads the configure frame, whose nonce it keeps.
 * CONFIGURE, if not NULL, gets the frame's content (appended). 0 or < 0. */
int runner_create(struct runner **ret, struct buffer *configure, struct error *err);
void runner_destroy(struct runner *runner);

/* Sends markers and FRAME (its sequence is filled in). 0; FRAME_E_ILLEGAL or
 * FRAME_E_TOO_LARGE when FRAME breaks the table: nothing was sent; < 0: channel lost. */
int runner_send(struct runner *runner, struct frame *frame, struct error *err);

/* A runner without a server, so that a program can run its own loop before there is one:
 * what it sends can be read from *RET_PEER, a socket that the caller owns, and it writes
 * no markers. fds 0 to 3 are left as they are. 0 or < 0. */
int runner_create_rehearsal(struct runner **ret, int *ret_peer, struct error *err);

/* Sends FRAME, one packet in all, to the runner of PEER, as its server would. */
int runner_rehearse(int peer, const struct frame *frame, struct error *err);

enum { RUNNER_E_CLOSED = 1, RUNNER_E_INTERRUPTED };

/* Waits for the next frame; its parts are borrowed until the next call. Returns
 * RUNNER_E_INTERRUPTED when a signal came while nothing had arrived, RUNNER_E_CLOSED when
 * the server is gone. */
int runner_receive(struct runner *runner, struct frame *ret, struct error *err);

/* True in the process that made the runner, false in its forks. */
bool runner_is_owner(const struct runner *runner);

/* The channel, to be polled beside other fds: readable means that runner_receive has
 * something to read. Borrowed. */
int runner_fd(const struct runner *runner);

/* Puts the pipes back on fds 1 and 2 if user code closed or replaced them. */
void runner_restore_output(struct runner *runner);

#endif

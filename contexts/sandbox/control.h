/* SPDX-License-Identifier: MIT */
/*
 * control - what the server and a context's init say to each other
 *
 * A SOCK_SEQPACKET pair that user code never sees. Each message is one packet of exactly
 * CONTROL_BYTES, encoded field by field. When the server's end closes, init kills
 * everything and ends; that is how a context is killed, and why nothing can outlive the
 * server. The first report is STARTED or FAILED. An init that ends with a command
 * unread makes the next read fail once with ECONNRESET: read again, its report is there.
 */
#ifndef CONTEXTS_SANDBOX_CONTROL_H
#define CONTEXTS_SANDBOX_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define CONTROL_BYTES 192
#define CONTROL_STEP_BYTES 96

enum control_report_kind {
    CONTROL_STARTED = 1, /* confined, and the runner goes on as a program of its own; PID.
                            A zygote's has SANDBOX_NAMESPACE_COUNT fds with it */
    CONTROL_FAILED, /* STEP failed with ERROR; user code has not run; init ends */
    CONTROL_EXITED /* the runner ended: PID, STATUS, usage; init stays */
};

struct control_report {
    enum control_report_kind kind;
    int32_t pid; /* of the runner, inside */
    int32_t status; /* EXITED: as waitpid gives it */
    int32_t error; /* FAILED: errno */
    char step[CONTROL_STEP_BYTES]; /* FAILED: name of the step and its object */
    uint64_t user_us,
        system_us; /* EXITED: CPU time of the runner and its waited children */
    uint64_t peak_bytes; /* EXITED: largest resident set of the runner */
};

enum control_command_kind {
    CONTROL_SIGNAL = 1, /* send SIGNAL to the runner's process group */
    CONTROL_KILL_ALL /* SIGKILL to every process but init */
};

struct control_command {
    enum control_command_kind kind;
    int32_t signal;
};

void control_report_encode(uint8_t ret[CONTROL_BYTES],
                           const struct control_report *report);
void control_command_encode(uint8_t ret[CONTROL_BYTES],
                            const struct control_command *command);

/* False: not a message. */
bool control_report_decode(struct control_report *ret, struct slice data);
bool control_command_decode(struct control_command *ret, struct slice data);

#endif

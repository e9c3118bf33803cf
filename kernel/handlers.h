/* SPDX-License-Identifier: MIT */
/*
 * handlers - the functions that the table in dispatch.c names, by subject
 */
#ifndef KERNEL_HANDLERS_H
#define KERNEL_HANDLERS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/dispatch.h"
#include "protocol/buffer.h"

struct context_reason;
struct frame;
struct loss;

/* execute.c */
handler_fn handle_execute;
handler_done_fn done_execute;
int execute_started(struct kernel *kernel, struct parent *parent, uint32_t count);

/* The interpreter ended while the run was on, or could not be started for it. */
bool execute_is_lost(const struct kernel *kernel, const struct context_outcome *outcome);

/* Publishes that; RET is the caller's to fini, whatever the result. 0 or < 0. */
int execute_tell_loss(struct kernel *kernel, const struct parent *parent,
                      const struct context_outcome *outcome, struct loss *ret);

/* The text/plain of an execute_result goes into the history. */
int execute_note_result(struct kernel *kernel, const struct frame *frame);

/* introspection.c */
handler_fn handle_complete, handle_inspect, handle_is_complete;
handler_done_fn done_complete, done_inspect, done_is_complete;

/* comm.c */
handler_fn handle_comm_open, handle_comm_msg, handle_comm_close, handle_comm_info;
handler_done_fn done_comm;

/* A comm frame of the interpreter: keeps the table of open comms. */
int comm_note_frame(struct kernel *kernel, const struct frame *frame);

/* Tells clients that all comms are closed: their other end is lost. */
int comm_close_all(struct kernel *kernel);

/* info.c */
handler_fn handle_kernel_info, handle_connect, handle_usage, handle_history;

/* control.c */
handler_fn handle_interrupt, handle_shutdown, handle_unsupported;

/* stdin.c */
int stdin_ask(struct kernel *kernel, const struct frame *frame);
int stdin_ask_again(void *arg); /* a callback of the loop: the kernel */
int stdin_receive(struct kernel *kernel, struct message *message);

/* loss.c: what clients are told when an interpreter ends. */
struct loss {
    const char *name; /* ename */
    struct buffer value; /* owned: evalue, plain text */
    struct buffer traceback; /* owned: a JSON array of lines */
    struct buffer metadata; /* owned: of the error message */
};

/* What follows the end of an interpreter, beside its successor. */
enum loss_outlook { LOSS_GOES_ON, LOSS_ENDS_ALL, LOSS_AT_SHUTDOWN, LOSS_DELETED };

enum loss_outlook loss_outlook_of(const struct kernel *kernel);

/* NEXT_EPOCH: of the interpreter that follows at once; 0: none does. 0 or < 0. */
int loss_init(struct loss *ret, enum loss_outlook outlook,
              const struct context_reason *reason, uint64_t next_epoch);
void loss_fini(struct loss *loss);

/* Appends the members ename, evalue and traceback, without braces. */
int loss_append(const struct loss *loss, struct buffer *ret);

/* Publishes it as an error message under PARENT_HEADER. */
int loss_publish(struct kernel *kernel, const struct loss *loss,
                 struct slice parent_header);

/* metadata.c */
int metadata_append(struct buffer *ret, const struct kernel *kernel,
                    const struct context_outcome *outcome, const char *status);

int metadata_append_reason(struct buffer *ret, const struct context_reason *reason);

/* Appends the metadata of an error message: why the platform, not the code, has ended a
 * run. */
int metadata_append_error(struct buffer *ret, const struct context_reason *reason);

#endif

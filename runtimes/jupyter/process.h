/* SPDX-License-Identifier: MIT */
/*
 * process - a kernel's process, and the folder with its connection file and sockets
 */
#ifndef RUNTIMES_JUPYTER_PROCESS_H
#define RUNTIMES_JUPYTER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#define PROCESS_KEY_BYTES 65 /* of the key for signatures: hexadecimal, with its NUL */
#define PROCESS_PATH_BYTES 80 /* of an ipc socket, with its NUL: libzmq allows 107 */

enum process_socket {
    PROCESS_SHELL,
    PROCESS_IOPUB,
    PROCESS_STDIN,
    PROCESS_CONTROL,
    PROCESS_HEARTBEAT,
    PROCESS_SOCKETS
};

struct error;
struct kernel_json;
struct outputs;
struct process; /* opaque */

/* Starts SPEC's kernel (borrowed) in a session of its own. SESSION: the notebook's, or
 * NULL. It ends when this process's thread does. */
int process_create(struct process **ret, const struct kernel_json *spec,
                   const char *session, struct error *err);

/* Kills the kernel's process group, reaps it and removes the folder. NULL is allowed. */
void process_destroy(struct process *process);
void process_destroyp(struct process **process);

/* Readable when the process has ended. Borrowed. */
int process_fd(const struct process *process);

/* True when it has ended; RET_STATUS as waitpid's. */
bool process_has_ended(struct process *process, int *ret_status);

/* To its process group. */
void process_signal(const struct process *process, int signal);

/* What it writes to its fds 1 and 2. Borrowed. */
struct outputs *process_outputs(const struct process *process);

/* Passes these on. */
void process_pass_output(struct process *process);

/* It has started: see outputs_judge. */
void process_judge_output(struct process *process);

const char *process_key(const struct process *process);

/* True when the kernel has made SOCKET, or may have: RET is where to connect to. */
bool process_endpoint(const struct process *process, enum process_socket socket,
                      char *ret, size_t size);

#endif

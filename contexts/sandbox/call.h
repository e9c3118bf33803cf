/* SPDX-License-Identifier: MIT */
/*
 * call - what init asks of a zygote: one packet and its fds (internal to this folder)
 */
#ifndef CONTEXTS_SANDBOX_CALL_H
#define CONTEXTS_SANDBOX_CALL_H

#include <stdbool.h>
#include <sys/types.h>

#include "contexts/sandbox/sandbox.h"
#include "contexts/sandbox/spec.h"

/* In the order in which they are entered: the rights to the others come with the first.
 */
enum sandbox_call_namespace {
    SANDBOX_CALL_USER, /* in which init built */
    SANDBOX_CALL_MOUNT,
    SANDBOX_CALL_PID,
    SANDBOX_CALL_IPC,
    SANDBOX_CALL_UTS,
    SANDBOX_CALL_CGROUP,
    SANDBOX_CALL_NETWORK,
    SANDBOX_CALL_INNER_USER, /* an ordinary user's second one; not with own ids */
    SANDBOX_CALL_NAMESPACE_COUNT
};

extern const struct sandbox_call_entry {
    int type; /* CLONE_NEW* */
    const char *path; /* init's own */
} sandbox_call_entries[SANDBOX_CALL_NAMESPACE_COUNT];

enum sandbox_call_fd { /* behind SANDBOX_STDIN to SANDBOX_CHANNEL */
                       SANDBOX_CALL_STATUS = SANDBOX_CHANNEL +
                           1, /* as work->status in the runner */
                       SANDBOX_CALL_NAMESPACES, /* the first of them */
                       SANDBOX_CALL_FD_COUNT = SANDBOX_CALL_NAMESPACES +
                           SANDBOX_CALL_NAMESPACE_COUNT + CGROUP_HIERARCHIES_MAX
};

#define SANDBOX_CALL_HEAD_BYTES 4
#define SANDBOX_CALL_BYTES_MAX (SANDBOX_CALL_HEAD_BYTES + SANDBOX_SPEC_BYTES_MAX)

struct sandbox_call {
    bool own_ids;
    size_t door_count; /* of its group, behind the namespaces */
    mode_t umask;
};

/* Where the doors begin. */
size_t sandbox_call_door(const struct sandbox_call *call);
/* How many fds a call has. */
size_t sandbox_call_fd_count(const struct sandbox_call *call);

/* Appends. 0, SANDBOX_SPEC_E_INVALID, -ENOMEM. */
int sandbox_call_encode(struct buffer *ret, const struct sandbox_call *call,
                        const struct sandbox_spec *spec);
/* Exact, as a spec's decoding, into RET and RET_SPEC (owned by the caller); only specs of
 * runners without a network. 0, SANDBOX_SPEC_E_INVALID, -ENOMEM. */
int sandbox_call_decode(struct sandbox_call *ret, struct sandbox_spec_copy *ret_spec,
                        struct slice data);

#endif

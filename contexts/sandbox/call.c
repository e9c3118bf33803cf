/* SPDX-License-Identifier: MIT */
/*
 * The packet: own ids (1: 0 or 1), doors (1), umask (2, little-endian), then the
 * encoded spec.
 */
#include "contexts/sandbox/call.h"

#include <sched.h>

#define UMASK_MAX 0777

/* Not init's pidfd, which would stand for all of them: to enter by it takes the right to
 * trace init, and that nobody has. */
const struct sandbox_call_entry sandbox_call_entries[] = {
    [SANDBOX_CALL_USER] = { CLONE_NEWUSER, "/proc/self/ns/user" },
    [SANDBOX_CALL_MOUNT] = { CLONE_NEWNS, "/proc/self/ns/mnt" },
    [SANDBOX_CALL_PID] = { CLONE_NEWPID, "/proc/self/ns/pid" },
    [SANDBOX_CALL_IPC] = { CLONE_NEWIPC, "/proc/self/ns/ipc" },
    [SANDBOX_CALL_UTS] = { CLONE_NEWUTS, "/proc/self/ns/uts" },
    [SANDBOX_CALL_CGROUP] = { CLONE_NEWCGROUP, "/proc/self/ns/cgroup" },
    [SANDBOX_CALL_NETWORK] = { CLONE_NEWNET, "/proc/self/ns/net" },
    [SANDBOX_CALL_INNER_USER] = { CLONE_NEWUSER, "/proc/self/ns/user" },
};

size_t
sandbox_call_door(const struct sandbox_call *call)
{
    return SANDBOX_CALL_NAMESPACES + SANDBOX_CALL_NAMESPACE_COUNT - call->own_ids;
}

size_t
sandbox_call_fd_count(const struct sandbox_call *call)
{
    return sandbox_call_door(call) + call->door_count;
}

int
sandbox_call_encode(struct buffer *ret, const struct sandbox_call *call,
                    const struct sandbox_spec *spec)
{
    const uint8_t head[SANDBOX_CALL_HEAD_BYTES] = { call->own_ids,
                                                    (uint8_t)call->door_count,
                                                    call->umask & 0xff,
                                                    call->umask >> 8 & 0xff };
    int r = buffer_append(ret, head, sizeof head);

    return r != 0 ? r : sandbox_spec_encode(ret, spec, NULL);
}

int
sandbox_call_decode(struct sandbox_call *ret, struct sandbox_spec_copy *ret_spec,
                    struct slice data)
{
    struct sandbox_spec_copy copy;
    struct sandbox_call call;
    int r;

    if (data.length < SANDBOX_CALL_HEAD_BYTES || data.data[0] > 1 ||
        data.data[1] > CGROUP_HIERARCHIES_MAX)
        return SANDBOX_SPEC_E_INVALID;
    call = (struct sandbox_call){ .own_ids = data.data[0] == 1,
                                  .door_count = data.data[1],
                                  .umask = (mode_t)(data.data[2] | data.data[3] << 8) };
    if (call.umask > UMASK_MAX)
        return SANDBOX_SPEC_E_INVALID;
    data.data += SANDBOX_CALL_HEAD_BYTES;
    data.length -= SANDBOX_CALL_HEAD_BYTES;
    r = sandbox_spec_decode(&copy, data, NULL);
    if (r != 0)
        return r;
    if (copy.spec.role != SANDBOX_ROLE_RUNNER ||
        copy.spec.network != SANDBOX_NETWORK_NONE) {
        sandbox_spec_copy_fini(&copy);
        return SANDBOX_SPEC_E_INVALID;
    }
    *ret = call;
    *ret_spec = copy;
    return 0;
}

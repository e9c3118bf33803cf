/* SPDX-License-Identifier: MIT */
/*
 * launcher - the process that makes confined children on the server's request
 *
 * It has one thread, no secrets and no configuration, and reads only from the server.
 * Request: one packet of LAUNCHER_ID_BYTES (an id, little-endian) and an encoded
 * sandbox_spec, with the SANDBOX_FD_COUNT fds; and, when a zygote makes the runner, with
 * those of a struct sandbox_zygote behind them, in their order. Answer: one packet of the
 * same id, a result (4 bytes, little-endian; 0: the child exists, and its pidfd and
 * the directories of its control groups come along) and text for a person. A request that
 * is not one is answered with an error if it has an id.
 *
 * A packet of LAUNCHER_WORKSPACE_BYTES without fds asks for a workspace: the id, which
 * names it in specs from then on, LAUNCHER_WORKSPACE_TAG (4), bytes (8) and inodes (8).
 * With the answer 0 come its directory and its lease, see keeper.h.
 *
 * Between requests by a zygote it makes shells for the next ones by the same. They keep
 * the zygote's sandbox alive: a packet that is an id alone has no answer, and ends them.
 *
 * The end of the socket ends the launcher, once its children are gone; they end by
 * themselves when the server's ends of their control sockets close.
 */
#ifndef CONTEXTS_LAUNCHER_H
#define CONTEXTS_LAUNCHER_H

#include "contexts/sandbox/sandbox.h"
#include "contexts/sandbox/spec.h"
#include "protocol/error.h"

#define LAUNCHER_ID_BYTES 8
#define LAUNCHER_RESULT_BYTES 4
#define LAUNCHER_ZYGOTE_FD_COUNT (SANDBOX_NAMESPACE_COUNT + 1)
#define LAUNCHER_REQUEST_BYTES_MAX (LAUNCHER_ID_BYTES + SANDBOX_SPEC_BYTES_MAX)
#define LAUNCHER_ANSWER_BYTES_MAX                                                        \
    (LAUNCHER_ID_BYTES + LAUNCHER_RESULT_BYTES + ERROR_TEXT_BYTES)
#define LAUNCHER_ANSWER_FDS_MAX (1 + CGROUP_HIERARCHIES_MAX)
#define LAUNCHER_WORKSPACE_TAG UINT32_C(0x4b525743) /* "CWRK" */
#define LAUNCHER_WORKSPACE_BYTES                                                         \
    (LAUNCHER_ID_BYTES + 4 + 8 + 8) /* no spec is so short                               \
                                     */
#define LAUNCHER_WORKSPACE_FDS 2
#define LAUNCHER_SHELLS 2 /* made ahead */
#define LAUNCHER_LINGER_S 1 /* longest wait for children after the end */

/* The whole life of the launcher: call it in a fresh fork and exit with its result. All
 * fds but SOCKET and stderr are closed; blocked signals are unblocked. */
int launcher_run(int socket);

#endif

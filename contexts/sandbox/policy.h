/* SPDX-License-Identifier: MIT */
/*
 * policy - the seccomp allow-list, compiled (libseccomp: for the server)
 *
 * Default ENOSYS, so that programs fall back as on an older kernel; explicit EPERM or
 * EAFNOSUPPORT where they look at errno. docs/sandbox.md gives the reasons.
 */
#ifndef CONTEXTS_SANDBOX_POLICY_H
#define CONTEXTS_SANDBOX_POLICY_H

#include "contexts/sandbox/spec.h"

struct buffer;
struct error;

/* For a zygote it also allows what its forks need in order to confine themselves.
 * Appends the program, an array of struct sock_filter, to RET. Compile once and keep. */
int sandbox_policy_compile(struct buffer *ret, enum sandbox_role role, struct error *err);

/* As above, for a runner of the nested tier: besides, no socket that could reach anybody
 * (with NETWORK none), and nothing that is bounded by a namespace in the full tier. */
int sandbox_policy_compile_nested(struct buffer *ret, enum sandbox_network network,
                                  struct error *err);

#endif

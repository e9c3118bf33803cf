/* SPDX-License-Identifier: MIT */
/*
 * profile - which files, limits and environment a context sees, as a sandbox_spec
 *
 * The same absolute paths as outside; the system read-only, /etc by allow-list, HOME an
 * empty tmpfs, the notebook's directory read-write, the interpreter's mounts read-only
 * and bound last. An agent has a workspace, or a tmpfs of the interpreter's own, as HOME
 * and working directory, and no file of the user's. docs/sandbox.md has the table.
 */
#ifndef CONTEXTS_PROFILE_H
#define CONTEXTS_PROFILE_H

#include "contexts/sandbox/spec.h"

struct context_options;
struct error;
struct profile; /* opaque: owns what the spec points to */

enum { PROFILE_E_OPTIONS = 1 }; /* no such directory, interpreter, ...; see ERR */

/* Compiled seccomp programs, as sandbox_policy_compile makes them; borrowed. */
struct profile_programs {
    struct slice of_role[SANDBOX_ROLE_ZYGOTE + 1];
};

/* OPTIONS is borrowed until return; the caller owns *ret, which borrows PROGRAMS. */
int profile_create(struct profile **ret, const struct context_options *options,
                   const struct profile_programs *programs, struct error *err);
void profile_destroy(struct profile *profile); /* NULL is allowed */

/* Makes it one of the nested tier, with the seccomp program PROGRAM (borrowed). It has no
 * zygote then, and no workspace that outlives its interpreter. */
void profile_set_nested(struct profile *profile, struct slice program);

/* Borrowed; valid as long as the profile. */
const struct sandbox_spec *profile_spec(const struct profile *profile);

/* Of the zygote that may make the interpreter: the same environment, without the
 * notebook's directory and what else belongs to one context. NULL: the runtime has none,
 * the context has the host's network, which a zygote has not, or variables of its own
 * that an interpreter reads at its start. */
const struct sandbox_spec *profile_zygote_spec(const struct profile *profile);

#endif

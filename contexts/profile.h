/* SPDX-License-Identifier: MIT */
/*
 * profile - which files, limits and environment a context sees, as a sandbox_spec
 *
 * The notebook profile: the same absolute paths as outside; the system read-only, /etc by
 * allow-list, HOME an empty tmpfs, the notebook's directory read-write, the interpreter's
 * mounts read-only and bound last. docs/sandbox.md has the table.
 */
#ifndef CONTEXTS_PROFILE_H
#define CONTEXTS_PROFILE_H

#include "contexts/sandbox/spec.h"

struct context_options;
struct error;
struct profile; /* opaque: owns what the spec points to */

enum { PROFILE_E_OPTIONS = 1 }; /* no such directory, interpreter, ...; see ERR */

/* OPTIONS is borrowed until return. The caller owns *ret. */
int profile_create(struct profile **ret, const struct context_options *options,
                   struct error *err);
void profile_destroy(struct profile *profile); /* NULL is allowed */

/* Borrowed; valid as long as the profile. Its seccomp program is compiled once per
 * profile. */
const struct sandbox_spec *profile_spec(const struct profile *profile);

#endif

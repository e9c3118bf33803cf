/* SPDX-License-Identifier: MIT */
/*
 * sandbox - makes one confined child from a spec (libc only: for spawners)
 *
 * The child is pid 1 of a new pid namespace and runs our init (see control.h), which
 * builds the sandbox, forks the runner and stays. Confinement is a table of steps,
 * steps.c; each step that fails ends the child before user code, and init reports the
 * step's name.
 */
#ifndef CONTEXTS_SANDBOX_SANDBOX_H
#define CONTEXTS_SANDBOX_SANDBOX_H

#include <stdbool.h>

#include "contexts/sandbox/cgroup.h"
#include "contexts/sandbox/spec.h"

struct error;

/* What a zygote's init hands over with its report CONTROL_STARTED, and who wants to make
 * a context in the zygote's sandbox must give back. */
enum sandbox_namespace {
    SANDBOX_NAMESPACE_USER,
    SANDBOX_NAMESPACE_PID,
    SANDBOX_NAMESPACE_COUNT
};

/* The child's ends, in the order in which they travel to a spawner. */
enum sandbox_fd {
    SANDBOX_STDIN,
    SANDBOX_STDOUT,
    SANDBOX_STDERR,
    SANDBOX_CHANNEL, /* becomes fd 3 of the runner */
    SANDBOX_CONTROL, /* init's end of the control socket */
    SANDBOX_FD_COUNT
};

/* Where the runner comes from when it is not started by exec; fds, borrowed. */
struct sandbox_zygote {
    int namespaces[SANDBOX_NAMESPACE_COUNT]; /* of its sandbox; the new one is inside */
    int socket; /* on which it waits for init's calls */
};

/* A shell: a child with namespaces and ids of its own, in which everything is made that
 * does not depend on a spec; it waits to be used. Plain data. */
struct sandbox_shell {
    int socket; /* owned: its end ends a shell that was not used; -1: none */
    int pidfd; /* owned: init's */
    int pid;
    bool own_ids, by_zygote;
    enum sandbox_role role;
    enum sandbox_network network;
    size_t mount_count; /* of the spec it will have: made already */
    int given; /* owned: a detached mount for its SANDBOX_MOUNT_GIVEN; -1: none */
    const struct cgroups *groups; /* borrowed; NULL: none */
    struct cgroup group; /* owned: where it is */
};

#define SANDBOX_SHELL_NONE { .socket = -1, .pidfd = -1, .given = -1 }

/* A child that was let go. */
struct sandbox_child {
    int pidfd; /* owned: init's, whose parent the caller is */
    struct cgroup group; /* owned; to be removed when it has ended */
};

/* ZYGOTE: inside whose sandbox it is to be (its socket is not used yet), or NULL. GROUPS:
 * where its group is made; NULL: nowhere. A zygote's has none. Call it from a process
 * with one thread, whose child it is. On success the caller owns *ret. 0 or < 0. */
int sandbox_shell_create(struct sandbox_shell *ret, enum sandbox_role role,
                         enum sandbox_network network,
                         const struct sandbox_zygote *zygote, struct cgroups *groups,
                         struct error *err);

/* Makes the mounts of SPEC before its first writable one of the host's, for SHELL to be
 * used for a spec that begins with the same. 0 or < 0: then SHELL is gone. */
int sandbox_shell_mount(struct sandbox_shell *shell, const struct sandbox_spec *spec,
                        struct error *err);

/* Makes of SHELL, of the same role, network and zygote, what SPEC says. It is gone from
 * *shell then, whatever is returned. FDS are borrowed. With ZYGOTE, not NULL, the runner
 * is its fork, and argv is not used. On success the caller owns *ret. What happens in the
 * child is told on the control socket. 0 or < 0. */
int sandbox_shell_use(struct sandbox_shell *shell, const struct sandbox_spec *spec,
                      const int fds[SANDBOX_FD_COUNT],
                      const struct sandbox_zygote *zygote, struct sandbox_child *ret,
                      struct error *err);

/* A child of the nested tier, which has no shell: as both in one. *ret's pidfd is its
 * warden's, whose end means that nothing is left; it must not be killed. 0 or < 0. */
int sandbox_nested_spawn(const struct sandbox_spec *spec, const int fds[SANDBOX_FD_COUNT],
                         struct cgroups *groups, struct sandbox_child *ret,
                         struct error *err);

/* Its group stays, until nobody is in it. */
void sandbox_shell_fini(struct sandbox_shell *shell);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * spec - what a confined child shall be: one request to a spawner
 *
 * The server fills a struct sandbox_spec, encodes it into bytes and sends them; a spawner
 * (launcher, zygote) decodes and obeys. Pure data: no fds, no system calls. A spec is a
 * promise about confinement, so decoding is exact: no unknown kinds, no trailing bytes.
 */
#ifndef CONTEXTS_SANDBOX_SPEC_H
#define CONTEXTS_SANDBOX_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define SANDBOX_SPEC_BYTES_MAX ((size_t)192 * 1024) /* encoded; one packet */
#define SANDBOX_STRINGS_MAX 4096 /* of argv, of env */
#define SANDBOX_MOUNTS_MAX 256

/* User and group of the runner, inside, when the spawner is root; init is 0 then, so that
 * the runner can neither signal nor trace it. */
#define SANDBOX_RUNNER_ID 1000

struct error;

enum sandbox_tier {
    SANDBOX_TIER_FULL, /* namespaces, Landlock where there is any, seccomp */
    SANDBOX_TIER_NESTED /* without namespaces and mounts: see nested.h */
};

enum sandbox_network {
    SANDBOX_NETWORK_NONE, /* an empty network namespace with loopback up */
    SANDBOX_NETWORK_HOST /* the host's network */
};

enum sandbox_role {
    SANDBOX_ROLE_RUNNER, /* runs user code */
    SANDBOX_ROLE_ZYGOTE /* makes runners, in sandboxes within its own: see join.h */
};

enum sandbox_mount_kind {
    SANDBOX_MOUNT_BIND_RO, /* source, recursive, read-only, nosuid, nodev */
    SANDBOX_MOUNT_BIND_RW, /* source, recursive, writable, nosuid, nodev; files keep their
                              owner: idmapped when the spawner is root */
    SANDBOX_MOUNT_TMPFS, /* size and inodes bounded, nosuid, nodev, mode MODE */
    SANDBOX_MOUNT_FILE, /* a regular read-only file with CONTENT */
    SANDBOX_MOUNT_SYMLINK, /* TARGET is a symbolic link to SOURCE */
    SANDBOX_MOUNT_MASK, /* hides TARGET if it is there: empty and unwritable */
    SANDBOX_MOUNT_GIVEN, /* writable: a workspace, NUMBER, that outlives the sandbox; one
                            at most, of a runner in the full tier */
    SANDBOX_MOUNT_END
};

enum { SANDBOX_MOUNT_OPTIONAL = 1 }; /* a missing source is no failure */

/* Applied in the order given; parents of TARGET are made as needed. /proc and the minimal
 * /dev are not listed: every sandbox has them. A TMPFS belongs to the runner; one at
 * /dev/shm takes the place of the usual 64 MiB. */
struct sandbox_mount {
    enum sandbox_mount_kind kind;
    unsigned flags;
    const char *target; /* absolute, no "..", the path inside */
    const char *source; /* BIND_*: path outside, links are not followed; SYMLINK: its
                           text; FILE: content */
    uint64_t bytes; /* TMPFS: size limit */
    uint64_t inodes; /* TMPFS: inode limit */
    unsigned mode; /* TMPFS */
    uint64_t number; /* GIVEN: see keeper.h */
};

struct sandbox_limits {
    uint64_t processes; /* RLIMIT_NPROC: processes and threads of the context */
    uint64_t open_files; /* RLIMIT_NOFILE */
    uint64_t file_bytes; /* RLIMIT_FSIZE; 0: unlimited */
    uint64_t memory_bytes; /* RAM and tmpfs together, by a cgroup; 0: unlimited */
    uint64_t cpu_milli; /* thousandths of a processor, by a cgroup; 0: unlimited */
};

/* Plain data; all pointers borrowed. */
struct sandbox_spec {
    const char *const *argv; /* NULL-terminated; argv[0] an absolute path inside */
    const char *const *env; /* NULL-terminated "NAME=value" */
    const char *directory; /* working directory inside */
    bool make_directory; /* the runner makes it, and its parents, if they are missing */
    const char *hostname;
    enum sandbox_tier tier;
    enum sandbox_network network;
    enum sandbox_role role;
    struct sandbox_limits limits;
    const struct sandbox_mount *mounts;
    size_t mount_count;
    struct slice seccomp; /* compiled program: an array of struct sock_filter */
};

/* The workspace that SPEC shows; 0: none. */
uint64_t sandbox_spec_workspace(const struct sandbox_spec *spec);

enum { SANDBOX_SPEC_E_INVALID = 1 }; /* out of bounds or malformed; see ERR */

/* Appends the encoded spec. 0, SANDBOX_SPEC_E_INVALID, -ENOMEM. */
int sandbox_spec_encode(struct buffer *ret, const struct sandbox_spec *spec,
                        struct error *err);

/* A decoded spec and the memory that its pointers need. */
struct sandbox_spec_copy {
    struct sandbox_spec spec;
    void *memory; /* owned */
    size_t bytes; /* of memory; they are wiped, for a zygote's forks inherit them */
};

/* 0, SANDBOX_SPEC_E_INVALID, -ENOMEM. DATA may go away afterwards. */
int sandbox_spec_decode(struct sandbox_spec_copy *ret, struct slice data,
                        struct error *err);
void sandbox_spec_copy_fini(struct sandbox_spec_copy *copy);

#endif

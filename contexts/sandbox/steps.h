/* SPDX-License-Identifier: MIT */
/*
 * steps - confinement as tables of steps (internal to this folder)
 *
 * Three tables: what pid 1 does to build the sandbox, what pid 1 gives up itself, and
 * what the runner gives up. Each row is one layer; a row that fails ends the child before
 * user code. The work to do travels in a struct sandbox_work.
 */
#ifndef CONTEXTS_SANDBOX_STEPS_H
#define CONTEXTS_SANDBOX_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "contexts/sandbox/call.h"
#include "contexts/sandbox/control.h"
#include "contexts/sandbox/sandbox.h"
#include "contexts/sandbox/spec.h"

/* Of a block that no distribution hands out: a child's ids are the base + 2 * pid and the
 * next. */
#define SANDBOX_OWN_ID_BASE 0x70000000U

struct sandbox_private;

/* The runner's words to init, first that it exists, then that it is confined; or why the
 * child cannot run user code. */
struct sandbox_failure {
    int32_t error; /* errno, 0: no failure */
    int32_t pid; /* the runner's, inside; 0: not told */
    char step[CONTROL_STEP_BYTES]; /* name of the step and its object */
};

/* Plain data, copied into the child by the clone. */
struct sandbox_work {
    const struct sandbox_spec *spec; /* borrowed; NULL in a shell, until it is used */
    struct sandbox_spec_copy copy; /* in pid 1: owned, what spec is borrowed from */
    enum sandbox_role role;
    enum sandbox_network network;
    int fds[SANDBOX_FD_COUNT]; /* borrowed by the spawner, owned by the child */
    size_t mount_from, mount_to; /* which mounts of the spec are made now */
    int trees[SANDBOX_MOUNTS_MAX]; /* detached mounts, one per mount of the spec, or -1 */
    bool own_ids; /* two ids of its own; else the spawner's */
    uid_t outer_uid; /* own_ids: init's, the runner's is the next; else the spawner's */
    gid_t outer_gid;
    bool by_zygote; /* it makes the runner; else init forks it itself */
    int zygote; /* its socket, -1: not yet */
    int doors[CGROUP_HIERARCHIES_MAX]; /* by a zygote: the runner enters its group */
    size_t door_count;
    struct sandbox_failure word; /* in a zygote's helper: the middle's, of the runner */
    int entries[SANDBOX_CALL_NAMESPACE_COUNT]; /* by a zygote: what its call carries */
    int namespaces[SANDBOX_NAMESPACE_COUNT]; /* role zygote: of its sandbox, -1: not yet
                                              */
    int sync; /* between spawner and pid 1: what a shell is given */
    int root; /* the new root, -1: not yet */
    int proc; /* the full /proc, -1: not yet */
    int empty; /* what hides directories, -1: not yet */
    int status; /* between runner and init, -1: not yet */
    int signals; /* init's signalfd, -1: not yet */
    mode_t umask; /* the spawner's */
    struct sandbox_private *private; /* tier nested: borrowed; see nested.h */
    char object[CONTROL_STEP_BYTES]; /* what the step under way works on */
};

struct sandbox_step {
    const char *name;
    int (*apply)(struct sandbox_work *work); /* 0 or < 0 */
    const char *reason;
};

struct sandbox_steps {
    const struct sandbox_step *rows;
    size_t count;
};

extern const struct sandbox_steps
    sandbox_shell_steps; /* pid 1: what all have in common */
extern const struct sandbox_steps sandbox_mount_steps; /* pid 1: some mounts ahead */
extern const struct sandbox_steps sandbox_build_steps; /* pid 1: what the spec says */
extern const struct sandbox_steps sandbox_init_steps; /* pid 1, after its fork */
extern const struct sandbox_steps sandbox_confine_steps; /* the runner */

/* Applies the rows in order. True; or false, with *ret filled in. */
bool sandbox_steps_apply(const struct sandbox_steps *steps, struct sandbox_work *work,
                         struct sandbox_failure *ret);

void sandbox_failure_set(struct sandbox_failure *ret, int error, const char *step,
                         const char *object);

/* True when this process has them all in effect; bits by the kernel's numbers. */
bool sandbox_has_capabilities(uint64_t wanted);

/* True when a context can have two ids that nobody else has. */
bool sandbox_can_give_own_ids(void);

/* Remembers what a step works on, for the report. */
void sandbox_work_object(struct sandbox_work *work, const char *object);

/* Opens the sources of the spec's bind mounts as detached, restricted mounts. */
int sandbox_sources_open(struct sandbox_work *work);
/* The spawner's part as root: writable sources show their owner's files as the runner's.
 */
int sandbox_sources_map_owners(struct sandbox_work *work);
void sandbox_sources_close(struct sandbox_work *work);

struct sandbox_option {
    const char *key;
    const char *value;
};

/* A new file system of TYPE, as a detached mount with ATTRIBUTES; the caller owns *ret.
 */
int sandbox_filesystem_open(int *ret, const char *type,
                            const struct sandbox_option *options, size_t count,
                            unsigned attributes);

/* Steps on the new root: root.c, files.c. */
int sandbox_root_attach(struct sandbox_work *work);
int sandbox_root_proc(struct sandbox_work *work);
int sandbox_root_dev(struct sandbox_work *work);
int sandbox_root_mounts(struct sandbox_work *work);
int sandbox_root_enter(struct sandbox_work *work);
int sandbox_root_seal(struct sandbox_work *work);

/* Below the new root, never out of it; PATH is absolute. The caller owns *ret, O_PATH. */
int sandbox_inside_open(struct sandbox_work *work, const char *path, int *ret);
int sandbox_inside_directory(struct sandbox_work *work, const char *path, int *ret);
int sandbox_inside_file(struct sandbox_work *work, const char *path, int *ret);
int sandbox_inside_symlink(struct sandbox_work *work, const char *path, const char *text);
/* Covers TARGET with a read-only regular file with CONTENT. */
int sandbox_inside_content(struct sandbox_work *work, const char *content, int target);
/* Hides what is at PATH, if anything is. */
int sandbox_inside_hide(struct sandbox_work *work, const char *path);

/* The pipes of stdout and stderr become the runner's. */
int sandbox_own_pipes(struct sandbox_work *work);

/* Steps of init: steps.c. */
int sandbox_init_descriptors(struct sandbox_work *work);
int sandbox_init_privileges(struct sandbox_work *work);

/* Steps of the runner: confine.c, landlock.c. */
/* A zygote's own directory in /proc, which is made with it (root.c). */
int sandbox_confine_proc(struct sandbox_work *work);
int sandbox_confine_session(struct sandbox_work *work);
int sandbox_confine_oom(struct sandbox_work *work);
int sandbox_confine_privileges(struct sandbox_work *work);
int sandbox_confine_signals(struct sandbox_work *work);
int sandbox_confine_directory(struct sandbox_work *work);
int sandbox_confine_landlock(struct sandbox_work *work);
int sandbox_confine_descriptors(struct sandbox_work *work);
int sandbox_confine_limits(struct sandbox_work *work);
int sandbox_confine_seccomp(struct sandbox_work *work);
int sandbox_confine_init(struct sandbox_work *work); /* waits for init's go */
/* Those of confine_privileges, one by one. */
int sandbox_drop_bounding_set(struct sandbox_work *work);
int sandbox_lock_secure_bits(struct sandbox_work *work);
int sandbox_drop_capabilities(struct sandbox_work *work);

/* What pid 1 keeps after its steps. */
enum sandbox_init_fd {
    SANDBOX_INIT_CONTROL,
    SANDBOX_INIT_STATUS,
    SANDBOX_INIT_SIGNALS,
    SANDBOX_INIT_NAMESPACES, /* the first of them, role zygote alone, until it started */
    SANDBOX_INIT_FD_COUNT = SANDBOX_INIT_NAMESPACES + SANDBOX_NAMESPACE_COUNT
};

/* What a shell is given: its ids, as soon as they are written, by one byte; and later
 * this, with the encoded spec behind it and the fds of enum sandbox_fd, the zygote's
 * socket and the doors of its group after them. Then come trees, by packets of their
 * indices (2 bytes each, the machine's) and fds, TREE_COUNT in all. An order that is not
 * the last is to make some mounts, and has no fds but trees. */
struct sandbox_order {
    bool is_last;
    uint32_t mount_from, mount_to; /* as in the work */
    struct sandbox_failure failure; /* of the spawner's part: report it */
    uid_t outer_uid; /* as in the work */
    gid_t outer_gid;
    mode_t umask;
    uint32_t tree_count;
};

/* The life of pid 1. Returns only in the runner: confined, with nothing left to do but to
 * run user code; a runner that cannot must call sandbox_child_failed. When the status
 * socket closes (an exec does it), init takes the runner for started. */
void sandbox_child_run(struct sandbox_work *work);
/* As sandbox_child_run, once all is built. */
void sandbox_init_run(struct sandbox_work *work);
/* Tells it on the control socket CONTROL, and ends the process. */
_Noreturn void sandbox_report_failure(int control, const struct sandbox_failure *failure);
/* Takes the runner's steps and tells init; ends the process if one fails. */
void sandbox_runner_confine(struct sandbox_work *work);
_Noreturn void sandbox_child_failed(struct sandbox_work *work, int error,
                                    const char *step, const char *object);

#endif

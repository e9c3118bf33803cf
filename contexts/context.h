/* SPDX-License-Identifier: MIT */
/*
 * context - one persistent interpreter, in one sandboxed child
 *
 * Owns the child, its channel and pipes, the queue of requests and the state machine
 * (states x events, in context.c). Knows frames, not Jupyter: who asked, and what a
 * parent header is, is the observer's business, who knows each request by its number.
 *
 * An interpreter that ends is replaced by a fresh one and the epoch goes up by one.
 * Numbers go on counting through all epochs.
 */
#ifndef CONTEXTS_CONTEXT_H
#define CONTEXTS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contexts/sandbox/spec.h"
#include "protocol/frame.h"

struct context; /* opaque */
struct error;
struct loop;
struct runtime;
struct spawner;
struct workspace;

#define CONTEXT_QUEUE_MAX 1024 /* waiting requests */
#define CONTEXT_QUEUE_BYTES_MAX ((size_t)256 * 1024 * 1024) /* their frames */
#define CONTEXT_STDERR_TAIL_BYTES 2048

enum context_state {
    CONTEXT_STARTING, /* a child is being made; requests wait */
    CONTEXT_IDLE,
    CONTEXT_BUSY, /* a request runs */
    CONTEXT_INTERRUPTING, /* it was interrupted and has not ended yet */
    CONTEXT_STOPPING, /* the child was told or made to end */
    CONTEXT_DEAD, /* no child; the next request tries again unless die_with_child */
    CONTEXT_STATE_END
};

const char *context_state_name(enum context_state state);

/* What the platform, not the code, ended. */
enum context_reason_kind {
    CONTEXT_REASON_NONE,
    CONTEXT_REASON_TIMEOUT,
    CONTEXT_REASON_MEMORY,
    CONTEXT_REASON_CPU,
    CONTEXT_REASON_PIDS,
    CONTEXT_REASON_DISK,
    CONTEXT_REASON_KILLED, /* by a signal from outside, or asked for */
    CONTEXT_REASON_CRASHED, /* died by itself: signal or exit status */
    CONTEXT_REASON_INTERRUPTED,
    CONTEXT_REASON_PROTOCOL, /* it broke the frame protocol */
    CONTEXT_REASON_START, /* it could not be started */
    CONTEXT_REASON_END
};

const char *context_reason_name(enum context_reason_kind kind); /* "timeout", ... */

struct context_reason {
    enum context_reason_kind kind;
    int signal; /* that ended the interpreter, or 0 */
    int exit_status; /* when it exited by itself, else -1 */
    bool state_lost; /* the variables are gone */
    uint64_t limit, observed; /* in the limit's unit (ms, bytes, ...), 0: none */
    uint64_t peak_bytes; /* largest resident set, 0: not known */
    const char *text; /* one sentence for a person; borrowed */
    const char *stderr_tail; /* last lines that it wrote, valid UTF-8; borrowed */
};

enum context_end {
    CONTEXT_END_REPLY, /* the runner answered: see REPLY */
    CONTEXT_END_ABORTED, /* an earlier run failed, or the interpreter died: never ran */
    CONTEXT_END_EXPIRED, /* queue_ms passed: never ran */
    CONTEXT_END_LOST /* the interpreter ended while it ran: see REASON */
};

struct context_usage {
    uint64_t started_us; /* CLOCK_REALTIME */
    uint64_t wall_us;
};

/* Output of one stream that a budget left out; total == kept: nothing. */
struct context_truncation {
    uint64_t total_bytes, kept_bytes;
};

struct context_outcome {
    enum context_end end;
    const struct frame *reply; /* END_REPLY; content is checked JSON; borrowed */
    uint32_t execution_count; /* for the reply of an execute request */
    struct context_reason reason; /* kind NONE when the code ended by itself */
    struct context_usage usage;
    struct context_truncation out, err;
};

/* Called from the loop. Each returns 0, or < 0: our own failure, which stops the loop.
 * No callback may destroy the context; all may call the other functions below. */
struct context_observer {
    /* The request left the queue and is being sent to the runner. */
    int (*on_started)(uint64_t number, uint32_t execution_count, void *arg);
    /* Text (valid UTF-8) that request NUMBER printed; 0: nobody's. Coalesced. */
    int (*on_stream)(uint64_t number, bool is_stderr, struct slice text, void *arg);
    /* Display data, results, errors, clear_output, comms, input requests: checked JSON in
     * FRAME's parts, ready to be forwarded byte for byte. */
    int (*on_frame)(const struct frame *frame, void *arg);
    /* The last word about request NUMBER; all its output was told before. */
    int (*on_done)(uint64_t number, const struct context_outcome *outcome, void *arg);
    /* State or epoch changed. REASON is not NULL when an interpreter was lost. */
    int (*on_state)(enum context_state state, uint64_t epoch,
                    const struct context_reason *reason, void *arg);
    /* An interrupt has not stopped the request for CONTEXT_INTERRUPT_STUCK_MS. */
    int (*on_stuck)(uint64_t number, void *arg);
};

#define CONTEXT_INTERRUPT_STUCK_MS 5000
#define CONTEXT_GRACE_MS 2000 /* between the rungs of a timeout's ladder */

struct context_limits {
    struct sandbox_limits sandbox;
    uint64_t tmp_bytes; /* of each tmpfs that the context may write */
    uint64_t tmp_inodes;
    uint64_t disk_bytes; /* of a workspace of the context's own */
    uint64_t disk_inodes;
    uint64_t output_bytes; /* stdout and stderr of one execution */
    uint64_t run_ms; /* for whoever submits requests; 0: none */
};

enum context_profile {
    CONTEXT_PROFILE_NOTEBOOK, /* a directory of the user's is the working directory */
    CONTEXT_PROFILE_AGENT /* a workspace, with quotas, is home and working directory */
};

struct context_options {
    const struct runtime *runtime; /* borrowed, outlives the context */
    struct spawner *spawner; /* borrowed */
    const char *interpreter; /* path, or NULL: the runtime's default. copied */
    enum context_profile profile;
    const char *directory; /* absolute path: read-write and working directory; not used
                              for an agent. copied */
    struct workspace *workspace; /* agent: its files, in all epochs; NULL: a tmpfs of each
                                    interpreter's own. borrowed until return, then kept by
                                    a use of the context's own; see workspace.h */
    const char *cwd; /* agent: working directory, within the workspace: absolute, or
                        relative to it; made if it is missing, at each start. NULL: the
                        workspace. copied */
    const char *const *env; /* NULL-terminated NAME=value on top of the others. copied */
    const char *const
        *mounts; /* NULL-terminated absolute paths, read-only, bound last: the
                    interpreter's prefix and what else it needs. copied */
    const char *const *shown; /* NULL-terminated absolute paths that this context sees
                                 besides, read-only; NULL: none. copied */
    const char *session; /* name of the notebook's session, for the runner; or NULL.
                            copied */
    enum sandbox_tier tier; /* the weakest that will do */
    enum sandbox_network network;
    struct context_limits limits;
    bool die_with_child; /* CONTEXT_DEAD instead of a fresh interpreter */
    const struct context_observer *observer; /* borrowed */
    void *arg;
};

/* Those of a profile when nobody says others. */
struct context_limits context_limits_of(enum context_profile profile);

enum { CONTEXT_E_OPTIONS = 1 }; /* no such directory or interpreter; see ERR */

/* Begins to start a child; readiness shows in on_state. The caller owns *ret. */
int context_create(struct context **ret, struct loop *loop,
                   const struct context_options *options, struct error *err);

/* Kills what runs and frees everything; calls nobody. NULL is allowed. */
void context_destroy(struct context *ctx);

struct context_request {
    enum frame_type type; /* a request type of frame.h, not ping */
    struct slice header; /* Jupyter header, verbatim; copied, as are the others */
    struct slice metadata;
    struct slice content;
    const struct slice *buffers;
    uint32_t buffer_count;
    unsigned group; /* of whoever submits: groups take turns, each has its own order */
    /* Execute requests only: */
    bool silent;
    bool store_history; /* advances the execution count, unless silent */
    bool stop_on_error; /* a failure aborts each execute request of its group that is
                           queued then */
    uint64_t timeout_ms; /* 0: none; counts from on_started */
    bool kill_on_timeout; /* without the rung of the interrupt */
    /* Others only: */
    uint64_t queue_ms; /* 0: wait for ever; else END_EXPIRED if not begun by then */
};

enum {
    CONTEXT_E_QUEUE_FULL = 1,
    CONTEXT_E_TOO_LARGE, /* larger than a frame may be */
    CONTEXT_E_GONE, /* stopping, or dead for good */
    CONTEXT_E_NOT_WAITING /* no input request is open */
};

/* Queues a request; its number (1, 2, ...) tells it apart from then on. on_started is
 * never called before this returns. */
int context_submit(struct context *ctx, const struct context_request *wish,
                   uint64_t *ret_number, struct error *err);

/* Takes a request out of the queue: nothing is told of it any more. False: it does not
 * wait there, but has begun, or its end is told. */
bool context_withdraw(struct context *ctx, uint64_t number);
void context_withdraw_group(struct context *ctx, unsigned group); /* all of them */

/* How many execute requests of GROUP wait. */
size_t context_waiting_runs(const struct context *ctx, unsigned group);

/* {"value": ...} for the open input request. */
int context_input_reply(struct context *ctx, struct slice content);
bool context_input_is_open(const struct context *ctx);

/* First rung: the language's own interrupt. With FORCE, the kill follows after a grace
 * period. When nothing runs, nothing happens. */
int context_interrupt(struct context *ctx, bool force);

/* True while the run is being interrupted because its time is up; why, then. */
bool context_is_timing_out(const struct context *ctx, struct context_reason *ret);

/* Kills the interpreter; waiting requests are ABORTED or LOST, and a fresh one starts. */
int context_restart(struct context *ctx);

/* Lets it end in order, kills it after GRACE_MS; on_state says CONTEXT_DEAD. */
int context_stop(struct context *ctx, uint64_t grace_ms);

/* While paused no output is read, so that the program is slowed, not the server. */
void context_pause_output(struct context *ctx, bool paused);

/* Of the zygote that its interpreter would come from if it were made now; another number
 * when the environment has changed. 0: there is none. */
uint64_t context_generation(const struct context *ctx);

enum context_state context_state(const struct context *ctx);
uint64_t context_epoch(const struct context *ctx); /* 1, 2, ... */

/* That of the interpreter which follows: the same while there was none in this one. */
uint64_t context_next_epoch(const struct context *ctx);
uint32_t context_execution_count(const struct context *ctx); /* of the last stored run */

/* In which tier it is, or is being started. *RET_MISSING (borrowed): what the machine
 * lacks for a better one. */
enum sandbox_tier context_tier(const struct context *ctx, const char **ret_missing);

/* True when what it shows at /workspace is the workspace that it was created with; not so
 * in the nested tier, where it has a directory of its own instead. */
bool context_has_workspace(const struct context *ctx);

/* What the runner said of itself in this epoch: a JSON object; empty before. Borrowed. */
struct slice context_hello(const struct context *ctx);

/* What its interpreter and all that this has started use; 0: not told. */
struct context_use {
    uint64_t cpu_us; /* since its start */
    uint64_t memory_peak_bytes; /* RAM and tmpfs together */
};
struct context_use context_use(const struct context *ctx);

/* Process ids, as the server sees them, of init and of what it started; for usage
 * figures. Writes at most MAX and returns how many there are. */
size_t context_pids(const struct context *ctx, int *ret, size_t max);

#endif

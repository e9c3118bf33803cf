/* SPDX-License-Identifier: MIT */
/*
 * agent - the agent service: contexts and executions for many clients
 *
 * docs/agent-protocol.md is what it does. Owns the door, and of each owner the contexts,
 * their executions and what waits for them. Ownership is checked in one place, where a
 * request's handles become pointers (requests.c): what has a struct agent_context or a
 * struct run may use it.
 *
 * Open to the files of this folder, to nobody else; serve needs the functions at the end.
 */
#ifndef KERNEL_AGENT_AGENT_H
#define KERNEL_AGENT_AGENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "contexts/context.h"
#include "kernel/agent/bounds.h"
#include "kernel/agent/door.h"
#include "kernel/agent/refusal.h"
#include "kernel/log.h"
#include "protocol/message.h"

#define AGENT_ID_BYTES 32 /* with the NUL */
#define AGENT_NAME_BYTES 65 /* of a context or workspace, with the NUL */
#define AGENT_BATCH 16 /* messages in one turn */
#define AGENT_CLIENT_BUCKETS 1024
#define AGENT_OUTBOX_MESSAGES 8192 /* replies that one client has not read yet, ... */
#define AGENT_OUTBOX_BYTES ((size_t)64 * 1024 * 1024) /* ... from the second on */
#define AGENT_LAG_BYTES ((size_t)1024 * 1024) /* from here on a reader slows the code */
#define AGENT_RETRY_US 2000
#define AGENT_STALL_US UINT64_C(10000000) /* then a reader loses its stream */
#define AGENT_KEEPALIVE_US UINT64_C(1000000)
#define AGENT_REPLY_BYTES_MAX ((size_t)512 * 1024 * 1024)
#define AGENT_ENDED_MAX 64 /* executions of an owner that are remembered, ... */
#define AGENT_ENDED_BYTES ((size_t)64 * 1024 * 1024)
#define AGENT_ENDED_US UINT64_C(600000000)

struct agent;
struct events;
struct jupyter;
struct keys;
struct language;
struct languages;
struct loop;
struct loop_timer;
struct session;
struct signature_key;
struct spares;
struct spawner;
struct tally;
struct workspace;

/* A connection that something waits for: a reply, a stream. Counted by its uses. */
struct client {
    struct client *next; /* in its bucket */
    size_t uses;
    size_t waits; /* requests without a reply */
    unsigned socket;
    struct slice identity; /* owned */
    struct owner *owner;
    uint64_t since_us; /* WAITS is not 0 since then */
    bool gone;
    struct letter *letters, **last_letter; /* owned: what it has not taken yet */
    size_t letter_count, letter_bytes;
};

struct owner {
    struct owner *next;
    char name[DOOR_OWNER_BYTES];
    struct agent_context *contexts; /* owned */
    size_t context_count;
    struct run *runs; /* owned; the newest first */
    size_t open_runs;
    size_t ended_runs, ended_bytes;
    double tokens; /* requests that it may send at once */
    uint64_t tokens_us;
    struct shared *shared; /* owned: named workspaces */
};

/* A workspace that contexts of one owner share, by its name. */
struct shared {
    struct shared *next;
    char name[AGENT_NAME_BYTES];
    struct workspace *workspace; /* owned */
    size_t uses;
};

/* A request that is answered later. */
struct pending {
    struct pending *next;
    struct client *client; /* a use of it */
    struct slice header; /* owned */
    const char *reply; /* static: type of the answer */
    enum pending_kind { PENDING_CREATE, PENDING_RESTART, PENDING_ASK } kind;
    uint64_t number; /* ASK: of the context's request */
    uint64_t epoch; /* RESTART: the one that is waited for */
    enum frame_type ask; /* ASK */
    int64_t cursor;
};

/* Somebody who follows an execution, or waits for its outcome. */
struct viewer {
    struct viewer *next;
    struct client *client; /* a use of it */
    struct slice header; /* owned */
    const char *reply; /* static */
    uint64_t seq; /* of the event that it has got last */
    uint64_t missed; /* events that the log had lost */
    uint64_t blocked_us; /* it has not taken anything since; 0: it does */
    bool streams;
    bool attached; /* by an attach_request, not the one who runs it */
};

/* Somebody who follows a context. */
struct watcher {
    struct watcher *next;
    struct client *client; /* a use of it */
    struct slice header; /* owned */
};

enum run_state { RUN_QUEUED, RUN_RUNNING, RUN_DONE };

struct run {
    struct run *next_of_owner; /* older */
    struct run *next; /* in its context's queue */
    struct agent *agent;
    struct owner *owner;
    struct agent_context *context; /* NULL: it has gone, or has another run to do */
    char id[AGENT_ID_BYTES];
    char context_id[AGENT_ID_BYTES];
    uint64_t epoch;
    enum run_state state;
    bool foreign; /* of a person in Jupyter: told to watchers alone */
    bool continues; /* when nobody looks any more */
    bool silent, store_history, stop_on_error, allow_stdin;
    bool input_open;
    uint64_t number; /* in the context; 0: not submitted */
    uint32_t count; /* execution count, when it has started */
    uint64_t timeout_ms;
    bool kill_on_timeout;
    struct buffer header, metadata, content; /* owned: for the runner */
    uint64_t created_us, ended_us; /* the loop's clock */
    int64_t created_real_us;
    uint64_t started_us;
    uint64_t cpu_us; /* of the context, when it began */
    struct events *events; /* owned */
    struct tally *tally; /* owned; NULL when it has ended */
    struct viewer *viewers; /* owned */
    struct buffer outcome; /* owned: content of the reply */
};

struct agent_context {
    struct agent_context *next; /* of its owner */
    struct agent *agent;
    struct owner *owner;
    char id[AGENT_ID_BYTES];
    char name[AGENT_NAME_BYTES]; /* empty: none */
    const struct language *language;
    struct context *context; /* owned */
    struct workspace *workspace; /* owned, unless it is shared */
    struct shared *shared; /* a use of it; NULL: none */
    struct jupyter *jupyter; /* owned; NULL: not open */
    struct context_limits limits;
    enum sandbox_network network;
    json_t *labels; /* owned */
    char *cwd; /* owned */
    uint64_t idle_timeout_us; /* 0: never */
    uint64_t used_us;
    int64_t created_real_us, used_real_us;
    bool is_default; /* of its language */
    uint64_t generation; /* of a spare, when it was made */
    bool unborn; /* its maker was told that it could not be started */
    bool deleted; /* to be destroyed by the reaper */
    bool slow_readers, slow_jupyter; /* why its output is paused */
    uint64_t replaced; /* epoch whose end was asked for: what waited is refused */
    struct run *queue, **last; /* owned by their owner: first the one that runs */
    size_t queued;
    struct run *foreign; /* a run of Jupyter's that is under way; NULL: none */
    struct pending *pending; /* owned */
    struct watcher *watchers; /* owned */
};

/* Plain data; all borrowed, and outlives the agent. */
struct agent_options {
    struct loop *loop;
    struct spawner *spawner;
    const struct languages *languages;
    const struct agent_bounds *bounds;
    const char *const *addresses;
    size_t address_count;
    struct keys *keys; /* or NULL */
    bool anyone_may_run_code;
    const char *message_key; /* of all messages; empty: they are not signed */
    unsigned reserve; /* contexts that are kept ready, of each language in use */
    const char *connection_dir; /* for Jupyter's files; NULL: our own */
    enum sandbox_tier tier;
    const char *missing; /* for a full sandbox; NULL: nothing */
};

struct agent {
    const struct agent_options *options; /* borrowed */
    const struct agent_bounds *bounds; /* borrowed */
    struct loop *loop; /* borrowed */
    struct signature_key *key; /* owned, as are the next four */
    struct replay *replay;
    struct session *session;
    struct door *door;
    struct loop_timer *retry, *tick, *reaper;
    struct client *clients[AGENT_CLIENT_BUCKETS];
    struct owner *owners;
    struct spares *spares; /* owned */
    size_t context_count, jupyter_count;
    size_t letters; /* that wait, of all clients */
    uint64_t started_us;
    bool retry_armed, stopping;
    uint64_t dropped[WIRE_E_END];
    struct log_limit drop_limit, stranger_limit;
};

/* A request under way to its handler. Borrowed: from the door, until the next one. */
struct call {
    struct client *client;
    struct owner *owner;
    struct message *message;
    const struct request_row *row; /* NULL: not known */
    const char *reply; /* static: type of the answer; NULL: none */
    struct agent_context *context; /* the owner's; of rows that need one */
    struct run *run; /* likewise */
};

/* clients.c */
int client_get(struct client **ret, struct agent *agent, const struct door_message *from);
void client_use(struct client *client);
void client_leave(struct agent *agent, struct client *client);
void client_wait(struct agent *agent, struct client *client); /* a request waits */
void client_answered(struct client *client);

/* What is to be said to a client, in answer to the request with HEADER. */
struct client_message {
    const char *type;
    struct slice header, metadata, content;
    const struct slice *buffers;
    size_t buffer_count;
};

/* A reply: waits in the outbox when the client does not read. A client that lets too many
 * wait is gone. 0 or < 0. */
int client_reply(struct agent *agent, struct client *client,
                 const struct client_message *message);

/* An event: 0, DOOR_E_AGAIN, DOOR_E_GONE, < 0. */
int client_tell(struct agent *agent, struct client *client,
                const struct client_message *message);

/* Sends what waits in all outboxes, as far as there is room, and again soon. */
int clients_flush(struct agent *agent);
void clients_try_again(struct agent *agent); /* soon: outboxes, and who follows runs */

/* Tells those that wait that we live; finds out who is gone. */
int clients_keep_alive(struct agent *agent);
void clients_free(struct agent *agent);

/* owners.c */
int owner_get(struct owner **ret, struct agent *agent, const char *name);
bool owner_may_ask(struct agent *agent, struct owner *owner, uint64_t *ret_wait_ms);
void agent_make_id(char ret[AGENT_ID_BYTES], const char *prefix);
struct agent_context *owner_find_context(const struct owner *owner, const char *name);
struct run *owner_find_run(const struct owner *owner, const char *id);

/* requests.c */
int agent_serve_message(struct agent *agent, const struct door_message *from);

/* Answers CALL's request. CONTENT: raw JSON. */
int call_reply(struct agent *agent, const struct call *call, struct slice content);
int call_reply_tree(struct agent *agent, const struct call *call, const json_t *content);

/* contexts.c */
struct context_wish {
    const struct language *language;
    const char *name, *cwd, *workspace; /* or NULL */
    const json_t *env, *labels; /* or NULL */
    struct context_limits limits;
    bool has_limits; /* other ones than the defaults were asked for */
    enum sandbox_network network;
    uint64_t idle_timeout_us;
    bool is_default;
};

int agent_context_create(struct agent_context **ret, struct agent *agent,
                         struct owner *owner, const struct context_wish *wish,
                         struct refusal *no);

/* Refuses what waits, ends what runs; the rest follows when no callback is under way. */
int agent_context_delete(struct agent_context *context);
void agent_context_free(struct agent_context *context); /* calls nobody */

/* Refuses what waits; what comes from now on is for the fresh interpreter. 0 or < 0. */
int agent_context_restart(struct agent_context *context);
int agent_context_touch(struct agent_context *context); /* it is used */
int agent_context_pressure(struct agent_context *context);
int agent_context_open_jupyter(struct agent_context *context, struct refusal *no);
void agent_context_close_jupyter(struct agent_context *context);
void agent_context_remove_watchers(struct agent_context *context,
                                   const struct client *client);
int agent_contexts_tick(struct agent *agent);
int agent_contexts_reap(struct agent *agent);
int pending_add(struct agent_context *context, const struct call *call,
                enum pending_kind kind, struct pending **ret);
int pending_answer(struct agent *agent, struct pending *pending, struct slice content);
int pending_answer_tree(struct agent *agent, struct pending *pending,
                        const json_t *content);
int pending_refuse(struct agent *agent, struct pending *pending,
                   const struct refusal *no);
extern const struct context_observer agent_observer;
extern const struct kernel_host agent_kernel_host;

/* runs.c */
int run_create(struct run **ret, struct agent_context *context); /* in no list yet */
int run_submit_next(struct agent_context *context);
int run_tell(struct run *run, const char *type, struct slice content);
int run_started(struct run *run, uint32_t count);

/* One that has started: people in Jupyter, if there are, see it from now on. */
int run_show(struct run *run);
int run_told_text(struct run *run, bool is_stderr, struct slice text);
int run_told_frame(struct run *run, const struct frame *frame,
                   const struct context_reason *reason);
int run_done(struct run *run, const struct context_outcome *outcome);
int run_refuse(struct run *run, const struct refusal *no); /* one that never began */
size_t run_position(const struct run *run);

/* A run that waits is refused with NO; one that runs is interrupted. */
int run_cancel(struct run *run, const struct refusal *no, bool force);

/* Refuses all that wait in CONTEXT. */
int runs_refuse(struct agent_context *context, const struct refusal *no);
void run_free(struct run *run);
void runs_forget(struct agent *agent, struct owner *owner);

/* viewers.c */
int run_pump(struct run *run); /* tells all who follow what they have not got yet */
int runs_pump(struct agent *agent);
int run_add_viewer(struct run *run, const struct call *call, bool streams, uint64_t after,
                   bool attached);
void run_remove_viewers(struct run *run);
int run_lose_client(struct run *run, const struct client *client);

/* describe.c: as the protocol says it. New references; NULL: no memory. */
json_t *describe_context(const struct agent_context *context);
json_t *describe_run(const struct run *run);
json_t *describe_time(int64_t time_us);

/* outcome.c */

/* Appends the content of the reply for a run that has ended. 0, BUFFER_E_FULL, < 0. */
int outcome_append(struct buffer *ret, const struct run *run,
                   const struct context_outcome *outcome);

/* Appends the content of the error message for a lost interpreter. */
int outcome_append_loss(struct buffer *ret, const struct run *run,
                        const struct context_reason *reason);

/* The function of a request: answers it, or leaves that to later. 0, AGENT_E_REFUSED,
 * < 0. */
typedef int request_fn(struct agent *agent, struct call *call, struct refusal *no);
request_fn request_server_info, request_create_context, request_list_contexts,
    request_get_context, request_delete_context, request_restart_context,
    request_interrupt_context, request_run_code, request_attach, request_cancel,
    request_watch_context, request_complete, request_inspect, request_is_complete,
    request_input_reply, request_write_file, request_read_file, request_list_files,
    request_remove_file, request_make_directory, request_open_jupyter,
    request_close_jupyter;

/* ask.c */
int ask_done(struct agent_context *context, struct pending *pending,
             const struct context_outcome *outcome);

/* For serve. Opens the door. On success the caller owns *ret. > 0: see ERR. */
int agent_create(struct agent **ret, const struct agent_options *options,
                 struct error *err);
void agent_destroy(struct agent *agent); /* NULL is allowed */

/* Where clients find it. */
size_t agent_address_count(const struct agent *agent);
const char *agent_address(const struct agent *agent, size_t index);

/* Reads a batch. 0 or < 0. */
int agent_read(struct agent *agent);

/* All has been read for which the loop would not wake up. */
bool agent_may_wait(const struct agent *agent);

/* Refuses what waits and tells it, as far as clients read. */
int agent_stop(struct agent *agent);

/* Nothing waits for a client to read it. */
bool agent_is_drained(const struct agent *agent);

#endif

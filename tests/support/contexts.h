/* SPDX-License-Identifier: MIT */
/*
 * contexts - a real context for tests: the example runtime in the real sandbox
 *
 * Everything that the context tells is kept in order. Waiting means turning the loop
 * until it was told; a watchdog ends a test that waits in vain.
 */
#ifndef TESTS_SUPPORT_CONTEXTS_H
#define TESTS_SUPPORT_CONTEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contexts/context.h"
#include "protocol/buffer.h"

enum told_kind {
    TOLD_STARTED,
    TOLD_STREAM,
    TOLD_FRAME,
    TOLD_DONE,
    TOLD_STATE,
    TOLD_STUCK
};

/* One call of the observer, with copies of all it was given. */
struct told {
    enum told_kind kind;
    uint64_t number;
    bool is_stderr;
    enum frame_type type; /* of a frame, or of a reply: FRAME_REPLY, else 0 */
    uint16_t flags;
    char *text; /* owned: of a stream; content of a frame or of a reply; of a reason */
    char *metadata; /* owned: of a frame */
    struct context_outcome outcome; /* its pointers are not to be followed */
    char *stderr_tail; /* owned: of a reason */
    enum context_state state;
    uint64_t epoch;
    struct context_reason reason; /* of outcome or state; kind NONE: none */
    uint32_t execution_count;
    uint32_t buffer_count;
};

struct contexts {
    struct spawner *spawner;
    struct loop *loop;
    struct runtime *runtime;
    struct context *ctx;
    struct context_options options; /* changes count until contexts_start */
    char directory[64];
    struct told **told; /* owned; each stays where it is */
    size_t told_count;
    /* Called for each thing told, from within the observer's callback; may be NULL. */
    void (*hook)(struct contexts *c, const struct told *told);
    unsigned hooked; /* for the hook's own use */
};

/* cmocka's setup and teardown, with a launcher for each test: options are filled in and
 * nothing runs yet. Teardown sees to it that no process of the context is left. */
int contexts_setup(void **state);
int contexts_teardown(void **state);

/* A second context beside FROM's, with the same loop and options; it has tellings of its
 * own. FROM outlives it. */
void contexts_init_beside(struct contexts *ret, const struct contexts *from);
void contexts_fini_beside(struct contexts *c);

/* Creates the context and waits until it is ready. */
void contexts_start(struct contexts *c);
void contexts_create(struct contexts *c); /* without waiting */

/* Submits an execute request that is stored and stops on errors. Returns its number. */
uint64_t contexts_submit(struct contexts *c, const char *code);
uint64_t contexts_submit_request(struct contexts *c, struct context_request request,
                                 const char *code);
/* A request of another type, with CONTENT as JSON. */
uint64_t contexts_submit_other(struct contexts *c, enum frame_type type,
                               const char *content);

/* Each waits until that was told, and returns the telling. */
const struct told *contexts_wait_done(struct contexts *c, uint64_t number);
const struct told *contexts_wait_frame(struct contexts *c, enum frame_type type);
const struct told *contexts_wait_stuck(struct contexts *c);
void contexts_wait_text(struct contexts *c, uint64_t number, bool is_stderr,
                        const char *text); /* found anywhere in what was printed */
/* The state was told after FROM tellings. */
const struct told *contexts_wait_state(struct contexts *c, size_t from,
                                       enum context_state state);

/* Submits and waits. */
const struct told *contexts_run(struct contexts *c, const char *code);

/* Each runs CODE: it must not fail; must print EXPECTED, to the end; must fail. */
void contexts_run_well(struct contexts *c, const char *code);
void contexts_assert_prints(struct contexts *c, const char *code, const char *expected);
void contexts_assert_fails(struct contexts *c, const char *code);

/* Restarts the context and waits until it is ready again. */
void contexts_restart(struct contexts *c);

/* What NUMBER printed to one stream; the caller's to free. */
char *contexts_text(const struct contexts *c, uint64_t number, bool is_stderr);

/* A telling of KIND about NUMBER, or NULL. */
const struct told *contexts_find(const struct contexts *c, enum told_kind kind,
                                 uint64_t number);

/* Processes in the launcher's sandboxes; fds of this process. */
size_t contexts_count_processes(const struct contexts *c);
size_t contexts_count_fds(void);
void contexts_wait_processes(struct contexts *c, size_t count);

#endif

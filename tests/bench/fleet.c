/* SPDX-License-Identifier: MIT */
#include "tests/bench/fleet.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "contexts/loop.h"
#include "contexts/runtime.h"
#include "contexts/spawner.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/bench/measure.h"

#define PIDS_MAX 64
#define LOST_MS 120000 /* without any event: something is stuck */

struct fleet {
    struct spawner *spawner; /* owned */
    struct loop *loop; /* owned */
    struct runtime *runtime; /* owned */
    struct environment *environment; /* owned */
    struct context_options options;
    struct member **members; /* owned */
    size_t count, capacity;
    bool zygote_told; /* what became of the zygote */
};

struct member {
    struct fleet *fleet; /* borrowed */
    struct context *ctx; /* owned */
    bool is_open; /* a request is */
    bool is_run; /* it is an execute request, whose failure is not expected */
    double created_us, hello_us, sent_us, done_us;
    char *result; /* owned, or NULL */
};

static int
on_state(enum context_state state, uint64_t epoch, const struct context_reason *reason,
         void *arg)
{
    struct member *member = arg;

    (void)epoch;
    if (reason != NULL)
        measure_die("a context was lost: %s\n%s", reason->text, reason->stderr_tail);
    if (member->hello_us == 0 && (state == CONTEXT_IDLE || state == CONTEXT_BUSY))
        member->hello_us = measure_now_us();
    return 0;
}

static int
on_done(uint64_t number, const struct context_outcome *outcome, void *arg)
{
    struct member *member = arg;

    (void)number;
    if (outcome->end != CONTEXT_END_REPLY ||
        (member->is_run && (outcome->reply->flags & FRAME_FLAG_ERROR) != 0))
        measure_die("a run failed: %.*s",
                    outcome->reply != NULL ? (int)outcome->reply->content.length : 0,
                    outcome->reply != NULL ? (const char *)outcome->reply->content.data
                                           : "");
    member->done_us = measure_now_us();
    member->is_open = false;
    return 0;
}

static int
on_frame(const struct frame *frame, void *arg)
{
    struct member *member = arg;

    if (frame->type != FRAME_EXECUTE_RESULT)
        return 0;
    free(member->result);
    member->result = strndup((const char *)frame->content.data, frame->content.length);
    return member->result != NULL ? 0 : -ENOMEM;
}

static int
on_started(uint64_t number, uint32_t execution_count, void *arg)
{
    (void)number, (void)execution_count, (void)arg;
    return 0;
}

static int
on_stream(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    (void)number, (void)is_stderr, (void)text, (void)arg;
    return 0;
}

static int
on_stuck(uint64_t number, void *arg)
{
    (void)number, (void)arg;
    return 0;
}

static const struct context_observer observer = { .on_started = on_started,
                                                  .on_stream = on_stream,
                                                  .on_frame = on_frame,
                                                  .on_done = on_done,
                                                  .on_state = on_state,
                                                  .on_stuck = on_stuck };

static void
on_told(const char *text, void *arg)
{
    struct fleet *fleet = arg;

    fleet->zygote_told = true;
    if (getenv("BENCH_VERBOSE") != NULL)
        fprintf(stderr, "%s\n", text);
}

/* The one place that knows how contexts come into being. */
static void
make_spawner(struct fleet *fleet, const char *origin)
{
    struct error err = { 0 };
    int r;

    if (strcmp(origin, "exec") == 0 || strncmp(origin, "zygote", 6) == 0)
        r = spawner_create(&fleet->spawner, &err);
    else
        r = spawner_connect(&fleet->spawner, origin, &err);
    if (r != 0)
        measure_die("spawner: %s", r < 0 ? strerror(-r) : err.text);
}

/* The first context is made by exec, and its environment's zygote is started for it. */
static void
warm_zygote(struct fleet *fleet, const char *origin)
{
    const char *colon = strchr(origin, ':');
    unsigned reserve = colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;

    if (strncmp(origin, "zygote", 6) != 0)
        return;
    if (spawner_use_zygotes(fleet->spawner, reserve, on_told, fleet) != 0)
        measure_die("no zygotes");
    fleet_wait_hello(fleet_add(fleet));
    while (!fleet->zygote_told)
        fleet_turn(fleet);
    fleet_drop(fleet, 1);
}

static void
raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

struct fleet *
fleet_create(const struct fleet_options *options)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    struct error err = { 0 };

    if (fleet == NULL)
        measure_die("out of memory");
    raise_limits();
    make_spawner(fleet, options->origin);
    if (runtime_load(&fleet->runtime, options->runtimes, options->runtime, &err) != 0 ||
        environment_probe(&fleet->environment, fleet->runtime, options->python, &err) !=
            0)
        measure_die("%s", err.text);
    if (loop_create(&fleet->loop) != 0 ||
        spawner_attach(fleet->spawner, fleet->loop) != 0)
        measure_die("no loop");
    fleet->options = (struct context_options){
        .runtime = fleet->runtime,
        .spawner = fleet->spawner,
        .interpreter = fleet->environment->interpreter,
        .mounts = fleet->environment->mounts,
        .directory = options->directory,
        .limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK),
        .observer = &observer,
    };
    warm_zygote(fleet, options->origin);
    return fleet;
}

void
fleet_destroy(struct fleet *fleet)
{
    fleet_drop(fleet, fleet->count);
    spawner_destroy(fleet->spawner);
    loop_destroy(fleet->loop);
    environment_destroy(fleet->environment);
    runtime_destroy(fleet->runtime);
    free(fleet->members);
    free(fleet);
}

struct member *
fleet_add(struct fleet *fleet)
{
    struct member *member = calloc(1, sizeof *member);
    struct error err = { 0 };
    int r;

    if (fleet->count == fleet->capacity) {
        fleet->capacity = fleet->capacity == 0 ? 16 : 2 * fleet->capacity;
        fleet->members =
            reallocarray(fleet->members, fleet->capacity, sizeof *fleet->members);
    }
    if (member == NULL || fleet->members == NULL)
        measure_die("out of memory");
    member->fleet = fleet;
    member->created_us = measure_now_us();
    fleet->options.arg = member;
    r = context_create(&member->ctx, fleet->loop, &fleet->options, &err);
    if (r != 0)
        measure_die("context: %s", r < 0 ? strerror(-r) : err.text);
    fleet->members[fleet->count++] = member;
    return member;
}

size_t
fleet_count(const struct fleet *fleet)
{
    return fleet->count;
}

struct member *
fleet_member(const struct fleet *fleet, size_t index)
{
    return fleet->members[index];
}

/* Processes end behind the loop's back, so it is asked again and again. */
static void
wait_end(struct fleet *fleet, pid_t init)
{
    while (init > 0 && kill(init, 0) == 0)
        if (loop_wait(fleet->loop, 0) < 0)
            measure_die("the loop has stopped");
}

void
fleet_drop(struct fleet *fleet, size_t count)
{
    size_t left = fleet->count - count;
    CLEANUP(freep) pid_t *inits = calloc(count + 1, sizeof *inits);

    if (inits == NULL)
        measure_die("out of memory");
    for (size_t i = left; i < fleet->count; i++) {
        int pids[PIDS_MAX];

        if (context_pids(fleet->members[i]->ctx, pids, PIDS_MAX) > 0)
            inits[i - left] = pids[0];
        context_destroy(fleet->members[i]->ctx);
        free(fleet->members[i]->result);
        free(fleet->members[i]);
    }
    fleet->count = left;
    for (size_t i = 0; i < count; i++)
        wait_end(fleet, inits[i]);
}

static void
submit(struct member *member, struct context_request *request)
{
    struct error err = { 0 };
    uint64_t number;

    request->header = slice_text("{\"msg_id\":\"bench\"}");
    request->metadata = slice_text("{}");
    member->is_open = true;
    member->is_run = request->type == FRAME_EXECUTE_REQUEST;
    member->sent_us = measure_now_us();
    if (context_submit(member->ctx, request, &number, &err) != 0)
        measure_die("a request was refused: %s", err.text);
}

void
fleet_run(struct member *member, const char *code)
{
    struct context_request request = { .type = FRAME_EXECUTE_REQUEST,
                                       .store_history = true,
                                       .stop_on_error = true };
    CLEANUP(freep) char *content = NULL;

    if (asprintf(&content, "{\"code\":%s,\"silent\":false,\"allow_stdin\":false}", code) <
        0)
        measure_die("out of memory");
    request.content = slice_text(content);
    submit(member, &request);
}

void
fleet_ask(struct member *member)
{
    struct context_request request = { .type = FRAME_IS_COMPLETE_REQUEST,
                                       .content = slice_text("{\"code\":\"1\"}") };

    submit(member, &request);
}

void
fleet_turn(struct fleet *fleet)
{
    double before_us = measure_now_us();

    if (loop_wait(fleet->loop, LOST_MS) < 0)
        measure_die("the loop has stopped");
    if (measure_now_us() - before_us > LOST_MS * 1e3)
        measure_die("nothing has happened for %d s", LOST_MS / 1000);
}

void
fleet_pause(struct fleet *fleet, size_t ms)
{
    double end_us = measure_now_us() + (double)ms * 1e3, left_us = (double)ms * 1e3;

    while (left_us > 0) {
        if (loop_wait(fleet->loop, (int)(left_us / 1e3) + 1) < 0)
            measure_die("the loop has stopped");
        left_us = end_us - measure_now_us();
    }
}

void
fleet_wait_hello(struct member *member)
{
    while (member->hello_us == 0)
        fleet_turn(member->fleet);
}

void
fleet_wait_done(struct member *member)
{
    while (member->is_open)
        fleet_turn(member->fleet);
}

bool
fleet_is_done(const struct member *member)
{
    return !member->is_open;
}

double
fleet_created_us(const struct member *member)
{
    return member->created_us;
}

double
fleet_hello_us(const struct member *member)
{
    return member->hello_us;
}

double
fleet_sent_us(const struct member *member)
{
    return member->sent_us;
}

double
fleet_done_us(const struct member *member)
{
    return member->done_us;
}

const char *
fleet_result(const struct member *member)
{
    return member->result != NULL ? member->result : "null";
}

static bool
add_memory(pid_t pid, uint64_t *private_kib, uint64_t *pss_kib)
{
    char path[64], line[256];
    unsigned long long kib;
    FILE *in;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    in = fopen(path, "re");
    if (in == NULL)
        return false;
    while (fgets(line, sizeof line, in) != NULL) {
        if (sscanf(line, "Private_Dirty: %llu", &kib) == 1 ||
            sscanf(line, "Private_Clean: %llu", &kib) == 1)
            *private_kib += kib;
        else if (sscanf(line, "Pss: %llu", &kib) == 1)
            *pss_kib += kib;
    }
    fclose(in);
    return true;
}

bool
fleet_memory(const struct fleet *fleet, struct fleet_memory *ret)
{
    *ret = (struct fleet_memory){ 0 };
    for (size_t i = 0; i < fleet->count; i++) {
        int pids[PIDS_MAX];
        size_t count = context_pids(fleet->members[i]->ctx, pids, PIDS_MAX);

        for (size_t p = 0; p < count; p++)
            if (!add_memory(pids[p], p == 0 ? &ret->init_private : &ret->runner_private,
                            p == 0 ? &ret->init_pss : &ret->runner_pss))
                return false;
    }
    return fleet->count > 0;
}

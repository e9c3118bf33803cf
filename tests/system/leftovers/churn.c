/* SPDX-License-Identifier: MIT */
/*
 * churn - makes contexts and ends them at random moments
 *
 *     churn RUNTIMES RUNTIME PYTHON|- DIRECTORY ORIGIN
 * ORIGIN: "exec"; "zygote", with a reserve; or the address of a server. Each line of
 * standard input, "COUNT SEED CODE...", ends that many contexts and is answered by a
 * line: how many were ended in which way. CODE, a JSON string, is what they run. Between
 * lines the loop turns, so that whoever looks from outside sees a server at rest.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "contexts/context.h"
#include "contexts/loop.h"
#include "contexts/runtime.h"
#include "contexts/spawner.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define SLOTS 8 /* contexts that live at the same time */
#define RESERVE 2
#define DELAY_MAX_US 12000 /* about what a create takes */
#define LOST_US (60 * UINT64_C(1000000)) /* without the awaited: something is stuck */
#define LINE_BYTES 4096
#define PIDS_MAX 64

/* When a context's end comes; then a random delay follows. */
enum moment { AT_ONCE, WHILE_BUILDING, AT_HELLO, IN_A_CELL, AFTER_A_CELL, MOMENTS };
/* How it comes. */
enum way { DESTROYED, INIT_KILLED, ALL_KILLED, RESTARTED, STOPPED, INTERRUPTED, WAYS };

static const char *const moment_names[] = { "at once", "while building", "at hello",
                                            "in a cell", "after a cell" };
static const char *const way_names[] = { "destroyed", "init killed", "all killed",
                                         "restarted", "stopped",     "interrupted" };
_Static_assert(N_ELEMENTS(moment_names) == MOMENTS, "one for each");
_Static_assert(N_ELEMENTS(way_names) == WAYS, "one for each");

struct churn;

struct slot {
    struct churn *churn;
    struct context *ctx; /* owned, or NULL */
    enum moment moment;
    enum way way;
    bool is_due; /* the moment has come */
    bool is_ending; /* the way was gone: destroy it at the second due time */
    uint64_t due_us, made_us;
};

struct churn {
    struct spawner *spawner;
    struct loop *loop;
    struct runtime *runtime;
    struct environment *environment;
    struct context_options options;
    struct slot slots[SLOTS];
    uint64_t state; /* of the random numbers */
    size_t left, living; /* to be made; of slots */
    size_t moments[MOMENTS], ways[WAYS];
    bool is_ready; /* the zygote has said so */
    bool at_end; /* of input */
    bool is_calm;
    bool by_zygote;
    char line[LINE_BYTES];
    size_t length;
    char code[LINE_BYTES];
};

static _Noreturn void
die(const char *what, const char *why)
{
    fprintf(stderr, "churn: %s: %s\n", what, why);
    exit(1);
}

/* xorshift: the same sequence for the same seed, everywhere. */
static uint64_t
random_below(struct churn *churn, uint64_t bound)
{
    churn->state ^= churn->state << 13;
    churn->state ^= churn->state >> 7;
    churn->state ^= churn->state << 17;
    return churn->state % bound;
}

static void
set_due(struct slot *slot)
{
    slot->is_due = true;
    slot->due_us =
        loop_now_us(slot->churn->loop) + random_below(slot->churn, DELAY_MAX_US);
}

static void
reach(struct slot *slot, enum moment moment)
{
    if (!slot->is_due && slot->moment <= moment)
        set_due(slot);
}

static int
on_state(enum context_state state, uint64_t epoch, const struct context_reason *reason,
         void *arg)
{
    struct slot *slot = arg;

    (void)epoch;
    if (reason != NULL) /* whatever ended it, its end has come */
        reach(slot, AFTER_A_CELL);
    else if (state == CONTEXT_IDLE || state == CONTEXT_BUSY)
        reach(slot, AT_HELLO);
    return 0;
}

static int
on_started(uint64_t number, uint32_t execution_count, void *arg)
{
    (void)number, (void)execution_count;
    reach(arg, IN_A_CELL);
    return 0;
}

static int
on_done(uint64_t number, const struct context_outcome *outcome, void *arg)
{
    (void)number, (void)outcome;
    reach(arg, AFTER_A_CELL);
    return 0;
}

static int
on_stream(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    (void)number, (void)is_stderr, (void)text, (void)arg;
    return 0;
}

static int
on_frame(const struct frame *frame, void *arg)
{
    (void)frame, (void)arg;
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
submit(struct slot *slot)
{
    struct context_request request = { .type = FRAME_EXECUTE_REQUEST,
                                       .header = slice_text("{\"msg_id\":\"churn\"}"),
                                       .metadata = slice_text("{}") };
    struct error err = { 0 };
    char content[LINE_BYTES + 64];
    uint64_t number;

    snprintf(content, sizeof content, "{\"code\":%s,\"silent\":true}", slot->churn->code);
    request.content = slice_text(content);
    if (context_submit(slot->ctx, &request, &number, &err) < 0)
        die("submit", err.text);
}

static void
make(struct slot *slot)
{
    struct churn *churn = slot->churn;
    struct error err = { 0 };
    int r;

    slot->moment =
        churn->is_calm ? AFTER_A_CELL : (enum moment)random_below(churn, MOMENTS);
    slot->way = churn->is_calm ? DESTROYED : (enum way)random_below(churn, WAYS);
    slot->is_due = slot->is_ending = false;
    slot->made_us = loop_now_us(churn->loop);
    churn->options.arg = slot;
    churn->options.die_with_child = random_below(churn, 2) == 0;
    r = context_create(&slot->ctx, churn->loop, &churn->options, &err);
    if (r != 0)
        die("create", r < 0 ? strerror(-r) : err.text);
    churn->left--;
    churn->living++;
    churn->moments[slot->moment]++;
    if (slot->moment == AT_ONCE) {
        context_destroy(slot->ctx); /* before the loop has turned */
        slot->ctx = NULL;
        churn->living--;
        return;
    }
    churn->ways[slot->way]++;
    if (slot->moment >= IN_A_CELL || random_below(churn, 2) == 0)
        submit(slot);
    if (slot->moment == WHILE_BUILDING)
        set_due(slot);
}

static void
kill_some(const struct slot *slot, bool all)
{
    int pids[PIDS_MAX];
    size_t count = context_pids(slot->ctx, pids, PIDS_MAX);

    for (size_t i = 0; i < (all ? count : count > 0); i++)
        if (pids[i] > 1) /* 0: init has ended by itself */
            kill(pids[i], SIGKILL);
}

static void
end(struct slot *slot)
{
    bool is_young = context_state(slot->ctx) == CONTEXT_STARTING;

    slot->is_ending = true;
    if (slot->way <= ALL_KILLED && slot->churn->by_zygote && is_young)
        slot->way = DESTROYED; /* such a kill may be a zygote's end, too */
    switch (slot->way) {
    case INIT_KILLED:
    case ALL_KILLED:
        kill_some(slot, slot->way == ALL_KILLED);
        break;
    case RESTARTED:
        context_restart(slot->ctx);
        break;
    case STOPPED:
        context_stop(slot->ctx, random_below(slot->churn, 5));
        break;
    case INTERRUPTED:
        context_interrupt(slot->ctx, true);
        break;
    case DESTROYED:
    case WAYS:
        slot->due_us = 0;
        return;
    }
    set_due(slot);
}

static void
step(struct slot *slot)
{
    struct churn *churn = slot->churn;
    uint64_t now = loop_now_us(churn->loop);

    if (slot->ctx == NULL) {
        if (churn->left > 0)
            make(slot);
        return;
    }
    if (!slot->is_due && now > slot->made_us + LOST_US)
        die(moment_names[slot->moment], "never came");
    if (!slot->is_due || now < slot->due_us)
        return;
    if (!slot->is_ending)
        end(slot);
    if (now >= slot->due_us) {
        context_destroy(slot->ctx);
        slot->ctx = NULL;
        churn->living--;
    }
}

static void
answer(struct churn *churn)
{
    for (size_t i = 0; i < MOMENTS; i++)
        printf("%s %zu, ", moment_names[i], churn->moments[i]);
    for (size_t i = 0; i < WAYS; i++)
        printf("%s %zu%s", way_names[i], churn->ways[i], i + 1 < WAYS ? ", " : "\n");
    fflush(stdout);
}

static void
obey(struct churn *churn, char *line)
{
    char *rest;

    churn->left = strtoul(line, &rest, 10);
    churn->state = strtoull(rest, &rest, 10);
    churn->is_calm = churn->state == 0;
    churn->state = churn->state * 2 + 1; /* never 0 */
    snprintf(churn->code, sizeof churn->code, "%s", rest);
}

/* One line at a time: the next comes after the answer. */
static int
on_input(int fd, uint32_t events, void *arg)
{
    struct churn *churn = arg;
    ssize_t n =
        read(fd, churn->line + churn->length, sizeof churn->line - 1 - churn->length);

    (void)events;
    if (n <= 0) {
        churn->at_end = true;
        return 0;
    }
    churn->length += (size_t)n;
    churn->line[churn->length] = '\0';
    if (churn->line[churn->length - 1] == '\n') {
        churn->line[churn->length - 1] = '\0';
        churn->length = 0;
        obey(churn, churn->line);
    }
    return 0;
}

static void
on_told(const char *text, void *arg)
{
    struct churn *churn = arg;

    churn->is_ready = strstr(text, ": ready") != NULL || churn->is_ready;
    fprintf(stderr, "%s\n", text);
}

/* The zygote is started for the first context that could use it. */
static void
warm_up(struct churn *churn)
{
    struct context *first = NULL;
    struct slot none = { .churn = churn };

    if (spawner_use_zygotes(churn->spawner, RESERVE, on_told, churn) != 0)
        die("zygotes", "none");
    churn->options.arg = &none;
    if (context_create(&first, churn->loop, &churn->options, NULL) != 0)
        die("first context", "none");
    while (!churn->is_ready)
        if (loop_wait(churn->loop, -1) < 0)
            die("loop", "stopped");
    context_destroy(first);
}

static void
set_up(struct churn *churn, char **argv)
{
    const char *python = strcmp(argv[3], "-") == 0 ? NULL : argv[3];
    bool is_zygote = strcmp(argv[5], "zygote") == 0;
    struct error err = { 0 };
    int r = is_zygote || strcmp(argv[5], "exec") == 0
                ? spawner_create(&churn->spawner, &err)
                : spawner_connect(&churn->spawner, argv[5], &err);

    if (r != 0 || runtime_load(&churn->runtime, argv[1], argv[2], &err) != 0 ||
        environment_probe(&churn->environment, churn->runtime, python, &err) != 0)
        die("setup", err.text);
    if (loop_create(&churn->loop) != 0 ||
        spawner_attach(churn->spawner, churn->loop) != 0)
        die("loop", "none");
    churn->options = (struct context_options){
        .runtime = churn->runtime,
        .spawner = churn->spawner,
        .interpreter = churn->environment->interpreter,
        .mounts = churn->environment->mounts,
        .directory = argv[4],
        .limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK),
        .observer = &observer,
    };
    for (size_t i = 0; i < SLOTS; i++)
        churn->slots[i].churn = churn;
    churn->by_zygote = strcmp(argv[5], "exec") != 0;
    if (is_zygote)
        warm_up(churn);
}

static void
run(struct churn *churn)
{
    bool is_busy = false;

    while (!churn->at_end || churn->living > 0) {
        is_busy = churn->left > 0 || churn->living > 0;
        if (loop_wait(churn->loop, is_busy ? 1 : -1) < 0)
            die("loop", "stopped");
        for (size_t i = 0; i < SLOTS; i++)
            step(&churn->slots[i]);
        if (is_busy && churn->left == 0 && churn->living == 0)
            answer(churn);
    }
}

int
main(int argc, char **argv)
{
    static struct churn churn;
    struct loop_source *input = NULL;

    if (argc != 6)
        die("usage", "churn RUNTIMES RUNTIME PYTHON|- DIRECTORY ORIGIN");
    set_up(&churn, argv);
    if (loop_add_fd(&input, churn.loop, STDIN_FILENO, EPOLLIN, on_input, &churn) != 0)
        die("input", "none");
    printf("ready\n");
    fflush(stdout);
    run(&churn);
    loop_source_destroy(input);
    spawner_destroy(churn.spawner);
    loop_destroy(churn.loop);
    environment_destroy(churn.environment);
    runtime_destroy(churn.runtime);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "tests/support/contexts.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "contexts/processes.h"
#include "contexts/runtime.h"
#include "contexts/spawner.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"

#define WATCHDOG_S 100
#define TOLD_MAX 400000
#define PROCESSES_MAX 4096

static struct told *
tell(struct contexts *c, enum told_kind kind, uint64_t number)
{
    struct told *told;

    assert_true(c->told_count < TOLD_MAX);
    if ((c->told_count & (c->told_count - 1)) == 0) {
        size_t room = c->told_count == 0 ? 1 : 2 * c->told_count;

        c->told = reallocarray(c->told, room, sizeof *c->told);
        assert_non_null(c->told);
    }
    told = malloc(sizeof *told);
    assert_non_null(told);
    *told = (struct told){ .kind = kind, .number = number };
    c->told[c->told_count++] = told;
    return told;
}

static int
call_hook(struct contexts *c)
{
    if (c->hook != NULL)
        c->hook(c, c->told[c->told_count - 1]);
    return 0;
}

static char *
copy(struct slice slice)
{
    char *text = malloc(slice.length + 1);

    assert_non_null(text);
    if (slice.length > 0)
        memcpy(text, slice.data, slice.length);
    text[slice.length] = '\0';
    return text;
}

static int
on_started(uint64_t number, uint32_t execution_count, void *arg)
{
    struct told *told = tell(arg, TOLD_STARTED, number);

    told->execution_count = execution_count;
    return call_hook(arg);
}

static int
on_stream(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    struct told *told = tell(arg, TOLD_STREAM, number);

    assert_true(text.length > 0);
    assert_true(text_is_utf8(text.data, text.length));
    told->is_stderr = is_stderr;
    told->text = copy(text);
    return call_hook(arg);
}

static int
on_frame(const struct frame *frame, void *arg)
{
    struct told *told = tell(arg, TOLD_FRAME, frame->number);

    told->type = frame->type;
    told->text = copy(frame->content);
    told->metadata = copy(frame->metadata);
    told->buffer_count = frame->buffer_count;
    return call_hook(arg);
}

static void
keep_reason(struct told *told, const struct context_reason *reason)
{
    told->reason = *reason;
    if (told->text == NULL)
        told->text = copy(slice_text(reason->text));
    told->stderr_tail = copy(slice_text(reason->stderr_tail));
    told->reason.text = told->reason.stderr_tail = NULL;
}

static int
on_done(uint64_t number, const struct context_outcome *outcome, void *arg)
{
    struct told *told = tell(arg, TOLD_DONE, number);

    told->outcome = *outcome;
    told->outcome.reply = NULL;
    told->execution_count = outcome->execution_count;
    assert_int_equal(outcome->end == CONTEXT_END_REPLY, outcome->reply != NULL);
    if (outcome->reply != NULL) {
        assert_int_equal(outcome->reply->type, FRAME_REPLY);
        told->type = FRAME_REPLY;
        told->flags = outcome->reply->flags;
        told->text = copy(outcome->reply->content);
    }
    keep_reason(told, &outcome->reason);
    return call_hook(arg);
}

static int
on_state(enum context_state state, uint64_t epoch, const struct context_reason *reason,
         void *arg)
{
    struct told *told = tell(arg, TOLD_STATE, 0);

    told->state = state;
    told->epoch = epoch;
    if (reason != NULL)
        keep_reason(told, reason);
    return call_hook(arg);
}

static int
on_stuck(uint64_t number, void *arg)
{
    tell(arg, TOLD_STUCK, number);
    return call_hook(arg);
}

static const struct context_observer observer = { .on_started = on_started,
                                                  .on_stream = on_stream,
                                                  .on_frame = on_frame,
                                                  .on_done = on_done,
                                                  .on_state = on_state,
                                                  .on_stuck = on_stuck };

/* The runner may be built with a sanitizer, whose leak check needs ptrace. */
static const char *const environment[] = { "ASAN_OPTIONS=detect_leaks=0", NULL };

int
contexts_setup(void **state)
{
    struct contexts *c = calloc(1, sizeof *c);
    struct error err = { 0 };

    assert_non_null(c);
    alarm(WATCHDOG_S);
    setvbuf(stdout, NULL, _IOLBF, 0); /* so that one sees which test it ended */
    if (spawner_create(&c->spawner, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(loop_create(&c->loop), 0);
    assert_int_equal(spawner_attach(c->spawner, c->loop), 0);
    if (runtime_load(&c->runtime, CELLWALL_TEST_RUNTIMES, "example", &err) != 0)
        fail_msg("%s", err.text);
    strcpy(c->directory, "/tmp/cellwall-test-XXXXXX");
    assert_non_null(mkdtemp(c->directory));
    c->options = (struct context_options){
        .runtime = c->runtime,
        .spawner = c->spawner,
        .directory = c->directory,
        .env = environment,
        .limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK),
        .observer = &observer,
        .arg = c,
    };
    *state = c;
    return 0;
}

static int
remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static void
forget_told(struct contexts *c)
{
    for (size_t i = 0; i < c->told_count; i++) {
        free(c->told[i]->text);
        free(c->told[i]->metadata);
        free(c->told[i]->stderr_tail);
        free(c->told[i]);
    }
    free(c->told);
}

void
contexts_init_beside(struct contexts *ret, const struct contexts *from)
{
    *ret = (struct contexts){ .spawner = from->spawner,
                              .loop = from->loop,
                              .runtime = from->runtime,
                              .options = from->options };
    ret->options.arg = ret;
}

void
contexts_fini_beside(struct contexts *c)
{
    context_destroy(c->ctx);
    forget_told(c);
}

int
contexts_teardown(void **state)
{
    struct contexts *c = *state;

    context_destroy(c->ctx);
    contexts_wait_processes(c, 0);
    spawner_destroy(c->spawner);
    loop_destroy(c->loop);
    runtime_destroy(c->runtime);
    nftw(c->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    forget_told(c);
    free(c);
    alarm(0);
    return 0;
}

void
contexts_create(struct contexts *c)
{
    struct error err = { 0 };

    if (context_create(&c->ctx, c->loop, &c->options, &err) != 0)
        fail_msg("%s", err.text);
}

void
contexts_start(struct contexts *c)
{
    const struct told *told;

    contexts_create(c);
    told = contexts_wait_state(c, 0, CONTEXT_IDLE);
    for (size_t i = 0; c->told[i] != told; i++)
        if (c->told[i]->kind == TOLD_STATE && c->told[i]->text != NULL)
            fail_msg("%s: %s", c->told[i]->text, c->told[i]->stderr_tail);
}

uint64_t
contexts_submit_request(struct contexts *c, struct context_request request,
                        const char *code)
{
    struct buffer content;
    struct error err = { 0 };
    uint64_t number;

    buffer_init(&content, (size_t)1 << 24);
    assert_int_equal(buffer_append_text(&content, "{\"code\":"), 0);
    assert_int_equal(text_append_json(&content, code, strlen(code)), 0);
    assert_int_equal(buffer_append_format(&content,
                                          ",\"silent\":%s,\"allow_stdin\":true}",
                                          request.silent ? "true" : "false"),
                     0);
    request.type = FRAME_EXECUTE_REQUEST;
    request.header = slice_text("{\"msg_id\":\"test\"}");
    request.metadata = slice_text("{}");
    request.content = buffer_slice(&content);
    if (context_submit(c->ctx, &request, &number, &err) != 0)
        fail_msg("%s", err.text);
    buffer_fini(&content);
    return number;
}

uint64_t
contexts_submit(struct contexts *c, const char *code)
{
    return contexts_submit_request(
        c, (struct context_request){ .store_history = true, .stop_on_error = true },
        code);
}

uint64_t
contexts_submit_other(struct contexts *c, enum frame_type type, const char *content)
{
    struct context_request request = { .type = type, .content = slice_text(content) };
    uint64_t number;

    assert_int_equal(context_submit(c->ctx, &request, &number, NULL), 0);
    return number;
}

static void
turn(struct contexts *c)
{
    assert_int_equal(loop_wait(c->loop, -1), 0);
}

const struct told *
contexts_find(const struct contexts *c, enum told_kind kind, uint64_t number)
{
    for (size_t i = 0; i < c->told_count; i++)
        if (c->told[i]->kind == kind && c->told[i]->number == number)
            return c->told[i];
    return NULL;
}

const struct told *
contexts_wait_done(struct contexts *c, uint64_t number)
{
    for (size_t i = 0;; i++) {
        while (i == c->told_count)
            turn(c);
        if (c->told[i]->kind == TOLD_DONE && c->told[i]->number == number)
            return c->told[i];
    }
}

const struct told *
contexts_wait_frame(struct contexts *c, enum frame_type type)
{
    for (size_t i = 0;; i++) {
        while (i == c->told_count)
            turn(c);
        if (c->told[i]->kind == TOLD_FRAME && c->told[i]->type == type)
            return c->told[i];
    }
}

const struct told *
contexts_wait_stuck(struct contexts *c)
{
    for (size_t i = 0;; i++) {
        while (i == c->told_count)
            turn(c);
        if (c->told[i]->kind == TOLD_STUCK)
            return c->told[i];
    }
}

const struct told *
contexts_wait_state(struct contexts *c, size_t from, enum context_state state)
{
    for (size_t i = from;; i++) {
        while (i == c->told_count)
            turn(c);
        if (c->told[i]->kind == TOLD_STATE && c->told[i]->state == state)
            return c->told[i];
    }
}

void
contexts_wait_text(struct contexts *c, uint64_t number, bool is_stderr, const char *text)
{
    for (bool found = false; !found;) {
        char *all = contexts_text(c, number, is_stderr);

        found = strstr(all, text) != NULL;
        free(all);
        if (!found)
            turn(c);
    }
}

const struct told *
contexts_run(struct contexts *c, const char *code)
{
    return contexts_wait_done(c, contexts_submit(c, code));
}

char *
contexts_text(const struct contexts *c, uint64_t number, bool is_stderr)
{
    struct buffer all;

    buffer_init(&all, SIZE_MAX);
    for (size_t i = 0; i < c->told_count; i++) {
        const struct told *told = c->told[i];

        if (told->kind == TOLD_STREAM && told->number == number &&
            told->is_stderr == is_stderr)
            assert_int_equal(buffer_append_text(&all, told->text), 0);
    }
    assert_int_equal(buffer_append(&all, "", 1), 0);
    return (char *)all.data;
}

static bool
is_keeper(int pid)
{
    char path[64], name[32] = "";
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    file = fopen(path, "re");
    if (file == NULL || fgets(name, sizeof name, file) == NULL)
        name[0] = '\0';
    if (file != NULL)
        fclose(file);
    return strcmp(name, "cellwall-keeper\n") == 0;
}

size_t
contexts_count_processes(const struct contexts *c)
{
    static int pids[PROCESSES_MAX];
    size_t count = processes_tree(spawner_pid(c->spawner), pids, PROCESSES_MAX);
    size_t found = 0;

    for (size_t i = 1; i < count; i++)
        found += !is_keeper(pids[i]);
    return found;
}

size_t
contexts_count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 3; /* ".", ".." and the folder itself */
}

/* Ends of processes are no events of the loop: this is a poll, bounded by the watchdog.
 */
void
contexts_wait_processes(struct contexts *c, size_t count)
{
    while (contexts_count_processes(c) != count)
        assert_int_equal(loop_wait(c->loop, 1), 0);
}

void
contexts_run_well(struct contexts *c, const char *code)
{
    const struct told *done = contexts_run(c, code);

    if (done->outcome.end != CONTEXT_END_REPLY || done->flags != 0)
        fail_msg("%s: %s", code, done->text);
}

void
contexts_assert_prints(struct contexts *c, const char *code, const char *expected)
{
    uint64_t number = contexts_submit(c, code);
    CLEANUP(freep) char *text = NULL;

    contexts_wait_done(c, number);
    text = contexts_text(c, number, false);
    assert_string_equal(text, expected);
}

void
contexts_assert_fails(struct contexts *c, const char *code)
{
    const struct told *done = contexts_run(c, code);

    assert_int_equal(done->outcome.end, CONTEXT_END_REPLY);
    assert_int_not_equal(done->flags, 0);
}

void
contexts_restart(struct contexts *c)
{
    size_t from = c->told_count;

    assert_int_equal(context_restart(c->ctx), 0);
    contexts_wait_state(c, from, CONTEXT_STARTING);
    contexts_wait_state(c, from, CONTEXT_IDLE);
}

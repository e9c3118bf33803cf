/* SPDX-License-Identifier: MIT */
/*
 * host - owns a context, uses it, and lets people look into it with Jupyter
 *
 *     host RUNTIMES RUNTIME PYTHON|- CONNECTION_DIR|- NAME
 * Each line of standard input is a JSON object that says what is to be done ("do", see
 * deeds), each line of standard output one that says what has happened ("told"). It ends
 * when standard input does.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "contexts/runtime.h"
#include "contexts/spawner.h"
#include "kernel/agent/jupyter.h"
#include "kernel/agent/jupyter_files.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"

#define LINE_BYTES ((size_t)1 << 20)
#define QUEUE_MS 500 /* of a completion: as the service has it */

struct host {
    struct spawner *spawner;
    struct loop *loop;
    struct runtime *runtime;
    struct environment *environment;
    struct context *ctx;
    struct jupyter *jupyter;
    struct loop_source *input;
    struct context_limits limits;
    const char *connection_dir;
    const char *name;
    struct buffer line;
    bool ended;
};

static void
die(const char *what, const struct error *err)
{
    fprintf(stderr, "host: %s: %s\n", what, err != NULL ? err->text : strerror(errno));
    exit(EXIT_FAILURE);
}

static void
check(int r, const char *what, const struct error *err)
{
    if (r != 0)
        die(what, err);
}

/* Takes OBJECT. */
static int
tell(const char *what, json_t *object)
{
    json_object_set_new(object, "told", json_string(what));
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(object);
    return 0;
}

static json_t *
value_of(struct slice text)
{
    return json_loadb((const char *)text.data, text.length, JSON_DECODE_ANY, NULL);
}

static int
on_started(uint64_t number, uint32_t execution_count, void *arg)
{
    struct host *host = arg;
    struct kernel_run run;

    if (host->jupyter == NULL)
        return 0;
    if (jupyter_find_run(host->jupyter, number, &run))
        tell("theirs",
             json_pack("{s:I, s:i, s:b, s:o, s:o*}", "number", (json_int_t)number,
                       "count", (int)execution_count, "silent", run.silent, "header",
                       value_of(run.header), "code", value_of(run.code)));
    return jupyter_observer.on_started(number, execution_count, host->jupyter);
}

static int
on_stream(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    struct host *host = arg;

    tell("stream", json_pack("{s:I, s:s%}", "number", (json_int_t)number, "text",
                             text.data, text.length));
    return host->jupyter != NULL
               ? jupyter_observer.on_stream(number, is_stderr, text, host->jupyter)
               : 0;
}

static int
on_frame(const struct frame *frame, void *arg)
{
    struct host *host = arg;

    tell("frame",
         json_pack("{s:I, s:s, s:o}", "number", (json_int_t)frame->number, "type",
                   frame_type_name(frame->type), "content", value_of(frame->content)));
    return host->jupyter != NULL ? jupyter_observer.on_frame(frame, host->jupyter) : 0;
}

static int
on_done(uint64_t number, const struct context_outcome *outcome, void *arg)
{
    static const char *const ends[] = { [CONTEXT_END_REPLY] = "reply",
                                        [CONTEXT_END_ABORTED] = "aborted",
                                        [CONTEXT_END_EXPIRED] = "expired",
                                        [CONTEXT_END_LOST] = "lost" };
    struct host *host = arg;

    tell("done",
         json_pack("{s:I, s:s, s:o*}", "number", (json_int_t)number, "end",
                   ends[outcome->end], "reply",
                   outcome->reply != NULL ? value_of(outcome->reply->content) : NULL));
    return host->jupyter != NULL
               ? jupyter_observer.on_done(number, outcome, host->jupyter)
               : 0;
}

static int
on_state(enum context_state state, uint64_t epoch, const struct context_reason *reason,
         void *arg)
{
    struct host *host = arg;

    tell("state",
         json_pack("{s:s, s:I, s:s*}", "state", context_state_name(state), "epoch",
                   (json_int_t)epoch, "reason", reason != NULL ? reason->text : NULL));
    return host->jupyter != NULL
               ? jupyter_observer.on_state(state, epoch, reason, host->jupyter)
               : 0;
}

static int
on_stuck(uint64_t number, void *arg)
{
    struct host *host = arg;

    return host->jupyter != NULL ? jupyter_observer.on_stuck(number, host->jupyter) : 0;
}

static const struct context_observer observer = { .on_started = on_started,
                                                  .on_stream = on_stream,
                                                  .on_frame = on_frame,
                                                  .on_done = on_done,
                                                  .on_state = on_state,
                                                  .on_stuck = on_stuck };

static int
on_restart(void *arg)
{
    struct host *host = arg;

    tell("restart wanted", json_object());
    return context_restart(host->ctx);
}

static int
on_pressure(bool high, void *arg)
{
    struct host *host = arg;

    tell("pressure", json_pack("{s:b}", "high", high));
    context_pause_output(host->ctx, high);
    return 0;
}

static int
on_end(void *arg)
{
    (void)arg;
    return tell("ended", json_object());
}

static const struct kernel_host kernel_host = { .on_restart = on_restart,
                                                .on_pressure = on_pressure,
                                                .on_end = on_end };

static void
do_open(struct host *host, const json_t *wish)
{
    struct error err = { 0 };
    struct jupyter_options options = {
        .loop = host->loop,
        .context = host->ctx,
        .runtime = host->runtime,
        .environment = host->environment,
        .host = &kernel_host,
        .host_arg = host,
        .id = "ctx_0123456789abcdef",
        .name = host->name,
        .connection_dir = host->connection_dir,
        .profile = CONTEXT_PROFILE_AGENT,
        .limits = host->limits,
    };

    (void)wish;
    check(jupyter_open(&host->jupyter, &options, &err), "jupyter_open", &err);
    tell("opened", json_pack("{s:s, s:o}", "file", jupyter_file(host->jupyter),
                             "connection", jupyter_connection(host->jupyter)));
}

static void
do_close(struct host *host, const json_t *wish)
{
    (void)wish;
    jupyter_close(host->jupyter);
    host->jupyter = NULL;
    tell("closed", json_object());
}

/* {"header": {...}, "content": {...}, "adopt": true} */
static void
do_run(struct host *host, const json_t *wish)
{
    const json_t *asked = json_object_get(wish, "content");
    CLEANUP(freep) char *header = json_dumps(json_object_get(wish, "header"), 0);
    CLEANUP(freep) char *content = json_dumps(asked, 0);
    struct context_request request = {
        .type = FRAME_EXECUTE_REQUEST,
        .header = slice_text(header),
        .metadata = slice_text("{}"),
        .content = slice_text(content),
        .silent = json_is_true(json_object_get(asked, "silent")),
        .store_history = json_is_true(json_object_get(asked, "store_history")),
        .stop_on_error = json_is_true(json_object_get(asked, "stop_on_error")),
    };
    struct kernel_adoption adoption = { .header = request.header,
                                        .silent = request.silent,
                                        .store_history = request.store_history };
    struct error err = { 0 };
    uint64_t number;

    check(json_member(request.content, "code", &adoption.code), "code", NULL);
    check(context_submit(host->ctx, &request, &number, &err), "context_submit", &err);
    tell("submitted", json_pack("{s:I}", "number", (json_int_t)number));
    if (host->jupyter != NULL && json_is_true(json_object_get(wish, "adopt")))
        check(jupyter_adopt(host->jupyter, number, &adoption), "jupyter_adopt", NULL);
}

static void
do_complete(struct host *host, const json_t *wish)
{
    CLEANUP(freep) char *content = json_dumps(json_object_get(wish, "content"), 0);
    struct context_request request = { .type = FRAME_COMPLETE_REQUEST,
                                       .header = slice_text("{\"msg_id\":\"complete\"}"),
                                       .content = slice_text(content),
                                       .queue_ms = QUEUE_MS };
    uint64_t number;

    check(context_submit(host->ctx, &request, &number, NULL), "context_submit", NULL);
    tell("submitted", json_pack("{s:I}", "number", (json_int_t)number));
}

static void
do_input(struct host *host, const json_t *wish)
{
    CLEANUP(freep) char *content = json_dumps(json_object_get(wish, "content"), 0);

    check(context_input_reply(host->ctx, slice_text(content)), "input", NULL);
}

static void
do_restart(struct host *host, const json_t *wish)
{
    (void)wish;
    check(context_restart(host->ctx), "context_restart", NULL);
}

static void
do_interrupt(struct host *host, const json_t *wish)
{
    (void)wish;
    check(context_interrupt(host->ctx, false), "context_interrupt", NULL);
}

static void
do_sweep(struct host *host, const json_t *wish)
{
    struct error err = { 0 };

    (void)wish;
    check(jupyter_files_sweep(host->connection_dir, &err), "sweep", &err);
    tell("swept", json_object());
}

static const struct deed {
    const char *name;
    void (*fn)(struct host *host, const json_t *wish);
} deeds[] = {
    { "open", do_open },   { "close", do_close },         { "run", do_run },
    { "input", do_input }, { "complete", do_complete },   { "restart", do_restart },
    { "sweep", do_sweep }, { "interrupt", do_interrupt },
};

static void
act(struct host *host, struct slice line)
{
    json_t *wish = value_of(line);
    const char *name = json_string_value(json_object_get(wish, "do"));

    for (size_t i = 0; name != NULL && i < N_ELEMENTS(deeds); i++) {
        if (strcmp(deeds[i].name, name) == 0)
            deeds[i].fn(host, wish);
    }
    json_decref(wish);
}

static int
on_input(int fd, uint32_t events, void *arg)
{
    struct host *host = arg;
    char data[4096];
    ssize_t n = read(fd, data, sizeof data);

    (void)events;
    if (n <= 0) {
        host->ended = true;
        return 0;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (data[i] == '\n') {
            act(host, buffer_slice(&host->line));
            buffer_clear(&host->line, 0);
        } else {
            check(buffer_append(&host->line, &data[i], 1), "line", NULL);
        }
    }
    return 0;
}

static int
turn(struct host *host)
{
    int r = host->jupyter != NULL ? jupyter_read(host->jupyter) : 0;

    if (host->jupyter != NULL && jupyter_has_ended(host->jupyter))
        do_close(host, NULL);
    if (r < 0 || host->ended)
        return r;
    return loop_wait(host->loop,
                     host->jupyter == NULL || jupyter_may_wait(host->jupyter) ? -1 : 0);
}

static void
start(struct host *host, char **argv)
{
    struct context_options options = { .observer = &observer, .arg = host };
    struct error err = { 0 };

    check(loop_create(&host->loop), "loop_create", NULL);
    check(spawner_attach(host->spawner, host->loop), "spawner_attach", NULL);
    check(runtime_load(&host->runtime, argv[1], argv[2], &err), "runtime_load", &err);
    check(environment_probe(&host->environment, host->runtime,
                            strcmp(argv[3], "-") == 0 ? NULL : argv[3], &err),
          "environment_probe", &err);
    host->limits = context_limits_of(CONTEXT_PROFILE_AGENT);
    options.spawner = host->spawner;
    options.runtime = host->runtime;
    options.interpreter = host->environment->interpreter;
    options.mounts = host->environment->mounts;
    options.profile = CONTEXT_PROFILE_AGENT;
    options.limits = host->limits;
    check(context_create(&host->ctx, host->loop, &options, &err), "context_create", &err);
    check(loop_add_fd(&host->input, host->loop, STDIN_FILENO, EPOLLIN, on_input, host),
          "loop_add_fd", NULL);
    buffer_init(&host->line, LINE_BYTES);
}

static void
end(struct host *host)
{
    loop_source_destroy(host->input);
    jupyter_close(host->jupyter);
    context_destroy(host->ctx);
    environment_destroy(host->environment);
    runtime_destroy(host->runtime);
    spawner_destroy(host->spawner);
    loop_destroy(host->loop);
    buffer_fini(&host->line);
}

int
main(int argc, char **argv)
{
    struct host host = { 0 };
    struct error err = { 0 };
    int r = 0;

    if (argc != 6) {
        fprintf(stderr, "usage: host RUNTIMES RUNTIME PYTHON|- CONNECTION_DIR|- NAME\n");
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN);
    check(spawner_create(&host.spawner, &err), "spawner_create", &err);
    host.connection_dir = strcmp(argv[4], "-") == 0 ? NULL : argv[4];
    host.name = argv[5];
    start(&host, argv);
    while (r == 0 && !host.ended)
        r = turn(&host);
    end(&host);
    if (r < 0)
        fprintf(stderr, "host: ended by a failure of its own: %s\n", strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

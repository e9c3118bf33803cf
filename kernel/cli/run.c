/* SPDX-License-Identifier: MIT */
#include "kernel/cli/run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "kernel/cli/advice.h"
#include "kernel/cli/console.h"
#include "kernel/cli/render.h"
#include "kernel/client.h"
#include "kernel/command.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define AGAIN_MS 2000 /* two ^C within this time are an order */
#define STATUS_AFTER_S 2
#define EXECUTION_BYTES 64
#define ANSWER_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define SYSTEM_EXIT "SystemExit"

enum { WATCH_SIGNALS, WATCH_TIMER, WATCH_STDIN, WATCHES };

/* How urgently the person wants it to end. */
enum urgency { URGENCY_NONE, URGENCY_INTERRUPT, URGENCY_FORCE };

struct run {
    const struct run_options *options; /* borrowed */
    struct client *client; /* borrowed */
    struct console *console; /* borrowed */
    struct render *render; /* owned */
    json_t *context; /* owned: the handle */
    json_t *error; /* owned: what failed, until it is known who ended the run */
    char execution[EXECUTION_BYTES]; /* "": there is none yet */
    int64_t seq; /* of its last event */
    bool idle; /* its last event has come */
    bool asking;
    bool exited; /* by SystemExit */
    enum urgency urgency;
    int64_t urged_ms, started_ms;
    int stop_status; /* when a callback has ended a call */
    int timer; /* owned */
    struct client_watch watches[WATCHES];
};

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* One line for a person, of what a server says. */
static void
say(struct run *run, const char *text)
{
    (void)screen_hide_status(&run->console->screen);
    advice_tell("run", text);
}

static int
stop(struct run *run, int status)
{
    run->stop_status = status;
    return CLIENT_E_STOPPED;
}

static int
cancel(struct run *run, bool force)
{
    json_t *content = json_pack("{ss}", "execution", run->execution);

    if (force && content != NULL)
        json_object_set_new(content, "force", json_true());
    return client_post(run->client, "cancel_request", content);
}

/* The first ^C is the language's own interrupt, one soon after it the end of the
 * interpreter, the next one our own. */
static int
on_interrupt(struct run *run)
{
    int64_t now = now_ms();
    bool soon = now - run->urged_ms < AGAIN_MS;

    if (run->execution[0] == '\0' || run->urgency == URGENCY_FORCE)
        return stop(run, EXIT_STATUS_INTERRUPTED);
    if (run->urgency == URGENCY_INTERRUPT && soon) {
        run->urgency = URGENCY_FORCE;
        say(run, "killing the interpreter; ^C again leaves it alone");
        return cancel(run, true);
    }
    run->urgency = URGENCY_INTERRUPT;
    run->urged_ms = now;
    return cancel(run, false);
}

static int
on_signal(int number, void *arg)
{
    struct run *run = arg;

    return number == SIGINT ? on_interrupt(run) : stop(run, EXIT_STATUS_INTERRUPTED);
}

static int
on_signals_readable(void *arg)
{
    return console_take_signal(((struct run *)arg)->console);
}

static int
on_tick(void *arg)
{
    struct run *run = arg;
    int64_t seconds = (now_ms() - run->started_ms) / 1000;
    uint64_t ticks;
    char line[64];

    if (read(run->timer, &ticks, sizeof ticks) != sizeof ticks || run->asking ||
        run->idle || !console_is_in_front())
        return 0;
    console_resize(run->console);
    snprintf(line, sizeof line, "%s %" PRId64 " s; ^C interrupts",
             run->execution[0] == '\0' ? "starting" : "running", seconds);
    return screen_show_status(&run->console->screen, line);
}

static int
end_question(struct run *run)
{
    run->asking = false;
    run->watches[WATCH_STDIN].fd = -1;
    ask_end(&run->console->ask);
    return 0;
}

/* Something to read on stdin: the answer, or a part of it. */
static int
on_stdin(void *arg)
{
    struct run *run = arg;
    struct ask *ask = &run->console->ask;
    bool silent = ask->silent, ended;
    CLEANUP(buffer_fini) struct buffer answer;
    json_t *content;
    int r;

    buffer_init(&answer, ANSWER_BYTES_MAX);
    r = ask_read(ask, &answer);
    if (r != 0)
        return r < 0 ? r : 0;
    end_question(run);
    ended = buffer_append(&answer, "", 1) == 0 &&
            strcmp((char *)answer.data, ASK_END_OF_INPUT) == 0;
    content = json_pack("{ss% ss}", "value", answer.data, answer.length - 1, "execution",
                        run->execution);
    r = client_post(run->client, "input_reply", content);
    if (r != 0 || !ask->is_terminal)
        return r;
    if (silent || ended) /* the end of the line was not echoed */
        return screen_print(&run->console->screen,
                            run->console->screen.options.is_terminal[SCREEN_OUT]
                                ? SCREEN_OUT
                                : SCREEN_ERR,
                            slice_text("\n"));
    screen_note_typed(&run->console->screen,
                      (struct slice){ answer.data, answer.length - 1 });
    screen_note_typed(&run->console->screen, slice_text("\n"));
    return 0;
}

/* A question goes where a person sees it, and into no pipe. */
static int
on_question(struct run *run, const json_t *content)
{
    struct screen *screen = &run->console->screen;
    const json_t *prompt = json_object_get(content, "prompt");
    struct slice text = { (const uint8_t *)json_string_value(prompt),
                          json_string_length(prompt) };
    enum screen_stream stream =
        screen->options.is_terminal[SCREEN_OUT] && !run->options->json ? SCREEN_OUT
                                                                       : SCREEN_ERR;
    int r = 0;

    run->asking = true; /* before the prompt: who sees it may type */
    ask_begin(&run->console->ask, json_is_true(json_object_get(content, "password")));
    if (text.data != NULL && screen->options.is_terminal[stream])
        r = screen_print(screen, stream, text);
    if (r != 0)
        return r;
    if (ask_has_line(&run->console->ask))
        return on_stdin(run);
    run->watches[WATCH_STDIN].fd = STDIN_FILENO;
    return 0;
}

/* The end that a program chose is no failure of it. */
static bool
is_exit(const json_t *content)
{
    const char *name = json_string_value(json_object_get(content, "ename"));

    return name != NULL && strcmp(name, SYSTEM_EXIT) == 0;
}

static int
on_exit_of_program(struct run *run, const json_t *content)
{
    const char *text = json_string_value(json_object_get(content, "evalue"));
    struct screen *screen = &run->console->screen;
    int r;

    run->exited = true;
    if (text == NULL || run_exit_status(text) != EXIT_STATUS_FAILED ||
        strcmp(text, "1") == 0)
        return 0;
    r = screen_begin_line(screen, SCREEN_ERR);
    if (r == 0)
        r = screen_print(screen, SCREEN_ERR, slice_text(text));
    return r != 0 ? r : screen_begin_line(screen, SCREEN_ERR);
}

static void
take_place(struct run *run, const json_t *content, const json_t *metadata)
{
    const json_t *ours = json_object_get(metadata, "cellwall");
    const char *id = json_string_value(json_object_get(ours, "execution"));

    if (id == NULL)
        id = json_string_value(
            json_object_get(json_object_get(content, "execution"), "id"));
    if (id != NULL && strlen(id) < sizeof run->execution)
        strcpy(run->execution, id);
    if (json_is_integer(json_object_get(ours, "seq")))
        run->seq = json_integer_value(json_object_get(ours, "seq"));
}

static int
on_event(const char *type, const json_t *content, const json_t *metadata, void *arg)
{
    struct run *run = arg;

    take_place(run, content, metadata);
    if (strcmp(type, "input_request") == 0)
        return on_question(run, content);
    if (run->asking) /* nobody waits for the answer any more */
        end_question(run);
    if (strcmp(type, "status") == 0) {
        const char *state =
            json_string_value(json_object_get(content, "execution_state"));

        run->idle = run->idle || (state != NULL && strcmp(state, "idle") == 0);
    }
    if (run->options->json)
        return 0;
    console_resize(run->console);
    if (strcmp(type, "error") != 0)
        return render_event(run->render, type, content);
    if (is_exit(content))
        return on_exit_of_program(run, content);
    json_decref(run->error);
    run->error = json_incref((json_t *)content);
    return 0;
}

int
run_exit_status(const char *text)
{
    char *end;
    long number;

    if (text[0] == '\0' || strcmp(text, "None") == 0)
        return EXIT_STATUS_OK;
    errno = 0;
    number = strtol(text, &end, 10);
    if (*end != '\0' || errno != 0)
        return EXIT_STATUS_FAILED;
    return (int)(number & 0xff);
}

static int
status_of_reason(const char *kind)
{
    static const struct {
        const char *kind;
        int status;
    } rows[] = {
        { "timeout", EXIT_STATUS_TIMED_OUT },
        { "interrupted", EXIT_STATUS_INTERRUPTED },
        { "start", EXIT_STATUS_NOT_STARTED },
    };

    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        if (strcmp(rows[i].kind, kind) == 0)
            return rows[i].status;
    }
    return EXIT_STATUS_KILLED;
}

static int
status_of_refusal(const char *code)
{
    static const char *const usage[] = { "INVALID_ARGUMENT", "LANGUAGE_NOT_FOUND",
                                         "LIMIT_TOO_HIGH", "TOO_LARGE" };

    for (size_t i = 0; i < N_ELEMENTS(usage); i++) {
        if (strcmp(usage[i], code) == 0)
            return EXIT_STATUS_USAGE;
    }
    return strcmp(code, "CANCELLED") == 0 ? EXIT_STATUS_INTERRUPTED
                                          : EXIT_STATUS_NOT_STARTED;
}

int
run_status(const json_t *reply)
{
    const char *status = json_string_value(json_object_get(reply, "status"));
    const char *kind =
        json_string_value(json_object_get(json_object_get(reply, "reason"), "kind"));
    const json_t *error = json_object_get(reply, "error");
    const char *value = json_string_value(json_object_get(error, "evalue"));

    if (client_refusal(reply) != NULL)
        return status_of_refusal(client_refusal(reply));
    if (kind != NULL)
        return status_of_reason(kind);
    if (status != NULL && strcmp(status, "ok") == 0)
        return EXIT_STATUS_OK;
    return is_exit(error) && value != NULL ? run_exit_status(value) : EXIT_STATUS_FAILED;
}

/* Why the platform ended it, and what is left. */
static void
tell_reason(struct run *run, const json_t *reply)
{
    const json_t *reason = json_object_get(reply, "reason");
    const char *text = json_string_value(json_object_get(reason, "text"));
    const char *kind = json_string_value(json_object_get(reason, "kind"));
    const char *state = json_string_value(json_object_get(reason, "state"));
    char line[ERROR_TEXT_BYTES];

    if (kind == NULL)
        return;
    snprintf(line, sizeof line, "%s%s", text != NULL && text[0] != '\0' ? text : kind,
             run->options->context == NULL                 ? ""
             : state != NULL && strcmp(state, "kept") == 0 ? "; variables are kept"
                                                           : "; variables are lost");
    say(run, line);
}

/* Of an interpreter that is lost its last words alone: the headline is the reason's, and
 * advice for a notebook is none here. */
static int
show_error(struct run *run, const json_t *reply)
{
    const char *state =
        json_string_value(json_object_get(json_object_get(reply, "reason"), "state"));
    json_t *lines = json_object_get(run->error, "traceback");
    size_t count = json_array_size(lines);

    if (run->error == NULL)
        return 0;
    if (state != NULL && strcmp(state, "lost") == 0 && count >= 2) {
        json_array_remove(lines, count - 1);
        json_array_remove(lines, 0);
        json_object_del(run->error, "ename");
    }
    return render_event(run->render, "error", run->error);
}

/* What was left out of the reply; the screen has had all that was streamed. */
static void
tell_truncation(struct run *run, const json_t *reply)
{
    json_t *truncated = json_object_get(reply, "truncated");
    const char *what;
    const json_t *sizes;

    json_object_foreach(truncated, what, sizes)
    {
        char line[256];

        snprintf(line, sizeof line,
                 "%.40s: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
                 " bytes are kept: the limit is reached",
                 what, json_integer_value(json_object_get(sizes, "kept_bytes")),
                 json_integer_value(json_object_get(sizes, "total_bytes")));
        say(run, line);
    }
}

static int
print_reply(struct run *run, const json_t *reply)
{
    struct screen *screen = &run->console->screen;
    CLEANUP(buffer_fini) struct buffer text;
    bool terminal = screen->options.is_terminal[SCREEN_OUT];
    int r;

    buffer_init(&text, SIZE_MAX / 2);
    r = screen_hide_status(screen);
    if (r == 0) /* escaped, control characters of C1 are harmless, too */
        r = tree_append(&text, reply,
                        terminal ? JSON_INDENT(2) | JSON_ENSURE_ASCII : JSON_COMPACT);
    if (r == 0)
        r = buffer_append_text(&text, "\n");
    return r != 0 ? r : screen_print(screen, SCREEN_OUT, buffer_slice(&text));
}

static int
create_context(struct run *run, struct error *err)
{
    const struct client_request request = {
        .type = "create_context_request",
        .content = run->options->creation,
    };
    struct client_reply reply = { 0 };
    const json_t *context;
    int r = client_ask(run->client, &request, &reply, err);

    if (r == 0) {
        context = json_object_get(reply.content, "context");
        run->context = json_pack("{sO sO}", "id", json_object_get(context, "id"), "epoch",
                                 json_object_get(context, "epoch"));
        if (run->context == NULL)
            r = error_set(err, CLIENT_E_FAILED, "the reply names no context");
    }
    if (r == CLIENT_E_REFUSED) {
        run->stop_status = run_status(reply.content);
        if (run->options->json)
            (void)print_reply(run, reply.content);
    }
    json_decref(reply.content);
    return r;
}

/* A reader that was slow has lost the stream, not what was in it. */
static int
catch_up(struct run *run, struct error *err)
{
    CLEANUP(tree_decrefp)
    json_t *content = json_pack("{ss sI}", "execution", run->execution, "after_seq",
                                (json_int_t)run->seq);
    const struct client_request request = {
        .type = "attach_request", .content = content, .on_event = on_event, .arg = run
    };
    struct client_reply reply = { 0 };
    json_int_t missed;
    char line[128];
    int r = content == NULL ? -ENOMEM : client_call(run->client, &request, &reply, err);

    if (r != 0)
        return r;
    missed = json_integer_value(json_object_get(reply.content, "missed_events"));
    json_decref(reply.content);
    if (missed == 0)
        return 0;
    snprintf(line, sizeof line,
             "%" JSON_INTEGER_FORMAT
             " outputs came too fast to be shown; --json has more",
             missed);
    say(run, line);
    return 0;
}

/* Shows what the outcome is, besides what was streamed. */
static int
show_outcome(struct run *run, const json_t *reply)
{
    int r;

    run->idle = true;
    if (run->options->json)
        r = print_reply(run, reply);
    else
        r = show_error(run, reply);
    if (r == 0 && !run->options->json)
        r = render_finish(run->render);
    if (r == 0)
        r = screen_finish(&run->console->screen);
    tell_reason(run, reply);
    tell_truncation(run, reply);
    return r;
}

/* Output that did not arrive is a failure, whatever the code says of itself. */
static void
tell_unsaved(struct run *run)
{
    char line[128];

    snprintf(line, sizeof line,
             "%u of its images could not be saved: see --image-dir and --json",
             run->options->pictures->failed);
    say(run, line);
    if (run->stop_status == EXIT_STATUS_OK)
        run->stop_status = EXIT_STATUS_FAILED;
}

static int
execute(struct run *run, struct error *err)
{
    const struct client_request request = { .type = "run_code_request",
                                            .content = run->options->content,
                                            .on_event = on_event,
                                            .arg = run };
    CLEANUP(tree_decrefp) json_t *content = NULL;
    struct client_reply reply = { 0 };
    int r;

    json_object_set(run->options->content, "context", run->context);
    json_object_set_new(run->options->content, "stream", json_true());
    json_object_set_new(run->options->content, "allow_stdin",
                        json_boolean(run->options->allow_stdin));
    r = client_ask(run->client, &request, &reply, err);
    content = reply.content; /* of a refusal, too */
    end_question(run);
    if (r == 0 && !run->options->json && !run->idle && run->execution[0] != '\0')
        r = catch_up(run, err);
    if (r == 0)
        r = show_outcome(run, content);
    else if (r == CLIENT_E_REFUSED && run->options->json)
        (void)print_reply(run, content);
    if (r == 0 || r == CLIENT_E_REFUSED)
        run->stop_status = run_status(content);
    if (r == 0 && run->options->pictures->failed > 0)
        tell_unsaved(run);
    return r;
}

static int
start_clock(struct run *run, struct error *err)
{
    const struct itimerspec times = { .it_value.tv_sec = STATUS_AFTER_S,
                                      .it_interval.tv_sec = 1 };

    run->started_ms = now_ms();
    run->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (run->timer < 0 || timerfd_settime(run->timer, 0, &times, NULL) < 0)
        return error_errno(err, "timerfd");
    return 0;
}

static void
set_watches(struct run *run)
{
    const struct client_watch watches[WATCHES] = {
        [WATCH_SIGNALS] = { run->console->signals, on_signals_readable, run },
        [WATCH_TIMER] = { run->timer, on_tick, run },
        [WATCH_STDIN] = { -1, on_stdin, run },
    };

    memcpy(run->watches, watches, sizeof watches);
    run->console->on_signal = on_signal;
    run->console->arg = run;
    client_watch(run->client, run->watches, WATCHES);
}

/* The context was made for this run alone; nobody waits for its end. */
static void
delete_context(struct run *run)
{
    if (run->options->delete_context && run->context != NULL)
        (void)client_post(
            run->client, "delete_context_request",
            json_pack("{sO}", "context", json_object_get(run->context, "id")));
}

/* The exit status for RESULT, which is told if nobody has. */
static int
conclude(struct run *run, int result, const struct error *err)
{
    int failure = run->console->failure;

    if (result == 0)
        return run->stop_status;
    if (result == CLIENT_E_STOPPED) {
        if (failure == 0)
            return run->stop_status;
        if (failure == EPIPE)
            return EXIT_STATUS_PIPE_CLOSED;
        log_line("run: cannot write to stdout: %s", strerror(failure));
        return EXIT_STATUS_FAILED;
    }
    say(run, err->text[0] != '\0' ? err->text : strerror(-result));
    return result == CLIENT_E_REFUSED ? run->stop_status : EXIT_STATUS_NOT_STARTED;
}

int
run_code(struct client *client, struct console *console,
         const struct run_options *options)
{
    struct run run = {
        .options = options, .client = client, .console = console, .timer = -1
    };
    struct error err = { 0 };
    int status, r = start_clock(&run, &err);

    if (r == 0)
        r = console_hold_stops(console);
    set_watches(&run);
    if (r == 0)
        r = render_create(&run.render, &console->screen, options->pictures,
                          options->save_all);
    if (r == 0)
        r = create_context(&run, &err);
    if (r == 0)
        r = execute(&run, &err);
    end_question(&run);
    console->on_signal = NULL;
    (void)screen_finish(&console->screen);
    status = conclude(&run, r, &err);
    delete_context(&run);
    client_watch(client, NULL, 0);
    render_destroy(run.render);
    json_decref(run.context);
    json_decref(run.error);
    close_fdp(&run.timer);
    return status;
}

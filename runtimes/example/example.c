/* SPDX-License-Identifier: MIT */
/* The life of a runner: connect, hello, then one request after the other. */
#include "runtimes/example/example.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

static volatile sig_atomic_t interrupt_seen;

static void
on_sigint(int signal)
{
    (void)signal;
    interrupt_seen = 1;
}

bool
example_interrupted(struct example *example)
{
    if (!interrupt_seen)
        return false;
    interrupt_seen = 0;
    example->interrupted = true;
    example_fail(example, "Interrupted", "the command was interrupted");
    return true;
}

static void
send_frame(struct example *example, struct frame *frame, json_t *content)
{
    CLEANUP(freep) char *text = json_dumps(content, JSON_COMPACT);
    struct error err = { 0 };

    json_decref(content);
    if (text == NULL)
        exit(EXIT_FAILURE);
    frame->content = slice_text(text);
    if (runner_send(example->runner, frame, &err) < 0)
        exit(EXIT_FAILURE); /* the server is gone, and so shall we be */
}

void
example_send(struct example *example, enum frame_type type, json_t *content)
{
    struct frame frame = { .type = type, .number = example->number };

    send_frame(example, &frame, content);
}

void
example_stream(struct example *example, bool is_stderr, const char *text)
{
    struct slice buffer = slice_text(text);
    struct error err = { 0 };
    struct frame frame = {
        .type = FRAME_STREAM,
        .flags = is_stderr ? FRAME_FLAG_STDERR : 0,
        .number = example->number,
        .buffers = &buffer,
        .buffer_count = 1,
    };

    if (runner_send(example->runner, &frame, &err) < 0)
        exit(EXIT_FAILURE);
}

void
example_fail(struct example *example, const char *name, const char *text)
{
    if (example->failure != NULL)
        return;
    example->failure =
        json_pack("{s:s, s:s, s:[s]}", "ename", name, "evalue", text, "traceback", text);
}

static void
reply(struct example *example, json_t *content)
{
    struct frame frame = { .type = FRAME_REPLY, .number = example->number };

    if (example->failure != NULL)
        frame.flags |= FRAME_FLAG_ERROR;
    if (example->interrupted)
        frame.flags |= FRAME_FLAG_INTERRUPTED;
    send_frame(example, &frame, content);
}

static void
execute(struct example *example, json_t *content)
{
    CLEANUP(freep) char *code = NULL;
    const char *text = json_string_value(json_object_get(content, "code"));
    char *rest, *line;
    json_t *answer;

    code = strdup(text != NULL ? text : "");
    if (code == NULL)
        exit(EXIT_FAILURE);
    example->silent = json_is_true(json_object_get(content, "silent"));
    example->allow_stdin = json_is_true(json_object_get(content, "allow_stdin"));
    rest = code;
    while (example->failure == NULL && (line = strsep(&rest, "\n")) != NULL) {
        if (!example_interrupted(example) && line[0] != '\0')
            example_command(example, line);
    }
    fflush(NULL);
    runner_restore_output(example->runner);
    if (example->failure != NULL)
        example_send(example, FRAME_ERROR, json_incref(example->failure));
    answer = json_pack("{s:s, s:i, s:{}, s:[]}", "status",
                       example->failure != NULL ? "error" : "ok", "execution_count",
                       (int)example->execution_count, "user_expressions", "payload");
    if (example->failure != NULL)
        json_object_update(answer, example->failure);
    reply(example, answer);
}

static json_t *
complete(json_t *content)
{
    json_int_t at = json_integer_value(json_object_get(content, "cursor_pos"));

    return json_pack("{s:s, s:[s, s], s:I, s:I, s:{}}", "status", "ok", "matches",
                     "print", "printf", "cursor_start", (json_int_t)0, "cursor_end", at,
                     "metadata");
}

static json_t *
is_complete(json_t *content)
{
    const char *code = json_string_value(json_object_get(content, "code"));
    size_t length = code != NULL ? strlen(code) : 0;

    if (length > 0 && code[length - 1] == '\\')
        return json_pack("{s:s, s:s}", "status", "incomplete", "indent", "  ");
    return json_pack("{s:s}", "status", "complete");
}

static void
serve(struct example *example, const struct frame *frame)
{
    json_t *content =
        json_loadb((const char *)frame->content.data, frame->content.length, 0, NULL);

    example->number = frame->number;
    example->execution_count = frame->execution_count;
    example->interrupted = false;
    json_decref(example->failure);
    example->failure = NULL;
    switch (frame->type) {
    case FRAME_EXECUTE_REQUEST:
        execute(example, content);
        break;
    case FRAME_COMPLETE_REQUEST:
        reply(example, complete(content));
        break;
    case FRAME_INSPECT_REQUEST:
        reply(example, json_pack("{s:s, s:b, s:{}, s:{}}", "status", "ok", "found", 0,
                                 "data", "metadata"));
        break;
    case FRAME_IS_COMPLETE_REQUEST:
        reply(example, is_complete(content));
        break;
    case FRAME_COMM_MSG: /* echoes what it got, as a message of its own */
        example_send(example, FRAME_COMM_MSG, json_incref(content));
        reply(example, json_object());
        break;
    case FRAME_INPUT_REPLY: /* came after its input was interrupted */
        break;
    case FRAME_PING: /* behind every interrupt: one that came too late ends here */
        interrupt_seen = 0;
        reply(example, json_object());
        break;
    default:
        reply(example, json_object());
        break;
    }
    json_decref(content);
}

static void
hello(struct example *example)
{
    example_send(example, FRAME_HELLO,
                 json_pack("{s:i, s:s, s:s}", "frame_version", FRAME_VERSION, "build",
                           CELLWALL_VERSION, "banner", "Example"));
}

int
main(void)
{
    struct sigaction action = { .sa_handler = on_sigint }; /* no SA_RESTART */
    struct example example = { .variables = json_object() };
    struct error err = { 0 };
    struct frame frame;
    int r;

    sigaction(SIGINT, &action, NULL);
    if (runner_create(&example.runner, NULL, &err) < 0) {
        fprintf(stderr, "example-runner: %s\n", err.text);
        return EXIT_FAILURE;
    }
    hello(&example);
    for (;;) {
        r = runner_receive(example.runner, &frame, &err);
        if (r == RUNNER_E_INTERRUPTED)
            continue; /* the flag waits for the run whose frame is on its way */
        if (r != 0 || frame.type == FRAME_SHUTDOWN)
            break;
        serve(&example, &frame);
    }
    runner_destroy(example.runner);
    json_decref(example.variables);
    json_decref(example.failure);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: MIT */
/* The life of the runner of bash: connect, start the shell, hello, then the requests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"
#include "runtimes/bash/session.h"
#include "runtimes/lib/runner.h"

#define VERSION_QUESTION "$BASH_VERSION"

static void
say_hello(struct session *session)
{
    CLEANUP(buffer_fini) struct buffer content;
    CLEANUP(answer_fini) struct answer answer;
    int r;

    buffer_init(&content, SESSION_JSON_BYTES_MAX);
    answer_init(&answer);
    shell_ask(
        session, (struct order){ .kind = ORDER_EXPAND },
        (struct slice){ (const uint8_t *)VERSION_QUESTION, sizeof VERSION_QUESTION },
        &answer);
    r = buffer_append_format(&content,
                             "{\"frame_version\":%d,\"build\":\"%s\","
                             "\"language_info\":{\"name\":\"bash\",\"version\":",
                             FRAME_VERSION, CELLWALL_VERSION);
    if (r == 0)
        r = text_append_json(&content, answer.out.data, answer.out.length);
    if (r == 0)
        r = buffer_append_text(
            &content, ",\"mimetype\":\"text/x-sh\",\"file_extension\":\".sh\","
                      "\"pygments_lexer\":\"bash\",\"codemirror_mode\":\"shell\","
                      "\"nbconvert_exporter\":\"script\"},"
                      "\"implementation_version\":\"" CELLWALL_VERSION "\",\"banner\":");
    if (answer.out.length == 0)
        r = -1;
    if (r == 0)
        r = buffer_append_text(&content, "\"GNU bash, version ") == 0 &&
                    buffer_append(&content, answer.out.data, answer.out.length) == 0 &&
                    buffer_append_text(&content, "\"}") == 0
                ? 0
                : -1;
    if (r != 0) {
        fprintf(stderr, "bash-runner: the shell does not answer\n");
        exit(EXIT_FAILURE);
    }
    session_send(session, FRAME_HELLO, 0, 0, buffer_slice(&content));
}

static void
reply_empty(struct session *session, const struct frame *frame)
{
    session_send(session, FRAME_REPLY, frame->number, 0, slice_text("{}"));
}

static void
serve(struct session *session, const struct frame *frame)
{
    session->last_number = frame->number;
    switch (frame->type) {
    case FRAME_EXECUTE_REQUEST:
        serve_execute(session, frame);
        break;
    case FRAME_COMPLETE_REQUEST:
        serve_complete(session, frame);
        break;
    case FRAME_INSPECT_REQUEST:
        serve_inspect(session, frame);
        break;
    case FRAME_IS_COMPLETE_REQUEST:
        serve_is_complete(session, frame);
        break;
    case FRAME_PING: /* behind every interrupt: one that came too late ends here */
        session->interrupt_waits = false;
        reply_empty(session, frame);
        break;
    default: /* comms, of which there are none here */
        reply_empty(session, frame);
        break;
    }
}

/* Takes the oldest request that waits. */
static void
serve_next(struct session *session)
{
    struct deferred next = session->deferred[0];

    session->deferred_count--;
    memmove(session->deferred, session->deferred + 1,
            session->deferred_count * sizeof session->deferred[0]);
    session_take_signals(session); /* an interrupt that was sent before the request */
    serve(session, &next.frame);
    free(next.bytes);
}

/* The shell gets time to run its trap on EXIT. */
static void
quit(struct session *session)
{
    uint64_t until = session_now_us() + 800000;

    (void)shell_order_quit(session);
    while (session->shell.pid != 0 && session_now_us() < until)
        session_step(session, until);
    outlets_sweep(session);
    text_flush(session);
}

int
main(int argc, char **argv)
{
    static struct session session;
    struct error err = { 0 };

    if (argc != 3) {
        fprintf(stderr, "usage: bash-runner FOLDER BASH\n");
        return EXIT_FAILURE;
    }
    if (session_init(&session, argv[1], argv[2], &err) < 0 ||
        displays_open(&session) < 0 || shell_start(&session, &err) < 0) {
        fprintf(stderr, "bash-runner: %s\n", err.text);
        return EXIT_FAILURE;
    }
    say_hello(&session);
    while (!session.is_closing) {
        if (session.deferred_count > 0)
            serve_next(&session);
        else
            session_step(&session, 0);
        if (session.shell.pid == 0)
            session_end_like_shell(&session);
    }
    quit(&session);
    session_fini(&session);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: MIT */
/* execute_request: from its content to its reply. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/text.h"
#include "runtimes/bash/session.h"

#define CODE_BYTES_MAX ((size_t)80 * 1024 * 1024)
#define VARIABLES_MAX 256
#define QUOTED_BYTES_MAX 1000

/* What went wrong, for the error message and the reply. */
struct failure {
    const char *name; /* NULL: nothing did */
    char text[QUOTED_BYTES_MAX + 64];
};

static void
fail(struct failure *failure, const char *name, const char *text)
{
    failure->name = name;
    snprintf(failure->text, sizeof failure->text, "%s", text);
}

static bool
flag(struct slice content, const char *name)
{
    bool value = false;

    return json_member_bool(content, name, &value) == 0 && value;
}

static bool
has_byte(const struct buffer *texts, size_t from, char byte)
{
    return texts->length > from &&
           memchr(texts->data + from, byte, texts->length - from) != NULL;
}

/* A text of an order: no NUL may be inside, and one ends it. */
static bool
append_text(struct buffer *texts, struct slice value)
{
    size_t before = texts->length;

    return json_decode_string(value, texts) == 0 && !has_byte(texts, before, '\0') &&
           buffer_append(texts, "", 1) == 0;
}

static bool
append_variable(struct buffer *texts, struct slice key, struct slice value)
{
    size_t before = texts->length;

    if (json_kind(value) != JSON_KIND_STRING || json_decode_string(key, texts) != 0 ||
        texts->length == before || has_byte(texts, before, '=') ||
        has_byte(texts, before, '\0'))
        return false;
    return buffer_append_text(texts, "=") == 0 && append_text(texts, value);
}

/* The variables that METADATA has for this run, as texts. */
static bool
append_variables(struct buffer *texts, struct slice metadata, struct failure *failure)
{
    struct json_iterator iterator;
    struct slice ours, env, key, value;
    size_t count = 0;

    if (metadata.length == 0 || json_member(metadata, "cellwall", &ours) != 0 ||
        json_member(ours, "env", &env) != 0)
        return true;
    if (json_kind(env) == JSON_KIND_NULL)
        return true;
    if (json_kind(env) != JSON_KIND_OBJECT || json_iterate(&iterator, env) != 0) {
        fail(failure, "TypeError",
             "the environment variables of a run must be an object");
        return false;
    }
    while (json_next(&iterator, &key, &value)) {
        if (++count <= VARIABLES_MAX && append_variable(texts, key, value))
            continue;
        snprintf(failure->text, sizeof failure->text,
                 count > VARIABLES_MAX ? "a run may have %d environment variables"
                                       : "variable %d of the run cannot be set",
                 count > VARIABLES_MAX ? VARIABLES_MAX : (int)count);
        failure->name = "ValueError";
        return false;
    }
    return true;
}

static bool
read_request(const struct frame *frame, struct buffer *texts, struct failure *failure)
{
    struct slice code;

    if (json_member(frame->content, "code", &code) != 0 || !append_text(texts, code)) {
        fail(failure, "ValueError", "code that bash cannot read: it has a NUL");
        return false;
    }
    return append_variables(texts, frame->metadata, failure);
}

/* The last line of what was printed to stderr that begins with PREFIX and has one of
 * SIGNS (NULL: any). The shell's own name in front is left out. */
static bool
quote_error(const struct session *session, const char *prefix, const char *const *signs,
            struct failure *failure)
{
    const struct buffer *tail = &session->run.tail;
    char line[QUOTED_BYTES_MAX];
    bool found = false;
    size_t at = 0;

    while (at < tail->length) {
        const uint8_t *begin = tail->data + at;
        const uint8_t *end = memchr(begin, '\n', tail->length - at);
        size_t length = end != NULL ? (size_t)(end - begin) : tail->length - at;
        bool fits = signs == NULL;

        at += length + 1;
        snprintf(line, sizeof line, "%.*s", (int)length, (const char *)begin);
        for (size_t i = 0; signs != NULL && signs[i] != NULL; i++)
            fits |= strstr(line, signs[i]) != NULL;
        if (!fits || strncmp(line, prefix, strlen(prefix)) != 0)
            continue;
        snprintf(failure->text, sizeof failure->text, "%s", line + strlen("bash: "));
        found = true;
    }
    return found;
}

static void
judge(const struct session *session, const struct report *report, struct failure *failure)
{
    static const char *const syntax[] = { "syntax error", "unexpected EOF", NULL };
    char *text = failure->text, prefix[64];
    size_t size = sizeof failure->text;

    snprintf(prefix, sizeof prefix, "bash: line %d: ", report->line);
    switch (report->how) {
    case HOW_SYNTAX: /* the line that bash names is that where the construct begins */
        failure->name = "SyntaxError";
        if (!quote_error(session, "bash: line ", syntax, failure))
            snprintf(text, size, "line %d: syntax error", report->line);
        break;
    case HOW_EXIT:
        if (report->status == 0)
            break;
        failure->name = "SystemExit";
        snprintf(text, size, "%d", report->status);
        break;
    case HOW_ERREXIT:
        failure->name = "CommandFailed";
        snprintf(text, size, "line %d: exit status %d", report->line, report->status);
        break;
    case HOW_ABORT:
        failure->name = "ShellError";
        if (!quote_error(session, prefix, NULL, failure))
            snprintf(text, size, "line %d: exit status %d", report->line, report->status);
        break;
    case HOW_INTERRUPT:
        failure->name = "KeyboardInterrupt";
        snprintf(text, size, "interrupted");
        break;
    default:
        break;
    }
}

static int
append_failure(struct buffer *ret, const struct failure *failure)
{
    CLEANUP(buffer_fini) struct buffer line;
    int r;

    buffer_init(&line, 4096);
    r = buffer_append_format(&line, "%s: %s", failure->name, failure->text);
    if (r == 0)
        r = buffer_append_format(ret, "\"ename\":\"%s\",\"evalue\":", failure->name);
    if (r == 0)
        r = text_append_json(ret, failure->text, strlen(failure->text));
    if (r == 0)
        r = buffer_append_text(ret, ",\"traceback\":[");
    if (r == 0)
        r = text_append_json(ret, line.data, line.length);
    return r != 0 ? r : buffer_append_text(ret, "]");
}

static int
append_value(struct buffer *ret, const struct answer *answer)
{
    struct failure failure = { .name = "ShellError" };
    int r;

    if (answer->status == 0) {
        r = buffer_append_text(ret, "{\"status\":\"ok\",\"data\":{\"text/plain\":");
        if (r == 0)
            r = text_append_json(ret, answer->out.data, answer->out.length);
        return r != 0 ? r : buffer_append_text(ret, "},\"metadata\":{}}");
    }
    snprintf(failure.text, sizeof failure.text, "%.*s", QUOTED_BYTES_MAX,
             answer->err.length > 0 ? (const char *)answer->err.data
                                    : "the expression has no value");
    r = buffer_append_text(ret, "{\"status\":\"error\",");
    if (r == 0)
        r = append_failure(ret, &failure);
    return r != 0 ? r : buffer_append_text(ret, "}");
}

/* Each expression is expanded as within double quotes. */
static int
append_expressions(struct session *session, struct buffer *ret, struct slice content)
{
    struct json_iterator iterator;
    struct slice expressions, key, value;
    bool is_first = true;
    int r = 0;

    if (json_member(content, "user_expressions", &expressions) != 0 ||
        json_kind(expressions) != JSON_KIND_OBJECT ||
        json_iterate(&iterator, expressions) != 0)
        return 0;
    while (r == 0 && json_next(&iterator, &key, &value)) {
        CLEANUP(buffer_fini) struct buffer text;
        CLEANUP(answer_fini) struct answer answer;

        buffer_init(&text, SESSION_JSON_BYTES_MAX);
        answer_init(&answer);
        if (json_kind(value) != JSON_KIND_STRING || !append_text(&text, value))
            continue;
        shell_ask(session, (struct order){ .kind = ORDER_EXPAND }, buffer_slice(&text),
                  &answer);
        if (!is_first)
            r = buffer_append_text(ret, ",");
        if (r == 0)
            r = buffer_append(ret, key.data, key.length);
        if (r == 0)
            r = buffer_append_text(ret, ":");
        if (r == 0)
            r = append_value(ret, &answer);
        is_first = false;
    }
    return r;
}

static void
send_error(struct session *session, uint64_t number, const struct failure *failure)
{
    CLEANUP(buffer_fini) struct buffer content;

    buffer_init(&content, SESSION_JSON_BYTES_MAX);
    if (buffer_append_text(&content, "{") == 0 &&
        append_failure(&content, failure) == 0 && buffer_append_text(&content, "}") == 0)
        session_send(session, FRAME_ERROR, number, 0, buffer_slice(&content));
}

static int
append_reply(struct session *session, struct buffer *ret, const struct frame *frame,
             const struct failure *failure)
{
    int r = buffer_append_format(
        ret, "{\"status\":\"%s\",\"execution_count\":%u,\"exit_status\":%d,",
        failure->name != NULL ? "error" : "ok", (unsigned)frame->execution_count,
        (int)session->run.report.status);

    if (r == 0 && failure->name != NULL) {
        r = append_failure(ret, failure);
        if (r == 0)
            r = buffer_append_text(ret, ",");
    }
    if (r == 0)
        r = buffer_append_text(ret, "\"payload\":[],\"user_expressions\":{");
    if (r == 0 && failure->name == NULL)
        r = append_expressions(session, ret, frame->content);
    return r != 0 ? r : buffer_append_text(ret, "}}");
}

static void
reply(struct session *session, const struct frame *frame, const struct failure *failure)
{
    CLEANUP(buffer_fini) struct buffer content;
    uint16_t flags = 0;

    buffer_init(&content, 4 * SESSION_JSON_BYTES_MAX);
    if (append_reply(session, &content, frame, failure) != 0) {
        buffer_clear(&content, 0);
        (void)buffer_append_format(&content,
                                   "{\"status\":\"ok\",\"execution_count\":%u,"
                                   "\"payload\":[],\"user_expressions\":{}}",
                                   (unsigned)frame->execution_count);
    }
    if (failure->name != NULL)
        flags |= FRAME_FLAG_ERROR;
    if (failure->name != NULL && session->run.report.how == HOW_INTERRUPT)
        flags |= FRAME_FLAG_INTERRUPTED;
    session_send(session, FRAME_REPLY, frame->number, flags, buffer_slice(&content));
}

static uint64_t
earlier(uint64_t one, uint64_t other)
{
    if (one == 0 || other == 0)
        return one + other;
    return one < other ? one : other;
}

/* Until the shell says that the cell is done. */
static void
wait_for_end(struct session *session)
{
    struct run *run = &session->run;

    while (!run->is_done) {
        session_step(session, earlier(run->escalate_us, run->look_us));
        if (session->shell.pid == 0)
            session_end_like_shell(session);
        if (session->is_closing)
            return;
        if (run->escalate_us != 0 && run->escalate_us <= session_now_us())
            interrupts_escalate(session);
        if (run->look_us != 0 && run->look_us <= session_now_us())
            terminal_attend(session);
    }
    outlets_finish(session, run->number);
}

/* False: the shell is gone. */
static bool
begin(struct session *session, const struct buffer *texts)
{
    CLEANUP(close_fdp) int out = -1;
    CLEANUP(close_fdp) int err = -1;
    CLEANUP(close_fdp) int in = -1;
    int ends[2];

    outlets_open(session, session->run.number, ends);
    out = ends[0];
    err = ends[1];
    in = session->run.may_ask ? fcntl(session->shell.slave, F_DUPFD_CLOEXEC, 3)
                              : open("/dev/null", O_RDWR | O_CLOEXEC);
    return in >= 0 && out >= 0 && err >= 0 &&
           shell_order(session, (struct order){ .kind = ORDER_RUN }, buffer_slice(texts),
                       (const int[]){ in, out, err });
}

static void
run(struct session *session, const struct frame *frame, const struct buffer *texts,
    struct failure *failure)
{
    struct run *run = &session->run;

    run->number = frame->number;
    run->may_ask = session->shell.slave >= 0 && flag(frame->content, "allow_stdin");
    run->look_us = run->may_ask ? 1 : 0;
    if (!begin(session, texts)) {
        fail(failure, "ShellError", "the shell cannot be reached");
        session->is_closing = session->shell.control < 0;
        return;
    }
    wait_for_end(session);
    if (run->report.kind == REPORT_REFUSED) {
        failure->name = "ValueError";
        snprintf(
            failure->text, sizeof failure->text,
            "variable %d of the run cannot be set: its name is none of bash's, or it "
            "is an array or readonly there",
            run->report.status);
    } else {
        judge(session, &run->report, failure);
    }
    if (run->may_ask)
        terminal_reset(session);
}

void
serve_execute(struct session *session, const struct frame *frame)
{
    CLEANUP(buffer_fini) struct buffer texts;
    struct failure failure = { .name = NULL };
    struct run *state = &session->run;

    buffer_init(&texts, CODE_BYTES_MAX);
    buffer_clear(&state->tail, SIZE_MAX);
    state->is_done = state->is_asking = state->is_ending = false;
    state->has_started = state->interrupt_waits = false;
    state->interrupted_group = 0;
    state->report = (struct report){ .kind = REPORT_DONE };
    state->interrupts = 0;
    state->escalate_us = state->look_us = state->look_gap_us = state->quiet_us = 0;
    if (session->interrupt_waits) {
        session->interrupt_waits = false;
        fail(&failure, "KeyboardInterrupt", "interrupted");
        state->report.how = HOW_INTERRUPT;
        state->report.status = 130;
    } else if (read_request(frame, &texts, &failure)) {
        run(session, frame, &texts, &failure);
    }
    if (failure.name != NULL)
        send_error(session, frame->number, &failure);
    reply(session, frame, &failure);
    state->number = 0;
    state->look_us = state->escalate_us = 0;
}

/* SPDX-License-Identifier: MIT */
/* Questions about code, which a child of the shell answers. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/json.h"
#include "protocol/text.h"
#include "runtimes/bash/session.h"

#define ANSWER_BYTES_MAX ((size_t)1024 * 1024)
#define ANSWER_US ((uint64_t)5 * 1000000)
#define MATCHES_MAX 1000

void
answer_init(struct answer *answer)
{
    *answer = (struct answer){ .status = -1 };
    buffer_init(&answer->out, ANSWER_BYTES_MAX);
    buffer_init(&answer->err, ANSWER_BYTES_MAX);
}

void
answer_fini(struct answer *answer)
{
    buffer_fini(&answer->out);
    buffer_fini(&answer->err);
}

/* Reads what there is; what is too much is dropped. False: the end. */
static bool
take(struct buffer *buffer, int fd)
{
    uint8_t data[16384];
    ssize_t n = read(fd, data, sizeof data);

    if (n > 0)
        (void)buffer_append(buffer, data, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* The child has ended; what it has written is there. Others may still write. */
static void
take_rest(struct buffer *buffer, int fd)
{
    for (int i = 0; i < 100; i++) {
        errno = 0;
        if (!take(buffer, fd) || errno == EAGAIN)
            return;
    }
}

/* An interrupt ends the question; what else was signalled is for the next step. */
static bool
is_interrupted(const struct session *session)
{
    struct signalfd_siginfo info;
    bool found = false;

    while (read(session->signals, &info, sizeof info) == (ssize_t)sizeof info)
        found |= info.ssi_signo == SIGINT;
    return found;
}

static void
await_answer(struct session *session, int out, int err, struct answer *ret)
{
    uint64_t until = session_now_us() + ANSWER_US;
    struct pollfd entries[] = { { .fd = session->shell.control, .events = POLLIN },
                                { .fd = session->signals, .events = POLLIN },
                                { .fd = out, .events = POLLIN },
                                { .fd = err, .events = POLLIN } };
    struct report report;
    pid_t pid = 0;

    while (session->shell.control >= 0) {
        uint64_t now = session_now_us();

        if (now >= until && pid > 1)
            (void)kill(-pid, SIGKILL);
        (void)poll(entries, 4, now >= until ? 100 : (int)((until - now) / 1000) + 1);
        for (int i = 2; i < 4; i++) {
            if (entries[i].revents != 0 &&
                !take(i == 2 ? &ret->out : &ret->err, entries[i].fd))
                entries[i].fd = -1;
        }
        if (entries[1].revents != 0 && is_interrupted(session)) {
            ret->interrupted = true;
            until = 0;
        }
        if (entries[0].revents == 0 || !shell_report(session, &report))
            continue;
        if (report.kind == REPORT_ASKED)
            pid = report.status;
        if (report.kind == REPORT_ANSWERED) {
            ret->status = until == 0 ? -1 : report.status;
            break;
        }
    }
}

static void
set_up(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        ends[0] = ends[1] = -1;
    else
        (void)fcntl(ends[1], F_SETFL, 0);
}

void
shell_ask(struct session *session, struct order order, struct slice text,
          struct answer *ret)
{
    int out[2], err[2], in = open("/dev/null", O_RDWR | O_CLOEXEC);

    set_up(out);
    set_up(err);
    if (in >= 0 && out[1] >= 0 && err[1] >= 0 &&
        shell_order(session, order, text, (const int[]){ in, out[1], err[1] })) {
        close_fdp(&out[1]);
        close_fdp(&err[1]);
        out[1] = err[1] = -1;
        await_answer(session, out[0], err[0], ret);
        take_rest(&ret->out, out[0]);
        take_rest(&ret->err, err[0]);
    }
    for (int i = 0; i < 2; i++) {
        close_fdp(&out[i]);
        close_fdp(&err[i]);
    }
    close_fdp(&in);
    (void)buffer_append(&ret->err, "", 1); /* read as a string, too */
    ret->err.length -= ret->err.length > 0;
}

static void
reply(struct session *session, const struct frame *frame, const struct buffer *content)
{
    session_send(session, FRAME_REPLY, frame->number, 0, buffer_slice(content));
}

/* The code of a question, with the NUL that ends a text of an order. */
static bool
take_code(struct slice content, struct buffer *ret)
{
    struct slice code;

    if (json_member(content, "code", &code) != 0 || json_decode_string(code, ret) != 0)
        return false;
    return memchr(ret->length > 0 ? (const char *)ret->data : "", '\0', ret->length) ==
               NULL &&
           buffer_append(ret, "", 1) == 0;
}

/* Jupyter counts characters, the shell bytes. */
static size_t
bytes_of(const struct buffer *code, int64_t characters)
{
    size_t at = 0;

    for (; characters > 0 && at + 1 < code->length; characters--)
        at += text_utf8_character(code->data + at, code->length - at);
    return at;
}

static size_t
characters_of(const struct buffer *code, size_t bytes)
{
    size_t count = 0;

    for (size_t at = 0; at < bytes && at < code->length; count++)
        at += text_utf8_character(code->data + at, code->length - at);
    return count;
}

static size_t
cursor_of(struct slice content, const struct buffer *code)
{
    int64_t at = INT64_MAX;

    (void)json_member_int(content, "cursor_pos", &at);
    return bytes_of(code, at);
}

static size_t
line_start(const struct buffer *code, size_t cursor)
{
    while (cursor > 0 && code->data[cursor - 1] != '\n')
        cursor--;
    return cursor;
}

/* A NUL-terminated text of the answer, NULL: no more. */
static const char *
next_text(const struct answer *answer, size_t *at)
{
    const char *text = (const char *)answer->out.data + *at;
    const char *end;

    if (*at >= answer->out.length)
        return NULL;
    end = memchr(text, '\0', answer->out.length - *at);
    if (end == NULL)
        return NULL;
    *at += (size_t)(end - text) + 1;
    return text;
}

static int
append_matches(struct buffer *ret, const struct answer *answer, size_t *at)
{
    const char *text;
    int r = 0;

    for (int i = 0; r == 0 && i < MATCHES_MAX; i++) {
        text = next_text(answer, at);
        if (text == NULL)
            break;
        if (i > 0)
            r = buffer_append_text(ret, ",");
        if (r == 0)
            r = text_append_json(ret, text, strlen(text));
    }
    return r;
}

static bool
append_completion(struct buffer *ret, const struct answer *answer,
                  const struct buffer *code, size_t line, size_t cursor)
{
    size_t at = 0, from, to;
    const char *start, *end;

    if (answer->status != 0 || (start = next_text(answer, &at)) == NULL ||
        (end = next_text(answer, &at)) == NULL)
        return false;
    from = line + strtoul(start, NULL, 10);
    to = line + strtoul(end, NULL, 10);
    if (from > to || to > cursor)
        return false;
    return buffer_append_text(ret, "{\"status\":\"ok\",\"metadata\":{},\"matches\":[") ==
               0 &&
           append_matches(ret, answer, &at) == 0 &&
           buffer_append_format(ret, "],\"cursor_start\":%zu,\"cursor_end\":%zu}",
                                characters_of(code, from), characters_of(code, to)) == 0;
}

void
serve_complete(struct session *session, const struct frame *frame)
{
    CLEANUP(buffer_fini) struct buffer code;
    CLEANUP(buffer_fini) struct buffer content;
    CLEANUP(answer_fini) struct answer answer;
    size_t cursor = 0, line = 0;

    buffer_init(&code, SESSION_JSON_BYTES_MAX);
    buffer_init(&content, 2 * SESSION_JSON_BYTES_MAX);
    answer_init(&answer);
    if (take_code(frame->content, &code)) {
        cursor = cursor_of(frame->content, &code);
        line = line_start(&code, cursor);
        shell_ask(
            session,
            (struct order){ .kind = ORDER_COMPLETE, .point = (uint32_t)(cursor - line) },
            (struct slice){ code.data + line, code.length - line }, &answer);
    }
    if (!append_completion(&content, &answer, &code, line, cursor)) {
        size_t characters = characters_of(&code, cursor);

        buffer_clear(&content, SIZE_MAX);
        (void)buffer_append_format(&content,
                                   "{\"status\":\"ok\",\"matches\":[],\"metadata\":{},"
                                   "\"cursor_start\":%zu,\"cursor_end\":%zu}",
                                   characters, characters);
    }
    reply(session, frame, &content);
}

static bool
is_name_character(uint8_t character)
{
    return isalnum(character) || character >= 0x80 ||
           (character != '\0' && strchr("_./:-+@%,", character) != NULL);
}

/* The word that the cursor is in or behind, NUL-terminated; empty: none. */
static void
take_word(struct buffer *code, size_t cursor)
{
    size_t from = cursor, to = cursor;

    while (from > 0 && is_name_character(code->data[from - 1]))
        from--;
    while (to + 1 < code->length && is_name_character(code->data[to]))
        to++;
    code->data[to] = '\0';
    code->length = to + 1;
    buffer_consume(code, from);
}

void
serve_inspect(struct session *session, const struct frame *frame)
{
    CLEANUP(buffer_fini) struct buffer code;
    CLEANUP(buffer_fini) struct buffer content;
    CLEANUP(answer_fini) struct answer answer;
    int64_t detail = 0;
    bool found = false;

    buffer_init(&code, SESSION_JSON_BYTES_MAX);
    buffer_init(&content, 2 * SESSION_JSON_BYTES_MAX);
    answer_init(&answer);
    (void)json_member_int(frame->content, "detail_level", &detail);
    if (take_code(frame->content, &code)) {
        take_word(&code, cursor_of(frame->content, &code));
        if (code.length > 1)
            shell_ask(session,
                      (struct order){ .kind = ORDER_INSPECT, .point = detail > 0 },
                      buffer_slice(&code), &answer);
    }
    if (answer.status == 0 && answer.out.length > 0)
        found = buffer_append_text(&content, "{\"status\":\"ok\",\"found\":true,"
                                             "\"data\":{\"text/plain\":") == 0 &&
                text_append_json(&content, answer.out.data, answer.out.length) == 0 &&
                buffer_append_text(&content, "},\"metadata\":{}}") == 0;
    if (!found) {
        buffer_clear(&content, SIZE_MAX);
        (void)buffer_append_text(&content, "{\"status\":\"ok\",\"found\":false,"
                                           "\"data\":{},\"metadata\":{}}");
    }
    reply(session, frame, &content);
}

/* What the parser says when there could be more. */
static bool
is_unfinished(const struct buffer *code, const struct answer *answer)
{
    static const char *const signs[] = { "unexpected EOF", "unexpected end of file",
                                         "delimited by end-of-file" };
    size_t slashes = 0;

    for (size_t i = 0; i < N_ELEMENTS(signs); i++) {
        if (answer->err.length > 0 && memmem(answer->err.data, answer->err.length,
                                             signs[i], strlen(signs[i])) != NULL)
            return true;
    }
    for (size_t at = code->length - 1; at > 0 && code->data[at - 1] == '\\'; at--)
        slashes++;
    return slashes % 2 == 1;
}

void
serve_is_complete(struct session *session, const struct frame *frame)
{
    CLEANUP(buffer_fini) struct buffer code;
    CLEANUP(buffer_fini) struct buffer content;
    CLEANUP(answer_fini) struct answer answer;
    const char *status = "unknown";

    buffer_init(&code, SESSION_JSON_BYTES_MAX);
    buffer_init(&content, SESSION_JSON_BYTES_MAX);
    answer_init(&answer);
    if (take_code(frame->content, &code)) {
        shell_ask(session, (struct order){ .kind = ORDER_PARSE }, buffer_slice(&code),
                  &answer);
        if (answer.status >= 0)
            status = is_unfinished(&code, &answer) ? "incomplete"
                     : answer.status == 0          ? "complete"
                                                   : "invalid";
    }
    (void)buffer_append_format(&content, "{\"status\":\"%s\"%s}", status,
                               strcmp(status, "incomplete") == 0 ? ",\"indent\":\"  \""
                                                                 : "");
    reply(session, frame, &content);
}

/* SPDX-License-Identifier: MIT */
/*
 * The pipes that programs write to. Each cell has two of its own, so that what comes late
 * is known to be its.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/text.h"
#include "runtimes/bash/session.h"
#include "runtimes/lib/runner.h"

#define READ_BYTES 65536
#define FLUSH_BYTES ((size_t)64 * 1024)
#define SWEEPS_MAX 256 /* reads of one pipe, which somebody may fill for ever */
#define TAIL_BYTES ((size_t)2048)

static int
open_outlet(struct session *session, size_t index, uint64_t number, bool is_stderr)
{
    struct outlet *outlet = &session->outlets[index];
    struct stat st;
    int ends[2];

    /* A packet for each write, and room for one: see session.h. */
    if (pipe2(ends, O_CLOEXEC | O_DIRECT) < 0)
        return -1;
    (void)fcntl(ends[1], F_SETPIPE_SZ, 4096);
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK | O_DIRECT);
    if (fstat(ends[0], &st) < 0 ||
        session_watch(session, ends[0], SOURCE_OUTLETS + (unsigned)index) < 0) {
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    *outlet = (struct outlet){
        .fd = ends[0], .number = number, .inode = st.st_ino, .is_stderr = is_stderr
    };
    return ends[1];
}

static void
close_outlet(struct outlet *outlet)
{
    close_fdp(&outlet->fd);
    outlet->fd = -1;
}

bool
outlets_open(struct session *session, uint64_t number, int ret[2])
{
    size_t found = 0;

    ret[0] = ret[1] = -1;
    for (size_t i = 0; i < SESSION_OUTLETS_MAX && found < 2; i++) {
        if (session->outlets[i].fd >= 0)
            continue;
        ret[found] = open_outlet(session, i, number, found == 1);
        if (ret[found] < 0)
            break;
        found++;
    }
    if (found == 2)
        return true;
    close_fdp(&ret[0]); /* its other end notices by itself */
    for (int i = 0; i < 2; i++)
        ret[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, RUNNER_PRIVATE_FD_MIN);
    return false;
}

/* The last characters, to quote from when the shell says that they tell an error. */
static void
remember(struct session *session, struct slice bytes)
{
    struct buffer *tail = &session->run.tail;

    if (bytes.length > TAIL_BYTES) {
        bytes.data += bytes.length - TAIL_BYTES;
        bytes.length = TAIL_BYTES;
    }
    if (tail->length + bytes.length > TAIL_BYTES)
        buffer_consume(tail, tail->length + bytes.length - TAIL_BYTES);
    (void)buffer_append(tail, bytes.data, bytes.length);
}

void
text_add(struct session *session, uint64_t number, bool is_stderr, struct slice bytes)
{
    struct text *text = &session->text;

    if (text->bytes.length > 0 &&
        (text->number != number || text->is_stderr != is_stderr ||
         text->bytes.length >= FLUSH_BYTES))
        text_flush(session);
    text->number = number;
    text->is_stderr = is_stderr;
    (void)text_append_utf8(&text->bytes, bytes.data, bytes.length);
    if (is_stderr && number == session->run.number)
        remember(session, bytes);
}

size_t
text_unfinished(const struct session *session)
{
    const struct text *text = &session->text;
    const uint8_t *newline;

    if (text->bytes.length == 0 || session->run.number == 0 ||
        text->number != session->run.number)
        return 0;
    newline = memrchr(text->bytes.data, '\n', text->bytes.length);
    return newline == NULL
               ? text->bytes.length
               : (size_t)(text->bytes.data + text->bytes.length - newline) - 1;
}

/* Passes on DATA, and keeps back a character that is not yet complete. The room in front
 * of DATA is for what was kept. */
static void
pass(struct session *session, struct outlet *outlet, uint8_t *data, size_t length)
{
    struct slice bytes = { data - outlet->rest_length, length + outlet->rest_length };
    size_t whole;

    memcpy(data - outlet->rest_length, outlet->rest, outlet->rest_length);
    whole = length > 0 ? text_utf8_whole(bytes.data, bytes.length) : bytes.length;
    outlet->rest_length = (uint8_t)(bytes.length - whole);
    memcpy(outlet->rest, bytes.data + whole, outlet->rest_length);
    bytes.length = whole;
    if (whole > 0)
        text_add(session, outlet->number, outlet->is_stderr, bytes);
}

/* False: nothing was there. */
static bool
read_outlet(struct session *session, struct outlet *outlet)
{
    static uint8_t space[sizeof outlet->rest + READ_BYTES];
    uint8_t *data = space + sizeof outlet->rest;
    ssize_t n = read(outlet->fd, data, READ_BYTES);

    if (n < 0)
        return false;
    pass(session, outlet, data, (size_t)n);
    if (n == 0)
        close_outlet(outlet);
    return n > 0;
}

void
outlets_read(struct session *session, unsigned index)
{
    struct outlet *outlet = &session->outlets[index];

    session->is_swept = false;
    if (outlet->fd >= 0)
        (void)read_outlet(session, outlet);
}

void
outlets_sweep(struct session *session)
{
    session->is_swept = true;
    for (size_t i = 0; i < SESSION_OUTLETS_MAX; i++) {
        struct outlet *outlet = &session->outlets[i];

        for (int n = 0; n < SWEEPS_MAX && outlet->fd >= 0; n++) {
            if (!read_outlet(session, outlet))
                break;
        }
    }
}

void
outlets_finish(struct session *session, uint64_t number)
{
    outlets_sweep(session);
    for (size_t i = 0; i < SESSION_OUTLETS_MAX; i++) {
        struct outlet *outlet = &session->outlets[i];
        uint8_t none[sizeof outlet->rest];

        if (outlet->fd >= 0 && outlet->number == number && outlet->rest_length > 0)
            pass(session, outlet, none + sizeof none, 0);
    }
}

uint64_t
outlets_owner(const struct session *session, uint64_t inode)
{
    for (size_t i = 0; i < SESSION_OUTLETS_MAX; i++) {
        if (session->outlets[i].fd >= 0 && session->outlets[i].inode == inode)
            return session->outlets[i].number;
    }
    return 0;
}

void
outlets_fini(struct session *session)
{
    for (size_t i = 0; i < SESSION_OUTLETS_MAX; i++)
        close_outlet(&session->outlets[i]);
}

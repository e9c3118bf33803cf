/* SPDX-License-Identifier: MIT */
/* Waiting, frames, and the end. */
#include "runtimes/bash/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "runtimes/lib/runner.h"

#define SWEEP_US 100000 /* of silence */
#define TEXT_BYTES_MAX ((size_t)1024 * 1024)

uint64_t
session_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int
session_watch(struct session *session, int fd, unsigned source)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = source };

    if (source != SOURCE_CHANNEL)
        event.events |= EPOLLET;
    return epoll_ctl(session->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int
watch_signals(struct session *session, struct error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    session->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (session->signals < 0)
        return error_errno(err, "signalfd");
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

int
session_init(struct session *session, const char *folder, const char *bash,
             struct error *err)
{
    int r;

    *session = (struct session){ .folder = folder,
                                 .bash = bash,
                                 .epoll = -1,
                                 .signals = -1,
                                 .displays = -1,
                                 .shell = { .control = -1, .master = -1, .slave = -1 } };
    for (size_t i = 0; i < SESSION_OUTLETS_MAX; i++)
        session->outlets[i].fd = -1;
    buffer_init(&session->text.bytes, TEXT_BYTES_MAX);
    buffer_init(&session->run.tail, TEXT_BYTES_MAX);
    buffer_init(&session->shell.said, TEXT_BYTES_MAX);
    session->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (session->epoll < 0)
        return error_errno(err, "epoll");
    r = watch_signals(session, err);
    if (r == 0)
        r = runner_create(&session->runner, NULL, err);
    if (r == 0)
        r = session_watch(session, runner_fd(session->runner), SOURCE_CHANNEL);
    if (r == 0)
        r = session_watch(session, session->signals, SOURCE_SIGNALS);
    return r;
}

void
session_fini(struct session *session)
{
    displays_close(session);
    outlets_fini(session);
    buffer_fini(&session->text.bytes);
    buffer_fini(&session->run.tail);
    buffer_fini(&session->shell.said);
    while (session->deferred_count > 0)
        free(session->deferred[--session->deferred_count].bytes);
    close_fdp(&session->shell.control);
    close_fdp(&session->shell.master);
    close_fdp(&session->shell.slave);
    close_fdp(&session->signals);
    close_fdp(&session->epoll);
    runner_destroy(session->runner);
}

static void
send_frame(struct session *session, struct frame *frame)
{
    struct error err = { 0 };

    if (runner_send(session->runner, frame, &err) < 0) {
        displays_close(session);
        _exit(EXIT_FAILURE); /* the server is gone, and so shall we be */
    }
}

void
session_send(struct session *session, enum frame_type type, uint64_t number,
             uint16_t flags, struct slice content)
{
    struct frame frame = {
        .type = type, .flags = flags, .number = number, .content = content
    };

    text_flush(session);
    send_frame(session, &frame);
}

void
text_flush(struct session *session)
{
    struct slice bytes = buffer_slice(&session->text.bytes);
    struct frame frame = {
        .type = FRAME_STREAM,
        .flags = session->text.is_stderr ? FRAME_FLAG_STDERR : 0,
        .number = session->text.number,
        .buffers = &bytes,
        .buffer_count = 1,
    };

    if (bytes.length > 0)
        send_frame(session, &frame);
    buffer_clear(&session->text.bytes, TEXT_BYTES_MAX);
}

void
session_end_like_shell(struct session *session)
{
    int status = session->shell.status;

    outlets_sweep(session);
    text_flush(session);
    displays_close(session);
    if (WIFSIGNALED(status)) {
        sigset_t set;

        /* No core of this process, which is not the one that failed. */
        prctl(PR_SET_DUMPABLE, 0);
        signal(WTERMSIG(status), SIG_DFL);
        sigemptyset(&set);
        sigaddset(&set, WTERMSIG(status));
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        raise(WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

static void
reap(struct session *session)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid != session->shell.pid)
            continue;
        if (WIFSTOPPED(status)) { /* by itself: nobody else could let it go on */
            (void)kill(pid, SIGCONT);
            continue;
        }
        session->shell.pid = 0;
        session->shell.status = status;
    }
}

void
session_take_signals(struct session *session)
{
    struct signalfd_siginfo info;

    while (read(session->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(session);
        else if (session->run.number != 0)
            interrupts_deliver(session);
        else
            session->interrupt_waits = true;
    }
}

/* Keeps a copy of FRAME for later. More than can wait is a server that is none. */
static void
defer(struct session *session, const struct frame *frame)
{
    struct slice parts[] = { frame->header, frame->metadata, frame->content };
    struct deferred *deferred = &session->deferred[session->deferred_count];
    size_t total = 1, at = 0;

    for (size_t i = 0; i < N_ELEMENTS(parts); i++)
        total += parts[i].length;
    if (session->deferred_count == SESSION_DEFERRED_MAX ||
        (deferred->bytes = malloc(total)) == NULL) {
        session->is_closing = true;
        return;
    }
    for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
        if (parts[i].length > 0)
            memcpy(deferred->bytes + at, parts[i].data, parts[i].length);
        parts[i].data = deferred->bytes + at;
        at += parts[i].length;
    }
    deferred->frame = *frame;
    deferred->frame.header = parts[0];
    deferred->frame.metadata = parts[1];
    deferred->frame.content = parts[2];
    deferred->frame.buffer_count = 0;
    deferred->frame.buffers = NULL;
    session->deferred_count++;
}

static void
read_channel(struct session *session)
{
    struct error err = { 0 };
    struct frame frame;
    int r = runner_receive(session->runner, &frame, &err);

    if (r == RUNNER_E_INTERRUPTED)
        return;
    if (r != 0 || frame.type == FRAME_SHUTDOWN)
        session->is_closing = true;
    else if (frame.type != FRAME_INPUT_REPLY)
        defer(session, &frame);
    else if (frame.number == session->run.number && frame.number != 0)
        terminal_answer(session, frame.content);
}

static void
take_report(struct session *session, const struct report *report)
{
    struct run *run = &session->run;

    switch (report->kind) {
    case REPORT_READY:
        session->shell.is_ready = true;
        break;
    case REPORT_STARTED:
        run->has_started = true;
        if (run->interrupt_waits)
            interrupts_deliver(session);
        break;
    case REPORT_INTERRUPTED:
        if (!run->is_ending)
            run->escalate_us = 1;
        run->is_ending = true;
        break;
    case REPORT_DONE:
    case REPORT_REFUSED:
        run->report = *report;
        run->is_done = true;
        break;
    default:
        break;
    }
}

static void
read_control(struct session *session)
{
    struct report report;

    while (shell_report(session, &report))
        take_report(session, &report);
}

static void
handle(struct session *session, unsigned source)
{
    switch (source) {
    case SOURCE_CHANNEL:
        read_channel(session);
        break;
    case SOURCE_SIGNALS:
        session_take_signals(session);
        break;
    case SOURCE_CONTROL:
        read_control(session);
        break;
    case SOURCE_TERMINAL:
        terminal_drain(session);
        break;
    case SOURCE_DISPLAYS:
        displays_read(session);
        break;
    default:
        outlets_read(session, source - SOURCE_OUTLETS);
        if (session->run.look_us != 0) {
            session->run.look_gap_us = session->run.quiet_us = 0;
            session->run.look_us = 1; /* at once when it is quiet */
        }
    }
}

static int
timeout_ms(uint64_t until_us)
{
    uint64_t now = session_now_us();

    if (until_us == 0)
        return -1;
    if (until_us <= now)
        return 0;
    return (int)((until_us - now + 999) / 1000);
}

void
session_step(struct session *session, uint64_t until_us)
{
    uint64_t sweep_us = session_now_us() + SWEEP_US;
    struct epoll_event event;
    int n;

    /* While there is more the text is put together; else it goes out at once. */
    n = epoll_wait(session->epoll, &event, 1, 0);
    if (n == 0 && (session->run.look_us == 0 || text_unfinished(session) == 0))
        text_flush(session);
    if (n == 0 && !session->is_swept && (until_us == 0 || sweep_us < until_us))
        until_us = sweep_us;
    if (n == 0)
        n = epoll_wait(session->epoll, &event, 1, timeout_ms(until_us));
    if (n > 0)
        handle(session, event.data.u32);
    else if (until_us == sweep_us)
        outlets_sweep(session);
}

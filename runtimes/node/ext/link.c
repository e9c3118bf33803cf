/* SPDX-License-Identifier: MIT */
/* Owns the reading thread and the state of interrupts; knows no JavaScript but how to
 * stop it. */
#include "runtimes/node/ext/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "runtimes/lib/runner.h"
#include "runtimes/node/ext/engine.h"

#define END_GRACE_SECONDS 2
#define WAKE_FD_MIN 100
#define REPEAT_MS 250

struct link {
    struct runner *runner; /* owned */
    link_post_fn *post;
    void *post_arg;
    pthread_t main; /* the thread that runs JavaScript */
    pthread_mutex_t lock; /* covers what follows */
    pthread_cond_t answered; /* ANSWER is there, or none will be */
    uint64_t active; /* the request under way, 0: none */
    uint64_t entry; /* counts link_enter */
    bool is_begun; /* the main thread has taken it up */
    bool is_entered; /* user code may run, and be stopped */
    bool is_draining; /* it is what stopped code has left */
    bool is_early; /* an interrupt came before user code was entered */
    bool is_closed;
    enum link_stop stop; /* of this entry */
    uint64_t asked; /* the request whose answer is waited for, 0: none */
    char *answer; /* owned */
    size_t answer_bytes;
};

/* For the handler of SIGINT. */
static volatile sig_atomic_t wake_fd = -1;
static atomic_bool is_signalled; /* and nobody has acted on it yet */

/* Makes the reading thread look again. From signal handlers, too. */
static void
wake(void)
{
    int saved = errno;
    uint64_t one = 1;

    if (write((int)wake_fd, &one, sizeof one) < 0)
        (void)0; /* it is full of wakes already */
    errno = saved;
}

static void
on_interrupt(int signal_number)
{
    (void)signal_number;
    atomic_store(&is_signalled, true);
    wake();
}

static void
on_kick(int signal_number)
{
    (void)signal_number; /* a system call that waits returns */
}

static void
handle(int signal_number, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };

    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

static int
kick_signal(void)
{
    return SIGRTMIN + 5;
}

void
link_restore(struct link *link)
{
    handle(SIGINT, on_interrupt);
    handle(kick_signal(), on_kick);
    runner_restore_output(link->runner);
}

int
link_create(struct link **ret, struct buffer *configure, struct error *err)
{
    CLEANUP(freep) struct link *link = calloc(1, sizeof *link);
    CLEANUP(close_fdp) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r;

    if (link == NULL)
        return -ENOMEM;
    if (fd < 0)
        return error_errno(err, "eventfd");
    wake_fd = fcntl(fd, F_DUPFD_CLOEXEC, WAKE_FD_MIN);
    if (wake_fd < 0)
        return error_errno(err, "duplicating an eventfd");
    link->main = pthread_self();
    pthread_mutex_init(&link->lock, NULL);
    pthread_cond_init(&link->answered, NULL);
    r = runner_create(&link->runner, configure, err);
    if (r < 0)
        return r;
    *ret = link;
    link = NULL;
    return 0;
}

static struct link_event *
make_event(enum link_event_kind kind, size_t bytes)
{
    struct link_event *event = calloc(1, sizeof *event + bytes);

    if (event == NULL)
        abort(); /* as V8 does */
    event->kind = kind;
    return event;
}

/* With the lock held. */
static void
stop_now(struct link *link, enum link_stop why)
{
    struct link_event *event = make_event(LINK_STOPPED, 0);

    if (link->stop == LINK_STOP_NONE || why == LINK_STOP_INTERRUPT)
        link->stop = why;
    event->entry = link->entry;
    engine_terminate();
    link->post(event, link->post_arg);
}

/* Whether there was a signal. With the lock held: who has taken a signal acts on it
 * before anybody else can say that none is left. */
static bool
take_signal(void)
{
    return atomic_exchange(&is_signalled, false);
}

/* What is unread comes first: a signal is sent after the request that it is meant for. */
static void
interrupt(struct link *link)
{
    bool is_meant;

    pthread_mutex_lock(&link->lock);
    is_meant = take_signal() && link->active != 0;
    if (is_meant && link->is_entered)
        stop_now(link, LINK_STOP_INTERRUPT);
    else if (is_meant)
        link->is_early = true;
    if (is_meant && !link->is_begun)
        engine_terminate(); /* what an earlier request has left keeps it waiting */
    pthread_cond_signal(&link->answered);
    pthread_mutex_unlock(&link->lock);
    if (is_meant)
        pthread_kill(link->main, kick_signal());
}

static void
take_answer(struct link *link, const struct frame *frame)
{
    pthread_mutex_lock(&link->lock);
    if (link->asked == frame->number && link->answer == NULL) {
        link->answer = malloc(frame->content.length + 1);
        if (link->answer == NULL)
            abort();
        memcpy(link->answer, frame->content.data, frame->content.length);
        link->answer_bytes = frame->content.length;
        pthread_cond_signal(&link->answered);
    }
    pthread_mutex_unlock(&link->lock);
}

static void
copy_text(char **to, struct slice text)
{
    if (text.length > 0)
        memcpy(*to, text.data, text.length);
    *to += text.length;
}

static void
take_request(struct link *link, const struct frame *frame)
{
    struct link_event *event =
        make_event(LINK_REQUEST,
                   frame->header.length + frame->metadata.length + frame->content.length);
    char *to = event->texts;

    event->type = frame->type;
    event->number = frame->number;
    event->execution_count = frame->execution_count;
    event->header_bytes = frame->header.length;
    event->metadata_bytes = frame->metadata.length;
    event->content_bytes = frame->content.length;
    copy_text(&to, frame->header);
    copy_text(&to, frame->metadata);
    copy_text(&to, frame->content);
    pthread_mutex_lock(&link->lock);
    link->active = frame->type == FRAME_PING ? 0 : frame->number;
    link->is_begun = false;
    link->is_early = false;
    pthread_mutex_unlock(&link->lock);
    link->post(event, link->post_arg);
}

/* False: there will be no more. */
static bool
read_frame(struct link *link)
{
    struct frame frame = { 0 };
    int r = runner_receive(link->runner, &frame, NULL);

    if (r == RUNNER_E_INTERRUPTED)
        return true;
    if (r != 0 || frame.type == FRAME_SHUTDOWN)
        return false;
    if (frame.type == FRAME_INPUT_REPLY)
        take_answer(link, &frame);
    else
        take_request(link, &frame);
    return true;
}

/* Gives the program a moment to end in order, and user code none to prevent it. */
static void
end(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->is_closed = true;
    engine_insist();
    if (link->is_entered)
        engine_terminate();
    pthread_cond_signal(&link->answered);
    pthread_mutex_unlock(&link->lock);
    pthread_kill(link->main, kick_signal());
    link->post(make_event(LINK_CLOSED, 0), link->post_arg);
    sleep(END_GRACE_SECONDS);
    _exit(0);
}

/* Whether user code runs that is to end soon. With the lock held. */
static bool
is_ending(const struct link *link)
{
    if (link->is_entered)
        return link->stop == LINK_STOP_INTERRUPT || link->is_draining;
    return link->is_early && !link->is_begun;
}

/* Milliseconds to wait for something new; -1: as long as it takes. */
static int
patience(struct link *link)
{
    int ms;

    pthread_mutex_lock(&link->lock);
    ms = is_ending(link) ? REPEAT_MS : -1;
    pthread_mutex_unlock(&link->lock);
    return ms;
}

/* What was to end has not: nothing is spared any more. It may wait for a child that it
 * was just about to start, and that the signal has missed. */
static void
repeat_interrupt(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    if (is_ending(link)) {
        engine_insist();
        if (getpgrp() == getpid())
            kill(0, SIGINT);
        else
            on_interrupt(SIGINT);
    }
    pthread_mutex_unlock(&link->lock);
}

static void *
run(void *arg)
{
    struct link *link = arg;
    struct pollfd fds[] = { { .fd = runner_fd(link->runner), .events = POLLIN },
                            { .fd = (int)wake_fd, .events = POLLIN } };
    uint64_t wakes;

    for (;;) {
        int count = poll(fds, N_ELEMENTS(fds), patience(link));

        if (count == 0)
            repeat_interrupt(link);
        if (count <= 0)
            continue;
        if (fds[0].revents != 0 && !read_frame(link)) {
            end(link);
            return NULL;
        }
        if (fds[0].revents == 0 && read((int)wake_fd, &wakes, sizeof wakes) > 0)
            interrupt(link);
    }
}

int
link_start(struct link *link, link_post_fn *post, void *arg, struct error *err)
{
    sigset_t all, before;
    pthread_t thread;
    int r;

    link->post = post;
    link->post_arg = arg;
    link_restore(link);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&thread, NULL, run, link);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return error_set(err, -r, "making a thread: %s", strerror(r));
    pthread_detach(thread);
    return 0;
}

int
link_send(struct link *link, struct frame *frame, struct error *err)
{
    if (frame->type == FRAME_REPLY) {
        pthread_mutex_lock(&link->lock);
        link->active = 0;
        (void)take_signal(); /* the main thread's handler has run by now */
        pthread_mutex_unlock(&link->lock);
    }
    return runner_send(link->runner, frame, err);
}

void
link_begin(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->is_begun = true;
    if (!link->is_closed)
        engine_cancel();
    pthread_mutex_unlock(&link->lock);
}

bool
link_enter(struct link *link)
{
    bool may_run;

    pthread_mutex_lock(&link->lock);
    may_run = !link->is_early;
    link->is_early = false;
    link->entry++;
    link->is_entered = may_run;
    link->is_draining = false;
    link->stop = LINK_STOP_NONE;
    pthread_mutex_unlock(&link->lock);
    return may_run;
}

/* With the lock held. */
static enum link_stop
leave(struct link *link)
{
    enum link_stop stop = take_signal() ? LINK_STOP_INTERRUPT : link->stop;

    link->is_entered = false;
    link->stop = LINK_STOP_NONE;
    if (!link->is_closed)
        engine_cancel();
    return stop;
}

enum link_stop
link_leave(struct link *link)
{
    enum link_stop stop;

    pthread_mutex_lock(&link->lock);
    stop = leave(link);
    pthread_mutex_unlock(&link->lock);
    return stop;
}

enum link_stop
link_stopped(struct link *link, const struct link_event *event)
{
    enum link_stop stop = LINK_STOP_NONE;

    pthread_mutex_lock(&link->lock);
    if (link->is_entered && link->entry == event->entry)
        stop = leave(link);
    pthread_mutex_unlock(&link->lock);
    return stop;
}

void
link_drain(struct link *link)
{
    struct link_event *event = make_event(LINK_DRAINED, 0);

    pthread_mutex_lock(&link->lock);
    link->entry++;
    link->is_entered = true;
    link->is_draining = true;
    link->stop = LINK_STOP_NONE;
    event->entry = link->entry;
    pthread_mutex_unlock(&link->lock);
    wake(); /* its time begins */
    link->post(event, link->post_arg);
}

bool
link_drained(struct link *link, const struct link_event *event)
{
    bool is_drained;

    pthread_mutex_lock(&link->lock);
    is_drained =
        link->is_entered && link->entry == event->entry && link->stop == LINK_STOP_NONE;
    if (is_drained)
        (void)leave(link);
    pthread_mutex_unlock(&link->lock);
    return is_drained;
}

/* With the lock held: until an interrupt has come, or it takes too long. */
static void
await_interrupt(struct link *link)
{
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += REPEAT_MS * 1000000L;
    end.tv_sec += end.tv_nsec / 1000000000L;
    end.tv_nsec %= 1000000000L;
    while (link->stop == LINK_STOP_NONE && !link->is_closed &&
           pthread_cond_clockwait(&link->answered, &link->lock, CLOCK_MONOTONIC, &end) ==
               0)
        continue;
}

bool
link_obey(struct link *link, bool is_coming)
{
    bool is_stopped;

    pthread_mutex_lock(&link->lock);
    if (link->is_entered && is_coming)
        await_interrupt(link);
    is_stopped = link->is_entered && link->stop != LINK_STOP_NONE;
    if (is_stopped) {
        engine_insist();
        engine_terminate();
    }
    pthread_mutex_unlock(&link->lock);
    return is_stopped;
}

bool
link_stop(struct link *link, enum link_stop why)
{
    bool is_entered;

    pthread_mutex_lock(&link->lock);
    is_entered = link->is_entered;
    if (is_entered) {
        engine_insist();
        stop_now(link, why);
    }
    pthread_mutex_unlock(&link->lock);
    return is_entered;
}

int
link_ask(struct link *link, uint64_t number, struct slice content, char **ret,
         size_t *ret_length, struct error *err)
{
    struct frame frame = { .type = FRAME_INPUT_REQUEST,
                           .number = number,
                           .content = content };
    int r;

    pthread_mutex_lock(&link->lock);
    link->asked = number;
    pthread_mutex_unlock(&link->lock);
    r = link_send(link, &frame, err);
    pthread_mutex_lock(&link->lock);
    while (r == 0 && link->answer == NULL && link->stop == LINK_STOP_NONE &&
           !link->is_closed)
        pthread_cond_wait(&link->answered, &link->lock);
    *ret = link->answer;
    *ret_length = link->answer_bytes;
    link->answer = NULL;
    link->asked = 0;
    pthread_mutex_unlock(&link->lock);
    return r;
}

/* SPDX-License-Identifier: MIT */
#include "kernel/cli/console.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "kernel/watch.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define PIECE_BYTES 4096 /* PIPE_BUF: so much never blocks when there is room */

static const int fds[] = { [SCREEN_OUT] = STDOUT_FILENO, [SCREEN_ERR] = STDERR_FILENO };

static int
fail_write(struct console *console, int failure)
{
    console->failure = failure;
    return console->stop;
}

/* Until the stream takes something, or a signal ends it all. */
static int
wait_writable(struct console *console, int fd)
{
    for (;;) {
        struct pollfd items[] = { { .fd = fd, .events = POLLOUT },
                                  { .fd = console->signals, .events = POLLIN } };
        int r;

        if (console->on_signal == NULL)
            items[1].fd = -1;
        if (poll(items, N_ELEMENTS(items), -1) < 0) {
            if (errno != EINTR)
                return -errno;
            continue;
        }
        if (items[1].revents != 0) {
            r = console_take_signal(console);
            if (r != 0)
                return r;
        }
        if (items[0].revents != 0)
            return 0;
    }
}

static int
on_write(enum screen_stream stream, struct slice text, void *arg)
{
    struct console *console = arg;

    while (text.length > 0) {
        int r = wait_writable(console, fds[stream]);
        ssize_t n;

        if (r != 0)
            return r;
        n = write(fds[stream], text.data,
                  text.length > PIECE_BYTES ? PIECE_BYTES : text.length);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0 && stream == SCREEN_ERR)
            return 0; /* what has no reader need not be said */
        if (n < 0)
            return fail_write(console, errno);
        text.data += n;
        text.length -= (size_t)n;
    }
    return 0;
}

/* They come as events from now on, besides those that do already. */
static int
watch_signals(struct console *console, const int *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!watch_is_ignored(wanted[i]))
            sigaddset(&console->watched, wanted[i]);
    }
    if (sigprocmask(SIG_BLOCK, &console->watched, NULL) < 0)
        return -errno;
    console->signals =
        signalfd(console->signals, &console->watched, SFD_CLOEXEC | SFD_NONBLOCK);
    return console->signals < 0 ? -errno : 0;
}

static int
open_signals(struct console *console, struct error *err)
{
    static const int wanted[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that is too large is told like a full disk */
    sigemptyset(&console->watched);
    if (watch_signals(console, wanted, N_ELEMENTS(wanted)) < 0)
        return error_errno(err, "signalfd");
    return 0;
}

int
console_hold_stops(struct console *console)
{
    static const int wanted[] = { SIGTSTP };

    return watch_signals(console, wanted, N_ELEMENTS(wanted));
}

bool
console_is_in_front(void)
{
    pid_t group = tcgetpgrp(STDERR_FILENO);

    return group < 0 || group == getpgrp();
}

/* Returns when somebody lets us go on. */
static int
be_stopped(struct console *console)
{
    bool silent = console->ask.silent;
    sigset_t stop;
    int r = screen_hide_status(&console->screen);

    ask_end(&console->ask);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, NULL); /* it stops us here */
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (silent)
        ask_begin(&console->ask, true);
    console_resize(console);
    return r;
}

static bool
is_set(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0';
}

int
console_init(struct console *console, int stop, struct error *err)
{
    const char *term = getenv("TERM");
    bool is_dumb = term == NULL || strcmp(term, "dumb") == 0;
    struct screen_options options = {
        .is_terminal = { isatty(STDOUT_FILENO) == 1, isatty(STDERR_FILENO) == 1 },
        .can_move = !is_dumb,
        .colours = !is_dumb && !is_set("NO_COLOR"),
        .write = on_write,
        .arg = console,
    };

    *console = (struct console){ .signals = -1, .stop = stop };
    screen_init(&console->screen, &options);
    console_resize(console);
    ask_init(&console->ask, STDIN_FILENO);
    return open_signals(console, err);
}

void
console_fini(struct console *console)
{
    ask_fini(&console->ask);
    screen_fini(&console->screen);
    close_fdp(&console->signals);
}

int
console_take_signal(struct console *console)
{
    struct signalfd_siginfo info;

    if (read(console->signals, &info, sizeof info) != sizeof info)
        return 0;
    if (info.ssi_signo == SIGTSTP)
        return be_stopped(console);
    if (console->on_signal == NULL)
        return 0;
    return console->on_signal((int)info.ssi_signo, console->arg);
}

void
console_resize(struct console *console)
{
    const struct screen_options *options = &console->screen.options;
    struct winsize size = { 0 };

    if ((options->is_terminal[SCREEN_OUT] || options->is_terminal[SCREEN_ERR]) &&
        ioctl(fds[options->is_terminal[SCREEN_OUT] ? SCREEN_OUT : SCREEN_ERR], TIOCGWINSZ,
              &size) == 0 &&
        size.ws_col > 0 && size.ws_row > 0)
        screen_resize(&console->screen, size.ws_col, size.ws_row);
    else
        screen_resize(&console->screen, 80, 24);
}

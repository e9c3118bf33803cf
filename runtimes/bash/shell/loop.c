/* SPDX-License-Identifier: MIT */
/* How bash is entered, and the loop that it never leaves. */
#include "runtimes/bash/shell/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "runtimes/bash/shell/bash.h"

#define TEXTS_BYTES_MAX ((off_t)160 * 1024 * 1024)
#define TRIES_MAX 64 /* at traps that are due and do not run, before the next signal */

int shell_control = -1;
pid_t shell_pid;

volatile bool shell_is_running;
volatile int shell_exited = -1;

bool
shell_is_itself(void)
{
    return getpid() == shell_pid;
}

static void
set_default_sigterm(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };

    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
}

void
shell_begin_child(void)
{
    int fd = shell_control;

    shell_is_running = false;
    shell_control = -1;
    close_fdp(&fd);
    shell_on_fork();
    if (signal_is_trapped(SIGTERM) == 0 && signal_is_ignored(SIGTERM) == 0)
        set_default_sigterm();
}

void
shell_report(const struct report *report)
{
    int before = errno;

    while (send(shell_control, report, sizeof *report, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR)
            _exit(125);
    }
    errno = before;
}

void
shell_die_of_interrupt(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t set;

    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    (void)kill(getpid(), SIGINT);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static bool
read_texts(struct shell_order *order, int fd)
{
    struct stat st;
    size_t length = 0;

    if (fstat(fd, &st) < 0 || st.st_size < 0 || st.st_size > TEXTS_BYTES_MAX)
        return false;
    order->length = (size_t)st.st_size;
    order->texts = malloc(order->length + 1);
    if (order->texts == NULL)
        return false;
    while (length < order->length) {
        ssize_t n =
            pread(fd, order->texts + length, order->length - length, (off_t)length);

        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0)
            length += (size_t)n;
    }
    order->texts[length] = '\0';
    return true;
}

/* A signal came while nobody ran anything: its trap may be due. */
static void
attend_to_signals(void)
{
    if (terminating_signal != 0)
        termsig_handler(terminating_signal);
    if (sigsetjmp(top_level, 0) == 0)
        run_pending_traps();
    fflush(NULL);
}

/* Until the runner has something to say; runs the traps of signals that come meanwhile.
 * They are blocked between the look at what has come and the wait, so that none is
 * overlooked. */
static void
wait_for_order(void)
{
    struct pollfd item = { .fd = shell_control, .events = POLLIN };
    sigset_t all, before;
    int r = -1;

    sigfillset(&all);
    for (unsigned tries = 0; r < 0;) {
        bool is_due;

        sigprocmask(SIG_BLOCK, &all, &before);
        is_due =
            tries < TRIES_MAX && (terminating_signal != 0 || first_pending_trap() > 0);
        r = is_due ? -1 : ppoll(&item, 1, NULL, &before);
        tries = is_due ? tries + 1 : 0;
        if (r < 0 && !is_due && errno != EINTR)
            r = 0; /* recvmsg will say what is wrong */
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (r < 0)
            attend_to_signals();
    }
}

/* Out of low numbers, which a cell may expect to be free. */
static void
move_up(int *fd)
{
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, 64);

    if (moved < 0)
        moved = fcntl(*fd, F_DUPFD_CLOEXEC, 16);
    if (moved >= 0) {
        close(*fd);
        *fd = moved;
    }
}

/* False: the runner is gone. */
static bool
receive(struct shell_order *order)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * ORDER_FDS)];
    } space;
    struct iovec part = { &order->head, sizeof order->head };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    struct cmsghdr *header;
    int fds[ORDER_FDS];
    ssize_t n;

    *order = (struct shell_order){ .fds = { -1, -1, -1 } };
    do {
        wait_for_order();
        message.msg_control = space.bytes;
        message.msg_controllen = sizeof space.bytes;
        n = recvmsg(shell_control, &message, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            attend_to_signals();
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof order->head)
        return false;
    header = CMSG_FIRSTHDR(&message);
    if (header == NULL)
        return order->head.kind == ORDER_QUIT;
    if (header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof fds))
        return false;
    memcpy(fds, CMSG_DATA(header), sizeof fds);
    memcpy(order->fds, fds + 1, sizeof order->fds);
    for (int i = 0; i < 3; i++)
        move_up(&order->fds[i]);
    if (!read_texts(order, fds[0]))
        return false;
    close(fds[0]);
    return true;
}

static void
finish(struct shell_order *order)
{
    for (int i = 0; i < 3; i++)
        close_fdp(&order->fds[i]);
    free(order->texts);
}

char *
shell_first_text(const struct shell_order *order)
{
    return order->texts;
}

char *
shell_next_text(const struct shell_order *order, const char *text)
{
    char *next = order->texts + (text - order->texts) + strlen(text) + 1;

    return next < order->texts + order->length ? next : NULL;
}

void
shell_take_fds(struct shell_order *order)
{
    for (int i = 0; i < 3; i++) {
        (void)dup2(order->fds[i], i);
        close_fdp(&order->fds[i]);
        order->fds[i] = -1;
    }
    clearerr(stdin);
    clearerr(stdout);
    clearerr(stderr);
}

/* Questions are answered by a child, so that they leave no trace. It is waited for here:
 * no trap of the user's shall hear of it. */
static void
ask(struct shell_order *order)
{
    struct report answered = { .kind = REPORT_ANSWERED };
    sigset_t blocked, before;
    int status = 0;
    pid_t pid;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        sigprocmask(SIG_SETMASK, &before, NULL);
        shell_take_fds(order);
        _exit(shell_answer(order));
    }
    if (pid > 0) {
        setpgid(pid, pid);
        shell_report(&(struct report){ .kind = REPORT_ASKED, .status = pid });
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    answered.status = pid < 0             ? 126
                      : WIFEXITED(status) ? WEXITSTATUS(status)
                                          : 128 + WTERMSIG(status);
    sigprocmask(SIG_SETMASK, &before, NULL);
    shell_report(&answered);
}

static void
run(struct shell_order *order)
{
    struct report done = { .kind = REPORT_DONE };
    uint32_t refused = shell_set_variables(order);

    if (refused != 0) {
        shell_report(
            &(struct report){ .kind = REPORT_REFUSED, .status = (int32_t)refused });
        return;
    }
    shell_take_fds(order);
    shell_run(order, &done);
    shell_restore_variables();
    shell_report(&done);
}

static bool
prepare(void)
{
    shell_pid = getpid();
    for (int from = 960; shell_control < 0 && from > 10; from /= 2)
        shell_control = fcntl(ORDER_CONTROL_FD, F_DUPFD_CLOEXEC, from);
    close(ORDER_CONTROL_FD);
    if (shell_control < 0)
        return false;
    set_default_sigterm();
    /* This is the top level from here on: nothing is below that could be returned to. */
    clear_unwind_protect_list(0);
    parse_and_execute_level = 0;
    startup_state = 0;
    command_execution_string = NULL;
    unbind_variable("BASH_EXECUTION_STRING");
    last_command_exit_value = 0;
    return true;
}

static int
serve(struct bash_words *words)
{
    struct shell_order order;

    (void)words;
    if (!prepare())
        return 1;
    shell_report(&(struct report){ .kind = REPORT_READY, .status = shell_pid });
    while (receive(&order) && order.head.kind != ORDER_QUIT) {
        if (order.head.kind == ORDER_RUN)
            run(&order);
        else
            ask(&order);
        finish(&order);
    }
    exit_shell(last_command_exit_value);
}

static const char *const long_doc[] = { "Runs cells.", NULL };

__attribute__((visibility("default"))) struct bash_builtin cellwall_struct = {
    "cellwall", serve, BASH_BUILTIN_ENABLED, long_doc, "cellwall", NULL
};

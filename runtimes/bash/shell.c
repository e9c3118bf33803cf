/* SPDX-License-Identifier: MIT */
/* The shell's process: its start, its orders, its signals. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "runtimes/bash/session.h"
#include "runtimes/lib/runner.h"

#define START_US ((uint64_t)20 * 1000000)
#define ESCALATE_US ((uint64_t)700 * 1000) /* well within the server's own patience */
#define LOOK_AGAIN_US ((uint64_t)20 * 1000)
#define LIBRARY "cellwall.so"
#define START "enable -f \"$0\" cellwall && set -- && BASH_ARGV0=bash && cellwall"

static int
open_terminal(struct shell *shell, struct error *err)
{
    struct winsize size = { .ws_row = 24, .ws_col = 80 };
    CLEANUP(close_fdp)
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    char name[64];
    struct stat st;

    if (master < 0)
        return 0; /* where terminals are forbidden: no job control, and no questions */
    if (grantpt(master) < 0 || unlockpt(master) < 0 ||
        ptsname_r(master, name, sizeof name) != 0)
        return error_errno(err, "there is no terminal to be had");
    shell->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (shell->slave < 0 || fstat(shell->slave, &st) < 0)
        return error_errno(err, "opening %s", name);
    (void)ioctl(shell->slave, TIOCSWINSZ, &size);
    shell->terminal = st.st_rdev;
    shell->master = master;
    master = -1;
    return 0;
}

static void
put_first(const char *name, const char *value, char separator)
{
    const char *before = getenv(name);
    CLEANUP(freep) char *text = NULL;

    if (before == NULL || before[0] == '\0')
        setenv(name, value, 1);
    else if (asprintf(&text, "%s%c%s", value, separator, before) > 0)
        setenv(name, text, 1);
    else
        text = NULL;
}

__attribute__((noreturn)) static void
become_shell(const struct session *session, int control)
{
    const struct shell *shell = &session->shell;
    const char *jobs = shell->slave >= 0 ? "-m" : "+m";
    char library[4096], programs[4096];
    sigset_t none;

    snprintf(library, sizeof library, "%s/" LIBRARY, session->folder);
    snprintf(programs, sizeof programs, "%s/bin", session->folder);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    for (int i = 0; i < 3 && shell->slave >= 0; i++)
        (void)dup2(shell->slave, i);
    if (shell->slave >= 0)
        (void)ioctl(0, TIOCSCTTY, 0);
    (void)dup2(control, ORDER_CONTROL_FD); /* which is not CLOEXEC then */
    put_first("PATH", programs, ':');
    put_first("LD_PRELOAD", library, ':');
    if (session->displays_path[0] != '\0')
        setenv("CELLWALL_DISPLAY", session->displays_path, 1);
    setenv("COLUMNS", "80", 0);
    setenv("LINES", "24", 0);
    setenv("PAGER", "cat", 0);
    setenv("GIT_PAGER", "cat", 0);
    execl(session->bash, "bash", "--norc", "--noprofile", jobs, "-O", "expand_aliases",
          "-O", "execfail", "-c", START, library, (char *)NULL);
    dprintf(2, "%s: %s\n", session->bash, strerror(errno));
    _exit(127);
}

static int
await_ready(struct session *session, struct error *err)
{
    uint64_t until = session_now_us() + START_US;

    while (!session->shell.is_ready && session->shell.pid != 0 &&
           session->shell.control >= 0 && session_now_us() < until)
        session_step(session, until);
    if (session->shell.is_ready)
        return 0;
    terminal_drain(session);
    return error_set(err, -EPROTO, "%s did not start: %.*s", session->bash,
                     (int)session->shell.said.length,
                     (const char *)session->shell.said.data);
}

int
shell_start(struct session *session, struct error *err)
{
    struct shell *shell = &session->shell;
    CLEANUP(close_fdp) int theirs = -1;
    int ends[2], r;

    r = open_terminal(shell, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, "socketpair");
    shell->control = ends[0];
    theirs = ends[1];
    if (fcntl(shell->control, F_SETFL, O_NONBLOCK) < 0 ||
        session_watch(session, shell->control, SOURCE_CONTROL) < 0 ||
        (shell->master >= 0 &&
         session_watch(session, shell->master, SOURCE_TERMINAL) < 0))
        return error_errno(err, "watching the shell");
    shell->pid = fork();
    if (shell->pid < 0)
        return error_errno(err, "fork");
    if (shell->pid == 0) {
        /* The runner's end of fd 3 is elsewhere by now, and closes by itself. */
        if (theirs == ORDER_CONTROL_FD)
            (void)fcntl(theirs, F_SETFD, 0);
        become_shell(session, theirs);
    }
    close_fdp(&theirs);
    theirs = -1;
    r = await_ready(session, err);
    if (r == 0 && shell->slave >= 0)
        r = tcgetattr(shell->slave, &shell->settings) < 0 ? -errno : 0;
    return r;
}

static int
make_texts(struct slice texts)
{
    int fd = memfd_create("order", MFD_CLOEXEC);
    size_t done = 0;

    while (fd >= 0 && done < texts.length) {
        ssize_t n = write(fd, texts.data + done, texts.length - done);

        if (n < 0 && errno != EINTR) {
            close(fd);
            return -1;
        }
        if (n > 0)
            done += (size_t)n;
    }
    return fd;
}

bool
shell_order(struct session *session, struct order order, struct slice texts,
            const int fds[3])
{
    CLEANUP(close_fdp) int memory = make_texts(texts);
    const int all[ORDER_FDS] = { memory, fds[0], fds[1], fds[2] };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof all)];
    } space = { 0 };
    struct iovec part = { &order, sizeof order };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = space.bytes,
                              .msg_controllen = sizeof space.bytes };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    if (memory < 0 || session->shell.control < 0)
        return false;
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof all);
    memcpy(CMSG_DATA(header), all, sizeof all);
    return sendmsg(session->shell.control, &message, MSG_NOSIGNAL) ==
           (ssize_t)sizeof order;
}

bool
shell_order_quit(struct session *session)
{
    const struct order order = { .kind = ORDER_QUIT };

    return session->shell.control >= 0 &&
           send(session->shell.control, &order, sizeof order, MSG_NOSIGNAL) > 0;
}

bool
shell_report(struct session *session, struct report *ret)
{
    ssize_t n;

    if (session->shell.control < 0)
        return false;
    n = recv(session->shell.control, ret, sizeof *ret, 0);
    if (n == (ssize_t)sizeof *ret)
        return true;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    /* Closed: the shell has ended, or is another program now. */
    close(session->shell.control);
    session->shell.control = -1;
    return false;
}

pid_t
shell_foreground(const struct session *session)
{
    pid_t group = session->shell.master < 0 ? 0 : tcgetpgrp(session->shell.master);

    return group > 1 ? group : session->shell.pid;
}

static void
signal_job(const struct session *session, pid_t group, int signal)
{
    if (group > 1 && group != session->shell.pid && group != getpgrp())
        (void)kill(-group, signal);
}

void
interrupts_deliver(struct session *session)
{
    static const int means[] = { SIGINT, SIGTERM, SIGKILL };
    struct run *run = &session->run;
    unsigned i = run->interrupts < 2 ? run->interrupts : 2;

    run->interrupt_waits = !run->has_started;
    if (session->shell.pid == 0 || run->interrupt_waits)
        return;
    run->interrupts++;
    run->interrupted_us = session_now_us();
    run->interrupted_group = shell_foreground(session);
    run->escalate_us = run->interrupted_us + ESCALATE_US;
    /* The shell first: a job that is killed by a signal of which the shell has not heard
     * would have ended by itself. */
    (void)kill(-session->shell.pid, SIGINT);
    signal_job(session, run->interrupted_group, means[i]);
    if (i > 0 || session->shell.master < 0)
        (void)kill(session->shell.pid, ORDER_HARD_SIGNAL);
}

/* Whether a process has no ear for SIGINT: it ignores or blocks it. */
static bool
is_deaf(pid_t pid)
{
    char path[64], line[256];
    unsigned long long mask;
    bool deaf = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "SigIgn: %llx", &mask) == 1 ||
            sscanf(line, "SigBlk: %llx", &mask) == 1)
            deaf |= (mask & (1ULL << (SIGINT - 1))) != 0;
    }
    fclose(file);
    return deaf;
}

/* A job that came to the foreground after the interrupt, of a shell that had no time to
 * look: it has not heard of it. */
static void
interrupt_newcomers(struct session *session, pid_t group)
{
    struct run *run = &session->run;

    if (group != session->shell.pid && group != run->interrupted_group) {
        run->interrupted_group = group;
        signal_job(session, group, SIGINT);
    }
}

void
interrupts_escalate(struct session *session)
{
    pid_t group = shell_foreground(session);
    struct run *run = &session->run;
    uint64_t now = session_now_us();

    run->escalate_us = run->is_ending ? now + LOOK_AGAIN_US : 0;
    if (session->shell.pid == 0)
        return;
    if (run->is_ending)
        interrupt_newcomers(session, group);
    if (now < run->interrupted_us + ESCALATE_US) {
        if (!run->is_ending)
            run->escalate_us = run->interrupted_us + ESCALATE_US;
        return;
    }
    if (group != session->shell.pid && terminal_any_member(group, is_deaf))
        signal_job(session, group, SIGKILL);
    if (is_deaf(session->shell.pid))
        (void)kill(session->shell.pid, ORDER_HARD_SIGNAL);
}

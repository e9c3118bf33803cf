/* SPDX-License-Identifier: MIT */
/*
 * The terminal that cells read from, when the client can be asked.
 *
 * A terminal does not tell when somebody reads. So when all is quiet the processes of the
 * foreground are looked at: the kernel says in which system call each one waits, and on
 * which descriptors.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/json.h"
#include "protocol/text.h"
#include "runtimes/bash/session.h"

#define FIRST_LOOK_US 15000
#define LAST_LOOK_US 250000
#define POLLED_US 400000 /* before one who waits for several things is asked for */
#define LINE_BYTES_MAX 4095 /* what a terminal takes as one line */
#define PROMPT_BYTES_MAX 1024
#define POLL_FDS_MAX 64
#define DEV_TTY makedev(5, 0) /* "the" terminal, by which the foreground means ours */
#define END_OF_INPUT "\4"

struct call {
    long number;
    unsigned long long arguments[6];
};

static bool
is_terminal(const struct session *session, pid_t pid, int fd)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
    return fd >= 0 && stat(path, &st) == 0 && S_ISCHR(st.st_mode) &&
           (st.st_rdev == session->shell.terminal || st.st_rdev == DEV_TTY);
}

static size_t
read_memory(pid_t pid, unsigned long long at, void *ret, size_t length)
{
    char path[64];
    CLEANUP(close_fdp) int fd = -1;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : pread(fd, ret, length, (off_t)at);
    return n < 0 ? 0 : (size_t)n;
}

static bool
polls_terminal(const struct session *session, pid_t pid, const struct call *call)
{
    struct pollfd entries[POLL_FDS_MAX];
    size_t count = call->arguments[1] < POLL_FDS_MAX ? call->arguments[1] : POLL_FDS_MAX;

    count = read_memory(pid, call->arguments[0], entries, count * sizeof entries[0]) /
            sizeof entries[0];
    for (size_t i = 0; i < count; i++) {
        if ((entries[i].events & POLLIN) != 0 && is_terminal(session, pid, entries[i].fd))
            return true;
    }
    return false;
}

static bool
selects_terminal(const struct session *session, pid_t pid, const struct call *call)
{
    fd_set set;
    size_t bytes = (size_t)(call->arguments[0] + 7) / 8;

    FD_ZERO(&set);
    if (call->arguments[1] == 0 || call->arguments[0] > FD_SETSIZE ||
        read_memory(pid, call->arguments[1], &set, bytes) != bytes)
        return false;
    for (int fd = 0; fd < (int)call->arguments[0]; fd++) {
        if (FD_ISSET(fd, &set) && is_terminal(session, pid, fd))
            return true;
    }
    return false;
}

static bool
epolls_terminal(const struct session *session, pid_t pid, const struct call *call)
{
    char path[64], line[256];
    bool found = false;
    FILE *file;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, (int)call->arguments[0]);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof line, file) != NULL)
        found = sscanf(line, "tfd: %d", &fd) == 1 && is_terminal(session, pid, fd);
    fclose(file);
    return found;
}

static enum terminal_reader
look_at_call(const struct session *session, pid_t pid, const struct call *call)
{
    bool polls = false;

    switch (call->number) {
    case SYS_read:
    case SYS_readv:
        return is_terminal(session, pid, (int)call->arguments[0]) ? TERMINAL_READ
                                                                  : TERMINAL_UNREAD;
#ifdef SYS_poll
    case SYS_poll:
#endif
    case SYS_ppoll:
        polls = polls_terminal(session, pid, call);
        break;
#ifdef SYS_select
    case SYS_select:
#endif
    case SYS_pselect6:
        polls = selects_terminal(session, pid, call);
        break;
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait:
        polls = epolls_terminal(session, pid, call);
        break;
    default:
        break;
    }
    return polls ? TERMINAL_POLLED : TERMINAL_UNREAD;
}

static enum terminal_reader
look_at_thread(const struct session *session, pid_t pid, const char *thread)
{
    char path[sizeof "/proc//task//syscall" + 32 + 256], line[256];
    struct call call;
    bool known;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/task/%s/syscall", (int)pid, thread);
    file = fopen(path, "re");
    if (file == NULL)
        return TERMINAL_UNREAD;
    known = fgets(line, sizeof line, file) != NULL &&
            sscanf(line, "%ld %llx %llx %llx", &call.number, &call.arguments[0],
                   &call.arguments[1], &call.arguments[2]) == 4;
    fclose(file);
    return known ? look_at_call(session, pid, &call) : TERMINAL_UNREAD;
}

static enum terminal_reader
look_at_process(const struct session *session, pid_t pid)
{
    enum terminal_reader most = TERMINAL_UNREAD;
    char path[64];
    struct dirent *entry;
    DIR *folder;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    folder = opendir(path);
    while (folder != NULL && most != TERMINAL_READ && (entry = readdir(folder)) != NULL) {
        enum terminal_reader one;

        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        one = look_at_thread(session, pid, entry->d_name);
        most = one > most ? one : most;
    }
    if (folder != NULL)
        closedir(folder);
    return most;
}

/* The next process of GROUP that FOLDER, /proc, lists; 0: none. */
static pid_t
next_member(DIR *folder, pid_t group)
{
    struct dirent *entry;

    while ((entry = readdir(folder)) != NULL) {
        pid_t pid = (pid_t)atoi(entry->d_name);

        if (pid > 1 && getpgid(pid) == group)
            return pid;
    }
    return 0;
}

bool
terminal_any_member(pid_t group, bool (*fn)(pid_t pid))
{
    DIR *folder = opendir("/proc");
    bool found = false;
    pid_t pid;

    while (folder != NULL && !found && (pid = next_member(folder, group)) != 0)
        found = fn(pid);
    if (folder != NULL)
        closedir(folder);
    return found;
}

enum terminal_reader
terminal_look(const struct session *session)
{
    enum terminal_reader most = TERMINAL_UNREAD;
    pid_t group = shell_foreground(session), pid;
    DIR *folder = opendir("/proc");

    while (folder != NULL && most != TERMINAL_READ &&
           (pid = next_member(folder, group)) != 0) {
        enum terminal_reader one = look_at_process(session, pid);

        most = one > most ? one : most;
    }
    if (folder != NULL)
        closedir(folder);
    return most;
}

static bool
is_password(const struct session *session)
{
    struct termios settings;

    return tcgetattr(session->shell.master, &settings) == 0 &&
           (settings.c_lflag & ICANON) != 0 && (settings.c_lflag & ECHO) == 0;
}

/* What waits of the last line is the question, and is not printed besides. */
static void
ask_user(struct session *session)
{
    size_t length = text_unfinished(session);
    struct buffer *text = &session->text.bytes, content;

    if (length > PROMPT_BYTES_MAX)
        length = 0;
    buffer_init(&content, SESSION_JSON_BYTES_MAX);
    if (buffer_append_text(&content, "{\"prompt\":") == 0 &&
        text_append_json(&content, text->data + text->length - length, length) == 0 &&
        buffer_append_format(&content, ",\"password\":%s}",
                             is_password(session) ? "true" : "false") == 0) {
        text->length -= length;
        session->run.is_asking = true;
        session_send(session, FRAME_INPUT_REQUEST, session->run.number, 0,
                     buffer_slice(&content));
    }
    buffer_fini(&content);
}

/* Whether something waits that the reader will take as soon as it gets to run. */
static bool
has_input(const struct session *session)
{
    struct pollfd slave = { .fd = session->shell.slave, .events = POLLIN };

    return poll(&slave, 1, 0) > 0 && (slave.revents & POLLIN) != 0;
}

void
terminal_attend(struct session *session)
{
    struct run *run = &session->run;
    enum terminal_reader reader;

    if (run->look_gap_us == 0) {
        run->look_gap_us = FIRST_LOOK_US;
    } else {
        run->quiet_us += run->look_gap_us;
        reader = terminal_look(session);
        if ((reader == TERMINAL_READ && !has_input(session)) ||
            (reader == TERMINAL_POLLED && run->quiet_us >= POLLED_US)) {
            ask_user(session);
            run->look_us = 0;
            return;
        }
        /* Nobody does: what has been kept back was no question. */
        text_flush(session);
        if (run->look_gap_us < LAST_LOOK_US)
            run->look_gap_us *= 2;
    }
    run->look_us = session_now_us() + run->look_gap_us;
}

static void
type(const struct session *session, const uint8_t *data, size_t length)
{
    if (write(session->shell.master, data, length) < 0)
        return; /* the terminal is full: nobody reads after all */
}

void
terminal_answer(struct session *session, struct slice content)
{
    struct run *run = &session->run;
    struct buffer line;
    struct slice value;

    if (!run->is_asking)
        return;
    run->is_asking = false;
    run->look_us = 1;
    run->look_gap_us = run->quiet_us = 0;
    buffer_init(&line, SESSION_JSON_BYTES_MAX);
    if (json_member(content, "value", &value) == 0)
        (void)json_decode_string(value, &line);
    if (line.length != 1 || line.data[0] != END_OF_INPUT[0]) {
        if (line.length >= LINE_BYTES_MAX)
            line.length = LINE_BYTES_MAX - 1;
        (void)buffer_append_text(&line, "\n");
    }
    type(session, line.data, line.length);
    buffer_fini(&line);
}

void
terminal_drain(struct session *session)
{
    struct buffer *said = &session->shell.said;
    uint8_t data[4096];
    ssize_t n;

    while (session->shell.master >= 0 &&
           (n = read(session->shell.master, data, sizeof data)) > 0) {
        if (said->length < 4096)
            (void)buffer_append(said, data, (size_t)n);
    }
}

void
terminal_reset(struct session *session)
{
    (void)tcflush(session->shell.slave, TCIFLUSH);
    (void)tcsetattr(session->shell.slave, TCSANOW, &session->shell.settings);
    terminal_drain(session);
}

/* SPDX-License-Identifier: MIT */
/* The commands of the example language: honest ones first, then those that misbehave. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "runtimes/example/example.h"

static void
write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);

        if (n < 0 && errno != EINTR)
            return;
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        }
    }
}

static void
write_line(int fd, const char *text)
{
    CLEANUP(freep) char *line = NULL;
    int n = asprintf(&line, "%s\n", text);

    if (n > 0)
        write_all(fd, line, (size_t)n);
}

static void
stream_line(struct example *example, bool is_stderr, const char *text)
{
    CLEANUP(freep) char *line = NULL;

    if (asprintf(&line, "%s\n", text) > 0)
        example_stream(example, is_stderr, line);
}

/* print TEXT: a stream frame for stdout. */
static void
do_print(struct example *example, const char *text)
{
    stream_line(example, false, text);
}

static void
do_error(struct example *example, const char *text)
{
    stream_line(example, true, text);
}

/* pieces A B C: each word and each space a stream frame of its own, then a newline. */
static void
do_pieces(struct example *example, const char *text)
{
    char piece[2] = { 0 };

    for (; *text != '\0'; text++) {
        piece[0] = *text;
        example_stream(example, false, piece);
    }
    example_stream(example, false, "\n");
}

/* raw TEXT: written to fd 1, as a C library would. */
static void
do_raw(struct example *example, const char *text)
{
    (void)example;
    write_line(STDOUT_FILENO, text);
}

static void
do_rawerr(struct example *example, const char *text)
{
    (void)example;
    write_line(STDERR_FILENO, text);
}

/* bytes HEX: any bytes, to fd 1. */
static void
do_bytes(struct example *example, const char *hex)
{
    (void)example;
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
        char character = (char)byte;

        write_all(STDOUT_FILENO, &character, 1);
    }
}

static json_t *
bundle(const char *text)
{
    return json_pack("{s:{s:s}, s:{}}", "data", "text/plain", text, "metadata");
}

static void
do_display(struct example *example, const char *text)
{
    example_send(example, FRAME_DISPLAY_DATA, bundle(text));
}

static void
do_result(struct example *example, const char *text)
{
    json_t *content = bundle(text);

    if (example->silent) {
        json_decref(content);
        return;
    }
    json_object_set_new(content, "execution_count",
                        json_integer(example->execution_count));
    example_send(example, FRAME_EXECUTE_RESULT, content);
}

static void
do_clear(struct example *example, const char *text)
{
    example_send(example, FRAME_CLEAR_OUTPUT,
                 json_pack("{s:b}", "wait", strcmp(text, "wait") == 0));
}

/* set NAME TEXT, get NAME: state that persists. */
static void
do_set(struct example *example, const char *text)
{
    CLEANUP(freep) char *name = strdup(text);
    char *value = name;

    if (name == NULL || json_object_size(example->variables) >= EXAMPLE_VARIABLES_MAX) {
        example_fail(example, "MemoryError", "too many variables");
        return;
    }
    strsep(&value, " ");
    json_object_set_new(example->variables, name,
                        json_string(value != NULL ? value : ""));
}

static void
do_get(struct example *example, const char *name)
{
    const char *value = json_string_value(json_object_get(example->variables, name));

    if (value == NULL) {
        example_fail(example, "NameError", "no such variable");
        return;
    }
    do_result(example, value);
}

static void
do_raise(struct example *example, const char *text)
{
    example_fail(example, "ExampleError", text);
}

/* Waits for a frame. False: a SIGINT came first, be it just before the wait. */
static bool
frame_has_come(struct example *example)
{
    struct pollfd wait = { .fd = runner_fd(example->runner), .events = POLLIN };
    sigset_t all, mask;
    bool interrupted;
    int ready = 0;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &mask);
    while (!(interrupted = example_interrupted(example)) && ready <= 0)
        ready = ppoll(&wait, 1, NULL, &mask); /* the only place for signals meanwhile */
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return !interrupted;
}

/* input PROMPT: asks, and shows the answer as a result. */
static void
do_input(struct example *example, const char *prompt)
{
    struct error err = { 0 };
    struct frame frame = { 0 };
    json_t *content;

    if (!example->allow_stdin) {
        example_fail(example, "StdinNotAllowed", "this request allows no input");
        return;
    }
    example_send(example, FRAME_INPUT_REQUEST,
                 json_pack("{s:s, s:b}", "prompt", prompt, "password", 0));
    do {
        if (!frame_has_come(example))
            return;
        if (runner_receive(example->runner, &frame, &err) != 0)
            exit(EXIT_FAILURE);
        if (frame.type == FRAME_SHUTDOWN)
            exit(EXIT_SUCCESS);
    } while (frame.type != FRAME_INPUT_REPLY || frame.number != example->number);
    content = json_loadb((const char *)frame.content.data, frame.content.length, 0, NULL);
    do_result(example, json_string_value(json_object_get(content, "value")));
    json_decref(content);
}

/* comm ID: opens a comm with one buffer. */
static void
do_comm(struct example *example, const char *id)
{
    CLEANUP(freep) char *text = NULL;
    struct slice buffer = slice_text("buffer");
    struct error err = { 0 };
    struct frame frame = {
        .type = FRAME_COMM_OPEN,
        .number = example->number,
        .buffers = &buffer,
        .buffer_count = 1,
    };
    json_t *content =
        json_pack("{s:s, s:s, s:{}}", "comm_id", id, "target_name", "example", "data");

    text = json_dumps(content, JSON_COMPACT);
    json_decref(content);
    frame.content = slice_text(text);
    if (runner_send(example->runner, &frame, &err) < 0)
        exit(EXIT_FAILURE);
}

/* block: until an interrupt. */
static void
do_block(struct example *example, const char *text)
{
    (void)text;
    while (!example_interrupted(example)) {
        struct timespec pause = { .tv_nsec = 1000000 };

        nanosleep(&pause, NULL);
    }
}

/* spin: computes until an interrupt. */
static void
do_spin(struct example *example, const char *text)
{
    (void)text;
    while (!example_interrupted(example))
        continue;
}

/* mix N: N rounds of marked output in all the ways there are, numbered from 0. */
static void
do_mix(struct example *example, const char *text)
{
    long rounds = strtol(text, NULL, 10);
    char token[32];

    for (long i = 0; i < rounds && !example_interrupted(example); i++) {
        snprintf(token, sizeof token, "<%ld>", i);
        switch (i * 7 % 5) {
        case 0:
            example_stream(example, false, token);
            break;
        case 1:
            write_all(STDOUT_FILENO, token, strlen(token));
            break;
        case 2:
            do_display(example, token);
            break;
        case 3:
            example_stream(example, true, token);
            break;
        default:
            write_all(STDOUT_FILENO, token, strlen(token));
            do_display(example, "");
            break;
        }
    }
}

/* flood BYTES: raw output until an interrupt or that many bytes. */
static void
do_flood(struct example *example, const char *text)
{
    static char block[65536];
    unsigned long long left = strtoull(text, NULL, 10);

    memset(block, 'x', sizeof block);
    for (size_t i = 63; i < sizeof block; i += 64)
        block[i] = '\n';
    while (left > 0 && !example_interrupted(example)) {
        size_t n = left < sizeof block ? (size_t)left : sizeof block;

        write_all(STDOUT_FILENO, block, n);
        left -= n;
    }
}

/* pid: shows its process id, inside. */
static void
do_pid(struct example *example, const char *text)
{
    char number[32];

    (void)text;
    snprintf(number, sizeof number, "%d", (int)getpid());
    do_result(example, number);
}

static void
do_write(struct example *example, const char *path)
{
    CLEANUP(close_fdp)
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0) {
        example_fail(example, "OSError", strerror(errno));
        return;
    }
    write_line(fd, "written");
}

static void
do_cat(struct example *example, const char *path)
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[4096];
    ssize_t n;

    if (fd < 0) {
        example_fail(example, "OSError", strerror(errno));
        return;
    }
    while ((n = read(fd, text, sizeof text)) > 0)
        write_all(STDOUT_FILENO, text, (size_t)n);
}

/* Here the hostile ones begin. */

/* By the system's shell, with its stdout and stderr. */
static void
do_shell(struct example *example, const char *text)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", text, (char *)NULL);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        example_fail(example, "ShellError", text);
}

static void
do_exit(struct example *example, const char *text)
{
    (void)example;
    _exit(atoi(text));
}

static void
do_signal(struct example *example, const char *text)
{
    (void)example;
    signal(atoi(text), SIG_DFL);
    kill(getpid(), atoi(text));
}

/* stubborn: ignores interrupts, says so, and computes for ever. */
static void
do_stubborn(struct example *example, const char *text)
{
    (void)text;
    signal(SIGINT, SIG_IGN);
    example_stream(example, false, "stubborn\n");
    for (volatile unsigned long i = 0;; i++)
        continue;
}

static void
do_closechannel(struct example *example, const char *text)
{
    (void)text;
    close(runner_fd(example->runner));
    for (;;)
        pause();
}

static void
do_closeoutput(struct example *example, const char *text)
{
    (void)example, (void)text;
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
}

/* packet HEX: any bytes as one packet on the channel. */
static void
do_packet(struct example *example, const char *hex)
{
    uint8_t packet[2048];
    size_t n = 0;

    for (unsigned byte; n < sizeof packet && sscanf(hex, "%2x", &byte) == 1; hex += 2)
        packet[n++] = (uint8_t)byte;
    send(runner_fd(example->runner), packet, n, MSG_NOSIGNAL);
}

/* forge TYPE NUMBER JSON: a well-formed frame that it should not send. */
static void
do_forge(struct example *example, const char *text)
{
    struct error err = { 0 };
    struct frame frame = { 0 };
    unsigned long long number;
    unsigned type;
    int at = 0;

    if (sscanf(text, "%u %llu %n", &type, &number, &at) < 2) {
        example_fail(example, "ValueError", "forge TYPE NUMBER JSON");
        return;
    }
    frame.type = (enum frame_type)type;
    frame.number = number;
    frame.content = slice_text(text + at);
    if (runner_send(example->runner, &frame, &err) != 0)
        example_fail(example, "FrameError", err.text);
}

/* daemon: a grandchild that ignores every signal, in a session of its own, and holds the
 * output pipes open. */
static void
do_daemon(struct example *example, const char *text)
{
    (void)example, (void)text;
    if (fork() != 0)
        return;
    setsid();
    if (fork() != 0)
        _exit(0);
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_IGN);
    for (;;)
        pause();
}

static void
do_forkbomb(struct example *example, const char *text)
{
    (void)example, (void)text;
    for (;;)
        (void)!fork();
}

static void
do_nonblock(struct example *example, const char *text)
{
    (void)example, (void)text;
    fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
    fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
}

static const struct command {
    const char *name;
    void (*fn)(struct example *example, const char *arguments);
} commands[] = {
    { "print", do_print },
    { "error", do_error },
    { "pieces", do_pieces },
    { "raw", do_raw },
    { "rawerr", do_rawerr },
    { "bytes", do_bytes },
    { "display", do_display },
    { "result", do_result },
    { "clear", do_clear },
    { "set", do_set },
    { "get", do_get },
    { "raise", do_raise },
    { "input", do_input },
    { "comm", do_comm },
    { "block", do_block },
    { "spin", do_spin },
    { "mix", do_mix },
    { "flood", do_flood },
    { "pid", do_pid },
    { "write", do_write },
    { "cat", do_cat },
    { "shell", do_shell },
    { "exit", do_exit },
    { "signal", do_signal },
    { "stubborn", do_stubborn },
    { "closechannel", do_closechannel },
    { "closeoutput", do_closeoutput },
    { "packet", do_packet },
    { "forge", do_forge },
    { "daemon", do_daemon },
    { "forkbomb", do_forkbomb },
    { "nonblock", do_nonblock },
};

void
example_command(struct example *example, const char *line)
{
    size_t length = strcspn(line, " ");
    const char *arguments = line + length + (line[length] == ' ');

    for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
        if (strlen(commands[i].name) == length &&
            memcmp(commands[i].name, line, length) == 0) {
            commands[i].fn(example, arguments);
            return;
        }
    }
    example_fail(example, "SyntaxError", line);
}

/* SPDX-License-Identifier: MIT */
/*
 * The real program over pipes, and what a confined process can still do.
 */
#include "tests/compare/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/compare/confine.h"

#define STDERR_BYTES 4096

/* The program, with its three pipes. */
struct program {
    pid_t pid;
    int in, out, err; /* owned; in: -1 when it is closed */
};

/* BEFORE is called in the child, before the program. */
static struct program
start(void (*before)(void))
{
    struct program program;
    int in[2], out[2], err[2];

    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC),
                     0);
    program.pid = fork();
    assert_true(program.pid >= 0);
    if (program.pid == 0) {
        if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
            _exit(99);
        if (before != NULL)
            before();
        execl(COMPARE_PROGRAM, COMPARE_PROGRAM, (char *)NULL);
        _exit(98);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    program.in = in[1];
    program.out = out[0];
    program.err = err[0];
    return program;
}

static void
put(const struct program *program, const void *data, size_t length)
{
    const char *at = data;
    ssize_t n;

    for (; length > 0; at += n, length -= (size_t)n) {
        n = write(program->in, at, length);
        assert_true(n > 0);
    }
}

static void
put_header(const struct program *program, uint32_t length)
{
    const uint8_t header[4] = { (uint8_t)length, (uint8_t)(length >> 8),
                                (uint8_t)(length >> 16), (uint8_t)(length >> 24) };

    put(program, header, sizeof header);
}

static void
put_message(const struct program *program, const char *text)
{
    put_header(program, (uint32_t)strlen(text));
    put(program, text, strlen(text));
}

static void
get(const struct program *program, void *data, size_t length)
{
    char *at = data;
    ssize_t n;

    for (; length > 0; at += n, length -= (size_t)n) {
        n = read(program->out, at, length);
        assert_true(n > 0);
    }
}

/* The next answer, which the caller owns. */
static json_t *
get_message(const struct program *program)
{
    uint8_t header[4];
    json_t *answer;
    size_t length;
    char *text;

    get(program, header, sizeof header);
    length = (size_t)header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16 |
             (size_t)header[3] << 24;
    text = calloc(1, length + 1);
    assert_non_null(text);
    get(program, text, length);
    answer = ask_parse(text);
    free(text);
    return answer;
}

/* Ends PROGRAM's stdin; its status, and in STDERR what it said. */
static int
finish(struct program *program, char err[STDERR_BYTES])
{
    size_t used = 0;
    ssize_t n;
    int status;

    if (program->in >= 0)
        close(program->in);
    while ((n = read(program->err, err + used, STDERR_BYTES - 1 - used)) > 0)
        used += (size_t)n;
    err[used] = '\0';
    close(program->out);
    close(program->err);
    assert_int_equal(waitpid(program->pid, &status, 0), program->pid);
    return status;
}

static void
check_end(struct program *program, int exit_status, const char *said)
{
    char err[STDERR_BYTES];
    int status = finish(program, err);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != exit_status)
        fail_msg("status %x: %s", (unsigned)status, err);
    if (said == NULL)
        assert_string_equal(err, "");
    else if (strstr(err, said) == NULL || strchr(err, '\n') != err + strlen(err) - 1)
        fail_msg("not one line with \"%s\": %s", said, err);
}

#define SAYS(text)                                                                       \
    "[{\"output_type\": \"stream\", \"name\": \"stdout\", \"text\": \"" text "\"}]"

static void
test_requests_are_answered_one_by_one_until_the_end(void **state)
{
    struct program program = start(NULL);
    json_t *answer;

    (void)state;
    for (int i = 0; i < 3; i++) {
        put_message(&program, "{\"settings\": {}, \"expected\": " SAYS(
                                  "a") ", \"actual\": " SAYS("a") "}");
        answer = get_message(&program);
        assert_true(agrees(answer));
        json_decref(answer);
        put_message(&program, "{\"settings\": {}, \"expected\": " SAYS(
                                  "a") ", \"actual\": " SAYS("b") "}");
        answer = get_message(&program);
        assert_false(agrees(answer));
        json_decref(answer);
    }
    check_end(&program, 0, NULL);
}

static void
test_all_decoders_work_where_nothing_can_be_opened(void **state)
{
    static const char request[] =
        "{\"settings\": {\"decide\": \"all\"}, \"propose\": true, \"expected\": "
        "[{\"output_type\": \"display_data\", \"data\": {\"text/html\": \"<p>&eacute;\", "
        "\"image/svg+xml\": \"<!DOCTYPE svg SYSTEM 'http://127.0.0.1/x.dtd'><svg/>\", "
        "\"image/png\": \"iVBORw0KGgoAAAANSUhEUg==\", \"text/plain\": \"12\"}}], "
        "\"actual\": [{\"output_type\": \"display_data\", \"data\": {\"text/html\": "
        "\"<p>\xc3\xa9</p>\", \"image/svg+xml\": \"<svg><a/></svg>\", "
        "\"image/png\": \"AAAA\", \"text/plain\": \"13\"}}]}";
    struct program program = start(NULL);
    json_t *answer;

    (void)state;
    put_message(&program, request);
    answer = get_message(&program);
    assert_int_equal(json_array_size(json_object_get(answer, "differences")), 3);
    assert_string_equal(text_in(difference_of(answer, 0), "type"), "image/svg+xml");
    assert_string_equal(text_in(difference_of(answer, 1), "type"), "image/png");
    assert_string_equal(text_in(difference_of(answer, 2), "type"), "text/plain");
    json_decref(answer);
    check_end(&program, 0, NULL);
}

static void
test_what_is_no_request_is_answered_with_an_error(void **state)
{
    struct program program = start(NULL);
    json_t *answer;
    char deep[600];

    (void)state;
    put_message(&program, "{\"settings\": ");
    answer = get_message(&program);
    assert_non_null(strstr(text_in(answer, "error"), "cannot be read"));
    json_decref(answer);
    put_message(&program, "[]");
    answer = get_message(&program);
    assert_false(agrees(answer));
    json_decref(answer);
    put_message(&program, "{}");
    answer = get_message(&program);
    assert_false(agrees(answer));
    json_decref(answer);
    memset(deep, '[', 300);
    memset(deep + 300, ']', 299);
    memcpy(deep, "{\"settings\":", 12);
    deep[599 - 12] = '}';
    deep[600 - 12] = '\0';
    put_message(&program, deep);
    answer = get_message(&program);
    assert_non_null(strstr(text_in(answer, "error"), "deep"));
    json_decref(answer);
    check_end(&program, 0, NULL);
}

static void
test_too_long_a_message_ends_the_program(void **state)
{
    struct program program = start(NULL);

    (void)state;
    put_header(&program, (uint32_t)COMPARE_MESSAGE_BYTES_MAX + 1);
    check_end(&program, 1, "a message of 268435457 bytes");
    program = start(NULL);
    put_header(&program, 0);
    check_end(&program, 1, "a message of 0 bytes");
}

static void
test_message_that_is_cut_ends_the_program(void **state)
{
    struct program program = start(NULL);

    (void)state;
    put_header(&program, 100);
    put(&program, "{", 1);
    check_end(&program, 1, "within a message");
    program = start(NULL);
    put(&program, "\x01\x00", 2);
    check_end(&program, 1, "within a message");
}

static void
test_arguments_are_refused(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        if (dup2(null, STDERR_FILENO) < 0)
            _exit(97);
        execl(COMPARE_PROGRAM, COMPARE_PROGRAM, "file", (char *)NULL);
        _exit(98);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

/* Makes a step of the confinement fail, as an old kernel or a strict sandbox would. */
static void
forbid(int call, unsigned count, const struct scmp_arg_cmp *when)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    if (filter == NULL ||
        seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), call, count, when) != 0 ||
        seccomp_load(filter) != 0)
        _exit(97);
    seccomp_release(filter);
}

static void
forbid_option(int option)
{
    const struct scmp_arg_cmp when = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)option, 0);

    forbid(SCMP_SYS(prctl), 1, &when);
}

static void
forbid_parent_death(void)
{
    forbid_option(PR_SET_PDEATHSIG);
}

static void
forbid_dumpable(void)
{
    forbid_option(PR_SET_DUMPABLE);
}

static void
forbid_close_range(void)
{
    forbid(SCMP_SYS(close_range), 0, NULL);
}

/* Kernels have two ways in. */
static void
forbid_filters(void)
{
    forbid_option(PR_SET_SECCOMP);
    forbid(SCMP_SYS(seccomp), 0, NULL);
}

static void
forbid_limits(void)
{
    const struct scmp_arg_cmp when[] = { SCMP_A1(SCMP_CMP_EQ, RLIMIT_FSIZE, 0),
                                         SCMP_A2(SCMP_CMP_NE, 0, 0) };

    forbid(SCMP_SYS(prlimit64), 2, when);
}

static void
test_program_that_cannot_confine_itself_reads_nothing(void **state)
{
    static const struct {
        void (*before)(void);
        const char *step;
    } rows[] = {
        { forbid_parent_death, "PR_SET_PDEATHSIG" },
        { forbid_dumpable, "PR_SET_DUMPABLE" },
        { forbid_close_range, "close_range" },
        { forbid_limits, "RLIMIT_FSIZE" },
        { forbid_filters, "seccomp" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct program program = start(rows[i].before);

        check_end(&program, CONFINE_EXIT, rows[i].step);
    }
}

static int held[2]; /* a stdin that does not end with the parent */

static void
take_held(void)
{
    if (dup2(held[0], STDIN_FILENO) < 0)
        _exit(97);
}

static void
test_program_ends_with_its_parent(void **state)
{
    struct program program;
    siginfo_t info;
    int ready[2];
    pid_t parent;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC) | pipe2(held, O_CLOEXEC), 0);
    parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        program = start(take_held);
        program.in = held[1];
        put_message(&program, "{\"settings\": {}, \"expected\": [], \"actual\": []}");
        json_decref(get_message(&program)); /* it is confined by now */
        if (write(ready[1], &program.pid, sizeof program.pid) != sizeof program.pid)
            _exit(96);
        pause();
        _exit(95);
    }
    assert_int_equal(read(ready[0], &program.pid, sizeof program.pid),
                     sizeof program.pid);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(waitid(P_PID, (id_t)program.pid, &info, WEXITED), 0);
    assert_int_equal(info.si_code, CLD_KILLED);
    assert_int_equal(info.si_status, SIGKILL);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(held[i]);
    }
}

/* Steps return 0, or what went wrong. */
static int
refused(long r)
{
    return r < 0 && errno == ENOSYS ? 0 : 1;
}

static int
try_confined(void)
{
    int fds[2], bad = 0;
    void *memory;

    bad |= refused(open("/etc/passwd", O_RDONLY)) << 0;
    bad |= refused(syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY, 0)) << 1;
    bad |= refused(socket(AF_INET, SOCK_STREAM, 0)) << 2;
    bad |= refused(socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) << 3;
    bad |= refused(syscall(SYS_fork)) << 4;
    bad |= refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) << 5;
    bad |= refused(execl("/bin/true", "true", (char *)NULL)) << 6;
    bad |= refused(syscall(SYS_kill, getppid(), 0)) << 7;
    bad |= refused(unlink("/nonexistent")) << 8;
    bad |= refused(pipe(fds)) << 9;
    memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bad |= refused(memory == MAP_FAILED ? -1 : 0) << 10;
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bad |= (memory == MAP_FAILED) << 11;
    bad |= refused(mprotect(memory, 4096, PROT_READ | PROT_EXEC)) << 12;
    return bad;
}

static void
test_confined_process_can_reckon_and_nothing_else(void **state)
{
    int result[2], canary, bad = -1, status;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(result, O_CLOEXEC), 0);
    canary = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    assert_true(canary > STDERR_FILENO);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char byte;

        if (dup2(result[1], STDOUT_FILENO) < 0 || confine_self(NULL) != 0)
            _exit(96);
        bad = try_confined();
        bad |= (read(canary, &byte, 1) >= 0) << 13; /* what was open is not any more */
        if (write(STDOUT_FILENO, &bad, sizeof bad) != sizeof bad)
            _exit(95);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(read(result[0], &bad, sizeof bad), sizeof bad);
    assert_int_equal(bad, 0);
    close(result[0]);
    close(result[1]);
    close(canary);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_answered_one_by_one_until_the_end),
        cmocka_unit_test(test_all_decoders_work_where_nothing_can_be_opened),
        cmocka_unit_test(test_what_is_no_request_is_answered_with_an_error),
        cmocka_unit_test(test_too_long_a_message_ends_the_program),
        cmocka_unit_test(test_message_that_is_cut_ends_the_program),
        cmocka_unit_test(test_arguments_are_refused),
        cmocka_unit_test(test_program_that_cannot_confine_itself_reads_nothing),
        cmocka_unit_test(test_program_ends_with_its_parent),
        cmocka_unit_test(test_confined_process_can_reckon_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

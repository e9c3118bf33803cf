/* SPDX-License-Identifier: MIT */
/*
 * Beginning and end of a sandbox: reports, signals, and that nothing survives.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"

#define OUTPUT_BYTES_MAX ((size_t)256 * 1024)

struct fixture {
    char workspace[64];
    struct box_spec spec;
    struct box box;
    struct buffer output;
};

static int
setup(void **state)
{
    static struct fixture fixture;

    box_make_workspace(fixture.workspace);
    box_spec_init(&fixture.spec, fixture.workspace, NULL);
    buffer_init(&fixture.output, OUTPUT_BYTES_MAX);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    buffer_fini(&f->output);
    box_spec_fini(&f->spec);
    box_remove_workspace(f->workspace);
    return 0;
}

static void
start(struct fixture *f, const char *const *argv)
{
    f->spec.spec.argv = argv;
    box_start(&f->box, &f->spec.spec);
}

/* Starts a program that says "staying" when it is under way. */
static void
start_staying(struct fixture *f, const char *mode)
{
    const char *const argv[] = { "/probe", mode, NULL };

    start(f, argv);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_output_until(&f->box, "staying", &f->output);
}

static void
test_exit_is_reported_with_status_and_usage(void **state)
{
    static const char *const argv[] = { "/probe", "exit", "7", NULL };
    struct fixture *f = *state;
    struct control_report report;

    start(f, argv);
    box_expect(&f->box, CONTROL_STARTED, &report);
    assert_int_equal(report.pid, box_runner_pid());
    box_expect(&f->box, CONTROL_EXITED, &report);
    assert_int_equal(report.pid, box_runner_pid());
    assert_true(WIFEXITED(report.status));
    assert_int_equal(WEXITSTATUS(report.status), 7);
    assert_true(report.peak_bytes > 0);
    box_end(&f->box);
}

/* A runner that a zygote has made is started before it runs anything; here it then execs,
 * as no runner of a real zygote does. */
static void
assert_exec_fails_in_a_runner(struct fixture *f)
{
    struct control_report report;

    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_expect(&f->box, CONTROL_EXITED, &report);
    assert_true(WIFEXITED(report.status));
    assert_int_equal(WEXITSTATUS(report.status), 127);
    box_end(&f->box);
}

static void
assert_exec_fails(struct fixture *f, const char *path, int error)
{
    const char *const argv[] = { path, NULL };
    struct control_report report;
    char step[CONTROL_STEP_BYTES];

    start(f, argv);
    if (box_uses_zygote()) {
        assert_exec_fails_in_a_runner(f);
        return;
    }
    box_expect(&f->box, CONTROL_FAILED, &report);
    snprintf(step, sizeof step, "run %s", path);
    assert_string_equal(report.step, step);
    assert_int_equal(report.error, error);
    assert_false(box_report(&f->box, &report)); /* init has ended */
    box_end(&f->box);
}

static void
test_exec_failure_is_reported(void **state)
{
    assert_exec_fails(*state, "/nope", ENOENT);
    assert_exec_fails(*state, "/usr/share", EACCES);
}

static void
test_channel_is_descriptor_three(void **state)
{
    static const char *const argv[] = { "/probe", "send", "hello", NULL };
    struct fixture *f = *state;
    char data[16];

    start(f, argv);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_expect(&f->box, CONTROL_EXITED, NULL);
    assert_int_equal(recv(f->box.channel, data, sizeof data, 0), 5);
    assert_memory_equal(data, "hello", 5);
    box_end(&f->box);
}

static void
test_signals_reach_the_runners_group(void **state)
{
    struct fixture *f = *state;

    start_staying(f, "signals");
    box_command(&f->box, CONTROL_SIGNAL, SIGINT);
    box_output_until(&f->box, "signal 02", &f->output);
    box_command(&f->box, CONTROL_SIGNAL, SIGUSR1);
    box_output_until(&f->box, "signal 10", &f->output);
    box_end(&f->box);
}

static void
test_kill_all_leaves_init(void **state)
{
    struct fixture *f = *state;
    struct control_report report;

    start_staying(f, "daemon");
    box_command(&f->box, CONTROL_KILL_ALL, 0);
    box_expect(&f->box, CONTROL_EXITED, &report);
    assert_true(WIFSIGNALED(report.status));
    assert_int_equal(WTERMSIG(report.status), SIGKILL);
    box_output_all(&f->box, &f->output); /* the daemon is gone, too */
    box_command(&f->box, CONTROL_SIGNAL, SIGINT); /* nobody is left: no harm */
    assert_true(box_is_alive(&f->box));
    box_end(&f->box);
}

/* box_end waits for the last holder of the output pipe. */
static void
test_closing_the_control_socket_kills_daemons(void **state)
{
    struct fixture *f = *state;

    start_staying(f, "daemon");
    box_end(&f->box);
}

static void
test_user_code_cannot_kill_init(void **state)
{
    struct fixture *f = *state;

    start_staying(f, "kill-all");
    assert_true(box_has_line(&f->output, "child gone yes"));
    box_command(&f->box, CONTROL_SIGNAL, SIGTERM); /* init is there to send it */
    box_expect(&f->box, CONTROL_EXITED, NULL);
    box_end(&f->box);
}

static void
test_fork_bomb_is_bounded(void **state)
{
    struct fixture *f = *state;
    int count = -1;

    f->spec.spec.limits.processes = 20;
    start_staying(f, "bomb");
    assert_int_equal(buffer_append(&f->output, "", 1), 0);
    assert_int_equal(sscanf((char *)f->output.data, "forked %d then EAGAIN", &count), 1);
    assert_int_equal(count, 19);
    box_end(&f->box);
}

static void
test_large_files_are_refused(void **state)
{
    static const char *const argv[] = { "/probe", "fill", "/box/file", NULL };
    struct fixture *f = *state;

    f->spec.spec.limits.file_bytes = 64 * 1024;
    f->spec.spec.argv = argv;
    assert_int_equal(box_run(&f->spec.spec, &f->output), 0);
    assert_true(box_has_line(&f->output, "EFBIG 65536"));
}

static void
test_malformed_commands_are_ignored(void **state)
{
    static const uint8_t junk[2 * CONTROL_BYTES] = { 0xff };
    struct fixture *f = *state;

    start_staying(f, "signals");
    assert_int_equal(send(f->box.control, junk, 1, 0), 1);
    assert_int_equal(send(f->box.control, junk, CONTROL_BYTES, 0), CONTROL_BYTES);
    assert_int_equal(send(f->box.control, junk, sizeof junk, 0), sizeof junk);
    box_command(&f->box, CONTROL_SIGNAL, SIGINT);
    box_output_until(&f->box, "signal 02", &f->output);
    box_end(&f->box);
}

static void
test_commands_before_the_start_wait_for_it(void **state)
{
    static const char *const argv[] = { "/probe", "exit", "0", NULL };
    struct fixture *f = *state;

    start(f, argv);
    box_command(&f->box, CONTROL_SIGNAL, SIGCONT);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_expect(&f->box, CONTROL_EXITED, NULL);
    box_end(&f->box);
}

static void
test_spawner_that_cannot_be_dumped_can_spawn(void **state)
{
    static const char *const argv[] = { "/probe", "exit", "0", NULL };
    struct fixture *f = *state;

    assert_int_equal(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 0);
    f->spec.spec.argv = argv;
    assert_int_equal(box_run(&f->spec.spec, &f->output), 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
}

/* The child's ends may have any number, those that the runner gets included. */
static void
test_low_descriptors_do_not_collide(void **state)
{
    static const char *const argv[] = { "/probe", "send", "hello", NULL };
    struct fixture *f = *state;
    int status;
    pid_t pid;

    f->spec.spec.argv = argv;
    pid = fork();
    if (pid == 0) {
        char data[16];

        close(0);
        close(1);
        close(2);
        box_start(&f->box, &f->spec.spec);
        if (f->box.result != 0 || recv(f->box.channel, data, sizeof data, 0) != 5)
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Ends the process that spawned: init must not need it. */
static void
test_sandbox_outlives_its_spawner(void **state)
{
    struct fixture *f = *state;
    const char *const argv[] = { "/probe", "signals", NULL };
    int ends[2];
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    f->spec.spec.argv = argv;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        box_start(&f->box, &f->spec.spec);
        _exit(f->box.result != 0 || !box_pass(ends[1], &f->box));
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(box_receive(ends[0], &f->box));
    close(ends[0]);
    close(ends[1]);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_output_until(&f->box, "staying", &f->output);
    box_command(&f->box, CONTROL_SIGNAL, SIGINT);
    box_output_until(&f->box, "signal 02", &f->output);
    box_end(&f->box);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exit_is_reported_with_status_and_usage),
        TEST(test_exec_failure_is_reported),
        TEST(test_channel_is_descriptor_three),
        TEST(test_signals_reach_the_runners_group),
        TEST(test_kill_all_leaves_init),
        TEST(test_closing_the_control_socket_kills_daemons),
        TEST(test_user_code_cannot_kill_init),
        TEST(test_fork_bomb_is_bounded),
        TEST(test_large_files_are_refused),
        TEST(test_malformed_commands_are_ignored),
        TEST(test_commands_before_the_start_wait_for_it),
        TEST(test_spawner_that_cannot_be_dumped_can_spawn),
        TEST(test_low_descriptors_do_not_collide),
        TEST(test_sandbox_outlives_its_spawner),
    };
    int status = box_become(argc, argv);

    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}

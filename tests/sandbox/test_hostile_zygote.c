/* SPDX-License-Identifier: MIT */
/*
 * What a zygote that means harm can do: to its own contexts much, to others nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"
#include "tests/sandbox/failing.h"

#define OUTPUT_BYTES_MAX ((size_t)64 * 1024)
#define MORE_THAN_A_SOCKET_HOLDS 40

/* A process of ours that is to wait at a call, until it is let go. */
static struct {
    const char *call; /* NULL: nobody */
    bool in_init; /* else in a go-between */
    pid_t spawner;
} hold;

/* Shared: init keeps no descriptor of ours. */
static struct {
    sem_t arrived, go;
} *gate;

bool
failing_must_fail(const char *name)
{
    pid_t pid = getpid();

    if (hold.call == NULL || strcmp(hold.call, name) != 0 || pid == hold.spawner ||
        hold.in_init != (pid == 1))
        return false;
    hold.call = NULL;
    sem_post(&gate->arrived);
    while (sem_wait(&gate->go) < 0)
        continue;
    return false;
}

static void
hold_at(const char *call, bool in_init)
{
    assert_int_equal(sem_init(&gate->arrived, 1, 0), 0);
    assert_int_equal(sem_init(&gate->go, 1, 0), 0);
    hold.spawner = getpid();
    hold.in_init = in_init;
    hold.call = call;
}

static void
wait_for_arrival(void)
{
    while (sem_wait(&gate->arrived) < 0)
        assert_int_equal(errno, EINTR);
}

static void
let_go(void)
{
    hold.call = NULL;
    assert_int_equal(sem_post(&gate->go), 0);
}

struct fixture {
    char workspace[64];
    char canary[80];
    struct box_spec spec;
    struct box_zygote zygote;
    struct box box;
};

static int
setup(void **state)
{
    static const char *const argv[] = { "/probe", "signals", NULL };
    static struct fixture fixture;

    box_make_workspace(fixture.workspace);
    snprintf(fixture.canary, sizeof fixture.canary, "%s/canary", fixture.workspace);
    close(open(fixture.canary, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    box_spec_init(&fixture.spec, fixture.workspace, argv);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    let_go(); /* who waits for a test that has failed */
    box_zygote_end(&f->zygote);
    box_spec_fini(&f->spec);
    box_remove_workspace(f->workspace);
    return 0;
}

static void
start_zygote(struct fixture *f, const char *mode)
{
    const char *const argv[] = { box_hostile_zygote_path(), mode, f->canary, NULL };

    box_zygote_start(&f->zygote, argv, NULL);
}

static void
start(struct fixture *f, struct box *box)
{
    box_start_by(box, &f->spec.spec, &f->zygote.ends);
}

/* What the zygote says when it is told WORD. */
static const char *
order(struct fixture *f, const char *word)
{
    static char answer[4096];

    assert_int_equal(send(f->zygote.box.channel, word, strlen(word), 0), strlen(word));
    assert_int_equal(recv(f->zygote.box.channel, answer, sizeof answer, 0),
                     sizeof answer);
    return answer;
}

static void
assert_fails_closed(struct fixture *f, const char *mode, const char *step)
{
    struct control_report report;

    start_zygote(f, mode);
    start(f, &f->box);
    box_expect(&f->box, CONTROL_FAILED, &report);
    assert_string_equal(report.step, step);
    assert_false(box_report(&f->box, &report)); /* init has ended */
    box_end(&f->box);
}

static void
test_call_that_is_dropped_fails(void **state)
{
    assert_fails_closed(*state, "drop", "fork by the zygote");
}

static void
test_wrong_word_fails(void **state)
{
    assert_fails_closed(*state, "lie", "fork by the zygote");
}

static void
test_second_runner_fails(void **state)
{
    assert_fails_closed(*state, "twice", "runner ended while it was confined");
}

static void
test_endless_words_fail(void **state)
{
    assert_fails_closed(*state, "chatter", "runner ended while it was confined");
}

/* Init waits for the zygote and for the end of its control socket. */
static void
test_init_that_gets_no_answer_ends_with_its_control_socket(void **state)
{
    struct fixture *f = *state;

    start_zygote(f, "keep");
    start(f, &f->box);
    close(f->box.control);
    f->box.control = -1;
    box_wait_gone(&f->box);
    close(f->box.channel);
    close(f->box.output); /* whose other end the zygote has kept */
}

static void
test_inits_that_cannot_even_ask_end_with_their_control_sockets(void **state)
{
    struct fixture *f = *state;
    struct box boxes[MORE_THAN_A_SOCKET_HOLDS];

    start_zygote(f, "deaf");
    for (size_t i = 0; i < N_ELEMENTS(boxes); i++)
        start(f, &boxes[i]);
    for (size_t i = 0; i < N_ELEMENTS(boxes); i++) {
        assert_int_equal(boxes[i].result, 0);
        close(boxes[i].control);
        box_wait_gone(&boxes[i]);
        close(boxes[i].channel);
        close(boxes[i].output);
    }
}

/* It may say what it likes of its own context, which ends all the same. */
static void
test_made_up_runner_can_be_ended(void **state)
{
    struct fixture *f = *state;

    start_zygote(f, "make-up");
    start(f, &f->box);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_command(&f->box, CONTROL_SIGNAL, SIGKILL);
    box_end(&f->box);
}

static void
test_inits_that_are_not_built_are_out_of_reach(void **state)
{
    static const char *const calls[] = { "sys_setsid", "sys_fsopen", "sys_pivot_root",
                                         "sys_sethostname" };
    struct fixture *f = *state;

    start_zygote(f, "obey");
    for (size_t i = 0; i < N_ELEMENTS(calls); i++) {
        hold_at(calls[i], true);
        start(f, &f->box);
        wait_for_arrival();
        assert_string_equal(order(f, "sweep"), "");
        let_go();
        box_expect(&f->box, CONTROL_STARTED, NULL);
        assert_string_equal(order(f, "sweep"), "");
        box_end(&f->box);
    }
}

/* Has WORD said to the zygote while a go-between waits at CALL. */
static pid_t
order_meanwhile(struct fixture *f, const char *word)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    wait_for_arrival();
    if (order(f, word)[0] != '\0')
        _exit(1);
    let_go();
    _exit(0);
}

static void
test_go_betweens_are_out_of_reach(void **state)
{
    static const char *const calls[] = { "sys_clone", "sys_write_file" };
    struct fixture *f = *state;

    start_zygote(f, "obey");
    for (size_t i = 0; i < N_ELEMENTS(calls); i++) {
        int status;
        pid_t pid;

        hold_at(calls[i], false);
        pid = order_meanwhile(f, "sweep");
        start(f, &f->box);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        hold.call = NULL;
        box_expect(&f->box, CONTROL_STARTED, NULL);
        box_end(&f->box);
    }
}

/* The zygote has its id: it can stop it, but not for ever. */
static void
test_stopped_go_between_does_not_stop_the_spawner(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t pid;

    start_zygote(f, "obey");
    hold_at("sys_clone", false);
    pid = order_meanwhile(f, "stop");
    start(f, &f->box);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(f->box.result, -ECHILD);
    box_end(&f->box);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_call_that_is_dropped_fails),
        TEST(test_wrong_word_fails),
        TEST(test_second_runner_fails),
        TEST(test_endless_words_fail),
        TEST(test_init_that_gets_no_answer_ends_with_its_control_socket),
        TEST(test_inits_that_cannot_even_ask_end_with_their_control_sockets),
        TEST(test_made_up_runner_can_be_ended),
        TEST(test_inits_that_are_not_built_are_out_of_reach),
        TEST(test_go_betweens_are_out_of_reach),
        TEST(test_stopped_go_between_does_not_stop_the_spawner),
    };
    int status = box_become(argc, argv);

    gate = mmap(NULL, sizeof *gate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    if (gate == MAP_FAILED || sem_init(&gate->arrived, 1, 0) < 0 ||
        sem_init(&gate->go, 1, 0) < 0)
        return 1;
    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}

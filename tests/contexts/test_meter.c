/* SPDX-License-Identifier: MIT */
/* What processes use, where no control group tells it. */
#include "contexts/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "contexts/sandbox/cgroup.h"
#include "protocol/cleanup.h"

#define WATCHDOG_S 60
#define BURNT_US 60000 /* some ticks */

struct fixture {
    struct loop *loop;
    int child; /* 0: none */
    int pidfd;
    int gate[2]; /* the child says a byte, then lives until this is closed */
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    alarm(WATCHDOG_S);
    f->pidfd = -1;
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(pipe(f->gate), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    if (f->child > 0) {
        kill(f->child, SIGKILL);
        waitpid(f->child, NULL, 0);
    }
    close_fdp(&f->pidfd);
    close(f->gate[0]);
    close(f->gate[1]);
    loop_destroy(f->loop);
    free(f);
    alarm(0);
    return 0;
}

static void
burn(void)
{
    while (clock() < (clock_t)((long)BURNT_US * CLOCKS_PER_SEC / 1000000))
        continue;
}

static void
burn_in_a_child(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        burn();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

/* A child that has done WORK, and waits. */
static void
start(struct fixture *f, void (*work)(void))
{
    char byte;

    f->child = fork();
    assert_true(f->child >= 0);
    if (f->child == 0) {
        work();
        if (write(f->gate[1], "", 1) == 1)
            pause();
        _exit(0);
    }
    assert_int_equal(read(f->gate[0], &byte, 1), 1);
    f->pidfd = (int)syscall(SYS_pidfd_open, f->child, 0);
    assert_true(f->pidfd >= 0);
}

static int
on_full(void *arg)
{
    (void)arg;
    return 0;
}

static uint64_t
cpu_us(struct fixture *f)
{
    struct cgroup none = { .count = 0 };
    const struct meter_subject subject = { .group = &none, .init_pidfd = f->pidfd };
    struct meter_reading reading;
    struct meter *meter;

    assert_int_equal(meter_create(&meter, f->loop, &subject, on_full, NULL), 0);
    reading = meter_read(meter);
    meter_destroy(meter);
    return reading.cpu_us;
}

static void
test_time_of_a_process_is_told_without_a_group(void **state)
{
    struct fixture *f = *state;

    start(f, burn);
    assert_true(cpu_us(f) >= BURNT_US);
}

static void
test_time_of_children_that_have_ended_is_told(void **state)
{
    struct fixture *f = *state;

    start(f, burn_in_a_child);
    assert_true(cpu_us(f) >= BURNT_US - 20000); /* told in ticks, of two kinds */
}

static void
test_time_of_a_process_that_has_ended_is_not_told(void **state)
{
    struct fixture *f = *state;

    start(f, burn);
    kill(f->child, SIGKILL);
    waitpid(f->child, NULL, 0);
    f->child = 0;
    assert_int_equal(cpu_us(f), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_time_of_a_process_is_told_without_a_group,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_of_children_that_have_ended_is_told,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_of_a_process_that_has_ended_is_not_told,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

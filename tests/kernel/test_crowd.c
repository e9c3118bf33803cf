/* SPDX-License-Identifier: MIT */
#include "kernel/agent/crowd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contexts/loop.h"

#define LIMIT 256
#define MANY (LIMIT / 4 * 3)

struct fixture {
    struct rlimit limit; /* as it was */
    struct loop *loop;
    struct crowd *crowd;
    int listening;
    int files[LIMIT];
    size_t count;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct sockaddr_in any = { .sin_family = AF_INET };
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &f->limit), 0);
    limit = f->limit;
    limit.rlim_cur = LIMIT;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listening, (const struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(f->listening, 16), 0);
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(crowd_create(&f->crowd, f->loop), 0);
    assert_int_equal(crowd_add(f->crowd, f->listening), 0);
    *state = f;
    return 0;
}

static void
close_files(struct fixture *f)
{
    while (f->count > 0)
        close(f->files[--f->count]);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    close_files(f);
    crowd_destroy(f->crowd);
    loop_destroy(f->loop);
    close(f->listening);
    setrlimit(RLIMIT_NOFILE, &f->limit);
    free(f);
    return 0;
}

static void
open_files(struct fixture *f)
{
    int fd;

    do {
        fd = fcntl(f->listening, F_DUPFD_CLOEXEC, 0);
        assert_true(fd >= 0);
        f->files[f->count++] = fd;
    } while (fd < MANY);
}

static int
begin_to_connect(struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in address;
    socklen_t length = sizeof address;

    assert_true(fd >= 0);
    assert_int_equal(getsockname(f->listening, (struct sockaddr *)&address, &length), 0);
    assert_true(connect(fd, (const struct sockaddr *)&address, length) == 0 ||
                errno == EINPROGRESS);
    return fd;
}

static void
wait_connected(int fd)
{
    struct pollfd wanted = { .fd = fd, .events = POLLOUT };
    int error = -1;
    socklen_t length = sizeof error;

    assert_int_equal(poll(&wanted, 1, 60000), 1);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    assert_int_equal(error, 0);
}

static void
test_all_come_in_while_there_is_room(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) {
        int fd = begin_to_connect(f);

        wait_connected(fd);
        assert_int_equal(loop_wait(f->loop, -1), 0);
        assert_false(crowd_is_shut(f->crowd));
        close(fd);
    }
}

static void
test_nobody_comes_in_while_there_is_none_and_all_who_wait_afterwards(void **state)
{
    struct fixture *f = *state;
    int first, excess, late, accepted;
    char byte;

    first = begin_to_connect(f);
    wait_connected(first);
    accepted = accept(f->listening, NULL, NULL);
    open_files(f);
    excess = begin_to_connect(f); /* the one that is too many */
    wait_connected(excess);
    close(excess);
    while (!crowd_is_shut(f->crowd))
        assert_int_equal(loop_wait(f->loop, -1), 0);

    late = begin_to_connect(f);
    assert_int_equal(write(first, "x", 1), 1); /* those that are in stay */
    assert_int_equal(read(accepted, &byte, 1), 1);
    assert_int_equal(poll(&(struct pollfd){ .fd = late, .events = POLLOUT }, 1, 0), 0);

    close_files(f);
    while (crowd_is_shut(f->crowd))
        assert_int_equal(loop_wait(f->loop, -1), 0);
    wait_connected(late);
    close(first);
    close(late);
    close(accepted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_come_in_while_there_is_room),
        TEST(test_nobody_comes_in_while_there_is_none_and_all_who_wait_afterwards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

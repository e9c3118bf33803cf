/* SPDX-License-Identifier: MIT */
/* A server and its clients, honest and hostile, on one loop. */
#include "contexts/hosting.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "contexts/remote.h"
#include "contexts/sandbox/passing.h"
#include "contexts/wish.h"
#include "contexts/workspace.h"
#include "tests/contexts/nursery.h"

#define CROWD 24
#define LEFT_ALONE 6 /* requests that a socket has room for */
#define OTHER_USER 1000

struct fixture {
    struct nursery *n;
    struct hosting *hosting;
    struct spawner *client;
    char address[SPAWNER_ADDRESS_BYTES];
};

static void
serve(struct fixture *f)
{
    struct error err = { 0 };

    if (hosting_create(&f->hosting, f->n->loop, f->n->spawner, f->address, &err) != 0)
        fail_msg("%s", err.text);
}

static void
stop_serving(struct fixture *f)
{
    hosting_destroy(f->hosting);
    f->hosting = NULL;
    unlink(f->address);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    void *n;

    assert_non_null(f);
    nursery_setup(&n);
    f->n = n;
    snprintf(f->address, sizeof f->address, "%s/socket", f->n->directory);
    serve(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    void *n = f->n;

    stop_serving(f);
    spawner_destroy(f->client);
    free(f);
    return nursery_teardown(&n);
}

static void
connect_client(struct fixture *f)
{
    struct error err = { 0 };

    if (spawner_connect(&f->client, f->address, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(spawner_attach(f->client, f->n->loop), 0);
}

static int
find(char ret[SPAWNER_ADDRESS_BYTES], void *arg)
{
    const struct nursery *n = arg;

    snprintf(ret, SPAWNER_ADDRESS_BYTES, "%s/socket", n->directory);
    return 0;
}

/* One with a launcher of its own, which asks the server first. */
static void
create_client(struct fixture *f)
{
    assert_int_equal(spawner_create(&f->client, NULL), 0);
    assert_int_equal(spawner_attach(f->client, f->n->loop), 0);
    assert_int_equal(spawner_use_server(f->client, find, nursery_on_told, f->n), 0);
}

static void
test_a_client_gets_children_of_the_server(void **state)
{
    struct fixture *f = *state;
    struct kid kids[CROWD];

    connect_client(f);
    for (int i = 0; i < CROWD; i++)
        kid_ask(&kids[i], f->n, f->client);
    for (int i = 0; i < CROWD; i++) {
        kid_wait(&kids[i]);
        assert_int_equal(kid_read_pid(&kids[i]), NURSERY_PID_EXEC);
    }
    assert_true(nursery_count_processes(f->n, f->n->spawner) >= CROWD);
    for (int i = 0; i < CROWD; i++)
        kid_end(&kids[i]); /* by the client's fds alone */
    nursery_wait_processes(f->n, f->n->spawner, 0);
}

static void
test_a_client_gets_forks_of_the_servers_zygote(void **state)
{
    struct fixture *f = *state;
    struct kid kid;

    spawner_use_zygotes(f->n->spawner, 1, nursery_on_told, f->n);
    spawner_prepare(f->n->spawner, &(struct spawner_wish){ .zygote = &f->n->zygote });
    nursery_wait_told(f->n, "ready");
    connect_client(f);
    assert_int_equal(kid_start(&kid, f->n, f->client), NURSERY_PID_FORK);
    kid_end(&kid);
}

static void
test_a_cancelled_child_of_the_server_ends(void **state)
{
    struct fixture *f = *state;
    struct kid cancelled, kept;

    connect_client(f);
    kid_ask(&cancelled, f->n, f->client);
    spawner_cancel(cancelled.order);
    kid_start(&kept, f->n, f->client);
    kid_end(&kept);
    nursery_wait_processes(f->n, f->n->spawner, 0);
    assert_int_equal(cancelled.calls, 0);
}

static void
test_when_the_server_has_ended_the_next_one_is_asked(void **state)
{
    struct fixture *f = *state;
    struct kid first, second;

    connect_client(f);
    kid_start(&first, f->n, f->client);
    stop_serving(f);
    assert_true(kid_is_alive(&first));
    serve(f);
    kid_start(&second, f->n, f->client);
    kid_end(&first);
    kid_end(&second);
}

static void
test_without_a_server_a_client_that_insists_is_told(void **state)
{
    struct fixture *f = *state;
    struct spawner_order *order;
    struct error err = { 0 };
    struct kid kid;

    connect_client(f);
    kid_ask(&kid, f->n, f->client);
    stop_serving(f);
    kid_wait(&kid);
    assert_int_equal(kid.error.code, SPAWNER_E_GONE);
    assert_string_equal(kid.error.text, "the server has ended");
    assert_int_equal(spawner_spawn(&order, f->client, &f->n->wish, NULL, NULL, &err),
                     SPAWNER_E_GONE);
    assert_non_null(strstr(err.text, "no server at"));
}

static void
test_what_the_server_leaves_undone_a_client_does_itself(void **state)
{
    struct fixture *f = *state;
    struct kid pending, later;

    create_client(f);
    kid_ask(&pending, f->n, f->client);
    stop_serving(f);
    kid_wait(&pending);
    assert_int_equal(kid_read_pid(&pending), NURSERY_PID_EXEC);
    nursery_wait_told(f->n, "the server has ended; the interpreter is started without");
    kid_start(&later, f->n, f->client);
    nursery_wait_told(f->n, "no server at");
    nursery_wait_processes(f->n, f->client, 4);
    kid_end(&pending);
    kid_end(&later);
}

static void
test_a_client_of_its_own_asks_the_server_first(void **state)
{
    struct fixture *f = *state;
    struct kid kid;

    create_client(f);
    kid_start(&kid, f->n, f->client);
    assert_int_equal(nursery_count_processes(f->n, f->client), 0);
    assert_string_equal(f->n->told, "");
    kid_end(&kid);
}

static int
dial(const struct fixture *f)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    strcpy(name.sun_path, f->address);
    return connect(fd, (struct sockaddr *)&name, sizeof name) == 0 ? fd : -1;
}

/* Turns the loop until the server has said something; length of it, 0: the end. */
static size_t
listen_to(const struct fixture *f, int fd, uint8_t *ret, size_t size)
{
    struct pollfd entry = { .fd = fd, .events = POLLIN };
    struct passing passing;
    size_t length;

    while (poll(&entry, 1, 0) == 0)
        assert_int_equal(loop_wait(f->n->loop, 1), 0);
    if (passing_receive(fd, ret, size, 0, &passing) < 0)
        return 0;
    length = passing.length;
    passing_fini(&passing);
    return length;
}

static void
expect_end(const struct fixture *f, int fd)
{
    uint8_t data[1024];

    assert_int_equal(listen_to(f, fd, data, sizeof data), 0);
    close(fd);
}

static void
expect_refusal(const struct fixture *f, int fd, uint64_t id, int result)
{
    uint8_t data[1024];
    size_t length = listen_to(f, fd, data, sizeof data);

    assert_true(length > REMOTE_HEAD_BYTES);
    assert_int_equal(remote_get(data, REMOTE_ID_BYTES), id);
    assert_int_equal(remote_get(data + REMOTE_ID_BYTES, REMOTE_LENGTH_BYTES), result);
}

/* A request of FIRST_LENGTH and the first LENGTH bytes of a good wish. */
static void
send_part(const struct fixture *f, int fd, uint64_t id, size_t first_length,
          size_t length)
{
    uint8_t head[REMOTE_HEAD_BYTES];
    struct wish wish;

    assert_int_equal(wish_init(&wish, &f->n->wish, NULL), 0);
    remote_put(head, id, REMOTE_ID_BYTES);
    remote_put(head + REMOTE_ID_BYTES,
               first_length == SIZE_MAX ? wish.first_length : first_length,
               REMOTE_LENGTH_BYTES);
    if (length > wish.bytes.length)
        length = wish.bytes.length;
    assert_int_equal(passing_send(fd, (struct slice){ head, sizeof head },
                                  (struct slice){ wish.bytes.data, length }, NULL, 0, 0),
                     0);
    wish_fini(&wish);
}

static void
test_a_packet_that_is_no_request_ends_its_connection(void **state)
{
    struct fixture *f = *state;
    static const char garbage[REMOTE_HEAD_BYTES] = "garbage";
    static uint8_t huge[REMOTE_REQUEST_BYTES_MAX + 1];
    int bytes = 4 * (int)sizeof huge;

    for (size_t length = 0; length < REMOTE_HEAD_BYTES; length++) {
        int fd = dial(f);

        assert_int_equal(send(fd, garbage, length, 0), length);
        expect_end(f, fd);
    }
    int fd = dial(f);

    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    assert_int_equal(send(fd, huge, sizeof huge, 0), sizeof huge);
    expect_end(f, fd);
}

static void
test_a_request_with_fds_ends_its_connection(void **state)
{
    struct fixture *f = *state;
    uint8_t head[REMOTE_HEAD_BYTES] = { 0 };
    int fd = dial(f), fds[] = { 0, 1, 2 };

    assert_int_equal(
        passing_send(fd, (struct slice){ head, sizeof head }, slice_text(""), fds, 3, 0),
        0);
    expect_end(f, fd);
}

static void
test_a_spec_that_is_none_is_refused_and_the_connection_stays(void **state)
{
    struct fixture *f = *state;
    struct wish wish;
    int fd = dial(f);

    assert_int_equal(wish_init(&wish, &f->n->wish, NULL), 0);
    for (size_t length = 0; length < wish.first_length; length += 97) {
        send_part(f, fd, length + 1, length, length);
        expect_refusal(f, fd, length + 1, SPAWNER_E_SPEC);
    }
    for (size_t length = 1; length < wish.bytes.length; length += 101) {
        if (length == wish.first_length)
            continue; /* a whole wish, without a zygote */
        send_part(f, fd, 7, SIZE_MAX, length);
        expect_refusal(f, fd, 7, SPAWNER_E_SPEC);
    }
    send_part(f, fd, 8, UINT32_MAX, SIZE_MAX);
    expect_refusal(f, fd, 8, SPAWNER_E_SPEC);
    close(fd);
    wish_fini(&wish);
}

static void
test_specs_must_have_their_roles(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);

    f->n->spec.role = SANDBOX_ROLE_ZYGOTE;
    send_part(f, fd, 1, SIZE_MAX, SIZE_MAX);
    expect_refusal(f, fd, 1, SPAWNER_E_SPEC);
    f->n->spec.role = SANDBOX_ROLE_RUNNER;
    f->n->zygote.role = SANDBOX_ROLE_RUNNER;
    send_part(f, fd, 2, SIZE_MAX, SIZE_MAX);
    expect_refusal(f, fd, 2, SPAWNER_E_SPEC);
    close(fd);
}

/* Theirs would be somebody else's. */
static void
test_a_client_cannot_name_a_workspace_of_the_servers(void **state)
{
    static const struct workspace_limits limits = { 65536, 16 };
    struct fixture *f = *state;
    struct workspace *workspace;
    int fd = dial(f);

    assert_int_equal(
        workspace_create(&workspace, f->n->spawner, &limits, NULL, NULL, NULL), 0);
    nursery_use_workspace(f->n, workspace);
    send_part(f, fd, 1, SIZE_MAX, SIZE_MAX);
    expect_refusal(f, fd, 1, SPAWNER_E_SPEC);
    close(fd);
    workspace_destroy(workspace);
}

static void
test_who_leaves_takes_what_was_asked_for_along(void **state)
{
    struct fixture *f = *state;
    struct kid kid;

    for (int i = 0; i < 4; i++) {
        int fd = dial(f);

        for (uint64_t id = 0; id < LEFT_ALONE; id++)
            send_part(f, fd, id, SIZE_MAX, SIZE_MAX);
        for (int turns = 0; turns < i * 4; turns++)
            assert_int_equal(loop_wait(f->n->loop, 1), 0);
        close(fd);
    }
    connect_client(f);
    kid_start(&kid, f->n, f->client); /* nobody is held up */
    kid_end(&kid);
    nursery_wait_processes(f->n, f->n->spawner, 0);
}

/* It never reads: its children end with the connection, which the server drops, or it. */
static void
test_who_floods_without_reading_is_alone_with_it(void **state)
{
    struct fixture *f = *state;
    struct kid kid;
    int fd = dial(f);

    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    for (uint64_t id = 0; id < 20 * REMOTE_PENDING_MAX; id++) {
        uint8_t head[REMOTE_HEAD_BYTES] = { 0 };

        (void)!send(fd, head, sizeof head, MSG_NOSIGNAL); /* no spec: each is refused */
        assert_int_equal(loop_wait(f->n->loop, 0), 0);
    }
    connect_client(f);
    kid_start(&kid, f->n, f->client);
    kid_end(&kid);
    close(fd);
}

static void
test_connections_are_bounded(void **state)
{
    struct fixture *f = *state;
    int fds[HOSTING_CONNECTIONS_MAX];
    struct kid kid;

    for (int i = 0; i < HOSTING_CONNECTIONS_MAX; i++) {
        fds[i] = dial(f);
        assert_true(fds[i] >= 0);
        send_part(f, fds[i], 1, 0, 0);
        expect_refusal(f, fds[i], 1, SPAWNER_E_SPEC);
    }
    expect_end(f, dial(f));
    close(fds[0]);
    assert_int_equal(loop_wait(f->n->loop, -1), 0);
    connect_client(f);
    kid_start(&kid, f->n, f->client);
    kid_end(&kid);
    for (int i = 1; i < HOSTING_CONNECTIONS_MAX; i++)
        close(fds[i]);
}

/* Runs BECOME in a fork, which then connects and finds the end. */
static void
expect_stranger(struct fixture *f, int (*become)(void))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct sockaddr_un name = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        char word;

        strcpy(name.sun_path, f->address);
        alarm(20);
        if (become() != 0 || connect(fd, (struct sockaddr *)&name, sizeof name) < 0)
            _exit(2);
        _exit(read(fd, &word, 1) == 0 ? 0 : 1);
    }
    while (waitpid(pid, &status, WNOHANG) == 0)
        assert_int_equal(loop_wait(f->n->loop, 1), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int
become_other_user(void)
{
    return setresuid(OTHER_USER, OTHER_USER, OTHER_USER);
}

static int
enter_user_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static void
test_another_user_and_whoever_is_in_a_sandbox_are_not_let_in(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chmod(f->n->directory, 0777), 0); /* as if the modes had failed */
    assert_int_equal(chmod(f->address, 0777), 0);
    expect_stranger(f, enter_user_namespace);
    if (geteuid() == 0)
        expect_stranger(f, become_other_user);
}

static void
test_the_socket_is_for_its_user_alone(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_int_equal(stat(f->address, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_client_gets_children_of_the_server),
        TEST(test_a_client_gets_forks_of_the_servers_zygote),
        TEST(test_a_cancelled_child_of_the_server_ends),
        TEST(test_when_the_server_has_ended_the_next_one_is_asked),
        TEST(test_without_a_server_a_client_that_insists_is_told),
        TEST(test_what_the_server_leaves_undone_a_client_does_itself),
        TEST(test_a_client_of_its_own_asks_the_server_first),
        TEST(test_a_packet_that_is_no_request_ends_its_connection),
        TEST(test_a_request_with_fds_ends_its_connection),
        TEST(test_a_spec_that_is_none_is_refused_and_the_connection_stays),
        TEST(test_specs_must_have_their_roles),
        TEST(test_a_client_cannot_name_a_workspace_of_the_servers),
        TEST(test_who_leaves_takes_what_was_asked_for_along),
        TEST(test_who_floods_without_reading_is_alone_with_it),
        TEST(test_connections_are_bounded),
        TEST(test_another_user_and_whoever_is_in_a_sandbox_are_not_let_in),
        TEST(test_the_socket_is_for_its_user_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

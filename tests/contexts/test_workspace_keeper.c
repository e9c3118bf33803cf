/* SPDX-License-Identifier: MIT */
/*
 * How workspaces begin and end, and who keeps them. Run as "root", where each context has
 * ids of its own, and as "user".
 */
#include "contexts/workspace.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/context.h"
#include "contexts/loop.h"
#include "contexts/processes.h"
#include "contexts/spawner.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/contexts/become.h"
#include "tests/contexts/made.h"
#include "tests/support/contexts.h"

#define PROCESSES_MAX 256

/* The pid of the keeper. */
static int
find_keeper(const struct contexts *c)
{
    int pids[PROCESSES_MAX];
    size_t count = processes_tree(spawner_pid(c->spawner), pids, PROCESSES_MAX);

    for (size_t i = 1; i < count; i++) {
        char path[64], name[32] = "";
        FILE *file;

        snprintf(path, sizeof path, "/proc/%d/comm", pids[i]);
        file = fopen(path, "re");
        if (file != NULL && fgets(name, sizeof name, file) == NULL)
            name[0] = '\0';
        if (file != NULL)
            fclose(file);
        if (strcmp(name, "cellwall-keeper\n") == 0)
            return pids[i];
    }
    return 0;
}

/* How many workspaces it keeps: rows of its mounts, but for the root. */
static int
count_kept(const struct contexts *c)
{
    char path[64], line[512];
    FILE *file;
    int rows = 0;

    snprintf(path, sizeof path, "/proc/%d/mountinfo", find_keeper(c));
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        rows++;
    fclose(file);
    assert_true(rows >= 1);
    return rows - 1;
}

/* The keeper works when it comes to it: a poll, bounded by the watchdog. */
static void
wait_kept(struct contexts *c, int count)
{
    while (count_kept(c) != count)
        assert_int_equal(loop_wait(c->loop, 1), 0);
}

static void
test_a_workspace_ends_with_its_owner_and_the_last_context(void **state)
{
    struct contexts *c = *state;
    struct made made;

    made_make(c, &made);
    assert_int_equal(count_kept(c), 1);
    workspace_destroy(made.workspace);
    wait_kept(c, 0);

    made_make(c, &made);
    made_use(c, made.workspace);
    contexts_start(c);
    contexts_run_well(c, "write note.txt");
    workspace_destroy(made.workspace);
    contexts_restart(c); /* a context keeps what it has */
    contexts_assert_prints(c, "cat note.txt", "written\n");
    assert_int_equal(count_kept(c), 1);
    context_destroy(c->ctx);
    c->ctx = NULL;
    wait_kept(c, 0);
}

static void
test_a_workspace_may_be_destroyed_before_it_is_there(void **state)
{
    struct contexts *c = *state;
    struct made made, other;

    made_ask(c, &made);
    workspace_destroy(made.workspace);
    made_make(c, &other);
    assert_int_equal(made.told, 0);
    wait_kept(c, 1);
    workspace_destroy(other.workspace);
}

static void
test_a_context_need_not_wait_for_its_workspace(void **state)
{
    struct contexts *c = *state;
    struct made made;

    made_ask(c, &made);
    made_use(c, made.workspace);
    contexts_start(c);
    assert_int_equal(made.told, 1);
    contexts_run_well(c, "write note.txt");
    assert_int_equal(faccessat(workspace_folder(made.workspace), "note.txt", R_OK, 0), 0);
    workspace_destroy(made.workspace);
}

static void
test_a_workspace_given_up_at_once_is_its_contexts_still(void **state)
{
    struct contexts *c = *state;
    struct made made;

    made_ask(c, &made);
    made_use(c, made.workspace);
    contexts_create(c);
    workspace_destroy(made.workspace);
    contexts_wait_state(c, 0, CONTEXT_IDLE);
    contexts_run_well(c, "write note.txt");
    contexts_restart(c);
    contexts_assert_prints(c, "cat note.txt", "written\n");
    assert_int_equal(made.told, 0);
}

static void
test_a_workspace_without_bounds_is_refused(void **state)
{
    static const struct workspace_limits bad[] = { { 0, 1 }, { 1, 0 } };
    struct contexts *c = *state;

    for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
        struct workspace *workspace = NULL;
        struct error err = { 0 };

        assert_int_equal(
            workspace_create(&workspace, c->spawner, &bad[i], NULL, NULL, &err),
            WORKSPACE_E_LIMITS);
        assert_null(workspace);
        assert_string_not_equal(err.text, "");
    }
}

static void
test_what_the_keeper_cannot_make_is_told(void **state)
{
    static const struct workspace_limits bad = { UINT64_MAX, UINT64_MAX };
    struct contexts *c = *state;
    struct made made, good;

    made_ask_for(c, &bad, &made);
    while (made.told == 0)
        assert_int_equal(loop_wait(c->loop, -1), 0);
    assert_non_null(strstr(made.err.text, "make the tmpfs"));
    assert_int_equal(workspace_folder(made.workspace), -1);
    workspace_destroy(made.workspace);
    made_make(c, &good);
    wait_kept(c, 1);
    workspace_destroy(good.workspace);
}

static void
test_a_context_without_the_workspace_it_wants_does_not_start(void **state)
{
    static const struct workspace_limits bad = { UINT64_MAX, UINT64_MAX };
    struct contexts *c = *state;
    struct workspace *workspace;
    const struct told *dead;

    assert_int_equal(workspace_create(&workspace, c->spawner, &bad, NULL, NULL, NULL), 0);
    made_use(c, workspace);
    contexts_create(c);
    dead = contexts_wait_state(c, 0, CONTEXT_DEAD);
    assert_int_equal(dead->reason.kind, CONTEXT_REASON_START);
    assert_non_null(strstr(dead->text, "workspace"));
    workspace_destroy(workspace);
}

static void
test_many_workspaces_cost_no_fds_when_they_are_gone(void **state)
{
    struct contexts *c = *state;
    struct made made[100];
    size_t before;

    made_make(c, &made[0]);
    workspace_destroy(made[0].workspace);
    before = contexts_count_fds();
    for (size_t i = 0; i < N_ELEMENTS(made); i++)
        made_ask(c, &made[i]);
    for (size_t i = 0; i < N_ELEMENTS(made); i++) {
        while (made[i].told == 0)
            assert_int_equal(loop_wait(c->loop, -1), 0);
        assert_string_equal(made[i].err.text, "");
    }
    wait_kept(c, N_ELEMENTS(made));
    for (size_t i = 0; i < N_ELEMENTS(made); i++)
        workspace_destroy(made[i].workspace);
    wait_kept(c, 0);
    assert_int_equal(contexts_count_fds(), before);
}

static void
test_the_keeper_holds_nothing_of_the_machines(void **state)
{
    struct contexts *c = *state;
    struct made made;
    char path[64], line[512];
    FILE *file;

    made_make(c, &made);
    snprintf(path, sizeof path, "/proc/%d/mountinfo", find_keeper(c));
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        assert_non_null(strstr(line, " - tmpfs "));
    fclose(file);
    snprintf(path, sizeof path, "/proc/%d/status", find_keeper(c));
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "CapEff:", 7) == 0 || strncmp(line, "CapPrm:", 7) == 0)
            assert_int_equal(strtoull(line + 7, NULL, 16), 1U << 21); /* SYS_ADMIN */
        if (strncmp(line, "NoNewPrivs:", 11) == 0)
            assert_int_equal(strtol(line + 11, NULL, 10), 1);
    }
    fclose(file);
    workspace_destroy(made.workspace);
}

static void
test_a_dead_keeper_is_told_and_replaced(void **state)
{
    struct contexts *c = *state, next;
    struct made made, other;
    const struct told *dead;
    int keeper;
    size_t from;

    made_make(c, &made);
    made_use(c, made.workspace);
    contexts_start(c);
    contexts_run_well(c, "write note.txt");
    keeper = find_keeper(c);
    assert_int_equal(kill(keeper, SIGKILL), 0);
    while (kill(keeper, 0) == 0)
        assert_int_equal(loop_wait(c->loop, 1), 0);
    contexts_assert_prints(c, "cat note.txt", "written\n"); /* who has it, has it */
    assert_int_equal(faccessat(workspace_folder(made.workspace), "note.txt", R_OK, 0), 0);
    from = c->told_count;
    assert_int_equal(context_restart(c->ctx), 0);
    dead = contexts_wait_state(c, from, CONTEXT_DEAD);
    assert_non_null(strstr(dead->text, "workspace"));
    made_make(c, &other);
    contexts_init_beside(&next, c);
    next.options.workspace = other.workspace;
    contexts_start(&next);
    contexts_run_well(&next, "write note.txt");
    contexts_fini_beside(&next);
    workspace_destroy(made.workspace);
    workspace_destroy(other.workspace);
}

struct word {
    int pids[2]; /* the launcher's and the keeper's */
    char directory[64];
};

/* A server in a process of its own, which says what it has made and waits. */
static _Noreturn void
be_a_server(int socket)
{
    void *state = NULL;
    struct contexts *c;
    struct word word;
    struct made made;

    contexts_setup(&state);
    c = state;
    made_make(c, &made);
    made_use(c, made.workspace);
    contexts_start(c);
    contexts_run_well(c, "write note.txt");
    word.pids[0] = spawner_pid(c->spawner);
    word.pids[1] = find_keeper(c);
    memcpy(word.directory, c->directory, sizeof word.directory);
    assert_int_equal(send(socket, &word, sizeof word, 0), sizeof word);
    for (;;)
        loop_wait(c->loop, -1);
}

static void
wait_for_end(int pidfd)
{
    struct pollfd entry = { .fd = pidfd, .events = POLLIN };

    assert_int_equal(poll(&entry, 1, -1), 1);
    close(pidfd);
}

/* Its mounts are in a namespace that ends with the last process in it. */
static void
test_nothing_is_left_of_a_server_that_was_killed(void **state)
{
    int ends[2], pidfds[2];
    struct word word;
    pid_t server;

    (void)state;
    alarm(100);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    server = fork();
    if (server == 0)
        be_a_server(ends[1]);
    close(ends[1]);
    assert_int_equal(recv(ends[0], &word, sizeof word, 0), sizeof word);
    assert_true(word.pids[1] > 0);
    for (int i = 0; i < 2; i++) {
        pidfds[i] = (int)syscall(SYS_pidfd_open, word.pids[i], 0);
        assert_true(pidfds[i] >= 0);
    }
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(waitpid(server, NULL, 0), server);
    for (int i = 0; i < 2; i++)
        wait_for_end(pidfds[i]);
    assert_int_equal(rmdir(word.directory), 0); /* the test's own, and empty */
    close(ends[0]);
    alarm(0);
}

int
main(int argc, char **argv)
{
#define TEST(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, contexts_setup, contexts_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left_of_a_server_that_was_killed),
        TEST(test_a_workspace_ends_with_its_owner_and_the_last_context),
        TEST(test_a_workspace_may_be_destroyed_before_it_is_there),
        TEST(test_a_context_need_not_wait_for_its_workspace),
        TEST(test_a_workspace_given_up_at_once_is_its_contexts_still),
        TEST(test_a_workspace_without_bounds_is_refused),
        TEST(test_what_the_keeper_cannot_make_is_told),
        TEST(test_a_context_without_the_workspace_it_wants_does_not_start),
        TEST(test_many_workspaces_cost_no_fds_when_they_are_gone),
        TEST(test_the_keeper_holds_nothing_of_the_machines),
        TEST(test_a_dead_keeper_is_told_and_replaced),
    };
    int r = become_who(argc, argv);

    return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}

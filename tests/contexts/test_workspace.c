/* SPDX-License-Identifier: MIT */
/*
 * Workspaces in real contexts: the example runtime in the real sandbox. Run as "root",
 * where each context has ids of its own, and as "user".
 */
#include "contexts/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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
#include "tests/support/contexts.h"

#define ORDINARY_ID 1000
#define SKIPPED 77
#define BYTES ((uint64_t)1024 * 1024)
#define INODES 64
#define PROCESSES_MAX 256

static const struct workspace_limits limits = { .bytes = BYTES, .inodes = INODES };

struct made {
    struct workspace *workspace;
    int told;
    struct error err;
};

static int
on_made(struct workspace *workspace, const struct error *err, void *arg)
{
    struct made *made = arg;

    assert_ptr_equal(workspace, made->workspace);
    made->told++;
    if (err != NULL)
        made->err = *err;
    return 0;
}

static void
ask_for_workspace(struct contexts *c, struct made *ret)
{
    struct error err = { 0 };

    *ret = (struct made){ 0 };
    if (workspace_create(&ret->workspace, c->spawner, &limits, on_made, ret, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(ret->told, 0);
    assert_int_equal(workspace_folder(ret->workspace), -1);
}

static void
make_workspace(struct contexts *c, struct made *ret)
{
    ask_for_workspace(c, ret);
    while (ret->told == 0)
        assert_int_equal(loop_wait(c->loop, -1), 0);
    assert_string_equal(ret->err.text, "");
    assert_true(workspace_folder(ret->workspace) >= 0);
}

static void
use_workspace(struct contexts *c, struct workspace *workspace)
{
    c->options.profile = CONTEXT_PROFILE_AGENT;
    c->options.limits = context_limits_of(CONTEXT_PROFILE_AGENT);
    c->options.workspace = workspace;
}

/* Runs CODE, which must not fail. */
static void
run(struct contexts *c, const char *code)
{
    const struct told *done = contexts_run(c, code);

    if (done->outcome.end != CONTEXT_END_REPLY || done->flags != 0)
        fail_msg("%s: %s", code, done->text);
}

static void
assert_prints(struct contexts *c, const char *code, const char *expected)
{
    uint64_t number = contexts_submit(c, code);
    CLEANUP(freep) char *text = NULL;

    contexts_wait_done(c, number);
    text = contexts_text(c, number, false);
    assert_string_equal(text, expected);
}

static void
assert_fails(struct contexts *c, const char *code)
{
    const struct told *done = contexts_run(c, code);

    assert_int_equal(done->outcome.end, CONTEXT_END_REPLY);
    assert_int_not_equal(done->flags, 0);
}

static void
restart(struct contexts *c)
{
    size_t from = c->told_count;

    assert_int_equal(context_restart(c->ctx), 0);
    contexts_wait_state(c, from, CONTEXT_STARTING);
    contexts_wait_state(c, from, CONTEXT_IDLE);
}

static void
test_files_survive_a_restart_and_a_crash(void **state)
{
    struct contexts *c = *state;
    struct made made;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_start(c);
    assert_true(context_has_workspace(c->ctx));
    run(c, "write note.txt");
    restart(c);
    assert_prints(c, "cat note.txt", "written\n");
    contexts_run(c, "signal 11");
    assert_prints(c, "cat /workspace/note.txt", "written\n");
    assert_int_equal(context_epoch(c->ctx), 3);
    workspace_destroy(made.workspace);
}

static void
test_without_a_workspace_files_end_with_the_interpreter(void **state)
{
    struct contexts *c = *state;

    use_workspace(c, NULL);
    contexts_start(c);
    assert_false(context_has_workspace(c->ctx));
    run(c, "write note.txt");
    restart(c);
    assert_fails(c, "cat note.txt");
}

static void
test_two_contexts_share_a_workspace(void **state)
{
    struct contexts *c = *state, other;
    struct made made;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_start(c);
    contexts_init_beside(&other, c);
    contexts_start(&other);
    run(c, "shell mkdir d && echo one > d/one");
    assert_prints(&other, "shell cat d/one", "one\n");
    run(&other, "shell echo two > d/two && rm d/one && chmod 700 d");
    assert_prints(c, "shell ls d", "two\n");
    contexts_fini_beside(&other);
    assert_prints(c, "shell cat d/two", "two\n");
    workspace_destroy(made.workspace);
}

static void
test_contexts_with_workspaces_of_their_own_do_not_share(void **state)
{
    struct contexts *c = *state, other;
    struct made a, b;

    make_workspace(c, &a);
    make_workspace(c, &b);
    use_workspace(c, a.workspace);
    contexts_start(c);
    contexts_init_beside(&other, c);
    other.options.workspace = b.workspace;
    contexts_start(&other);
    run(c, "write mine");
    assert_prints(&other, "shell ls -A", "");
    contexts_fini_beside(&other);
    workspace_destroy(a.workspace);
    workspace_destroy(b.workspace);
}

static void
test_the_server_sees_the_same_files_as_the_code(void **state)
{
    struct contexts *c = *state;
    struct made made;
    struct stat st;
    int folder, fd;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    folder = workspace_folder(made.workspace);
    assert_int_equal(mkdirat(folder, "ours", 0755), 0);
    fd = openat(folder, "ours/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from the server\n", 16), 16);
    close(fd);
    contexts_start(c);
    assert_prints(c, "cat ours/file", "from the server\n");
    assert_prints(c, "shell stat -c %U . ours ours/file", "user\nuser\nuser\n");
    run(c, "shell echo more >> ours/file && chmod 600 ours/file && mkdir theirs && "
           "mv ours/file theirs/moved && rmdir ours");
    assert_int_equal(fstatat(folder, "theirs/moved", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(st.st_gid, getegid());
    assert_int_equal(st.st_size, 21);
    assert_int_equal(unlinkat(folder, "theirs/moved", 0), 0);
    assert_int_equal(unlinkat(folder, "theirs", AT_REMOVEDIR), 0);
    assert_prints(c, "shell ls -A", "");
    workspace_destroy(made.workspace);
}

static void
test_bytes_are_bounded_over_all_epochs(void **state)
{
    struct contexts *c = *state;
    struct made made;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_start(c);
    run(c, "shell head -c 700000 /dev/zero > a");
    restart(c);
    assert_fails(c, "shell head -c 700000 /dev/zero > b 2>/dev/null");
    assert_prints(c, "shell n=$(cat a b | wc -c); echo $((n > 1040000 && n <= 1048576))",
                  "1\n");
    run(c, "shell rm a");
    restart(c);
    run(c, "shell head -c 700000 /dev/zero > a");
    workspace_destroy(made.workspace);
}

static void
test_files_are_bounded_over_all_epochs(void **state)
{
    struct contexts *c = *state;
    struct made made;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_start(c);
    run(c, "shell for i in $(seq 40); do : > a$i; done");
    restart(c);
    assert_fails(c, "shell set -e; for i in $(seq 40); do touch b$i 2>/dev/null; done");
    assert_prints(c, "shell echo $(($(ls -A | wc -l) < 64))", "1\n");
    run(c, "shell rm a* && for i in $(seq 30); do touch c$i; done");
    workspace_destroy(made.workspace);
}

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

    make_workspace(c, &made);
    assert_int_equal(count_kept(c), 1);
    workspace_destroy(made.workspace);
    wait_kept(c, 0);

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_start(c);
    run(c, "write note.txt");
    workspace_destroy(made.workspace);
    restart(c); /* a context keeps what it has */
    assert_prints(c, "cat note.txt", "written\n");
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

    ask_for_workspace(c, &made);
    workspace_destroy(made.workspace);
    make_workspace(c, &other);
    assert_int_equal(made.told, 0);
    wait_kept(c, 1);
    workspace_destroy(other.workspace);
}

static void
test_a_context_need_not_wait_for_its_workspace(void **state)
{
    struct contexts *c = *state;
    struct made made;

    ask_for_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_start(c);
    assert_int_equal(made.told, 1);
    run(c, "write note.txt");
    assert_int_equal(faccessat(workspace_folder(made.workspace), "note.txt", R_OK, 0), 0);
    workspace_destroy(made.workspace);
}

static void
test_a_workspace_given_up_at_once_is_its_contexts_still(void **state)
{
    struct contexts *c = *state;
    struct made made;

    ask_for_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_create(c);
    workspace_destroy(made.workspace);
    contexts_wait_state(c, 0, CONTEXT_IDLE);
    run(c, "write note.txt");
    restart(c);
    assert_prints(c, "cat note.txt", "written\n");
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
    struct made made = { 0 }, good;

    assert_int_equal(
        workspace_create(&made.workspace, c->spawner, &bad, on_made, &made, NULL), 0);
    while (made.told == 0)
        assert_int_equal(loop_wait(c->loop, -1), 0);
    assert_non_null(strstr(made.err.text, "make the tmpfs"));
    assert_int_equal(workspace_folder(made.workspace), -1);
    workspace_destroy(made.workspace);
    make_workspace(c, &good);
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
    use_workspace(c, workspace);
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

    make_workspace(c, &made[0]);
    workspace_destroy(made[0].workspace);
    before = contexts_count_fds();
    for (size_t i = 0; i < N_ELEMENTS(made); i++)
        ask_for_workspace(c, &made[i]);
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

    make_workspace(c, &made);
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

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_start(c);
    run(c, "write note.txt");
    keeper = find_keeper(c);
    assert_int_equal(kill(keeper, SIGKILL), 0);
    while (kill(keeper, 0) == 0)
        assert_int_equal(loop_wait(c->loop, 1), 0);
    assert_prints(c, "cat note.txt", "written\n"); /* who has it, has it */
    assert_int_equal(faccessat(workspace_folder(made.workspace), "note.txt", R_OK, 0), 0);
    from = c->told_count;
    assert_int_equal(context_restart(c->ctx), 0);
    dead = contexts_wait_state(c, from, CONTEXT_DEAD);
    assert_non_null(strstr(dead->text, "workspace"));
    make_workspace(c, &other);
    contexts_init_beside(&next, c);
    next.options.workspace = other.workspace;
    contexts_start(&next);
    run(&next, "write note.txt");
    contexts_fini_beside(&next);
    workspace_destroy(made.workspace);
    workspace_destroy(other.workspace);
}

/* A server in a process of its own, which says the launcher's pid and waits. */
static _Noreturn void
be_a_server(int socket)
{
    void *state = NULL;
    struct contexts *c;
    struct made made;
    int pids[2];

    contexts_setup(&state);
    c = state;
    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_start(c);
    run(c, "write note.txt");
    pids[0] = spawner_pid(c->spawner);
    pids[1] = find_keeper(c);
    assert_int_equal(send(socket, pids, sizeof pids, 0), sizeof pids);
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
    int ends[2], pids[2], pidfds[2];
    pid_t server;

    (void)state;
    alarm(100);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    server = fork();
    if (server == 0)
        be_a_server(ends[1]);
    close(ends[1]);
    assert_int_equal(recv(ends[0], pids, sizeof pids, 0), sizeof pids);
    assert_true(pids[1] > 0);
    for (int i = 0; i < 2; i++) {
        pidfds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
        assert_true(pidfds[i] >= 0);
    }
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(waitpid(server, NULL, 0), server);
    for (int i = 0; i < 2; i++)
        wait_for_end(pidfds[i]);
    close(ends[0]);
    alarm(0);
}

static void
test_working_directory_is_made(void **state)
{
    static const struct {
        const char *cwd, *expected;
    } rows[] = {
        { "a/b", "/workspace/a/b\n" },    { "/workspace/c//d/./", "/workspace/c/d\n" },
        { "/workspace", "/workspace\n" }, { "", "/workspace\n" },
        { ".", "/workspace\n" },          { "a b", "/workspace/a b\n" },
    };
    struct contexts *c = *state;
    struct made made;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct contexts each;

        contexts_init_beside(&each, c);
        each.options.cwd = rows[i].cwd;
        contexts_start(&each);
        assert_prints(&each, "shell pwd -P", rows[i].expected);
        contexts_fini_beside(&each);
    }
    workspace_destroy(made.workspace);
}

static void
test_working_directory_is_made_at_each_start_by_the_codes_own_ids(void **state)
{
    struct contexts *c = *state;
    struct made made;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    c->options.cwd = "a/b";
    contexts_start(c);
    assert_prints(c, "shell stat -c '%U %a' /workspace/a . ", "user 755\nuser 755\n");
    run(c, "shell rm -r /workspace/a");
    restart(c);
    assert_prints(c, "shell pwd -P", "/workspace/a/b\n");
    workspace_destroy(made.workspace);
}

static void
test_working_directory_is_made_without_a_workspace_too(void **state)
{
    struct contexts *c = *state;

    use_workspace(c, NULL);
    c->options.cwd = "a";
    contexts_start(c);
    assert_prints(c, "shell pwd -P", "/workspace/a\n");
}

static void
test_working_directory_outside_is_refused(void **state)
{
    struct contexts *c = *state;
    char *longest = calloc(1, 5000);
    const char *const bad[] = {
        "..",   "a/../b", "/workspace/..",     "/",           "/workspaces",
        "/tmp", longest,  "/etc/../workspace", longest + 4700
    };

    assert_non_null(longest);
    for (int i = 0; i < 4999; i++)
        longest[i] = i % 200 == 0 && i < 4700 ? '/' : 'a';
    memcpy(longest, "a", 1);
    use_workspace(c, NULL);
    for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
        struct error err = { 0 };

        c->options.cwd = bad[i];
        assert_int_equal(context_create(&c->ctx, c->loop, &c->options, &err),
                         CONTEXT_E_OPTIONS);
        assert_non_null(strstr(err.text, "working directory"));
    }
    free(longest);
}

/* The context ends, for it cannot start again. */
static void
start_again_with_link(const struct contexts *c, struct workspace *workspace,
                      const char *link)
{
    struct contexts each;
    const struct told *dead;
    char code[128];
    size_t from;

    contexts_init_beside(&each, c);
    contexts_start(&each);
    snprintf(code, sizeof code, "shell rmdir /workspace/d && ln -s %s /workspace/d",
             link);
    run(&each, code);
    from = each.told_count;
    assert_int_equal(context_restart(each.ctx), 0);
    dead = contexts_wait_state(&each, from, CONTEXT_DEAD);
    assert_non_null(strstr(dead->text, "directory /workspace/d"));
    assert_int_equal(unlinkat(workspace_folder(workspace), "d", 0), 0);
    contexts_fini_beside(&each);
}

/* What a link leads to is for the code alone: a start follows it with no more rights. */
static void
test_links_in_place_of_the_working_directory_lead_nowhere_else(void **state)
{
    static const char *const links[] = { "/proc/self/fd/3", "/proc/1/root",
                                         "/proc/self/cwd",  "/proc/self/root/..",
                                         "/nowhere",        "d" };
    struct contexts *c = *state;
    struct made made;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    c->options.cwd = "d";
    for (size_t i = 0; i < N_ELEMENTS(links); i++)
        start_again_with_link(c, made.workspace, links[i]);
    workspace_destroy(made.workspace);
}

static void
test_a_link_within_the_workspace_is_followed(void **state)
{
    struct contexts *c = *state;
    struct made made;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    c->options.cwd = "d/sub";
    contexts_start(c);
    run(c, "shell cd /workspace && mkdir real && rm -r d && ln -s real d");
    restart(c);
    assert_prints(c, "shell pwd -P", "/workspace/real/sub\n");
    workspace_destroy(made.workspace);
}

static void
test_a_locked_workspace_is_opened_for_the_next_interpreter(void **state)
{
    struct contexts *c = *state;
    struct made made;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_start(c);
    run(c, "shell touch x && chmod 0 /workspace");
    restart(c);
    assert_prints(c, "shell stat -c %a . && ls", "700\nx\n");
    workspace_destroy(made.workspace);
}

static void
test_the_workspace_itself_cannot_be_replaced(void **state)
{
    struct contexts *c = *state;
    struct made made;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    contexts_start(c);
    assert_fails(c, "shell cd / && mv /workspace /tmp/w 2>/dev/null");
    assert_fails(c, "shell cd / && rmdir /workspace 2>/dev/null");
    assert_fails(c, "shell cd / && ln -sfT /etc /workspace 2>/dev/null");
    restart(c);
    run(c, "shell touch here");
    assert_int_equal(faccessat(workspace_folder(made.workspace), "here", F_OK, 0), 0);
    workspace_destroy(made.workspace);
}

/* The server's directory shows nothing of the sandbox, and the other way round. */
static void
test_nothing_set_aside_by_mode_or_device_crosses(void **state)
{
    struct contexts *c = *state;
    struct made made;
    struct statvfs fs;

    make_workspace(c, &made);
    use_workspace(c, made.workspace);
    assert_int_equal(fstatvfs(workspace_folder(made.workspace), &fs), 0);
    assert_int_equal(fs.f_flag & (ST_NOSUID | ST_NODEV), ST_NOSUID | ST_NODEV);
    assert_int_equal(fs.f_blocks * (uint64_t)fs.f_frsize, BYTES);
    assert_int_equal(fs.f_files, INODES);
    contexts_start(c);
    assert_prints(c,
                  "shell grep ' /workspace ' /proc/self/mountinfo | grep -c "
                  "'rw,nosuid,nodev'",
                  "1\n");
    assert_fails(c, "shell mknod n c 1 3 2>/dev/null");
    workspace_destroy(made.workspace);
}

static int
become(int argc, char **argv)
{
    bool user = argc > 1 && strcmp(argv[1], "user") == 0;

    if (!user && geteuid() != 0) {
        fprintf(stderr, "skipped: ids of its own need root\n");
        return SKIPPED;
    }
    if (user && geteuid() == 0 &&
        (setgroups(0, NULL) < 0 || setresgid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) < 0 ||
         setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) < 0 ||
         setenv("HOME", "/tmp", 1) < 0)) {
        perror("becoming an ordinary user");
        return 1;
    }
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

int
main(int argc, char **argv)
{
#define TEST(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, contexts_setup, contexts_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left_of_a_server_that_was_killed),
        TEST(test_files_survive_a_restart_and_a_crash),
        TEST(test_without_a_workspace_files_end_with_the_interpreter),
        TEST(test_two_contexts_share_a_workspace),
        TEST(test_contexts_with_workspaces_of_their_own_do_not_share),
        TEST(test_the_server_sees_the_same_files_as_the_code),
        TEST(test_bytes_are_bounded_over_all_epochs),
        TEST(test_files_are_bounded_over_all_epochs),
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
        TEST(test_working_directory_is_made),
        TEST(test_working_directory_is_made_at_each_start_by_the_codes_own_ids),
        TEST(test_working_directory_is_made_without_a_workspace_too),
        TEST(test_working_directory_outside_is_refused),
        TEST(test_links_in_place_of_the_working_directory_lead_nowhere_else),
        TEST(test_a_link_within_the_workspace_is_followed),
        TEST(test_a_locked_workspace_is_opened_for_the_next_interpreter),
        TEST(test_the_workspace_itself_cannot_be_replaced),
        TEST(test_nothing_set_aside_by_mode_or_device_crosses),
    };
    int r = become(argc, argv);

    return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}

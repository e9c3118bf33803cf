/* SPDX-License-Identifier: MIT */
/*
 * Workspaces in real contexts: the example runtime in the real sandbox. Run as "root",
 * where each context has ids of its own, and as "user".
 */
#include "contexts/workspace.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/context.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/contexts/become.h"
#include "tests/contexts/made.h"
#include "tests/support/contexts.h"

static void
test_files_survive_a_restart_and_a_crash(void **state)
{
    struct contexts *c = *state;
    struct made made;

    made_make(c, &made);
    made_use(c, made.workspace);
    contexts_start(c);
    assert_true(context_has_workspace(c->ctx));
    contexts_run_well(c, "write note.txt");
    contexts_restart(c);
    contexts_assert_prints(c, "cat note.txt", "written\n");
    contexts_run(c, "signal 11");
    contexts_assert_prints(c, "cat /workspace/note.txt", "written\n");
    assert_int_equal(context_epoch(c->ctx), 3);
    workspace_destroy(made.workspace);
}

static void
test_without_a_workspace_files_end_with_the_interpreter(void **state)
{
    struct contexts *c = *state;

    made_use(c, NULL);
    contexts_start(c);
    assert_false(context_has_workspace(c->ctx));
    contexts_run_well(c, "write note.txt");
    contexts_restart(c);
    contexts_assert_fails(c, "cat note.txt");
}

static void
test_two_contexts_share_a_workspace(void **state)
{
    struct contexts *c = *state, other;
    struct made made;

    made_make(c, &made);
    made_use(c, made.workspace);
    contexts_start(c);
    contexts_init_beside(&other, c);
    contexts_start(&other);
    contexts_run_well(c, "shell mkdir d && echo one > d/one");
    contexts_assert_prints(&other, "shell cat d/one", "one\n");
    contexts_run_well(&other, "shell echo two > d/two && rm d/one && chmod 700 d");
    contexts_assert_prints(c, "shell ls d", "two\n");
    contexts_fini_beside(&other);
    contexts_assert_prints(c, "shell cat d/two", "two\n");
    workspace_destroy(made.workspace);
}

static void
test_contexts_with_workspaces_of_their_own_do_not_share(void **state)
{
    struct contexts *c = *state, other;
    struct made a, b;

    made_make(c, &a);
    made_make(c, &b);
    made_use(c, a.workspace);
    contexts_start(c);
    contexts_init_beside(&other, c);
    other.options.workspace = b.workspace;
    contexts_start(&other);
    contexts_run_well(c, "write mine");
    contexts_assert_prints(&other, "shell ls -A", "");
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

    made_make(c, &made);
    made_use(c, made.workspace);
    folder = workspace_folder(made.workspace);
    assert_int_equal(mkdirat(folder, "ours", 0755), 0);
    fd = openat(folder, "ours/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from the server\n", 16), 16);
    close(fd);
    contexts_start(c);
    contexts_assert_prints(c, "cat ours/file", "from the server\n");
    contexts_assert_prints(c, "shell stat -c %U . ours ours/file", "user\nuser\nuser\n");
    contexts_run_well(
        c, "shell echo more >> ours/file && chmod 600 ours/file && mkdir theirs && "
           "mv ours/file theirs/moved && rmdir ours");
    assert_int_equal(fstatat(folder, "theirs/moved", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(st.st_gid, getegid());
    assert_int_equal(st.st_size, 21);
    assert_int_equal(unlinkat(folder, "theirs/moved", 0), 0);
    assert_int_equal(unlinkat(folder, "theirs", AT_REMOVEDIR), 0);
    contexts_assert_prints(c, "shell ls -A", "");
    workspace_destroy(made.workspace);
}

static void
test_bytes_are_bounded_over_all_epochs(void **state)
{
    struct contexts *c = *state;
    struct made made;

    made_make(c, &made);
    made_use(c, made.workspace);
    contexts_start(c);
    contexts_run_well(c, "shell head -c 700000 /dev/zero > a");
    contexts_restart(c);
    contexts_assert_fails(c, "shell head -c 700000 /dev/zero > b 2>/dev/null");
    contexts_assert_prints(
        c, "shell n=$(cat a b | wc -c); echo $((n > 1040000 && n <= 1048576))", "1\n");
    contexts_run_well(c, "shell rm a");
    contexts_restart(c);
    contexts_run_well(c, "shell head -c 700000 /dev/zero > a");
    workspace_destroy(made.workspace);
}

static void
test_files_are_bounded_over_all_epochs(void **state)
{
    struct contexts *c = *state;
    struct made made;

    made_make(c, &made);
    made_use(c, made.workspace);
    contexts_start(c);
    contexts_run_well(c, "shell for i in $(seq 40); do : > a$i; done");
    contexts_restart(c);
    contexts_assert_fails(
        c, "shell set -e; for i in $(seq 40); do touch b$i 2>/dev/null; done");
    contexts_assert_prints(c, "shell echo $(($(ls -A | wc -l) < 64))", "1\n");
    contexts_run_well(c, "shell rm a* && for i in $(seq 30); do touch c$i; done");
    workspace_destroy(made.workspace);
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

    made_make(c, &made);
    made_use(c, made.workspace);
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct contexts each;

        contexts_init_beside(&each, c);
        each.options.cwd = rows[i].cwd;
        contexts_start(&each);
        contexts_assert_prints(&each, "shell pwd -P", rows[i].expected);
        contexts_fini_beside(&each);
    }
    workspace_destroy(made.workspace);
}

static void
test_working_directory_is_made_at_each_start_by_the_codes_own_ids(void **state)
{
    struct contexts *c = *state;
    struct made made;

    made_make(c, &made);
    made_use(c, made.workspace);
    c->options.cwd = "a/b";
    contexts_start(c);
    contexts_assert_prints(c, "shell stat -c '%U %a' /workspace/a . ",
                           "user 755\nuser 755\n");
    contexts_run_well(c, "shell rm -r /workspace/a");
    contexts_restart(c);
    contexts_assert_prints(c, "shell pwd -P", "/workspace/a/b\n");
    workspace_destroy(made.workspace);
}

static void
test_working_directory_is_made_without_a_workspace_too(void **state)
{
    struct contexts *c = *state;

    made_use(c, NULL);
    c->options.cwd = "a";
    contexts_start(c);
    contexts_assert_prints(c, "shell pwd -P", "/workspace/a\n");
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
    made_use(c, NULL);
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
    contexts_run_well(&each, code);
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

    made_make(c, &made);
    made_use(c, made.workspace);
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

    made_make(c, &made);
    made_use(c, made.workspace);
    c->options.cwd = "d/sub";
    contexts_start(c);
    contexts_run_well(c, "shell cd /workspace && mkdir real && rm -r d && ln -s real d");
    contexts_restart(c);
    contexts_assert_prints(c, "shell pwd -P", "/workspace/real/sub\n");
    workspace_destroy(made.workspace);
}

static void
test_a_locked_workspace_is_opened_for_the_next_interpreter(void **state)
{
    struct contexts *c = *state;
    struct made made;

    made_make(c, &made);
    made_use(c, made.workspace);
    contexts_start(c);
    contexts_run_well(c, "shell touch x && chmod 0 /workspace");
    contexts_restart(c);
    contexts_assert_prints(c, "shell stat -c %a . && ls", "700\nx\n");
    workspace_destroy(made.workspace);
}

static void
test_the_workspace_itself_cannot_be_replaced(void **state)
{
    struct contexts *c = *state;
    struct made made;

    made_make(c, &made);
    made_use(c, made.workspace);
    contexts_start(c);
    contexts_assert_fails(c, "shell cd / && mv /workspace /tmp/w 2>/dev/null");
    contexts_assert_fails(c, "shell cd / && rmdir /workspace 2>/dev/null");
    contexts_assert_fails(c, "shell cd / && ln -sfT /etc /workspace 2>/dev/null");
    contexts_restart(c);
    contexts_run_well(c, "shell touch here");
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

    made_make(c, &made);
    made_use(c, made.workspace);
    assert_int_equal(fstatvfs(workspace_folder(made.workspace), &fs), 0);
    assert_int_equal(fs.f_flag & (ST_NOSUID | ST_NODEV), ST_NOSUID | ST_NODEV);
    assert_int_equal(fs.f_blocks * (uint64_t)fs.f_frsize, MADE_BYTES);
    assert_int_equal(fs.f_files, MADE_INODES);
    contexts_start(c);
    contexts_assert_prints(c,
                           "shell grep ' /workspace ' /proc/self/mountinfo | grep -c "
                           "'rw,nosuid,nodev'",
                           "1\n");
    contexts_assert_fails(c, "shell mknod n c 1 3 2>/dev/null");
    workspace_destroy(made.workspace);
}

int
main(int argc, char **argv)
{
#define TEST(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, contexts_setup, contexts_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_files_survive_a_restart_and_a_crash),
        TEST(test_without_a_workspace_files_end_with_the_interpreter),
        TEST(test_two_contexts_share_a_workspace),
        TEST(test_contexts_with_workspaces_of_their_own_do_not_share),
        TEST(test_the_server_sees_the_same_files_as_the_code),
        TEST(test_bytes_are_bounded_over_all_epochs),
        TEST(test_files_are_bounded_over_all_epochs),
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
    int r = become_who(argc, argv);

    return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Who makes a child, and when: the launcher, a zygote, the reserve. */
#include "contexts/spawner.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "contexts/processes.h"
#include "contexts/workspace.h"
#include "tests/contexts/nursery.h"

#define ZYGOTE_PROCESSES 2 /* its init and itself */
#define CHILD_PROCESSES 2
#define CROWD 12

static void
use_zygotes(struct nursery *n, unsigned reserve)
{
    assert_int_equal(spawner_use_zygotes(n->spawner, reserve, nursery_on_told, n), 0);
}

static void
prepare(struct nursery *n)
{
    spawner_prepare(n->spawner, &(struct spawner_wish){ .zygote = &n->zygote });
    nursery_wait_told(n, "ready with this, that; without other because of its size");
}

/* Spares that the launcher has made are here now: it answers in order. */
static void
settle(struct nursery *n)
{
    const struct sandbox_spec *zygote = n->wish.zygote;
    struct kid kid;

    n->wish.zygote = NULL;
    kid_ask(&kid, n, n->spawner);
    kid_wait(&kid);
    kid_end(&kid);
    n->wish.zygote = zygote;
}

/* Waits until there are COUNT spares beside one child. While a fork is being made there
 * are more processes for a moment. */
static void
wait_for_spares(struct nursery *n, size_t count)
{
    size_t all = ZYGOTE_PROCESSES + (1 + count) * CHILD_PROCESSES;

    do {
        nursery_wait_processes(n, n->spawner, all);
        settle(n);
    } while (nursery_count_processes(n, n->spawner) != all);
}

static void
test_without_zygotes_children_are_started_by_exec(void **state)
{
    struct nursery *n = *state;
    struct kid kid;

    assert_int_equal(kid_start(&kid, n, n->spawner), NURSERY_PID_EXEC);
    kid_end(&kid);
}

static void
test_a_child_is_started_by_exec_until_the_zygote_is_ready(void **state)
{
    struct nursery *n = *state;
    struct kid early, late;

    use_zygotes(n, 0);
    assert_int_equal(kid_start(&early, n, n->spawner), NURSERY_PID_EXEC);
    nursery_wait_told(n, "zygote of /zygote (home not set): ready");
    assert_int_equal(kid_start(&late, n, n->spawner), NURSERY_PID_FORK);
    kid_end(&early);
    kid_end(&late);
}

static void
test_a_zygote_can_be_prepared_before_the_first_child(void **state)
{
    struct nursery *n = *state;
    struct kid kid;

    use_zygotes(n, 0);
    prepare(n);
    assert_int_equal(kid_start(&kid, n, n->spawner), NURSERY_PID_FORK);
    kid_end(&kid);
}

static void
test_children_of_one_zygote_come_all(void **state)
{
    struct nursery *n = *state;
    struct kid kids[CROWD];

    use_zygotes(n, 0);
    prepare(n);
    for (int i = 0; i < CROWD; i++)
        kid_ask(&kids[i], n, n->spawner);
    for (int i = 0; i < CROWD; i++) {
        kid_wait(&kids[i]);
        assert_int_equal(kid_read_pid(&kids[i]), NURSERY_PID_FORK);
    }
    for (int i = 0; i < CROWD; i++)
        kid_end(&kids[i]);
    nursery_wait_processes(n, n->spawner, ZYGOTE_PROCESSES);
}

static void
test_a_cancelled_child_ends_and_nobody_is_told(void **state)
{
    struct nursery *n = *state;
    struct kid cancelled[CROWD], kept;

    use_zygotes(n, 0);
    prepare(n);
    for (int i = 0; i < CROWD; i++)
        kid_ask(&cancelled[i], n, n->spawner);
    for (int i = 0; i < CROWD; i++)
        spawner_cancel(cancelled[i].order);
    assert_int_equal(kid_start(&kept, n, n->spawner), NURSERY_PID_FORK);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(cancelled[i].calls, 0);
    kid_end(&kept);
    nursery_wait_processes(n, n->spawner, ZYGOTE_PROCESSES);
}

static void
test_the_reserve_is_filled_for_what_was_wanted_before(void **state)
{
    struct nursery *n = *state;
    struct kid first, second;

    use_zygotes(n, 2);
    prepare(n);
    assert_int_equal(nursery_count_processes(n, n->spawner), ZYGOTE_PROCESSES);
    assert_int_equal(kid_start(&first, n, n->spawner), NURSERY_PID_FORK);
    nursery_wait_processes(n, n->spawner, ZYGOTE_PROCESSES + 3 * CHILD_PROCESSES);
    assert_int_equal(kid_start(&second, n, n->spawner), NURSERY_PID_FORK);
    nursery_wait_processes(n, n->spawner, ZYGOTE_PROCESSES + 4 * CHILD_PROCESSES);
    kid_end(&first);
    kid_end(&second);
}

static void
test_a_spare_is_given_away_without_the_launcher(void **state)
{
    struct nursery *n = *state;
    struct kid first, second;

    use_zygotes(n, 1);
    prepare(n);
    kid_start(&first, n, n->spawner);
    wait_for_spares(n, 1);
    assert_int_equal(kill(spawner_pid(n->spawner), SIGKILL), 0);
    assert_int_equal(kid_start(&second, n, n->spawner), NURSERY_PID_FORK);
    kid_end(&first);
    kid_end(&second);
}

/* As a fork of the zygote; but it has no spare, and what was made ahead shows nothing of
 * a workspace. */
static void
test_a_child_with_a_workspace_is_forked_and_not_kept_ready(void **state)
{
    static const struct workspace_limits limits = { 65536, 16 };
    struct nursery *n = *state;
    struct workspace *workspaces[2];
    struct kid kids[2];

    use_zygotes(n, 2);
    prepare(n);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            workspace_create(&workspaces[i], n->spawner, &limits, NULL, NULL, NULL), 0);
    nursery_use_workspace(n, workspaces[0]);
    assert_int_equal(kid_start(&kids[0], n, n->spawner), NURSERY_PID_FORK);
    n->spec.mount_count--;
    nursery_use_workspace(n, workspaces[1]);
    assert_int_equal(kid_start(&kids[1], n, n->spawner), NURSERY_PID_FORK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(faccessat(workspace_folder(workspaces[i]), "made", F_OK, 0), 0);
    n->spec.mount_count--;
    n->spec.directory = "/box";
    spawner_prepare(n->spawner, &n->wish); /* the first one that is made ahead */
    nursery_wait_processes(n, n->spawner, ZYGOTE_PROCESSES + 4 * CHILD_PROCESSES);
    for (int i = 0; i < 2; i++) {
        kid_end(&kids[i]);
        workspace_destroy(workspaces[i]);
    }
}

static void
test_a_cancelled_spare_ends(void **state)
{
    struct nursery *n = *state;
    struct kid first, second;

    use_zygotes(n, 1);
    prepare(n);
    kid_start(&first, n, n->spawner);
    wait_for_spares(n, 1);
    kid_ask(&second, n, n->spawner);
    spawner_cancel(second.order);
    kid_end(&first);
    nursery_wait_processes(n, n->spawner, ZYGOTE_PROCESSES + CHILD_PROCESSES);
    assert_int_equal(second.calls, 0);
}

/* What a spare has mounted must be what the path means when it is given away. */
static void
test_a_spare_of_a_folder_that_was_replaced_is_not_given_away(void **state)
{
    struct nursery *n = *state;
    struct kid first, second;
    char folder[96], probe[128];

    snprintf(folder, sizeof folder, "%s/folder", n->directory);
    snprintf(probe, sizeof probe, "%s/new", folder);
    assert_int_equal(mkdir(folder, 0755), 0);
    n->mounts[n->spec.mount_count - 1].source = folder;
    use_zygotes(n, 1);
    prepare(n);
    kid_start(&first, n, n->spawner);
    wait_for_spares(n, 1);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0755), 0);
    kid_end(&first);
    assert_int_equal(mkdir(probe, 0755), 0);
    n->spec.argv =
        (const char *const[]){ "/bin/sh", "-c", "[ -d new ] && echo $$", NULL };
    kid_start(&second, n, n->spawner);
    kid_end(&second);
    assert_int_equal(rmdir(probe), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* The first of its name: the others are its forks, on their way to their own programs. */
static int
find_zygote(const struct nursery *n)
{
    int pids[64], found = -1;
    size_t count = processes_tree(spawner_pid(n->spawner), pids, 64);

    for (size_t i = 0; i < count && i < 64 && found < 0; i++) {
        char path[64], name[32] = "";
        FILE *file;

        snprintf(path, sizeof path, "/proc/%d/comm", pids[i]);
        file = fopen(path, "re");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof name, file) != NULL && strcmp(name, "zygote\n") == 0)
            found = pids[i];
        fclose(file);
    }
    assert_true(found > 0);
    return found;
}

static void
test_a_zygote_that_dies_takes_no_child_along_and_is_started_again(void **state)
{
    struct nursery *n = *state;
    struct kid before, between, after;

    use_zygotes(n, 0);
    prepare(n);
    assert_int_equal(kid_start(&before, n, n->spawner), NURSERY_PID_FORK);
    assert_int_equal(kill(find_zygote(n), SIGKILL), 0);
    nursery_wait_told(
        n, "zygote of /zygote (home not set): it has ended; until there is another");
    assert_true(kid_is_alive(&before));
    n->told[0] = '\0';
    assert_int_equal(kid_start(&between, n, n->spawner), NURSERY_PID_EXEC);
    nursery_wait_told(n, "ready");
    assert_int_equal(kid_start(&after, n, n->spawner), NURSERY_PID_FORK);
    assert_true(kid_is_alive(&before));
    kid_end(&before);
    kid_end(&between);
    kid_end(&after);
    nursery_wait_processes(n, n->spawner, ZYGOTE_PROCESSES);
}

static void
test_spares_of_a_zygote_that_has_died_are_not_kept(void **state)
{
    struct nursery *n = *state;
    struct kid kid;

    use_zygotes(n, 3);
    prepare(n);
    kid_start(&kid, n, n->spawner);
    wait_for_spares(n, 3);
    n->told[0] = '\0';
    assert_int_equal(kill(find_zygote(n), SIGKILL), 0);
    nursery_wait_told(n, "ready"); /* the reserve wants another */
    kid_end(&kid);
    nursery_wait_processes(n, n->spawner, ZYGOTE_PROCESSES + 3 * CHILD_PROCESSES);
}

static void
test_a_zygote_whose_environment_has_changed_is_started_again(void **state)
{
    struct nursery *n = *state;
    struct kid before, between, after;
    const struct timespec times[] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

    use_zygotes(n, 0);
    prepare(n);
    assert_int_equal(kid_start(&before, n, n->spawner), NURSERY_PID_FORK);
    assert_int_equal(utimensat(AT_FDCWD, n->watched, times, 0), 0);
    n->told[0] = '\0';
    assert_int_equal(kid_start(&between, n, n->spawner), NURSERY_PID_EXEC);
    nursery_wait_told(n, "its environment has changed");
    nursery_wait_told(n, "ready");
    assert_int_equal(kid_start(&after, n, n->spawner), NURSERY_PID_FORK);
    assert_true(kid_is_alive(&before));
    kid_end(&before);
    kid_end(&between);
    kid_end(&after);
    nursery_wait_processes(n, n->spawner, ZYGOTE_PROCESSES);
}

static void
test_a_change_while_the_zygote_was_starting_counts(void **state)
{
    struct nursery *n = *state;
    struct timespec times[2];
    struct kid kid;

    use_zygotes(n, 0);
    spawner_prepare(n->spawner, &(struct spawner_wish){ .zygote = &n->zygote });
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, n->watched, times, 0), 0);
    nursery_wait_told(n, "ready");
    n->told[0] = '\0';
    assert_int_equal(kid_start(&kid, n, n->spawner), NURSERY_PID_EXEC);
    nursery_wait_told(n, "its environment has changed");
    kid_end(&kid);
}

static void
expect_no_zygote(struct nursery *n, const char *behaviour, const char *argument,
                 const char *said)
{
    struct kid kid;

    nursery_set_zygote(n, behaviour, argument);
    use_zygotes(n, 1);
    assert_int_equal(kid_start(&kid, n, n->spawner), NURSERY_PID_EXEC);
    nursery_wait_told(n, said);
    nursery_wait_told(n, "until there is another, interpreters are started by exec");
    kid_end(&kid);
    assert_int_equal(kid_start(&kid, n, n->spawner), NURSERY_PID_EXEC);
    kid_end(&kid);
    nursery_wait_processes(n, n->spawner, 0);
}

static void
test_a_zygote_that_cannot_get_ready_says_why(void **state)
{
    expect_no_zygote(*state, "refuse", "there is no IPython", "there is no IPython");
}

/* Its init's report is not taken for its reason when both are there. */
static void
test_a_zygote_that_ends_at_once_after_its_word_says_why(void **state)
{
    struct nursery *n = *state;
    struct pollfd events = { .fd = loop_fd(n->loop), .events = POLLIN };
    char kick[96];
    int fd;

    nursery_set_zygote(n, "refuse-when-kicked", "there is no IPython");
    snprintf(kick, sizeof kick, "%s/kick", n->directory);
    assert_int_equal(chmod(n->directory, 0755), 0); /* not its own */
    assert_int_equal(mkfifo(kick, 0644), 0);
    n->zygote_mounts[n->zygote.mount_count++] = (struct sandbox_mount){
        .kind = SANDBOX_MOUNT_BIND_RO, .source = n->directory, .target = "/box"
    };
    use_zygotes(n, 0);
    spawner_prepare(n->spawner, &(struct spawner_wish){ .zygote = &n->zygote });
    assert_int_equal(loop_wait(n->loop, -1), 0); /* it is born, */
    fd = open(kick, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(poll(&events, 1, -1), 1);
    assert_int_equal(loop_wait(n->loop, -1), 0); /* and has started */
    close(fd);
    while (nursery_count_processes(n, n->spawner) > 0)
        sched_yield();
    nursery_wait_told(n, "there is no IPython; until there is another");
    assert_int_equal(unlink(kick), 0);
}

static void
test_a_zygote_that_exits_is_quoted(void **state)
{
    expect_no_zygote(*state, "complain", "no module of this name",
                     "it has ended: no module of this name");
}

static void
test_a_zygote_that_talks_nonsense_is_given_up(void **state)
{
    expect_no_zygote(*state, "nonsense", "[[[", "zygote of /zygote (home not set): ?");
}

static void
test_a_zygote_that_says_too_much_is_given_up(void **state)
{
    expect_no_zygote(*state, "twice", "/", "it says what it should not");
}

static void
test_a_zygote_that_cannot_be_started_is_given_up(void **state)
{
    struct nursery *n = *state;

    n->zygote_mounts[n->zygote.mount_count - 1].source = "/nowhere";
    expect_no_zygote(n, "ready", "/", "nowhere");
}

static void
test_a_zygote_that_is_never_ready_holds_nobody_up(void **state)
{
    struct nursery *n = *state;
    struct kid kid;

    nursery_set_zygote(n, "silent", "");
    use_zygotes(n, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kid_start(&kid, n, n->spawner), NURSERY_PID_EXEC);
        kid_end(&kid);
    }
    nursery_wait_processes(n, n->spawner, ZYGOTE_PROCESSES);
    assert_string_equal(n->told, "");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, nursery_setup, nursery_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_zygotes_children_are_started_by_exec),
        TEST(test_a_child_is_started_by_exec_until_the_zygote_is_ready),
        TEST(test_a_zygote_can_be_prepared_before_the_first_child),
        TEST(test_children_of_one_zygote_come_all),
        TEST(test_a_cancelled_child_ends_and_nobody_is_told),
        TEST(test_the_reserve_is_filled_for_what_was_wanted_before),
        TEST(test_a_spare_is_given_away_without_the_launcher),
        TEST(test_a_child_with_a_workspace_is_forked_and_not_kept_ready),
        TEST(test_a_cancelled_spare_ends),
        TEST(test_a_spare_of_a_folder_that_was_replaced_is_not_given_away),
        TEST(test_a_zygote_that_dies_takes_no_child_along_and_is_started_again),
        TEST(test_spares_of_a_zygote_that_has_died_are_not_kept),
        TEST(test_a_zygote_whose_environment_has_changed_is_started_again),
        TEST(test_a_change_while_the_zygote_was_starting_counts),
        TEST(test_a_zygote_that_cannot_get_ready_says_why),
        TEST(test_a_zygote_that_ends_at_once_after_its_word_says_why),
        TEST(test_a_zygote_that_exits_is_quoted),
        TEST(test_a_zygote_that_talks_nonsense_is_given_up),
        TEST(test_a_zygote_that_says_too_much_is_given_up),
        TEST(test_a_zygote_that_cannot_be_started_is_given_up),
        TEST(test_a_zygote_that_is_never_ready_holds_nobody_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

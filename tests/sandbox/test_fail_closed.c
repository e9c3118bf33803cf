/* SPDX-License-Identifier: MIT */
/*
 * Every system call of every step made to fail in turn, in the process that makes it: no
 * user code may run, the report must name the step, and nothing may be left.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"
#include "tests/sandbox/failing.h"

#define OUTPUT_BYTES_MAX ((size_t)64 * 1024)
#define MOUNTS_TEXT_BYTES ((size_t)64 * 1024)

/* BETWEEN: those who go to the zygote's sandbox for the spawner. FORKED: who makes a
 * runner in a zygote, and the runner; their calls pass by the zygote's program. */
enum role {
    ROLE_NONE,
    ROLE_SPAWNER,
    ROLE_BETWEEN,
    ROLE_INIT,
    ROLE_RUNNER,
    ROLE_FORKED,
    ROLE_KEEPER
};

/* What shall fail: the call number WANTED of the process in ROLE. */
static struct {
    enum role role;
    int wanted;
    enum role counting; /* whose calls COUNT counts */
    int count;
    pid_t spawner;
} plan;

/* Shared with the children: the name of the call that was made to fail. */
static char *failed_call;

static struct box_zygote zygote;
static struct failing_plan *forked; /* the zygote's plan */

static enum role
own_role(void)
{
    pid_t pid = getpid();

    if (pid == plan.spawner)
        return ROLE_SPAWNER;
    if (plan.role == ROLE_KEEPER)
        return ROLE_KEEPER;
    if (pid == 1)
        return ROLE_INIT;
    return box_uses_zygote() ? ROLE_BETWEEN : ROLE_RUNNER;
}

bool
failing_must_fail(const char *name)
{
    enum role role = own_role();

    if (plan.role != role)
        return false;
    if (plan.counting != role) {
        plan.counting = role;
        plan.count = 0;
    }
    if (++plan.count != plan.wanted)
        return false;
    strcpy(failed_call, name);
    return true;
}

struct fixture {
    char workspace[64];
    struct box_spec spec;
    char mounts[MOUNTS_TEXT_BYTES];
    size_t mounts_length;
    int descriptors;
    int children; /* the keeper, and the zygote */
    struct box_given given;
};

static size_t
read_mounts(char ret[MOUNTS_TEXT_BYTES])
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    size_t length = fread(ret, 1, MOUNTS_TEXT_BYTES, file);

    fclose(file);
    return length;
}

static int
count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* Zombies included. */
static int
count_children(void)
{
    char path[64];
    FILE *file;
    int count = 0, pid;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    file = fopen(path, "re");
    assert_non_null(file);
    while (fscanf(file, "%d", &pid) == 1)
        count++;
    fclose(file);
    return count;
}

static int
setup(void **state)
{
    static const char *const argv[] = { "/probe", "touch", "/box/canary", NULL };
    static struct fixture fixture;

    box_make_workspace(fixture.workspace);
    box_spec_init(&fixture.spec, fixture.workspace, argv);
    const struct sandbox_mount mounts[] = {
        { .kind = SANDBOX_MOUNT_TMPFS,
          .target = "/home/me",
          .bytes = 65536,
          .inodes = 8,
          .mode = 0700 },
        { .kind = SANDBOX_MOUNT_FILE, .target = "/home/me/.x/note", .source = "text" },
        { .kind = SANDBOX_MOUNT_SYMLINK, .target = "/link", .source = "tmp" },
        { .kind = SANDBOX_MOUNT_MASK, .target = "/usr/share" },
        { .kind = SANDBOX_MOUNT_MASK, .target = "/usr/local" },
        { .kind = SANDBOX_MOUNT_MASK, .target = "/usr/bin/env" },
        { .kind = SANDBOX_MOUNT_GIVEN, .target = "/given", .number = BOX_GIVEN_NUMBER },
    };
    for (size_t i = 0; i < N_ELEMENTS(mounts); i++)
        box_spec_mount(&fixture.spec, mounts[i]);
    fixture.spec.spec.directory = "/given/a/b";
    fixture.spec.spec.make_directory = true;
    box_given_init(&fixture.given, 65536, 16);
    fixture.mounts_length = read_mounts(fixture.mounts);
    fixture.descriptors = count_descriptors();
    fixture.children = count_children();
    plan.spawner = getpid();
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    plan.role = ROLE_NONE;
    box_given_fini(&f->given);
    box_spec_fini(&f->spec);
    box_remove_workspace(f->workspace);
    return 0;
}

static void
assert_nothing_left(struct fixture *f)
{
    static char now[MOUNTS_TEXT_BYTES];
    size_t length = read_mounts(now);
    char canary[128];

    snprintf(canary, sizeof canary, "%s/canary", f->workspace);
    if (access(canary, F_OK) == 0)
        fail_msg("user code ran though %s failed", failed_call);
    assert_int_equal(count_children(), f->children);
    assert_int_equal(length, f->mounts_length);
    assert_memory_equal(now, f->mounts, length);
    assert_int_equal(count_descriptors(), f->descriptors);
}

/* What a runner has made, so that the next one makes as many calls. */
static void
remove_directory(const struct fixture *f)
{
    unlinkat(f->given.workspace.folder, "a/b", AT_REMOVEDIR);
    unlinkat(f->given.workspace.folder, "a", AT_REMOVEDIR);
}

/* True when a call was made to fail; false when there are fewer than WANTED. */
static bool
try_failure(struct fixture *f, enum role role, int wanted)
{
    struct control_report report = { 0 };
    struct box box;

    remove_directory(f);
    plan.role = role;
    plan.wanted = wanted;
    plan.counting = ROLE_NONE;
    failed_call[0] = '\0';
    if (role == ROLE_FORKED)
        forked->wanted = wanted;
    box_start(&box, &f->spec.spec);
    plan.role = ROLE_NONE;
    if (box.result != 0) {
        assert_int_equal(box.result, -EPERM);
        assert_true(box.error.text[0] != '\0');
        assert_int_equal(box.pidfd, -1);
    } else {
        if (!box_report(&box, &report))
            fail_msg("%s failed and nobody said so", failed_call);
        if (role == ROLE_FORKED)
            strcpy(failed_call, forked->name);
    }
    if (failed_call[0] == '\0') {
        box_expect(&box, CONTROL_EXITED, NULL);
    } else if (box.result == 0) {
        if (report.kind != CONTROL_FAILED)
            fail_msg("%s failed and was let pass", failed_call);
        assert_int_equal(report.error, EPERM);
        assert_true(report.step[0] != '\0');
    }
    box_end(&box);
    return failed_call[0] != '\0';
}

static void
remove_canary(const struct fixture *f)
{
    char canary[128];

    snprintf(canary, sizeof canary, "%s/canary", f->workspace);
    assert_int_equal(unlink(canary), 0);
}

static void
fail_each_call(struct fixture *f, enum role role, int at_least)
{
    int wanted = 1;

    for (; try_failure(f, role, wanted); wanted++)
        assert_nothing_left(f);
    /* The last one had nothing to fail and ran. */
    remove_canary(f);
    assert_nothing_left(f);
    assert_true(wanted > at_least);
}

static void
test_failures_of_the_spawner_are_closed(void **state)
{
    fail_each_call(*state, ROLE_SPAWNER, box_uses_zygote() ? 1 : 5);
}

static void
test_failures_of_go_betweens_are_closed(void **state)
{
    fail_each_call(*state, ROLE_BETWEEN, 5);
}

static void
test_failures_of_init_are_closed(void **state)
{
    fail_each_call(*state, ROLE_INIT, 100);
}

static void
test_failures_of_the_runner_are_closed(void **state)
{
    fail_each_call(*state, ROLE_RUNNER, 60);
}

/* By the zygote's helper, by its child in the sandbox, and by the runner. */
static void
test_failures_of_a_forked_runner_are_closed(void **state)
{
    struct fixture *f = *state;
    int descriptors;

    assert_false(try_failure(f, ROLE_FORKED, 0));
    remove_canary(f);
    descriptors = forked->descriptors;
    fail_each_call(f, ROLE_FORKED, 60);
    assert_int_equal(forked->descriptors, descriptors);
    assert_int_equal(forked->children, 0);
}

/* What a zygote's own sandbox has besides. */
static void
test_failures_of_a_zygotes_sandbox_are_closed(void **state)
{
    struct fixture *f = *state;

    f->spec.spec.role = SANDBOX_ROLE_ZYGOTE;
    f->spec.spec.mount_count--; /* it has no workspace */
    f->spec.spec.directory = "/box";
    fail_each_call(f, ROLE_INIT, 120);
    fail_each_call(f, ROLE_RUNNER, 50);
}

/* In ROLE a keeper is made, a workspace in it, and a mount of that. */
static bool
try_keeper(enum role role, int wanted)
{
    const struct keeper_wish wish = { 1, 65536, 16 };
    struct keeper_workspace workspace = { -1, -1 };
    struct keeper keeper = KEEPER_NONE;
    struct error err = { 0 };
    int tree = -1, r;
    bool has_failed;

    plan.role = role;
    plan.wanted = wanted;
    plan.counting = ROLE_NONE;
    failed_call[0] = '\0';
    r = keeper_make(&keeper, &wish, &workspace, &err);
    if (r == 0)
        r = keeper_show(&keeper, wish.number, &tree, &err);
    has_failed = failed_call[0] != '\0'; /* later, when it lets go, nobody asks */
    plan.role = ROLE_NONE;
    close_fdp(&workspace.folder);
    close_fdp(&workspace.lease);
    close_fdp(&tree);
    keeper_fini(&keeper);
    if (keeper.pid > 0)
        assert_int_equal(waitpid(keeper.pid, NULL, 0), keeper.pid);
    if (!has_failed) {
        assert_int_equal(r, 0);
        return false;
    }
    if (r != -EPERM)
        fail_msg("%s failed and was let pass", failed_call);
    assert_true(err.text[0] != '\0');
    return true;
}

static void
test_failures_of_a_keeper_are_closed(void **state)
{
    struct fixture *f = *state;
    int wanted = 1;

    for (; try_keeper(ROLE_KEEPER, wanted); wanted++)
        assert_nothing_left(f);
    assert_true(wanted > (box_is_user() ? 30 : 24));
    assert_true(try_keeper(ROLE_SPAWNER, 1));
    assert_nothing_left(f);
    assert_false(try_keeper(ROLE_SPAWNER, 2));
}

static void
assert_no_program_is_refused(struct fixture *f, struct slice program)
{
    struct box box;

    f->spec.spec.seccomp = program;
    box_start(&box, &f->spec.spec);
    assert_int_equal(box.result, -EINVAL);
    assert_non_null(strstr(box.error.text, "seccomp"));
    box_end(&box);
    assert_nothing_left(f);
}

static void
assert_program_is_refused(struct fixture *f, struct slice program)
{
    struct control_report report;
    struct box box;

    f->spec.spec.seccomp = program;
    box_start(&box, &f->spec.spec);
    box_expect(&box, CONTROL_FAILED, &report);
    assert_string_equal(report.step, "seccomp");
    assert_int_equal(report.error, EINVAL);
    box_end(&box);
    assert_nothing_left(f);
}

static void
test_without_a_sound_seccomp_program_nothing_runs(void **state)
{
    static const uint8_t junk[16] = { 0xff, 0xff };
    struct fixture *f = *state;

    assert_no_program_is_refused(f, (struct slice){ 0 });
    assert_no_program_is_refused(f, (struct slice){ .data = junk, .length = 15 });
    assert_program_is_refused(f, (struct slice){ .data = junk, .length = 16 });
}

static char shared[64];

static int
start_zygote(void **state)
{
    const char *const argv[] = { box_failing_zygote_path(), NULL };
    const struct failing_plan empty = { 0 };
    char path[128];
    int fd;

    (void)state;
    box_make_workspace(shared);
    snprintf(path, sizeof path, "%s/" FAILING_PLAN, shared);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, &empty, sizeof empty), sizeof empty);
    forked = mmap(NULL, sizeof *forked, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    assert_true(forked != MAP_FAILED);
    box_zygote_start(&zygote, argv, shared);
    box_use_this_zygote(&zygote);
    return 0;
}

static int
end_zygote(void **state)
{
    (void)state;
    box_zygote_end(&zygote);
    box_remove_workspace(shared);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
    const struct CMUnitTest by_exec[] = {
        TEST(test_failures_of_the_spawner_are_closed),
        TEST(test_failures_of_init_are_closed),
        TEST(test_failures_of_the_runner_are_closed),
        TEST(test_failures_of_a_zygotes_sandbox_are_closed),
        TEST(test_failures_of_a_keeper_are_closed),
        TEST(test_without_a_sound_seccomp_program_nothing_runs),
    };
    const struct CMUnitTest by_zygote[] = {
        TEST(test_failures_of_the_spawner_are_closed),
        TEST(test_failures_of_go_betweens_are_closed),
        TEST(test_failures_of_init_are_closed),
        TEST(test_failures_of_a_forked_runner_are_closed),
        TEST(test_without_a_sound_seccomp_program_nothing_runs),
    };
    int status = box_become(argc, argv);

    failed_call =
        mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (failed_call == MAP_FAILED)
        return 1;
    if (status != 0)
        return status;
    return box_uses_zygote() ? cmocka_run_group_tests(by_zygote, start_zygote, end_zygote)
                             : cmocka_run_group_tests(by_exec, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Every system call of every step made to fail in turn, in the process that makes it: no
 * user code may run, the report must name the step, and nothing may be left.
 */
#include <dirent.h>
#include <errno.h>
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

#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"

#define OUTPUT_BYTES_MAX ((size_t)64 * 1024)
#define MOUNTS_TEXT_BYTES ((size_t)64 * 1024)

enum role { ROLE_NONE, ROLE_SPAWNER, ROLE_INIT, ROLE_RUNNER };

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

static enum role
own_role(void)
{
    pid_t pid = getpid();

    if (pid == plan.spawner)
        return ROLE_SPAWNER;
    return pid == 1 ? ROLE_INIT : ROLE_RUNNER;
}

static int
must_fail(const char *name)
{
    enum role role = own_role();

    if (plan.role != role)
        return 0;
    if (plan.counting != role) {
        plan.counting = role;
        plan.count = 0;
    }
    if (++plan.count != plan.wanted)
        return 0;
    strcpy(failed_call, name);
    errno = EPERM;
    return 1;
}

#define WRAP(result, name, parameters, arguments)                                        \
    result __real_##name parameters;                                                     \
    result __wrap_##name parameters;                                                     \
    result __wrap_##name parameters                                                      \
    {                                                                                    \
        return must_fail(#name) ? (result) - 1 : __real_##name arguments;                \
    }
#include "tests/sandbox/wrapped.def"

struct fixture {
    char workspace[64];
    struct box_spec spec;
    char mounts[MOUNTS_TEXT_BYTES];
    size_t mounts_length;
    int descriptors;
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
    };
    for (size_t i = 0; i < N_ELEMENTS(mounts); i++)
        box_spec_mount(&fixture.spec, mounts[i]);
    fixture.mounts_length = read_mounts(fixture.mounts);
    fixture.descriptors = count_descriptors();
    plan.spawner = getpid();
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    plan.role = ROLE_NONE;
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
    assert_int_equal(waitpid(-1, NULL, 0), -1); /* no child */
    assert_int_equal(errno, ECHILD);
    assert_int_equal(length, f->mounts_length);
    assert_memory_equal(now, f->mounts, length);
    assert_int_equal(count_descriptors(), f->descriptors);
}

/* True when a call was made to fail; false when there are fewer than WANTED. */
static bool
try_failure(struct fixture *f, enum role role, int wanted)
{
    struct control_report report = { 0 };
    struct box box;

    plan.role = role;
    plan.wanted = wanted;
    plan.counting = ROLE_NONE;
    failed_call[0] = '\0';
    box_start(&box, &f->spec.spec);
    plan.role = ROLE_NONE;
    if (box.result != 0) {
        assert_int_equal(box.result, -EPERM);
        assert_true(box.error.text[0] != '\0');
        assert_int_equal(box.pidfd, -1);
    } else if (!box_report(&box, &report)) {
        fail_msg("%s failed and nobody said so", failed_call);
    } else if (report.kind == CONTROL_STARTED && failed_call[0] == '\0') {
        box_expect(&box, CONTROL_EXITED, NULL);
    } else {
        if (report.kind != CONTROL_FAILED)
            fail_msg("%s failed and was let pass", failed_call);
        assert_int_equal(report.error, EPERM);
        assert_true(report.step[0] != '\0');
    }
    box_end(&box);
    return failed_call[0] != '\0';
}

static void
fail_each_call(struct fixture *f, enum role role, int at_least)
{
    char canary[128];
    int wanted = 1;

    for (; try_failure(f, role, wanted); wanted++)
        assert_nothing_left(f);
    /* The last one had nothing to fail and ran. */
    snprintf(canary, sizeof canary, "%s/canary", f->workspace);
    assert_int_equal(unlink(canary), 0);
    assert_nothing_left(f);
    assert_true(wanted > at_least);
}

static void
test_failures_of_the_spawner_are_closed(void **state)
{
    fail_each_call(*state, ROLE_SPAWNER, 5);
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

    assert_program_is_refused(f, (struct slice){ 0 });
    assert_program_is_refused(f, (struct slice){ .data = junk, .length = 16 });
    assert_program_is_refused(f, (struct slice){ .data = junk, .length = 15 });
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_failures_of_the_spawner_are_closed),
        TEST(test_failures_of_init_are_closed),
        TEST(test_failures_of_the_runner_are_closed),
        TEST(test_without_a_sound_seccomp_program_nothing_runs),
    };
    int status = box_become(argc, argv);

    failed_call =
        mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (failed_call == MAP_FAILED)
        return 1;
    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}

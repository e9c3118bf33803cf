/* SPDX-License-Identifier: MIT */
/*
 * Control groups: each sandbox is in one of its own, which has its limits and goes with
 * it.
 */
#include "contexts/sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"

#define OUTPUT_BYTES_MAX ((size_t)256 * 1024)
#define MIB ((uint64_t)1024 * 1024)

struct fixture {
    char workspace[64];
    struct box_spec spec;
    struct box box;
    struct buffer output;
};

static int
setup(void **state)
{
    static struct fixture fixture;

    box_make_workspace(fixture.workspace);
    box_spec_init(&fixture.spec, fixture.workspace, NULL);
    buffer_init(&fixture.output, OUTPUT_BYTES_MAX);
    fixture.spec.spec.limits.memory_bytes = 64 * MIB;
    fixture.spec.spec.limits.cpu_milli = 500;
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    buffer_fini(&f->output);
    box_spec_fini(&f->spec);
    box_remove_workspace(f->workspace);
    return 0;
}

/* What the first of the group's directories that has FILE says in it; "": none has. */
static void
read_group(const struct cgroup *group, const char *file, char ret[256])
{
    ret[0] = '\0';
    for (size_t i = 0; i < group->count && ret[0] == '\0'; i++) {
        CLEANUP(close_fdp) int fd = openat(group->dirs[i], file, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, ret, 255);

        ret[n > 0 ? n : 0] = '\0';
    }
}

static void
expect_either(const struct cgroup *group, const char *old, const char *new,
              const char *value)
{
    char text[256];

    read_group(group, old, text);
    if (text[0] == '\0')
        read_group(group, new, text);
    if (strncmp(text, value, strlen(value)) != 0)
        fail_msg("%s or %s: '%s', not %s", old, new, text, value);
}

static void
test_limits_are_set(void **state)
{
    const char *const argv[] = { "/probe", "stay", NULL };
    struct fixture *f = *state;

    f->spec.spec.argv = argv;
    box_start(&f->box, &f->spec.spec);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    expect_either(&f->box.group, "memory.limit_in_bytes", "memory.max", "67108864");
    expect_either(&f->box.group, "cpu.cfs_quota_us", "cpu.max", "50000");
    expect_either(&f->box.group, "pids.max", "", "34"); /* 32, and two of ours */
    box_end(&f->box);
}

/* Init and the runner, in all hierarchies, whoever has made the runner. */
static void
test_both_processes_are_inside(void **state)
{
    const char *const argv[] = { "/probe", "stay", NULL };
    struct fixture *f = *state;

    f->spec.spec.argv = argv;
    box_start(&f->box, &f->spec.spec);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    assert_true(f->box.group.count > 0);
    for (size_t i = 0; i < f->box.group.count; i++) {
        struct cgroup one = { .count = 1, .dirs = { f->box.group.dirs[i] } };
        char text[256];
        int first, second, more;

        read_group(&one, "cgroup.procs", text);
        assert_int_equal(sscanf(text, "%d %d %d", &first, &second, &more), 2);
    }
    box_end(&f->box);
}

static void
test_memory_is_bounded(void **state)
{
    const char *const argv[] = { "/probe", "eat", "256", NULL };
    struct fixture *f = *state;
    struct control_report report;
    char text[256];

    f->spec.spec.argv = argv;
    box_start(&f->box, &f->spec.spec);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_expect(&f->box, CONTROL_EXITED, &report);
    assert_true(WIFSIGNALED(report.status));
    assert_int_equal(WTERMSIG(report.status), SIGKILL);
    read_group(&f->box.group, "memory.oom_control", text);
    if (text[0] == '\0')
        read_group(&f->box.group, "memory.events", text);
    assert_non_null(strstr(text, "oom_kill 1"));
    box_end(&f->box);
}

static void
test_files_in_memory_count(void **state)
{
    const char *const argv[] = { "/probe", "fill", "/big/file", NULL };
    struct fixture *f = *state;
    struct control_report report;

    f->spec.spec.argv = argv;
    box_spec_mount(&f->spec, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_TMPFS,
                                                     .target = "/big",
                                                     .bytes = 256 * MIB,
                                                     .inodes = 64,
                                                     .mode = 01777 });
    box_start(&f->box, &f->spec.spec);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_expect(&f->box, CONTROL_EXITED, &report);
    assert_true(WIFSIGNALED(report.status));
    box_end(&f->box);
}

static void
test_groups_of_the_machine_are_not_told(void **state)
{
    const char *const argv[] = { "/probe", "cat", "/proc/self/cgroup", NULL };
    struct fixture *f = *state;

    f->spec.spec.argv = argv;
    assert_int_equal(box_run(&f->spec.spec, &f->output), 0);
    assert_int_equal(buffer_append(&f->output, "", 1), 0);
    for (char *line = strtok((char *)f->output.data, "\n"); line != NULL;
         line = strtok(NULL, "\n"))
        assert_string_equal(strrchr(line, ':'), ":/");
}

/* In a child: cmocka's own process has groups under its name already. */
static void
in_child(int (*run)(const void *arg), const void *arg)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(run(arg));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static bool
is_there(const struct cgroup_hierarchy *here, const struct cgroup_hierarchy *which)
{
    return faccessat(here->above, which->name, F_OK, 0) == 0;
}

/* Programs beside this one may be at it, too. */
static void
let_others_clean(const struct cgroup_hierarchy *here,
                 const struct cgroup_hierarchy *which)
{
    CLEANUP(close_fdp)
    int dir = openat(here->above, which->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir >= 0)
        assert_int_equal(flock(dir, LOCK_EX), 0);
}

static struct cgroups *dead; /* shared with children */

static int
die_with_groups(const void *arg)
{
    struct cgroups groups;
    struct cgroup group;

    (void)arg;
    cgroups_open(&groups);
    *dead = groups;
    if (groups.count == 0 || cgroup_create(&group, &groups) < 0)
        return 1;
    return !is_there(&groups.hierarchies[0], &groups.hierarchies[0]);
}

static int
look_for(const void *arg)
{
    const struct cgroups *living = arg;
    struct cgroups groups;
    bool dead_is_there = false, living_is_there = true;

    cgroups_open(&groups);
    for (size_t i = 0; i < groups.count; i++) {
        const struct cgroup_hierarchy *here = &groups.hierarchies[i];

        let_others_clean(here, &dead->hierarchies[i]);
        dead_is_there |= is_there(here, &dead->hierarchies[i]);
        living_is_there &= is_there(here, &living->hierarchies[i]);
    }
    cgroups_close(&groups);
    return dead_is_there || !living_is_there;
}

static void
test_what_the_dead_left_is_removed_and_nothing_else(void **state)
{
    struct cgroups living;

    (void)state;
    in_child(die_with_groups, NULL);
    cgroups_open(&living);
    in_child(look_for, &living);
    cgroups_close(&living);
}

/* As somebody would who cleans up, or who has our number in another pid namespace. */
static void
test_groups_are_made_beside_those_that_somebody_has_locked(void **state)
{
    struct cgroups first, second;
    struct cgroup group;

    (void)state;
    cgroups_open(&first);
    cgroups_open(&second);
    assert_int_equal(cgroups_controllers(&second), cgroups_controllers(&first));
    for (size_t i = 0; i < first.count; i++)
        assert_string_not_equal(second.hierarchies[i].name, first.hierarchies[i].name);
    assert_int_equal(cgroup_create(&group, &second), 0);
    cgroup_fini(&group);
    assert_true(cgroup_remove(&second, group.id));
    cgroups_close(&second);
    for (size_t i = 0; i < first.count; i++)
        assert_true(is_there(&first.hierarchies[i], &first.hierarchies[i]));
    cgroups_close(&first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_limits_are_set),
        TEST(test_both_processes_are_inside),
        TEST(test_memory_is_bounded),
        TEST(test_files_in_memory_count),
        TEST(test_groups_of_the_machine_are_not_told),
        TEST(test_what_the_dead_left_is_removed_and_nothing_else),
        TEST(test_groups_are_made_beside_those_that_somebody_has_locked),
    };
    int status = box_become(argc, argv);

    dead = mmap(NULL, sizeof *dead, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    if (dead == MAP_FAILED)
        return 1;
    if (status == 0 && !box_has_groups()) {
        fprintf(stderr, "skipped: no control group can be made here\n");
        return BOX_SKIPPED;
    }
    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Which files a sandbox shows: the kinds of mounts, and whose the files are.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"

#define OUTPUT_BYTES_MAX ((size_t)256 * 1024)

struct fixture {
    char workspace[64];
    struct box_spec box;
    struct buffer output;
};

static int
setup(void **state)
{
    static struct fixture fixture;

    box_make_workspace(fixture.workspace);
    box_spec_init(&fixture.box, fixture.workspace, NULL);
    buffer_init(&fixture.output, OUTPUT_BYTES_MAX);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    buffer_fini(&f->output);
    box_spec_fini(&f->box);
    box_remove_workspace(f->workspace);
    return 0;
}

static void
mount_at(struct fixture *f, enum sandbox_mount_kind kind, const char *target,
         const char *source)
{
    box_spec_mount(&f->box, (struct sandbox_mount){ .kind = kind,
                                                    .target = target,
                                                    .source = source,
                                                    .bytes = 64 * 1024,
                                                    .inodes = 16,
                                                    .mode = 0700 });
}

static void
run(struct fixture *f, const char *const *argv)
{
    f->box.spec.argv = argv;
    assert_int_equal(box_run(&f->box.spec, &f->output), 0);
}

static void
assert_line(const struct fixture *f, const char *line)
{
    if (!box_has_line(&f->output, line))
        fail_msg("no '%s' in: %.*s", line, (int)f->output.length, (char *)f->output.data);
}

static void
assert_fails(struct fixture *f, const char *step, int error)
{
    static const char *const argv[] = { "/probe", "touch", "/box/canary", NULL };
    struct control_report report;
    struct box box;
    char canary[128];

    f->box.spec.argv = argv;
    box_start(&box, &f->box.spec);
    box_expect(&box, CONTROL_FAILED, &report);
    box_end(&box);
    assert_string_equal(report.step, step);
    assert_int_equal(report.error, error);
    snprintf(canary, sizeof canary, "%s/canary", f->workspace);
    assert_int_equal(access(canary, F_OK), -1);
}

static void
write_workspace_file(const struct fixture *f, const char *name, const char *text)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/%s", f->workspace, name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void
test_nothing_is_in_the_root_but_what_was_granted(void **state)
{
    static const char *const argv[] = { "/probe", "list", "/", NULL };
    static const char *const granted[] = { "usr", "lib",   "lib64", "bin",  "tmp",
                                           "dev", "probe", "box",   "proc", "end" };
    struct fixture *f = *state;
    size_t lines = 0, known = 0;

    run(f, argv);
    for (size_t i = 0; i < f->output.length; i++)
        lines += f->output.data[i] == '\n';
    for (size_t i = 0; i < N_ELEMENTS(granted); i++)
        known += box_has_line(&f->output, granted[i]);
    assert_int_equal(lines, known);
}

static void
test_files_links_and_missing_optional_sources(void **state)
{
    static const char *const argv[] = {
        "/probe",    "cat", "/etc/deep/er/file", "/home/me/.x/note", "/lnk",
        "/optional", NULL
    };
    struct fixture *f = *state;

    mount_at(f, SANDBOX_MOUNT_FILE, "/etc/deep/er/file", "made up");
    mount_at(f, SANDBOX_MOUNT_TMPFS, "/home/me", NULL);
    mount_at(f, SANDBOX_MOUNT_FILE, "/home/me/.x/note", "in a home");
    mount_at(f, SANDBOX_MOUNT_SYMLINK, "/lnk", "etc/deep/er/file");
    mount_at(f, SANDBOX_MOUNT_BIND_RO, "/optional", "/does/not/exist");
    f->box.mounts[f->box.spec.mount_count - 1].flags = SANDBOX_MOUNT_OPTIONAL;
    run(f, argv);
    assert_line(f, "/etc/deep/er/file:made up");
    assert_line(f, "/home/me/.x/note:in a home");
    assert_line(f, "/lnk:made up");
    assert_line(f, "/optional:ENOENT");
}

static void
test_directories_made_in_the_runners_home_are_the_runners(void **state)
{
    static const char *const argv[] = { "/probe", "touch", "/home/me/.x/new", NULL };
    struct fixture *f = *state;

    mount_at(f, SANDBOX_MOUNT_TMPFS, "/home/me", NULL);
    mount_at(f, SANDBOX_MOUNT_FILE, "/home/me/.x/note", "text");
    run(f, argv);
}

static void
test_masks_hide_files_and_directories(void **state)
{
    static const char *const cat[] = { "/probe", "cat", "/box/secret", NULL };
    static const char *const list[] = { "/probe", "list", "/box/hidden", NULL };
    static const char *const share[] = { "/probe", "list", "/usr/share", NULL };
    char path[128];
    struct fixture *f = *state;

    write_workspace_file(f, "secret", "tell nobody");
    snprintf(path, sizeof path, "%s/hidden", f->workspace);
    assert_int_equal(mkdir(path, 0755), 0);
    write_workspace_file(f, "hidden/file", "nor this");
    mount_at(f, SANDBOX_MOUNT_MASK, "/box/secret", NULL);
    mount_at(f, SANDBOX_MOUNT_MASK, "/box/hidden", NULL);
    mount_at(f, SANDBOX_MOUNT_MASK, "/usr/share", NULL);
    mount_at(f, SANDBOX_MOUNT_MASK, "/box/not-there", NULL);

    run(f, cat);
    run(f, list);
    run(f, share);
    assert_int_equal(f->output.length, strlen("/box/secret:\nend\nend\n"));
    assert_line(f, "/box/secret:");
    assert_line(f, "end");
}

static void
test_tmpfs_is_bounded_in_bytes_and_files(void **state)
{
    static const char *const fill[] = { "/probe", "fill", "/bounded/file", NULL };
    static const char *const files[] = { "/probe", "files", "/bounded", NULL };
    struct fixture *f = *state;

    mount_at(f, SANDBOX_MOUNT_TMPFS, "/bounded", NULL);
    run(f, fill);
    assert_line(f, "ENOSPC 65536");
    run(f, files);
    assert_line(f, "ENOSPC 15"); /* the root of the tmpfs is one of the 16 */
}

static void
test_shared_memory_is_bounded(void **state)
{
    static const char *const fill[] = { "/probe", "fill", "/dev/shm/file", NULL };
    struct fixture *f = *state;

    run(f, fill);
    assert_line(f, "ENOSPC 67108864");
}

static void
test_shared_memory_can_have_another_size(void **state)
{
    static const char *const fill[] = { "/probe", "fill", "/dev/shm/file", NULL };
    struct fixture *f = *state;

    mount_at(f, SANDBOX_MOUNT_TMPFS, "/dev/shm", NULL);
    run(f, fill);
    assert_line(f, "ENOSPC 65536");
}

static void
test_workspace_files_keep_their_owner(void **state)
{
    static const char *const touch[] = { "/probe", "touch", "/box/new", NULL };
    static const char *const owner[] = { "/probe", "owner", "/box", "/box/new", NULL };
    struct fixture *f = *state;
    char path[128], line[64];
    int inside = box_is_user() ? (int)getuid() : 1000;
    struct stat st;

    run(f, touch);
    snprintf(path, sizeof path, "%s/new", f->workspace);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, getuid());
    assert_int_equal(st.st_gid, getgid());
    run(f, owner);
    snprintf(line, sizeof line, "/box %d %d 755", inside, inside);
    assert_line(f, line);
    snprintf(line, sizeof line, "/box/new %d %d 600", inside, inside);
    assert_line(f, line);
}

/* A root's home directory, for one, is closed to everybody else. */
static void
test_workspace_may_lie_where_only_its_owner_can_go(void **state)
{
    static const char *const argv[] = { "/probe", "touch", "/inner/file", NULL };
    struct fixture *f = *state;
    char path[128];

    snprintf(path, sizeof path, "%s/inner", f->workspace);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(f->workspace, 0700), 0);
    mount_at(f, SANDBOX_MOUNT_BIND_RW, "/inner", path);
    run(f, argv);
}

static void
mount_given(struct fixture *f)
{
    box_spec_mount(&f->box, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_GIVEN,
                                                    .target = "/given/here",
                                                    .number = BOX_GIVEN_NUMBER });
}

static void
test_a_given_mount_outlives_its_sandboxes_and_keeps_owners(void **state)
{
    static const char *const touch[] = { "/probe", "touch", "/given/here/new", NULL };
    static const char *const owner[] = { "/probe", "owner", "/given/here",
                                         "/given/here/new", NULL };
    struct fixture *f = *state;
    int inside = box_is_user() ? (int)getuid() : 1000;
    struct box_given given;
    char line[64];
    struct stat st;

    box_given_init(&given, 65536, 16);
    mount_given(f);
    run(f, touch);
    assert_int_equal(fstatat(given.workspace.folder, "new", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, getuid());
    assert_int_equal(st.st_gid, getgid());
    run(f, owner);
    snprintf(line, sizeof line, "/given/here %d %d 755", inside, inside);
    assert_line(f, line);
    snprintf(line, sizeof line, "/given/here/new %d %d 600", inside, inside);
    assert_line(f, line);
    box_given_fini(&given);
}

static void
test_a_given_mount_is_bounded_over_all_its_sandboxes(void **state)
{
    static const char *const first[] = { "/probe", "fill", "/given/here/first", NULL };
    static const char *const second[] = { "/probe", "fill", "/given/here/second", NULL };
    static const char *const files[] = { "/probe", "files", "/given/here", NULL };
    struct fixture *f = *state;
    struct box_given given;

    box_given_init(&given, 65536, 16);
    mount_given(f);
    run(f, first);
    assert_line(f, "ENOSPC 65536");
    run(f, second);
    assert_line(f, "ENOSPC 0");
    run(f, files);
    assert_line(f, "ENOSPC 13"); /* the workspace itself is one of the 16 */
    assert_int_equal(unlinkat(given.workspace.folder, "first", 0), 0);
    f->output.length = 0;
    run(f, second);
    assert_line(f, "ENOSPC 65536");
    box_given_fini(&given);
}

static void
test_a_given_mount_that_was_not_given_fails_by_name(void **state)
{
    struct fixture *f = *state;

    mount_given(f);
    assert_fails(f, "mount /given/here", EBADF);
}

static void
test_the_working_directory_is_made_by_the_runner(void **state)
{
    static const char *const argv[] = { "/probe", "owner", ".", "/given/here/a", NULL };
    struct fixture *f = *state;
    int inside = box_is_user() ? (int)getuid() : 1000;
    struct box_given given;
    char line[64];

    box_given_init(&given, 65536, 16);
    mount_given(f);
    f->box.spec.directory = "/given/here/a/b";
    assert_fails(f, "directory /given/here/a/b", ENOENT);
    f->box.spec.make_directory = true;
    run(f, argv);
    snprintf(line, sizeof line, "/given/here/a %d %d 755", inside, inside);
    assert_line(f, line);
    f->box.spec.directory = "/usr/not/there";
    assert_fails(f, "directory /usr/not/there", EROFS);
    box_given_fini(&given);
}

/* What was open while the runner was confined is in /proc. */
static void
test_the_way_to_the_working_directory_is_no_magic_link(void **state)
{
    static const char *const links[] = { "/proc/self/fd/3", "/proc/self/fd/10",
                                         "/proc/self/root", "/proc/self/cwd" };
    struct fixture *f = *state;
    struct box_given given;

    box_given_init(&given, 65536, 16);
    mount_given(f);
    f->box.spec.directory = "/given/here/a/b";
    f->box.spec.make_directory = true;
    for (size_t i = 0; i < N_ELEMENTS(links); i++) {
        assert_int_equal(symlinkat(links[i], given.workspace.folder, "a"), 0);
        assert_fails(f, "directory /given/here/a/b", ELOOP);
        assert_int_equal(unlinkat(given.workspace.folder, "a", 0), 0);
    }
    box_given_fini(&given);
}

static void
test_read_only_source_cannot_be_written(void **state)
{
    static const char *const argv[] = { "/probe", "fill", "/read-only/file", NULL };
    struct fixture *f = *state;

    mount_at(f, SANDBOX_MOUNT_BIND_RO, "/read-only", f->workspace);
    run(f, argv);
    assert_line(f, "EBADF 0"); /* it was not even opened */
    assert_int_equal(access(f->workspace, F_OK), 0);
}

/* A link that an earlier program left in the workspace leads no mount out of the root. */
static void
test_links_in_the_workspace_do_not_lead_outside(void **state)
{
    static const char *const argv[] = { "/probe", "cat", "/etc/cellwall-test", NULL };
    struct fixture *f = *state;
    char path[128];

    snprintf(path, sizeof path, "%s/evil", f->workspace);
    assert_int_equal(symlink("../../../../../../../etc", path), 0);
    mount_at(f, SANDBOX_MOUNT_FILE, "/etc/other", "x");
    mount_at(f, SANDBOX_MOUNT_FILE, "/box/evil/cellwall-test", "inside");
    run(f, argv);
    assert_line(f, "/etc/cellwall-test:inside");
    assert_int_equal(access("/etc/cellwall-test", F_OK), -1);
}

/* An earlier program could write where the source lies, and left a link in its place. */
static void
test_a_link_is_no_source(void **state)
{
    struct fixture *f = *state;
    char path[128], step[160];

    snprintf(path, sizeof path, "%s/link", f->workspace);
    snprintf(step, sizeof step, "open %s", path);
    assert_int_equal(symlink("/etc", path), 0);
    mount_at(f, SANDBOX_MOUNT_BIND_RO, "/there", path);
    assert_fails(f, step, ELOOP);
}

static void
test_missing_source_fails_by_name(void **state)
{
    struct fixture *f = *state;

    mount_at(f, SANDBOX_MOUNT_BIND_RO, "/there", "/does/not/exist");
    assert_fails(f, "open /does/not/exist", ENOENT);
}

static void
test_target_that_cannot_be_made_fails_by_name(void **state)
{
    struct fixture *f = *state;

    mount_at(f, SANDBOX_MOUNT_TMPFS, "/usr/no/such/place", NULL);
    assert_fails(f, "mount /usr/no/such/place", EROFS);
}

static void
test_root_cannot_be_a_target(void **state)
{
    static const char *const argv[] = { "/probe", NULL };
    struct fixture *f = *state;
    struct box box;

    f->box.spec.argv = argv;
    mount_at(f, SANDBOX_MOUNT_BIND_RO, "/", f->workspace);
    box_start(&box, &f->box.spec);
    assert_int_equal(box.result, -EINVAL);
    assert_non_null(strstr(box.error.text, "target"));
    box_end(&box);
}

static void
test_missing_directory_fails_by_name(void **state)
{
    struct fixture *f = *state;

    f->box.spec.directory = "/nowhere";
    assert_fails(f, "directory /nowhere", ENOENT);
}

/* Files of /proc cannot be shown as somebody else's. */
static void
test_source_that_cannot_keep_owners_fails_as_root(void **state)
{
    struct fixture *f = *state;

    mount_at(f, SANDBOX_MOUNT_BIND_RW, "/odd", "/proc/1");
    if (box_is_user()) {
        static const char *const argv[] = { "/probe", "exit", "0", NULL };

        run(f, argv); /* nothing to keep: there is one id */
        return;
    }
    assert_fails(f, "keep the owner of the files of /proc/1", EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_in_the_root_but_what_was_granted),
        TEST(test_files_links_and_missing_optional_sources),
        TEST(test_directories_made_in_the_runners_home_are_the_runners),
        TEST(test_masks_hide_files_and_directories),
        TEST(test_tmpfs_is_bounded_in_bytes_and_files),
        TEST(test_shared_memory_is_bounded),
        TEST(test_shared_memory_can_have_another_size),
        TEST(test_workspace_files_keep_their_owner),
        TEST(test_workspace_may_lie_where_only_its_owner_can_go),
        TEST(test_a_given_mount_outlives_its_sandboxes_and_keeps_owners),
        TEST(test_a_given_mount_is_bounded_over_all_its_sandboxes),
        TEST(test_a_given_mount_that_was_not_given_fails_by_name),
        TEST(test_the_working_directory_is_made_by_the_runner),
        TEST(test_the_way_to_the_working_directory_is_no_magic_link),
        TEST(test_read_only_source_cannot_be_written),
        TEST(test_links_in_the_workspace_do_not_lead_outside),
        TEST(test_a_link_is_no_source),
        TEST(test_missing_source_fails_by_name),
        TEST(test_target_that_cannot_be_made_fails_by_name),
        TEST(test_root_cannot_be_a_target),
        TEST(test_missing_directory_fails_by_name),
        TEST(test_source_that_cannot_keep_owners_fails_as_root),
    };
    int status = box_become(argc, argv);

    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}

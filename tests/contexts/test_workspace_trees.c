/* SPDX-License-Identifier: MIT */
/* Directories in the server's hands: listed, removed, and changed meanwhile. */
#include "contexts/workspace_files.h"

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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "tests/contexts/become.h"
#include "tests/contexts/hands.h"

static const char *
entry_path(const struct workspace_listing *listing, size_t i)
{
    assert_true(i < listing->count);
    return listing->entries[i].path;
}

static void
test_directories_are_listed(void **state)
{
    struct hands *f = *state;
    struct workspace_listing listing;

    assert_int_equal(hands_make_directory(f, "d/e", true), 0);
    assert_int_equal(hands_put(f, "d/e/file", "12345", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(hands_put(f, "a", "123", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(symlinkat("/etc", f->folder, "link"), 0);
    assert_int_equal(mkfifoat(f->folder, "fifo", 0600), 0);
    assert_int_equal(hands_list(f, "", 1, 0, &listing), 0);
    assert_int_equal(listing.count, 4);
    assert_false(listing.truncated);
    assert_string_equal(entry_path(&listing, 0), "a");
    assert_int_equal(listing.entries[0].file.type, WORKSPACE_FILE_REGULAR);
    assert_int_equal(listing.entries[0].file.bytes, 3);
    assert_string_equal(entry_path(&listing, 1), "d");
    assert_int_equal(listing.entries[1].file.type, WORKSPACE_FILE_DIRECTORY);
    assert_int_equal(listing.entries[1].file.mode, 0755);
    assert_string_equal(entry_path(&listing, 2), "fifo");
    assert_int_equal(listing.entries[2].file.type, WORKSPACE_FILE_OTHER);
    assert_string_equal(entry_path(&listing, 3), "link");
    assert_int_equal(listing.entries[3].file.type, WORKSPACE_FILE_LINK);
    workspace_listing_fini(&listing);

    assert_int_equal(hands_list(f, "", 100, 0, &listing), 0);
    assert_int_equal(listing.count, 6);
    assert_string_equal(entry_path(&listing, 2), "d/e");
    assert_string_equal(entry_path(&listing, 3), "d/e/file");
    workspace_listing_fini(&listing);
    assert_int_equal(hands_list(f, "d", 2, 0, &listing), 0);
    assert_int_equal(listing.count, 2);
    assert_string_equal(entry_path(&listing, 1), "e/file");
    workspace_listing_fini(&listing);

    hands_assert_refused(f, hands_list(f, "a", 1, 0, &listing),
                         WORKSPACE_FILES_E_NOT_DIRECTORY);
    hands_assert_refused(f, hands_list(f, "fifo", 1, 0, &listing),
                         WORKSPACE_FILES_E_NOT_DIRECTORY);
    hands_assert_refused(f, hands_list(f, "nothing", 1, 0, &listing),
                         WORKSPACE_FILES_E_NOT_FOUND);
    assert_true(hands_list(f, "link", 1, 0, &listing) > 0);
}

static void
test_large_listings_are_cut(void **state)
{
    struct hands *f = *state;
    struct workspace_listing listing;
    char name[64];

    assert_int_equal(hands_make_directory(f, "many", false), 0);
    for (int i = 0; i < WORKSPACE_FILES_ENTRIES_MAX; i++) {
        snprintf(name, sizeof name, "many/%d", i);
        assert_int_equal(mknodat(f->folder, name, S_IFREG | 0644, 0), 0);
    }
    assert_int_equal(hands_list(f, "many", 1, 0, &listing), 0);
    assert_int_equal(listing.count, WORKSPACE_FILES_ENTRIES_MAX);
    assert_false(listing.truncated);
    workspace_listing_fini(&listing);
    assert_int_equal(hands_list(f, "", 2, 0, &listing), 0);
    assert_int_equal(listing.count, WORKSPACE_FILES_ENTRIES_MAX);
    assert_true(listing.truncated);
    workspace_listing_fini(&listing);
    assert_int_equal(hands_list(f, "", 9, 5, &listing), 0);
    assert_int_equal(listing.count, 5);
    assert_true(listing.truncated);
    workspace_listing_fini(&listing);
    /* And one call removes so many, and itself. */
    assert_int_equal(mknodat(f->folder, "many/more", S_IFREG | 0644, 0), 0);
    hands_assert_refused(f, hands_remove_all(f, "many"), WORKSPACE_FILES_E_UNFINISHED);
    assert_int_equal(hands_remove_all(f, "many"), 0);
    assert_false(hands_has(f, "many"));
}

/* Bytes, so that whoever makes JSON of them decides. */
static void
test_any_name_is_listed_and_removed(void **state)
{
    static const char *const names[] = { "\n", "\x1b[31m", "\xff\xfe", "-rf", "*" };
    struct hands *f = *state;
    struct workspace_listing listing;

    for (size_t i = 0; i < N_ELEMENTS(names); i++)
        assert_int_equal(hands_put(f, names[i], "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(hands_list(f, "", 1, 0, &listing), 0);
    assert_int_equal(listing.count, N_ELEMENTS(names));
    for (size_t i = 0; i < N_ELEMENTS(names); i++)
        assert_int_equal(hands_remove_one(f, entry_path(&listing, i)), 0);
    workspace_listing_fini(&listing);
    assert_int_equal(hands_list(f, "", 1, 0, &listing), 0);
    assert_int_equal(listing.count, 0);
}

static void
test_files_and_directories_are_removed(void **state)
{
    struct hands *f = *state;

    assert_int_equal(hands_make_directory(f, "d/e/g", true), 0);
    assert_int_equal(hands_put(f, "d/e/file", "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(symlinkat("e", f->folder, "d/link"), 0);
    assert_int_equal(mkfifoat(f->folder, "d/fifo", 0600), 0);
    hands_assert_refused(f, hands_remove_one(f, "d"), WORKSPACE_FILES_E_NOT_EMPTY);
    assert_int_equal(hands_remove_one(f, "d/link"), 0);
    assert_true(hands_has(f, "d/e/file"));
    assert_int_equal(hands_remove_one(f, "d/fifo"), 0);
    assert_int_equal(hands_remove_one(f, "d/e/file"), 0);
    assert_int_equal(hands_remove_one(f, "d/e/g"), 0);
    hands_assert_refused(f, hands_remove_one(f, "d/e/g"), WORKSPACE_FILES_E_NOT_FOUND);
    assert_int_equal(hands_remove_all(f, "d"), 0);
    hands_assert_refused(f, hands_remove_all(f, "d"), WORKSPACE_FILES_E_NOT_FOUND);
    hands_assert_refused(f, hands_remove_all(f, "."), WORKSPACE_FILES_E_INVALID);
    hands_assert_refused(f, hands_remove_all(f, "/workspace/"),
                         WORKSPACE_FILES_E_INVALID);
}

/* Links in a removed directory, to one that must stay. */
static void
test_removal_does_not_follow_links(void **state)
{
    struct hands *f = *state;

    assert_int_equal(hands_make_directory(f, "keep", false), 0);
    assert_int_equal(hands_put(f, "keep/file", "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(hands_make_directory(f, "d", false), 0);
    assert_int_equal(symlinkat("../keep", f->folder, "d/link"), 0);
    assert_int_equal(symlinkat("keep", f->folder, "top"), 0);
    assert_int_equal(hands_remove_all(f, "d"), 0);
    assert_int_equal(hands_remove_all(f, "top"), 0);
    hands_assert_content(f, "keep/file", "x");
}

/* Deeper than any path can be, and locked on the way. */
static void
test_very_deep_directories_are_removed(void **state)
{
    struct hands *f = *state;
    int at = fcntl(f->folder, F_DUPFD_CLOEXEC, 0);
    struct workspace_listing listing;

    for (int i = 0; i < 5000; i++) {
        int next;

        assert_int_equal(mkdirat(at, "d", 0755), 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        if (i % 100 == 99)
            assert_int_equal(fchmod(at, 0555), 0);
        close(at);
        at = next;
    }
    close(at);
    assert_int_equal(hands_list(f, "", 1000, 0, &listing), 0);
    assert_int_equal(listing.count, WORKSPACE_FILES_DEPTH_MAX);
    workspace_listing_fini(&listing);
    assert_int_equal(hands_remove_all(f, "d"), 0);
    assert_false(hands_has(f, "d"));
}

/* A directory "d" with a file "f", or a link to a directory outside with such a file; the
 * two change places without end. */
static pid_t
start_swapper(const struct hands *f, const char *outside)
{
    pid_t pid;

    assert_int_equal(mkdirat(f->folder, "d", 0755), 0);
    assert_int_equal(mkdirat(f->folder, "d/sub", 0755), 0);
    assert_int_equal(symlinkat(outside, f->folder, "e"), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            syscall(SYS_renameat2, f->folder, "d", f->folder, "e", 2 /* EXCHANGE */);
    }
    assert_true(pid > 0);
    return pid;
}

static void
make_outside(char ret[64])
{
    char path[80];
    int fd;

    strcpy(ret, "/tmp/cellwall-test-XXXXXX");
    assert_non_null(mkdtemp(ret));
    snprintf(path, sizeof path, "%s/f", ret);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "outside", 7), 7);
    close(fd);
    snprintf(path, sizeof path, "%s/sub", ret);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void
check_and_remove_outside(const char *outside)
{
    static const char *const names[] = { "new", "made", "f", "sub" };
    char path[80], text[16];
    struct stat st;
    int fd;

    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", outside, names[i]);
        assert_int_equal(lstat(path, &st), -1);
    }
    snprintf(path, sizeof path, "%s/sub", outside);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/f", outside);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof text), 7);
    assert_memory_equal(text, "outside", 7);
    close(fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(outside), 0);
}

/* One of each, whatever comes of it; but it is never our own failure. */
static void
do_everything(struct hands *f)
{
    struct workspace_write wish = { .path = slice_text("d/f"),
                                    .bytes = slice_text("inside"),
                                    .make_parents = true };
    struct workspace_listing listing;
    struct buffer bytes;

    assert_true(workspace_files_write(f->folder, &wish, NULL, hands_fresh(f)) >= 0);
    wish.path = slice_text("d/new");
    wish.how = WORKSPACE_WRITE_NEW;
    assert_true(workspace_files_write(f->folder, &wish, NULL, hands_fresh(f)) >= 0);
    buffer_init(&bytes, 100);
    if (workspace_files_read(f->folder, slice_text("d/f"), 0, 100, &bytes, NULL,
                             hands_fresh(f)) == 0)
        assert_int_not_equal(bytes.length, 7);
    buffer_fini(&bytes);
    if (hands_list(f, "", 3, 0, &listing) == 0)
        workspace_listing_fini(&listing);
    assert_true(hands_make_directory(f, "d/made", true) >= 0);
    assert_true(hands_remove_all(f, "d/made") >= 0);
    assert_true(hands_remove_one(f, "d/new") >= 0);
}

static void
test_directories_and_links_that_change_places_lead_nobody_out(void **state)
{
    struct hands *f = *state;
    char outside[64];
    pid_t swapper;

    make_outside(outside);
    swapper = start_swapper(f, outside);
    for (int i = 0; i < HANDS_RACES; i++)
        do_everything(f);
    hands_stop(swapper);
    check_and_remove_outside(outside);
}

static void
test_removal_while_links_change_places_stays_inside(void **state)
{
    struct hands *f = *state;
    char outside[64];
    pid_t swapper;

    make_outside(outside);
    assert_int_equal(mkdirat(f->folder, "top", 0755), 0);
    for (int i = 0; i < 20; i++) {
        struct hands below = *f;

        assert_true(hands_make_directory(f, "top", true) == 0);
        below.folder = openat(f->folder, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(below.folder >= 0);
        swapper = start_swapper(&below, outside);
        for (int j = 0; j < 50; j++) {
            assert_true(hands_put(f, "top/d/sub/x", "x", WORKSPACE_WRITE_REPLACE) >= 0);
            assert_int_equal(fchmodat(f->folder, "top", 0500, 0) == 0 || errno == ENOENT,
                             1);
            assert_true(hands_remove_all(f, "top") >= 0);
        }
        hands_stop(swapper);
        close(below.folder);
        assert_int_equal(hands_has(f, "top") ? hands_remove_all(f, "top") : 0, 0);
    }
    check_and_remove_outside(outside);
}

int
main(int argc, char **argv)
{
#define TEST(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, hands_setup, hands_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_directories_are_listed),
        TEST(test_large_listings_are_cut),
        TEST(test_any_name_is_listed_and_removed),
        TEST(test_files_and_directories_are_removed),
        TEST(test_removal_does_not_follow_links),
        TEST(test_very_deep_directories_are_removed),
        TEST(test_directories_and_links_that_change_places_lead_nobody_out),
        TEST(test_removal_while_links_change_places_stays_inside),
    };
    int r = become_who(argc, argv);

    return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The server's hands in a workspace: a real one, kept by a real keeper. */
#include "contexts/workspace_files.h"

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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "tests/contexts/become.h"
#include "tests/contexts/hands.h"

static void
test_files_are_written_and_read(void **state)
{
    struct hands *f = *state;
    struct workspace_write wish = { .path = slice_text("a"),
                                    .bytes = slice_text("hello") };
    struct workspace_file file;
    struct stat st;

    assert_int_equal(workspace_files_write(f->folder, &wish, &file, hands_fresh(f)), 0);
    assert_int_equal(file.bytes, 5);
    assert_int_equal(file.type, WORKSPACE_FILE_REGULAR);
    assert_int_equal(file.mode, 0644);
    assert_true(file.modified_ms > INT64_C(1600000000000));
    hands_assert_content(f, "a", "hello");
    hands_assert_content(f, "/workspace/./a", "hello");
    assert_int_equal(hands_put(f, "a", "bye", WORKSPACE_WRITE_REPLACE), 0);
    hands_assert_content(f, "a", "bye");
    assert_int_equal(hands_put(f, "a", "!", WORKSPACE_WRITE_APPEND), 0);
    hands_assert_content(f, "a", "bye!");
    assert_int_equal(hands_put(f, "a", "", WORKSPACE_WRITE_REPLACE), 0);
    hands_assert_content(f, "a", "");
    wish.how = WORKSPACE_WRITE_AT;
    wish.offset = 2;
    assert_int_equal(workspace_files_write(f->folder, &wish, &file, hands_fresh(f)), 0);
    assert_int_equal(file.bytes, 7);
    assert_int_equal(fstatat(f->folder, "a", &st, 0), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(hands_put(f, "b", "new", WORKSPACE_WRITE_NEW), 0);
    hands_assert_refused(f, hands_put(f, "b", "x", WORKSPACE_WRITE_NEW),
                         WORKSPACE_FILES_E_EXISTS);
    hands_assert_content(f, "b", "new");
}

static void
test_parts_of_files_are_read(void **state)
{
    static const struct {
        uint64_t offset, length;
        const char *expected;
    } rows[] = { { 0, 3, "012" }, { 4, 3, "456" }, { 8, 100, "89" },     { 10, 1, "" },
                 { 11, 100, "" }, { 0, 0, "" },    { UINT64_MAX, 5, "" } };
    struct hands *f = *state;

    assert_int_equal(hands_put(f, "a", "0123456789", WORKSPACE_WRITE_NEW), 0);
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct workspace_file file;
        struct buffer bytes;

        buffer_init(&bytes, 100);
        assert_int_equal(workspace_files_read(f->folder, slice_text("a"), rows[i].offset,
                                              rows[i].length, &bytes, &file,
                                              hands_fresh(f)),
                         0);
        assert_int_equal(bytes.length, strlen(rows[i].expected));
        if (bytes.length > 0)
            assert_memory_equal(bytes.data, rows[i].expected, bytes.length);
        assert_int_equal(file.bytes, 10);
        buffer_fini(&bytes);
    }
}

static void
test_more_than_one_call_may_read_is_refused(void **state)
{
    struct hands *f = *state;
    struct buffer bytes;

    assert_int_equal(hands_put(f, "a", "0123456789", WORKSPACE_WRITE_NEW), 0);
    buffer_init(&bytes, 5);
    hands_assert_refused(f,
                         workspace_files_read(f->folder, slice_text("a"), 0,
                                              WORKSPACE_FILES_READ_BYTES_MAX + 1, &bytes,
                                              NULL, hands_fresh(f)),
                         WORKSPACE_FILES_E_TOO_LARGE);
    hands_assert_refused(f,
                         workspace_files_read(f->folder, slice_text("a"), 0, 6, &bytes,
                                              NULL, hands_fresh(f)),
                         WORKSPACE_FILES_E_TOO_LARGE);
    assert_int_equal(bytes.length, 0);
    buffer_fini(&bytes);
}

static void
test_a_huge_sparse_file_is_read_in_parts(void **state)
{
    struct hands *f = *state;
    struct workspace_write wish = { .path = slice_text("a"),
                                    .bytes = slice_text("end"),
                                    .how = WORKSPACE_WRITE_AT,
                                    .offset = UINT64_C(1) << 40 };
    struct workspace_file file;
    struct buffer bytes;

    assert_int_equal(workspace_files_write(f->folder, &wish, &file, hands_fresh(f)), 0);
    assert_int_equal(file.bytes, (UINT64_C(1) << 40) + 3);
    buffer_init(&bytes, WORKSPACE_FILES_READ_BYTES_MAX);
    assert_int_equal(workspace_files_read(f->folder, wish.path, 0,
                                          WORKSPACE_FILES_READ_BYTES_MAX, &bytes, &file,
                                          hands_fresh(f)),
                     0);
    assert_int_equal(bytes.length, WORKSPACE_FILES_READ_BYTES_MAX);
    assert_int_equal(bytes.data[12345], 0);
    buffer_clear(&bytes, 0);
    assert_int_equal(
        workspace_files_read(f->folder, wish.path, wish.offset, 10, &bytes, &file, NULL),
        0);
    assert_int_equal(bytes.length, 3);
    buffer_fini(&bytes);
    wish.offset = (uint64_t)INT64_MAX - 1;
    hands_assert_refused(f, workspace_files_write(f->folder, &wish, NULL, hands_fresh(f)),
                         WORKSPACE_FILES_E_TOO_LARGE);
    wish.offset = UINT64_MAX;
    hands_assert_refused(f, workspace_files_write(f->folder, &wish, NULL, hands_fresh(f)),
                         WORKSPACE_FILES_E_TOO_LARGE);
}

static void
test_paths_out_of_the_workspace_are_refused(void **state)
{
    char deep[200] = "", part[300], longest[5000];
    const struct {
        const char *text;
        size_t length;
    } rows[] = { { "..", 2 },      { "a/../b", 6 },         { "/etc/passwd", 11 },
                 { "/", 1 },       { "/workspaces/a", 13 }, { "/workspace/../a", 15 },
                 { "a\0b", 3 },    { deep, 65 * 2 },        { part, 256 },
                 { longest, 4096 } };
    struct hands *f = *state;

    for (int i = 0; i < 65; i++)
        strcat(deep, "a/");
    memset(part, 'a', sizeof part);
    memset(longest, '/', sizeof longest);
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct workspace_write wish = { .path = { (const uint8_t *)rows[i].text,
                                                  rows[i].length },
                                        .make_parents = true };
        struct workspace_file file;

        hands_assert_refused(
            f, workspace_files_write(f->folder, &wish, NULL, hands_fresh(f)),
            WORKSPACE_FILES_E_INVALID);
        hands_assert_refused(
            f, workspace_files_look(f->folder, wish.path, &file, hands_fresh(f)),
            WORKSPACE_FILES_E_INVALID);
        hands_assert_refused(
            f, workspace_files_remove(f->folder, wish.path, true, hands_fresh(f)),
            WORKSPACE_FILES_E_INVALID);
        hands_assert_refused(
            f, workspace_files_make_directory(f->folder, wish.path, true, hands_fresh(f)),
            WORKSPACE_FILES_E_INVALID);
    }
    assert_int_equal(hands_put(f, "...", "dots", WORKSPACE_WRITE_NEW), 0);
    hands_assert_content(f, ".//...", "dots");
}

static void
test_parents_are_made_on_wish(void **state)
{
    struct hands *f = *state;
    const struct workspace_write wish = { .path = slice_text("/workspace/a/b//c/file"),
                                          .bytes = slice_text("deep"),
                                          .make_parents = true };

    hands_assert_refused(f, hands_put(f, "a/b/c/file", "x", WORKSPACE_WRITE_NEW),
                         WORKSPACE_FILES_E_NOT_FOUND);
    assert_int_equal(workspace_files_write(f->folder, &wish, NULL, hands_fresh(f)), 0);
    hands_assert_content(f, "a/b/c/file", "deep");
    hands_assert_refused(f, hands_make_directory(f, "x/y", false),
                         WORKSPACE_FILES_E_NOT_FOUND);
    assert_int_equal(hands_make_directory(f, "x/y", true), 0);
    assert_int_equal(hands_make_directory(f, "x/y", true), 0);
    hands_assert_refused(f, hands_make_directory(f, "x/y", false),
                         WORKSPACE_FILES_E_EXISTS);
    hands_assert_refused(f, hands_make_directory(f, "a/b/c/file", true),
                         WORKSPACE_FILES_E_EXISTS);
    hands_assert_refused(f, hands_make_directory(f, "a/b/c/file/d", true),
                         WORKSPACE_FILES_E_NOT_DIRECTORY);
    assert_int_equal(hands_make_directory(f, ".", true), 0);
    hands_assert_refused(f, hands_make_directory(f, "", false), WORKSPACE_FILES_E_EXISTS);
}

static void
assert_mode(struct hands *f, const char *path, unsigned mode)
{
    struct workspace_file file;

    assert_int_equal(
        workspace_files_look(f->folder, slice_text(path), &file, hands_fresh(f)), 0);
    assert_int_equal(file.mode, mode);
}

static void
test_modes_are_not_a_matter_of_the_umask(void **state)
{
    struct hands *f = *state;
    const struct workspace_write wish = { .path = slice_text("made/on/the/way"),
                                          .bytes = slice_text("x"),
                                          .make_parents = true };
    mode_t before = umask(0077);

    assert_int_equal(hands_put(f, "file", "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(hands_make_directory(f, "directory", false), 0);
    assert_int_equal(workspace_files_write(f->folder, &wish, NULL, hands_fresh(f)), 0);
    assert_int_equal(umask(before), 0077);
    assert_mode(f, "file", 0644);
    assert_mode(f, "directory", 0755);
    assert_mode(f, "made/on", 0755);
    assert_mode(f, "made/on/the/way", 0644);
    assert_int_equal(fchmodat(f->folder, "file", 0600, 0), 0); /* and stays so */
    assert_int_equal(hands_put(f, "file", "y", WORKSPACE_WRITE_REPLACE), 0);
    assert_mode(f, "file", 0600);
}

static void
test_what_is_no_file_is_told(void **state)
{
    struct hands *f = *state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(listener >= 0);
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/socket",
             f->folder);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(mkfifoat(f->folder, "fifo", 0666), 0);
    assert_int_equal(mkdirat(f->folder, "directory", 0755), 0);
    assert_int_equal(symlinkat("directory", f->folder, "link"), 0);
    assert_int_equal(symlinkat("/etc/passwd", f->folder, "out"), 0);
    hands_assert_refused(f, hands_read(f, "fifo"), WORKSPACE_FILES_E_NOT_FILE);
    hands_assert_refused(f, hands_put(f, "fifo", "x", WORKSPACE_WRITE_APPEND),
                         WORKSPACE_FILES_E_NOT_FILE);
    hands_assert_refused(f, hands_read(f, "socket"), WORKSPACE_FILES_E_NOT_FILE);
    hands_assert_refused(f, hands_put(f, "socket", "x", WORKSPACE_WRITE_REPLACE),
                         WORKSPACE_FILES_E_NOT_FILE);
    hands_assert_refused(f, hands_read(f, "directory"), WORKSPACE_FILES_E_IS_DIRECTORY);
    hands_assert_refused(f, hands_put(f, "directory", "x", WORKSPACE_WRITE_REPLACE),
                         WORKSPACE_FILES_E_IS_DIRECTORY);
    hands_assert_refused(f, hands_put(f, "", "x", WORKSPACE_WRITE_REPLACE),
                         WORKSPACE_FILES_E_IS_DIRECTORY);
    hands_assert_refused(f, hands_read(f, "out"), WORKSPACE_FILES_E_NOT_FILE);
    hands_assert_refused(f, hands_put(f, "out", "x", WORKSPACE_WRITE_REPLACE),
                         WORKSPACE_FILES_E_NOT_FILE);
    hands_assert_refused(f, hands_put(f, "link/file", "x", WORKSPACE_WRITE_NEW),
                         WORKSPACE_FILES_E_NOT_FILE);
    hands_assert_refused(f, hands_read(f, "nothing"), WORKSPACE_FILES_E_NOT_FOUND);
    close(listener);
}

/* A FIFO that somebody reads can be opened, and must not be written to. */
static void
test_a_fifo_with_a_reader_gets_nothing(void **state)
{
    struct hands *f = *state;
    char byte;
    int reader;

    assert_int_equal(mkfifoat(f->folder, "fifo", 0666), 0);
    reader = openat(f->folder, "fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    hands_assert_refused(f, hands_put(f, "fifo", "secret", WORKSPACE_WRITE_REPLACE),
                         WORKSPACE_FILES_E_NOT_FILE);
    assert_int_equal(read(reader, &byte, 1), 0);
    close(reader);
}

static void
test_a_leased_file_is_not_waited_for(void **state)
{
    struct hands *f = *state;
    int fd;

    assert_int_equal(hands_put(f, "a", "x", WORKSPACE_WRITE_NEW), 0);
    signal(SIGIO, SIG_IGN); /* it tells the holder */
    fd = openat(f->folder, "a", O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    hands_assert_refused(f, hands_read(f, "a"), WORKSPACE_FILES_E_DENIED);
    close(fd);
    hands_assert_content(f, "a", "x");
}

static void
test_full_workspaces_are_told(void **state)
{
    struct hands *f = *state;
    char *large = malloc(HANDS_BYTES + 2);
    char name[32];
    int r = 0;

    assert_non_null(large);
    memset(large, 'x', HANDS_BYTES + 1);
    large[HANDS_BYTES + 1] = '\0';
    hands_assert_refused(f, hands_put(f, "a", large, WORKSPACE_WRITE_NEW),
                         WORKSPACE_FILES_E_NO_SPACE);
    assert_int_equal(hands_remove_one(f, "a"), 0);
    large[HANDS_BYTES / 2] = '\0';
    assert_int_equal(hands_put(f, "a", large, WORKSPACE_WRITE_NEW), 0);
    free(large);
    for (int i = 0; i <= HANDS_INODES && r == 0; i++) {
        snprintf(name, sizeof name, "%d", i);
        r = hands_put(f, name, "", WORKSPACE_WRITE_NEW);
    }
    assert_int_equal(r, WORKSPACE_FILES_E_NO_SPACE);
    hands_assert_refused(f, hands_make_directory(f, "d", false),
                         WORKSPACE_FILES_E_NO_SPACE);
}

static void
test_what_modes_forbid_works_or_is_told(void **state)
{
    struct hands *f = *state;
    int expected = geteuid() == 0 ? 0 : WORKSPACE_FILES_E_DENIED;

    assert_int_equal(hands_make_directory(f, "d/sub", true), 0);
    assert_int_equal(hands_put(f, "a", "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(hands_put(f, "d/sub/b", "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(fchmodat(f->folder, "a", 0, 0), 0);
    assert_int_equal(fchmodat(f->folder, "d", 0, 0), 0);
    assert_int_equal(hands_read(f, "a"), expected);
    assert_int_equal(hands_read(f, "d/sub/b"), expected);
    assert_int_equal(hands_put(f, "a", "x", WORKSPACE_WRITE_APPEND), expected);
    assert_int_equal(hands_remove_one(f, "d/sub/b"), expected);
    assert_int_equal(hands_remove_all(f, "d"), 0); /* all the same */
    assert_int_equal(hands_remove_one(f, "a"), 0);
}

static void
test_what_is_there_is_told(void **state)
{
    struct hands *f = *state;
    struct workspace_file file;

    assert_int_equal(hands_put(f, "a", "123", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(symlinkat("a", f->folder, "link"), 0);
    assert_int_equal(workspace_files_look(f->folder, slice_text("a"), &file, NULL), 0);
    assert_int_equal(file.bytes, 3);
    assert_int_equal(workspace_files_look(f->folder, slice_text("link"), &file, NULL), 0);
    assert_int_equal(file.type, WORKSPACE_FILE_LINK);
    assert_int_equal(workspace_files_look(f->folder, slice_text(""), &file, NULL), 0);
    assert_int_equal(file.type, WORKSPACE_FILE_DIRECTORY);
    hands_assert_refused(
        f, workspace_files_look(f->folder, slice_text("b"), &file, hands_fresh(f)),
        WORKSPACE_FILES_E_NOT_FOUND);
}

static void
test_results_have_names(void **state)
{
    (void)state;
    for (int e = WORKSPACE_FILES_E_INVALID; e <= WORKSPACE_FILES_E_UNFINISHED; e++)
        assert_string_not_equal(workspace_files_result_name(e), "unknown");
    assert_string_equal(workspace_files_result_name(WORKSPACE_FILES_E_NO_SPACE),
                        "no_space");
    assert_string_equal(workspace_files_result_name(0), "unknown");
    assert_string_equal(workspace_files_result_name(1000), "unknown");
}

/* Truncated, and replaced, under the reader. */
static void
test_a_file_that_shrinks_is_read_as_far_as_it_goes(void **state)
{
    struct hands *f = *state;
    struct buffer bytes;
    pid_t pid;

    assert_int_equal(hands_put(f, "a", "x", WORKSPACE_WRITE_NEW), 0);
    pid = fork();
    if (pid == 0) {
        int fd = openat(f->folder, "a", O_RDWR | O_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            if (ftruncate(fd, 1 << 20) < 0 || ftruncate(fd, 1) < 0)
                _exit(1);
    }
    buffer_init(&bytes, (size_t)1 << 21);
    for (int i = 0; i < HANDS_RACES / 3; i++) {
        assert_int_equal(workspace_files_read(f->folder, slice_text("a"), 0, 1 << 21,
                                              &bytes, NULL, hands_fresh(f)),
                         0);
        assert_true(bytes.length >= 1 && bytes.length <= 1 << 20);
        buffer_clear(&bytes, 1 << 21);
    }
    buffer_fini(&bytes);
    hands_stop(pid);
}

int
main(int argc, char **argv)
{
#define TEST(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, hands_setup, hands_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_files_are_written_and_read),
        TEST(test_parts_of_files_are_read),
        TEST(test_more_than_one_call_may_read_is_refused),
        TEST(test_a_huge_sparse_file_is_read_in_parts),
        TEST(test_paths_out_of_the_workspace_are_refused),
        TEST(test_parents_are_made_on_wish),
        TEST(test_modes_are_not_a_matter_of_the_umask),
        TEST(test_what_is_no_file_is_told),
        TEST(test_a_fifo_with_a_reader_gets_nothing),
        TEST(test_a_leased_file_is_not_waited_for),
        TEST(test_full_workspaces_are_told),
        TEST(test_what_modes_forbid_works_or_is_told),
        TEST(test_what_is_there_is_told),
        cmocka_unit_test(test_results_have_names),
        TEST(test_a_file_that_shrinks_is_read_as_far_as_it_goes),
    };
    int r = become_who(argc, argv);

    return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}

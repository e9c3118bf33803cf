/* SPDX-License-Identifier: MIT */
/* The server's hands in a workspace: a real one, kept by a real keeper. */
#include "contexts/workspace_files.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/sandbox/keeper.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define ORDINARY_ID 1000
#define SKIPPED 77
#define WATCHDOG_S 100
#define BYTES ((uint64_t)4 * 1024 * 1024)
#define INODES 12000
#define RACES 3000

struct fixture {
    struct keeper keeper;
    struct keeper_workspace workspace;
    int folder; /* the workspace's */
    struct error err;
};

static int
setup(void **state)
{
    static const struct keeper_wish wish = { 1, BYTES, INODES };
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    alarm(WATCHDOG_S);
    f->keeper = (struct keeper)KEEPER_NONE;
    if (keeper_make(&f->keeper, &wish, &f->workspace, &f->err) != 0)
        fail_msg("%s", f->err.text);
    f->folder = f->workspace.folder;
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    close(f->workspace.folder);
    close(f->workspace.lease);
    keeper_fini(&f->keeper);
    while (waitpid(-1, NULL, 0) < 0 && errno == EINTR)
        continue;
    free(f);
    alarm(0);
    return 0;
}

/* Forgets the last error. */
static struct error *
fresh(struct fixture *f)
{
    f->err = (struct error){ 0 };
    return &f->err;
}

static int
put(struct fixture *f, const char *path, const char *text, enum workspace_write_how how)
{
    const struct workspace_write wish = { .path = slice_text(path),
                                          .bytes = slice_text(text),
                                          .how = how };

    return workspace_files_write(f->folder, &wish, NULL, fresh(f));
}

static void
assert_content(struct fixture *f, const char *path, const char *expected)
{
    struct workspace_file file;
    struct buffer bytes;

    buffer_init(&bytes, WORKSPACE_FILES_READ_BYTES_MAX);
    if (workspace_files_read(f->folder, slice_text(path), 0,
                             WORKSPACE_FILES_READ_BYTES_MAX, &bytes, &file,
                             fresh(f)) != 0)
        fail_msg("%s", f->err.text);
    assert_int_equal(bytes.length, strlen(expected));
    if (bytes.length > 0)
        assert_memory_equal(bytes.data, expected, bytes.length);
    assert_int_equal(file.bytes, bytes.length);
    assert_int_equal(file.type, WORKSPACE_FILE_REGULAR);
    buffer_fini(&bytes);
}

static int
read_result(struct fixture *f, const char *path)
{
    struct buffer bytes;
    int r;

    buffer_init(&bytes, WORKSPACE_FILES_READ_BYTES_MAX);
    r = workspace_files_read(f->folder, slice_text(path), 0, 100, &bytes, NULL, fresh(f));
    assert_int_equal(bytes.length == 0, r != 0 || bytes.length == 0);
    buffer_fini(&bytes);
    return r;
}

static int
remove_all(struct fixture *f, const char *path)
{
    return workspace_files_remove(f->folder, slice_text(path), true, fresh(f));
}

static int
remove_one(struct fixture *f, const char *path)
{
    return workspace_files_remove(f->folder, slice_text(path), false, fresh(f));
}

static int
make_directory(struct fixture *f, const char *path, bool parents)
{
    return workspace_files_make_directory(f->folder, slice_text(path), parents, fresh(f));
}

static int
list(struct fixture *f, const char *path, unsigned depth, size_t max,
     struct workspace_listing *ret)
{
    const struct workspace_list wish = { .path = slice_text(path),
                                         .depth = depth,
                                         .entries_max = max };

    return workspace_files_list(f->folder, &wish, ret, fresh(f));
}

static bool
is_there(const struct fixture *f, const char *path)
{
    struct stat st;

    return fstatat(f->folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A positive result, with its sentence. */
#define assert_refused(f, call, expected)                                                \
    do {                                                                                 \
        assert_int_equal(call, expected);                                                \
        assert_int_equal((f)->err.code, expected);                                       \
        assert_string_not_equal((f)->err.text, "");                                      \
    } while (0)

static void
test_files_are_written_and_read(void **state)
{
    struct fixture *f = *state;
    struct workspace_write wish = { .path = slice_text("a"),
                                    .bytes = slice_text("hello") };
    struct workspace_file file;
    struct stat st;

    assert_int_equal(workspace_files_write(f->folder, &wish, &file, fresh(f)), 0);
    assert_int_equal(file.bytes, 5);
    assert_int_equal(file.type, WORKSPACE_FILE_REGULAR);
    assert_int_equal(file.mode, 0644);
    assert_true(file.modified_ms > INT64_C(1600000000000));
    assert_content(f, "a", "hello");
    assert_content(f, "/workspace/./a", "hello");
    assert_int_equal(put(f, "a", "bye", WORKSPACE_WRITE_REPLACE), 0);
    assert_content(f, "a", "bye");
    assert_int_equal(put(f, "a", "!", WORKSPACE_WRITE_APPEND), 0);
    assert_content(f, "a", "bye!");
    assert_int_equal(put(f, "a", "", WORKSPACE_WRITE_REPLACE), 0);
    assert_content(f, "a", "");
    wish.how = WORKSPACE_WRITE_AT;
    wish.offset = 2;
    assert_int_equal(workspace_files_write(f->folder, &wish, &file, fresh(f)), 0);
    assert_int_equal(file.bytes, 7);
    assert_int_equal(fstatat(f->folder, "a", &st, 0), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(put(f, "b", "new", WORKSPACE_WRITE_NEW), 0);
    assert_refused(f, put(f, "b", "x", WORKSPACE_WRITE_NEW), WORKSPACE_FILES_E_EXISTS);
    assert_content(f, "b", "new");
}

static void
test_parts_of_files_are_read(void **state)
{
    static const struct {
        uint64_t offset, length;
        const char *expected;
    } rows[] = { { 0, 3, "012" }, { 4, 3, "456" }, { 8, 100, "89" },     { 10, 1, "" },
                 { 11, 100, "" }, { 0, 0, "" },    { UINT64_MAX, 5, "" } };
    struct fixture *f = *state;

    assert_int_equal(put(f, "a", "0123456789", WORKSPACE_WRITE_NEW), 0);
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct workspace_file file;
        struct buffer bytes;

        buffer_init(&bytes, 100);
        assert_int_equal(workspace_files_read(f->folder, slice_text("a"), rows[i].offset,
                                              rows[i].length, &bytes, &file, fresh(f)),
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
    struct fixture *f = *state;
    struct buffer bytes;

    assert_int_equal(put(f, "a", "0123456789", WORKSPACE_WRITE_NEW), 0);
    buffer_init(&bytes, 5);
    assert_refused(f,
                   workspace_files_read(f->folder, slice_text("a"), 0,
                                        WORKSPACE_FILES_READ_BYTES_MAX + 1, &bytes, NULL,
                                        fresh(f)),
                   WORKSPACE_FILES_E_TOO_LARGE);
    assert_refused(
        f, workspace_files_read(f->folder, slice_text("a"), 0, 6, &bytes, NULL, fresh(f)),
        WORKSPACE_FILES_E_TOO_LARGE);
    assert_int_equal(bytes.length, 0);
    buffer_fini(&bytes);
}

static void
test_a_huge_sparse_file_is_read_in_parts(void **state)
{
    struct fixture *f = *state;
    struct workspace_write wish = { .path = slice_text("a"),
                                    .bytes = slice_text("end"),
                                    .how = WORKSPACE_WRITE_AT,
                                    .offset = UINT64_C(1) << 40 };
    struct workspace_file file;
    struct buffer bytes;

    assert_int_equal(workspace_files_write(f->folder, &wish, &file, fresh(f)), 0);
    assert_int_equal(file.bytes, (UINT64_C(1) << 40) + 3);
    buffer_init(&bytes, WORKSPACE_FILES_READ_BYTES_MAX);
    assert_int_equal(workspace_files_read(f->folder, wish.path, 0,
                                          WORKSPACE_FILES_READ_BYTES_MAX, &bytes, &file,
                                          fresh(f)),
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
    assert_refused(f, workspace_files_write(f->folder, &wish, NULL, fresh(f)),
                   WORKSPACE_FILES_E_TOO_LARGE);
    wish.offset = UINT64_MAX;
    assert_refused(f, workspace_files_write(f->folder, &wish, NULL, fresh(f)),
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
    struct fixture *f = *state;

    for (int i = 0; i < 65; i++)
        strcat(deep, "a/");
    memset(part, 'a', sizeof part);
    memset(longest, '/', sizeof longest);
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct workspace_write wish = { .path = { (const uint8_t *)rows[i].text,
                                                  rows[i].length },
                                        .make_parents = true };
        struct workspace_file file;

        assert_refused(f, workspace_files_write(f->folder, &wish, NULL, fresh(f)),
                       WORKSPACE_FILES_E_INVALID);
        assert_refused(f, workspace_files_look(f->folder, wish.path, &file, fresh(f)),
                       WORKSPACE_FILES_E_INVALID);
        assert_refused(f, workspace_files_remove(f->folder, wish.path, true, fresh(f)),
                       WORKSPACE_FILES_E_INVALID);
        assert_refused(
            f, workspace_files_make_directory(f->folder, wish.path, true, fresh(f)),
            WORKSPACE_FILES_E_INVALID);
    }
    assert_int_equal(put(f, "...", "dots", WORKSPACE_WRITE_NEW), 0);
    assert_content(f, ".//...", "dots");
}

static void
test_parents_are_made_on_wish(void **state)
{
    struct fixture *f = *state;
    const struct workspace_write wish = { .path = slice_text("/workspace/a/b//c/file"),
                                          .bytes = slice_text("deep"),
                                          .make_parents = true };

    assert_refused(f, put(f, "a/b/c/file", "x", WORKSPACE_WRITE_NEW),
                   WORKSPACE_FILES_E_NOT_FOUND);
    assert_int_equal(workspace_files_write(f->folder, &wish, NULL, fresh(f)), 0);
    assert_content(f, "a/b/c/file", "deep");
    assert_refused(f, make_directory(f, "x/y", false), WORKSPACE_FILES_E_NOT_FOUND);
    assert_int_equal(make_directory(f, "x/y", true), 0);
    assert_int_equal(make_directory(f, "x/y", true), 0);
    assert_refused(f, make_directory(f, "x/y", false), WORKSPACE_FILES_E_EXISTS);
    assert_refused(f, make_directory(f, "a/b/c/file", true), WORKSPACE_FILES_E_EXISTS);
    assert_refused(f, make_directory(f, "a/b/c/file/d", true),
                   WORKSPACE_FILES_E_NOT_DIRECTORY);
    assert_int_equal(make_directory(f, ".", true), 0);
    assert_refused(f, make_directory(f, "", false), WORKSPACE_FILES_E_EXISTS);
}

static void
test_what_is_no_file_is_told(void **state)
{
    struct fixture *f = *state;
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
    assert_refused(f, read_result(f, "fifo"), WORKSPACE_FILES_E_NOT_FILE);
    assert_refused(f, put(f, "fifo", "x", WORKSPACE_WRITE_APPEND),
                   WORKSPACE_FILES_E_NOT_FILE);
    assert_refused(f, read_result(f, "socket"), WORKSPACE_FILES_E_NOT_FILE);
    assert_refused(f, put(f, "socket", "x", WORKSPACE_WRITE_REPLACE),
                   WORKSPACE_FILES_E_NOT_FILE);
    assert_refused(f, read_result(f, "directory"), WORKSPACE_FILES_E_IS_DIRECTORY);
    assert_refused(f, put(f, "directory", "x", WORKSPACE_WRITE_REPLACE),
                   WORKSPACE_FILES_E_IS_DIRECTORY);
    assert_refused(f, put(f, "", "x", WORKSPACE_WRITE_REPLACE),
                   WORKSPACE_FILES_E_IS_DIRECTORY);
    assert_refused(f, read_result(f, "out"), WORKSPACE_FILES_E_NOT_FILE);
    assert_refused(f, put(f, "out", "x", WORKSPACE_WRITE_REPLACE),
                   WORKSPACE_FILES_E_NOT_FILE);
    assert_refused(f, put(f, "link/file", "x", WORKSPACE_WRITE_NEW),
                   WORKSPACE_FILES_E_NOT_FILE);
    assert_refused(f, read_result(f, "nothing"), WORKSPACE_FILES_E_NOT_FOUND);
    close(listener);
}

/* A FIFO that somebody reads can be opened, and must not be written to. */
static void
test_a_fifo_with_a_reader_gets_nothing(void **state)
{
    struct fixture *f = *state;
    char byte;
    int reader;

    assert_int_equal(mkfifoat(f->folder, "fifo", 0666), 0);
    reader = openat(f->folder, "fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_refused(f, put(f, "fifo", "secret", WORKSPACE_WRITE_REPLACE),
                   WORKSPACE_FILES_E_NOT_FILE);
    assert_int_equal(read(reader, &byte, 1), 0);
    close(reader);
}

static void
test_a_leased_file_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    int fd;

    assert_int_equal(put(f, "a", "x", WORKSPACE_WRITE_NEW), 0);
    signal(SIGIO, SIG_IGN); /* it tells the holder */
    fd = openat(f->folder, "a", O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    assert_refused(f, read_result(f, "a"), WORKSPACE_FILES_E_DENIED);
    close(fd);
    assert_content(f, "a", "x");
}

static void
test_full_workspaces_are_told(void **state)
{
    struct fixture *f = *state;
    char *large = malloc(BYTES + 2);
    char name[32];
    int r = 0;

    assert_non_null(large);
    memset(large, 'x', BYTES + 1);
    large[BYTES + 1] = '\0';
    assert_refused(f, put(f, "a", large, WORKSPACE_WRITE_NEW),
                   WORKSPACE_FILES_E_NO_SPACE);
    assert_int_equal(remove_one(f, "a"), 0);
    large[BYTES / 2] = '\0';
    assert_int_equal(put(f, "a", large, WORKSPACE_WRITE_NEW), 0);
    free(large);
    for (int i = 0; i <= INODES && r == 0; i++) {
        snprintf(name, sizeof name, "%d", i);
        r = put(f, name, "", WORKSPACE_WRITE_NEW);
    }
    assert_int_equal(r, WORKSPACE_FILES_E_NO_SPACE);
    assert_refused(f, make_directory(f, "d", false), WORKSPACE_FILES_E_NO_SPACE);
}

static void
test_what_modes_forbid_works_or_is_told(void **state)
{
    struct fixture *f = *state;
    int expected = geteuid() == 0 ? 0 : WORKSPACE_FILES_E_DENIED;

    assert_int_equal(make_directory(f, "d/sub", true), 0);
    assert_int_equal(put(f, "a", "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(put(f, "d/sub/b", "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(fchmodat(f->folder, "a", 0, 0), 0);
    assert_int_equal(fchmodat(f->folder, "d", 0, 0), 0);
    assert_int_equal(read_result(f, "a"), expected);
    assert_int_equal(read_result(f, "d/sub/b"), expected);
    assert_int_equal(put(f, "a", "x", WORKSPACE_WRITE_APPEND), expected);
    assert_int_equal(remove_one(f, "d/sub/b"), expected);
    assert_int_equal(remove_all(f, "d"), 0); /* all the same */
    assert_int_equal(remove_one(f, "a"), 0);
}

static const char *
entry_path(const struct workspace_listing *listing, size_t i)
{
    assert_true(i < listing->count);
    return listing->entries[i].path;
}

static void
test_directories_are_listed(void **state)
{
    struct fixture *f = *state;
    struct workspace_listing listing;

    assert_int_equal(make_directory(f, "d/e", true), 0);
    assert_int_equal(put(f, "d/e/file", "12345", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(put(f, "a", "123", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(symlinkat("/etc", f->folder, "link"), 0);
    assert_int_equal(mkfifoat(f->folder, "fifo", 0600), 0);
    assert_int_equal(list(f, "", 1, 0, &listing), 0);
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

    assert_int_equal(list(f, "", 100, 0, &listing), 0);
    assert_int_equal(listing.count, 6);
    assert_string_equal(entry_path(&listing, 2), "d/e");
    assert_string_equal(entry_path(&listing, 3), "d/e/file");
    workspace_listing_fini(&listing);
    assert_int_equal(list(f, "d", 2, 0, &listing), 0);
    assert_int_equal(listing.count, 2);
    assert_string_equal(entry_path(&listing, 1), "e/file");
    workspace_listing_fini(&listing);

    assert_refused(f, list(f, "a", 1, 0, &listing), WORKSPACE_FILES_E_NOT_DIRECTORY);
    assert_refused(f, list(f, "fifo", 1, 0, &listing), WORKSPACE_FILES_E_NOT_DIRECTORY);
    assert_refused(f, list(f, "nothing", 1, 0, &listing), WORKSPACE_FILES_E_NOT_FOUND);
    assert_true(list(f, "link", 1, 0, &listing) > 0);
}

static void
test_large_listings_are_cut(void **state)
{
    struct fixture *f = *state;
    struct workspace_listing listing;
    char name[64];

    assert_int_equal(make_directory(f, "many", false), 0);
    for (int i = 0; i < WORKSPACE_FILES_ENTRIES_MAX; i++) {
        snprintf(name, sizeof name, "many/%d", i);
        assert_int_equal(mknodat(f->folder, name, S_IFREG | 0644, 0), 0);
    }
    assert_int_equal(list(f, "many", 1, 0, &listing), 0);
    assert_int_equal(listing.count, WORKSPACE_FILES_ENTRIES_MAX);
    assert_false(listing.truncated);
    workspace_listing_fini(&listing);
    assert_int_equal(list(f, "", 2, 0, &listing), 0);
    assert_int_equal(listing.count, WORKSPACE_FILES_ENTRIES_MAX);
    assert_true(listing.truncated);
    workspace_listing_fini(&listing);
    assert_int_equal(list(f, "", 9, 5, &listing), 0);
    assert_int_equal(listing.count, 5);
    assert_true(listing.truncated);
    workspace_listing_fini(&listing);
    /* And one call removes so many, and itself. */
    assert_int_equal(mknodat(f->folder, "many/more", S_IFREG | 0644, 0), 0);
    assert_refused(f, remove_all(f, "many"), WORKSPACE_FILES_E_UNFINISHED);
    assert_int_equal(remove_all(f, "many"), 0);
    assert_false(is_there(f, "many"));
}

/* Bytes, so that whoever makes JSON of them decides. */
static void
test_any_name_is_listed_and_removed(void **state)
{
    static const char *const names[] = { "\n", "\x1b[31m", "\xff\xfe", "-rf", "*" };
    struct fixture *f = *state;
    struct workspace_listing listing;

    for (size_t i = 0; i < N_ELEMENTS(names); i++)
        assert_int_equal(put(f, names[i], "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(list(f, "", 1, 0, &listing), 0);
    assert_int_equal(listing.count, N_ELEMENTS(names));
    for (size_t i = 0; i < N_ELEMENTS(names); i++)
        assert_int_equal(remove_one(f, entry_path(&listing, i)), 0);
    workspace_listing_fini(&listing);
    assert_int_equal(list(f, "", 1, 0, &listing), 0);
    assert_int_equal(listing.count, 0);
}

static void
test_files_and_directories_are_removed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make_directory(f, "d/e/g", true), 0);
    assert_int_equal(put(f, "d/e/file", "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(symlinkat("e", f->folder, "d/link"), 0);
    assert_int_equal(mkfifoat(f->folder, "d/fifo", 0600), 0);
    assert_refused(f, remove_one(f, "d"), WORKSPACE_FILES_E_NOT_EMPTY);
    assert_int_equal(remove_one(f, "d/link"), 0);
    assert_true(is_there(f, "d/e/file"));
    assert_int_equal(remove_one(f, "d/fifo"), 0);
    assert_int_equal(remove_one(f, "d/e/file"), 0);
    assert_int_equal(remove_one(f, "d/e/g"), 0);
    assert_refused(f, remove_one(f, "d/e/g"), WORKSPACE_FILES_E_NOT_FOUND);
    assert_int_equal(remove_all(f, "d"), 0);
    assert_refused(f, remove_all(f, "d"), WORKSPACE_FILES_E_NOT_FOUND);
    assert_refused(f, remove_all(f, "."), WORKSPACE_FILES_E_INVALID);
    assert_refused(f, remove_all(f, "/workspace/"), WORKSPACE_FILES_E_INVALID);
}

/* Links in a removed directory, to one that must stay. */
static void
test_removal_does_not_follow_links(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make_directory(f, "keep", false), 0);
    assert_int_equal(put(f, "keep/file", "x", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(make_directory(f, "d", false), 0);
    assert_int_equal(symlinkat("../keep", f->folder, "d/link"), 0);
    assert_int_equal(symlinkat("keep", f->folder, "top"), 0);
    assert_int_equal(remove_all(f, "d"), 0);
    assert_int_equal(remove_all(f, "top"), 0);
    assert_content(f, "keep/file", "x");
}

/* Deeper than any path can be, and locked on the way. */
static void
test_very_deep_directories_are_removed(void **state)
{
    struct fixture *f = *state;
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
    assert_int_equal(list(f, "", 1000, 0, &listing), 0);
    assert_int_equal(listing.count, WORKSPACE_FILES_DEPTH_MAX);
    workspace_listing_fini(&listing);
    assert_int_equal(remove_all(f, "d"), 0);
    assert_false(is_there(f, "d"));
}

static void
test_what_is_there_is_told(void **state)
{
    struct fixture *f = *state;
    struct workspace_file file;

    assert_int_equal(put(f, "a", "123", WORKSPACE_WRITE_NEW), 0);
    assert_int_equal(symlinkat("a", f->folder, "link"), 0);
    assert_int_equal(workspace_files_look(f->folder, slice_text("a"), &file, NULL), 0);
    assert_int_equal(file.bytes, 3);
    assert_int_equal(workspace_files_look(f->folder, slice_text("link"), &file, NULL), 0);
    assert_int_equal(file.type, WORKSPACE_FILE_LINK);
    assert_int_equal(workspace_files_look(f->folder, slice_text(""), &file, NULL), 0);
    assert_int_equal(file.type, WORKSPACE_FILE_DIRECTORY);
    assert_refused(f, workspace_files_look(f->folder, slice_text("b"), &file, fresh(f)),
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

/* A directory "d" with a file "f", or a link to a directory outside with such a file; the
 * two change places without end. */
static pid_t
start_swapper(const struct fixture *f, const char *outside)
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
stop(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
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
do_everything(struct fixture *f)
{
    struct workspace_write wish = { .path = slice_text("d/f"),
                                    .bytes = slice_text("inside"),
                                    .make_parents = true };
    struct workspace_listing listing;
    struct buffer bytes;

    assert_true(workspace_files_write(f->folder, &wish, NULL, fresh(f)) >= 0);
    wish.path = slice_text("d/new");
    wish.how = WORKSPACE_WRITE_NEW;
    assert_true(workspace_files_write(f->folder, &wish, NULL, fresh(f)) >= 0);
    buffer_init(&bytes, 100);
    if (workspace_files_read(f->folder, slice_text("d/f"), 0, 100, &bytes, NULL,
                             fresh(f)) == 0)
        assert_int_not_equal(bytes.length, 7);
    buffer_fini(&bytes);
    if (list(f, "", 3, 0, &listing) == 0)
        workspace_listing_fini(&listing);
    assert_true(make_directory(f, "d/made", true) >= 0);
    assert_true(remove_all(f, "d/made") >= 0);
    assert_true(remove_one(f, "d/new") >= 0);
}

static void
test_directories_and_links_that_change_places_lead_nobody_out(void **state)
{
    struct fixture *f = *state;
    char outside[64];
    pid_t swapper;

    make_outside(outside);
    swapper = start_swapper(f, outside);
    for (int i = 0; i < RACES; i++)
        do_everything(f);
    stop(swapper);
    check_and_remove_outside(outside);
}

static void
test_removal_while_links_change_places_stays_inside(void **state)
{
    struct fixture *f = *state;
    char outside[64];
    pid_t swapper;

    make_outside(outside);
    assert_int_equal(mkdirat(f->folder, "top", 0755), 0);
    for (int i = 0; i < 20; i++) {
        struct fixture below = *f;

        assert_true(make_directory(f, "top", true) == 0);
        below.folder = openat(f->folder, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(below.folder >= 0);
        swapper = start_swapper(&below, outside);
        for (int j = 0; j < 50; j++) {
            assert_true(put(f, "top/d/sub/x", "x", WORKSPACE_WRITE_REPLACE) >= 0);
            assert_int_equal(fchmodat(f->folder, "top", 0500, 0) == 0 || errno == ENOENT,
                             1);
            assert_true(remove_all(f, "top") >= 0);
        }
        stop(swapper);
        close(below.folder);
        assert_int_equal(is_there(f, "top") ? remove_all(f, "top") : 0, 0);
    }
    check_and_remove_outside(outside);
}

/* Truncated, and replaced, under the reader. */
static void
test_a_file_that_shrinks_is_read_as_far_as_it_goes(void **state)
{
    struct fixture *f = *state;
    struct buffer bytes;
    pid_t pid;

    assert_int_equal(put(f, "a", "x", WORKSPACE_WRITE_NEW), 0);
    pid = fork();
    if (pid == 0) {
        int fd = openat(f->folder, "a", O_RDWR | O_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            if (ftruncate(fd, 1 << 20) < 0 || ftruncate(fd, 1) < 0)
                _exit(1);
    }
    buffer_init(&bytes, (size_t)1 << 21);
    for (int i = 0; i < RACES / 3; i++) {
        assert_int_equal(workspace_files_read(f->folder, slice_text("a"), 0, 1 << 21,
                                              &bytes, NULL, fresh(f)),
                         0);
        assert_true(bytes.length >= 1 && bytes.length <= 1 << 20);
        buffer_clear(&bytes, 1 << 21);
    }
    buffer_fini(&bytes);
    stop(pid);
}

static int
become(int argc, char **argv)
{
    bool user = argc > 1 && strcmp(argv[1], "user") == 0;

    if (!user && geteuid() != 0) {
        fprintf(stderr, "skipped: this needs root\n");
        return SKIPPED;
    }
    if (user && geteuid() == 0 &&
        (setgroups(0, NULL) < 0 || setresgid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) < 0 ||
         setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) < 0)) {
        perror("becoming an ordinary user");
        return 1;
    }
    umask(022);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

int
main(int argc, char **argv)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_files_are_written_and_read),
        TEST(test_parts_of_files_are_read),
        TEST(test_more_than_one_call_may_read_is_refused),
        TEST(test_a_huge_sparse_file_is_read_in_parts),
        TEST(test_paths_out_of_the_workspace_are_refused),
        TEST(test_parents_are_made_on_wish),
        TEST(test_what_is_no_file_is_told),
        TEST(test_a_fifo_with_a_reader_gets_nothing),
        TEST(test_a_leased_file_is_not_waited_for),
        TEST(test_full_workspaces_are_told),
        TEST(test_what_modes_forbid_works_or_is_told),
        TEST(test_directories_are_listed),
        TEST(test_large_listings_are_cut),
        TEST(test_any_name_is_listed_and_removed),
        TEST(test_files_and_directories_are_removed),
        TEST(test_removal_does_not_follow_links),
        TEST(test_very_deep_directories_are_removed),
        TEST(test_what_is_there_is_told),
        cmocka_unit_test(test_results_have_names),
        TEST(test_directories_and_links_that_change_places_lead_nobody_out),
        TEST(test_removal_while_links_change_places_stays_inside),
        TEST(test_a_file_that_shrinks_is_read_as_far_as_it_goes),
    };
    int r = become(argc, argv);

    return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}

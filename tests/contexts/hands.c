/* SPDX-License-Identifier: MIT */
#include "tests/contexts/hands.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WATCHDOG_S 100

int
hands_setup(void **state)
{
    static const struct keeper_wish wish = { 1, HANDS_BYTES, HANDS_INODES };
    struct hands *f = calloc(1, sizeof *f);

    assert_non_null(f);
    alarm(WATCHDOG_S);
    f->keeper = (struct keeper)KEEPER_NONE;
    if (keeper_make(&f->keeper, &wish, &f->workspace, &f->err) != 0)
        fail_msg("%s", f->err.text);
    f->folder = f->workspace.folder;
    *state = f;
    return 0;
}

int
hands_teardown(void **state)
{
    struct hands *f = *state;

    close(f->workspace.folder);
    close(f->workspace.lease);
    keeper_fini(&f->keeper);
    while (waitpid(-1, NULL, 0) < 0 && errno == EINTR)
        continue;
    free(f);
    alarm(0);
    return 0;
}

struct error *
hands_fresh(struct hands *f)
{
    f->err = (struct error){ 0 };
    return &f->err;
}

int
hands_put(struct hands *f, const char *path, const char *text,
          enum workspace_write_how how)
{
    const struct workspace_write wish = { .path = slice_text(path),
                                          .bytes = slice_text(text),
                                          .how = how };

    return workspace_files_write(f->folder, &wish, NULL, hands_fresh(f));
}

void
hands_assert_content(struct hands *f, const char *path, const char *expected)
{
    struct workspace_file file;
    struct buffer bytes;

    buffer_init(&bytes, WORKSPACE_FILES_READ_BYTES_MAX);
    if (workspace_files_read(f->folder, slice_text(path), 0,
                             WORKSPACE_FILES_READ_BYTES_MAX, &bytes, &file,
                             hands_fresh(f)) != 0)
        fail_msg("%s", f->err.text);
    assert_int_equal(bytes.length, strlen(expected));
    if (bytes.length > 0)
        assert_memory_equal(bytes.data, expected, bytes.length);
    assert_int_equal(file.bytes, bytes.length);
    assert_int_equal(file.type, WORKSPACE_FILE_REGULAR);
    buffer_fini(&bytes);
}

int
hands_read(struct hands *f, const char *path)
{
    struct buffer bytes;
    int r;

    buffer_init(&bytes, WORKSPACE_FILES_READ_BYTES_MAX);
    r = workspace_files_read(f->folder, slice_text(path), 0, 100, &bytes, NULL,
                             hands_fresh(f));
    if (r != 0)
        assert_int_equal(bytes.length, 0);
    buffer_fini(&bytes);
    return r;
}

int
hands_remove_all(struct hands *f, const char *path)
{
    return workspace_files_remove(f->folder, slice_text(path), true, hands_fresh(f));
}

int
hands_remove_one(struct hands *f, const char *path)
{
    return workspace_files_remove(f->folder, slice_text(path), false, hands_fresh(f));
}

int
hands_make_directory(struct hands *f, const char *path, bool parents)
{
    return workspace_files_make_directory(f->folder, slice_text(path), parents,
                                          hands_fresh(f));
}

int
hands_list(struct hands *f, const char *path, unsigned depth, size_t max,
           struct workspace_listing *ret)
{
    const struct workspace_list wish = { .path = slice_text(path),
                                         .depth = depth,
                                         .entries_max = max };

    return workspace_files_list(f->folder, &wish, ret, hands_fresh(f));
}

bool
hands_has(const struct hands *f, const char *path)
{
    struct stat st;

    return fstatat(f->folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void
hands_stop(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

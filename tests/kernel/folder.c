/* SPDX-License-Identifier: MIT */
#include "tests/kernel/folder.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "contexts/runtime.h"
#include "kernel/file.h"
#include "protocol/buffer.h"
#include "protocol/error.h"

static const char descriptor[] =
    "{\"name\": \"toy\", \"display_name\": \"Toy\", \"language\": \"toylang\","
    " \"argv\": [\"{interpreter}\"], \"interpreter\": \"toy-interpreter\","
    " \"spawner\": \"launcher\", \"language_info\": {\"name\": \"toylang\"},"
    " \"probe\": [\"{interpreter}\", \"{runtime}\"]}";

void
folder_put(const struct folder *folder, const char *name, const char *text, unsigned mode)
{
    char path[PATH_MAX];
    struct error err = { 0 };

    assert_int_equal(file_join(path, folder->path, name, &err), 0);
    *strrchr(path, '/') = '\0';
    assert_int_equal(file_make_directories(path, 0755, &err), 0);
    assert_int_equal(file_join(path, folder->path, name, &err), 0);
    assert_int_equal(file_write(path, slice_text(text), (mode_t)mode, &err), 0);
}

char *
folder_get(const struct folder *folder, const char *name)
{
    char path[PATH_MAX];
    struct error err = { 0 };
    struct buffer text;

    buffer_init(&text, 1 << 20);
    assert_int_equal(file_join(path, folder->path, name, &err), 0);
    if (file_read(path, &text, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(buffer_append(&text, "", 1), 0);
    return (char *)text.data;
}

void
folder_init(struct folder *folder, const char *answer)
{
    char script[4096];
    struct error err = { 0 };

    *folder = (struct folder){ .path = "/tmp/cellwall-test-XXXXXX" };
    assert_non_null(mkdtemp(folder->path));
    assert_int_equal(chmod(folder->path, 0755), 0);
    snprintf(script, sizeof script, "#!/bin/sh\ncat <<'END'\n%s\nEND\n", answer);
    folder_put(folder, "toy-interpreter", script, 0755);
    folder_put(folder, "toy/runtime.json", descriptor, 0644);
    assert_int_equal(
        file_join(folder->interpreter, folder->path, "toy-interpreter", &err), 0);
    if (runtime_load(&folder->runtime, folder->path, "toy", &err) != 0)
        fail_msg("%s", err.text);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void
folder_fini(struct folder *folder)
{
    runtime_destroy(folder->runtime);
    nftw(folder->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

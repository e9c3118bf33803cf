/* SPDX-License-Identifier: MIT */
/*
 * place - a temporary folder, for tests of what reads files
 *
 * Include it behind cmocka.h.
 */
#ifndef TESTS_NOTEBOOK_PLACE_H
#define TESTS_NOTEBOOK_PLACE_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/file.h"
#include "protocol/buffer.h"

struct place {
    char path[PATH_MAX]; /* without links */
};

static inline void
place_init(struct place *place)
{
    char made[] = "/tmp/cellwall-test-XXXXXX";

    assert_non_null(mkdtemp(made));
    assert_non_null(realpath(made, place->path));
}

/* The path of NAME in it; it counts until the fourth call from now. */
static inline const char *
place_path(const struct place *place, const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;

    turn = (turn + 1) % 4;
    assert_int_equal(file_join(paths[turn], place->path, name, NULL), 0);
    return paths[turn];
}

/* Makes the file NAME, and the folders that it is in. */
static inline void
place_put(const struct place *place, const char *name, const char *text)
{
    char folder[PATH_MAX];

    assert_int_equal(file_join(folder, place->path, name, NULL), 0);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(file_make_directories(folder, 0755, NULL), 0);
    assert_int_equal(file_write(place_path(place, name), slice_text(text), 0644, NULL),
                     0);
}

static inline int
place_remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status, (void)type, (void)ftw;
    return remove(path);
}

static inline void
place_fini(struct place *place)
{
    assert_int_equal(nftw(place->path, place_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif

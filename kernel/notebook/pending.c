/* SPDX-License-Identifier: MIT */
/*
 * Nothing says which cells wait but the two files themselves: those that differ do. So a
 * pending file that was opened and saved by a front end, or that is left half accepted,
 * means what it shows.
 */
#include "kernel/notebook/pending.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/file.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/notebook.h"

#define SUFFIX ".ipynb"
#define NONE SIZE_MAX
#define MODE_BITS 0777
#define AGAIN "delete it, or record the notebook again"

/* A notebook, its pending one, and which cells of the two belong together. */
struct acceptance {
    const char *path, *pending_path; /* borrowed */
    char target[PATH_MAX]; /* the notebook's file itself, behind links */
    mode_t mode;
    struct notebook *notebook, *pending; /* owned */
    size_t *partners; /* owned: by our cells, the pending one, or NONE */
    bool *waiting; /* owned: by our cells */
    struct error *err;
};

static void
acceptance_fini(struct acceptance *acceptance)
{
    notebook_destroy(acceptance->notebook);
    notebook_destroy(acceptance->pending);
    free(acceptance->partners);
    free(acceptance->waiting);
}

static bool
ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), end = strlen(suffix);

    return length >= end && strcmp(text + length - end, suffix) == 0;
}

int
pending_path(char ret[PATH_MAX], const char *path, struct error *err)
{
    size_t length = strlen(path);
    int n;

    if (ends_with(path, PENDING_SUFFIX))
        return error_set(err, PENDING_E_FAILED,
                         "%s is pending itself: name the notebook that it waits for",
                         path);
    if (ends_with(path, SUFFIX))
        length -= strlen(SUFFIX);
    n = snprintf(ret, PATH_MAX, "%.*s" PENDING_SUFFIX,
                 length < PATH_MAX ? (int)length : PATH_MAX, path);
    if (n < 0 || n >= PATH_MAX)
        return error_set(err, PENDING_E_FAILED, "%s: the path is too long", path);
    return 0;
}

/* The mode of the file at PATH, which must be there and be a file. */
static int
find_mode(const char *path, mode_t *ret, struct error *err)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return error_set(err, PENDING_E_FAILED, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(err, PENDING_E_FAILED, "%s is not a file", path);
    *ret = status.st_mode & MODE_BITS;
    return 0;
}

/* Writes NOTEBOOK, which ERR is to call NAME, with CHANGES to PATH. */
static int
write_changed(const char *path, const char *name, mode_t mode,
              const struct notebook *notebook, const struct notebook_change *changes,
              size_t count, struct error *err)
{
    struct error detail = { 0 };
    struct buffer text;
    int r;

    buffer_init(&text, NOTEBOOK_BYTES_MAX);
    r = notebook_rewrite(notebook, changes, count, &text, &detail);
    if (r > 0)
        r = error_set(err, PENDING_E_FAILED, "%s: %s", name, detail.text);
    else if (r == 0 && file_write(path, buffer_slice(&text), mode, err) != 0)
        r = PENDING_E_FAILED;
    buffer_fini(&text);
    return r;
}

int
pending_write(const char *path, const struct notebook *notebook,
              const struct notebook_change *changes, size_t count, struct error *err)
{
    char pending[PATH_MAX];
    mode_t mode = 0;
    int r = pending_path(pending, path, err);

    if (r == 0)
        r = find_mode(path, &mode, err);
    if (r != 0)
        return r;
    return write_changed(pending, path, mode, notebook, changes, count, err);
}

/* HINT: what is to be done when the file is no notebook. */
static int
read_file(struct notebook **ret, const char *path, const char *hint, struct error *err)
{
    struct error detail = { 0 };
    struct buffer text;
    int r;

    buffer_init(&text, NOTEBOOK_BYTES_MAX);
    r = file_read_regular(path, &text, err);
    if (r == 0) {
        r = notebook_read(ret, buffer_slice(&text), &detail);
        if (r > 0)
            error_set(err, PENDING_E_FAILED, "%s: %s%s", path, detail.text, hint);
    }
    buffer_fini(&text);
    return r > 0 ? PENDING_E_FAILED : r;
}

static int
read_both(struct acceptance *acceptance)
{
    struct error *err = acceptance->err;
    mode_t mode;
    int r = find_mode(acceptance->path, &acceptance->mode, err);

    if (r != 0)
        return r;
    if (realpath(acceptance->path, acceptance->target) == NULL)
        return error_set(err, PENDING_E_FAILED, "%s: %s", acceptance->path,
                         strerror(errno));
    if (access(acceptance->pending_path, F_OK) < 0 && errno == ENOENT)
        return error_set(err, PENDING_E_NONE,
                         "nothing is pending for %s: \"cellwall test --record\" makes "
                         "%s",
                         acceptance->path, acceptance->pending_path);
    r = find_mode(acceptance->pending_path, &mode, err);
    if (r == 0)
        r = read_file(&acceptance->notebook, acceptance->path, "", err);
    if (r == 0)
        r = read_file(&acceptance->pending, acceptance->pending_path, ": " AGAIN, err);
    return r;
}

static bool
same_slice(struct slice a, struct slice b)
{
    return a.length == b.length &&
           (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* The pending cell that is CELL, number NUMBER: the one with its id, looked for from FROM
 * on, or one at the same place with the same source; NONE. */
static size_t
find_partner(const struct notebook *pending, const struct notebook_cell *cell,
             size_t number, size_t from)
{
    const struct notebook_cell *same =
        number < pending->cell_count ? &pending->cells[number] : NULL;

    if (pending->cells == NULL)
        return NONE;
    if (same != NULL && cell->id.length > 0 && same_slice(same->id, cell->id))
        return number;
    for (size_t i = 0; cell->id.length > 0 && i < pending->cell_count; i++) {
        size_t at = (from + i) % pending->cell_count;

        if (same_slice(pending->cells[at].id, cell->id))
            return at;
    }
    if (same != NULL && same->type == cell->type &&
        same_slice(same->source, cell->source))
        return number;
    return NONE;
}

/* 0: they are the same, 1: they differ, -ENOMEM. */
static int
compare_outputs(const struct notebook_cell *a, const struct notebook_cell *b)
{
    struct buffer left, right;
    int r;

    buffer_init(&left, SIZE_MAX);
    buffer_init(&right, SIZE_MAX);
    r = notebook_append_outputs(a, &left);
    if (r == 0)
        r = notebook_append_outputs(b, &right);
    if (r == 0)
        r = !same_slice(buffer_slice(&left), buffer_slice(&right)) ||
            a->execution_count != b->execution_count;
    buffer_fini(&left);
    buffer_fini(&right);
    return r;
}

/* A pending cell of code without an id has nowhere to go when its notebook's cells have
 * moved; one with an id was taken out of the notebook. */
static int
check_strays(struct acceptance *acceptance, const bool *matched, size_t matches)
{
    const struct notebook *pending = acceptance->pending;
    size_t code = 0, strays = 0;

    for (size_t i = 0; i < pending->cell_count; i++) {
        if (pending->cells[i].type != NOTEBOOK_CODE)
            continue;
        code++;
        if (!matched[i] && pending->cells[i].id.length == 0)
            strays++;
    }
    if (code > 0 && matches == 0)
        return error_set(acceptance->err, PENDING_E_FAILED,
                         "%s is of another notebook than %s, none of its cells is "
                         "there: " AGAIN,
                         acceptance->pending_path, acceptance->path);
    if (strays > 0)
        return error_set(acceptance->err, PENDING_E_FAILED,
                         "the cells of %s have changed since %s was written: " AGAIN,
                         acceptance->path, acceptance->pending_path);
    return 0;
}

static int
match_cells(struct acceptance *acceptance)
{
    const struct notebook *notebook = acceptance->notebook;
    const struct notebook *pending = acceptance->pending;
    CLEANUP(freep) bool *matched = calloc(pending->cell_count + 1, sizeof *matched);
    size_t from = 0, matches = 0;

    acceptance->partners = calloc(notebook->cell_count + 1, sizeof(size_t));
    acceptance->waiting = calloc(notebook->cell_count + 1, sizeof(bool));
    if (matched == NULL || acceptance->partners == NULL || acceptance->waiting == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < notebook->cell_count; i++) {
        const struct notebook_cell *cell = &notebook->cells[i];
        size_t partner = NONE;
        int r;

        if (cell->type == NOTEBOOK_CODE)
            partner = find_partner(pending, cell, i, from);
        acceptance->partners[i] = partner;
        if (partner == NONE)
            continue;
        matched[partner] = true;
        matches++;
        from = partner + 1;
        r = compare_outputs(cell, &pending->cells[partner]);
        if (r < 0)
            return r;
        acceptance->waiting[i] = r > 0;
    }
    return check_strays(acceptance, matched, matches);
}

/* The index of the cell that TEXT names, by its number among those of code or its id. */
static int
find_named(const struct acceptance *acceptance, const char *text, size_t *ret)
{
    const struct notebook *notebook = acceptance->notebook;
    size_t number = 0, by_id = NONE, by_number = NONE;
    char written[32];

    for (size_t i = 0; i < notebook->cell_count; i++) {
        if (notebook->cells[i].type != NOTEBOOK_CODE)
            continue;
        snprintf(written, sizeof written, "%zu", number++);
        if (strcmp(text, written) == 0)
            by_number = i;
        if (by_id == NONE && text[0] != '\0' &&
            slice_equals_text(notebook->cells[i].id, text))
            by_id = i;
    }
    *ret = by_number != NONE ? by_number : by_id;
    if (*ret == NONE)
        return error_set(acceptance->err, PENDING_E_FAILED,
                         "%s has no cell of code with the number or id \"%s\"; there "
                         "are %zu, the first is 0",
                         acceptance->path, text, number);
    if (!acceptance->waiting[*ret])
        return error_set(acceptance->err, PENDING_E_NONE,
                         "nothing is pending for cell %s of %s", text, acceptance->path);
    return 0;
}

static int
check_source(const struct acceptance *acceptance, size_t index)
{
    const struct notebook_cell *cells = acceptance->notebook->cells;
    const struct notebook_cell *pending =
        &acceptance->pending->cells[acceptance->partners[index]];
    size_t number = 0;

    if (pending->type == NOTEBOOK_CODE &&
        same_slice(pending->source, cells[index].source))
        return 0;
    for (size_t i = 0; i < index; i++)
        number += cells[i].type == NOTEBOOK_CODE;
    return error_set(
        acceptance->err, PENDING_E_FAILED,
        "%s: the source of cell %zu (line %zu) has changed since its outputs "
        "were recorded: record the notebook again",
        acceptance->path, number, cells[index].line);
}

/* RET: cell INDEX gets its pending outputs, which RET_OUTPUTS holds. */
static int
add_change(const struct acceptance *acceptance, size_t index, struct notebook_change *ret,
           struct buffer *ret_outputs)
{
    const struct notebook_cell *pending;
    int r = check_source(acceptance, index);

    if (r != 0)
        return r;
    pending = &acceptance->pending->cells[acceptance->partners[index]];
    buffer_init(ret_outputs, SIZE_MAX);
    r = notebook_append_outputs(pending, ret_outputs);
    *ret = (struct notebook_change){ .cell = index,
                                     .outputs = buffer_slice(ret_outputs),
                                     .execution_count = pending->execution_count };
    assert(r <= 0);
    return r;
}

/* ONLY: the cell to take, NONE: all. */
static int
take(const struct acceptance *acceptance, size_t only, struct pending_accepted *ret)
{
    const struct notebook *notebook = acceptance->notebook;
    CLEANUP(freep)
    struct notebook_change *changes = calloc(notebook->cell_count + 1, sizeof *changes);
    CLEANUP(freep)
    struct buffer *outputs = calloc(notebook->cell_count + 1, sizeof *outputs);
    struct pending_accepted accepted = { 0 };
    int r = 0;

    if (changes == NULL || outputs == NULL)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < notebook->cell_count; i++) {
        if (!acceptance->waiting[i])
            continue;
        if (only != NONE && only != i) {
            accepted.left++;
            continue;
        }
        r = add_change(acceptance, i, &changes[accepted.cells], &outputs[accepted.cells]);
        accepted.cells++;
    }
    if (r == 0 && accepted.cells > 0)
        r = write_changed(acceptance->target, acceptance->path, acceptance->mode,
                          notebook, changes, accepted.cells, acceptance->err);
    for (size_t i = 0; i < accepted.cells; i++)
        buffer_fini(&outputs[i]);
    if (r != 0)
        return r;
    if (accepted.left == 0 && unlink(acceptance->pending_path) < 0)
        return error_set(acceptance->err, PENDING_E_FAILED, "cannot remove %s: %s",
                         acceptance->pending_path, strerror(errno));
    *ret = accepted;
    return 0;
}

int
pending_accept(const char *path, const char *cell, struct pending_accepted *ret,
               struct error *err)
{
    char pending[PATH_MAX];
    struct acceptance acceptance = { .path = path, .pending_path = pending, .err = err };
    size_t only = NONE;
    int r = pending_path(pending, path, err);

    if (r == 0)
        r = read_both(&acceptance);
    if (r == 0)
        r = match_cells(&acceptance);
    if (r == 0 && cell != NULL)
        r = find_named(&acceptance, cell, &only);
    if (r == 0)
        r = take(&acceptance, only, ret);
    acceptance_fini(&acceptance);
    return r;
}

/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/file.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/notebook.h"

#define FILES_MAX 4
#define TEXT_MAX 2000

/* A notebook, its cells, and one cell with what it shows. */
#define BOOK(cells)                                                                      \
    "{\"cells\":[" cells "],\"metadata\":{\"kept\": [1] },\"nbformat\":4,"               \
    "\"nbformat_minor\":5}\n"
#define SHOWS(text)                                                                      \
    "[{\"name\":\"stdout\",\"output_type\":\"stream\",\"text\":[\"" text "\"]}]"
#define CELL(id, source, count, outputs)                                                 \
    "{\"cell_type\":\"code\",\"execution_count\":" count ",\"id\":\"" id                 \
    "\",\"metadata\":{\"a\": 1 },\"outputs\":" outputs ",\"source\":\"" source "\"}"
#define OLD_CELL(source, outputs)                                                        \
    "{\"cell_type\":\"code\",\"execution_count\":1,\"outputs\":" outputs                 \
    ",\"source\":\"" source "\"}"
#define PROSE "{\"cell_type\":\"markdown\",\"source\":\"prose\"}"

static const char before[] = BOOK(
    PROSE "," CELL("one", "1", "1", SHOWS("a")) "," CELL("two", "2", "2", SHOWS("b")));
static const char after[] = BOOK(
    PROSE "," CELL("one", "1", "1", SHOWS("A")) "," CELL("two", "2", "9", SHOWS("b")));

struct fixture {
    char folder[64];
    char path[128]; /* of the notebook */
    char pending[128];
    struct error err;
    struct pending_accepted accepted;
};

static void
put(const char *path, const char *text, mode_t mode)
{
    struct error err = { 0 };

    if (file_write(path, slice_text(text), mode, &err) != 0)
        fail_msg("%s", err.text);
}

static void
assert_file(const char *path, const char *expected)
{
    struct error err = { 0 };
    struct buffer text;

    buffer_init(&text, 1 << 20);
    if (file_read(path, &text, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(buffer_append(&text, "", 1), 0);
    assert_string_equal((const char *)text.data, expected);
    buffer_fini(&text);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    strcpy(f->folder, "/tmp/cellwall-pending-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/a.ipynb", f->folder);
    snprintf(f->pending, sizeof f->pending, "%s/a.pending.ipynb", f->folder);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    static const char *const names[FILES_MAX] = { "a.ipynb", "a.pending.ipynb",
                                                  "real.ipynb", "dir" };
    struct fixture *f = *state;
    char path[128];

    for (size_t i = 0; i < FILES_MAX; i++) {
        snprintf(path, sizeof path, "%s/%s", f->folder, names[i]);
        remove(path);
    }
    assert_int_equal(rmdir(f->folder), 0); /* nothing else was left in it */
    free(f);
    return 0;
}

static int
accept(struct fixture *f, const char *cell)
{
    f->err = (struct error){ 0 };
    return pending_accept(f->path, cell, &f->accepted, &f->err);
}

/* Accepts with NOTEBOOK and PENDING as the files; the error has the path for "@" and the
 * pending one's for "%". Both files must be as before. */
static void
assert_refused(struct fixture *f, const char *notebook, const char *pending,
               const char *cell, int result, const char *why)
{
    char expected[TEXT_MAX] = "";
    size_t n = 0;

    put(f->path, notebook, 0600);
    put(f->pending, pending, 0600);
    assert_int_equal(accept(f, cell), result);
    for (; *why != '\0'; why++) {
        const char *path = *why == '@' ? f->path : f->pending;

        if (*why == '@' || *why == '%')
            n += (size_t)snprintf(expected + n, sizeof expected - n, "%s", path);
        else
            expected[n++] = *why;
        assert_true(n < sizeof expected - 1);
    }
    expected[n] = '\0';
    assert_string_equal(f->err.text, expected);
    assert_int_equal(f->err.code, result);
    assert_file(f->path, notebook);
    assert_file(f->pending, pending);
}

static void
assert_path(const char *path, const char *expected)
{
    char pending[PATH_MAX];

    assert_int_equal(pending_path(pending, path, NULL), 0);
    assert_string_equal(pending, expected);
}

static void
test_a_pending_notebook_is_beside_its_source(void **state)
{
    char path[PATH_MAX + 1], ret[PATH_MAX];
    struct error err = { 0 };

    (void)state;
    assert_path("a.ipynb", "a.pending.ipynb");
    assert_path("/x/y.z/a b.ipynb", "/x/y.z/a b.pending.ipynb");
    assert_path("notebook.json", "notebook.json.pending.ipynb");
    assert_int_equal(pending_path(ret, "a.pending.ipynb", &err), PENDING_E_FAILED);
    assert_string_equal(err.text, "a.pending.ipynb is pending itself: name the notebook "
                                  "that it waits for");
    memset(path, 'x', sizeof path);
    path[PATH_MAX] = '\0';
    assert_int_equal(pending_path(ret, path, NULL), PENDING_E_FAILED);
    path[PATH_MAX - sizeof PENDING_SUFFIX] = '\0';
    assert_int_equal(pending_path(ret, path, NULL), 0);
    path[PATH_MAX - sizeof PENDING_SUFFIX] = 'x';
    path[PATH_MAX - sizeof PENDING_SUFFIX + 1] = '\0';
    assert_int_equal(pending_path(ret, path, NULL), PENDING_E_FAILED);
}

static void
test_what_is_written_as_pending_is_the_notebook_with_its_changes(void **state)
{
    const struct notebook_change changes[] = {
        { .cell = 1, .outputs = slice_text(SHOWS("A")), .execution_count = 1 },
        { .cell = 2, .outputs = slice_text(SHOWS("b")), .execution_count = 9 },
    };
    CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
    struct fixture *f = *state;
    struct stat status;

    put(f->path, before, 0640);
    put(f->pending, "an earlier one", 0600);
    assert_int_equal(notebook_read(&notebook, slice_text(before), &f->err), 0);
    assert_int_equal(pending_write(f->path, notebook, changes, 2, &f->err), 0);
    assert_file(f->path, before);
    assert_file(f->pending, after);
    assert_int_equal(stat(f->pending, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

static void
test_a_notebook_of_nbformat_3_cannot_be_recorded(void **state)
{
    CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
    struct fixture *f = *state;

    put(f->path, "{\"nbformat\":3}", 0600);
    assert_int_equal(notebook_read(&notebook, slice_text("{\"nbformat\":3}"), NULL), 0);
    assert_int_equal(pending_write(f->path, notebook, NULL, 0, &f->err),
                     PENDING_E_FAILED);
    assert_non_null(strstr(f->err.text, "a.ipynb: nbformat 3 can be read but not"));
    assert_int_equal(access(f->pending, F_OK), -1);
}

static void
test_accepting_all_takes_all_and_removes_the_pending_file(void **state)
{
    struct fixture *f = *state;
    struct stat status;

    put(f->path, before, 0640);
    put(f->pending, after, 0600);
    assert_int_equal(accept(f, NULL), 0);
    assert_int_equal(f->accepted.cells, 2);
    assert_int_equal(f->accepted.left, 0);
    assert_file(f->path, after);
    assert_int_equal(access(f->pending, F_OK), -1);
    assert_int_equal(stat(f->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

static void
test_accepting_a_cell_leaves_the_others_pending(void **state)
{
    struct fixture *f = *state;

    put(f->path, before, 0600);
    put(f->pending, after, 0600);
    assert_int_equal(accept(f, "0"), 0);
    assert_int_equal(f->accepted.cells, 1);
    assert_int_equal(f->accepted.left, 1);
    assert_file(f->path, BOOK(PROSE "," CELL("one", "1", "1", SHOWS("A")) "," CELL(
                             "two", "2", "2", SHOWS("b"))));
    assert_file(f->pending, after);
    assert_int_equal(accept(f, "0"), PENDING_E_NONE);
    assert_int_equal(accept(f, "two"), 0);
    assert_int_equal(f->accepted.cells, 1);
    assert_int_equal(f->accepted.left, 0);
    assert_file(f->path, after);
    assert_int_equal(access(f->pending, F_OK), -1);
}

static void
test_accepting_what_is_the_same_removes_the_pending_file_alone(void **state)
{
    struct fixture *f = *state;

    put(f->path, before, 0600);
    put(f->pending, before, 0600);
    assert_int_equal(accept(f, NULL), 0);
    assert_int_equal(f->accepted.cells, 0);
    assert_int_equal(f->accepted.left, 0);
    assert_file(f->path, before);
    assert_int_equal(access(f->pending, F_OK), -1);
}

static void
test_nothing_pending_is_told(void **state)
{
    struct fixture *f = *state;

    put(f->path, before, 0600);
    assert_int_equal(accept(f, NULL), PENDING_E_NONE);
    assert_int_equal(f->err.code, PENDING_E_NONE);
    assert_non_null(strstr(f->err.text, "nothing is pending for "));
    assert_refused(f, before, before, "one", PENDING_E_NONE,
                   "nothing is pending for cell one of @");
}

static void
test_cells_are_found_by_their_ids_wherever_they_are(void **state)
{
    struct fixture *f = *state;

    put(f->path,
        BOOK(CELL("two", "2", "2", SHOWS("b")) "," CELL("new", "3", "3", "[]") "," CELL(
            "one", "1", "1", SHOWS("a"))),
        0600);
    put(f->pending, after, 0600);
    assert_int_equal(accept(f, NULL), 0);
    assert_int_equal(f->accepted.cells, 2);
    assert_file(f->path,
                BOOK(CELL("two", "2", "9", SHOWS("b")) "," CELL(
                    "new", "3", "3", "[]") "," CELL("one", "1", "1", SHOWS("A"))));
}

static void
test_cells_without_ids_are_found_by_place_and_source(void **state)
{
    static const char notebook[] =
        BOOK(OLD_CELL("1", SHOWS("a")) "," OLD_CELL("2", SHOWS("b")));
    static const char pending[] =
        BOOK(OLD_CELL("1", SHOWS("a")) "," OLD_CELL("2", SHOWS("B")));
    static const char moved[] = BOOK(
        OLD_CELL("0", "[]") "," OLD_CELL("1", SHOWS("a")) "," OLD_CELL("2", SHOWS("b")));
    static const char edited[] =
        BOOK(OLD_CELL("1", SHOWS("a")) "," OLD_CELL("3", SHOWS("b")));
    struct fixture *f = *state;

    put(f->path, notebook, 0600);
    put(f->pending, pending, 0600);
    assert_int_equal(accept(f, NULL), 0);
    assert_int_equal(f->accepted.cells, 1);
    assert_file(f->path, pending);
    assert_refused(f, edited, pending, NULL, PENDING_E_FAILED,
                   "the cells of @ have changed since % was written: delete it, or "
                   "record the notebook again");
    assert_refused(f, moved, pending, NULL, PENDING_E_FAILED,
                   "% is of another notebook than @, none of its cells is there: delete "
                   "it, or record the notebook again");
}

static void
test_a_cell_whose_source_has_changed_is_refused(void **state)
{
    static const char changed[] = BOOK(PROSE "," CELL(
        "one", "1+0", "1", SHOWS("a")) "," CELL("two", "2", "2", SHOWS("b")));
    struct fixture *f = *state;

    assert_refused(f, changed, after, NULL, PENDING_E_FAILED,
                   "@: the source of cell 0 (line 1) has changed since its outputs were "
                   "recorded: record the notebook again");
    assert_refused(f, changed, after, "one", PENDING_E_FAILED,
                   "@: the source of cell 0 (line 1) has changed since its outputs were "
                   "recorded: record the notebook again");
    assert_int_equal(accept(f, "two"), 0); /* which is as it was */
    assert_int_equal(f->accepted.cells, 1);
    assert_int_equal(f->accepted.left, 1);
}

static void
test_a_cell_that_is_not_there_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_refused(f, before, after, "2", PENDING_E_FAILED,
                   "@ has no cell of code with the number or id \"2\"; there are 2, the "
                   "first is 0");
    assert_refused(f, before, after, "", PENDING_E_FAILED,
                   "@ has no cell of code with the number or id \"\"; there are 2, the "
                   "first is 0");
    assert_refused(f, before, after, "-1", PENDING_E_FAILED,
                   "@ has no cell of code with the number or id \"-1\"; there are 2, the "
                   "first is 0");
}

static void
test_a_number_goes_before_an_id(void **state)
{
    struct fixture *f = *state;

    put(f->path, BOOK(CELL("1", "1", "1", "[]") "," CELL("77", "2", "2", "[]")), 0600);
    put(f->pending, BOOK(CELL("1", "1", "3", "[]") "," CELL("77", "2", "4", "[]")), 0600);
    assert_int_equal(accept(f, "1"), 0);
    assert_file(f->path, BOOK(CELL("1", "1", "1", "[]") "," CELL("77", "2", "4", "[]")));
    put(f->path, BOOK(CELL("1", "1", "1", "[]") "," CELL("77", "2", "2", "[]")), 0600);
    assert_int_equal(accept(f, "77"), 0);
    assert_file(f->path, BOOK(CELL("1", "1", "1", "[]") "," CELL("77", "2", "4", "[]")));
}

static void
test_a_pending_file_that_is_damaged_or_anothers_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_refused(f, before, "{\"nbformat\":4,\n", NULL, PENDING_E_FAILED,
                   "%: line 2: JSON ends too early, at byte 15: delete it, or record the "
                   "notebook again");
    assert_refused(f, before, BOOK(CELL("other", "7", "7", "[]")), NULL, PENDING_E_FAILED,
                   "% is of another notebook than @, none of its cells is there: delete "
                   "it, or record the notebook again");
    assert_refused(f, "[]", after, NULL, PENDING_E_FAILED,
                   "@: it is an array, not an object: not a Jupyter notebook");
}

static void
test_what_is_no_file_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(accept(f, NULL), PENDING_E_FAILED);
    assert_non_null(strstr(f->err.text, "a.ipynb: No such file or directory"));
    put(f->path, before, 0600);
    assert_int_equal(mkfifo(f->pending, 0600), 0);
    assert_int_equal(accept(f, NULL), PENDING_E_FAILED);
    assert_non_null(strstr(f->err.text, "a.pending.ipynb is not a file"));
}

static void
test_a_link_stays_a_link_and_its_target_changes(void **state)
{
    struct fixture *f = *state;
    struct stat status;
    char real[128];

    snprintf(real, sizeof real, "%s/real.ipynb", f->folder);
    put(real, before, 0600);
    put(f->pending, after, 0600);
    assert_int_equal(symlink("real.ipynb", f->path), 0);
    assert_int_equal(accept(f, NULL), 0);
    assert_int_equal(lstat(f->path, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_file(real, after);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_pending_notebook_is_beside_its_source,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_what_is_written_as_pending_is_the_notebook_with_its_changes, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_a_notebook_of_nbformat_3_cannot_be_recorded,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_accepting_all_takes_all_and_removes_the_pending_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accepting_a_cell_leaves_the_others_pending,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_accepting_what_is_the_same_removes_the_pending_file_alone, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_nothing_pending_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_cells_are_found_by_their_ids_wherever_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_cells_without_ids_are_found_by_place_and_source, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cell_whose_source_has_changed_is_refused,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cell_that_is_not_there_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_number_goes_before_an_id, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_a_pending_file_that_is_damaged_or_anothers_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_file_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_link_stays_a_link_and_its_target_changes,
                                        setup, teardown),
    };

    return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}

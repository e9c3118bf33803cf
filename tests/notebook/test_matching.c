/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/matching.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/notebook.h"

#define CELLS_MAX 16

/* A notebook of cells "id:source", separated by spaces; "#" instead is Markdown. */
struct made {
    char text[256];
    struct notebook_cell cells[CELLS_MAX];
    struct notebook notebook;
};

static void
make(struct made *made, const char *cells)
{
    char *save = NULL;

    *made = (struct made){ .notebook = { .format = 4, .cells = made->cells } };
    snprintf(made->text, sizeof made->text, "%s", cells);
    for (char *word = strtok_r(made->text, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        struct notebook_cell *cell = &made->cells[made->notebook.cell_count++];
        char *colon = strchr(word, ':');

        assert_true(made->notebook.cell_count <= CELLS_MAX);
        *cell = (struct notebook_cell){ .type = NOTEBOOK_MARKDOWN };
        if (colon == NULL)
            continue;
        *colon = '\0';
        cell->type = NOTEBOOK_CODE;
        cell->id = slice_text(word);
        cell->source = slice_text(colon + 1);
    }
}

/* EXPECTED: "0=0 1=- -=1", indices before and after, with a space behind each. */
static void
assert_matches(const char *before, const char *after, const char *expected)
{
    CLEANUP(matching_fini) struct matching matching = { 0 };
    struct made a, b;
    char got[512] = "";

    make(&a, before);
    make(&b, after);
    assert_int_equal(matching_create(&matching, &a.notebook, &b.notebook), 0);
    for (size_t i = 0; i < matching.count; i++) {
        const struct matching_pair *pair = &matching.pairs[i];
        size_t used = strlen(got);

        if (pair->before == MATCHING_NONE)
            snprintf(got + used, sizeof got - used, "-=%zu ", pair->after);
        else if (pair->after == MATCHING_NONE)
            snprintf(got + used, sizeof got - used, "%zu=- ", pair->before);
        else
            snprintf(got + used, sizeof got - used, "%zu=%zu ", pair->before,
                     pair->after);
    }
    assert_string_equal(got, expected);
}

static void
test_notebooks_without_code_have_no_pairs(void **state)
{
    (void)state;
    assert_matches("", "", "");
    assert_matches("# #", "#", "");
}

static void
test_cells_with_the_same_id_match_wherever_they_are(void **state)
{
    (void)state;
    assert_matches("a:1 b:2 c:3", "a:1 b:2 c:3", "0=0 1=1 2=2 ");
    assert_matches("a:1 b:2 c:3", "c:3 a:9 b:2", "2=0 0=1 1=2 ");
    assert_matches("a:1 # b:2", "# a:2 b:1", "0=1 2=2 ");
}

static void
test_cells_without_ids_match_by_their_source(void **state)
{
    (void)state;
    assert_matches(":1 :2 :3", ":1 :new :2 :3", "0=0 -=1 1=2 2=3 ");
    assert_matches(":1 :2 :3", ":1 :3", "0=0 1=- 2=1 ");
    assert_matches(":x :1 :2 :3", ":1 :2 :3 :x", "0=- 1=0 2=1 3=2 -=3 ");
}

static void
test_ids_that_are_new_do_not_keep_equal_sources_apart(void **state)
{
    (void)state;
    assert_matches("a:1 b:2", "c:1 d:2", "0=0 1=1 ");
    assert_matches(":1 :2", "c:1 d:2", "0=0 1=1 ");
}

static void
test_what_is_left_between_two_matches_goes_together_in_order(void **state)
{
    (void)state;
    assert_matches(":1 :old :2", ":1 :new :2", "0=0 1=1 2=2 ");
    assert_matches(":1 :old :older :2", ":1 :new :2", "0=0 1=1 2=- 3=2 ");
    assert_matches(":1 :old :2", ":1 :new :newer :2 :last", "0=0 1=1 -=2 2=3 -=4 ");
    assert_matches(":a", ":b", "0=0 ");
    assert_matches(":gone :1", ":1 :came", "0=- 1=0 -=1 ");
}

static void
test_what_was_removed_is_told_behind_what_it_stood_behind(void **state)
{
    (void)state;
    assert_matches("a:1 b:2 c:3", "c:3 a:1", "2=0 0=1 1=- ");
    assert_matches("a:1 b:2", "", "0=- 1=- ");
    assert_matches("", "a:1 b:2", "-=0 -=1 ");
}

static void
test_an_id_that_several_cells_have_matches_nothing(void **state)
{
    (void)state;
    assert_matches("a:1 a:2", "a:2", "0=- 1=0 ");
    assert_matches("a:1", "b:3 a:2 a:1", "-=0 -=1 0=2 ");
}

/* A notebook of COUNT cells with sources of their own, but for the one at SKIPPED. */
static struct notebook
make_large(struct notebook_cell *cells, char (*texts)[24], size_t count, size_t skipped)
{
    struct notebook notebook = { .format = 4, .cells = cells };

    for (size_t i = 0; i < count; i++) {
        if (i == skipped)
            continue;
        snprintf(texts[i], sizeof texts[i], "%zu", i);
        cells[notebook.cell_count++] =
            (struct notebook_cell){ .type = NOTEBOOK_CODE,
                                    .source = slice_text(texts[i]) };
    }
    return notebook;
}

static void
test_large_notebooks_are_matched_with_bounded_work(void **state)
{
    enum { COUNT = NOTEBOOK_CELLS_MAX, SKIPPED = 70 };
    CLEANUP(freep) struct notebook_cell *cells = calloc(2 * COUNT, sizeof *cells);
    CLEANUP(freep) char (*texts)[24] = calloc(COUNT, sizeof *texts);
    CLEANUP(matching_fini) struct matching matching = { 0 };
    struct notebook before, after;

    (void)state;
    assert_non_null(cells);
    assert_non_null(texts);
    before = make_large(cells, texts, COUNT, COUNT);
    after = make_large(cells + COUNT, texts, COUNT, SKIPPED);
    assert_int_equal(matching_create(&matching, &before, &after), 0);
    assert_int_equal(matching.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        size_t expected = i < SKIPPED ? i : i == SKIPPED ? MATCHING_NONE : i - 1;

        assert_int_equal(matching.pairs[i].before, i);
        assert_int_equal(matching.pairs[i].after, expected);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notebooks_without_code_have_no_pairs),
        cmocka_unit_test(test_cells_with_the_same_id_match_wherever_they_are),
        cmocka_unit_test(test_cells_without_ids_match_by_their_source),
        cmocka_unit_test(test_ids_that_are_new_do_not_keep_equal_sources_apart),
        cmocka_unit_test(test_what_is_left_between_two_matches_goes_together_in_order),
        cmocka_unit_test(test_what_was_removed_is_told_behind_what_it_stood_behind),
        cmocka_unit_test(test_an_id_that_several_cells_have_matches_nothing),
        cmocka_unit_test(test_large_notebooks_are_matched_with_bounded_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

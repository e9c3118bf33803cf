/* SPDX-License-Identifier: MIT */
/*
 * A notebook that can be read can be written, without its outputs and with them again,
 * and then has the same cells. Once it is as we write it, its own outputs change nothing.
 */
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/notebook.h"
#include "tests/fuzz/fuzz.h"

static const struct json_limits limits = { 1 << 26, JSON_DEPTH_MAX };

static bool
same(struct slice a, struct slice b)
{
    return a.length == b.length &&
           (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* NOTEBOOK's file with the outputs and counts that SOURCE has, or with none (NULL). */
static void
rewrite(const struct notebook *notebook, const struct notebook *source,
        struct buffer *ret)
{
    size_t room = notebook->cell_count + 1, count = 0;
    struct notebook_change *changes = calloc(room, sizeof *changes);
    struct buffer *outputs = calloc(room, sizeof *outputs);

    CHECK(changes != NULL && outputs != NULL);
    for (size_t i = 0; i < notebook->cell_count; i++) {
        buffer_init(&outputs[i], SIZE_MAX);
        if (notebook->cells[i].type != NOTEBOOK_CODE)
            continue;
        if (source != NULL)
            CHECK(notebook_append_outputs(&source->cells[i], &outputs[i]) == 0);
        else
            CHECK(buffer_append_text(&outputs[i], "[]") == 0);
        CHECK(json_scan(buffer_slice(&outputs[i]), &limits, NULL) == 0);
        changes[count++] = (struct notebook_change){
            .cell = i,
            .outputs = buffer_slice(&outputs[i]),
            .execution_count = source != NULL ? source->cells[i].execution_count : -1,
        };
    }
    buffer_init(ret, SIZE_MAX);
    CHECK(notebook_rewrite(notebook, changes, count, ret, NULL) == 0);
    for (size_t i = 0; i < notebook->cell_count; i++)
        buffer_fini(&outputs[i]);
    free(outputs);
    free(changes);
}

static void
check_same_cells(const struct notebook *a, const struct notebook *b)
{
    struct buffer left, right;

    CHECK(a->cell_count == b->cell_count && a->minor == b->minor);
    CHECK(same(a->metadata, b->metadata));
    for (size_t i = 0; i < a->cell_count; i++) {
        CHECK(a->cells[i].type == b->cells[i].type);
        CHECK(same(a->cells[i].id, b->cells[i].id));
        CHECK(same(a->cells[i].source, b->cells[i].source));
        CHECK(same(a->cells[i].metadata, b->cells[i].metadata));
        CHECK(a->cells[i].execution_count == b->cells[i].execution_count);
        buffer_init(&left, SIZE_MAX);
        buffer_init(&right, SIZE_MAX);
        CHECK(notebook_append_outputs(&a->cells[i], &left) == 0);
        CHECK(notebook_append_outputs(&b->cells[i], &right) == 0);
        CHECK(same(buffer_slice(&left), buffer_slice(&right)));
        buffer_fini(&left);
        buffer_fini(&right);
    }
}

static void
check_written(const struct notebook *notebook)
{
    CLEANUP(notebook_destroyp) struct notebook *bare = NULL;
    CLEANUP(notebook_destroyp) struct notebook *written = NULL;
    struct buffer without, with, again;

    rewrite(notebook, NULL, &without);
    CHECK(notebook_read(&bare, buffer_slice(&without), NULL) == 0);
    rewrite(bare, notebook, &with);
    CHECK(notebook_read(&written, buffer_slice(&with), NULL) == 0);
    check_same_cells(notebook, written);
    rewrite(written, notebook, &again);
    CHECK(same(buffer_slice(&with), buffer_slice(&again)));
    buffer_fini(&without);
    buffer_fini(&with);
    buffer_fini(&again);
}

static void
check_output(struct slice output)
{
    struct slice type;

    CHECK(json_scan_object(output, &limits, NULL) == 0);
    CHECK(json_member(output, "output_type", &type) == 0);
}

/* What was converted from nbformat 3 must be JSON, too. */
static void
check_outputs(const struct notebook *notebook)
{
    for (size_t i = 0; i < notebook->cell_count; i++) {
        for (size_t k = 0; k < notebook->cells[i].output_count; k++)
            check_output(notebook->cells[i].outputs[k]);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
    struct error err = { 0 };
    int r = notebook_read(&notebook, (struct slice){ data, size }, &err);

    CHECK(r == 0 || r == NOTEBOOK_E_INVALID);
    CHECK(err.code == r);
    CHECK((notebook != NULL) == (r == 0));
    if (r != 0)
        return 0;
    check_outputs(notebook);
    if (notebook->format == 4)
        check_written(notebook);
    return 0;
}

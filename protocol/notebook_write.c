/* SPDX-License-Identifier: MIT */
/*
 * Rewriting is splicing: of each changed cell the values of two members are replaced, or
 * the members put in, and everything between is copied. What is the same in another
 * layout stays as the file has it.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/notebook_layout.h"
#include "protocol/notebook_parts.h"

#define OUTPUTS_DEPTH_MAX (NOTEBOOK_DEPTH_MAX - 3) /* a file puts them that deep */
#define COUNT_BYTES 32 /* of an execution count as text, and its NUL */

/* In a cell, by their names' order. */
enum { EDIT_COUNT, EDIT_OUTPUTS, EDITS };

static const char *const edit_names[EDITS] = {
    [EDIT_COUNT] = "execution_count",
    [EDIT_OUTPUTS] = "outputs",
};

/* One value that is replaced, or put in with its name. */
struct edit {
    const uint8_t *from, *to; /* in the file: what goes; NULL: nothing changes */
    struct buffer text; /* owned: what comes */
};

/* Where the member NAME is, or belongs. */
struct spot {
    bool found;
    struct slice value; /* if it was found: raw */
    const uint8_t *before; /* else the name of the member that it goes before, or NULL */
    const uint8_t *behind; /* or the end of the last member */
};

/* As nbformat sorts them; names of cells' members have no escapes. */
static bool
goes_before(const char *name, struct slice key)
{
    size_t length = strlen(name), inside = key.length - 2;
    int order = memcmp(name, key.data + 1, length < inside ? length : inside);

    return order < 0 || (order == 0 && length < inside);
}

static void
find_spot(struct spot *ret, struct slice cell, const char *name)
{
    struct json_iterator iterator;
    struct slice key, value;

    *ret = (struct spot){ 0 };
    if (json_iterate(&iterator, cell) != 0)
        return;
    while (json_next(&iterator, &key, &value)) {
        if (json_string_equals(key, name)) {
            ret->found = true;
            ret->value = value;
        } else if (ret->before == NULL && goes_before(name, key)) {
            ret->before = key.data;
        }
        ret->behind = value.data + value.length;
    }
}

static int
append_named(struct buffer *ret, const struct notebook_layout *layout, const char *name,
             struct slice value)
{
    int r = buffer_append_format(ret, "\"%s\"", name);

    if (r == 0)
        r = buffer_append(ret, layout->colon.data, layout->colon.length);
    return r != 0 ? r : buffer_append(ret, value.data, value.length);
}

/* Gives member NAME of a cell VALUE, which is laid out already. */
static int
plan_edit(struct edit *edit, const struct spot *spot,
          const struct notebook_layout *layout, const char *name, struct slice value)
{
    int r;

    if (spot->found) {
        edit->from = spot->value.data;
        edit->to = spot->value.data + spot->value.length;
        return buffer_append(&edit->text, value.data, value.length);
    }
    if (spot->before != NULL) {
        edit->from = edit->to = spot->before;
        r = append_named(&edit->text, layout, name, value);
        if (r == 0)
            r = buffer_append_text(&edit->text, ",");
        return r != 0 ? r : notebook_layout_break(layout, &edit->text);
    }
    edit->from = edit->to = spot->behind;
    r = buffer_append_text(&edit->text, ",");
    if (r == 0)
        r = notebook_layout_break(layout, &edit->text);
    return r != 0 ? r : append_named(&edit->text, layout, name, value);
}

static int
plan_count(struct edit *edit, struct slice cell, const struct notebook_layout *layout,
           int64_t count)
{
    char text[COUNT_BYTES] = "null";
    struct spot spot;

    if (count >= 0)
        snprintf(text, sizeof text, "%" PRId64, count);
    find_spot(&spot, cell, edit_names[EDIT_COUNT]);
    if (spot.found && slice_equals_text(spot.value, text))
        return 0;
    return plan_edit(edit, &spot, layout, edit_names[EDIT_COUNT], slice_text(text));
}

static int
plan_outputs(struct edit *edit, struct slice cell, const struct notebook_layout *layout,
             struct slice outputs)
{
    struct buffer before, after;
    struct spot spot;
    int r;

    buffer_init(&before, SIZE_MAX);
    buffer_init(&after, edit->text.limit);
    find_spot(&spot, cell, edit_names[EDIT_OUTPUTS]);
    r = notebook_layout_outputs(layout, outputs, &after);
    if (r == 0 && spot.found && json_kind(spot.value) == JSON_KIND_ARRAY)
        r = notebook_layout_outputs(layout, spot.value, &before);
    if (r == 0 && (before.length != after.length ||
                   memcmp(before.data, after.data, after.length) != 0))
        r = plan_edit(edit, &spot, layout, edit_names[EDIT_OUTPUTS],
                      buffer_slice(&after));
    buffer_fini(&before);
    buffer_fini(&after);
    return r;
}

/* Copies the file from *AT to where EDIT begins, and what comes there. */
static int
make_edit(const struct edit *edit, const uint8_t **at, struct buffer *ret)
{
    int r;

    if (edit->from == NULL)
        return 0;
    assert(edit->from >= *at);
    r = buffer_append(ret, *at, (size_t)(edit->from - *at));
    *at = edit->to;
    return r != 0 ? r : buffer_append(ret, edit->text.data, edit->text.length);
}

static int
rewrite_cell(const struct notebook *notebook, const struct notebook_layout *file,
             const struct notebook_change *change, const uint8_t **at, struct buffer *ret)
{
    struct slice cell = notebook->parts->places[change->cell].object;
    struct notebook_layout layout;
    struct edit edits[EDITS] = { 0 };
    bool turned;
    int r;

    for (size_t i = 0; i < EDITS; i++)
        buffer_init(&edits[i].text, ret->limit);
    notebook_layout_find_cell(&layout, file, cell);
    r = plan_count(&edits[EDIT_COUNT], cell, &layout, change->execution_count);
    if (r == 0)
        r = plan_outputs(&edits[EDIT_OUTPUTS], cell, &layout, change->outputs);
    turned = edits[EDIT_COUNT].from != NULL && edits[EDIT_OUTPUTS].from != NULL &&
             edits[EDIT_COUNT].from > edits[EDIT_OUTPUTS].from;
    for (size_t i = 0; r == 0 && i < EDITS; i++)
        r = make_edit(&edits[turned ? EDITS - 1 - i : i], at, ret);
    for (size_t i = 0; i < EDITS; i++)
        buffer_fini(&edits[i].text);
    return r;
}

static int
check_outputs(const struct notebook_change *change, struct error *err)
{
    static const struct json_limits limits = { NOTEBOOK_BYTES_MAX, OUTPUTS_DEPTH_MAX };
    struct error detail = { 0 };
    int r = json_scan(change->outputs, &limits, &detail);

    if (r > 0)
        return error_set(err, NOTEBOOK_E_INVALID, "the new outputs of cell %zu: %s",
                         change->cell, detail.text);
    if (json_kind(change->outputs) != JSON_KIND_ARRAY)
        return error_set(err, NOTEBOOK_E_INVALID,
                         "the new outputs of cell %zu are %s, not an array", change->cell,
                         json_kind_name(json_kind(change->outputs)));
    return 0;
}

int
notebook_rewrite(const struct notebook *notebook, const struct notebook_change *changes,
                 size_t count, struct buffer *ret, struct error *err)
{
    const struct buffer *text = &notebook->parts->text;
    const uint8_t *at = text->data;
    size_t before = ret->length;
    struct notebook_layout layout;
    int r = 0;

    if (notebook->format != 4)
        return error_set(err, NOTEBOOK_E_OLD,
                         "nbformat %d can be read but not written: save the notebook "
                         "with Jupyter, which makes it nbformat 4",
                         notebook->format);
    for (size_t i = 0; r == 0 && i < count; i++) {
        assert(changes[i].cell < notebook->cell_count);
        assert(notebook->cells[changes[i].cell].type == NOTEBOOK_CODE);
        assert(i == 0 || changes[i - 1].cell < changes[i].cell);
        r = check_outputs(&changes[i], err);
        if (r != 0)
            return r;
    }
    if (count > 0)
        notebook_layout_find(&layout, notebook->parts->json);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = rewrite_cell(notebook, &layout, &changes[i], &at, ret);
    if (r == 0)
        r = buffer_append(ret, at, (size_t)(text->data + text->length - at));
    if (r != 0)
        ret->length = before;
    if (r > 0)
        return error_set(err, NOTEBOOK_E_TOO_LARGE, "it would be larger than %zu bytes",
                         ret->limit);
    return r;
}

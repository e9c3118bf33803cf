/* SPDX-License-Identifier: MIT */
/*
 * The reader. It refuses what could not be run or compared, and lets pass what front ends
 * let pass: members that are missing, cells of unknown types, ids that occur twice.
 */
#include "protocol/notebook.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/notebook_parts.h"

#define MARK "\xef\xbb\xbf" /* of the byte order, which some editors write */
#define DETAIL_BYTES 256
#define NOTEBOOK_WORKSHEETS_MAX 64 /* of nbformat 3 */

/* The members of one object, found in one pass; each is raw JSON. */
enum member {
    MEMBER_NBFORMAT,
    MEMBER_NBFORMAT_MINOR,
    MEMBER_METADATA,
    MEMBER_CELLS,
    MEMBER_WORKSHEETS,
    MEMBER_CELL_TYPE,
    MEMBER_ID,
    MEMBER_SOURCE,
    MEMBER_INPUT,
    MEMBER_LEVEL,
    MEMBER_OUTPUTS,
    MEMBER_EXECUTION_COUNT,
    MEMBER_PROMPT_NUMBER,
    MEMBERS
};

static const char *const member_names[MEMBERS] = {
    [MEMBER_NBFORMAT] = "nbformat",
    [MEMBER_NBFORMAT_MINOR] = "nbformat_minor",
    [MEMBER_METADATA] = "metadata",
    [MEMBER_CELLS] = "cells",
    [MEMBER_WORKSHEETS] = "worksheets",
    [MEMBER_CELL_TYPE] = "cell_type",
    [MEMBER_ID] = "id",
    [MEMBER_SOURCE] = "source",
    [MEMBER_INPUT] = "input",
    [MEMBER_LEVEL] = "level",
    [MEMBER_OUTPUTS] = "outputs",
    [MEMBER_EXECUTION_COUNT] = "execution_count",
    [MEMBER_PROMPT_NUMBER] = "prompt_number",
};

struct members {
    struct slice at[MEMBERS]; /* data is NULL: missing, or null */
    bool is_there[MEMBERS];
};

struct reading {
    struct notebook *notebook; /* borrowed */
    const uint8_t *counted; /* up to where lines are counted */
    size_t line; /* there */
    struct error *err;
};

static size_t
line_at(struct reading *reading, const uint8_t *at)
{
    while (reading->counted < at) {
        const uint8_t *end =
            memchr(reading->counted, '\n', (size_t)(at - reading->counted));

        if (end == NULL)
            break;
        reading->counted = end + 1;
        reading->line++;
    }
    return reading->line;
}

/* Refuses the cell that is being read; AT is in the file. */
__attribute__((format(printf, 3, 4))) static int
refuse_cell(struct reading *reading, const uint8_t *at, const char *format, ...)
{
    char detail[DETAIL_BYTES];
    va_list ap;

    va_start(ap, format);
    vsnprintf(detail, sizeof detail, format, ap);
    va_end(ap);
    return error_set(reading->err, NOTEBOOK_E_INVALID, "line %zu: cell %zu: %s",
                     line_at(reading, at), reading->notebook->cell_count, detail);
}

static void
find_members(struct members *ret, struct slice object)
{
    struct json_iterator iterator;
    struct slice key, value;

    *ret = (struct members){ 0 };
    if (json_kind(object) != JSON_KIND_OBJECT || json_iterate(&iterator, object) != 0)
        return;
    while (json_next(&iterator, &key, &value)) {
        for (size_t i = 0; i < MEMBERS; i++) {
            if (!json_string_equals(key, member_names[i]))
                continue;
            ret->is_there[i] = true;
            ret->at[i] = json_kind(value) == JSON_KIND_NULL ? (struct slice){ 0 } : value;
        }
    }
}

static size_t
count_elements(struct slice array)
{
    struct json_iterator iterator;
    struct slice value;
    size_t count = 0;

    if (array.data == NULL || json_iterate(&iterator, array) != 0)
        return 0;
    while (json_next(&iterator, NULL, &value))
        count++;
    return count;
}

int
notebook_decode_lines(struct slice value, struct buffer *ret)
{
    struct json_iterator iterator;
    struct slice line;
    int r = 0;

    if (json_kind(value) == JSON_KIND_STRING)
        return json_decode_string(value, ret);
    if (json_kind(value) != JSON_KIND_ARRAY || json_iterate(&iterator, value) != 0)
        return JSON_E_TYPE;
    while (r == 0 && json_next(&iterator, NULL, &line))
        r = json_decode_string(line, ret);
    return r;
}

/* The first line of text that may be a list of lines. */
static const uint8_t *
first_line(struct slice value)
{
    struct json_iterator iterator;
    struct slice line;

    if (json_kind(value) == JSON_KIND_ARRAY && json_iterate(&iterator, value) == 0 &&
        json_next(&iterator, NULL, &line))
        return line.data;
    return value.data;
}

bool
notebook_is_text(struct slice value)
{
    struct json_iterator iterator;
    struct slice line;

    if (json_kind(value) != JSON_KIND_ARRAY)
        return json_kind(value) == JSON_KIND_STRING;
    if (json_iterate(&iterator, value) != 0)
        return false;
    while (json_next(&iterator, NULL, &line)) {
        if (json_kind(line) != JSON_KIND_STRING)
            return false;
    }
    return true;
}

/* AT: where OUTPUT, number NUMBER, is in the file; it may itself be converted. */
static int
check_output(struct reading *reading, const uint8_t *at, size_t number,
             struct slice output)
{
    struct slice type, value;

    if (json_kind(output) != JSON_KIND_OBJECT)
        return refuse_cell(reading, at, "output %zu is %s, not an object", number,
                           json_kind_name(json_kind(output)));
    if (json_member(output, "output_type", &type) != 0)
        return refuse_cell(reading, at, "output %zu has no output_type", number);
    if (json_kind(type) != JSON_KIND_STRING)
        return refuse_cell(reading, at, "output %zu: output_type is %s, not a string",
                           number, json_kind_name(json_kind(type)));
    if (json_string_equals(type, "stream") && json_member(output, "text", &value) == 0 &&
        !notebook_is_text(value))
        return refuse_cell(reading, at, "output %zu: text is not a string or strings",
                           number);
    if ((json_string_equals(type, "display_data") ||
         json_string_equals(type, "execute_result")) &&
        json_member(output, "data", &value) == 0 && json_kind(value) != JSON_KIND_OBJECT)
        return refuse_cell(reading, at, "output %zu: data is %s, not an object", number,
                           json_kind_name(json_kind(value)));
    return 0;
}

/* Of nbformat 3: OUTPUTS are converted into DECODED, one behind the other. */
static int
upgrade_outputs(struct reading *reading, struct notebook_cell *cell,
                struct buffer *decoded, struct slice outputs)
{
    size_t from = decoded->length, number = 0;
    struct json_iterator iterator;
    struct slice value;
    int r = 0;

    if (json_iterate(&iterator, outputs) != 0)
        return 0;
    for (; r == 0 && json_next(&iterator, NULL, &value); number++) {
        size_t before = decoded->length;
        struct slice converted;

        r = notebook_upgrade_output(value, decoded);
        if (r > 0)
            return refuse_cell(reading, value.data, "its outputs are too large");
        if (r < 0)
            return r;
        converted = (struct slice){ decoded->data + before, decoded->length - before };
        r = check_output(reading, value.data, number, converted);
        cell->outputs[number].length = converted.length;
    }
    for (size_t i = 0; r == 0 && i < number; i++) { /* the buffer does not move now */
        cell->outputs[i].data = decoded->data + from;
        from += cell->outputs[i].length;
    }
    return r;
}

static int
read_outputs(struct reading *reading, struct notebook_cell *cell,
             struct notebook_place *place, const struct members *members)
{
    struct slice outputs = members->at[MEMBER_OUTPUTS], value;
    struct json_iterator iterator;
    size_t number = 0;
    int r = 0;

    if (outputs.data == NULL)
        return 0;
    if (json_kind(outputs) != JSON_KIND_ARRAY || json_iterate(&iterator, outputs) != 0)
        return refuse_cell(reading, outputs.data, "outputs is %s, not an array",
                           json_kind_name(json_kind(outputs)));
    cell->output_count = count_elements(outputs);
    if (cell->output_count == 0)
        return 0;
    if (cell->output_count > NOTEBOOK_OUTPUTS_MAX)
        return refuse_cell(reading, outputs.data, "%zu outputs, at most %d",
                           cell->output_count, NOTEBOOK_OUTPUTS_MAX);
    cell->outputs = calloc(cell->output_count, sizeof *cell->outputs);
    if (cell->outputs == NULL)
        return -ENOMEM;
    if (reading->notebook->format == 3)
        return upgrade_outputs(reading, cell, &place->decoded, outputs);
    while (r == 0 && json_next(&iterator, NULL, &value)) {
        r = check_output(reading, value.data, number, value);
        cell->outputs[number++] = value;
    }
    return r;
}

static int
read_metadata(struct slice *ret, const struct members *members)
{
    struct slice value = members->at[MEMBER_METADATA];

    if (value.data == NULL)
        value = slice_text("{}");
    if (json_kind(value) != JSON_KIND_OBJECT)
        return JSON_E_TYPE;
    *ret = value;
    return 0;
}

static int
read_type(struct reading *reading, struct notebook_cell *cell, struct slice object,
          const struct members *members)
{
    static const struct {
        const char *name;
        enum notebook_cell_type type;
    } types[] = {
        { "code", NOTEBOOK_CODE },
        { "markdown", NOTEBOOK_MARKDOWN },
        { "heading", NOTEBOOK_MARKDOWN }, /* this and the next: nbformat 3 */
        { "html", NOTEBOOK_MARKDOWN },
    };
    struct slice value = members->at[MEMBER_CELL_TYPE];

    if (value.data == NULL)
        return refuse_cell(reading, object.data, "cell_type is missing");
    if (json_kind(value) != JSON_KIND_STRING)
        return refuse_cell(reading, value.data, "cell_type is %s, not a string",
                           json_kind_name(json_kind(value)));
    cell->type = NOTEBOOK_RAW;
    for (size_t i = 0; i < N_ELEMENTS(types); i++) {
        if (json_string_equals(value, types[i].name))
            cell->type = types[i].type;
    }
    return 0;
}

/* The id and, behind it, the source. */
static int
read_texts(struct reading *reading, struct notebook_cell *cell,
           struct notebook_place *place, const struct members *members)
{
    struct slice id = members->at[MEMBER_ID], source = members->at[MEMBER_SOURCE];
    bool old = reading->notebook->format == 3;
    struct buffer *decoded = &place->decoded;
    int64_t level = 1;
    int r = 0;

    if (old && cell->type == NOTEBOOK_CODE)
        source = members->at[MEMBER_INPUT];
    if (id.data != NULL && json_kind(id) != JSON_KIND_STRING)
        id = (struct slice){ 0 };
    cell->line =
        line_at(reading, source.data != NULL ? first_line(source) : place->object.data);
    if (id.data != NULL)
        r = json_decode_string(id, decoded);
    cell->id.length = decoded->length;
    if (r == 0 && source.data != NULL) {
        if (old && json_string_equals(members->at[MEMBER_CELL_TYPE], "heading")) {
            if (members->at[MEMBER_LEVEL].data != NULL)
                json_get_int(members->at[MEMBER_LEVEL], &level);
            r = notebook_upgrade_heading(source, level, decoded);
        } else {
            r = notebook_decode_lines(source, decoded);
        }
    }
    if (r == JSON_E_TYPE)
        return refuse_cell(reading, source.data, "its source is not a string or strings");
    if (r > 0)
        return refuse_cell(reading, place->object.data, "it is too large");
    cell->source.length = decoded->length - cell->id.length;
    return r;
}

static int64_t
read_count(struct slice value)
{
    int64_t count;

    if (value.data == NULL || json_get_int(value, &count) != 0 || count < 0)
        return -1;
    return count;
}

static int
read_cell(struct reading *reading, struct slice object)
{
    struct notebook *notebook = reading->notebook;
    struct notebook_cell *cell = &notebook->cells[notebook->cell_count];
    struct notebook_place *place = &notebook->parts->places[notebook->cell_count];
    bool old = notebook->format == 3;
    struct members members;
    int r;

    assert(notebook->cells != NULL); /* as many as there are have been made */
    if (json_kind(object) != JSON_KIND_OBJECT)
        return refuse_cell(reading, object.data, "it is %s, not an object",
                           json_kind_name(json_kind(object)));
    find_members(&members, object);
    place->object = object;
    buffer_init(&place->decoded, old ? NOTEBOOK_BYTES_MAX : object.length);
    cell->execution_count = -1;
    if (read_metadata(&cell->metadata, &members) != 0)
        return refuse_cell(reading, members.at[MEMBER_METADATA].data,
                           "metadata is %s, not an object",
                           json_kind_name(json_kind(members.at[MEMBER_METADATA])));
    r = read_type(reading, cell, object, &members);
    if (r == 0)
        r = read_texts(reading, cell, place, &members);
    if (r == 0 && cell->type == NOTEBOOK_CODE) {
        cell->execution_count =
            read_count(members.at[old ? MEMBER_PROMPT_NUMBER : MEMBER_EXECUTION_COUNT]);
        r = read_outputs(reading, cell, place, &members);
    }
    if (r != 0)
        return r;
    cell->id.data = place->decoded.data;
    if (cell->source.length > 0)
        cell->source.data = place->decoded.data + cell->id.length;
    return 0;
}

static int
read_cells(struct reading *reading, struct slice cells)
{
    struct json_iterator iterator;
    struct slice cell;
    int r = 0;

    if (json_kind(cells) != JSON_KIND_ARRAY || json_iterate(&iterator, cells) != 0)
        return error_set(reading->err, NOTEBOOK_E_INVALID,
                         "line %zu: cells is %s, not an array",
                         line_at(reading, cells.data), json_kind_name(json_kind(cells)));
    while (r == 0 && json_next(&iterator, NULL, &cell)) {
        r = read_cell(reading, cell);
        reading->notebook->cell_count++; /* what it has got is to be freed */
    }
    return r;
}

/* Makes room for the cells of all LISTS: the cells, or the worksheets that have them. */
static int
make_cells(struct reading *reading, const struct slice *lists, size_t count)
{
    struct notebook *notebook = reading->notebook;
    size_t cells = 0;

    for (size_t i = 0; i < count; i++)
        cells += count_elements(lists[i]);
    if (cells > NOTEBOOK_CELLS_MAX)
        return error_set(reading->err, NOTEBOOK_E_INVALID, "%zu cells, at most %d", cells,
                         NOTEBOOK_CELLS_MAX);
    if (cells == 0)
        return 0;
    notebook->cells = calloc(cells, sizeof *notebook->cells);
    notebook->parts->places = calloc(cells, sizeof *notebook->parts->places);
    return notebook->cells == NULL || notebook->parts->places == NULL ? -ENOMEM : 0;
}

/* Of nbformat 3, whose cells are in worksheets; there has never been more than one. */
static int
read_worksheets(struct reading *reading, struct slice worksheets)
{
    struct slice cells[NOTEBOOK_WORKSHEETS_MAX], worksheet;
    struct json_iterator iterator;
    size_t count = 0;
    int r;

    if (worksheets.data == NULL)
        return 0;
    if (json_kind(worksheets) != JSON_KIND_ARRAY ||
        json_iterate(&iterator, worksheets) != 0)
        return error_set(reading->err, NOTEBOOK_E_INVALID,
                         "worksheets is %s, not an array",
                         json_kind_name(json_kind(worksheets)));
    while (json_next(&iterator, NULL, &worksheet)) {
        struct members members;

        find_members(&members, worksheet);
        if (members.at[MEMBER_CELLS].data == NULL)
            continue;
        if (count == N_ELEMENTS(cells))
            return error_set(reading->err, NOTEBOOK_E_INVALID,
                             "more than %d worksheets that have cells",
                             NOTEBOOK_WORKSHEETS_MAX);
        cells[count++] = members.at[MEMBER_CELLS];
    }
    r = make_cells(reading, cells, count);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = read_cells(reading, cells[i]);
    return r;
}

static int
read_number(struct reading *reading, const struct members *members, enum member member,
            int *ret)
{
    struct slice value = members->at[member];
    int64_t number;
    int r;

    if (value.data == NULL)
        return error_set(reading->err, NOTEBOOK_E_INVALID,
                         "it has no %s: not a Jupyter notebook", member_names[member]);
    r = json_get_int(value, &number);
    if (r != 0 || number < 0 || number > INT16_MAX)
        return error_set(reading->err, NOTEBOOK_E_INVALID, "line %zu: %s is %.*s",
                         line_at(reading, value.data), member_names[member],
                         value.length > 20 ? 20 : (int)value.length,
                         (const char *)value.data);
    *ret = (int)number;
    return 0;
}

static int
read_notebook(struct reading *reading)
{
    struct notebook *notebook = reading->notebook;
    struct slice json = notebook->parts->json;
    struct members members;
    int r;

    if (json_kind(json) != JSON_KIND_OBJECT)
        return error_set(reading->err, NOTEBOOK_E_INVALID,
                         "it is %s, not an object: not a Jupyter notebook",
                         json_kind_name(json_kind(json)));
    find_members(&members, json);
    r = read_number(reading, &members, MEMBER_NBFORMAT, &notebook->format);
    if (r != 0)
        return r;
    if (notebook->format != 3 && notebook->format != 4)
        return error_set(reading->err, NOTEBOOK_E_INVALID,
                         "nbformat %d: only 3 and 4 can be read%s", notebook->format,
                         notebook->format < 3 ? "; Jupyter can convert it" : "");
    if (members.at[MEMBER_NBFORMAT_MINOR].data != NULL)
        r = read_number(reading, &members, MEMBER_NBFORMAT_MINOR, &notebook->minor);
    if (r == 0 && read_metadata(&notebook->metadata, &members) != 0)
        r = error_set(reading->err, NOTEBOOK_E_INVALID, "metadata is %s, not an object",
                      json_kind_name(json_kind(members.at[MEMBER_METADATA])));
    if (r != 0)
        return r;
    if (notebook->format == 3)
        return read_worksheets(reading, members.at[MEMBER_WORKSHEETS]);
    if (members.at[MEMBER_CELLS].data == NULL)
        return error_set(reading->err, NOTEBOOK_E_INVALID,
                         "it has no cells: not a Jupyter notebook");
    r = make_cells(reading, &members.at[MEMBER_CELLS], 1);
    return r != 0 ? r : read_cells(reading, members.at[MEMBER_CELLS]);
}

/* Whether one of the COUNT TEXTS is at FROM. */
static bool
begins_with_any(const uint8_t *from, const uint8_t *end, const char *const *texts,
                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(texts[i]);

        if ((size_t)(end - from) >= length && memcmp(from, texts[i], length) == 0)
            return true;
    }
    return false;
}

/* Why a file is often not JSON: better told than what the scanner stumbled over. NULL:
 * neither. */
static const char *
find_cause(struct slice json, const uint8_t *at)
{
    static const char *const marks[] = { "<<<<<<<", "=======", ">>>>>>>", "|||||||" };
    static const char *const numbers[] = { "NaN", "Infinity", "-Infinity" };
    const uint8_t *line = at, *end = json.data + json.length;

    if (begins_with_any(at, end, numbers, N_ELEMENTS(numbers)))
        return "NaN or Infinity, which JSON does not have";
    while (line > json.data && line[-1] != '\n')
        line--;
    if (begins_with_any(line, end, marks, N_ELEMENTS(marks)))
        return "a merge conflict that is not resolved";
    return NULL;
}

static int
check_json(struct reading *reading)
{
    static const struct json_limits limits = { NOTEBOOK_BYTES_MAX, NOTEBOOK_DEPTH_MAX };
    struct slice json = reading->notebook->parts->json;
    struct error detail = { 0 };
    const char *cause;
    size_t byte;
    int r = json_scan_locate(json, &limits, &byte, &detail);

    if (r <= 0)
        return r;
    cause = find_cause(json, json.data + byte);
    return error_set(reading->err, NOTEBOOK_E_INVALID, "line %zu: %s",
                     line_at(reading, json.data + byte),
                     cause != NULL ? cause : detail.text);
}

static int
take_text(struct notebook_parts *parts, struct slice text, struct error *err)
{
    size_t mark = 0;
    int r;

    if (text.length > NOTEBOOK_BYTES_MAX)
        return error_set(err, NOTEBOOK_E_INVALID, "%zu bytes, at most %zu", text.length,
                         NOTEBOOK_BYTES_MAX);
    if (text.length >= strlen(MARK) && memcmp(text.data, MARK, strlen(MARK)) == 0)
        mark = strlen(MARK);
    if (text.length == mark)
        return error_set(err, NOTEBOOK_E_INVALID, "the file is empty");
    buffer_init(&parts->text, text.length);
    r = buffer_append(&parts->text, text.data, text.length);
    if (r != 0)
        return r;
    parts->json = (struct slice){ parts->text.data + mark, text.length - mark };
    return 0;
}

int
notebook_read(struct notebook **ret, struct slice text, struct error *err)
{
    CLEANUP(notebook_destroyp) struct notebook *notebook = calloc(1, sizeof *notebook);
    struct reading reading = { .notebook = notebook, .line = 1, .err = err };
    int r;

    if (notebook == NULL)
        return -ENOMEM;
    notebook->parts = calloc(1, sizeof *notebook->parts);
    if (notebook->parts == NULL)
        return -ENOMEM;
    r = take_text(notebook->parts, text, err);
    if (r != 0)
        return r;
    reading.counted = notebook->parts->json.data;
    assert(reading.counted != NULL);
    r = check_json(&reading);
    if (r == 0)
        r = read_notebook(&reading);
    if (r != 0)
        return r;
    *ret = notebook;
    notebook = NULL; /* the caller's now */
    return 0;
}

void
notebook_destroy(struct notebook *notebook)
{
    if (notebook == NULL)
        return;
    for (size_t i = 0; i < notebook->cell_count; i++) {
        free(notebook->cells[i].outputs);
        buffer_fini(&notebook->parts->places[i].decoded);
    }
    free(notebook->cells);
    if (notebook->parts != NULL) {
        free(notebook->parts->places);
        buffer_fini(&notebook->parts->text);
    }
    free(notebook->parts);
    free(notebook);
}

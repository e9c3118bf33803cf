/* SPDX-License-Identifier: MIT */
#include "protocol/notebook.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/error.h"

/* A notebook of nbformat 4.5 with these cells. */
#define BOOK(cells)                                                                      \
    "{\"cells\":[" cells "],\"metadata\":{},\"nbformat\":4,\"nbformat_minor\":5}"
#define CODE(members) "{\"cell_type\":\"code\"," members "}"

static struct notebook *
read_book(const char *text)
{
    struct notebook *notebook = NULL;
    struct error err = { 0 };

    if (notebook_read(&notebook, slice_text(text), &err) != 0)
        fail_msg("%s: %s", text, err.text);
    return notebook;
}

static void
assert_slice(struct slice slice, const char *expected)
{
    if (!slice_equals_text(slice, expected))
        fail_msg("%.*s, not %s", (int)slice.length, (const char *)slice.data, expected);
}

static void
assert_refused(const char *text, const char *why)
{
    struct notebook *notebook = NULL;
    struct error err = { 0 };

    assert_int_equal(notebook_read(&notebook, slice_text(text), &err),
                     NOTEBOOK_E_INVALID);
    assert_null(notebook);
    assert_int_equal(err.code, NOTEBOOK_E_INVALID);
    assert_string_equal(err.text, why);
}

static void
test_the_parts_of_a_cell_are_found(void **state)
{
    CLEANUP(notebook_destroyp)
    struct notebook *notebook = read_book(
        "{\n \"cells\": [\n"
        "  {\"cell_type\": \"markdown\", \"id\": \"a\", \"metadata\": {\"x\": 1},\n"
        "   \"source\": \"# T\\u00e4\"},\n"
        "  {\"cell_type\": \"code\", \"id\": \"b\", \"metadata\": {},\n"
        "   \"execution_count\": 7, \"outputs\": [ {\"output_type\": \"stream\","
        " \"name\": \"stdout\", \"text\": [\"1\\n\"]} ],\n"
        "   \"source\": [\n    \"a = 1\\n\",\n    \"print(a)\"\n   ]}\n"
        " ],\n \"metadata\": {\"kernelspec\": {}},\n"
        " \"nbformat\": 4, \"nbformat_minor\": 5\n}\n");

    (void)state;
    assert_int_equal(notebook->format, 4);
    assert_int_equal(notebook->minor, 5);
    assert_slice(notebook->metadata, "{\"kernelspec\": {}}");
    assert_int_equal(notebook->cell_count, 2);
    assert_int_equal(notebook->cells[0].type, NOTEBOOK_MARKDOWN);
    assert_int_equal(notebook->cells[0].line, 4);
    assert_int_equal(notebook->cells[0].execution_count, -1);
    assert_slice(notebook->cells[0].id, "a");
    assert_slice(notebook->cells[0].source, "# T\xc3\xa4");
    assert_slice(notebook->cells[0].metadata, "{\"x\": 1}");
    assert_int_equal(notebook->cells[1].type, NOTEBOOK_CODE);
    assert_int_equal(notebook->cells[1].line, 8);
    assert_int_equal(notebook->cells[1].execution_count, 7);
    assert_slice(notebook->cells[1].source, "a = 1\nprint(a)");
    assert_int_equal(notebook->cells[1].output_count, 1);
    assert_slice(notebook->cells[1].outputs[0],
                 "{\"output_type\": \"stream\", \"name\": \"stdout\","
                 " \"text\": [\"1\\n\"]}");
}

static void
test_what_front_ends_let_pass_is_let_pass(void **state)
{
    static const char *const cells[] = {
        CODE("\"source\":[]"),
        CODE("\"source\":\"\",\"outputs\":null,\"metadata\":null"),
        CODE("\"outputs\":[],\"execution_count\":\"7\""),
        CODE("\"source\":\"\",\"id\":7"),
        CODE("\"extra\":{\"future\":[1]}"),
        CODE("\"outputs\":[{\"output_type\":\"future\",\"text\":7}]"),
        CODE("\"outputs\":[{\"output_type\":\"stream\"}]"),
        CODE("\"outputs\":[{\"output_type\":\"error\",\"ename\":null}]"),
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cells); i++) {
        CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
        char text[1000];

        snprintf(text, sizeof text, BOOK("%s"), cells[i]);
        notebook = read_book(text);
        assert_int_equal(notebook->cell_count, 1);
        assert_int_equal(notebook->cells[0].type, NOTEBOOK_CODE);
        assert_int_equal(notebook->cells[0].execution_count, -1);
        assert_int_equal(notebook->cells[0].source.length, 0);
        assert_slice(notebook->cells[0].metadata, "{}");
    }
}

static void
test_a_cell_of_an_unknown_type_is_raw(void **state)
{
    CLEANUP(notebook_destroyp)
    struct notebook *notebook =
        read_book(BOOK("{\"cell_type\":\"sql\",\"source\":\"select\",\"outputs\":7}"));

    (void)state;
    assert_int_equal(notebook->cells[0].type, NOTEBOOK_RAW);
    assert_slice(notebook->cells[0].source, "select");
    assert_int_equal(notebook->cells[0].output_count, 0);
}

static void
test_ids_may_occur_twice(void **state)
{
    CLEANUP(notebook_destroyp)
    struct notebook *notebook =
        read_book(BOOK(CODE("\"id\":\"a\"") "," CODE("\"id\":\"a\"")));

    (void)state;
    assert_slice(notebook->cells[0].id, "a");
    assert_slice(notebook->cells[1].id, "a");
}

static void
test_a_byte_order_mark_and_other_minors_are_taken(void **state)
{
    static const char *const texts[] = {
        "\xef\xbb\xbf{\"nbformat\":4,\"cells\":[],\"metadata\":{}}",
        "{\"nbformat\":4,\"cells\":[]}",
        "{\"nbformat\":4,\"nbformat_minor\":0,\"cells\":[],\"metadata\":null}",
        "{\"nbformat\":4,\"nbformat_minor\":99,\"cells\":[],\"future\":1}",
        "{\"nbformat\":3,\"nbformat_minor\":0,\"worksheets\":[]}",
        "{\"nbformat\":3}",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        CLEANUP(notebook_destroyp) struct notebook *notebook = read_book(texts[i]);

        assert_int_equal(notebook->cell_count, 0);
        assert_slice(notebook->metadata, "{}");
    }
}

static void
test_a_refusal_names_the_place(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        { "", "the file is empty" },
        { "\xef\xbb\xbf", "the file is empty" },
        { "[]", "it is an array, not an object: not a Jupyter notebook" },
        { "{}", "it has no nbformat: not a Jupyter notebook" },
        { "{\n\n\"nbformat\":\"4\"}", "line 3: nbformat is \"4\"" },
        { "{\"nbformat\":-4}", "line 1: nbformat is -4" },
        { "{\"nbformat\":2}",
          "nbformat 2: only 3 and 4 can be read; Jupyter can convert it" },
        { "{\"nbformat\":5}", "nbformat 5: only 3 and 4 can be read" },
        { "{\"nbformat\":4,\n\"nbformat_minor\":1.5}", "line 2: nbformat_minor is 1.5" },
        { "{\"nbformat\":4}", "it has no cells: not a Jupyter notebook" },
        { "{\"nbformat\":4,\"metadata\":[]}", "metadata is an array, not an object" },
        { "{\"nbformat\":4,\n\"cells\":{}}", "line 2: cells is an object, not an array" },
        { "{\"nbformat\":3,\"worksheets\":{}}", "worksheets is an object, not an array" },
        { "{\n\"nbformat\":4,\n\"cells\":[,]}",
          "line 3: not JSON at byte 25: expected a value" },
        { "{\n\"nbformat\":4,\n", "line 3: JSON ends too early, at byte 16" },
        { "{\"nbformat\":4,\n<<<<<<< HEAD\n\"a\":1}",
          "line 2: a merge conflict that is not resolved" },
        { "{\"nbformat\":4\n=======\n,\"a\":1}",
          "line 2: a merge conflict that is not resolved" },
        { "{\"nbformat\":4,\n\"a\":-Infinity}",
          "line 2: NaN or Infinity, which JSON does not have" },
        { "{\"nbformat\":NaN}", "line 1: NaN or Infinity, which JSON does not have" },
        { "\xff", "line 1: not JSON at byte 0: expected a value" },
        { BOOK("7"), "line 1: cell 0: it is a number, not an object" },
        { BOOK("{}"), "line 1: cell 0: cell_type is missing" },
        { BOOK("{\"cell_type\":7}"),
          "line 1: cell 0: cell_type is a number, not a string" },
        { BOOK(CODE("\"id\":\"a\"") ",\n" CODE("\"metadata\":[]")),
          "line 2: cell 1: metadata is an array, not an object" },
        { BOOK(CODE("\"source\":7")),
          "line 1: cell 0: its source is not a string or strings" },
        { BOOK(CODE("\"source\":[\"a\",7]")),
          "line 1: cell 0: its source is not a string or strings" },
        { BOOK("\n\n" CODE("\n\"outputs\":\"x\"")),
          "line 4: cell 0: outputs is a string, not an array" },
        { BOOK(CODE("\"outputs\":[\n7]")),
          "line 2: cell 0: output 0 is a number, not an object" },
        { BOOK(CODE("\"outputs\":[{}]")), "line 1: cell 0: output 0 has no output_type" },
        { BOOK(CODE("\"outputs\":[{\"output_type\":7}]")),
          "line 1: cell 0: output 0: output_type is a number, not a string" },
        { BOOK(CODE("\"outputs\":[{\"output_type\":\"stream\",\"text\":[7]}]")),
          "line 1: cell 0: output 0: text is not a string or strings" },
        { BOOK(CODE("\"outputs\":[{\"output_type\":\"display_data\",\"data\":[]}]")),
          "line 1: cell 0: output 0: data is an array, not an object" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++)
        assert_refused(cases[i].text, cases[i].why);
}

static void
test_bounds_are_kept(void **state)
{
    struct notebook *notebook = NULL;
    struct error err = { 0 };
    struct buffer text;

    (void)state;
    buffer_init(&text, SIZE_MAX);
    buffer_append_text(&text, "{\"nbformat\":4,\"cells\":[{}");
    for (size_t i = 0; i < NOTEBOOK_CELLS_MAX; i++)
        buffer_append_text(&text, ",{}");
    buffer_append_text(&text, "]}");
    assert_int_equal(notebook_read(&notebook, buffer_slice(&text), &err),
                     NOTEBOOK_E_INVALID);
    assert_string_equal(err.text, "10001 cells, at most 10000");

    buffer_clear(&text, SIZE_MAX);
    buffer_append_text(&text, "{\"nbformat\":4,\"cells\":[{\"cell_type\":\"code\","
                              "\"outputs\":[{}");
    for (size_t i = 0; i < NOTEBOOK_OUTPUTS_MAX; i++)
        buffer_append_text(&text, ",{}");
    buffer_append_text(&text, "]}]}");
    err = (struct error){ 0 };
    assert_int_equal(notebook_read(&notebook, buffer_slice(&text), &err),
                     NOTEBOOK_E_INVALID);
    assert_string_equal(err.text, "line 1: cell 0: 10001 outputs, at most 10000");

    buffer_clear(&text, SIZE_MAX);
    buffer_append_text(&text, "{\"a\":");
    for (size_t i = 0; i < NOTEBOOK_DEPTH_MAX; i++)
        buffer_append_text(&text, "[");
    err = (struct error){ 0 };
    assert_int_equal(notebook_read(&notebook, buffer_slice(&text), &err),
                     NOTEBOOK_E_INVALID);
    assert_string_equal(err.text, "line 1: JSON nested deeper than 128 at byte 132");
    buffer_fini(&text);
}

static void
test_nbformat_3_is_given_in_the_form_of_4(void **state)
{
    CLEANUP(notebook_destroyp)
    struct notebook *notebook = read_book(
        "{\"nbformat\":3,\"nbformat_minor\":0,\"metadata\":{\"name\":\"\"},"
        "\"worksheets\":[{\"cells\":["
        "{\"cell_type\":\"heading\",\"level\":2,\"source\":[\"A\\n\",\"B\\n\"]},"
        "{\"cell_type\":\"code\",\"input\":[\"a\\n\",\"b\"],\"prompt_number\":3,"
        "\"language\":\"python\",\"collapsed\":false,\"outputs\":["
        "{\"output_type\":\"stream\",\"stream\":\"stderr\",\"text\":[\"x\"]},"
        "{\"output_type\":\"pyout\",\"prompt_number\":3,\"text\":[\"1\"],"
        "\"html\":\"<b>\",\"png\":\"aGk=\",\"json\":[\"{\\\"a\\\":\",\"1}\"],"
        "\"metadata\":{\"png\":{\"width\":7}}},"
        "{\"output_type\":\"display_data\",\"svg\":\"<svg/>\",\"latex\":\"$\","
        "\"javascript\":\"x\",\"jpeg\":\"aGk=\",\"json\":\"no\"},"
        "{\"output_type\":\"pyerr\",\"ename\":\"E\",\"evalue\":\"v\","
        "\"traceback\":[\"t\"]}]}"
        "]},{\"metadata\":{}},{\"cells\":[{\"cell_type\":\"html\","
        "\"source\":\"<i>\"}]}]}");
    const struct notebook_cell *code = &notebook->cells[1];

    (void)state;
    assert_int_equal(notebook->format, 3);
    assert_int_equal(notebook->cell_count, 3);
    assert_int_equal(notebook->cells[0].type, NOTEBOOK_MARKDOWN);
    assert_slice(notebook->cells[0].source, "## A B");
    assert_int_equal(notebook->cells[2].type, NOTEBOOK_MARKDOWN);
    assert_slice(notebook->cells[2].source, "<i>");
    assert_int_equal(code->type, NOTEBOOK_CODE);
    assert_int_equal(code->execution_count, 3);
    assert_slice(code->source, "a\nb");
    assert_int_equal(code->output_count, 4);
    assert_slice(code->outputs[0], "{\"output_type\":\"stream\",\"name\":\"stderr\","
                                   "\"text\":[\"x\"]}");
    assert_slice(code->outputs[1],
                 "{\"output_type\":\"execute_result\",\"execution_count\":3,"
                 "\"metadata\":{\"image/png\":{\"width\":7}},\"data\":{"
                 "\"text/plain\":[\"1\"],\"text/html\":\"<b>\",\"image/png\":\"aGk=\","
                 "\"application/json\":{\"a\":1}}}");
    assert_slice(code->outputs[2],
                 "{\"output_type\":\"display_data\",\"metadata\":{},\"data\":{"
                 "\"image/svg+xml\":\"<svg/>\",\"text/latex\":\"$\","
                 "\"application/javascript\":\"x\",\"image/jpeg\":\"aGk=\","
                 "\"application/json\":\"no\"}}");
    assert_slice(code->outputs[3],
                 "{\"output_type\":\"error\",\"ename\":\"E\",\"evalue\":\"v\","
                 "\"traceback\":[\"t\"]}");
}

static void
test_lone_surrogates_in_a_source_are_replaced(void **state)
{
    CLEANUP(notebook_destroyp)
    struct notebook *notebook = read_book(BOOK(CODE("\"source\":\"a\\ud800b\\u0000\"")));

    (void)state;
    assert_int_equal(notebook->cells[0].source.length, 6);
    assert_memory_equal(notebook->cells[0].source.data,
                        "a\xef\xbf\xbd"
                        "b",
                        6);
}

/* NOTEBOOK with the outputs and counts that SOURCE has in the same cells, or with none
 * (NULL). */
static void
rewrite(const struct notebook *notebook, const struct notebook *source,
        struct buffer *ret)
{
    struct notebook_change *changes = calloc(notebook->cell_count + 1, sizeof *changes);
    struct buffer *arrays = calloc(notebook->cell_count + 1, sizeof *arrays);
    struct error err = { 0 };
    size_t count = 0;

    assert_non_null(changes);
    assert_non_null(arrays);
    for (size_t i = 0; i < notebook->cell_count; i++) {
        const struct notebook_cell *cell = source != NULL ? &source->cells[i] : NULL;

        if (notebook->cells[i].type != NOTEBOOK_CODE)
            continue;
        buffer_init(&arrays[i], SIZE_MAX);
        buffer_append_text(&arrays[i], "[");
        for (size_t k = 0; cell != NULL && k < cell->output_count; k++) {
            buffer_append_text(&arrays[i], k > 0 ? "," : "");
            buffer_append(&arrays[i], cell->outputs[k].data, cell->outputs[k].length);
        }
        buffer_append_text(&arrays[i], "]");
        changes[count++] = (struct notebook_change){
            .cell = i,
            .outputs = buffer_slice(&arrays[i]),
            .execution_count = cell != NULL ? cell->execution_count : -1,
        };
    }
    buffer_init(ret, SIZE_MAX);
    if (notebook_rewrite(notebook, changes, count, ret, &err) != 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < notebook->cell_count; i++)
        buffer_fini(&arrays[i]);
    free(arrays);
    free(changes);
}

/* The file TEXT without its outputs, and with them again, must be TEXT. */
static void
assert_survives(const char *name, struct slice text)
{
    CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
    CLEANUP(notebook_destroyp) struct notebook *bare = NULL;
    struct buffer without, again;
    struct error err = { 0 };
    bool had_outputs = false;

    if (notebook_read(&notebook, text, &err) != 0)
        fail_msg("%s: %s", name, err.text);
    rewrite(notebook, NULL, &without);
    assert_int_equal(notebook_read(&bare, buffer_slice(&without), &err), 0);
    assert_int_equal(bare->cell_count, notebook->cell_count);
    for (size_t i = 0; i < bare->cell_count; i++) {
        assert_int_equal(bare->cells[i].output_count, 0);
        assert_int_equal(bare->cells[i].execution_count, -1);
        had_outputs = had_outputs || notebook->cells[i].output_count > 0;
    }
    assert_true(!had_outputs || without.length < text.length);
    rewrite(bare, notebook, &again);
    if (again.length != text.length || memcmp(again.data, text.data, text.length) != 0)
        fail_msg("%s is another file: %.*s", name, (int)again.length,
                 (const char *)again.data);
    buffer_fini(&without);
    buffer_fini(&again);
}

static void
read_file(const char *path, struct buffer *ret)
{
    FILE *file = fopen(path, "rb");
    char chunk[4096];
    size_t n;

    assert_non_null(file);
    buffer_init(ret, SIZE_MAX);
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        assert_int_equal(buffer_append(ret, chunk, n), 0);
    fclose(file);
}

static void
test_files_of_nbformat_survive_byte_for_byte(void **state)
{
    static const char *const patterns[] = { PROJECT_FOLDER "/notebooks/*.ipynb",
                                            PROJECT_FOLDER "/notebooks/*/*.ipynb",
                                            PROJECT_FOLDER
                                            "/tests/protocol/notebooks/*.ipynb" };
    glob_t found = { 0 };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(patterns); i++)
        glob(patterns[i], i > 0 ? GLOB_APPEND : 0, NULL, &found);
    assert_true(found.gl_pathc >= 8);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct buffer text;

        read_file(found.gl_pathv[i], &text);
        assert_survives(found.gl_pathv[i], buffer_slice(&text));
        buffer_fini(&text);
    }
    globfree(&found);
}

/* The text of a file with its line ends, indentation and colons in another style. */
static void
restyle(struct buffer *ret, const char *text, const char *newline, const char *unit,
        const char *colon, const char *gap)
{
    buffer_clear(ret, SIZE_MAX);
    for (; *text != '\0'; text++) {
        const char *with = NULL;

        if (*text == '$')
            with = newline;
        else if (*text == '>')
            with = unit;
        else if (*text == ':')
            with = colon;
        else if (*text == '~')
            with = gap;
        if (with != NULL)
            buffer_append_text(ret, with);
        else
            buffer_append(ret, text, 1);
    }
}

static void
test_files_of_other_styles_survive_byte_for_byte(void **state)
{
    static const char lines[] =
        "{$>\"cells\":[$>>{$>>>\"cell_type\":\"code\",$>>>\"execution_count\":7,$"
        ">>>\"outputs\":[$>>>>{$>>>>>\"name\":\"stdout\",$>>>>>\"output_type\":"
        "\"stream\",$>>>>>\"text\":[$>>>>>>\"a\\n\",$>>>>>>\"b\"$>>>>>]$>>>>}$>>>],$"
        ">>>\"source\":[]$>>}$>],$>\"nbformat\":4$}$";
    static const char one_line[] =
        "{\"cells\":[{\"cell_type\":\"code\",~\"execution_count\":7,~\"outputs\":"
        "[{\"name\":\"stdout\",~\"output_type\":\"stream\",~\"text\":[\"a\\n\",~\"b\"]}],"
        "~"
        "\"source\":[]}],~\"nbformat\":4}";
    static const char *const styles[][3] = {
        { "\n", " ", ": " }, { "\n", "  ", ": " },  { "\n", "\t", ": " },
        { "\n", "", ": " },  { "\r\n", " ", ": " }, { "\r\n", "    ", " : " },
        { "\n", "  ", ":" },
    };
    struct buffer text;

    (void)state;
    buffer_init(&text, 10000);
    for (size_t i = 0; i < N_ELEMENTS(styles); i++) {
        restyle(&text, lines, styles[i][0], styles[i][1], styles[i][2], "");
        assert_survives("lines", buffer_slice(&text));
    }
    restyle(&text, one_line, "", "", ": ", " ");
    assert_survives("one line", buffer_slice(&text));
    restyle(&text, one_line, "", "", ":", "");
    assert_survives("one line without spaces", buffer_slice(&text));
    buffer_fini(&text);
}

/* Gives the only cell of TEXT these outputs and this count. */
static void
assert_rewritten(const char *text, const char *outputs, int64_t count,
                 const char *expected)
{
    CLEANUP(notebook_destroyp) struct notebook *notebook = read_book(text);
    const struct notebook_change change = { .cell = 0,
                                            .outputs = slice_text(outputs),
                                            .execution_count = count };
    struct error err = { 0 };
    struct buffer out;

    buffer_init(&out, 10000);
    buffer_append_text(&out, "-");
    if (notebook_rewrite(notebook, &change, 1, &out, &err) != 0)
        fail_msg("%s", err.text);
    buffer_append(&out, "", 1);
    assert_string_equal((const char *)out.data + 1, expected);
    buffer_fini(&out);
}

static void
test_members_that_are_missing_are_put_in(void **state)
{
    (void)state;
    assert_rewritten(
        "{\"cells\":[{\"cell_type\":\"code\",\"source\":\"\"}],\"nbformat\":4}", "[]", 1,
        "{\"cells\":[{\"cell_type\":\"code\",\"execution_count\":1,"
        "\"outputs\":[],\"source\":\"\"}],\"nbformat\":4}");
    assert_rewritten("{\"cells\":[{\"cell_type\":\"code\"}],\"nbformat\":4}", "[]", -1,
                     "{\"cells\":[{\"cell_type\":\"code\",\"execution_count\":null,"
                     "\"outputs\":[]}],\"nbformat\":4}");
    assert_rewritten("{\n \"nbformat\": 4,\n \"cells\": [\n  {\n   \"source\": \"\",\n"
                     "   \"cell_type\": \"code\"\n  }\n ]\n}",
                     "[]", 2,
                     "{\n \"nbformat\": 4,\n \"cells\": [\n  {\n"
                     "   \"execution_count\": 2,\n   \"outputs\": [],\n"
                     "   \"source\": \"\",\n   \"cell_type\": \"code\"\n  }\n ]\n}");
}

static void
test_the_last_of_members_with_one_name_is_replaced(void **state)
{
    (void)state;
    assert_rewritten("{\"cells\":[{\"cell_type\":\"code\",\"outputs\":1,\"outputs\":null,"
                     "\"execution_count\":1}],\"nbformat\":4}",
                     "[]", 1,
                     "{\"cells\":[{\"cell_type\":\"code\",\"outputs\":1,\"outputs\":[],"
                     "\"execution_count\":1}],\"nbformat\":4}");
}

static void
test_what_is_the_same_stays_as_the_file_has_it(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf {\"cells\": [ {\"cell_type\" :\"code\",\n"
        "\"outputs\":[{\"text\" : \"a\\u000ab\", \"output_type\":\"stream\"}]\n,"
        "\"execution_count\":3} ],\"nbformat\":4 }  \n\n";

    (void)state;
    assert_rewritten(text, "[{\"output_type\":\"stream\",\"text\":[\"a\\n\",\"b\"]}]", 3,
                     text);
}

static void
test_new_outputs_are_laid_out_as_nbformat_does(void **state)
{
    (void)state;
    assert_rewritten(
        "{\n \"cells\": [\n  {\n   \"cell_type\": \"code\",\n   \"execution_count\": 1,\n"
        "   \"outputs\": []\n  }\n ],\n \"nbformat\": 4\n}\n",
        "[{\"output_type\":\"display_data\",\"metadata\":{},\"data\":{"
        "\"text/plain\":\"a\\u00e4\\nb\\u2028\\ud800\\udc00\\ud800\\/\\u007f\","
        "\"text/html\":\"\",\"image/png\":[\"aGk=\\n\",\"aGk=\\n\"],"
        "\"application/json\":[\"a\",1.50,1E400,{\"b\":1,\"a\":2,\"b\":3}]}}]",
        12,
        "{\n \"cells\": [\n  {\n   \"cell_type\": \"code\",\n   \"execution_count\": "
        "12,\n"
        "   \"outputs\": [\n    {\n     \"data\": {\n      \"application/json\": [\n"
        "       \"a\",\n       1.50,\n       1E400,\n       {\n        \"a\": 2,\n"
        "        \"b\": 3\n       }\n      ],\n"
        "      \"image/png\": \"aGk=\\naGk=\\n\",\n      \"text/html\": [],\n"
        "      \"text/plain\": [\n       \"a\xc3\xa4\\n\",\n"
        "       \"b\xe2\x80\xa8\",\n       \"\xf0\x90\x80\x80\\ud800/\x7f\"\n      ]\n"
        "     },\n     \"metadata\": {},\n     \"output_type\": \"display_data\"\n    }\n"
        "   ]\n  }\n ],\n \"nbformat\": 4\n}\n");
}

static void
test_keys_are_sorted_by_code_point(void **state)
{
    (void)state;
    assert_rewritten(
        "{\"cells\":[{\"cell_type\":\"code\",\"outputs\":[],\"execution_count\":1}],"
        "\"nbformat\":4}",
        "[{\"output_type\":\"x\",\"\\uffff\":1,\"\\ud83d\\ude00\":2,\"\\ud800\":3,"
        "\"\\\\\":4,\"[\":5,\"]\":6,\"\":7,\"\\u0000\":8,\"a\\n\":9,\"a\":10}]",
        1,
        "{\"cells\":[{\"cell_type\":\"code\",\"outputs\":[{\"\":7,\"\\u0000\":8,\"[\":5,"
        "\"\\\\\":4,\"]\":6,\"a\":10,\"a\\n\":9,\"output_type\":\"x\",\"\\ud800\":3,"
        "\"\xef\xbf\xbf\":1,\"\xf0\x9f\x98\x80\":2}],\"execution_count\":1}],"
        "\"nbformat\":4}");
}

/* What is written must be readable: nothing may get deeper by being in a file. */
static void
test_outputs_as_deep_as_can_be_are_read_again(void **state)
{
    CLEANUP(notebook_destroyp)
    struct notebook *notebook = read_book(BOOK(CODE("\"source\":\"\"")));

    (void)state;
    for (size_t depth = NOTEBOOK_DEPTH_MAX - 10; depth < NOTEBOOK_DEPTH_MAX; depth++) {
        CLEANUP(notebook_destroyp) struct notebook *again = NULL;
        struct notebook_change change = { .cell = 0 };
        struct buffer outputs, out;
        int r;

        buffer_init(&outputs, 10000);
        buffer_init(&out, 10000);
        buffer_append_text(&outputs, "[{\"output_type\":\"x\",\"a\":");
        for (size_t i = 2; i < depth; i++)
            buffer_append_text(&outputs, "[");
        for (size_t i = 2; i < depth; i++)
            buffer_append_text(&outputs, "]");
        buffer_append_text(&outputs, "}]");
        change.outputs = buffer_slice(&outputs);
        r = notebook_rewrite(notebook, &change, 1, &out, NULL);
        assert_int_equal(r, depth <= NOTEBOOK_DEPTH_MAX - 3 ? 0 : NOTEBOOK_E_INVALID);
        if (r == 0)
            assert_int_equal(notebook_read(&again, buffer_slice(&out), NULL), 0);
        buffer_fini(&outputs);
        buffer_fini(&out);
    }
}

static void
test_outputs_that_mean_the_same_give_the_same_text(void **state)
{
    static const char *const outputs[] = {
        "[{\"output_type\":\"stream\",\"text\":\"a\\nb\",\"name\":\"stdout\"}]",
        "[ {\"name\" : \"std\\u006fut\", \"output_type\":\"stream\",\n"
        "\"text\":[\"a\\u000a\",\"b\"]} ]",
        "[{\"text\":[\"a\",\"\\nb\"],\"name\":\"x\",\"output_type\":\"stream\","
        "\"name\":\"stdout\"}]",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(outputs); i++) {
        CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
        char text[1000];
        struct buffer out;

        snprintf(text, sizeof text, BOOK("{\"cell_type\":\"code\",\"outputs\":%s}"),
                 outputs[i]);
        notebook = read_book(text);
        buffer_init(&out, 1000);
        assert_int_equal(notebook_append_outputs(&notebook->cells[0], &out), 0);
        assert_slice(buffer_slice(&out),
                     "[{\"name\":\"stdout\",\"output_type\":\"stream\","
                     "\"text\":[\"a\\n\",\"b\"]}]");
        buffer_fini(&out);
    }
}

static void
test_a_rewriting_that_cannot_be_made_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *outputs;
        int result;
        const char *why;
    } cases[] = {
        { "{\"nbformat\":3,\"worksheets\":[{\"cells\":[{\"cell_type\":\"code\"}]}]}",
          "[]", NOTEBOOK_E_OLD,
          "nbformat 3 can be read but not written: save the notebook with Jupyter, which "
          "makes it nbformat 4" },
        { BOOK(CODE("\"source\":\"\"")), "[", NOTEBOOK_E_INVALID,
          "the new outputs of cell 0: JSON ends too early, at byte 1" },
        { BOOK(CODE("\"source\":\"\"")), "{}", NOTEBOOK_E_INVALID,
          "the new outputs of cell 0 are an object, not an array" },
        { BOOK(CODE("\"source\":\"\"")), "[]", NOTEBOOK_E_TOO_LARGE,
          "it would be larger than 50 bytes" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        CLEANUP(notebook_destroyp) struct notebook *notebook = read_book(cases[i].text);
        const struct notebook_change change = { .outputs = slice_text(cases[i].outputs) };
        struct error err = { 0 };
        struct buffer out;

        buffer_init(&out, 50);
        assert_int_equal(notebook_rewrite(notebook, &change, 1, &out, &err),
                         cases[i].result);
        assert_string_equal(err.text, cases[i].why);
        assert_int_equal(out.length, 0);
        buffer_fini(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parts_of_a_cell_are_found),
        cmocka_unit_test(test_what_front_ends_let_pass_is_let_pass),
        cmocka_unit_test(test_a_cell_of_an_unknown_type_is_raw),
        cmocka_unit_test(test_ids_may_occur_twice),
        cmocka_unit_test(test_a_byte_order_mark_and_other_minors_are_taken),
        cmocka_unit_test(test_a_refusal_names_the_place),
        cmocka_unit_test(test_bounds_are_kept),
        cmocka_unit_test(test_nbformat_3_is_given_in_the_form_of_4),
        cmocka_unit_test(test_lone_surrogates_in_a_source_are_replaced),
        cmocka_unit_test(test_files_of_nbformat_survive_byte_for_byte),
        cmocka_unit_test(test_files_of_other_styles_survive_byte_for_byte),
        cmocka_unit_test(test_members_that_are_missing_are_put_in),
        cmocka_unit_test(test_the_last_of_members_with_one_name_is_replaced),
        cmocka_unit_test(test_what_is_the_same_stays_as_the_file_has_it),
        cmocka_unit_test(test_new_outputs_are_laid_out_as_nbformat_does),
        cmocka_unit_test(test_keys_are_sorted_by_code_point),
        cmocka_unit_test(test_outputs_as_deep_as_can_be_are_read_again),
        cmocka_unit_test(test_outputs_that_mean_the_same_give_the_same_text),
        cmocka_unit_test(test_a_rewriting_that_cannot_be_made_is_refused),
    };

    return cmocka_run_group_tests_name("notebook", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/agent/languages.h"
#include "kernel/notebook/engine.h"
#include "kernel/probe.h"
#include "protocol/notebook.h"
#include "tests/notebook/place.h"

#define CELL                                                                             \
    "{\"cell_type\":\"code\",\"id\":\"a\",\"metadata\":{},\"source\":\"1\","             \
    "\"execution_count\":null,\"outputs\":[]}"
#define NOTEBOOK(metadata)                                                               \
    "{\"metadata\":{" metadata "},\"nbformat\":4,\"nbformat_minor\":5,\"cells\":[" CELL  \
    "]}"
#define TOY "\"language_info\":{\"name\":\"toy\"}"

/* Two runtimes that need no interpreter, and folders of nobody's kernelspecs. */
struct fixture {
    struct place place;
    struct engine *engine;
    struct item_options options;
    json_t *overrides;
    char config[PATH_MAX];
    struct item *item;
};

static void
put_runtime(const struct fixture *f, const char *name)
{
    char path[64], text[512];

    snprintf(path, sizeof path, "runtimes/%s/runtime.json", name);
    snprintf(text, sizeof text,
             "{\"name\":\"%s\",\"display_name\":\"X\",\"language\":\"%s\",\"argv\":"
             "[\"/bin/true\"],\"interpreter\":null,\"spawner\":\"launcher\","
             "\"language_info\":{\"name\":\"%s\"}}",
             name, name, name);
    place_put(&f->place, path, text);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    place_init(&f->place);
    put_runtime(f, "toy");
    put_runtime(f, "python");
    setenv("CELLWALL_RUNTIMES", place_path(&f->place, "runtimes"), 1);
    place_put(&f->place, "nb/.git/HEAD", "");
    assert_int_equal(engine_create(&f->engine, NULL, NULL, NULL), 0);
    f->overrides = json_object();
    f->options = (struct item_options){ .engine = f->engine, .overrides = f->overrides };
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    item_destroy(f->item);
    engine_destroy(f->engine);
    json_decref(f->overrides);
    place_fini(&f->place);
    free(f);
    return 0;
}

/* A configuration that somebody names. */
static void
name_config(struct fixture *f, const char *text)
{
    place_put(&f->place, "conf.json", text);
    strcpy(f->config, place_path(&f->place, "conf.json"));
    f->options.config = f->config;
}

static const struct item *
create(struct fixture *f, const char *text)
{
    place_put(&f->place, "nb/a.ipynb", text);
    item_destroy(f->item);
    f->item = NULL;
    assert_int_equal(
        item_create(&f->item, place_path(&f->place, "nb/a.ipynb"), &f->options), 0);
    return f->item;
}

static void
assert_language(struct fixture *f, const char *text, const char *expected)
{
    const struct item *item = create(f, text);

    if (item->trouble != NULL)
        fail_msg("%s: %s", text, item->why.text);
    assert_string_equal(item->language->environment->language, expected);
}

static void
assert_trouble(struct fixture *f, const char *text, const char *kind, const char *part)
{
    const struct item *item = create(f, text);

    assert_non_null(item->trouble);
    assert_string_equal(item->trouble, kind);
    if (strstr(item->why.text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, item->why.text);
}

static void
test_a_notebook_is_run_by_the_runtime_of_its_language(void **state)
{
    struct fixture *f = *state;

    assert_language(f, NOTEBOOK(TOY), "toy");
    assert_language(f, NOTEBOOK("\"kernelspec\":{\"name\":\"cellwall-toy\"}"), "toy");
    assert_language(f, NOTEBOOK("\"kernelspec\":{\"name\":\"x\",\"language\":\"TOY\"}"),
                    "toy");
    assert_language(f,
                    NOTEBOOK("\"kernelspec\":{\"name\":\"cellwall-toy\","
                             "\"language\":\"python\"}"),
                    "toy");
}

static void
test_a_notebook_that_says_nothing_is_python(void **state)
{
    assert_language(*state, NOTEBOOK(""), "python");
    assert_language(*state, NOTEBOOK("\"kernelspec\":7,\"language_info\":[]"), "python");
}

static void
test_the_command_line_goes_before_the_configuration_before_the_notebook(void **state)
{
    struct fixture *f = *state;

    place_put(&f->place, "nb/cellwall-test.json", "{\"language\":\"python\"}");
    assert_language(f, NOTEBOOK(TOY), "python");
    f->options.language = "toy";
    assert_language(f, NOTEBOOK(""), "toy");
}

static void
test_a_kernelspec_that_nobody_has_is_a_trouble(void **state)
{
    assert_trouble(*state, NOTEBOOK("\"kernelspec\":{\"name\":\"nobody\"}"), "start",
                   "Jupyter kernels");
    assert_trouble(*state, NOTEBOOK("\"language_info\":{\"name\":\"cobol\"}"), "start",
                   "cobol");
}

static void
test_a_notebook_names_no_path_as_its_kernelspec(void **state)
{
    static const char *const names[] = { "/etc/x", "../x", ".", "a/b",
                                         "cellwall-../../x" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[512];

        snprintf(text, sizeof text, NOTEBOOK("\"kernelspec\":{\"name\":\"%s\"}"),
                 names[i]);
        assert_trouble(*state, text, "start", "is not the name of a kernelspec");
    }
}

static void
test_what_is_no_notebook_is_a_trouble(void **state)
{
    assert_trouble(*state, "", "notebook", "empty");
    assert_trouble(*state, "[]", "notebook", "");
    assert_trouble(*state, "{\"nbformat\":2,\"nbformat_minor\":0,\"cells\":[]}",
                   "notebook", "2");
}

static void
test_a_path_that_is_gone_is_a_trouble(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(item_create(&f->item, "/nowhere/a.ipynb", &f->options), 0);
    assert_string_equal(f->item->trouble, "notebook");
    assert_non_null(strstr(f->item->why.text, "/nowhere/a.ipynb: No such file"));
}

static void
test_a_notebook_says_how_it_is_compared(void **state)
{
    const struct item *item =
        create(*state, NOTEBOOK(TOY ",\"cellwall\":{\"rtol\":0.5}"));

    assert_null(item->trouble);
    assert_true(json_real_value(json_object_get(item->settings, "rtol")) == 0.5);
}

static void
test_a_notebook_does_not_say_what_its_code_may_do(void **state)
{
    assert_trouble(*state, NOTEBOOK(TOY ",\"cellwall\":{\"network\":\"host\"}"),
                   "settings", "network");
    assert_trouble(*state, NOTEBOOK(TOY ",\"cellwall\":{\"limits\":\"memory=none\"}"),
                   "settings", "limits");
}

static void
test_the_configuration_says_what_code_may_do(void **state)
{
    struct fixture *f = *state;
    const struct item *item;

    name_config(f, "{\"network\":\"host\",\"limits\":\"memory=64M\",\"cell_timeout\":2,"
                   "\"notebook_timeout\":3.5,\"compare\":\"marked\"}");
    item = create(f, NOTEBOOK(TOY));
    assert_null(item->trouble);
    assert_int_equal(item->network, SANDBOX_NETWORK_HOST);
    assert_int_equal(item->limits.sandbox.memory_bytes, 64 << 20);
    assert_int_equal(item->cell_ms, 2000);
    assert_int_equal(item->notebook_ms, 3500);
    assert_int_equal(item->compare, ITEM_COMPARE_MARKED);
    json_object_set_new(f->overrides, "compare", json_string("none"));
    json_object_set_new(f->overrides, "network", json_string("none"));
    item = create(f, NOTEBOOK(TOY));
    assert_int_equal(item->compare, ITEM_COMPARE_NONE);
    assert_int_equal(item->network, SANDBOX_NETWORK_NONE);
}

static void
test_a_configuration_that_came_along_gives_no_network(void **state)
{
    struct fixture *f = *state;

    place_put(&f->place, "nb/cellwall-test.json", "{\"network\":\"host\"}");
    assert_trouble(f, NOTEBOOK(TOY), "settings", "--network host");
    place_put(&f->place, "nb/cellwall-test.json",
              "{\"notebooks\":{\"*\":{\"network\":\"host\"}}}");
    assert_trouble(f, NOTEBOOK(TOY), "settings", "--network host");
}

static void
test_what_is_shown_is_absolute_and_there(void **state)
{
    struct fixture *f = *state;
    const struct item *item;

    place_put(&f->place, "nb/data/x.csv", "");
    place_put(&f->place, "nb/cellwall-test.json",
              "{\"show\":[\"data\",\"gone\",\"./data/x.csv\"]}");
    item = create(f, NOTEBOOK(TOY));
    assert_null(item->trouble);
    assert_string_equal(item->shown[0], place_path(&f->place, "nb/data"));
    assert_string_equal(item->shown[1], place_path(&f->place, "nb/data/x.csv"));
    assert_null(item->shown[2]);
}

static void
test_a_configuration_that_came_along_shows_nothing_outside(void **state)
{
    struct fixture *f = *state;

    place_put(&f->place, "nb/cellwall-test.json", "{\"show\":[\"..\"]}");
    assert_trouble(f, NOTEBOOK(TOY), "settings", "outside");
    place_put(&f->place, "nb/cellwall-test.json", "{\"show\":[\"/etc\"]}");
    assert_trouble(f, NOTEBOOK(TOY), "settings", "outside");
    assert_int_equal(symlink("/etc", place_path(&f->place, "nb/link")), 0);
    place_put(&f->place, "nb/cellwall-test.json", "{\"show\":[\"link\"]}");
    assert_trouble(f, NOTEBOOK(TOY), "settings", "outside");
    name_config(f, "{\"show\":[\"/var\"]}");
    assert_string_equal(create(f, NOTEBOOK(TOY))->shown[0], "/var");
}

static void
test_a_configuration_that_is_wrong_is_a_trouble(void **state)
{
    struct fixture *f = *state;

    place_put(&f->place, "nb/cellwall-test.json", "{\"colour\":1}");
    assert_trouble(f, NOTEBOOK(TOY), "settings", "colour");
}

static void
test_an_excluded_notebook_is_none(void **state)
{
    struct fixture *f = *state;

    place_put(&f->place, "nb/cellwall-test.json", "{\"exclude\":[\"*.ipynb\"]}");
    place_put(&f->place, "nb/a.ipynb", NOTEBOOK(TOY));
    assert_int_equal(
        item_create(&f->item, place_path(&f->place, "nb/a.ipynb"), &f->options),
        ITEM_E_EXCLUDED);
}

static void
test_nbclients_metadata_counts(void **state)
{
    const struct item *item = create(
        *state, NOTEBOOK(TOY ",\"execution\":{\"timeout\":7,\"allow_errors\":true}"));

    assert_int_equal(item->cell_ms, 7000);
    assert_true(item->allows_errors);
    item = create(*state, NOTEBOOK(TOY ",\"execution\":{\"timeout\":1e300}"));
    assert_int_equal(item->cell_ms, 600000);
    item = create(*state, NOTEBOOK(TOY ",\"execution\":[1]"));
    assert_int_equal(item->cell_ms, 600000);
    assert_false(item->allows_errors);
}

static void
test_an_old_notebook_is_read_with_a_note(void **state)
{
    const struct item *item =
        create(*state, "{\"metadata\":{" TOY "},\"nbformat\":3,\"nbformat_minor\":0,"
                       "\"worksheets\":[{\"cells\":[{\"cell_type\":\"code\",\"input\":"
                       "\"1\",\"language\":\"toy\",\"outputs\":[]}]}]}");

    assert_null(item->trouble);
    assert_int_equal(item->cell_count, 1);
    assert_non_null(
        strstr(json_string_value(json_array_get(item->notes, 0)), "nbformat 3"));
}

static void
test_a_directive_that_is_unknown_names_its_cell(void **state)
{
    struct fixture *f = *state;
    struct notebook *notebook;
    struct directives *directives;

    create(f, "{\"metadata\":{" TOY "},\"nbformat\":4,\"nbformat_minor\":5,\"cells\":["
              "{\"cell_type\":\"code\",\"id\":\"a\",\"metadata\":{\"tags\":"
              "[\"cellwall-rtl=1\"]},\"source\":\"1\",\"execution_count\":null,"
              "\"outputs\":[]}]}");
    assert_null(f->item->trouble);
    assert_true(item_load(f->item, &notebook, &directives) > 0);
    assert_string_equal(f->item->trouble, "settings");
    assert_non_null(strstr(f->item->why.text, "cell 0: "));
    assert_non_null(strstr(f->item->why.text, "rtl"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_a_notebook_is_run_by_the_runtime_of_its_language),
        TEST(test_a_notebook_that_says_nothing_is_python),
        TEST(test_the_command_line_goes_before_the_configuration_before_the_notebook),
        TEST(test_a_kernelspec_that_nobody_has_is_a_trouble),
        TEST(test_a_notebook_names_no_path_as_its_kernelspec),
        TEST(test_what_is_no_notebook_is_a_trouble),
        TEST(test_a_path_that_is_gone_is_a_trouble),
        TEST(test_a_notebook_says_how_it_is_compared),
        TEST(test_a_notebook_does_not_say_what_its_code_may_do),
        TEST(test_the_configuration_says_what_code_may_do),
        TEST(test_a_configuration_that_came_along_gives_no_network),
        TEST(test_what_is_shown_is_absolute_and_there),
        TEST(test_a_configuration_that_came_along_shows_nothing_outside),
        TEST(test_a_configuration_that_is_wrong_is_a_trouble),
        TEST(test_an_excluded_notebook_is_none),
        TEST(test_nbclients_metadata_counts),
        TEST(test_an_old_notebook_is_read_with_a_note),
        TEST(test_a_directive_that_is_unknown_names_its_cell),
    };

    return cmocka_run_group_tests_name("item", tests, NULL, NULL);
}

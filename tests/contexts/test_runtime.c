/* SPDX-License-Identifier: MIT */
#include "contexts/runtime.h"

#include <limits.h>
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

#include "protocol/error.h"

#define OTHERS                                                                           \
    "\"name\": \"toy\", \"display_name\": \"Toy\", \"language\": \"toy\", "              \
    "\"argv\": [\"{runtime}/toy\"], \"language_info\": {\"name\": \"toy\"}"
#define NEEDED OTHERS ", \"spawner\": \"launcher\""

struct fixture {
    char folder[64]; /* of runtimes */
    struct error err;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char path[PATH_MAX];

    assert_non_null(f);
    strcpy(f->folder, "/tmp/test_runtime.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(path, sizeof path, "%s/toy", f->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    *state = f;
    return 0;
}

static void
path_of(const struct fixture *f, char ret[PATH_MAX], const char *name)
{
    snprintf(ret, PATH_MAX, "%s/%s", f->folder, name);
}

static int
teardown(void **state)
{
    static const char *const files[] = { "toy/runtime.json", "bin/toy", "bin/data" };
    static const char *const folders[] = { "toy", "bin", "" };
    struct fixture *f = *state;
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        path_of(f, path, files[i]);
        unlink(path);
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        path_of(f, path, folders[i]);
        rmdir(path);
    }
    free(f);
    return 0;
}

static void
write_bytes(const struct fixture *f, const char *name, const char *data, size_t length,
            mode_t mode)
{
    char path[PATH_MAX];
    FILE *file;

    path_of(f, path, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

/* The result for a descriptor TEXT. */
static int
load(struct fixture *f, struct runtime **ret, const char *text)
{
    write_bytes(f, "toy/runtime.json", text, strlen(text), 0600);
    f->err = (struct error){ 0 };
    return runtime_load(ret, f->folder, "toy", &f->err);
}

static void
test_the_launcher_needs_no_zygote(void **state)
{
    struct runtime *runtime = NULL;

    assert_int_equal(
        load(*state, &runtime, "{" NEEDED ", \"zygote\": [\"{runtime}/toy\", \"-z\"]}"),
        0);
    assert_null(runtime->zygote);
    runtime_destroy(runtime);
}

static void
test_a_full_descriptor_is_read(void **state)
{
    struct fixture *f = *state;
    struct runtime *runtime = NULL;
    char folder[PATH_MAX];

    assert_int_equal(
        load(f, &runtime,
             "{" OTHERS ", \"spawner\": \"zygote\", "
             "\"env\": {\"A\": \"b=c\", \"EMPTY\": \"\"}, "
             "\"mounts\": [\"/opt/toy\", \"{interpreter}/..\"], \"interpreter\": \"sh\", "
             "\"interrupt_mode\": \"signal\", \"preload\": [\"x\"], "
             "\"zygote\": [\"{runtime}/toy\", \"-z\"], "
             "\"features\": {\"y\": 1}, \"probe\": [\"{interpreter}\", \"-v\"]}"),
        0);
    path_of(f, folder, "toy");
    assert_string_equal(runtime->name, "toy");
    assert_string_equal(runtime->display_name, "Toy");
    assert_string_equal(runtime->language, "toy");
    assert_string_equal(runtime->folder, folder);
    assert_string_equal(runtime->argv[0], "{runtime}/toy");
    assert_null(runtime->argv[1]);
    assert_string_equal(runtime->env[0], "A=b=c");
    assert_string_equal(runtime->env[1], "EMPTY=");
    assert_null(runtime->env[2]);
    assert_string_equal(runtime->mounts[1], "{interpreter}/..");
    assert_string_equal(runtime->interpreter, "sh");
    assert_string_equal(runtime->probe[1], "-v");
    assert_string_equal(runtime->zygote[1], "-z");
    assert_null(runtime->zygote[2]);
    assert_string_equal(runtime->preload[0], "x");
    assert_null(runtime->preload[1]);
    assert_non_null(runtime->language_info);
    runtime_destroy(runtime);
}

static void
test_what_is_optional_may_be_left_out_or_null(void **state)
{
    struct fixture *f = *state;
    struct runtime *runtime = NULL;

    assert_int_equal(load(f, &runtime, "{" NEEDED "}"), 0);
    assert_non_null(runtime->env);
    assert_null(runtime->env[0]);
    assert_non_null(runtime->mounts);
    assert_null(runtime->mounts[0]);
    assert_non_null(runtime->preload);
    assert_null(runtime->preload[0]);
    assert_null(runtime->zygote);
    assert_null(runtime->interpreter);
    assert_null(runtime->probe);
    runtime_destroy(runtime);
    assert_int_equal(
        load(f, &runtime, "{" NEEDED ", \"interpreter\": null, \"probe\": null}"), 0);
    assert_null(runtime->interpreter);
    runtime_destroy(runtime);
}

static void
test_broken_descriptors_are_refused_with_file_and_member(void **state)
{
    static const struct {
        const char *text, *says;
    } broken[] = {
        { "", "line 1" },
        { "{", "line 1" },
        { "[]", "object" },
        { "{}", "\"name\" is missing" },
        { "{" NEEDED ", \"name\": \"toy\"}", "duplicate" },
        { "{" NEEDED ", \"nmae\": 1}", "\"nmae\" is not known" },
        { "{" NEEDED ", \"env\": []}", "\"env\"" },
        { "{" NEEDED ", \"env\": {\"A\": 1}}", "\"env\"" },
        { "{" NEEDED ", \"env\": {\"A=B\": \"c\"}}", "\"env\"" },
        { "{" NEEDED ", \"env\": {\"\": \"c\"}}", "\"env\"" },
        { "{" NEEDED ", \"env\": {\"A\": \"b\\u0000c\"}}", "line 1" },
        { "{" NEEDED ", \"mounts\": \"/usr\"}", "\"mounts\"" },
        { "{" NEEDED ", \"mounts\": [1]}", "\"mounts\"" },
        { "{" NEEDED ", \"mounts\": [\"\"]}", "\"mounts\"" },
        { "{" NEEDED ", \"interpreter\": 3}", "\"interpreter\"" },
        { "{" NEEDED ", \"probe\": []}", "\"probe\" must not be empty" },
        { "{" NEEDED ", \"preload\": {}}", "\"preload\"" },
        { "{" NEEDED ", \"zygote\": []}", "\"zygote\" must not be empty" },
        { "{" NEEDED ", \"zygote\": \"/x\"}", "\"zygote\"" },
        { "{" OTHERS ", \"spawner\": \"zygote\"}", "\"zygote\" is missing" },
        { "{" NEEDED ", \"features\": null}", "\"features\"" },
        { "{" NEEDED ", \"interrupt_mode\": \"none\"}", "\"message\" or \"signal\"" },
        { "{\"name\": 1}", "\"name\"" },
    };
    struct fixture *f = *state;
    struct runtime *runtime = NULL;

    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_int_equal(load(f, &runtime, broken[i].text), RUNTIME_E_INVALID);
        assert_non_null(strstr(f->err.text, "/toy/runtime.json: "));
        assert_non_null(strstr(f->err.text, broken[i].says));
        assert_null(runtime);
    }
}

static void
test_a_descriptor_of_another_name_is_refused(void **state)
{
    struct fixture *f = *state;
    struct runtime *runtime = NULL;

    assert_int_equal(load(f, &runtime,
                          "{\"name\": \"joy\", \"display_name\": \"Toy\", \"language\": "
                          "\"toy\", \"argv\": [\"/x\"], \"spawner\": \"launcher\", "
                          "\"language_info\": {}}"),
                     RUNTIME_E_INVALID);
    assert_non_null(strstr(f->err.text, "name of the folder"));
}

static void
test_a_missing_runtime_is_not_found(void **state)
{
    static const char *const names[] = { "joy", "", "../toy", "toy/", ".", "Toy" };
    struct fixture *f = *state;
    struct runtime *runtime = NULL;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        f->err = (struct error){ 0 };
        assert_int_equal(runtime_load(&runtime, f->folder, names[i], &f->err),
                         RUNTIME_E_NOT_FOUND);
        assert_string_not_equal(f->err.text, "");
    }
    assert_int_equal(runtime_load(&runtime, f->folder, "toy", NULL), RUNTIME_E_NOT_FOUND);
    assert_int_equal(runtime_load(&runtime, "/no/such", "toy", NULL),
                     RUNTIME_E_NOT_FOUND);
}

static void
test_a_file_too_large_is_refused(void **state)
{
    struct fixture *f = *state;
    struct runtime *runtime = NULL;
    char path[PATH_MAX];

    write_bytes(f, "toy/runtime.json", "{", 1, 0600);
    path_of(f, path, "toy/runtime.json");
    assert_int_equal(truncate(path, (off_t)RUNTIME_FILE_BYTES_MAX + 1), 0);
    assert_int_equal(runtime_load(&runtime, f->folder, "toy", NULL), RUNTIME_E_INVALID);
}

static void
test_an_interpreter_is_found_in_path_or_by_its_path(void **state)
{
    struct fixture *f = *state;
    struct runtime runtime = { .name = (char *)(uintptr_t)"toy",
                               .interpreter = (char *)(uintptr_t)"toy" };
    char folder[PATH_MAX], expected[PATH_MAX], odd[PATH_MAX + 32];
    char *found = NULL;

    path_of(f, folder, "bin");
    path_of(f, expected, "bin/toy");
    assert_int_equal(mkdir(folder, 0700), 0);
    write_bytes(f, "bin/toy", "", 0, 0700);
    write_bytes(f, "bin/data", "", 0, 0600);
    snprintf(odd, sizeof odd, "bin:.::/no/such:%s", folder);
    setenv("PATH", odd, 1);

    assert_int_equal(runtime_find_interpreter(&found, &runtime, NULL, &f->err), 0);
    assert_string_equal(found, expected);
    free(found);
    assert_int_equal(runtime_find_interpreter(&found, &runtime, expected, &f->err), 0);
    assert_string_equal(found, expected);
    free(found);
    snprintf(odd, sizeof odd, "%s/../bin/./toy", folder);
    assert_int_equal(runtime_find_interpreter(&found, &runtime, odd, &f->err), 0);
    assert_string_equal(found, expected);
    free(found);

    found = NULL;
    assert_int_equal(runtime_find_interpreter(&found, &runtime, "joy", &f->err),
                     RUNTIME_E_NOT_FOUND);
    assert_string_equal(f->err.text, "there is no program joy in PATH");
    assert_int_equal(runtime_find_interpreter(&found, &runtime, "data", NULL),
                     RUNTIME_E_NOT_FOUND);
    assert_int_equal(runtime_find_interpreter(&found, &runtime, folder, NULL),
                     RUNTIME_E_NOT_FOUND);
    assert_null(found);
}

static void
test_a_runtime_without_interpreter_takes_none(void **state)
{
    struct runtime runtime = { .name = (char *)(uintptr_t)"toy" };
    char unchanged, *found = &unchanged;

    (void)state;
    assert_int_equal(runtime_find_interpreter(&found, &runtime, NULL, NULL), 0);
    assert_null(found);
    assert_int_equal(runtime_find_interpreter(&found, &runtime, "/bin/sh", NULL),
                     RUNTIME_E_NOT_FOUND);
}

static void
test_placeholders_are_replaced(void **state)
{
    static const struct {
        const char *text, *expanded;
    } texts[] = {
        { "", "" },
        { "{runtime}/x", "/folder/x" },
        { "-{interpreter}{runtime}-{other}{", "-/bin/i/folder-{other}{" },
    };
    struct runtime runtime = { .name = (char *)(uintptr_t)"toy",
                               .folder = (char *)(uintptr_t)"/folder" };
    struct fixture *f = *state;
    char *text = NULL;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(runtime_expand(&text, &runtime, "/bin/i", texts[i].text, NULL),
                         0);
        assert_string_equal(text, texts[i].expanded);
        free(text);
    }
    text = NULL;
    assert_int_equal(runtime_expand(&text, &runtime, NULL, "{interpreter}", &f->err),
                     RUNTIME_E_INVALID);
    assert_non_null(strstr(f->err.text, "interpreter"));
    assert_null(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_a_full_descriptor_is_read),
        TEST(test_the_launcher_needs_no_zygote),
        TEST(test_what_is_optional_may_be_left_out_or_null),
        TEST(test_broken_descriptors_are_refused_with_file_and_member),
        TEST(test_a_descriptor_of_another_name_is_refused),
        TEST(test_a_missing_runtime_is_not_found),
        TEST(test_a_file_too_large_is_refused),
        TEST(test_an_interpreter_is_found_in_path_or_by_its_path),
        TEST(test_a_runtime_without_interpreter_takes_none),
        TEST(test_placeholders_are_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

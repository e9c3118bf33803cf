/* SPDX-License-Identifier: MIT */
#include "contexts/runtime.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "contexts/interpreters.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define EXPANDED_BYTES_MAX ((size_t)64 * 1024)

static const char name_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

enum member_kind {
    MEMBER_STRING,
    MEMBER_STRINGS, /* an array of strings */
    MEMBER_VARIABLES, /* an object of strings */
    MEMBER_OBJECT,
    MEMBER_CHOICE /* one of CHOICES */
};

#define NOWHERE SIZE_MAX /* the value stays in the document */

/* Where each member of runtime.json goes. */
static const struct member {
    const char *name;
    enum member_kind kind;
    size_t offset; /* of the field in struct runtime */
    bool is_required;
    bool may_be_null;
    bool may_be_empty; /* else an array or object needs an element */
    const char *choices[2];
} members[] = {
    { "name", MEMBER_STRING, offsetof(struct runtime, name), .is_required = true },
    { "display_name", MEMBER_STRING, offsetof(struct runtime, display_name),
      .is_required = true },
    { "language", MEMBER_STRING, offsetof(struct runtime, language),
      .is_required = true },
    { "argv", MEMBER_STRINGS, offsetof(struct runtime, argv), .is_required = true },
    { "env", MEMBER_VARIABLES, offsetof(struct runtime, env), .may_be_empty = true },
    { "mounts", MEMBER_STRINGS, offsetof(struct runtime, mounts), .may_be_empty = true },
    { "interpreter", MEMBER_STRING, offsetof(struct runtime, interpreter),
      .may_be_null = true },
    { "interpreters", MEMBER_STRINGS, offsetof(struct runtime, interpreters),
      .may_be_null = true },
    { "spawner", MEMBER_CHOICE, NOWHERE, .is_required = true,
      .choices = { "launcher", "zygote" } },
    { "zygote", MEMBER_STRINGS, offsetof(struct runtime, zygote), .may_be_null = true },
    { "interrupt_mode", MEMBER_CHOICE, NOWHERE, .choices = { "message", "signal" } },
    { "language_info", MEMBER_OBJECT, offsetof(struct runtime, language_info),
      .is_required = true },
    { "preload", MEMBER_STRINGS, offsetof(struct runtime, preload),
      .may_be_empty = true },
    { "features", MEMBER_OBJECT, NOWHERE, .may_be_empty = true },
    { "probe", MEMBER_STRINGS, offsetof(struct runtime, probe), .may_be_null = true },
};

static void
strings_destroy(char **strings)
{
    for (size_t i = 0; strings != NULL && strings[i] != NULL; i++)
        free(strings[i]);
    free(strings);
}

CLEANUP_DEFINE(char *, strings_destroy);

void
runtime_destroy(struct runtime *runtime)
{
    if (runtime == NULL)
        return;
    free(runtime->name);
    free(runtime->display_name);
    free(runtime->language);
    free(runtime->folder);
    free(runtime->interpreter);
    strings_destroy(runtime->argv);
    strings_destroy(runtime->env);
    strings_destroy(runtime->mounts);
    strings_destroy(runtime->zygote);
    strings_destroy(runtime->preload);
    strings_destroy(runtime->interpreters);
    strings_destroy(runtime->probe);
    json_decref(runtime->document); /* language_info is a part of it */
    free(runtime);
}

void
runtime_destroyp(struct runtime **runtime)
{
    runtime_destroy(*runtime);
}

static int
invalid(struct error *err, const char *name, const char *what)
{
    return error_set(err, RUNTIME_E_INVALID, "\"%s\" %s", name, what);
}

static int
strings_create(char ***ret, size_t count, const struct member *member, struct error *err)
{
    if (count > RUNTIME_STRINGS_MAX)
        return invalid(err, member->name, "has too many elements");
    if (count == 0 && !member->may_be_empty)
        return invalid(err, member->name, "must not be empty");
    *ret = calloc(count + 1, sizeof **ret);
    return *ret == NULL ? -ENOMEM : 0;
}

static int
take_string(char **field, const json_t *value, const struct member *member,
            struct error *err)
{
    if (!json_is_string(value) || json_string_length(value) == 0)
        return invalid(err, member->name, "must be a string that is not empty");
    *field = strdup(json_string_value(value));
    return *field == NULL ? -ENOMEM : 0;
}

static int
take_strings(char ***field, const json_t *value, const struct member *member,
             struct error *err)
{
    CLEANUP(strings_destroyp) char **strings = NULL;
    int r;

    if (!json_is_array(value))
        return invalid(err, member->name, "must be an array of strings");
    r = strings_create(&strings, json_array_size(value), member, err);
    assert(r != 0 || strings != NULL);
    for (size_t i = 0; r == 0 && i < json_array_size(value); i++)
        r = take_string(&strings[i], json_array_get(value, i), member, err);
    if (r != 0)
        return r;
    *field = strings;
    strings = NULL;
    return 0;
}

static int
take_variables(char ***field, json_t *value, const struct member *member,
               struct error *err)
{
    CLEANUP(strings_destroyp) char **strings = NULL;
    const char *name;
    json_t *text;
    size_t count = 0;
    int r;

    if (!json_is_object(value))
        return invalid(err, member->name, "must be an object of strings");
    r = strings_create(&strings, json_object_size(value), member, err);
    if (r != 0)
        return r;
    assert(strings != NULL);
    json_object_foreach(value, name, text)
    {
        if (!json_is_string(text) || name[0] == '\0' || strchr(name, '=') != NULL)
            return invalid(err, member->name, "must be an object of strings");
        if (asprintf(&strings[count], "%s=%s", name, json_string_value(text)) < 0) {
            strings[count] = NULL;
            return -ENOMEM;
        }
        count++;
    }
    *field = strings;
    strings = NULL;
    return 0;
}

static int
check_choice(const json_t *value, const struct member *member, struct error *err)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; text != NULL && i < N_ELEMENTS(member->choices); i++) {
        if (strcmp(text, member->choices[i]) == 0)
            return 0;
    }
    return error_set(err, RUNTIME_E_INVALID, "\"%s\" must be \"%s\" or \"%s\"",
                     member->name, member->choices[0], member->choices[1]);
}

static int
take_member(struct runtime *runtime, json_t *value, const struct member *member,
            struct error *err)
{
    void *nowhere = NULL;
    void *field =
        member->offset == NOWHERE ? &nowhere : (void *)((char *)runtime + member->offset);
    int r = 0;

    switch (member->kind) {
    case MEMBER_STRING:
        return take_string(field, value, member, err);
    case MEMBER_STRINGS:
        r = take_strings(field, value, member, err);
        break;
    case MEMBER_VARIABLES:
        return take_variables(field, value, member, err);
    case MEMBER_OBJECT:
        if (!json_is_object(value))
            return invalid(err, member->name, "must be an object");
        *(json_t **)field = value;
        return 0;
    case MEMBER_CHOICE:
        return check_choice(value, member, err);
    }
    strings_destroy(nowhere); /* only checked */
    return r;
}

static bool
is_member(const char *name)
{
    for (size_t i = 0; i < N_ELEMENTS(members); i++) {
        if (strcmp(members[i].name, name) == 0)
            return true;
    }
    return false;
}

static int
take_members(struct runtime *runtime, struct error *err)
{
    const char *name;
    json_t *value;
    int r;

    json_object_foreach(runtime->document, name, value)
    {
        if (!is_member(name))
            return invalid(err, name, "is not known");
    }
    for (size_t i = 0; i < N_ELEMENTS(members); i++) {
        value = json_object_get(runtime->document, members[i].name);
        if (value == NULL && members[i].is_required)
            return invalid(err, members[i].name, "is missing");
        if (value == NULL || (json_is_null(value) && members[i].may_be_null))
            continue;
        r = take_member(runtime, value, &members[i], err);
        if (r != 0)
            return r;
    }
    return 0;
}

static int
check_spawner(struct runtime *runtime, struct error *err)
{
    const json_t *spawner = json_object_get(runtime->document, "spawner");

    if (strcmp(json_string_value(spawner), "zygote") != 0) {
        strings_destroy(runtime->zygote);
        runtime->zygote = NULL;
    } else if (runtime->zygote == NULL) {
        return invalid(err, "zygote", "is missing, the spawner is one");
    }
    return 0;
}

static int
check_interpreters(const struct runtime *runtime, struct error *err)
{
    if (runtime->interpreters != NULL && runtime->interpreter != NULL)
        return invalid(err, "interpreters", "has no place beside \"interpreter\"");
    for (char **pattern = runtime->interpreters; pattern != NULL && *pattern != NULL;
         pattern++) {
        if (interpreters_check_pattern(*pattern) != 0)
            return invalid(err, "interpreters",
                           "must have paths with one \"{name}\" that is a folder");
    }
    return 0;
}

static int
fill_defaults(struct runtime *runtime)
{
    char ***arrays[] = { &runtime->env, &runtime->mounts, &runtime->preload };

    for (size_t i = 0; i < N_ELEMENTS(arrays); i++) {
        if (*arrays[i] == NULL)
            *arrays[i] = calloc(1, sizeof **arrays[i]);
        if (*arrays[i] == NULL)
            return -ENOMEM;
    }
    return 0;
}

static int
read_file(struct buffer *ret, const char *path, struct error *err)
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    ssize_t n;
    int r;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return error_set(err, RUNTIME_E_NOT_FOUND, "there is no %s", path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, RUNTIME_E_INVALID, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode) || (uintmax_t)st.st_size > RUNTIME_FILE_BYTES_MAX)
        return error_set(err, RUNTIME_E_INVALID, "not a file of a usual size");
    do {
        r = buffer_reserve(ret, 4096);
        if (r != 0)
            return r < 0 ? r : error_set(err, RUNTIME_E_INVALID, "larger than it may be");
        n = read(fd, ret->data + ret->length, ret->capacity - ret->length);
        if (n > 0)
            ret->length += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? error_set(err, RUNTIME_E_INVALID, "%s", strerror(errno)) : 0;
}

static int
parse(struct runtime *runtime, const char *path, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    json_error_t problem;
    int r;

    buffer_init(&text, 2 * RUNTIME_FILE_BYTES_MAX);
    r = read_file(&text, path, err);
    if (r != 0)
        return r;
    runtime->document = json_loadb((const char *)text.data, text.length,
                                   JSON_REJECT_DUPLICATES, &problem);
    if (runtime->document == NULL &&
        json_error_code(&problem) == json_error_out_of_memory)
        return -ENOMEM;
    if (runtime->document == NULL)
        return error_set(err, RUNTIME_E_INVALID, "line %d: %s", problem.line,
                         problem.text);
    if (!json_is_object(runtime->document))
        return error_set(err, RUNTIME_E_INVALID, "it must be an object");
    r = take_members(runtime, err);
    if (r == 0)
        r = check_spawner(runtime, err);
    if (r == 0)
        r = check_interpreters(runtime, err);
    return r != 0 ? r : fill_defaults(runtime);
}

int
runtime_set_preload(struct runtime *runtime, const json_t *names, struct error *err)
{
    static const struct member member = { .name = "preload", .may_be_empty = true };
    char **preload = NULL;
    int r = take_strings(&preload, names, &member, err);

    if (r != 0)
        return r;
    strings_destroy(runtime->preload);
    runtime->preload = preload;
    return 0;
}

static bool
is_name(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length <= RUNTIME_NAME_BYTES_MAX &&
           strspn(name, name_letters) == length;
}

int
runtime_load(struct runtime **ret, const char *folder, const char *name,
             struct error *err)
{
    CLEANUP(runtime_destroyp) struct runtime *runtime = calloc(1, sizeof *runtime);
    CLEANUP(freep) char *given = NULL;
    CLEANUP(freep) char *path = NULL;
    int r;

    if (runtime == NULL)
        return -ENOMEM;
    if (!is_name(name))
        return error_set(err, RUNTIME_E_NOT_FOUND, "'%.64s' is no name of a runtime",
                         name);
    if (asprintf(&given, "%s/%s", folder, name) < 0) {
        given = NULL;
        return -ENOMEM;
    }
    runtime->folder = realpath(given, NULL);
    if (runtime->folder == NULL)
        return errno == ENOMEM
                   ? -ENOMEM
                   : error_set(err, RUNTIME_E_NOT_FOUND, "there is no runtime '%s' in %s",
                               name, folder);
    if (asprintf(&path, "%s/runtime.json", runtime->folder) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    r = parse(runtime, path, err);
    if (r == 0 && strcmp(runtime->name, name) != 0)
        r = invalid(err, "name", "must be the name of the folder");
    if (r != 0)
        return r == RUNTIME_E_INVALID ? error_wrap(err, r, "%s", path) : r;
    *ret = runtime;
    runtime = NULL;
    return 0;
}

static bool
is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Looks in each part of PATH; *ret stays NULL if there is none. */
static int
search_path(char **ret, const char *name)
{
    const char *path = getenv("PATH");

    for (const char *at = path != NULL ? path : DEFAULT_PATH; *at != '\0';) {
        size_t length = strcspn(at, ":");
        CLEANUP(freep) char *candidate = NULL;

        if (asprintf(&candidate, "%.*s/%s", (int)length, at, name) < 0) {
            candidate = NULL;
            return -ENOMEM;
        }
        if (candidate[0] == '/' && is_program(candidate)) {
            *ret = candidate;
            candidate = NULL;
            return 0;
        }
        at += length + (at[length] == ':');
    }
    return 0;
}

/* Resolves all but the last part: a virtual environment's python is a link, and is known
 * by its place. */
static int
resolve_folder(char **ret, const char *path)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(freep) char *folder = strndup(path, (size_t)(slash - path) + 1);
    CLEANUP(freep) char *real = NULL;

    if (folder == NULL)
        return -ENOMEM;
    real = realpath(folder, NULL);
    if (real == NULL)
        return errno == ENOMEM ? -ENOMEM : 0;
    if (asprintf(ret, "%s/%s", strcmp(real, "/") == 0 ? "" : real, slash + 1) < 0) {
        *ret = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* A plain path is kept as it is, so that it is the one that its environment knows. */
static bool
is_plain(const char *path)
{
    return path[0] == '/' && strstr(path, "//") == NULL && strstr(path, "/./") == NULL &&
           strstr(path, "/../") == NULL;
}

bool
runtime_takes_interpreter(const struct runtime *runtime)
{
    return runtime->interpreter != NULL || runtime->interpreters != NULL;
}

int
runtime_find_interpreter(char **ret, const struct runtime *runtime, const char *named,
                         struct error *err)
{
    const char *wanted = named != NULL ? named : runtime->interpreter;
    CLEANUP(freep) char *found = NULL;
    int r = 0;

    if (runtime->interpreters != NULL) {
        r = interpreters_find(ret, runtime->interpreters, named, err);
        return r > 0 ? RUNTIME_E_NOT_FOUND : r;
    }
    if (runtime->interpreter == NULL && named != NULL)
        return error_set(err, RUNTIME_E_NOT_FOUND, "runtime %s takes no interpreter",
                         runtime->name);
    if (wanted == NULL) {
        *ret = NULL;
        return 0;
    }
    if (strchr(wanted, '/') == NULL)
        r = search_path(&found, wanted);
    else if (is_plain(wanted) && is_program(wanted))
        r = (found = strdup(wanted)) == NULL ? -ENOMEM : 0;
    else if (is_program(wanted))
        r = resolve_folder(&found, wanted);
    if (r < 0)
        return r;
    if (found == NULL)
        return error_set(err, RUNTIME_E_NOT_FOUND,
                         strchr(wanted, '/') == NULL ? "there is no program %s in PATH"
                                                     : "there is no program %s",
                         wanted);
    *ret = found;
    found = NULL;
    return 0;
}

int
runtime_expand(char **ret, const struct runtime *runtime, const char *interpreter,
               const char *text, struct error *err)
{
    const struct {
        const char *name, *value;
    } places[] = { { "{interpreter}", interpreter }, { "{runtime}", runtime->folder } };
    struct buffer expanded;
    int r = 0;

    buffer_init(&expanded, EXPANDED_BYTES_MAX);
    while (r == 0 && *text != '\0') {
        size_t length = 1, i = 0;

        while (i < N_ELEMENTS(places) &&
               strncmp(text, places[i].name, strlen(places[i].name)) != 0)
            i++;
        if (i == N_ELEMENTS(places)) {
            r = buffer_append(&expanded, text, 1);
        } else if (places[i].value == NULL) {
            r = error_set(err, RUNTIME_E_INVALID, "runtime %s needs an interpreter",
                          runtime->name);
        } else {
            length = strlen(places[i].name);
            r = buffer_append_text(&expanded, places[i].value);
        }
        text += length;
    }
    if (r == 0)
        r = buffer_append(&expanded, "", 1);
    if (r != 0) {
        buffer_fini(&expanded);
        return r < 0 ? r
                     : error_set(err, RUNTIME_E_INVALID,
                                 "runtime %s: a string is too long", runtime->name);
    }
    *ret = (char *)expanded.data;
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* A kept answer is good for the interpreter that gave it, whose path is stored with it,
 * even when its file has changed. To ask means to run it outside of any sandbox, and an
 * environment may lie where an earlier notebook could write: so only a person's own
 * command asks. */
#include "kernel/probe.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/runtime.h"
#include "kernel/child.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define ARGV_MAX 16
#define NAME_BYTES_MAX 64
#define TITLE_BYTES_MAX 200

static const struct json_limits limits = { PROBE_BYTES_MAX, 32 };

/* Owned words; NULL-terminated. */
struct words {
    char *argv[ARGV_MAX + 1];
};

static void
words_fini(struct words *words)
{
    for (size_t i = 0; words->argv[i] != NULL; i++)
        free(words->argv[i]);
}

static int
find_interpreter(char **ret, const struct runtime *runtime, const char *named,
                 struct error *err)
{
    int r = runtime_find_interpreter(ret, runtime, named, err);

    return r > 0 ? PROBE_E_FAILED : r;
}

static int
expand_command(struct words *ret, const struct runtime *runtime, const char *interpreter,
               struct error *err)
{
    for (size_t i = 0; runtime->probe[i] != NULL; i++) {
        int r;

        if (i == ARGV_MAX)
            return error_set(err, PROBE_E_FAILED,
                             "%s/runtime.json: probe: more than %d words",
                             runtime->folder, ARGV_MAX);
        r = runtime_expand(&ret->argv[i], runtime, interpreter, runtime->probe[i], err);
        if (r != 0)
            return r > 0 ? PROBE_E_FAILED : r;
    }
    return 0;
}

/* The last line that is not empty; cuts TEXT. */
static const char *
last_line(struct buffer *text)
{
    char *data = (char *)text->data, *line;
    size_t length = text->length;

    while (length > 0 && data[length - 1] == '\n')
        length--;
    if (length == 0)
        return "";
    if (length == text->length)
        length--; /* room for the NUL */
    data[length] = '\0';
    line = strrchr(data, '\n');
    return line != NULL ? line + 1 : data;
}

static int
ask(json_t **ret, const struct runtime *runtime, const char *interpreter,
    struct error *err)
{
    CLEANUP(buffer_fini) struct buffer out, errors;
    CLEANUP(words_fini) struct words words = { { NULL } };
    struct error why = { 0 };
    const char *said;
    int r;

    buffer_init(&out, PROBE_BYTES_MAX);
    buffer_init(&errors, PROBE_BYTES_MAX);
    r = expand_command(&words, runtime, interpreter, err);
    if (r != 0)
        return r;
    r = child_run(words.argv, PROBE_TIMEOUT_MS, &out, &errors, &why);
    if (r < 0)
        return r;
    if (r == CHILD_E_FAILED) {
        said = last_line(&errors);
        return error_set(err, PROBE_E_FAILED, "asking the interpreter failed: %s%s%s",
                         why.text, said[0] != '\0' ? ": " : "", said);
    }
    r = tree_load_object(ret, buffer_slice(&out), &limits, &why);
    if (r > 0)
        return error_set(err, PROBE_E_FAILED, "%s: its answer is no JSON object: %s",
                         words.argv[0], why.text);
    return r;
}

static int
copy_mounts(struct environment *environment, struct error *err)
{
    const json_t *mounts = json_object_get(environment->document, "mounts");
    size_t count = json_array_size(mounts);

    if (count > PROBE_MOUNTS_MAX)
        return error_set(err, PROBE_E_FAILED, "the interpreter names %zu mounts", count);
    environment->mounts = calloc(count + 1, sizeof *environment->mounts);
    if (environment->mounts == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *path = json_string_value(json_array_get(mounts, i));

        if (path == NULL || path[0] != '/')
            return error_set(err, PROBE_E_FAILED,
                             "the interpreter names a mount that is no absolute path");
        environment->mounts[i] = path;
    }
    return 0;
}

/* It becomes a part of file names. */
static bool
is_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr("._-", *at) == NULL)
            return false;
    }
    return name[0] != '\0' && name[0] != '.' && strlen(name) <= NAME_BYTES_MAX;
}

static const char *
text_or(const json_t *document, const char *name, const char *instead)
{
    const char *text = json_string_value(json_object_get(document, name));

    return text != NULL && text[0] != '\0' && strlen(text) <= TITLE_BYTES_MAX ? text
                                                                              : instead;
}

static int
copy_names(struct environment *environment, const struct runtime *runtime,
           struct error *err)
{
    const json_t *document = environment->document;

    environment->name = text_or(document, "name", runtime->name);
    environment->display_name = text_or(document, "display_name", runtime->display_name);
    environment->language = text_or(document, "language", runtime->language);
    environment->logos = json_string_value(json_object_get(document, "logos"));
    return is_name(environment->name)
               ? 0
               : error_set(err, PROBE_E_FAILED, "the interpreter has no usable name");
}

/* What was named may be a script that starts the interpreter: it knows itself better. */
static int
use_executable(struct environment *environment, struct error *err)
{
    const json_t *executable = json_object_get(environment->document, "executable");
    const char *path = json_string_value(executable);

    if (executable == NULL)
        return 0;
    if (path == NULL || path[0] != '/' || strlen(path) >= PATH_MAX)
        return error_set(err, PROBE_E_FAILED,
                         "the interpreter names an executable that is no absolute path");
    free(environment->interpreter);
    environment->interpreter = strdup(path);
    return environment->interpreter == NULL ? -ENOMEM : 0;
}

/* Takes DOCUMENT and INTERPRETER, even on failure. */
static int
environment_create(struct environment **ret, json_t *document, char *interpreter,
                   const struct runtime *runtime, struct error *err)
{
    CLEANUP(environment_destroyp)
    struct environment *environment = calloc(1, sizeof *environment);
    const char *failure = json_string_value(json_object_get(document, "error"));
    int r;

    if (environment == NULL) {
        json_decref(document);
        free(interpreter);
        return -ENOMEM;
    }
    environment->document = document;
    environment->interpreter = interpreter;
    if (failure != NULL)
        return error_set(err, PROBE_E_FAILED, "%s", failure);
    environment->prefix = json_string_value(json_object_get(document, "prefix"));
    environment->banner = json_string_value(json_object_get(document, "banner"));
    environment->language_info = json_object_get(document, "language_info");
    if (!json_is_object(environment->language_info))
        environment->language_info = (const json_t *)runtime->language_info;
    r = copy_names(environment, runtime, err);
    if (r == 0)
        r = use_executable(environment, err);
    if (r == 0)
        r = copy_mounts(environment, err);
    if (r != 0)
        return r;
    *ret = environment;
    environment = NULL;
    return 0;
}

const char *
environment_python(const struct runtime *runtime, const char *python)
{
    return strcmp(runtime->language, "python") == 0 ? python : NULL;
}

/* Our notes: whose answer this is. The caller owns the object; NULL: no memory. */
static json_t *
make_notes(const struct runtime *runtime, const char *interpreter)
{
    return json_pack("{s:s, s:s?}", "runtime", runtime->name, "interpreter", interpreter);
}

int
environment_probe(struct environment **ret, const struct runtime *runtime,
                  const char *python, struct error *err)
{
    CLEANUP(freep) char *interpreter = NULL;
    CLEANUP(tree_decrefp) json_t *document = NULL;
    json_t *notes, *answer;
    char *path;
    int r;

    r = find_interpreter(&interpreter, runtime, python, err);
    if (r != 0)
        return r;
    if (runtime->probe != NULL)
        r = ask(&document, runtime, interpreter, err);
    else
        document = json_object();
    if (r != 0)
        return r;
    notes = make_notes(runtime, interpreter);
    if (document == NULL || notes == NULL ||
        json_object_set_new(document, "cellwall", notes) < 0)
        return -ENOMEM;
    answer = document;
    document = NULL;
    path = interpreter;
    interpreter = NULL;
    return environment_create(ret, answer, path, runtime, err);
}

int
environment_load(struct environment **ret, struct slice text,
                 const struct runtime *runtime, const char *python, struct error *err)
{
    CLEANUP(freep) char *interpreter = NULL;
    CLEANUP(tree_decrefp) json_t *document = NULL;
    CLEANUP(tree_decrefp) json_t *notes = NULL;
    struct error why = { 0 };
    const json_t *kept;
    const char *named;
    json_t *answer;
    char *path;
    int r;

    r = tree_load_object(&document, text, &limits, &why);
    if (r != 0)
        return r < 0 ? r : error_set(err, PROBE_E_STALE, "%s", why.text);
    kept = json_object_get(document, "cellwall");
    named = json_string_value(json_object_get(kept, "interpreter"));
    r = find_interpreter(&interpreter, runtime, python != NULL ? python : named, &why);
    if (r != 0)
        return r < 0 ? r : error_set(err, PROBE_E_STALE, "%s", why.text);
    notes = make_notes(runtime, interpreter);
    if (notes == NULL)
        return -ENOMEM;
    if (json_equal(kept, notes) == 0)
        return error_set(err, PROBE_E_STALE, "it is of another interpreter");
    answer = document;
    document = NULL;
    path = interpreter;
    interpreter = NULL;
    return environment_create(ret, answer, path, runtime, err);
}

int
environment_append(const struct environment *environment, struct buffer *ret)
{
    int r = tree_append(ret, environment->document, JSON_INDENT(1));

    return r != 0 ? r : buffer_append_text(ret, "\n");
}

void
environment_destroy(struct environment *environment)
{
    if (environment == NULL)
        return;
    free(environment->mounts);
    free(environment->interpreter);
    json_decref(environment->document);
    free(environment);
}

void
environment_destroyp(struct environment **environment)
{
    environment_destroy(*environment);
}

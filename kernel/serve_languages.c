/* SPDX-License-Identifier: MIT */
#include "kernel/serve_languages.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contexts/runtime.h"
#include "kernel/agent/languages.h"
#include "kernel/file.h"
#include "kernel/log.h"
#include "kernel/probe.h"
#include "kernel/settings.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

int
serve_load_runtime(struct runtime **ret, const struct settings *settings,
                   const char *name, struct error *err)
{
    CLEANUP(runtime_destroyp) struct runtime *runtime = NULL;
    const json_t *preload = json_object_get(settings->preload, name);
    char folder[PATH_MAX];
    int r = file_runtimes(folder, err);

    if (r == 0)
        r = runtime_load(&runtime, folder, name, err);
    if (r == 0 && preload != NULL)
        r = runtime_set_preload(runtime, preload, err);
    if (r != 0)
        return r < 0 ? r : SERVE_LANGUAGES_E_FAILED;
    *ret = runtime;
    runtime = NULL;
    return 0;
}

/* RET: what a kernelspec of this user knows, if there is one for RUNTIME. */
static int
find_environment(struct environment **ret, const struct runtime *runtime)
{
    CLEANUP(buffer_fini) struct buffer text;
    char data[PATH_MAX], path[PATH_MAX], name[PATH_MAX];

    buffer_init(&text, PROBE_BYTES_MAX);
    snprintf(name, sizeof name, "kernels/cellwall-%s/environment.json", runtime->name);
    if (file_jupyter_data(data, NULL) != 0 || file_join(path, data, name, NULL) != 0 ||
        file_read(path, &text, NULL) != 0)
        return PROBE_E_STALE;
    return environment_load(ret, buffer_slice(&text), runtime, NULL, NULL);
}

int
serve_name_runtime(char **ret, struct slice text, struct error *err)
{
    const struct json_limits limits = { PROBE_BYTES_MAX, 32 };
    CLEANUP(tree_decrefp) json_t *document = NULL;
    const char *name;
    int r = tree_load_object(&document, text, &limits, err);

    if (r != 0)
        return r < 0 ? r : SERVE_LANGUAGES_E_FAILED;
    name = json_string_value(
        json_object_get(json_object_get(document, "cellwall"), "runtime"));
    if (name == NULL)
        return error_set(err, SERVE_LANGUAGES_E_FAILED,
                         "it is not of a kernelspec of Cellwall");
    *ret = strdup(name);
    return *ret == NULL ? -ENOMEM : 0;
}

/* Takes RUNTIME and ENVIRONMENT. */
static int
add_language(struct languages *languages, struct runtime **runtime,
             struct environment **environment)
{
    struct runtime *loaded = *runtime;
    struct environment *found = *environment;

    *runtime = NULL;
    *environment = NULL;
    return languages_add(languages, loaded, found);
}

/* One interpreter of a runtime that has many, as the settings name it. */
static int
load_interpreter(struct languages *languages, const struct settings *settings,
                 const char *name, const char *interpreter, struct error *err)
{
    CLEANUP(runtime_destroyp) struct runtime *runtime = NULL;
    CLEANUP(environment_destroyp) struct environment *environment = NULL;
    int r = serve_load_runtime(&runtime, settings, name, err);

    if (r == 0)
        r = environment_probe(&environment, runtime, interpreter, err);
    if (r != 0)
        return r < 0 ? r : SERVE_LANGUAGES_E_FAILED;
    return add_language(languages, &runtime, &environment);
}

/* One that a kernelspec was installed for: what it is was asked then. */
static int
load_installed(struct languages *languages, const struct settings *settings,
               const char *name, const char *path)
{
    CLEANUP(buffer_fini) struct buffer text;
    CLEANUP(freep) char *runtime_name = NULL;
    CLEANUP(runtime_destroyp) struct runtime *runtime = NULL;
    CLEANUP(environment_destroyp) struct environment *environment = NULL;
    int r;

    buffer_init(&text, PROBE_BYTES_MAX);
    r = file_read(path, &text, NULL);
    if (r == 0)
        r = serve_name_runtime(&runtime_name, buffer_slice(&text), NULL);
    if (r != 0 || runtime_name == NULL || strcmp(runtime_name, name) != 0)
        return r < 0 ? r : 0;
    r = serve_load_runtime(&runtime, settings, name, NULL);
    if (r == 0)
        r = environment_load(&environment, buffer_slice(&text), runtime, NULL, NULL);
    if (r != 0 || languages_find(languages, NULL, environment->name) != NULL)
        return r < 0 ? r : 0;
    return add_language(languages, &runtime, &environment);
}

/* A runtime that serves many languages: which, the settings say, and what was installed.
 */
static int
load_interpreters(struct languages *languages, const struct settings *settings,
                  const char *name, struct error *err)
{
    const json_t *named = json_object_get(settings->interpreters, name);
    char data[PATH_MAX], pattern[PATH_MAX];
    glob_t found = { 0 };
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_array_size(named); i++)
        r = load_interpreter(languages, settings, name,
                             json_string_value(json_array_get(named, i)), err);
    if (r != 0 || file_jupyter_data(data, NULL) != 0 ||
        file_join(pattern, data, "kernels/cellwall-*/environment.json", NULL) != 0)
        return r;
    if (glob(pattern, 0, NULL, &found) == GLOB_NOSPACE)
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
        r = load_installed(languages, settings, name, found.gl_pathv[i]);
    globfree(&found);
    return r;
}

int
serve_load_language(struct languages *languages, const struct settings *settings,
                    const char *name, struct error *err)
{
    CLEANUP(runtime_destroyp) struct runtime *runtime = NULL;
    CLEANUP(environment_destroyp) struct environment *environment = NULL;
    const char *python;
    int r = serve_load_runtime(&runtime, settings, name, err);

    if (r != 0)
        return r;
    if (runtime->interpreters != NULL)
        return load_interpreters(languages, settings, name, err);
    python = environment_python(runtime, settings->python);
    if (python != NULL || find_environment(&environment, runtime) != 0)
        r = environment_probe(&environment, runtime, python, err);
    if (r != 0)
        return r < 0 ? r : SERVE_LANGUAGES_E_FAILED;
    return add_language(languages, &runtime, &environment);
}

/* Runtimes of one language each go first: they are made for it. */
static bool
serves_many(const struct settings *settings, const char *name)
{
    CLEANUP(runtime_destroyp) struct runtime *runtime = NULL;

    return serve_load_runtime(&runtime, settings, name, NULL) == 0 &&
           runtime->interpreters != NULL;
}

static bool
has_runtime(const char *folder, const char *name)
{
    char path[PATH_MAX];

    return name[0] != '.' &&
           snprintf(path, sizeof path, "%s/%s/runtime.json", folder, name) <
               (int)sizeof path &&
           access(path, R_OK) == 0;
}

int
serve_load_languages(struct languages *languages, const struct settings *settings,
                     struct error *err)
{
    char folder[PATH_MAX];
    struct dirent **entries;
    int count, r = file_runtimes(folder, err);

    if (r != 0)
        return r < 0 ? r : SERVE_LANGUAGES_E_FAILED;
    count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0)
        return error_errno(err, "reading %s", folder);
    for (int i = 0; r == 0 && i < 2 * count; i++) {
        const char *name = entries[i % count]->d_name;
        struct error why = { 0 };

        if (!has_runtime(folder, name) || serves_many(settings, name) != (i >= count))
            continue;
        r = serve_load_language(languages, settings, name, &why);
        if (r > 0)
            log_line("runtime %s cannot be used: %s", name, why.text);
        r = r > 0 ? 0 : r;
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return r;
}

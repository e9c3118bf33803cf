/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/engine.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "contexts/runtime.h"
#include "kernel/agent/languages.h"
#include "kernel/file.h"
#include "kernel/probe.h"
#include "kernel/serve_languages.h"
#include "kernel/settings.h"
#include "protocol/error.h"

#define OUR_PREFIX "cellwall-" /* of the names of our kernelspecs */
#define RUNTIMES_MAX 64

struct engine {
    struct settings settings; /* says of Python alone something */
    struct languages languages; /* owned: those that were asked for */
    struct runtime *runtimes[RUNTIMES_MAX]; /* owned: all that there are */
    size_t count;
};

static int
load_runtimes(struct engine *engine, struct error *err)
{
    char folder[PATH_MAX];
    struct dirent **entries;
    int count, r = file_runtimes(folder, err);

    if (r != 0)
        return r < 0 ? r : ENGINE_E_NONE;
    count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0)
        return error_errno(err, "reading %s", folder);
    for (int i = 0; i < count; i++) {
        struct runtime **runtime = &engine->runtimes[engine->count];

        if (r == 0 && entries[i]->d_name[0] != '.' && engine->count < RUNTIMES_MAX) {
            int loaded = runtime_load(runtime, folder, entries[i]->d_name, NULL);

            engine->count += loaded == 0;
            r = loaded < 0 ? loaded : 0; /* what is no runtime is none */
        }
        free(entries[i]);
    }
    free(entries);
    return r;
}

int
engine_create(struct engine **ret, const char *python, json_t *preload, struct error *err)
{
    CLEANUP(engine_destroyp) struct engine *engine = calloc(1, sizeof *engine);
    int r;

    if (engine == NULL)
        return -ENOMEM;
    settings_init(&engine->settings);
    engine->settings.python = python;
    engine->settings.preload = preload;
    r = load_runtimes(engine, err);
    if (r != 0)
        return r;
    *ret = engine;
    engine = NULL;
    return 0;
}

void
engine_destroy(struct engine *engine)
{
    if (engine == NULL)
        return;
    for (size_t i = 0; i < engine->count; i++)
        runtime_destroy(engine->runtimes[i]);
    languages_fini(&engine->languages);
    settings_fini(&engine->settings);
    free(engine);
}

static bool
serves_many(const struct runtime *runtime)
{
    return runtime->interpreters != NULL;
}

/* Of one language each: by its own name, or its language's. */
static const struct runtime *
find_runtime(const struct engine *engine, const char *name, const char *language)
{
    for (size_t i = 0; i < engine->count; i++) {
        const struct runtime *runtime = engine->runtimes[i];

        if (serves_many(runtime))
            continue;
        if ((name == NULL || strcmp(runtime->name, name) == 0) &&
            (language == NULL || strcasecmp(runtime->language, language) == 0))
            return runtime;
    }
    return NULL;
}

static int
load_language(struct engine *engine, const struct runtime *runtime,
              const struct language **ret, struct error *err)
{
    int r = 0;

    *ret = languages_find(&engine->languages, NULL, runtime->name);
    if (*ret == NULL) {
        r = serve_load_language(&engine->languages, &engine->settings, runtime->name,
                                err);
        *ret = languages_find(&engine->languages, NULL, runtime->name);
    }
    if (r > 0)
        return error_wrap(err, ENGINE_E_NONE, "runtime %s", runtime->name);
    return r;
}

int
engine_find_kernelspec(struct engine *engine, const char *kernelspec,
                       const struct language **ret, struct error *err)
{
    struct runtime *runtime = NULL;
    struct environment *environment = NULL;
    const struct runtime *bridge = NULL;
    int r;

    for (size_t i = 0; i < engine->count; i++) {
        if (serves_many(engine->runtimes[i]))
            bridge = engine->runtimes[i];
    }
    if (bridge == NULL)
        return error_set(err, ENGINE_E_NONE, "there is no runtime for Jupyter kernels");
    for (size_t i = 0; i < engine->languages.count; i++) {
        const struct language *known = &engine->languages.items[i];

        if (serves_many(known->runtime) &&
            strcmp(known->environment->name, kernelspec) == 0) {
            *ret = known;
            return 0;
        }
    }
    r = serve_load_runtime(&runtime, &engine->settings, bridge->name, err);
    if (r == 0)
        r = environment_probe(&environment, runtime, kernelspec, err);
    if (r != 0) {
        runtime_destroy(runtime);
        return r < 0 ? r : error_wrap(err, ENGINE_E_NONE, "kernelspec %.64s", kernelspec);
    }
    r = languages_add(&engine->languages, runtime, environment);
    *ret = &engine->languages.items[engine->languages.count - 1];
    return r;
}

int
engine_find(struct engine *engine, const struct engine_wish *wish,
            const struct language **ret, struct error *err)
{
    const char *named = wish->kernelspec;
    const struct runtime *runtime = NULL;
    bool is_ours = named != NULL && strncmp(named, OUR_PREFIX, strlen(OUR_PREFIX)) == 0;

    if (is_ours) {
        named += strlen(OUR_PREFIX);
        runtime = find_runtime(engine, named, NULL);
    }
    if (runtime == NULL && wish->language != NULL)
        runtime = find_runtime(engine, NULL, wish->language);
    /* A path would let a notebook choose a program of its own. */
    if (runtime == NULL && named != NULL && (strchr(named, '/') != NULL || *named == '.'))
        return error_set(err, ENGINE_E_NONE, "%.64s is not the name of a kernelspec",
                         named);
    if (runtime == NULL && named != NULL && named[0] != '\0')
        return engine_find_kernelspec(engine, named, ret, err);
    if (runtime == NULL)
        return error_set(err, ENGINE_E_NONE,
                         "there is no runtime for language %.64s, and the notebook names "
                         "no kernelspec",
                         wish->language != NULL ? wish->language : "");
    return load_language(engine, runtime, ret, err);
}

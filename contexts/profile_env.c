/* SPDX-License-Identifier: MIT */
/*
 * What a context sees of the environment: of the server's own only what is named here, so
 * that no key, token or path of a secret can pass by being forgotten.
 */
#include "contexts/profile_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "contexts/context.h"
#include "contexts/runtime.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define SYSTEM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Passed on from the server's environment. */
static const struct passed {
    const char *name;
    bool is_prefix;
} passed[] = {
    { "LANG", false },     { "LANGUAGE", false }, { "LC_", true },   { "TZ", false },
    { "OMP_", true }, /* threads of numeric libraries */
    { "OPENBLAS_", true }, { "MKL_", true },      { "BLIS_", true }, { "NUMEXPR_", true },
};

/* The same in every context. Colours: output goes to a browser, not to a terminal. */
static const char *const fixed[] = {
    "USER=" PROFILE_USER,
    "LOGNAME=" PROFILE_USER,
    "SHELL=/bin/sh",
    "TMPDIR=/tmp",
    "TERM=xterm-color",
    "CLICOLOR=1",
    "CLICOLOR_FORCE=1",
    "FORCE_COLOR=1",
    "PAGER=cat",
    "GIT_PAGER=cat",
    "XDG_CACHE_HOME=" PROFILE_CACHE_FOLDER,
    "IPYTHONDIR=" PROFILE_IPYTHON_FOLDER,
    "MPLCONFIGDIR=" PROFILE_MATPLOTLIB_FOLDER,
    "PIP_TARGET=" PROFILE_PACKAGES_FOLDER,
    "PIP_DISABLE_PIP_VERSION_CHECK=1",
};

/* By how their names begin: read when a program starts, by the loader, by libc and by
 * numeric libraries. So are those with the language's own name. */
static const char *const read_at_start[] = {
    "LD_",  "GLIBC_", "MALLOC_", "LC_",   "LANG",    "OMP_",
    "GOMP", "KMP_",   "MKL_",    "BLIS_", "NUMEXPR", "OPENBLAS_",
};
#define PRELOAD "CELLWALL_PRELOAD=" /* what a zygote imports ahead, with commas */

static bool
is_passed(const char *variable)
{
    for (size_t i = 0; i < N_ELEMENTS(passed); i++) {
        size_t length = strlen(passed[i].name);

        if (strncmp(variable, passed[i].name, length) == 0 &&
            (passed[i].is_prefix ? strchr(variable, '=') != NULL
                                 : variable[length] == '='))
            return true;
    }
    return false;
}

/* Takes VARIABLE, even on failure; a later one of the same name replaces the earlier. */
static int
set_variable(struct profile *profile, char *variable, struct error *err)
{
    size_t length;

    if (variable == NULL)
        return -ENOMEM;
    length = strcspn(variable, "=");
    if (length == 0 || variable[length] == '\0') {
        error_set(err, PROFILE_E_OPTIONS, "a variable must be NAME=value: '%.60s'",
                  variable);
        free(variable);
        return PROFILE_E_OPTIONS;
    }
    for (size_t i = 0; i < profile->env.count; i++) {
        if (strncmp(profile->env.items[i], variable, length + 1) != 0)
            continue;
        free(profile->env.items[i]);
        profile->env.items[i] = variable;
        return 0;
    }
    return profile_texts_add(&profile->env, variable);
}

static int
copy_variable(struct profile *profile, const char *variable, struct error *err)
{
    return set_variable(profile, strdup(variable), err);
}

/* The interpreter's own programs come first, as in an activated environment. */
static int
set_path(struct profile *profile)
{
    const char *slash =
        profile->interpreter == NULL ? NULL : strrchr(profile->interpreter, '/');
    char *variable = NULL;
    int n;

    if (slash == NULL || slash == profile->interpreter)
        n = asprintf(&variable, "PATH=%s", SYSTEM_PATH);
    else
        n = asprintf(&variable, "PATH=%.*s:%s", (int)(slash - profile->interpreter),
                     profile->interpreter, SYSTEM_PATH);
    return set_variable(profile, n < 0 ? NULL : variable, NULL);
}

static int
set_home(struct profile *profile)
{
    char *variable = NULL;
    int n = asprintf(&variable, "HOME=%s", profile->home_inside);

    return set_variable(profile, n < 0 ? NULL : variable, NULL);
}

static int
add_runtime_variables(struct profile *profile, const struct runtime *runtime,
                      struct error *err)
{
    int r = 0;

    for (char **variable = runtime->env; r == 0 && *variable != NULL; variable++) {
        char *expanded;

        r = runtime_expand(&expanded, runtime, profile->interpreter, *variable, err);
        if (r != 0)
            return r < 0 ? r : PROFILE_E_OPTIONS;
        r = set_variable(profile, expanded, err);
    }
    return r;
}

static int
set_preload(struct profile *profile, const struct runtime *runtime)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, RUNTIME_FILE_BYTES_MAX);
    r = buffer_append_text(&text, PRELOAD);
    for (char **name = runtime->preload; r == 0 && *name != NULL; name++)
        r = buffer_append_format(&text, "%s%s", name == runtime->preload ? "" : ",",
                                 *name);
    if (r == 0)
        r = buffer_append(&text, "", 1);
    return r != 0 ? -ENOMEM : copy_variable(profile, (char *)text.data, NULL);
}

bool
profile_variables_can_wait(const struct context_options *options)
{
    size_t language = strlen(options->runtime->language);

    for (size_t i = 0; options->env != NULL && options->env[i] != NULL; i++) {
        if (strncasecmp(options->env[i], options->runtime->language, language) == 0)
            return false;
        for (size_t j = 0; j < N_ELEMENTS(read_at_start); j++)
            if (strncmp(options->env[i], read_at_start[j], strlen(read_at_start[j])) == 0)
                return false;
    }
    return true;
}

/* Numeric libraries make threads by the processors that they may be put on. */
static int
set_threads(struct profile *profile, const struct sandbox_limits *limits)
{
    static const char *const names[] = { "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                         "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS" };
    unsigned count = profile_processors(limits);
    int r = 0;

    for (size_t i = 0; r == 0 && count > 0 && i < N_ELEMENTS(names); i++) {
        char *variable = NULL;
        int n = asprintf(&variable, "%s=%u", names[i], count);

        r = set_variable(profile, n < 0 ? NULL : variable, NULL);
    }
    return r;
}

int
profile_add_variables(struct profile *profile, const struct context_options *options,
                      struct error *err)
{
    int r = copy_variable(profile, "LANG=C.UTF-8", err);

    for (char **variable = environ; r == 0 && *variable != NULL; variable++) {
        if (is_passed(*variable))
            r = copy_variable(profile, *variable, err);
    }
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(fixed); i++)
        r = copy_variable(profile, fixed[i], err);
    if (r == 0)
        r = set_threads(profile, &options->limits.sandbox);
    if (r == 0)
        r = set_path(profile);
    if (r == 0)
        r = set_home(profile);
    if (r == 0)
        r = add_runtime_variables(profile, options->runtime, err);
    if (profile->is_zygote)
        return r != 0 ? r : set_preload(profile, options->runtime);
    for (size_t i = 0; r == 0 && options->env != NULL && options->env[i] != NULL; i++)
        r = copy_variable(profile, options->env[i], err);
    return r;
}

/* SPDX-License-Identifier: MIT */
#include "contexts/profile.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "contexts/context.h"
#include "contexts/profile_parts.h"
#include "contexts/runtime.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define HOSTNAME "cellwall"

#define MIB ((uint64_t)1024 * 1024)
#define NOTEBOOK_MEMORY_SHARE 80 /* percent of the machine's */
#define ZYGOTE_PROCESSES 65536 /* its forks may have less, not more */
#define ZYGOTE_OPEN_FILES 1048576

CLEANUP_DEFINE(struct profile, profile_destroy);

static const struct context_limits default_limits[] = {
    [CONTEXT_PROFILE_NOTEBOOK] = {
        .sandbox = { .processes = 4096, .open_files = 4096 },
        .tmp_bytes = 2048 * MIB,
        .tmp_inodes = 131072,
        .output_bytes = 64 * MIB,
    },
    [CONTEXT_PROFILE_AGENT] = {
        .sandbox = { .processes = 128,
                     .open_files = 1024,
                     .memory_bytes = 1024 * MIB,
                     .cpu_milli = 1000 },
        .tmp_bytes = 256 * MIB,
        .tmp_inodes = 16384,
        .disk_bytes = 256 * MIB,
        .disk_inodes = 16384,
        .output_bytes = 8 * MIB,
        .run_ms = 30000,
    },
};

struct context_limits
context_limits_of(enum context_profile profile)
{
    struct context_limits limits = default_limits[profile];
    struct rlimit ours;
    struct sysinfo machine;

    if (getrlimit(RLIMIT_NOFILE, &ours) == 0 && ours.rlim_max < limits.sandbox.open_files)
        limits.sandbox.open_files = ours.rlim_max;
    if (profile == CONTEXT_PROFILE_NOTEBOOK && sysinfo(&machine) == 0)
        limits.sandbox.memory_bytes =
            (uint64_t)machine.totalram * machine.mem_unit / 100 * NOTEBOOK_MEMORY_SHARE;
    return limits;
}

int
profile_texts_add(struct profile_texts *texts, char *text)
{
    if (text == NULL)
        return -ENOMEM;
    if (texts->count + 1 >= texts->capacity) {
        size_t capacity = texts->capacity == 0 ? 32 : 2 * texts->capacity;
        char **items = reallocarray(texts->items, capacity, sizeof *items);

        if (items == NULL) {
            free(text);
            return -ENOMEM;
        }
        texts->items = items;
        texts->capacity = capacity;
    }
    texts->items[texts->count++] = text;
    texts->items[texts->count] = NULL;
    return 0;
}

static void
texts_fini(struct profile_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
    free(texts->items);
}

const char *
profile_keep(struct profile *profile, const char *text)
{
    if (profile_texts_add(&profile->kept, strdup(text)) < 0)
        return NULL;
    return profile->kept.items[profile->kept.count - 1];
}

int
profile_add_mount(struct profile *profile, const struct sandbox_mount *mount,
                  struct error *err)
{
    struct sandbox_mount *ret = &profile->mounts[profile->spec.mount_count];
    bool is_bind =
        mount->kind == SANDBOX_MOUNT_BIND_RO || mount->kind == SANDBOX_MOUNT_BIND_RW;
    CLEANUP(freep) char *real = is_bind ? realpath(mount->source, NULL) : NULL;

    if (is_bind && real == NULL)
        return errno == ENOMEM ? -ENOMEM : 0; /* gone since it was looked at */
    if (profile->spec.mount_count == SANDBOX_MOUNTS_MAX)
        return error_set(err, PROFILE_E_OPTIONS,
                         "more than %d mounts are needed: too many hidden entries in %s? "
                         "Start below it",
                         SANDBOX_MOUNTS_MAX, profile->home);
    *ret = *mount;
    ret->target = profile_keep(profile, mount->target);
    if (mount->source != NULL)
        ret->source = profile_keep(profile, is_bind ? real : mount->source);
    if (ret->target == NULL || (mount->source != NULL && ret->source == NULL))
        return -ENOMEM;
    profile->spec.mount_count++;
    return 0;
}

bool
profile_is_within(const char *path, const char *ancestor)
{
    size_t length = strlen(ancestor);

    if (length == 1) /* "/" */
        return true;
    return strncmp(path, ancestor, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

/* HOME must be a path that a made-up passwd and a tmpfs can take. */
static bool
is_usable_home(const char *path)
{
    return path[0] == '/' && strpbrk(path, ":\n") == NULL &&
           profile_check_directory(path, NULL) == 0;
}

static int
find_home(struct profile *profile)
{
    const char *home = getenv("HOME");
    const struct passwd *user;

    if (home == NULL || home[0] == '\0') {
        user = getpwuid(geteuid());
        home = user == NULL ? "" : user->pw_dir;
    }
    profile->home = realpath(home, NULL);
    if (profile->home == NULL && errno == ENOMEM)
        return -ENOMEM;
    if (profile->home == NULL || !is_usable_home(profile->home)) {
        free(profile->home);
        profile->home = strdup(PROFILE_HOME);
    }
    profile->home_inside = profile->home;
    return profile->home == NULL ? -ENOMEM : 0;
}

/* Appends a part to the working directory, if it is one that can be. */
static int
add_part(struct buffer *ret, const char *part, size_t length, struct error *err)
{
    if (length == 0 || (length == 1 && part[0] == '.'))
        return 0;
    if (length == 2 && part[0] == '.' && part[1] == '.')
        return error_set(err, PROFILE_E_OPTIONS,
                         "the working directory must be named without \"..\"");
    if (length > NAME_MAX)
        return error_set(err, PROFILE_E_OPTIONS,
                         "a part of the working directory has more than %d bytes",
                         NAME_MAX);
    return buffer_append_format(ret, "/%.*s", (int)length, part);
}

static int
find_cwd(struct profile *profile, const char *cwd, struct error *err)
{
    struct buffer text;
    int r = 0;

    if (cwd == NULL || profile->is_zygote)
        return 0;
    if (cwd[0] == '/' && !profile_is_within(cwd, PROFILE_WORKSPACE))
        return error_set(
            err, PROFILE_E_OPTIONS,
            "the working directory must be within " PROFILE_WORKSPACE ": %.200s", cwd);
    if (cwd[0] == '/')
        cwd += strlen(PROFILE_WORKSPACE);
    buffer_init(&text, PATH_MAX);
    r = buffer_append_text(&text, PROFILE_WORKSPACE);
    while (r == 0 && *cwd != '\0') {
        size_t length;

        cwd += strspn(cwd, "/");
        length = strcspn(cwd, "/");
        r = add_part(&text, cwd, length, err);
        cwd += length;
    }
    if (r == 0)
        r = buffer_append(&text, "", 1);
    profile->cwd = (char *)text.data; /* allocated as any */
    if (r > 0) /* unless it has been told better */
        return error_set(err, PROFILE_E_OPTIONS,
                         "the working directory has more than %d bytes", PATH_MAX - 1);
    return r;
}

static int
use_workspace(struct profile *profile, const struct context_options *options,
              struct error *err)
{
    profile->has_workspace = options->workspace != NULL && !profile->is_zygote;
    profile->home_inside = PROFILE_WORKSPACE;
    profile->directory = strdup(PROFILE_WORKSPACE);
    return profile->directory == NULL ? -ENOMEM : find_cwd(profile, options->cwd, err);
}

static int
find_directory(struct profile *profile, const char *directory, struct error *err)
{
    struct stat st;

    if (directory == NULL || directory[0] != '/')
        return error_set(err, PROFILE_E_OPTIONS,
                         "the directory must be an absolute path");
    profile->directory = realpath(directory, NULL);
    if (profile->directory == NULL && errno == ENOMEM)
        return -ENOMEM;
    if (profile->directory == NULL || stat(profile->directory, &st) < 0)
        return error_set(err, PROFILE_E_OPTIONS, "directory %.300s: %s", directory,
                         strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return error_set(err, PROFILE_E_OPTIONS, "%.300s is not a directory", directory);
    return profile_check_directory(profile->directory, err);
}

static int
add_arguments(struct profile *profile, const struct runtime *runtime, struct error *err)
{
    for (char **word = profile->is_zygote ? runtime->zygote : runtime->argv;
         *word != NULL; word++) {
        char *expanded;
        int r = runtime_expand(&expanded, runtime, profile->interpreter, *word, err);

        if (r != 0)
            return r < 0 ? r : PROFILE_E_OPTIONS;
        r = profile_texts_add(&profile->argv, expanded);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Said here, because "no such file" from inside would send people looking outside. */
static int
check_program(const struct profile *profile, struct error *err)
{
    const char *program = profile->argv.items[0];

    for (size_t i = 0; i < profile->spec.mount_count; i++) {
        const struct sandbox_mount *mount = &profile->mounts[i];

        if ((mount->kind == SANDBOX_MOUNT_BIND_RO ||
             mount->kind == SANDBOX_MOUNT_BIND_RW ||
             mount->kind == SANDBOX_MOUNT_SYMLINK) &&
            profile_is_within(program, mount->target))
            return 0;
    }
    return error_set(err, PROFILE_E_OPTIONS,
                     "%.300s is not in any folder that a context sees: its installation "
                     "must be one of the mounts",
                     program);
}

static int
fill(struct profile *profile, const struct context_options *options, struct error *err)
{
    int r;

    r = runtime_find_interpreter(&profile->interpreter, options->runtime,
                                 options->interpreter, err);
    if (r != 0)
        return r < 0 ? r : PROFILE_E_OPTIONS;
    if ((r = find_home(profile)) != 0)
        return r;
    r = options->profile == CONTEXT_PROFILE_AGENT
            ? use_workspace(profile, options, err)
            : find_directory(profile, options->directory, err);
    if (r != 0 || (r = add_arguments(profile, options->runtime, err)) != 0 ||
        (r = profile_add_mounts(profile, options, err)) != 0 ||
        (r = check_program(profile, err)) != 0)
        return r;
    return profile_add_variables(profile, options, err);
}

static void
fill_spec(struct profile *profile, const struct context_options *options,
          const struct profile_programs *programs)
{
    struct sandbox_spec *spec = &profile->spec;

    spec->argv = (const char *const *)profile->argv.items;
    spec->env = (const char *const *)profile->env.items;
    spec->directory = profile->is_zygote ? "/" : profile->directory;
    if (profile->cwd != NULL)
        spec->directory = profile->cwd;
    spec->make_directory = profile->cwd != NULL;
    spec->hostname = HOSTNAME;
    spec->network = options->network;
    spec->role = profile->is_zygote ? SANDBOX_ROLE_ZYGOTE : SANDBOX_ROLE_RUNNER;
    spec->limits = options->limits.sandbox;
    if (profile->is_zygote)
        spec->limits = (struct sandbox_limits){ .processes = ZYGOTE_PROCESSES,
                                                .open_files = ZYGOTE_OPEN_FILES };
    spec->mounts = profile->mounts;
    spec->seccomp = programs->of_role[spec->role];
}

static int
create(struct profile **ret, const struct context_options *options,
       const struct profile_programs *programs, bool is_zygote, struct error *err)
{
    CLEANUP(profile_destroyp) struct profile *profile = calloc(1, sizeof *profile);
    int r;

    if (profile == NULL)
        return -ENOMEM;
    profile->is_zygote = is_zygote;
    r = fill(profile, options, err);
    if (r != 0)
        return r;
    fill_spec(profile, options, programs);
    *ret = profile;
    profile = NULL;
    return 0;
}

int
profile_create(struct profile **ret, const struct context_options *options,
               const struct profile_programs *programs, struct error *err)
{
    CLEANUP(profile_destroyp) struct profile *profile = NULL;
    int r = create(&profile, options, programs, false, err);

    if (r != 0)
        return r;
    assert(profile != NULL);
    if (options->runtime->zygote != NULL && options->network == SANDBOX_NETWORK_NONE &&
        profile_variables_can_wait(options))
        r = create(&profile->zygote, options, programs, true, NULL);
    if (r < 0)
        return r;
    /* r > 0: its interpreter is somewhere in the notebook's directory, say. */
    *ret = profile;
    profile = NULL;
    return 0;
}

void
profile_destroy(struct profile *profile)
{
    if (profile == NULL)
        return;
    profile_destroy(profile->zygote);
    texts_fini(&profile->argv);
    texts_fini(&profile->env);
    texts_fini(&profile->kept);
    free(profile->home);
    free(profile->directory);
    free(profile->cwd);
    free(profile->interpreter);
    free(profile);
}

void
profile_set_nested(struct profile *profile, struct slice program)
{
    profile_destroy(profile->zygote);
    profile->zygote = NULL;
    for (size_t i = 0; i < profile->spec.mount_count; i++)
        if (profile->mounts[i].kind == SANDBOX_MOUNT_GIVEN)
            profile->mounts[i].kind = SANDBOX_MOUNT_TMPFS;
    profile->spec.tier = SANDBOX_TIER_NESTED;
    profile->spec.seccomp = program;
}

const struct sandbox_spec *
profile_spec(const struct profile *profile)
{
    return &profile->spec;
}

const struct sandbox_spec *
profile_zygote_spec(const struct profile *profile)
{
    return profile->zygote == NULL ? NULL : &profile->zygote->spec;
}

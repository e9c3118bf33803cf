/* SPDX-License-Identifier: MIT */
/*
 * What a context sees of the file system. Order matters, a later mount lies on top: the
 * system, then the writable places, then the notebook's directory, then what must not be
 * writable or seen inside that directory, and last the interpreter; but a workspace lies
 * on top of all, for what code has left there shall not be in the way of a mount.
 */
#include "contexts/profile_parts.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/context.h"
#include "contexts/runtime.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

/* A hidden folder that shows a mount below it: room for the mount points alone. */
#define SHELL_BYTES ((uint64_t)1024 * 1024)
#define SHELL_INODES 256

enum row_kind {
    ROW_BIND, /* read-only, if it is there */
    ROW_BIND_GLOB, /* each match */
    ROW_LINK, /* the same link as outside, or a read-only bind of what is no link */
    ROW_TMPFS, /* writable, with the limits of the context */
    ROW_FILE, /* made up, with CONTENT */
    ROW_MASK
};

enum row_when { ALWAYS, WITH_NETWORK, WITHOUT_NETWORK };

/* The system, in the order of mounting. */
static const struct row {
    enum row_kind kind;
    const char *path;
    enum row_when when;
    const char *content;
    unsigned mode;
} rows[] = {
    { .kind = ROW_BIND, .path = "/usr" },
    { .kind = ROW_LINK, .path = "/bin" },
    { .kind = ROW_LINK, .path = "/sbin" },
    { .kind = ROW_LINK, .path = "/lib" },
    { .kind = ROW_LINK, .path = "/lib32" },
    { .kind = ROW_LINK, .path = "/lib64" },
    { .kind = ROW_LINK, .path = "/libx32" },
    /* Programs are found through these. */
    { .kind = ROW_BIND, .path = "/etc/alternatives" },
    { .kind = ROW_BIND, .path = "/etc/ld.so.cache" },
    { .kind = ROW_BIND, .path = "/etc/ld.so.conf" },
    { .kind = ROW_BIND, .path = "/etc/ld.so.conf.d" },
    /* Languages. */
    { .kind = ROW_BIND_GLOB, .path = "/etc/python3*" },
    { .kind = ROW_BIND, .path = "/etc/matplotlibrc" },
    { .kind = ROW_BIND, .path = "/etc/R" },
    { .kind = ROW_BIND, .path = "/etc/perl" },
    /* Certificates, without the machine's own keys. */
    { .kind = ROW_BIND, .path = "/etc/ssl" },
    { .kind = ROW_MASK, .path = "/etc/ssl/private" },
    { .kind = ROW_BIND, .path = "/etc/ca-certificates" },
    { .kind = ROW_BIND, .path = "/etc/pki" },
    { .kind = ROW_MASK, .path = "/etc/pki/tls/private" },
    { .kind = ROW_BIND, .path = "/etc/crypto-policies" },
    /* Appearance and place. */
    { .kind = ROW_BIND, .path = "/etc/fonts" },
    { .kind = ROW_BIND, .path = "/etc/localtime" },
    { .kind = ROW_BIND, .path = "/etc/timezone" },
    { .kind = ROW_BIND, .path = "/etc/locale.alias" },
    { .kind = ROW_BIND, .path = "/etc/os-release" },
    { .kind = ROW_BIND, .path = "/etc/debian_version" },
    { .kind = ROW_BIND, .path = "/etc/mime.types" },
    /* Names. */
    { .kind = ROW_BIND, .path = "/etc/nsswitch.conf" },
    { .kind = ROW_BIND, .path = "/etc/protocols" },
    { .kind = ROW_BIND, .path = "/etc/services" },
    { .kind = ROW_BIND, .path = "/etc/host.conf", .when = WITH_NETWORK },
    { .kind = ROW_BIND, .path = "/etc/gai.conf", .when = WITH_NETWORK },
    { .kind = ROW_BIND, .path = "/etc/resolv.conf", .when = WITH_NETWORK },
    { .kind = ROW_BIND, .path = "/etc/hosts", .when = WITH_NETWORK },
    { .kind = ROW_FILE,
      .path = "/etc/hosts",
      .when = WITHOUT_NETWORK,
      .content = "127.0.0.1 localhost cellwall\n::1 localhost cellwall\n" },
    { .kind = ROW_FILE, .path = "/etc/hostname", .content = "cellwall\n" },
    /* Places to write. */
    { .kind = ROW_TMPFS, .path = "/tmp", .mode = 01777 },
    { .kind = ROW_TMPFS, .path = "/var/tmp", .mode = 01777 },
    { .kind = ROW_TMPFS, .path = "/dev/shm", .mode = 01777 },
    { .kind = ROW_TMPFS, .path = PROFILE_CACHE_FOLDER, .mode = 0700 },
    { .kind = ROW_TMPFS, .path = PROFILE_IPYTHON_FOLDER, .mode = 0700 },
    { .kind = ROW_TMPFS, .path = PROFILE_MATPLOTLIB_FOLDER, .mode = 0700 },
    { .kind = ROW_TMPFS, .path = PROFILE_PACKAGES_FOLDER, .mode = 0700 },
};

/* What a notebook's directory may not be; the first row that fits decides. */
static const struct place {
    const char *path;
    bool below_too;
    bool is_allowed;
} places[] = {
    { .path = "/run/media", .below_too = true, .is_allowed = true }, /* USB sticks */
    { .path = "/bin", .below_too = true },
    { .path = "/boot", .below_too = true },
    { .path = "/dev", .below_too = true },
    { .path = "/etc", .below_too = true },
    { .path = "/lib", .below_too = true },
    { .path = "/lib32", .below_too = true },
    { .path = "/lib64", .below_too = true },
    { .path = "/libx32", .below_too = true },
    { .path = "/proc", .below_too = true },
    { .path = "/run", .below_too = true },
    { .path = "/sbin", .below_too = true },
    { .path = "/sys", .below_too = true },
    { .path = "/usr", .below_too = true },
    { .path = "/var" },
    { .path = "/" },
};

/* Entries, by how their names begin, that are hidden when the directory shows FOLDER. */
static const struct hidden {
    const char *folder; /* NULL: HOME */
    const char *prefix;
} hidden[] = {
    { NULL, "." }, /* keys, tokens, histories */
    { "/tmp", "." }, /* sockets of a desktop */
    { "/tmp", "ssh-" }, /* an agent's socket */
    { "/tmp", "cellwall-" }, /* the server's own */
};

static bool
place_fits(const struct place *place, const char *path)
{
    return place->below_too && place->path[1] != '\0'
               ? profile_is_within(path, place->path)
               : strcmp(path, place->path) == 0;
}

int
profile_check_directory(const char *directory, struct error *err)
{
    for (size_t i = 0; i < N_ELEMENTS(places); i++) {
        if (!place_fits(&places[i], directory))
            continue;
        if (places[i].is_allowed)
            return 0;
        return error_set(err, PROFILE_E_OPTIONS,
                         "%.300s belongs to the system and cannot be a notebook's "
                         "directory: start in another one",
                         directory);
    }
    return 0;
}

static int
add_bind(struct profile *profile, const char *path, struct error *err)
{
    const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_BIND_RO,
                                         .flags = SANDBOX_MOUNT_OPTIONAL,
                                         .target = path,
                                         .source = path };

    return access(path, F_OK) < 0 ? 0 : profile_add_mount(profile, &mount, err);
}

static int
add_glob(struct profile *profile, const char *pattern, struct error *err)
{
    glob_t matches = { 0 };
    int r = 0;

    switch (glob(pattern, 0, NULL, &matches)) {
    case 0:
        for (size_t i = 0; r == 0 && i < matches.gl_pathc; i++)
            r = add_bind(profile, matches.gl_pathv[i], err);
        break;
    case GLOB_NOSPACE:
        r = -ENOMEM;
        break;
    default: /* there are none */
        break;
    }
    globfree(&matches);
    return r;
}

static int
add_link(struct profile *profile, const char *path, struct error *err)
{
    char text[PATH_MAX];
    const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_SYMLINK,
                                         .target = path,
                                         .source = text };
    ssize_t n = readlink(path, text, sizeof text - 1);

    if (n < 0)
        return add_bind(profile, path, err);
    text[n] = '\0';
    return profile_add_mount(profile, &mount, err);
}

static int
add_tmpfs(struct profile *profile, const char *path, uint64_t bytes, uint64_t inodes,
          unsigned mode, struct error *err)
{
    const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_TMPFS,
                                         .target = path,
                                         .bytes = bytes,
                                         .inodes = inodes,
                                         .mode = mode };

    return profile_add_mount(profile, &mount, err);
}

static int
add_file(struct profile *profile, const char *path, const char *content,
         struct error *err)
{
    const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_FILE,
                                         .target = path,
                                         .source = content };

    return profile_add_mount(profile, &mount, err);
}

static int
add_mask(struct profile *profile, const char *path, struct error *err)
{
    const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_MASK, .target = path };

    return profile_add_mount(profile, &mount, err);
}

static int
add_row(struct profile *profile, const struct row *row,
        const struct context_options *options, struct error *err)
{
    switch (row->kind) {
    case ROW_BIND:
        return add_bind(profile, row->path, err);
    case ROW_BIND_GLOB:
        return add_glob(profile, row->path, err);
    case ROW_LINK:
        return add_link(profile, row->path, err);
    case ROW_TMPFS:
        return add_tmpfs(profile, row->path, options->limits.tmp_bytes,
                         options->limits.tmp_inodes, row->mode, err);
    case ROW_FILE:
        return add_file(profile, row->path, row->content, err);
    case ROW_MASK:
        return access(row->path, F_OK) < 0 ? 0 : add_mask(profile, row->path, err);
    }
    return 0;
}

static int
add_system(struct profile *profile, const struct context_options *options,
           struct error *err)
{
    enum row_when not_now =
        options->network == SANDBOX_NETWORK_HOST ? WITHOUT_NETWORK : WITH_NETWORK;
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(rows); i++) {
        if (rows[i].when != not_now)
            r = add_row(profile, &rows[i], options, err);
    }
    return r;
}

/* User code has an id of its own where the server is root, else the server's. */
static int
add_accounts(struct profile *profile, struct error *err)
{
    unsigned uid = geteuid() == 0 ? SANDBOX_RUNNER_ID : geteuid();
    unsigned gid = geteuid() == 0 ? SANDBOX_RUNNER_ID : getegid();
    CLEANUP(freep) char *users = NULL;
    CLEANUP(freep) char *groups = NULL;
    int r;

    if (asprintf(&users,
                 "root:x:0:0:root:/root:/usr/sbin/nologin\n" PROFILE_USER
                 ":x:%u:%u::%s:/bin/sh\n"
                 "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
                 uid, gid, profile->home_inside) < 0) {
        users = NULL;
        return -ENOMEM;
    }
    if (asprintf(&groups, "root:x:0:\n" PROFILE_USER ":x:%u:\nnogroup:x:65534:\n", gid) <
        0) {
        groups = NULL;
        return -ENOMEM;
    }
    r = add_file(profile, "/etc/passwd", users, err);
    return r != 0 ? r : add_file(profile, "/etc/group", groups, err);
}

/* False when a link leads elsewhere: user code may have left one where it can write. */
static bool
is_real(const char *path)
{
    CLEANUP(freep) char *real = realpath(path, NULL);

    return real != NULL && strcmp(real, path) == 0;
}

/* matplotlib looks through all fonts, for seconds, where it finds no list of them. */
static int
add_font_lists(struct profile *profile, struct error *err)
{
    CLEANUP(freep) char *pattern = NULL;
    glob_t matches = { 0 };
    int r = 0;

    if (asprintf(&pattern, "%s/.cache/matplotlib/fontlist-*.json", profile->home) < 0) {
        pattern = NULL;
        return -ENOMEM;
    }
    if (glob(pattern, 0, NULL, &matches) == GLOB_NOSPACE)
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < matches.gl_pathc; i++) {
        char target[PATH_MAX];
        const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_BIND_RO,
                                             .flags = SANDBOX_MOUNT_OPTIONAL,
                                             .target = target,
                                             .source = matches.gl_pathv[i] };

        if (!is_real(matches.gl_pathv[i]))
            continue;
        snprintf(target, sizeof target, "%s%s", PROFILE_MATPLOTLIB_FOLDER,
                 strrchr(matches.gl_pathv[i], '/'));
        r = profile_add_mount(profile, &mount, err);
    }
    globfree(&matches);
    return r;
}

/* More folders that are shown read-only: the runtime's and the interpreter's. */
struct extras {
    struct profile_texts paths; /* owned */
};

static void
extras_fini(struct extras *extras)
{
    for (size_t i = 0; i < extras->paths.count; i++)
        free(extras->paths.items[i]);
    free(extras->paths.items);
}

/* A folder above HOME or above what is writable would show or cover what it must not. */
static bool
shows_too_much(const struct profile *profile, const char *path)
{
    if (profile_is_within(profile->home, path) || profile_is_within("/etc", path) ||
        profile_is_within(path, "/proc") || profile_is_within(path, "/sys") ||
        profile_is_within(path, "/dev") || profile_is_within(path, PROFILE_OWN_FOLDER))
        return true;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        if (rows[i].kind == ROW_TMPFS && profile_is_within(rows[i].path, path))
            return true;
    }
    return false;
}

/* True when the system's own mounts show PATH already, or one of EXTRAS does; but what is
 * below the writable directory must be mounted on top of it. */
static bool
is_shown_already(const struct profile *profile, const struct extras *extras,
                 const char *path)
{
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        if ((rows[i].kind == ROW_BIND || rows[i].kind == ROW_LINK) &&
            profile_is_within(path, rows[i].path))
            return true;
    }
    for (size_t i = 0; i < extras->paths.count; i++) {
        const char *other = extras->paths.items[i];

        if (profile_is_within(path, other) &&
            (!profile_is_within(path, profile->directory) ||
             profile_is_within(other, profile->directory)))
            return true;
    }
    return false;
}

static bool
is_plain(const char *path)
{
    size_t length = strlen(path);

    return path[0] == '/' && length > 1 && length < PATH_MAX && path[length - 1] != '/' &&
           strstr(path, "//") == NULL && strstr(path, "/./") == NULL &&
           strstr(path, "/../") == NULL && strcmp(path + length - 2, "/.") != 0 &&
           (length < 3 || strcmp(path + length - 3, "/..") != 0);
}

/* What cannot be shown is left out: a search path may name folders that are not there, or
 * all of HOME. Whether the program itself is shown is checked in the end. */
static int
extras_add(struct extras *extras, const struct profile *profile, const char *path)
{
    CLEANUP(freep) char *real = realpath(path, NULL);
    CLEANUP(freep) char *plain = NULL;
    char *kept;

    if (real == NULL)
        return errno == ENOMEM ? -ENOMEM : 0;
    plain = strdup(is_plain(path) ? path : real);
    if (plain == NULL)
        return -ENOMEM;
    if (profile_is_within(plain, profile->directory) && strcmp(plain, real) != 0)
        return 0; /* user code may have made the link, to see what lies behind it */
    if (path[0] != '/' || shows_too_much(profile, plain) ||
        shows_too_much(profile, real) ||
        (!profile->is_zygote && strcmp(plain, profile->directory) == 0) ||
        (profile->has_workspace && profile_is_within(plain, PROFILE_WORKSPACE)) ||
        is_shown_already(profile, extras, plain))
        return 0;
    kept = plain;
    plain = NULL;
    return profile_texts_add(&extras->paths, kept);
}

static int
extras_init(struct extras *extras, const struct profile *profile,
            const struct context_options *options, struct error *err)
{
    int r = extras_add(extras, profile, options->runtime->folder);

    for (char **mount = options->runtime->mounts; r == 0 && *mount != NULL; mount++) {
        CLEANUP(freep) char *path = NULL;

        r = runtime_expand(&path, options->runtime, profile->interpreter, *mount, err);
        if (r > 0)
            return PROFILE_E_OPTIONS;
        if (r == 0)
            r = extras_add(extras, profile, path);
    }
    for (size_t i = 0; r == 0 && options->mounts != NULL && options->mounts[i] != NULL;
         i++)
        r = extras_add(extras, profile, options->mounts[i]);
    for (size_t i = 0; r == 0 && !profile->is_zygote && options->shown != NULL &&
                       options->shown[i] != NULL;
         i++)
        r = extras_add(extras, profile, options->shown[i]);
    return r;
}

/* The writable directory may lie inside one of them: those come before it. */
static int
add_extras(struct profile *profile, const struct extras *extras, bool above_directory,
           struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < extras->paths.count; i++) {
        const char *path = extras->paths.items[i];
        CLEANUP(freep) char *real = realpath(path, NULL);
        const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_BIND_RO,
                                             .flags = SANDBOX_MOUNT_OPTIONAL,
                                             .target = path,
                                             .source = real };

        if (real == NULL && errno == ENOMEM)
            r = -ENOMEM;
        else if (real != NULL &&
                 profile_is_within(profile->directory, path) == above_directory)
            r = profile_add_mount(profile, &mount, err);
    }
    return r;
}

static bool
profile_has_mount(const struct profile *profile, const char *target)
{
    for (size_t i = 0; i < profile->spec.mount_count; i++) {
        if (strcmp(profile->mounts[i].target, target) == 0)
            return true;
    }
    return false;
}

static int
add_directory(struct profile *profile, struct error *err)
{
    const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_BIND_RW,
                                         .target = profile->directory,
                                         .source = profile->directory };

    return profile_add_mount(profile, &mount, err);
}

/* The bounds are for a tier that has no workspaces. */
static int
add_workspace(struct profile *profile, const struct context_options *options,
              struct error *err)
{
    const struct workspace_limits limits = workspace_limits(options->workspace);
    const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_GIVEN,
                                         .target = PROFILE_WORKSPACE,
                                         .bytes = limits.bytes,
                                         .inodes = limits.inodes,
                                         .mode = 0755,
                                         .number = workspace_number(options->workspace) };

    return profile_add_mount(profile, &mount, err);
}

/* An agent's is its workspace. */
static int
add_home(struct profile *profile, const struct context_options *options,
         struct error *err)
{
    const struct context_limits *limits = &options->limits;

    if (options->profile == CONTEXT_PROFILE_AGENT && !profile->is_zygote)
        return add_tmpfs(profile, profile->home_inside, limits->disk_bytes,
                         limits->disk_inodes, 0755, err);
    return add_tmpfs(profile, profile->home_inside, limits->tmp_bytes, limits->tmp_inodes,
                     0700, err);
}

/* A folder between the writable directory and a mount inside it could be renamed and
 * replaced by a link for the next context to follow; but not when it is a mount itself.
 */
static int
add_pins(struct profile *profile, const struct extras *extras, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < extras->paths.count; i++) {
        const char *path = extras->paths.items[i];
        CLEANUP(freep) char *folder = strdup(path);
        size_t length = strlen(profile->directory);
        char *slash;

        if (folder == NULL)
            return -ENOMEM;
        if (!profile_is_within(path, profile->directory))
            continue;
        for (slash = strchr(folder + length + 1, '/'); r == 0 && slash != NULL;
             slash = strchr(slash + 1, '/')) {
            const struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_BIND_RW,
                                                 .target = folder,
                                                 .source = folder };

            *slash = '\0';
            if (!profile_has_mount(profile, folder))
                r = profile_add_mount(profile, &mount, err);
            *slash = '/';
        }
    }
    return r;
}

/* Hides PATH. Where an interpreter lives below it, as ~/.pyenv, there must be room for
 * the way to it. */
static int
hide(struct profile *profile, const struct extras *extras, const char *path,
     struct error *err)
{
    const struct sandbox_mount shell = { .kind = SANDBOX_MOUNT_TMPFS,
                                         .target = path,
                                         .bytes = SHELL_BYTES,
                                         .inodes = SHELL_INODES,
                                         .mode = 0755 };

    for (size_t i = 0; i < extras->paths.count; i++) {
        if (strcmp(extras->paths.items[i], path) == 0)
            return 0; /* it will lie on top */
        if (profile_is_within(extras->paths.items[i], path))
            return profile_add_mount(profile, &shell, err);
    }
    return add_mask(profile, path, err);
}

static int
hide_entries(struct profile *profile, const struct extras *extras, const char *folder,
             const char *prefix, struct error *err)
{
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    int r = 0;

    if (directory == NULL)
        return error_set(err, PROFILE_E_OPTIONS, "what to hide in %.300s: %s", folder,
                         strerror(errno));
    while (r == 0 && (entry = readdir(directory)) != NULL) {
        CLEANUP(freep) char *path = NULL;

        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
            strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0) {
            path = NULL;
            r = -ENOMEM;
            break;
        }
        r = hide(profile, extras, path, err);
    }
    closedir(directory);
    return r;
}

static int
hide_all(struct profile *profile, const struct extras *extras, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(hidden); i++) {
        const char *folder = hidden[i].folder == NULL ? profile->home : hidden[i].folder;

        if (profile_is_within(folder, profile->directory) && access(folder, F_OK) == 0)
            r = hide_entries(profile, extras, folder, hidden[i].prefix, err);
    }
    return r;
}

int
profile_add_mounts(struct profile *profile, const struct context_options *options,
                   struct error *err)
{
    CLEANUP(extras_fini) struct extras extras = { 0 };
    bool has_directory =
        !profile->is_zygote && options->profile == CONTEXT_PROFILE_NOTEBOOK;
    bool has_home = has_directory && profile_is_within(profile->home, profile->directory);
    int r;

    if ((r = add_system(profile, options, err)) != 0 ||
        (r = add_accounts(profile, err)) != 0)
        return r;
    if (!profile->is_zygote)
        r = profile_add_view(profile, &options->limits.sandbox, err);
    if (r != 0)
        return r;
    if (!has_home) {
        r = add_font_lists(profile, err);
        if (r == 0 && !profile->has_workspace)
            r = add_home(profile, options, err);
    }
    if (r != 0 || (r = extras_init(&extras, profile, options, err)) != 0 ||
        (r = add_extras(profile, &extras, true, err)) != 0)
        return r;
    if (has_directory && ((r = add_directory(profile, err)) != 0 ||
                          (r = add_pins(profile, &extras, err)) != 0 ||
                          (r = hide_all(profile, &extras, err)) != 0))
        return r;
    r = add_extras(profile, &extras, false, err);
    if (r == 0 && profile->has_workspace)
        r = add_workspace(profile, options, err);
    return r;
}

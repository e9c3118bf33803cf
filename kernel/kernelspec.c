/* SPDX-License-Identifier: MIT */
#include "kernel/kernelspec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/runtime.h"
#include "kernel/file.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

static const char *const logos[] = { "logo-32x32.png", "logo-64x64.png", "logo-svg.svg" };

static json_t *
make_argv(const struct kernelspec *spec)
{
    json_t *argv =
        json_pack("[s, s, s, s, s, s, s, s, s, s]", spec->program, "kernel", "-f",
                  "{connection_file}", "--runtime", spec->runtime->name, "--environment",
                  "{resource_dir}/environment.json", "--network", spec->network);

    if (spec->environment->interpreter != NULL) {
        json_array_append_new(argv, json_string("--python"));
        json_array_append_new(argv, json_string(spec->environment->interpreter));
    }
    if (spec->profile != NULL) {
        json_array_append_new(argv, json_string("--profile"));
        json_array_append_new(argv, json_string(spec->profile));
    }
    if (spec->tier != NULL) {
        json_array_append_new(argv, json_string("--tier"));
        json_array_append_new(argv, json_string(spec->tier));
    }
    if (spec->limits != NULL) {
        json_array_append_new(argv, json_string("--limits"));
        json_array_append_new(argv, json_string(spec->limits));
    }
    return argv;
}

int
kernelspec_append(const struct kernelspec *spec, struct buffer *ret)
{
    CLEANUP(tree_decrefp) json_t *document = NULL;
    CLEANUP(freep) char *text = NULL;
    char title[256];
    json_t *env = json_object();
    int r;

    snprintf(title, sizeof title, "%s (Cellwall)", spec->environment->display_name);
    if (spec->runtimes != NULL)
        json_object_set_new(env, "CELLWALL_RUNTIMES", json_string(spec->runtimes));
    document = json_pack("{s:o, s:s, s:s, s:s, s:s, s:o, s:{s:b, s:[s]}}", "argv",
                         make_argv(spec), "display_name", title, "language",
                         spec->environment->language, "interrupt_mode", "message",
                         "kernel_protocol_version", KERNELSPEC_VERSION, "env", env,
                         "metadata", "debugger", 0, "supported_encryption", "curve");
    if (document == NULL)
        return -ENOMEM;
    text = json_dumps(document, JSON_INDENT(2));
    if (text == NULL)
        return -ENOMEM;
    r = buffer_append_text(ret, text);
    return r != 0 ? r : buffer_append_text(ret, "\n");
}

/* Removes a flat folder. What cannot be removed stays: it is hidden and harmless. */
static void
remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    if (folder == NULL)
        return;
    while ((entry = readdir(folder)) != NULL)
        unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
    rmdir(path);
}

static int
put_file(const char *folder, const char *name, struct slice data, struct error *err)
{
    char path[PATH_MAX];
    int r = file_join(path, folder, name, err);

    if (r == 0)
        r = file_write(path, data, 0644, err);
    return r > 0 ? KERNELSPEC_E_FAILED : r;
}

/* A runtime without logos is fine: Jupyter shows its first letter. */
static int
copy_logos(const struct kernelspec *spec, const char *folder, struct error *err)
{
    for (size_t i = 0; i < N_ELEMENTS(logos); i++) {
        CLEANUP(buffer_fini) struct buffer data;
        char path[PATH_MAX];
        int r;

        buffer_init(&data, KERNELSPEC_BYTES_MAX);
        if (file_join(path,
                      spec->environment->logos != NULL ? spec->environment->logos
                                                       : spec->runtime->folder,
                      logos[i], err) != 0)
            return KERNELSPEC_E_FAILED;
        if (access(path, F_OK) < 0)
            continue;
        r = file_read(path, &data, err);
        if (r == 0)
            r = put_file(folder, logos[i], buffer_slice(&data), err);
        if (r != 0)
            return r < 0 ? r : KERNELSPEC_E_FAILED;
    }
    return 0;
}

static int
fill(const struct kernelspec *spec, const char *folder, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer kernel, environment;
    int r;

    buffer_init(&kernel, KERNELSPEC_BYTES_MAX);
    buffer_init(&environment, KERNELSPEC_BYTES_MAX);
    r = kernelspec_append(spec, &kernel);
    if (r == 0)
        r = environment_append(spec->environment, &environment);
    if (r != 0)
        return r < 0 ? r : error_set(err, KERNELSPEC_E_FAILED, "kernel.json: too large");
    r = put_file(folder, "environment.json", buffer_slice(&environment), err);
    if (r == 0)
        r = copy_logos(spec, folder, err);
    return r != 0 ? r : put_file(folder, "kernel.json", buffer_slice(&kernel), err);
}

/* Moves TEMPORARY to PATH. If that is there they change places, and the old one goes. */
static int
put_in_place(const char *temporary, const char *path, struct error *err)
{
    if (chmod(temporary, 0755) < 0)
        return error_set(err, KERNELSPEC_E_FAILED, "cannot write %s: %s", temporary,
                         strerror(errno));
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EEXIST &&
        renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        remove_folder(temporary);
        return 0;
    }
    return error_set(err, KERNELSPEC_E_FAILED, "cannot put %s in place: %s", path,
                     strerror(errno));
}

int
kernelspec_write(const struct kernelspec *spec, const char *kernels, char ret[PATH_MAX],
                 struct error *err)
{
    char name[256], path[PATH_MAX], temporary[PATH_MAX];
    int r;

    snprintf(name, sizeof name, "cellwall-%s", spec->environment->name);
    if (file_make_directories(kernels, 0755, err) != 0 ||
        file_join(path, kernels, name, err) != 0 ||
        file_join(temporary, kernels, ".cellwall.XXXXXX", err) != 0)
        return KERNELSPEC_E_FAILED;
    if (mkdtemp(temporary) == NULL)
        return error_set(err, KERNELSPEC_E_FAILED, "cannot write in %s: %s", kernels,
                         strerror(errno));
    r = fill(spec, temporary, err);
    if (r == 0)
        r = put_in_place(temporary, path, err);
    if (r != 0) {
        remove_folder(temporary);
        return r;
    }
    memcpy(ret, path, sizeof path);
    return 0;
}

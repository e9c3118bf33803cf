/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/artefacts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "kernel/file.h"
#include "kernel/log.h"
#include "kernel/notebook/verdict.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define NAME_BYTES_MAX 150 /* of a notebook's path in a file's name */

static const char *const roles[] = { "expected", "actual", "difference" };

int
artefacts_init(struct artefacts *artefacts, const char *folder, struct error *err)
{
    char parent[PATH_MAX];
    size_t length = strlen(folder);
    int r = 0;

    *artefacts = (struct artefacts){ .parent = -1, .fd = -1 };
    while (length > 1 && folder[length - 1] == '/')
        length--;
    if (length == 0 || length >= sizeof artefacts->folder)
        return error_set(err, ARTEFACTS_E_FAILED, "the folder for pictures: %s",
                         length == 0 ? "its name is empty" : "its path is too long");
    memcpy(artefacts->folder, folder, length);
    strcpy(parent, artefacts->folder);
    while (length > 0 && parent[length - 1] != '/')
        length--;
    parent[length] = '\0';
    if (length > 0)
        r = file_make_directories(parent, 0755, err);
    if (r != 0)
        return r < 0 ? r : ARTEFACTS_E_FAILED;
    artefacts->parent =
        open(length > 0 ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return artefacts->parent >= 0
               ? 0
               : error_set(err, ARTEFACTS_E_FAILED, "%s: %s", parent, strerror(errno));
}

void
artefacts_fini(struct artefacts *artefacts)
{
    close_fdp(&artefacts->parent);
    close_fdp(&artefacts->fd);
}

static int
open_folder(struct artefacts *artefacts, struct error *err)
{
    const char *slash = strrchr(artefacts->folder, '/');
    const char *name = slash != NULL ? slash + 1 : artefacts->folder;

    if (artefacts->fd >= 0)
        return 0;
    if (mkdirat(artefacts->parent, name, 0755) == 0 || errno == EEXIST)
        artefacts->fd = openat(artefacts->parent, name,
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return artefacts->fd >= 0 ? 0
                              : error_set(err, ARTEFACTS_E_FAILED, "%s: %s",
                                          artefacts->folder, strerror(errno));
}

static int
write_picture(struct artefacts *artefacts, const char *name, struct slice bytes,
              struct error *err)
{
    char path[PATH_MAX];
    int r = open_folder(artefacts, err);

    if (r != 0)
        return r;
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", artefacts->fd, name);
    return file_write(path, bytes, 0644, err);
}

/* PATH as one name: what leads out of the folder, or is long, is cut. */
static void
flatten(char ret[NAME_BYTES_MAX + 1], const char *path)
{
    size_t length = strlen(path), n = 0;

    if (length > NAME_BYTES_MAX)
        path += length - NAME_BYTES_MAX;
    for (; *path != '\0'; path++) {
        bool plain = *path != '/' && (unsigned char)*path > ' ' && *path != 0x7f;

        if (n == 0 && (*path == '.' || *path == '/'))
            continue;
        ret[n++] = plain ? *path : '-';
    }
    ret[n] = '\0';
}

static int
save(struct artefacts *artefacts, const char *name, const json_t *text, json_t **ret)
{
    CLEANUP(buffer_fini) struct buffer bytes;
    char path[PATH_MAX];
    struct error err = { 0 };
    size_t length = json_string_length(text), written = 0;
    int r;

    buffer_init(&bytes, ARTEFACTS_BYTES_MAX);
    if (artefacts->count == ARTEFACTS_MAX)
        return 1;
    r = buffer_reserve(&bytes, length / 4 * 3 + 3);
    if (r != 0)
        return r;
    if (sodium_base642bin(bytes.data, bytes.capacity, json_string_value(text), length,
                          "\r\n", &written, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return 1;
    r = file_join(path, artefacts->folder, name, &err);
    if (r == 0)
        r = write_picture(artefacts, name, (struct slice){ bytes.data, written }, &err);
    if (r != 0) {
        if (r > 0 && artefacts->count++ == 0)
            log_line("test: pictures are not saved: %s", err.text);
        return r;
    }
    artefacts->count++;
    *ret = verdict_text(path);
    return *ret != NULL ? 0 : -ENOMEM;
}

static const char *
suffix_of(const json_t *image, const char *role)
{
    const char *mime = json_string_value(json_object_get(image, "mime"));

    return strcmp(role, "difference") != 0 && mime != NULL &&
                   strcmp(mime, "image/jpeg") == 0
               ? "jpg"
               : "png";
}

int
artefacts_save(struct artefacts *artefacts, const char *path, size_t number,
               json_t *differences)
{
    char flat[NAME_BYTES_MAX + 1], name[NAME_MAX + 1];
    json_t *difference;
    size_t at;

    flatten(flat, path);
    json_array_foreach(differences, at, difference)
    {
        json_t *image = json_object_get(difference, "image");

        for (size_t i = 0; json_is_object(image) && i < N_ELEMENTS(roles); i++) {
            json_t *text = json_object_get(image, roles[i]), *file = NULL;
            int r;

            snprintf(name, sizeof name, "%s-cell-%zu-%zu-%s.%s", flat, number, at,
                     roles[i], suffix_of(image, roles[i]));
            r = json_is_string(text) ? save(artefacts, name, text, &file) : 1;
            if (r < 0)
                return r;
            json_object_set_new(image, roles[i], file != NULL ? file : json_null());
        }
    }
    return 0;
}

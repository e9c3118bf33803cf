/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/artefacts.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "kernel/file.h"
#include "kernel/log.h"
#include "kernel/notebook/verdict.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define NAME_BYTES_MAX 150 /* of a notebook's path in a file's name */

static const char *const roles[] = { "expected", "actual", "difference" };

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
    r = file_make_directories(artefacts->folder, 0755, &err);
    if (r == 0)
        r = file_join(path, artefacts->folder, name, &err);
    if (r == 0)
        r = file_write(path, (struct slice){ bytes.data, written }, 0644, &err);
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

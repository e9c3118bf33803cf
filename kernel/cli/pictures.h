/* SPDX-License-Identifier: MIT */
/*
 * pictures - what cannot be printed as text: files, or inline where a terminal can
 *
 * What is saved comes from the sandbox: names are ours, an existing file is never
 * replaced or followed, and there are bounds on how much one command saves.
 */
#ifndef KERNEL_CLI_PICTURES_H
#define KERNEL_CLI_PICTURES_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define PICTURES_MAX 200 /* files of one command */
#define PICTURES_BYTES_MAX ((uint64_t)512 * 1024 * 1024)
#define PICTURES_INLINE_BYTES_MAX ((size_t)16 * 1024 * 1024)

enum pictures_protocol { PICTURES_NONE, PICTURES_KITTY, PICTURES_ITERM };

enum {
    PICTURES_E_FAILED = 1, /* cannot be saved; see ERR */
    PICTURES_E_INVALID /* not base64, or not of its type */
};

struct error;

/* Plain data, zeroed at first but for the choices. */
struct pictures {
    const char *folder; /* borrowed; made when it is needed; "": the working directory */
    enum pictures_protocol protocol;
    unsigned count, next;
    unsigned failed; /* could not be saved, and should have been */
    uint64_t bytes;
};

/* What a terminal with this environment can show; conservative. GET: getenv, or as it. */
enum pictures_protocol pictures_detect(char *(*get)(const char *name));

/* Whether MIME is of a type that is saved as a picture, whatever was asked for. */
bool pictures_is_picture(const char *mime);

/* Whether MIME can be saved at all. */
bool pictures_can_save(const char *mime);

/* Writes DATA (as in a MIME bundle) to a new file and its name to RET. */
int pictures_save(struct pictures *pictures, const char *mime, const json_t *data,
                  char ret[PATH_MAX], struct error *err);

/* Appends what makes the terminal show it. PICTURES_E_INVALID: this one it cannot. */
int pictures_append_inline(const struct pictures *pictures, const char *mime,
                           const json_t *data, struct buffer *ret);

#endif

/* SPDX-License-Identifier: MIT */
#include "kernel/cli/pictures.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/file.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define KITTY_CHUNK_BYTES 4096 /* its protocol's limit */
#define TRIES_MAX 100000 /* names that are taken */

static const struct type {
    const char *mime;
    const char *suffix;
    bool is_binary; /* base64 */
    bool is_picture;
    bool is_inline; /* both protocols take PNG, one takes the others */
    const char *begin; /* the bytes that it begins with, or NULL */
} types[] = {
    { "image/png", "png", true, true, true, "\x89PNG\r\n\x1a\n" },
    { "image/jpeg", "jpg", true, true, true, "\xff\xd8\xff" },
    { "image/gif", "gif", true, true, true, "GIF8" },
    { "image/webp", "webp", true, true, false, "RIFF" },
    { "image/svg+xml", "svg", false, true, false, NULL },
    { "application/pdf", "pdf", true, true, false, "%PDF" },
    { "text/html", "html", false, false, false, NULL },
    { "application/json", "json", false, false, false, NULL },
};

static const struct type *
find_type(const char *mime)
{
    for (size_t i = 0; i < N_ELEMENTS(types); i++) {
        if (strcmp(types[i].mime, mime) == 0)
            return &types[i];
    }
    return NULL;
}

bool
pictures_is_picture(const char *mime)
{
    const struct type *type = find_type(mime);

    return type != NULL && type->is_picture;
}

bool
pictures_can_save(const char *mime)
{
    return find_type(mime) != NULL;
}

static bool
is_set(char *(*get)(const char *name), const char *name)
{
    const char *value = get(name);

    return value != NULL && value[0] != '\0';
}

static bool
begins(const char *text, const char *with)
{
    return text != NULL && strncmp(text, with, strlen(with)) == 0;
}

enum pictures_protocol
pictures_detect(char *(*get)(const char *name))
{
    const char *term = get("TERM"), *program = get("TERM_PROGRAM");

    /* A multiplexer's variables are those of a terminal that may not be there now. */
    if (term == NULL || is_set(get, "TMUX") || is_set(get, "STY") ||
        begins(term, "screen") || begins(term, "tmux") || strcmp(term, "dumb") == 0)
        return PICTURES_NONE;
    if (strcmp(term, "xterm-kitty") == 0 || strcmp(term, "xterm-ghostty") == 0)
        return PICTURES_KITTY;
    if (program != NULL &&
        (strcmp(program, "iTerm.app") == 0 || strcmp(program, "WezTerm") == 0))
        return PICTURES_ITERM;
    return PICTURES_NONE;
}

/* The bytes that DATA stands for. */
static int
decode(const struct type *type, const json_t *data, struct buffer *ret)
{
    size_t length = json_string_length(data), used = 0;
    const char *text = json_string_value(data), *end = NULL;
    int r;

    if (!type->is_binary && text == NULL)
        return tree_append(ret, data, JSON_INDENT(2) | JSON_ENCODE_ANY);
    if (text == NULL)
        return PICTURES_E_INVALID;
    if (!type->is_binary)
        return buffer_append(ret, text, length);
    r = buffer_reserve(ret, length / 4 * 3 + 3);
    if (r != 0)
        return r;
    if (sodium_base642bin(ret->data, length / 4 * 3 + 3, text, length, "\r\n ", &used,
                          &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text + length)
        return PICTURES_E_INVALID;
    ret->length = used;
    if (type->begin != NULL && (used < strlen(type->begin) ||
                                memcmp(ret->data, type->begin, strlen(type->begin)) != 0))
        return PICTURES_E_INVALID;
    return 0;
}

/* Opens a file that was not there. */
static int
create(struct pictures *pictures, const struct type *type, char ret[PATH_MAX],
       struct error *err)
{
    bool named = pictures->folder[0] != '\0';

    if (named && file_make_directories(pictures->folder, 0777, err) != 0)
        return -1;
    for (int i = 0; i < TRIES_MAX; i++) {
        int fd, n = snprintf(ret, PATH_MAX, "%s%s%s-%u.%s", pictures->folder,
                             named ? "/" : "", type->is_picture ? "image" : "result",
                             ++pictures->next, type->suffix);

        if (n < 0 || n >= PATH_MAX) {
            errno = ENAMETOOLONG;
            break;
        }
        fd = open(ret, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST)
            break;
    }
    error_set(err, PICTURES_E_FAILED, "cannot save %s: %s", ret, strerror(errno));
    return -1;
}

static int
write_all(int fd, struct slice data)
{
    while (data.length > 0) {
        ssize_t n = write(fd, data.data, data.length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data.data += n;
        data.length -= (size_t)n;
    }
    return 0;
}

static int
save(struct pictures *pictures, const struct type *type, const json_t *data,
     char ret[PATH_MAX], struct error *err)
{
    CLEANUP(buffer_fini) struct buffer bytes;
    CLEANUP(close_fdp) int fd = -1;
    int r;

    buffer_init(&bytes, PICTURES_BYTES_MAX);
    r = decode(type, data, &bytes);
    if (r != 0)
        return r < 0 ? r : PICTURES_E_INVALID;
    if (pictures->count >= PICTURES_MAX ||
        pictures->bytes + bytes.length > PICTURES_BYTES_MAX)
        return error_set(err, PICTURES_E_FAILED,
                         "not saved: more than %d files or %llu MiB", PICTURES_MAX,
                         (unsigned long long)(PICTURES_BYTES_MAX >> 20));
    fd = create(pictures, type, ret, err);
    if (fd < 0)
        return PICTURES_E_FAILED;
    r = write_all(fd, buffer_slice(&bytes));
    if (r != 0) {
        unlink(ret);
        return error_set(err, PICTURES_E_FAILED, "cannot write %s: %s", ret,
                         strerror(-r));
    }
    pictures->count++;
    pictures->bytes += bytes.length;
    return 0;
}

int
pictures_save(struct pictures *pictures, const char *mime, const json_t *data,
              char ret[PATH_MAX], struct error *err)
{
    const struct type *type = find_type(mime);
    int r = type == NULL ? PICTURES_E_INVALID : save(pictures, type, data, ret, err);

    pictures->failed += r == PICTURES_E_FAILED;
    return r;
}

static int
append_kitty(struct buffer *ret, const char *text, size_t length)
{
    int r = 0;

    for (size_t at = 0; r == 0 && at < length; at += KITTY_CHUNK_BYTES) {
        size_t rest = length - at;
        size_t chunk = rest > KITTY_CHUNK_BYTES ? KITTY_CHUNK_BYTES : rest;

        r = buffer_append_format(ret, "\x1b_G%sm=%d;", at == 0 ? "a=T,f=100,q=2," : "",
                                 chunk < rest);
        if (r == 0)
            r = buffer_append(ret, text + at, chunk);
        if (r == 0)
            r = buffer_append_text(ret, "\x1b\\");
    }
    return r;
}

static int
append_iterm(struct buffer *ret, const char *text, size_t length, size_t bytes)
{
    int r = buffer_append_format(
        ret, "\x1b]1337;File=inline=1;preserveAspectRatio=1;size=%zu:", bytes);

    if (r == 0)
        r = buffer_append(ret, text, length);
    return r != 0 ? r : buffer_append_text(ret, "\a");
}

int
pictures_append_inline(const struct pictures *pictures, const char *mime,
                       const json_t *data, struct buffer *ret)
{
    const struct type *type = find_type(mime);
    CLEANUP(buffer_fini) struct buffer bytes;
    CLEANUP(freep) char *text = NULL;
    size_t size;
    int r;

    buffer_init(&bytes, PICTURES_INLINE_BYTES_MAX);
    if (pictures->protocol == PICTURES_NONE || type == NULL || !type->is_inline ||
        (pictures->protocol == PICTURES_KITTY && strcmp(mime, "image/png") != 0))
        return PICTURES_E_INVALID;
    r = decode(type, data, &bytes);
    if (r != 0)
        return r < 0 ? r : PICTURES_E_INVALID;
    /* Made anew: nothing but base64 may stand in the sequence. */
    size = sodium_base64_encoded_len(bytes.length, sodium_base64_VARIANT_ORIGINAL);
    text = malloc(size);
    if (text == NULL)
        return -ENOMEM;
    sodium_bin2base64(text, size, bytes.data, bytes.length,
                      sodium_base64_VARIANT_ORIGINAL);
    r = pictures->protocol == PICTURES_KITTY
            ? append_kitty(ret, text, size - 1)
            : append_iterm(ret, text, size - 1, bytes.length);
    if (r == 0)
        r = buffer_append_text(ret, "\n");
    return r > 0 ? PICTURES_E_INVALID : r;
}

/* SPDX-License-Identifier: MIT */
#include "kernel/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "kernel/authorised.h"
#include "kernel/key_file.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define SETTLED_NS                                                                       \
    INT64_C(100000000) /* longer than the clock of any file system stands */

/* Two of the same stamp are the same file with the same content, once it has settled. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct keys {
    char public_key[KEYS_TEXT_BYTES];
    char secret_key[KEYS_TEXT_BYTES];
    char message_key[KEYS_MESSAGE_BYTES];
    char *path; /* owned: of the authorised keys; NULL: there are none */
    struct authorised *authorised; /* owned; NULL: nobody */
    struct stamp stamp; /* of the file that was read last, in vain or not */
    bool settled; /* it was not being written when it was read */
};

CLEANUP_DEFINE(struct keys, keys_destroy);

void
keys_destroy(struct keys *keys)
{
    if (keys == NULL)
        return;
    authorised_destroy(keys->authorised);
    free(keys->path);
    sodium_memzero(keys, sizeof *keys);
    free(keys);
}

static struct stamp
stamp_of(const struct stat *st)
{
    return (struct stamp){ st->st_dev, st->st_ino, st->st_size, st->st_mtim,
                           st->st_ctim };
}

static bool
is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
is_same(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           is_same_time(a->modified, b->modified) && is_same_time(a->changed, b->changed);
}

/* A file that was changed this moment could change again without another time. */
static bool
is_settled(const struct stamp *stamp)
{
    struct timespec now;
    int64_t age_ns;

    clock_gettime(CLOCK_REALTIME, &now);
    if (llabs((long long)now.tv_sec - (long long)stamp->changed.tv_sec) > 1)
        return true;
    age_ns = (int64_t)(now.tv_sec - stamp->changed.tv_sec) * 1000000000 +
             (now.tv_nsec - stamp->changed.tv_nsec);
    return llabs(age_ns) > SETTLED_NS;
}

/* RET_STAMP is set as soon as there is a file. FORBIDDEN: mode bits. */
static int
read_file(const char *path, mode_t forbidden, struct buffer *ret, struct stamp *ret_stamp,
          struct error *err)
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int r;

    if (fd < 0)
        return error_set(err, KEYS_E_INVALID, "cannot open %s: %s", path,
                         strerror(errno));
    r = key_file_check(fd, path, forbidden, &st, err);
    if (r >= 0)
        *ret_stamp = stamp_of(&st);
    if (r == 0)
        r = key_file_read(fd, path, ret, err);
    return r > 0 ? KEYS_E_INVALID : r;
}

/* Copies the string MEMBER, of exactly SIZE - 1 characters. */
static int
read_member(const json_t *document, const char *member, char *ret, size_t size,
            struct error *err)
{
    const json_t *value = json_object_get(document, member);

    if (!json_is_string(value) || json_string_length(value) != size - 1 ||
        strlen(json_string_value(value)) != size - 1)
        return error_set(err, KEYS_E_INVALID, "%s is not a string of %zu characters",
                         member, size - 1);
    memcpy(ret, json_string_value(value), size);
    return 0;
}

static int
read_members(struct keys *keys, const json_t *document, struct error *err)
{
    char derived[KEYS_TEXT_BYTES];
    int r = read_member(document, "public_key", keys->public_key, KEYS_TEXT_BYTES, err);

    if (r == 0)
        r = read_member(document, "secret_key", keys->secret_key, KEYS_TEXT_BYTES, err);
    if (r == 0)
        r = read_member(document, "key", keys->message_key, KEYS_MESSAGE_BYTES, err);
    if (r != 0)
        return r;
    if (strspn(keys->message_key, "0123456789abcdefABCDEF") != KEYS_MESSAGE_BYTES - 1)
        return error_set(err, KEYS_E_INVALID, "key is not %d hexadecimal digits",
                         KEYS_MESSAGE_BYTES - 1);
    if (zmq_curve_public(derived, keys->secret_key) != 0)
        return error_set(err, KEYS_E_INVALID, "secret_key is not a key in Z85");
    if (strcmp(derived, keys->public_key) != 0)
        return error_set(err, KEYS_E_INVALID,
                         "public_key is not the one that belongs to secret_key");
    return 0;
}

static void
wipe_member(const json_t *document, const char *member)
{
    const json_t *value = json_object_get(document, member);

    if (json_is_string(value)) /* jansson frees without wiping */
        sodium_memzero((char *)json_string_value(value), json_string_length(value));
}

static int
read_server(struct keys *keys, const char *path, struct error *err)
{
    static const struct json_limits limits = { KEYS_FILE_BYTES_MAX, 8 };
    json_t *document = NULL;
    struct buffer text;
    struct stamp stamp;
    int r;

    buffer_init(&text, KEYS_FILE_BYTES_MAX);
    /* All the room at once: text that moves leaves a copy behind. */
    r = buffer_reserve(&text, KEYS_FILE_BYTES_MAX);
    if (r == 0)
        r = read_file(path, 077, &text, &stamp, err);
    if (r == 0) {
        r = tree_load_object(&document, buffer_slice(&text), &limits, err);
        if (r == 0)
            r = read_members(keys, document, err);
        if (r > 0)
            r = error_wrap(err, KEYS_E_INVALID, "%s", path);
    }
    wipe_member(document, "secret_key");
    wipe_member(document, "key");
    json_decref(document);
    if (text.data != NULL)
        sodium_memzero(text.data, text.length);
    buffer_fini(&text);
    return r;
}

/* What was read before stays when this fails. */
static int
read_authorised(struct keys *keys, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    struct authorised *authorised;
    int r;

    buffer_init(&text, AUTHORISED_BYTES_MAX);
    r = read_file(keys->path, 022, &text, &keys->stamp, err);
    keys->settled = is_settled(&keys->stamp);
    if (r != 0)
        return r;
    r = authorised_create(&authorised, buffer_slice(&text), err);
    if (r != 0)
        return r < 0 ? r : error_wrap(err, KEYS_E_INVALID, "%s", keys->path);
    authorised_destroy(keys->authorised);
    keys->authorised = authorised;
    return 0;
}

static void
forget_authorised(struct keys *keys)
{
    if (keys->authorised != NULL)
        log_line("cannot look at %s (%s): no key is authorised until it is back",
                 keys->path, strerror(errno));
    authorised_destroy(keys->authorised);
    keys->authorised = NULL;
    keys->stamp = (struct stamp){ 0 };
}

static void
refresh(struct keys *keys)
{
    struct error err = { 0 };
    struct stamp stamp;
    struct stat st;
    bool known;
    int r;

    if (keys->path == NULL)
        return;
    if (stat(keys->path, &st) < 0) {
        forget_authorised(keys);
        return;
    }
    stamp = stamp_of(&st);
    known = is_same(&stamp, &keys->stamp);
    if (known && keys->settled)
        return;
    keys->stamp = stamp; /* if it cannot even be opened, once is enough */
    r = read_authorised(keys, &err);
    if (r != 0 && !known)
        log_line("%s: the keys that were authorised before still are",
                 err.text[0] != '\0' ? err.text : strerror(-r));
}

int
keys_create(struct keys **ret, const char *server_file, const char *authorised_file,
            struct error *err)
{
    CLEANUP(keys_destroyp) struct keys *keys = calloc(1, sizeof *keys);
    int r;

    if (keys == NULL)
        return -ENOMEM;
    r = read_server(keys, server_file, err);
    if (r != 0)
        return r;
    if (authorised_file != NULL) {
        keys->path = strdup(authorised_file);
        if (keys->path == NULL)
            return -ENOMEM;
        r = read_authorised(keys, err);
        if (r != 0)
            return r;
    }
    *ret = keys;
    keys = NULL;
    return 0;
}

const char *
keys_public(const struct keys *keys)
{
    return keys->public_key;
}

const char *
keys_secret(const struct keys *keys)
{
    return keys->secret_key;
}

const char *
keys_message_key(const struct keys *keys)
{
    return keys->message_key;
}

const char *
keys_name(struct keys *keys, const unsigned char key[KEYS_BINARY_BYTES])
{
    refresh(keys);
    return keys->authorised != NULL ? authorised_name(keys->authorised, key) : NULL;
}

bool
keys_is_authorised(struct keys *keys, const char *name)
{
    refresh(keys);
    return keys->authorised != NULL && authorised_has_name(keys->authorised, name);
}

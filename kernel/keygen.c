/* SPDX-License-Identifier: MIT */
#include "kernel/keygen.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <zmq.h>

#include "kernel/authorised.h"
#include "kernel/key_file.h"
#include "kernel/keys.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"

#define TEXT_BYTES 2048 /* of a file that is made */
#define TCP "tcp://"

struct pair {
    char public_key[KEYS_TEXT_BYTES];
    char secret_key[KEYS_TEXT_BYTES]; /* empty: the client's own */
};

CLEANUP_DEFINE(struct keys, keys_destroy);
CLEANUP_DEFINE(struct authorised, authorised_destroy);

static void
wipe_pair(struct pair *pair)
{
    sodium_memzero(pair, sizeof *pair);
}

static void
wipe_text(char (*text)[TEXT_BYTES])
{
    sodium_memzero(text, sizeof *text);
}

static int
make_pair(struct pair *ret, struct error *err)
{
    if (zmq_curve_keypair(ret->public_key, ret->secret_key) == 0)
        return 0;
    return error_set(err, KEYGEN_E_FAILED,
                     "this libzmq cannot make keys (%s): install one with CURVE",
                     zmq_strerror(errno));
}

static int
create(const char *path, const char *text, struct error *err)
{
    return key_file_create(path, slice_text(text), err) == 0 ? 0 : KEYGEN_E_FAILED;
}

int
keygen_make_server(const char *path, struct error *err)
{
    CLEANUP(wipe_pair) struct pair pair = { "", "" };
    CLEANUP(wipe_text) char text[TEXT_BYTES];
    unsigned char random[(KEYS_MESSAGE_BYTES - 1) / 2];
    char key[KEYS_MESSAGE_BYTES];
    int r = make_pair(&pair, err);

    if (r != 0)
        return r;
    if (sodium_init() < 0)
        return error_set(err, KEYGEN_E_FAILED, "libsodium has no randomness here");
    randombytes_buf(random, sizeof random);
    text_hex(key, random, sizeof random);
    snprintf(text, sizeof text,
             "{\n"
             "  \"public_key\": \"%s\",\n"
             "  \"secret_key\": \"%s\",\n"
             "  \"key\": \"%s\"\n"
             "}\n",
             pair.public_key, pair.secret_key, key);
    sodium_memzero(random, sizeof random);
    sodium_memzero(key, sizeof key);
    return create(path, text, err);
}

bool
keygen_is_public_key(const char *text)
{
    unsigned char key[KEYS_BINARY_BYTES];

    return strlen(text) == KEYS_TEXT_BYTES - 1 && zmq_z85_decode(key, text) != NULL;
}

bool
keygen_is_endpoint(const char *endpoint)
{
    const char *host = endpoint + strlen(TCP), *colon = strrchr(endpoint, ':');
    size_t digits;

    if (strncmp(endpoint, TCP, strlen(TCP)) != 0 || colon <= host)
        return false;
    if (strspn(host, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "._-:[]%") < (size_t)(colon - host))
        return false;
    digits = strspn(colon + 1, "0123456789");
    return digits >= 1 && digits <= 5 && colon[1 + digits] == '\0' &&
           strtol(colon + 1, NULL, 10) >= 1 && strtol(colon + 1, NULL, 10) <= 65535;
}

/* What a client finds the server by: a server.json of its own. */
static int
write_connection(const struct keygen_client *client, const struct pair *pair,
                 struct error *err)
{
    CLEANUP(keys_destroyp) struct keys *keys = NULL;
    CLEANUP(wipe_text) char text[TEXT_BYTES];
    bool secret = pair->secret_key[0] != '\0';
    int n, r = keys_create(&keys, client->server_file, NULL, err);

    if (r != 0)
        return r < 0 ? r : KEYGEN_E_FAILED;
    n = snprintf(text, sizeof text,
                 "{\n"
                 "  \"endpoint\": \"%s\",\n"
                 "  \"key\": \"%s\",\n"
                 "  \"signature_scheme\": \"hmac-sha256\",\n"
                 "  \"server_public_key\": \"%s\",\n"
                 "  \"public_key\": \"%s\",\n"
                 "%s%s%s"
                 "  \"name\": \"%s\"\n"
                 "}\n",
                 client->endpoint, keys_message_key(keys), keys_public(keys),
                 pair->public_key, secret ? "  \"secret_key\": \"" : "", pair->secret_key,
                 secret ? "\",\n" : "", client->name);
    if (n < 0 || (size_t)n >= sizeof text)
        return error_set(err, KEYGEN_E_FAILED, "the endpoint is too long");
    return create(client->path, text, err);
}

static int
open_authorised(int *ret, const char *path, struct error *err)
{
    CLEANUP(close_fdp)
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    struct stat st;
    int r;

    if (fd < 0 || flock(fd, LOCK_EX) < 0) /* against another keygen */
        return error_set(err, KEYGEN_E_FAILED, "cannot open %s: %s", path,
                         strerror(errno));
    r = key_file_check(fd, path, 022, &st, err);
    if (r != 0)
        return r < 0 ? r : KEYGEN_E_FAILED;
    *ret = fd;
    fd = -1;
    return 0;
}

/* What is to be appended to the file FD, so that it is right afterwards, too. */
static int
prepare_line(char *ret, size_t size, int fd, const struct keygen_client *client,
             const struct pair *pair, struct error *err)
{
    CLEANUP(authorised_destroyp) struct authorised *authorised = NULL;
    CLEANUP(buffer_fini) struct buffer text;
    unsigned char key[KEYS_BINARY_BYTES];
    const char *path = client->authorised_file, *name;
    bool unended;
    int r;

    buffer_init(&text, AUTHORISED_BYTES_MAX);
    r = key_file_read(fd, path, &text, err);
    if (r != 0)
        return r < 0 ? r : KEYGEN_E_FAILED;
    r = authorised_create(&authorised, buffer_slice(&text), err);
    if (r != 0)
        return r < 0 ? r : error_wrap(err, KEYGEN_E_FAILED, "%s", path);
    if (authorised_has_name(authorised, client->name))
        return error_set(err, KEYGEN_E_FAILED,
                         "%s: %s has a key already: remove its line, or use another name",
                         path, client->name);
    if (zmq_z85_decode(key, pair->public_key) == NULL)
        return error_set(err, KEYGEN_E_FAILED, "the public key is not one in Z85");
    name = authorised_name(authorised, key);
    if (name != NULL)
        return error_set(err, KEYGEN_E_FAILED, "%s: this is the key of %s already", path,
                         name);
    unended = text.length > 0 && text.data[text.length - 1] != '\n';
    snprintf(ret, size, "%s%s %s\n", unended ? "\n" : "", client->name, pair->public_key);
    if (authorised_count(authorised) >= AUTHORISED_KEYS_MAX ||
        text.length + strlen(ret) > AUTHORISED_BYTES_MAX)
        return error_set(err, KEYGEN_E_FAILED,
                         "%s: there is no room for another key (at most %d)", path,
                         AUTHORISED_KEYS_MAX);
    return 0;
}

int
keygen_make_client(const struct keygen_client *client, struct error *err)
{
    CLEANUP(wipe_pair) struct pair pair = { "", "" };
    CLEANUP(close_fdp) int fd = -1;
    char line[KEYS_NAME_BYTES + KEYS_TEXT_BYTES + 4];
    int r = 0;

    if (client->public_key == NULL)
        r = make_pair(&pair, err);
    else
        snprintf(pair.public_key, sizeof pair.public_key, "%s", client->public_key);
    if (r == 0 && client->authorised_file != NULL)
        r = open_authorised(&fd, client->authorised_file, err);
    if (r == 0 && fd >= 0)
        r = prepare_line(line, sizeof line, fd, client, &pair, err);
    if (r == 0 && client->path != NULL)
        r = write_connection(client, &pair, err);
    if (r != 0 || fd < 0)
        return r;
    r = key_file_write(fd, client->authorised_file, slice_text(line), err);
    if (r == 0)
        return 0;
    if (client->path != NULL)
        unlink(client->path); /* nobody would let it in */
    return KEYGEN_E_FAILED;
}

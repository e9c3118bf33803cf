/* SPDX-License-Identifier: MIT */
/* Where the server is: what its file says, and whether somebody listens there. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel/client.h"
#include "kernel/file.h"
#include "kernel/server.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define FILE_NAME "server.json"
#define SCHEME "hmac-sha256"
#define IPC "ipc://"

static const struct json_limits limits = { SERVER_FILE_BYTES_MAX, 16 };

/* Copies a string member; one that is absent or null is empty. */
static int
take(const json_t *document, const char *name, char *ret, size_t size, struct error *err)
{
    const json_t *value = json_object_get(document, name);
    size_t length = json_string_length(value);

    ret[0] = '\0';
    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_string(value) || length >= size ||
        strlen(json_string_value(value)) != length)
        return error_set(err, CLIENT_E_FAILED,
                         "%s is not a string of less than %zu bytes", name, size);
    memcpy(ret, json_string_value(value), length + 1);
    return 0;
}

static int
check(const struct client_server *server, const json_t *document, struct error *err)
{
    char scheme[64];
    int r = take(document, "signature_scheme", scheme, sizeof scheme, err);

    if (r != 0)
        return r;
    if (server->endpoint[0] == '\0')
        return error_set(err, CLIENT_E_FAILED,
                         "it has no endpoint: this server has none for clients");
    if (strncmp(server->endpoint, IPC, strlen(IPC)) != 0 &&
        strncmp(server->endpoint, "tcp://", 6) != 0)
        return error_set(err, CLIENT_E_FAILED, "%s is not ipc:// or tcp://",
                         server->endpoint);
    if (scheme[0] != '\0' && strcmp(scheme, SCHEME) != 0)
        return error_set(err, CLIENT_E_FAILED, "signature_scheme is %s, not %s", scheme,
                         SCHEME);
    if ((server->public_key[0] == '\0') != (server->secret_key[0] == '\0'))
        return error_set(err, CLIENT_E_FAILED, "public_key and secret_key come together");
    return 0;
}

int
client_server_read(struct client_server *ret, struct slice text, struct error *err)
{
    CLEANUP(tree_decrefp) json_t *document = NULL;
    CLEANUP(client_server_fini) struct client_server server = { 0 };
    const struct {
        const char *name;
        char *place;
        size_t size;
    } members[] = {
        { "endpoint", server.endpoint, sizeof server.endpoint },
        { "key", server.key, sizeof server.key },
        { "server_public_key", server.server_public_key,
          sizeof server.server_public_key },
        { "public_key", server.public_key, sizeof server.public_key },
        { "secret_key", server.secret_key, sizeof server.secret_key },
        { "version", server.version, sizeof server.version },
    };
    int r = tree_load_object(&document, text, &limits, err);

    if (r != 0)
        return r < 0 ? r : CLIENT_E_FAILED;
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(members); i++)
        r = take(document, members[i].name, members[i].place, members[i].size, err);
    if (r == 0)
        r = check(&server, document, err);
    if (r == 0)
        *ret = server;
    return r;
}

void
client_server_fini(struct client_server *server)
{
    sodium_memzero(server, sizeof *server);
}

/* A server that was killed leaves its file and its socket behind. */
static int
try_socket(const struct client_server *server, struct error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *path = server->endpoint + strlen(IPC);
    CLEANUP(close_fdp) int fd = -1;

    if (strncmp(server->endpoint, IPC, strlen(IPC)) != 0)
        return 0;
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, CLIENT_E_FAILED, "%s is too long for a socket", path);
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(err, "socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN)
        return 0;
    if (errno == ECONNREFUSED || errno == ENOENT)
        return error_set(err, CLIENT_E_NONE, "there is no server any more at %s", path);
    return error_set(err, CLIENT_E_FAILED, "cannot connect to %s: %s", path,
                     strerror(errno));
}

static int
read_file(struct client_server *ret, const char *path, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, SERVER_FILE_BYTES_MAX);
    if (strstr(path, "://") != NULL)
        return error_set(err, CLIENT_E_FAILED,
                         "%s is an address: name the server.json, or the client's own "
                         "file, that has it",
                         path);
    if (access(path, F_OK) < 0)
        return error_set(err, CLIENT_E_NONE, "there is no server: %s: %s", path,
                         strerror(errno));
    r = file_read(path, &text, err);
    if (r > 0)
        return CLIENT_E_FAILED;
    if (r == 0)
        r = client_server_read(ret, buffer_slice(&text), err);
    if (text.data != NULL)
        sodium_memzero(text.data, text.length);
    return r > 0 ? error_wrap(err, r, "%s", path) : r;
}

int
client_server_find(struct client_server *ret, const char *named, struct error *err)
{
    char folder[PATH_MAX], path[PATH_MAX];
    int r;

    if (named == NULL) {
        r = file_server_folder(folder, false, err);
        if (r == FILE_E_MISSING)
            return error_set(err, CLIENT_E_NONE, "there is no server");
        if (r == 0)
            r = file_join(path, folder, FILE_NAME, err);
        if (r != 0)
            return r < 0 ? r : CLIENT_E_FAILED;
        named = path;
    }
    r = read_file(ret, named, err);
    return r != 0 ? r : try_socket(ret, err);
}

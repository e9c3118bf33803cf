/* SPDX-License-Identifier: MIT */
#include "kernel/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "kernel/file.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define FILE_NAME "server.json"
#define SOCKET_NAME "contexts.sock"
#define AGENT_NAME "agent.sock"

/* A path of the kernel's must be the same file for the server. */
static const char *const namespaces[] = { "mnt", "net", "pid", "user" };

static const struct json_limits limits = { SERVER_FILE_BYTES_MAX, 8 };

struct server_seat {
    int folder; /* owned: the lock is on it */
    char file[PATH_MAX];
    char address[PATH_MAX];
    char endpoint[PATH_MAX + 8];
};

static int
name_namespace(const char *name, char *ret, size_t size, struct error *err)
{
    char path[64];
    ssize_t n;

    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    n = readlink(path, ret, size - 1);
    if (n < 0)
        return error_set(err, SERVER_E_FAILED, "cannot read %s: %s", path,
                         strerror(errno));
    ret[n] = '\0';
    return 0;
}

/* Not a file of its own: who cleans the temporary directory leaves locked folders alone.
 */
static int
lock(const struct server_seat *seat, const char *folder, struct error *err)
{
    struct server_found found = { 0 };

    if (flock(seat->folder, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return error_set(err, SERVER_E_FAILED, "cannot lock %s: %s", folder,
                         strerror(errno));
    (void)server_find(&found, seat->file, NULL);
    error_set(err, SERVER_E_FAILED,
              "a server of this user is running already (process %lld, in %s)",
              (long long)json_integer_value(json_object_get(found.document, "pid")),
              folder);
    server_found_fini(&found);
    return SERVER_E_FAILED;
}

static void
clear(const struct server_seat *seat)
{
    unlinkat(seat->folder, FILE_NAME, 0);
    unlinkat(seat->folder, SOCKET_NAME, 0);
    unlinkat(seat->folder, AGENT_NAME, 0);
}

int
server_sit(struct server_seat **ret, struct error *err)
{
    struct server_seat *seat = malloc(sizeof *seat);
    char folder[PATH_MAX], path[PATH_MAX];
    int r;

    if (seat == NULL)
        return -ENOMEM;
    seat->folder = -1;
    r = file_server_folder(folder, true, err);
    if (r == 0)
        r = file_join(seat->file, folder, FILE_NAME, err);
    if (r == 0)
        r = file_join(seat->address, folder, SOCKET_NAME, err);
    if (r == 0)
        r = file_join(path, folder, AGENT_NAME, err);
    if (r == 0)
        snprintf(seat->endpoint, sizeof seat->endpoint, "ipc://%s", path);
    if (r == 0) {
        seat->folder = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (seat->folder < 0)
            r = error_set(err, SERVER_E_FAILED, "cannot open %s: %s", folder,
                          strerror(errno));
    }
    if (r == 0)
        r = lock(seat, folder, err);
    if (r != 0) {
        close_fdp(&seat->folder); /* whatever is there belongs to another */
        free(seat);
        return r < 0 ? r : SERVER_E_FAILED;
    }
    clear(seat);
    *ret = seat;
    return 0;
}

const char *
server_seat_address(const struct server_seat *seat)
{
    return seat->address;
}

const char *
server_seat_endpoint(const struct server_seat *seat)
{
    return seat->endpoint;
}

static json_t *
describe(const struct server_seat *seat, const struct server_notice *notice,
         struct error *err)
{
    json_t *ours = json_object(), *endpoints = json_array();

    for (size_t i = 0; i < N_ELEMENTS(namespaces); i++) {
        char name[64];

        if (name_namespace(namespaces[i], name, sizeof name, err) != 0) {
            json_decref(ours);
            json_decref(endpoints);
            return NULL;
        }
        json_object_set_new(ours, namespaces[i], json_string(name));
    }
    for (size_t i = 0; i < notice->endpoint_count; i++)
        json_array_append_new(endpoints, json_string(notice->endpoints[i]));
    return json_pack("{s:s, s:i, s:s, s:o, s:O*, s:s*, s:o, s:s, s:s, s:s*}", "version",
                     CELLWALL_VERSION, "pid", (int)getpid(), "contexts", seat->address,
                     "namespaces", ours, "preload", notice->preload, "endpoint",
                     notice->endpoint_count > 0 ? notice->endpoints[0] : NULL,
                     "endpoints", endpoints, "key", notice->message_key,
                     "signature_scheme", "hmac-sha256", "server_public_key",
                     notice->public_key);
}

int
server_announce(const struct server_seat *seat, const struct server_notice *notice,
                struct error *err)
{
    CLEANUP(tree_decrefp) json_t *document = describe(seat, notice, err);
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, SERVER_FILE_BYTES_MAX);
    if (document == NULL)
        return err->code != 0 ? err->code : -ENOMEM;
    r = tree_append(&text, document, JSON_INDENT(1));
    if (r == 0)
        r = buffer_append_text(&text, "\n");
    if (r != 0)
        return r < 0 ? r : error_set(err, SERVER_E_FAILED, "%s: too large", seat->file);
    r = file_write(seat->file, buffer_slice(&text), 0600, err);
    return r > 0 ? SERVER_E_FAILED : r;
}

void
server_rise(struct server_seat *seat)
{
    if (seat == NULL)
        return;
    clear(seat);
    close(seat->folder);
    free(seat);
}

static int
take_address(struct server_found *ret, const char *path, struct error *err)
{
    if (path == NULL || path[0] != '/' || strlen(path) >= sizeof ret->address)
        return error_set(err, SERVER_E_FAILED,
                         "the socket of a server must be an absolute path of less than "
                         "%zu bytes",
                         sizeof ret->address);
    strcpy(ret->address, path);
    return 0;
}

static int
check_namespaces(const json_t *document, struct error *err)
{
    const json_t *theirs = json_object_get(document, "namespaces");

    for (size_t i = 0; i < N_ELEMENTS(namespaces); i++) {
        const char *name = json_string_value(json_object_get(theirs, namespaces[i]));
        char ours[64];
        int r = name_namespace(namespaces[i], ours, sizeof ours, err);

        if (r != 0)
            return r;
        if (name == NULL || strcmp(name, ours) != 0)
            return error_set(err, SERVER_E_FAILED,
                             "it is in another container: their namespaces \"%s\" are "
                             "not the same",
                             namespaces[i]);
    }
    return 0;
}

static int
check(struct server_found *found, struct error *err)
{
    const json_t *document = found->document;
    const char *version = json_string_value(json_object_get(document, "version"));
    int r;

    if (version == NULL || strcmp(version, CELLWALL_VERSION) != 0)
        return error_set(err, SERVER_E_FAILED,
                         "the server is of version %.40s, this program of version %s",
                         version == NULL ? "?" : version, CELLWALL_VERSION);
    r = check_namespaces(document, err);
    return r != 0 ? r
                  : take_address(found,
                                 json_string_value(json_object_get(document, "contexts")),
                                 err);
}

static int
read_file(struct server_found *found, const char *path, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, SERVER_FILE_BYTES_MAX);
    if (access(path, F_OK) < 0)
        return error_set(err, SERVER_E_NONE, "there is no server: %s: %s", path,
                         strerror(errno));
    r = file_read(path, &text, err);
    if (r == 0)
        r = tree_load_object(&found->document, buffer_slice(&text), &limits, err);
    if (r == 0)
        r = check(found, err);
    return r <= 0 ? r : error_wrap(err, SERVER_E_FAILED, "%s", path);
}

static int
find_in_folder(struct server_found *found, struct error *err)
{
    char folder[PATH_MAX], path[PATH_MAX];
    int r = file_server_folder(folder, false, err);

    if (r == FILE_E_MISSING)
        return error_set(err, SERVER_E_NONE, "there is no server");
    if (r == 0)
        r = file_join(path, folder, FILE_NAME, err);
    return r != 0 ? SERVER_E_FAILED : read_file(found, path, err);
}

int
server_find(struct server_found *ret, const char *named, struct error *err)
{
    struct server_found found = { 0 };
    size_t length = named == NULL ? 0 : strlen(named);
    int r;

    if (named == NULL)
        r = find_in_folder(&found, err);
    else if (length > 5 && strcmp(named + length - 5, ".json") == 0)
        r = read_file(&found, named, err);
    else
        r = take_address(&found, named, err);
    if (r != 0) {
        server_found_fini(&found);
        return r;
    }
    *ret = found;
    return 0;
}

void
server_found_fini(struct server_found *found)
{
    json_decref(found->document);
    found->document = NULL;
}

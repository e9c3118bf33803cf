/* SPDX-License-Identifier: MIT */
#include "protocol/connection.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/signature.h"
#include "protocol/tree.h"

#define DEPTH_MAX 32
#define SUN_PATH_BYTES sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define Z85_DIGITS                                                                       \
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@" \
    "%$#"

static const struct {
    const char *name;
    const char *member;
} ports[CONNECTION_PORTS] = {
    [CONNECTION_SHELL] = { "shell", "shell_port" },
    [CONNECTION_IOPUB] = { "iopub", "iopub_port" },
    [CONNECTION_STDIN] = { "stdin", "stdin_port" },
    [CONNECTION_CONTROL] = { "control", "control_port" },
    [CONNECTION_HB] = { "hb", "hb_port" },
};

const char *
connection_port_name(enum connection_port port)
{
    return ports[port].name;
}

/* Copies a string member into RET; absent and null leave RET as it is. */
static int
read_text(const json_t *document, const char *key, char *ret, size_t size,
          struct error *err)
{
    const json_t *value = json_object_get(document, key);
    size_t length;

    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return error_set(err, CONNECTION_E_INVALID, "%s is not a string", key);
    length = json_string_length(value);
    if (length >= size || strlen(json_string_value(value)) != length)
        return error_set(err, CONNECTION_E_INVALID,
                         "%s has %zu bytes, at most %zu, or a NUL", key, length,
                         size - 1);
    memcpy(ret, json_string_value(value), length + 1);
    return 0;
}

/* What may stand in a tcp address: it goes into ZeroMQ's endpoint as it is. */
static bool
is_host(const char *ip)
{
    return ip[0] != '\0' && ip[strspn(ip, "0123456789abcdefghijklmnopqrstuvwxyz"
                                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ.:*_-%")] == '\0';
}

static int
read_address(struct connection *c, struct error *err)
{
    char transport[8] = "tcp";
    int r;

    r = read_text(c->document, "transport", transport, sizeof transport, err);
    if (r == 0)
        r = read_text(c->document, "ip", c->ip, sizeof c->ip, err);
    if (r != 0)
        return r;
    c->ipc = strcmp(transport, "ipc") == 0;
    if (!c->ipc && strcmp(transport, "tcp") != 0)
        return error_set(err, CONNECTION_E_INVALID, "transport is neither tcp nor ipc");
    if (c->ip[0] == '\0' && !c->ipc)
        snprintf(c->ip, sizeof c->ip, "127.0.0.1");
    if (c->ip[0] == '\0')
        return error_set(err, CONNECTION_E_INVALID,
                         "ip is missing: for ipc it is the beginning of a path");
    if (!c->ipc && !is_host(c->ip))
        return error_set(err, CONNECTION_E_INVALID, "ip is not an address");
    return 0;
}

/* An integer, or a string of digits as some writers put it. */
static int
read_port(const json_t *document, const char *key, uint16_t *ret, struct error *err)
{
    const json_t *value = json_object_get(document, key);
    json_int_t number = -1;

    if (value == NULL || json_is_null(value)) {
        number = 0;
    } else if (json_is_integer(value)) {
        number = json_integer_value(value);
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t length = json_string_length(value);

        if (length >= 1 && length <= 5 && strspn(text, "0123456789") == length)
            number = strtol(text, NULL, 10);
    }
    if (number < 0 || number > UINT16_MAX)
        return error_set(err, CONNECTION_E_INVALID, "%s is not a port (0 to 65535)", key);
    *ret = (uint16_t)number;
    return 0;
}

static int
read_ports(struct connection *c, struct error *err)
{
    int r;

    for (size_t i = 0; i < CONNECTION_PORTS; i++) {
        r = read_port(c->document, ports[i].member, &c->ports[i], err);
        if (r != 0)
            return r;
        for (size_t j = 0; j < i; j++) {
            if (c->ports[i] != 0 && c->ports[i] == c->ports[j])
                return error_set(err, CONNECTION_E_INVALID, "%s and %s are both %u",
                                 ports[j].member, ports[i].member, c->ports[i]);
        }
    }
    return 0;
}

static int
read_key(struct connection *c, struct error *err)
{
    const json_t *key = json_object_get(c->document, "key");
    char scheme[32] = "hmac-sha256";
    int r;

    if (key == NULL)
        return error_set(err, CONNECTION_E_INVALID,
                         "key is missing (an empty one turns signing off)");
    if (!json_is_string(key))
        return error_set(err, CONNECTION_E_INVALID, "key is not a string");
    c->key = (struct slice){ .data = (const uint8_t *)json_string_value(key),
                             .length = json_string_length(key) };
    if (c->key.length > SIGNATURE_KEY_BYTES_MAX)
        return error_set(err, CONNECTION_E_INVALID, "key has %zu bytes, at most %d",
                         c->key.length, SIGNATURE_KEY_BYTES_MAX);
    r = read_text(c->document, "signature_scheme", scheme, sizeof scheme, err);
    if (r != 0)
        return r;
    if (strcmp(scheme, "hmac-sha256") != 0)
        return error_set(err, CONNECTION_E_INVALID,
                         "signature_scheme is not hmac-sha256, the only one supported");
    return 0;
}

static int
read_curve_key(const json_t *document, const char *key, char ret[CONNECTION_CURVE_BYTES],
               struct error *err)
{
    int r = read_text(document, key, ret, CONNECTION_CURVE_BYTES, err);

    if (r != 0)
        return r;
    if (ret[0] != '\0' && strspn(ret, Z85_DIGITS) != CONNECTION_CURVE_BYTES - 1)
        return error_set(err, CONNECTION_E_INVALID,
                         "%s is not a key of %d Z85 characters", key,
                         CONNECTION_CURVE_BYTES - 1);
    return 0;
}

static int
read_curve(struct connection *c, struct error *err)
{
    int r;

    r = read_curve_key(c->document, "curve_publickey", c->curve_public_key, err);
    if (r == 0)
        r = read_curve_key(c->document, "curve_secretkey", c->curve_secret_key, err);
    if (r != 0)
        return r;
    c->curve = c->curve_public_key[0] != '\0';
    if (c->curve != (c->curve_secret_key[0] != '\0'))
        return error_set(err, CONNECTION_E_INVALID,
                         "%s is there without %s: both are needed, or neither",
                         c->curve ? "curve_publickey" : "curve_secretkey",
                         c->curve ? "curve_secretkey" : "curve_publickey");
    return 0;
}

static int
read_members(struct connection *c, struct error *err)
{
    int r;

    if (json_object_get(c->document, "registration_port") != NULL)
        return error_set(err, CONNECTION_E_REGISTRATION,
                         "this is a registration file (it has registration_port): "
                         "only connection files are supported");
    r = read_address(c, err);
    if (r == 0)
        r = read_ports(c, err);
    if (r == 0)
        r = read_key(c, err);
    if (r == 0)
        r = read_curve(c, err);
    if (r == 0)
        r = read_text(c->document, "kernel_name", c->kernel_name, sizeof c->kernel_name,
                      err);
    return r;
}

int
connection_init(struct connection *ret, struct slice text, struct error *err)
{
    static const struct json_limits limits = { CONNECTION_BYTES_MAX, DEPTH_MAX };
    CLEANUP(connection_fini) struct connection c = { 0 };
    int r;

    r = tree_load_object(&c.document, text, &limits, err);
    if (r != 0)
        return r < 0 ? r : error_wrap(err, CONNECTION_E_INVALID, "connection file");
    r = read_members(&c, err);
    if (r != 0)
        return r < 0 ? r : error_wrap(err, r, "connection file");
    *ret = c;
    c.document = NULL;
    return 0;
}

static void
wipe_member(const json_t *document, const char *key)
{
    const json_t *value = json_object_get(document, key);

    if (json_is_string(value)) /* jansson frees without wiping */
        sodium_memzero((char *)json_string_value(value), json_string_length(value));
}

void
connection_fini(struct connection *connection)
{
    wipe_member(connection->document, "key");
    wipe_member(connection->document, "curve_secretkey");
    json_decref(connection->document);
    sodium_memzero(connection, sizeof *connection);
}

int
connection_set_port(struct connection *connection, enum connection_port port,
                    uint16_t number)
{
    if (json_object_set_new(connection->document, ports[port].member,
                            json_integer(number)) != 0)
        return -ENOMEM;
    connection->ports[port] = number;
    return 0;
}

static int
ipc_endpoint(const struct connection *c, enum connection_port port,
             char ret[CONNECTION_ENDPOINT_BYTES], struct error *err)
{
    char path[SUN_PATH_BYTES];
    int n;

    if (c->ports[port] == 0)
        return error_set(err, CONNECTION_E_INVALID, "%s is 0 for ipc",
                         ports[port].member);
    n = snprintf(path, sizeof path, "%s-%u", c->ip, c->ports[port]);
    if ((size_t)n >= sizeof path)
        return error_set(err, CONNECTION_E_INVALID,
                         "path of %d bytes for ipc, a socket's has at most %zu: %s", n,
                         sizeof path - 1, c->ip);
    snprintf(ret, CONNECTION_ENDPOINT_BYTES, "ipc://%s", path);
    return 0;
}

int
connection_endpoint(const struct connection *connection, enum connection_port port,
                    char ret[CONNECTION_ENDPOINT_BYTES], struct error *err)
{
    bool v6 = strchr(connection->ip, ':') != NULL;
    char number[8] = "*";

    if (connection->ipc)
        return ipc_endpoint(connection, port, ret, err);
    if (connection->ports[port] != 0)
        snprintf(number, sizeof number, "%u", connection->ports[port]);
    snprintf(ret, CONNECTION_ENDPOINT_BYTES, "tcp://%s%s%s:%s", v6 ? "[" : "",
             connection->ip, v6 ? "]" : "", number);
    return 0;
}

int
connection_append(const struct connection *connection, struct buffer *ret)
{
    int r = tree_append(ret, connection->document, JSON_INDENT(2));

    return r != 0 ? r : buffer_append_text(ret, "\n");
}

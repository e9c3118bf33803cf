/* SPDX-License-Identifier: MIT */
/*
 * client - a program's side of the agent endpoint
 *
 * Small and blocking: one call waits at a time, and meanwhile watches what else the
 * program waits for. The wire is that of docs/agent-protocol.md. What a server sends is
 * bounded and verified before it is parsed.
 */
#ifndef KERNEL_CLIENT_H
#define KERNEL_CLIENT_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "protocol/buffer.h"

#define CLIENT_KEY_BYTES 4097 /* with the NUL: of signatures */
#define CLIENT_ENDPOINT_BYTES 512 /* with the NUL */
#define CLIENT_VERSION_BYTES 64 /* with the NUL */
#define CLIENT_CURVE_BYTES 41 /* a key in Z85, with the NUL */
#define CLIENT_LOST_MS 30000 /* a server says something each second */
#define CLIENT_CONNECT_MS 10000 /* for its first word */
#define CLIENT_WATCHES_MAX 8
#define CLIENT_BUFFERS_MAX 16 /* of a message; more are not taken */
#define CLIENT_MESSAGE_BYTES_MAX ((size_t)64 * 1024 * 1024) /* of each frame */

enum {
    CLIENT_E_NONE = 1, /* there is no server; see ERR */
    CLIENT_E_FAILED, /* its file is malformed, it refuses our key, ...; see ERR */
    CLIENT_E_LOST, /* it does not answer any more; see ERR */
    CLIENT_E_REFUSED, /* client_ask alone: see ERR and the reply */
    CLIENT_E_STOPPED /* a callback said so */
};

struct error;

/* What server.json says. Plain data. */
struct client_server {
    char endpoint[CLIENT_ENDPOINT_BYTES];
    char key[CLIENT_KEY_BYTES]; /* empty: messages are not signed */
    char server_public_key[CLIENT_CURVE_BYTES]; /* empty: no CURVE */
    char public_key[CLIENT_CURVE_BYTES];
    char secret_key[CLIENT_CURVE_BYTES];
    char version[CLIENT_VERSION_BYTES]; /* empty: it is not told */
};

/* Reads the bytes of such a file. 0, CLIENT_E_FAILED, -ENOMEM. */
int client_server_read(struct client_server *ret, struct slice text, struct error *err);

/* Finds the server as section 1 of the document says. NAMED: path of a server.json or of
 * a client's own file, or NULL. It is tried whether one listens, where that can be told
 * at once (ipc). 0, CLIENT_E_NONE, CLIENT_E_FAILED, < 0. */
int client_server_find(struct client_server *ret, const char *named, struct error *err);

/* Overwrites the keys. */
void client_server_fini(struct client_server *server);

struct client; /* opaque */

/* A message that belongs to a call, before its reply. Returns 0, or what client_call is
 * to return: CLIENT_E_STOPPED, < 0. CONTENT and METADATA are borrowed. */
typedef int client_event_fn(const char *type, const json_t *content,
                            const json_t *metadata, void *arg);

/* Connects in the background. On success the caller owns *ret. 0, CLIENT_E_FAILED, < 0.
 */
int client_create(struct client **ret, const struct client_server *server,
                  struct error *err);

/* What was sent goes out for at most a second. NULL is allowed. */
void client_destroy(struct client *client);

/* What is looked at while a call waits. */
struct client_watch {
    int fd; /* borrowed; < 0: not now. It may be changed at any time */
    /* Called when FD is readable; returns as client_event_fn does. */
    int (*fn)(void *arg);
    void *arg;
};

/* WATCHES is borrowed for as long as the client lives. */
void client_watch(struct client *client, const struct client_watch *watches,
                  size_t count);

/* Plain data, borrowed until return. */
struct client_request {
    const char *type; /* "..._request" */
    json_t *content;
    struct slice buffer; /* data NULL: none */
    client_event_fn *on_event; /* NULL: events are dropped */
    void *arg;
};

struct client_reply {
    json_t *content; /* owned: json_decref */
    struct slice buffer; /* the first, if there is one; borrowed until the next call */
};

/* Sends a request and waits for its reply, which may be a refusal. 0, CLIENT_E_FAILED,
 * CLIENT_E_LOST, what a callback returned, < 0. */
int client_call(struct client *client, const struct client_request *request,
                struct client_reply *ret, struct error *err);

/* As client_call; a refusal is CLIENT_E_REFUSED, with its message and suggestion in ERR.
 * RET gets it all the same. */
int client_ask(struct client *client, const struct client_request *request,
               struct client_reply *ret, struct error *err);

/* Sends a message and does not wait: replies to it are dropped. Also from callbacks.
 * Takes CONTENT. */
int client_post(struct client *client, const char *type, json_t *content);

/* The code of a refusal, borrowed; NULL: REPLY is none. */
const char *client_refusal(const json_t *reply);

#endif

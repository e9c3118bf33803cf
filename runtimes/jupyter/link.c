/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/signature.h"
#include "protocol/wire.h"

#define SESSION_BYTES 40
#define HEADER_BYTES_MAX ((size_t)4096)
#define RECONNECT_MS 10

static const int kinds[] = {
    [PROCESS_SHELL] = ZMQ_DEALER,
    [PROCESS_IOPUB] = ZMQ_SUB,
    [PROCESS_STDIN] = ZMQ_DEALER,
    [PROCESS_CONTROL] = ZMQ_DEALER,
};

struct link {
    void *context; /* owned */
    void *sockets[LINK_CHANNELS]; /* owned */
    struct signature_key *key; /* owned */
    char session[SESSION_BYTES];
    uint64_t stamp; /* makes the ids of what is no request different */
    size_t held; /* parts of the last message */
    zmq_msg_t parts[WIRE_FRAMES_MAX]; /* the first HELD are owned */
    struct slice frames[WIRE_FRAMES_MAX];
};

static void
release(struct link *link)
{
    while (link->held > 0)
        zmq_msg_close(&link->parts[--link->held]);
}

void
link_destroy(struct link *link)
{
    if (link == NULL)
        return;
    release(link);
    for (int i = 0; i < LINK_CHANNELS; i++)
        if (link->sockets[i] != NULL)
            zmq_close(link->sockets[i]);
    if (link->context != NULL)
        zmq_ctx_term(link->context);
    signature_key_destroy(link->key);
    free(link);
}

void
link_destroyp(struct link **link)
{
    link_destroy(*link);
}

void *
link_socket(const struct link *link, enum process_socket channel)
{
    return link->sockets[channel];
}

/* A bound on what waits to be read would make the kernel's own socket lose messages: its
 * PUB socket drops what is not taken. The whole sandbox has a limit of memory instead,
 * and the bridge stops a kernel that goes too fast. */
static int
open_socket(struct link *link, const struct process *process, enum process_socket channel,
            struct error *err)
{
    const int none = 0, reconnect = RECONNECT_MS;
    char endpoint[PROCESS_PATH_BYTES + 8];
    void *socket = zmq_socket(link->context, kinds[channel]);

    link->sockets[channel] = socket;
    if (socket == NULL || !process_endpoint(process, channel, endpoint, sizeof endpoint))
        return error_errno(err, "making a socket");
    if (zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none) < 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none) < 0 ||
        zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &reconnect, sizeof reconnect) < 0 ||
        (kinds[channel] == ZMQ_SUB ? zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0)
                                   : zmq_setsockopt(socket, ZMQ_ROUTING_ID, link->session,
                                                    strlen(link->session))) < 0)
        return error_errno(err, "setting up a socket");
    if (zmq_connect(socket, endpoint) < 0)
        return error_errno(err, "connecting to %s", endpoint);
    return 0;
}

int
link_create(struct link **ret, const struct process *process, struct error *err)
{
    CLEANUP(link_destroyp) struct link *link = calloc(1, sizeof *link);
    const char *key = process_key(process);
    struct timespec now;
    int r;

    if (link == NULL)
        return -ENOMEM;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(link->session, sizeof link->session, "cellwall-%" PRIx64 "%" PRIx32,
             (uint64_t)now.tv_sec, (uint32_t)now.tv_nsec);
    r = signature_key_create(&link->key, slice_text(key));
    if (r != 0)
        return r < 0 ? r : -EINVAL;
    link->context = zmq_ctx_new();
    if (link->context == NULL)
        return error_errno(err, "starting ZeroMQ");
    for (int i = 0; i < LINK_CHANNELS; i++) {
        r = open_socket(link, process, (enum process_socket)i, err);
        if (r != 0)
            return r;
    }
    *ret = link;
    link = NULL;
    return 0;
}

void
link_make_id(const struct link *link, uint64_t number, char ret[LINK_ID_BYTES])
{
    snprintf(ret, LINK_ID_BYTES, "%s_%" PRIu64, link->session, number);
}

uint64_t
link_number(const struct link *link, const char *id)
{
    size_t length = strlen(link->session);
    uint64_t number = 0;

    if (strncmp(id, link->session, length) != 0 || id[length] != '_')
        return 0;
    for (id += length + 1; *id >= '0' && *id <= '9'; id++) {
        if (number > (UINT64_MAX - 9) / 10)
            return 0;
        number = 10 * number + (uint64_t)(*id - '0');
    }
    return *id == '\0' ? number : 0;
}

static int
send_part(void *socket, struct slice part, bool last)
{
    static const uint8_t nothing = 0;
    const void *data = part.length > 0 ? part.data : &nothing;

    while (zmq_send(socket, data, part.length, ZMQ_DONTWAIT | (last ? 0 : ZMQ_SNDMORE)) <
           0) {
        if (errno == EAGAIN)
            return LINK_E_FULL; /* only the first part can be refused */
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

static int
make_header(struct link *link, const struct link_wish *wish, struct buffer *ret)
{
    char id[LINK_ID_BYTES];
    struct timespec now;
    struct message_header header = { .id = wish->id,
                                     .session = link->session,
                                     .username = "cellwall",
                                     .type = wish->type };

    clock_gettime(CLOCK_REALTIME, &now);
    header.time_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    if (header.id == NULL) {
        snprintf(id, sizeof id, "%s_own%" PRIu64, link->session, ++link->stamp);
        header.id = id;
    }
    return message_append_header(ret, &header);
}

int
link_send(struct link *link, enum process_socket channel, const struct link_wish *wish,
          struct error *err)
{
    CLEANUP(buffer_fini) struct buffer header;
    char signature[SIGNATURE_HEX_BYTES + 1];
    struct slice frames[WIRE_FIXED_FRAMES], parts[SIGNATURE_PARTS];
    int r;

    buffer_init(&header, HEADER_BYTES_MAX);
    r = make_header(link, wish, &header);
    if (r != 0)
        return r < 0 ? r : error_set(err, -EMSGSIZE, "a header is too long");
    parts[0] = buffer_slice(&header);
    parts[1] = wish->parent_header;
    parts[2] = wish->metadata;
    parts[3] = wish->content.length > 0 ? wish->content : slice_text("{}");
    wire_compose(frames, signature, link->key, parts);
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(frames); i++)
        r = send_part(link->sockets[channel], frames[i],
                      i + 1 == N_ELEMENTS(frames) && wish->buffer_count == 0);
    for (size_t i = 0; r == 0 && i < wish->buffer_count; i++)
        r = send_part(link->sockets[channel], wish->buffers[i],
                      i + 1 == wish->buffer_count);
    return r < 0 ? error_set(err, r, "sending to the kernel: %s", strerror(-r)) : r;
}

/* Takes all parts of a message, even those for which there is no room. */
static int
receive_parts(struct link *link, void *socket, struct error *err)
{
    bool more = true, lost = false;

    release(link);
    while (more) {
        zmq_msg_t *part = &link->parts[link->held];

        if (link->held == WIRE_FRAMES_MAX) {
            lost = true;
            zmq_msg_close(&link->parts[--link->held]);
            part = &link->parts[link->held];
        }
        zmq_msg_init(part);
        while (zmq_msg_recv(part, socket, ZMQ_DONTWAIT) < 0) {
            if (errno == EINTR)
                continue;
            zmq_msg_close(part);
            return errno == EAGAIN ? LINK_E_AGAIN
                                   : error_errno(err, "receiving from the kernel");
        }
        link->held++;
        more = zmq_msg_more(part) != 0;
    }
    return lost ? error_set(err, LINK_E_DROPPED, "it has too many parts") : 0;
}

int
link_open(struct message *ret, const struct slice *frames, size_t count,
          const struct signature_key *key, struct error *err)
{
    static const struct json_limits metadata = { WIRE_METADATA_BYTES_MAX,
                                                 MESSAGE_DEPTH_MAX };
    static const struct json_limits content = { WIRE_CONTENT_BYTES_MAX,
                                                MESSAGE_DEPTH_MAX };

    if (message_init(ret, frames, count, key, NULL, err) != 0)
        return LINK_E_DROPPED;
    if (json_scan_object(ret->wire.metadata, &metadata, err) != 0)
        return error_wrap(err, LINK_E_DROPPED, "metadata of a %s", ret->type);
    if (json_scan_object(ret->wire.content, &content, err) != 0)
        return error_wrap(err, LINK_E_DROPPED, "content of a %s", ret->type);
    return 0;
}

int
link_receive(struct link *link, enum process_socket channel, struct message *ret,
             struct error *err)
{
    int r = receive_parts(link, link->sockets[channel], err);

    if (r != 0)
        return r;
    for (size_t i = 0; i < link->held; i++)
        link->frames[i] = (struct slice){ zmq_msg_data(&link->parts[i]),
                                          zmq_msg_size(&link->parts[i]) };
    return link_open(ret, link->frames, link->held, link->key, err);
}

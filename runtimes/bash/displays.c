/* SPDX-License-Identifier: MIT */
/*
 * Rich output. The programs `display` and `clear` write one packet into a FIFO, which
 * names a file with the content of a message; nothing but displays comes by this way. The
 * file is checked by the server, as all that a runner sends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/json.h"
#include "protocol/mime.h"
#include "runtimes/bash/packet.h"
#include "runtimes/bash/session.h"

#define FIFO_BYTES 4096 /* one packet, or what somebody else has written */

int
displays_open(struct session *session)
{
    const char *folder = getenv("TMPDIR");
    char *path = session->displays_path;

    if (folder == NULL || folder[0] != '/')
        folder = "/tmp";
    if ((size_t)snprintf(path, sizeof session->displays_path, "%s/.cellwall-display-%d",
                         folder, (int)getpid()) >= sizeof session->displays_path ||
        mkfifo(path, 0600) < 0) {
        path[0] = '\0';
        return 0; /* a context without displays is better than none */
    }
    session->displays = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (session->displays < 0)
        return 0;
    (void)fcntl(session->displays, F_SETFL, O_NONBLOCK | O_DIRECT);
    (void)fcntl(session->displays, F_SETPIPE_SZ, FIFO_BYTES);
    return session_watch(session, session->displays, SOURCE_DISPLAYS);
}

void
displays_close(struct session *session)
{
    close_fdp(&session->displays);
    session->displays = -1;
    if (session->displays_path[0] != '\0')
        (void)unlink(session->displays_path);
    session->displays_path[0] = '\0';
}

/* The file is the runner's from here on: it is removed. */
static bool
read_file(const char *path, struct buffer *ret)
{
    CLEANUP(close_fdp)
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    ssize_t n = 1;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
        (uint64_t)st.st_size > PACKET_FILE_BYTES_MAX)
        return false;
    (void)unlink(path);
    if (buffer_reserve(ret, (size_t)st.st_size + 1) != 0)
        return false;
    while (n > 0 && ret->length < ret->capacity) {
        n = read(fd, ret->data + ret->length, ret->capacity - ret->length);
        if (n > 0)
            ret->length += (size_t)n;
    }
    return n == 0;
}

static bool
is_sound(enum frame_type type, struct slice content)
{
    const struct json_limits limits = { PACKET_FILE_BYTES_MAX, JSON_DEPTH_MAX };

    return json_scan_object(content, &limits, NULL) == 0 &&
           (type == FRAME_CLEAR_OUTPUT || mime_check_content(content, NULL) == 0);
}

static void
show(struct session *session, const struct packet *packet)
{
    static const enum frame_type types[] = {
        [PACKET_DISPLAY] = FRAME_DISPLAY_DATA,
        [PACKET_UPDATE] = FRAME_UPDATE_DISPLAY_DATA,
        [PACKET_CLEAR] = FRAME_CLEAR_OUTPUT,
    };
    CLEANUP(buffer_fini) struct buffer content;
    uint64_t number = 0;

    for (size_t i = 0; i < N_ELEMENTS(packet->inodes) && number == 0; i++)
        number = outlets_owner(session, packet->inodes[i]);
    if (number == 0)
        number = session->run.number != 0 ? session->run.number : session->last_number;
    buffer_init(&content, PACKET_FILE_BYTES_MAX + 4096);
    if (packet->kind == PACKET_CLEAR) {
        (void)buffer_append_text(&content,
                                 packet->wait ? "{\"wait\":true}" : "{\"wait\":false}");
    } else if (!read_file(packet->path, &content)) {
        return;
    }
    if (is_sound(types[packet->kind], buffer_slice(&content)))
        session_send(session, types[packet->kind], number, 0, buffer_slice(&content));
}

/* One packet an event, all that there is room for: text may come before the next. */
void
displays_read(struct session *session)
{
    union {
        struct packet packet;
        uint8_t bytes[FIFO_BYTES];
    } data;

    if (read(session->displays, &data, sizeof data) == (ssize_t)sizeof data.packet &&
        data.packet.kind <= PACKET_CLEAR &&
        memchr(data.packet.path, '\0', sizeof data.packet.path) != NULL)
        show(session, &data.packet);
}

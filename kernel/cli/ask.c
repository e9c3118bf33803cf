/* SPDX-License-Identifier: MIT */
#include "kernel/cli/ask.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "protocol/text.h"

#define CHUNK_BYTES 4096

void
ask_init(struct ask *ask, int fd)
{
    *ask = (struct ask){ .fd = fd, .is_terminal = isatty(fd) == 1 };
    buffer_init(&ask->line, ASK_LINE_BYTES_MAX);
}

void
ask_fini(struct ask *ask)
{
    ask_end(ask);
    buffer_fini(&ask->line);
}

void
ask_begin(struct ask *ask, bool password)
{
    struct termios quiet;

    if (!password || !ask->is_terminal || ask->silent ||
        tcgetattr(ask->fd, &ask->saved) < 0)
        return;
    quiet = ask->saved;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    ask->silent = tcsetattr(ask->fd, TCSADRAIN, &quiet) == 0;
}

void
ask_end(struct ask *ask)
{
    if (ask->silent)
        (void)tcsetattr(ask->fd, TCSADRAIN, &ask->saved);
    ask->silent = false;
}

bool
ask_has_line(const struct ask *ask)
{
    return ask->ended || (ask->line.length > 0 &&
                          memchr(ask->line.data, '\n', ask->line.length) != NULL);
}

static int
read_more(struct ask *ask)
{
    char chunk[CHUNK_BYTES];
    ssize_t n = read(ask->fd, chunk, sizeof chunk);
    int r;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n <= 0) {
        ask->ended = true;
        return 0;
    }
    r = buffer_append(&ask->line, chunk, (size_t)n);
    if (r == BUFFER_E_FULL)
        ask->ended = true; /* nobody types so much */
    return r < 0 ? r : 0;
}

int
ask_read(struct ask *ask, struct buffer *ret)
{
    const uint8_t *end;
    size_t length;
    int r = ask_has_line(ask) ? 0 : read_more(ask);

    if (r != 0)
        return r;
    end = ask->line.length > 0 ? memchr(ask->line.data, '\n', ask->line.length) : NULL;
    if (end == NULL && !ask->ended)
        return ASK_E_AGAIN;
    if (end == NULL && ask->line.length == 0) {
        if (ask->is_terminal)
            ask->ended = false; /* a person can go on after ^D */
        return buffer_append_text(ret, ASK_END_OF_INPUT) == 0 ? 0 : -ENOMEM;
    }
    length = end != NULL ? (size_t)(end - ask->line.data) : ask->line.length;
    r = text_append_utf8(ret, ask->line.data,
                         length > 0 && ask->line.data[length - 1] == '\r' ? length - 1
                                                                          : length);
    buffer_consume(&ask->line, end != NULL ? length + 1 : length);
    return r > 0 ? -EMSGSIZE : r;
}

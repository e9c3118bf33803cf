/* SPDX-License-Identifier: MIT */
/* Stderr may be a pipe that its reader has forgotten: a line goes out only when the pipe
 * has room for it. */
#include "kernel/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
log_has_colours(int fd)
{
    const char *refusal = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fd) == 1 && (refusal == NULL || refusal[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

/* How many bytes of TEXT are a control character, C0, or C1 in UTF-8: some terminals obey
 * these, too. */
static size_t
control_length(const char *text)
{
    unsigned char first = (unsigned char)text[0], second;

    if (first < 0x20 || first == 0x7f)
        return 1;
    second = (unsigned char)text[1];
    return first == 0xc2 && second >= 0x80 && second < 0xa0 ? 2 : 0;
}

static void
make_harmless(char *text)
{
    while (*text != '\0') {
        size_t length = control_length(text);

        memset(text, '?', length);
        text += length > 0 ? length : 1;
    }
}

void
log_line(const char *format, ...)
{
    char line[LOG_LINE_BYTES];
    struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
    size_t used = (size_t)snprintf(
        line, sizeof line, "%s",
        log_has_colours(STDERR_FILENO) ? "\x1b[1mcellwall:\x1b[0m " : "cellwall: ");
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(line + used, sizeof line - used - 1, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    make_harmless(line + used);
    used += strlen(line + used);
    line[used++] = '\n';
    if (poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT) != 0) {
        ssize_t ignored = write(STDERR_FILENO, line, used);

        (void)ignored; /* there is nobody left to tell */
    }
}

bool
log_allows(struct log_limit *limit, uint64_t now_us, uint64_t *ret_held)
{
    if (now_us < limit->next_us) {
        limit->held++;
        return false;
    }
    *ret_held = limit->held;
    limit->held = 0;
    limit->next_us = now_us + LOG_INTERVAL_US;
    return true;
}

/* SPDX-License-Identifier: MIT */
/* Stderr may be a pipe that its reader has forgotten: a line goes out only when the pipe
 * has room for it. */
#include "kernel/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
log_line(const char *format, ...)
{
    char line[LOG_LINE_BYTES] = "cellwall: ";
    size_t used = strlen(line);
    struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(line + used, sizeof line - used - 1, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    for (char *p = line; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    used = strlen(line);
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

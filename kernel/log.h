/* SPDX-License-Identifier: MIT */
/*
 * log - one line on stderr for whoever runs the program
 *
 * Never blocks: when nobody reads stderr the line is lost. Only kernel/ logs.
 */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_BYTES 1024 /* longer lines are cut */
#define LOG_INTERVAL_US UINT64_C(10000000) /* between lines under the same limit */

/* Writes "cellwall: ", the text and a newline. Control characters become "?". */
__attribute__((format(printf, 1, 2))) void log_line(const char *format, ...);

/* Whether FD is a terminal where colours are wanted: NO_COLOR and TERM have a say. */
bool log_has_colours(int fd);

/* For lines that a peer can cause: plain data, zeroed. */
struct log_limit {
    uint64_t next_us; /* earliest time of the next line */
    uint64_t held; /* lines held back since the last one */
};

/* True when a line may be written now; RET_HELD gets how many were not, since then. */
bool log_allows(struct log_limit *limit, uint64_t now_us, uint64_t *ret_held);

#endif

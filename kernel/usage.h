/* SPDX-License-Identifier: MIT */
/*
 * usage - what the kernel and the machine use, as a usage_reply says it
 *
 * Reads /proc. CPU figures are since the previous call, so the first ones are 0.
 */
#ifndef KERNEL_USAGE_H
#define KERNEL_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buffer.h"

#define USAGE_PIDS_MAX 4096

/* What was measured last time. Plain data, zeroed. */
struct usage {
    uint64_t time_us;
    uint64_t process_ticks;
    uint64_t host_busy, host_total;
};

/* Members of /proc/meminfo, in bytes. */
struct usage_memory {
    uint64_t total, available, free, active, inactive, buffers, cached, shared, slab;
};

/* Clock ticks (user and system) in the text of /proc/PID/stat, whose second field may
 * hold anything. False: not such a text. */
bool usage_parse_stat(const char *text, uint64_t *ret_ticks);

/* Of the first line of /proc/stat. */
bool usage_parse_host(const char *text, uint64_t *ret_busy, uint64_t *ret_total);

/* False when there is no total. Missing members are 0. */
bool usage_parse_memory(const char *text, struct usage_memory *ret);

/* Bytes of the "Pss:" line of /proc/PID/smaps_rollup. */
bool usage_parse_pss(const char *text, uint64_t *ret_bytes);

/* Appends the members of a usage_reply, without status and braces. PIDS are this process
 * and those of its contexts; one that has ended counts nothing. */
int usage_append(struct usage *usage, const int *pids, size_t count, uint64_t now_us,
                 struct buffer *ret);

#endif

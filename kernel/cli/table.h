/* SPDX-License-Identifier: MIT */
/*
 * table - aligned columns of text
 */
#ifndef KERNEL_CLI_TABLE_H
#define KERNEL_CLI_TABLE_H

#include "protocol/buffer.h"

#define TABLE_COLUMNS_MAX 12

/* Lines of cells; opaque but for its size. Zeroed at first. */
struct table {
    char **cells; /* owned, each owned */
    size_t count, capacity;
    size_t columns;
};

/* The first row is the headings. TEXTS: NULL-terminated, as many each time, copied with
 * control characters as pictures. 0 or < 0. */
int table_add(struct table *table, const char *const *texts);

/* Appends all rows. 0, BUFFER_E_FULL, < 0. */
int table_append(const struct table *table, struct buffer *ret);

void table_fini(struct table *table);

#endif

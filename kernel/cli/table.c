/* SPDX-License-Identifier: MIT */
#include "kernel/cli/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "kernel/cli/printable.h"
#include "protocol/cleanup.h"

#define CELL_BYTES_MAX ((size_t)64 * 1024)
#define GAP 2

static int
copy_cell(char **ret, const char *text)
{
    struct buffer cell;
    int r;

    buffer_init(&cell, CELL_BYTES_MAX);
    r = printable_append_line(&cell, text[0] != '\0' ? text : "-");
    if (r == 0)
        r = buffer_append(&cell, "", 1);
    if (r != 0) {
        buffer_fini(&cell);
        return r < 0 ? r : -EMSGSIZE;
    }
    *ret = (char *)cell.data;
    return 0;
}

int
table_add(struct table *table, const char *const *texts)
{
    size_t columns = 0;
    int r = 0;

    while (texts[columns] != NULL)
        columns++;
    assert(columns <= TABLE_COLUMNS_MAX);
    assert(table->columns == 0 || table->columns == columns);
    table->columns = columns;
    if (table->count + columns > table->capacity) {
        size_t capacity = table->capacity * 2 + 16 * columns;
        char **cells = realloc(table->cells, capacity * sizeof *cells);

        if (cells == NULL)
            return -ENOMEM;
        table->cells = cells;
        table->capacity = capacity;
    }
    for (size_t i = 0; r == 0 && i < columns; i++) {
        r = copy_cell(&table->cells[table->count], texts[i]);
        if (r == 0)
            table->count++;
    }
    return r;
}

static size_t
width_of(const struct table *table, size_t column)
{
    size_t width = 0;

    for (size_t i = column; i < table->count; i += table->columns) {
        size_t one = printable_columns(table->cells[i]);

        if (one > width)
            width = one;
    }
    return width;
}

int
table_append(const struct table *table, struct buffer *ret)
{
    size_t widths[TABLE_COLUMNS_MAX];
    int r = 0;

    assert(table->columns > 0);
    for (size_t i = 0; i < table->columns; i++)
        widths[i] = width_of(table, i);
    for (size_t i = 0; r == 0 && i < table->count; i++) {
        size_t column = i % table->columns;
        bool last = column + 1 == table->columns;
        size_t pad = widths[column] - printable_columns(table->cells[i]) + GAP;

        r = buffer_append_format(ret, "%s%*s", table->cells[i], last ? 0 : (int)pad,
                                 last ? "\n" : "");
    }
    return r;
}

void
table_fini(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
}

/* SPDX-License-Identifier: MIT */
/*
 * report_read - members of an event for the reports that people read
 */
#ifndef KERNEL_NOTEBOOK_REPORT_READ_H
#define KERNEL_NOTEBOOK_REPORT_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/notebook/report_parts.h"

#define REPORT_NUMBER_BYTES 40

/* A string up to its first NUL, borrowed; "" for anything else. */
const char *report_read_text(const json_t *event, const char *name);

/* A number of things; 0 for what is none. */
unsigned long long report_read_count(const json_t *event, const char *name);

/* Takes the first line off TEXT, which is not empty; it is without its end. */
struct slice report_read_line(struct slice *text);
size_t report_count_lines(struct slice text);

/* Appends the strings of LINES, an array, each with a line's end. Results of
 * buffer_append.
 */
int report_read_lines(struct buffer *ret, const json_t *lines);

/* A number in the fewest digits that mean it, or what a number is written as. */
void report_write_number(char ret[REPORT_NUMBER_BYTES], const json_t *value);

/* A distance: of its digits nobody needs more than a few. */
void report_write_distance(char ret[REPORT_NUMBER_BYTES], const json_t *value);

/* A column of the table of numbers that are too far apart. */
struct report_column {
    const char *member;
    void (*write)(char ret[REPORT_NUMBER_BYTES], const json_t *value);
};

#define REPORT_COLUMNS 4
extern const struct report_column report_columns[REPORT_COLUMNS];

/* Characters that show nothing, or turn what is around them: lines with them look the
 * same as others, or other than they are. Joiners are none: scripts and emoji need them.
 */
bool report_is_hidden(uint32_t character);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * buffer - bytes that grow up to a limit
 *
 * Every growing thing that a peer can feed is one of these, so that each has a cap.
 */
#ifndef PROTOCOL_BUFFER_H
#define PROTOCOL_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUFFER_E_FULL = 1 }; /* would pass the limit; nothing was changed */

struct buffer {
    uint8_t *data; /* owned */
    size_t length; /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t limit; /* most bytes ever in use */
};

/* Borrowed bytes, plain data. */
struct slice {
    const uint8_t *data;
    size_t length;
};

/* The bytes of a string literal or a NUL-terminated string. */
struct slice slice_text(const char *text);
bool slice_equals_text(struct slice slice, const char *text);

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_fini(struct buffer *buffer);

/* Makes room for MORE bytes behind what is in use. 0, BUFFER_E_FULL or -ENOMEM. */
int buffer_reserve(struct buffer *buffer, size_t more);

/* As buffer_reserve, then copies. 0, BUFFER_E_FULL or -ENOMEM. */
int buffer_append(struct buffer *buffer, const void *data, size_t length);
int buffer_append_text(struct buffer *buffer, const char *text);
__attribute__((format(printf, 2, 3))) int buffer_append_format(struct buffer *buffer,
                                                               const char *format, ...);

/* Drops the first LENGTH bytes (at most what is in use). */
void buffer_consume(struct buffer *buffer, size_t length);

/* Empties it; memory above KEEP bytes goes back. */
void buffer_clear(struct buffer *buffer, size_t keep);

struct slice buffer_slice(const struct buffer *buffer);

#endif

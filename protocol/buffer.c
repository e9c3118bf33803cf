/* SPDX-License-Identifier: MIT */
#include "protocol/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"

#define FIRST_CAPACITY 256
#define FORMAT_BYTES 256 /* formatted without an allocation */

struct slice
slice_text(const char *text)
{
    return (struct slice){ .data = (const uint8_t *)text, .length = strlen(text) };
}

bool
slice_equals_text(struct slice slice, const char *text)
{
    size_t length = strlen(text);

    return slice.length == length &&
           (length == 0 || memcmp(slice.data, text, length) == 0);
}

void
buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){ .limit = limit };
}

void
buffer_fini(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){ .limit = buffer->limit };
}

int
buffer_reserve(struct buffer *buffer, size_t more)
{
    size_t need, capacity;
    uint8_t *data;

    assert(buffer->length <= buffer->limit);
    if (more > buffer->limit - buffer->length)
        return BUFFER_E_FULL;
    need = buffer->length + more;
    if (need <= buffer->capacity)
        return 0;
    capacity = buffer->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buffer->capacity;
    while (capacity < need)
        capacity = capacity > buffer->limit / 2 ? buffer->limit : capacity * 2;
    data = realloc(buffer->data, capacity);
    if (data == NULL)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int
buffer_append(struct buffer *buffer, const void *data, size_t length)
{
    int r = buffer_reserve(buffer, length);

    if (r != 0)
        return r;
    if (length > 0)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    return 0;
}

int
buffer_append_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

/* For what does not fit into the usual room. */
__attribute__((format(printf, 2, 0))) static int
append_long_format(struct buffer *buffer, const char *format, va_list ap)
{
    CLEANUP(freep) char *text = NULL;
    int n = vasprintf(&text, format, ap);

    if (n < 0) {
        text = NULL; /* undefined then */
        return -ENOMEM;
    }
    return buffer_append(buffer, text, (size_t)n);
}

int
buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    char text[FORMAT_BYTES];
    va_list ap;
    int n, r;

    va_start(ap, format);
    n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof text)
        return buffer_append(buffer, text, (size_t)n);
    va_start(ap, format);
    r = append_long_format(buffer, format, ap);
    va_end(ap);
    return r;
}

void
buffer_consume(struct buffer *buffer, size_t length)
{
    if (length >= buffer->length) {
        buffer->length = 0;
        return;
    }
    if (length == 0)
        return;
    memmove(buffer->data, buffer->data + length, buffer->length - length);
    buffer->length -= length;
}

void
buffer_clear(struct buffer *buffer, size_t keep)
{
    buffer->length = 0;
    if (buffer->capacity > keep)
        buffer_fini(buffer);
}

struct slice
buffer_slice(const struct buffer *buffer)
{
    return (struct slice){ .data = buffer->data, .length = buffer->length };
}

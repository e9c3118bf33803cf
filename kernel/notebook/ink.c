/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/ink.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/cleanup.h"

#define KEPT_BYTES 65536 /* of memory, when it is emptied */
#define PRECISE_SECONDS 10 /* below them hundredths are told */
#define WHOLE_SECONDS 120 /* below them there are no minutes */
#define SECONDS_MAX 1e9

void
ink_init(struct ink *ink, size_t limit)
{
    *ink = (struct ink){ 0 };
    buffer_init(&ink->buffer, limit);
}

void
ink_fini(struct ink *ink)
{
    buffer_fini(&ink->buffer);
}

void
ink_slice(struct ink *ink, struct slice text)
{
    if (ink->failure == 0)
        ink->failure = buffer_append(&ink->buffer, text.data, text.length);
}

void
ink_text(struct ink *ink, const char *text)
{
    ink_slice(ink, slice_text(text));
}

void
ink_repeat(struct ink *ink, char character, size_t count)
{
    if (ink->failure == 0)
        ink->failure = buffer_reserve(&ink->buffer, count);
    if (ink->failure != 0 || count == 0)
        return;
    memset(ink->buffer.data + ink->buffer.length, character, count);
    ink->buffer.length += count;
}

void
ink_format(struct ink *ink, const char *format, ...)
{
    CLEANUP(freep) char *text = NULL;
    va_list ap;
    int n;

    if (ink->failure != 0)
        return;
    va_start(ap, format);
    n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0) {
        text = NULL; /* undefined then */
        ink->failure = -ENOMEM;
        return;
    }
    ink_slice(ink, (struct slice){ (const uint8_t *)text, (size_t)n });
}

void
ink_count(struct ink *ink, unsigned long long count, const char *singular,
          const char *plural)
{
    if (count == 1)
        ink_format(ink, "1 %s", singular);
    else if (plural != NULL)
        ink_format(ink, "%llu %s", count, plural);
    else
        ink_format(ink, "%llu %ss", count, singular);
}

void
ink_seconds(struct ink *ink, double seconds)
{
    if (!isfinite(seconds) || seconds < 0)
        seconds = 0;
    if (seconds > SECONDS_MAX)
        seconds = SECONDS_MAX;
    if (seconds < PRECISE_SECONDS)
        ink_format(ink, "%.2f s", seconds);
    else if (seconds < WHOLE_SECONDS)
        ink_format(ink, "%.0f s", seconds);
    else
        ink_format(ink, "%lld min %lld s", (long long)seconds / 60,
                   (long long)seconds % 60);
}

void
ink_clear(struct ink *ink)
{
    buffer_clear(&ink->buffer, KEPT_BYTES);
    ink->failure = 0;
}

void
ink_cut(struct ink *ink, size_t length)
{
    if (length < ink->buffer.length)
        ink->buffer.length = length;
    ink->failure = 0;
}

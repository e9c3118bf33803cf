/* SPDX-License-Identifier: MIT */
#include "protocol/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
error_set(struct error *err, int code, const char *format, ...)
{
    va_list ap;

    if (err == NULL || err->code != 0)
        return code;
    err->code = code;
    va_start(ap, format);
    vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    return code;
}

int
error_errno(struct error *err, const char *format, ...)
{
    int code = errno;
    va_list ap;
    size_t used;

    if (err == NULL || err->code != 0)
        return -code;
    err->code = -code;
    va_start(ap, format);
    vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(code));
    return -code;
}

int
error_wrap(struct error *err, int code, const char *format, ...)
{
    char joined[2 * ERROR_TEXT_BYTES];
    va_list ap;
    int n;

    if (err == NULL)
        return code;
    va_start(ap, format);
    n = vsnprintf(joined, ERROR_TEXT_BYTES, format, ap);
    va_end(ap);
    if (n < 0)
        return code;
    n = (int)strlen(joined);
    snprintf(joined + n, sizeof joined - (size_t)n, err->text[0] != '\0' ? ": %s" : "%s",
             err->text);
    memcpy(err->text, joined, sizeof err->text);
    err->text[sizeof err->text - 1] = '\0';
    err->code = code;
    return code;
}

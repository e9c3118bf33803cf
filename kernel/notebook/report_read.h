/* SPDX-License-Identifier: MIT */
/*
 * report_read - more members of an event, whatever their types are
 */
#ifndef KERNEL_NOTEBOOK_REPORT_READ_H
#define KERNEL_NOTEBOOK_REPORT_READ_H

#include <jansson.h>

#include "kernel/notebook/report_parts.h"

/* A string up to its first NUL, borrowed; "" for anything else. */
static inline const char *
report_read_text(const json_t *event, const char *name)
{
    const char *text = json_string_value(json_object_get(event, name));

    return text != NULL ? text : "";
}

/* A number of things; 0 for what is none. */
static inline unsigned long long
report_read_count(const json_t *event, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(event, name));

    return value > 0 ? (unsigned long long)value : 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * samples - what programs have really shown, kept as files
 *
 * Written by pandas, matplotlib and others, each twice (once, again) from the same code,
 * and where it says so with one value changed (moved).
 */
#ifndef TESTS_COMPARE_SAMPLES_H
#define TESTS_COMPARE_SAMPLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/buffer.h"

#define SAMPLE_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* Appends the sample NAME. */
static inline void
sample_read(const char *name, struct buffer *ret)
{
    char path[4096], data[4096];
    size_t n;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", COMPARE_SAMPLES, name);
    file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("no sample %s", path);
    while ((n = fread(data, 1, sizeof data, file)) > 0)
        assert_int_equal(buffer_append(ret, data, n), 0);
    fclose(file);
}

#endif

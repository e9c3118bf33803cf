/* SPDX-License-Identifier: MIT */
/*
 * cleanup - locals that clean up after themselves
 *
 *     CLEANUP(freep) char *path = NULL;
 *     ...
 *     *ret = path;
 *     path = NULL; // handed over
 */
#ifndef PROTOCOL_CLEANUP_H
#define PROTOCOL_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))
#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static inline void
freep(void *pointer)
{
    free(*(void **)pointer);
}

static inline void
close_fdp(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Defines TYPEp for CLEANUP, from "void TYPE(struct x *)". */
#define CLEANUP_DEFINE(type, function)                                                   \
    static inline void function##p(type **pointer)                                       \
    {                                                                                    \
        function(*pointer);                                                              \
    }                                                                                    \
    struct cleanup_semicolon

#endif

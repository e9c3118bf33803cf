/* SPDX-License-Identifier: MIT */
/*
 * artefacts - files that a test leaves for whoever looks at what differs
 */
#ifndef KERNEL_NOTEBOOK_ARTEFACTS_H
#define KERNEL_NOTEBOOK_ARTEFACTS_H

#include <jansson.h>
#include <stddef.h>

#define ARTEFACTS_BYTES_MAX ((size_t)64 * 1024 * 1024) /* of one picture */
#define ARTEFACTS_MAX 3000 /* files of one test run */

struct artefacts {
    const char *folder; /* borrowed; made when it is needed */
    size_t count;
};

/* Writes the pictures of DIFFERENCES, base64 text as the comparer gives it, to files
 * named after the notebook PATH and the cell's NUMBER, and puts the files' paths in their
 * place; null where that cannot be done. 0 or -ENOMEM. */
int artefacts_save(struct artefacts *artefacts, const char *path, size_t number,
                   json_t *differences);

#endif

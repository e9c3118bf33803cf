/* SPDX-License-Identifier: MIT */
/*
 * artefacts - files that a test leaves for whoever looks at what differs
 */
#ifndef KERNEL_NOTEBOOK_ARTEFACTS_H
#define KERNEL_NOTEBOOK_ARTEFACTS_H

#include <jansson.h>
#include <limits.h>
#include <stddef.h>

struct error;

#define ARTEFACTS_BYTES_MAX ((size_t)64 * 1024 * 1024) /* of one picture */
#define ARTEFACTS_MAX 3000 /* files of one test run */

/* Plain data. The folder is made when it is needed, within what was its parent at the
 * beginning: code that is tested may be able to put links there. */
struct artefacts {
    char folder[PATH_MAX]; /* as it is to be shown */
    int parent, fd; /* owned, -1: none */
    size_t count;
};

enum { ARTEFACTS_E_FAILED = 1 }; /* see ERR */

/* FOLDER need not be there, nor its parents, which are made. Before anything is run. */
int artefacts_init(struct artefacts *artefacts, const char *folder, struct error *err);
void artefacts_fini(struct artefacts *artefacts);

/* Writes the pictures of DIFFERENCES, base64 text as the comparer gives it, to files
 * named after the notebook PATH and the cell's NUMBER, and puts the files' paths in their
 * place; null where that cannot be done. 0 or -ENOMEM. */
int artefacts_save(struct artefacts *artefacts, const char *path, size_t number,
                   json_t *differences);

#endif

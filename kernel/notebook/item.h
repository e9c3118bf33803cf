/* SPDX-License-Identifier: MIT */
/*
 * item - one notebook that is to be tested, as it is known before it is run
 *
 * What is wrong with a notebook or its settings is a trouble of the item, which reports
 * tell; it ends nothing else.
 */
#ifndef KERNEL_NOTEBOOK_ITEM_H
#define KERNEL_NOTEBOOK_ITEM_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "contexts/context.h"
#include "kernel/notebook/directives.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

struct engine;
struct language;
struct notebook;

enum item_compare { ITEM_COMPARE_ALL, ITEM_COMPARE_MARKED, ITEM_COMPARE_NONE };

struct item {
    char *path; /* owned: as it is shown */
    char absolute[PATH_MAX];
    char directory[PATH_MAX];
    const struct language *language; /* borrowed from the engine */
    const struct language *other; /* likewise, or NULL: whom it is compared with */
    size_t cell_count; /* of code */
    double expected_s; /* < 0: not known */

    json_t *settings; /* owned: configuration, notebook and command line together */
    enum item_compare compare;
    bool allows_errors; /* exceptions are no failures: nbclient's "allow_errors" */
    uint64_t cell_ms, notebook_ms;
    enum sandbox_network network;
    const char **shown; /* owned array, NULL-terminated; its strings are the settings' */
    struct context_limits limits;

    const char *trouble; /* static: the kind of the reason, NULL: none */
    struct error why;
    json_t *notes; /* owned: array of sentences */
};

/* Plain data, borrowed. */
struct item_options {
    struct engine *engine;
    const char *language; /* for all notebooks, or NULL */
    const char *against; /* kernelspec of whom to compare with, or NULL */
    const char *config; /* file for all notebooks; NULL: each one's nearest */
    const json_t *overrides; /* members of the configuration, of the command line */
};

/* Of the notebook at PATH. On success the caller owns *ret. 0, ITEM_E_EXCLUDED: its
 * configuration says so; < 0. */
enum { ITEM_E_EXCLUDED = 1 };
int item_create(struct item **ret, const char *path, const struct item_options *options);
void item_destroy(struct item *item); /* NULL is allowed */
CLEANUP_DEFINE(struct item, item_destroy);

/* What is wrong: KIND is static. The first trouble counts. Returns a positive result. */
int item_fail(struct item *item, const char *kind, const struct error *why);

/* Whether the notebook's folder is still where it was found: code that runs beside it may
 * have put a link there. 0, or a positive result: the trouble is in ITEM. */
int item_check_place(struct item *item);

/* Reads the notebook again, and what its cells say. The caller owns both:
 * *ret_directives, one for each cell. 0, or a positive result: the trouble is in ITEM. */
int item_load(struct item *item, struct notebook **ret,
              struct directives **ret_directives);
void item_free_directives(struct directives *directives, size_t count);

#endif

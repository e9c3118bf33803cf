/* SPDX-License-Identifier: MIT */
/*
 * project - a project's configuration of its notebook tests: cellwall-test.json
 *
 *     compare           "all", "marked" or "none": the outputs of which cells
 *     exclude           array of patterns of paths, relative to the file's folder
 *     language          string: in place of what notebooks say
 *     cell_timeout      number: seconds a cell may take
 *     notebook_timeout  number: seconds a notebook may take
 *     network           "none" or "host"
 *     show              array of paths, relative to the file's folder, that code sees
 *                       besides the notebook's folder, read-only
 *     limits            string, as for "cellwall kernel --limits"
 *     types, sanitize, normalise, decide, rtol, atol, rms, pixels: how outputs are
 *                       compared; docs/notebook-tests.md
 *     notebooks         object: by a pattern of paths, an object of the members above
 *                       except "exclude", for those notebooks
 *
 * All may be missing; other members are refused.
 */
#ifndef KERNEL_NOTEBOOK_PROJECT_H
#define KERNEL_NOTEBOOK_PROJECT_H

#include <jansson.h>
#include <stdbool.h>

#include "protocol/cleanup.h"

#define PROJECT_FILE "cellwall-test.json"
#define PROJECT_BYTES_MAX ((size_t)1024 * 1024)

enum { PROJECT_E_INVALID = 1 }; /* see ERR, which names the file and the member */

struct error;
struct project; /* opaque */

/* PATH: the file, or NULL: one that says nothing. The caller owns *ret. */
int project_read(struct project **ret, const char *path, struct error *err);
void project_destroy(struct project *project); /* NULL is allowed */
CLEANUP_DEFINE(struct project, project_destroy);

/* The configuration that counts for a notebook in FOLDER (absolute): the nearest in it or
 * above, but not above a folder that has ".git". Appends its path; false: there is none.
 */
bool project_locate(const char *folder, char *ret, size_t size);

/* Whether a configuration that was found, and that nobody has named, may say what it
 * says: it comes with the notebooks, so it gives them no network, and shows them nothing
 * outside of its own folder. */
int project_check_found(const struct project *project, struct error *err);

bool project_excludes(const struct project *project, const char *path); /* absolute */

/* All members that count for the notebook PATH (absolute), merged: a new object, which
 * the caller owns. The paths of "show" are absolute. NULL: no memory. */
json_t *project_settings(const struct project *project, const char *path);

/* Adds the rules of a file in nbval's form ("regex:" and "replace:" lines) to the
 * "sanitize" of SETTINGS. 0, PROJECT_E_INVALID, < 0. */
int project_add_sanitize_file(json_t *settings, const char *path, struct error *err);

#endif

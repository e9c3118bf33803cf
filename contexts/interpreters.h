/* SPDX-License-Identifier: MIT */
/*
 * interpreters - finds a runtime's interpreters that are no programs, but files of a
 * certain name, each in a folder that gives it its own name
 *
 * Where they are is told by patterns, in which one "{name}" stands for the name. A
 * pattern may begin with a variable of the environment, as
 * "$HOME/languages/{name}/language.json" does. The variable may hold several places with
 * ":" between them; one that is not set names no place.
 */
#ifndef CONTEXTS_INTERPRETERS_H
#define CONTEXTS_INTERPRETERS_H

#define INTERPRETERS_NAME_BYTES_MAX 64
#define INTERPRETERS_MAX 256 /* of those that are listed */

enum { INTERPRETERS_E_NOT_FOUND = 1, INTERPRETERS_E_INVALID };

struct error;

/* The absolute path of the file of NAMED: a name, the path of its folder, or of the file.
 * The caller frees *ret. INTERPRETERS_E_NOT_FOUND: ERR says which there are. */
int interpreters_find(char **ret, char *const *patterns, const char *named,
                      struct error *err);

/* All that there are, as paths, ordered by name; of a name the first place counts. The
 * caller frees *ret and its strings. 0 or -ENOMEM. */
int interpreters_list(char ***ret, char *const *patterns);
void interpreters_free(char **paths); /* NULL is allowed */
void interpreters_freep(char ***paths);

/* 0, or INTERPRETERS_E_INVALID: PATTERN is none. */
int interpreters_check_pattern(const char *pattern);

#endif

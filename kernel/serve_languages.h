/* SPDX-License-Identifier: MIT */
/*
 * serve_languages - which languages "cellwall serve" has: its runtimes and, of those that
 * serve many languages, the interpreters that settings name or that were installed
 */
#ifndef KERNEL_SERVE_LANGUAGES_H
#define KERNEL_SERVE_LANGUAGES_H

#include "protocol/buffer.h"

enum { SERVE_LANGUAGES_E_FAILED = 1 }; /* see ERR */

struct error;
struct languages;
struct runtime;
struct settings;

/* The caller owns *ret. SERVE_LANGUAGES_E_FAILED, < 0, as all of these. */
int serve_load_runtime(struct runtime **ret, const struct settings *settings,
                       const char *name, struct error *err);

/* The runtime that TEXT, an environment.json, is of; the caller frees *ret. */
int serve_name_runtime(char **ret, struct slice text, struct error *err);

/* Adds what runtime NAME has. */
int serve_load_language(struct languages *languages, const struct settings *settings,
                        const char *name, struct error *err);

/* All runtimes that can be used here; what is missing for others is nobody's fault. */
int serve_load_languages(struct languages *languages, const struct settings *settings,
                         struct error *err);

#endif

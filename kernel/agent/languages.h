/* SPDX-License-Identifier: MIT */
/*
 * languages - what contexts can be made of on this machine
 */
#ifndef KERNEL_AGENT_LANGUAGES_H
#define KERNEL_AGENT_LANGUAGES_H

#include <stddef.h>

struct environment;
struct error;
struct refusal;
struct runtime;

#define LANGUAGES_MAX 64

struct language {
    struct runtime *runtime; /* owned */
    struct environment *environment; /* owned */
};

/* Plain data, zeroed. */
struct languages {
    struct language items[LANGUAGES_MAX];
    size_t count;
};

/* Takes RUNTIME and ENVIRONMENT, even on failure. 0, or -ENOSPC: there are too many. */
int languages_add(struct languages *languages, struct runtime *runtime,
                  struct environment *environment);
void languages_fini(struct languages *languages);

/* Refuses a request: there is none; names those there are. AGENT_E_REFUSED. */
int languages_refuse(const struct languages *languages, const char *name,
                     struct refusal *no);

/* LANGUAGE (in whatever case) or RUNTIME (or the name of an interpreter of it), or both;
 * NULL: any. The first one counts. NULL: there is none. */
const struct language *languages_find(const struct languages *languages,
                                      const char *language, const char *runtime);

#endif

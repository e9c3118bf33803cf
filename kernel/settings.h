/* SPDX-License-Identifier: MIT */
/*
 * settings - what "cellwall serve" is told: its configuration file, as checked data
 *
 *     reserve        integer: contexts that are kept ready, of each kind
 *     runtimes       array of strings: names of runtimes to have ready
 *     python         string: the interpreter for those that need one
 *     environments   array of strings: files of install-kernelspec
 *     interpreters   object of arrays of strings: by the name of a runtime that serves
 *                    more than one language, the names or paths of its interpreters
 *     tier           "full" or "nested": the weakest sandbox that will do
 *     endpoints      array of strings: addresses of the agent endpoint, ipc:// or tcp://
 *     keys           string: the server's key file, see "cellwall keygen"
 *     authorised     string: the file of the keys that may come in over tcp
 *     connection_dir string: where connection files of Jupyter endpoints are put
 *     network        "none" or "host": what contexts may have
 *     limits         object: of contexts that do not say, as in the agent protocol
 *     ceilings       object: what they may ask for
 *     bounds         object: see kernel/agent/bounds.c
 *     preload        object of arrays of strings: by a runtime's name, what its zygotes
 *                    import ahead in place of what runtime.json says
 *
 * All may be missing; other members are refused.
 */
#ifndef KERNEL_SETTINGS_H
#define KERNEL_SETTINGS_H

#include <jansson.h>

#include "kernel/agent/bounds.h"
#include "kernel/options.h"

#define SETTINGS_BYTES_MAX ((size_t)256 * 1024)
#define SETTINGS_RESERVE 1 /* when nobody says another number */

enum { SETTINGS_E_INVALID = 1 }; /* see ERR, which names the file or the member */

struct error;

/* Plain data; strings are borrowed from the document or the command line. */
struct settings {
    unsigned reserve;
    struct option_list runtimes, environments;
    const char *python; /* or NULL */
    const char *tier;
    struct option_list endpoints;
    const char *keys, *authorised, *connection_dir; /* or NULL */
    struct agent_bounds bounds;
    json_t *preload, *interpreters; /* borrowed, or NULL */
    json_t *document; /* owned, or NULL */
};

/* Those of no file. */
void settings_init(struct settings *settings);
void settings_fini(struct settings *settings);

/* Reads the file PATH over SETTINGS. SETTINGS_E_INVALID, < 0. */
int settings_read(struct settings *settings, const char *path, struct error *err);

/* The number of contexts that TEXT says. */
int settings_set_reserve(struct settings *settings, const char *text, struct error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * render - a run's events, as a person or a pipe reads them
 *
 * Takes the messages of docs/agent-protocol.md, section 6, in their order. On a terminal
 * displays are replaced where they stand, as a notebook does; into a pipe goes what a
 * display was at first, and at the end what it has become.
 */
#ifndef KERNEL_CLI_RENDER_H
#define KERNEL_CLI_RENDER_H

#include <jansson.h>
#include <stdbool.h>

struct pictures;
struct render; /* opaque */
struct screen;

#define RENDER_DISPLAYS_MAX 64 /* that can be updated later */

/* Both are borrowed. SAVE_ALL: HTML and JSON are saved, too. On success the caller owns
 * *ret. */
int render_create(struct render **ret, struct screen *screen, struct pictures *pictures,
                  bool save_all);
void render_destroy(struct render *render); /* NULL is allowed */

/* Shows an event; types that are not known are ignored. Results of screen_print. */
int render_event(struct render *render, const char *type, const json_t *content);

/* Shows what was held back. */
int render_finish(struct render *render);

/* The text of a bundle, "data" of a display: RET_MIME is what it is, or NULL: none. The
 * text is borrowed. A placeholder such as "<Figure ...>" counts where nothing else is. */
const char *render_choose_text(const json_t *data, const char **ret_mime);

#endif

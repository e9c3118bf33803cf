/* SPDX-License-Identifier: MIT */
/*
 * html - HTML in a form in which equal documents are equal text
 */
#ifndef KERNEL_COMPARE_HTML_H
#define KERNEL_COMPARE_HTML_H

#include "protocol/buffer.h"

struct error;

/* Prepares the library, as the first call of the other function does; for who confines
 * itself in between. Neither opens a file or a socket. */
void html_init(void);

/* Appends TEXT (UTF-8) parsed, with one node per line, indented, attributes ordered,
 * white space as a browser collapses it, comments left out. Ids, and what refers to them
 * (for, href, headers, aria-*, style sheets), are numbered in the order of their
 * appearance, so that generated ones do not matter; so are classes and ids with a
 * hash in them, as pandas' Styler makes them. 0, COMPARE_E_INVALID, BUFFER_E_FULL as
 * COMPARE_E_INVALID, -ENOMEM. Nothing is loaded from anywhere. */
int html_canonical(struct slice text, struct buffer *ret, struct error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * svg - SVG in a form in which equal pictures are equal text
 */
#ifndef KERNEL_COMPARE_SVG_H
#define KERNEL_COMPARE_SVG_H

#include "protocol/buffer.h"

struct error;

/* Prepares the library, as the first call of the other function does; for who confines
 * itself in between. Neither opens a file or a socket. */
void svg_init(void);

/* As html_canonical, of XML: without <metadata> (dates, versions), comments, processing
 * instructions and DOCTYPE; ids and references to them (url(#...), href) numbered in
 * order. Entities are not expanded, nothing is loaded from anywhere. */
int svg_canonical(struct slice text, struct buffer *ret, struct error *err);

#endif

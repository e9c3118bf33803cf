/* SPDX-License-Identifier: MIT */
/*
 * markup - what the canonical forms of HTML and of SVG have in common
 *
 * A parsed tree is written with one node a line, its depth as indentation, without end
 * tags; an element and the text that is all its contents share a line. Names that
 * programs make up are numbered.
 */
#ifndef KERNEL_COMPARE_MARKUP_H
#define KERNEL_COMPARE_MARKUP_H

#include <stdbool.h>

#include <libxml/parser.h>

#include "protocol/buffer.h"

#define MARKUP_BYTES_MAX ((size_t)32 * 1024 * 1024) /* of a document */
#define MARKUP_NODES_MAX 1000000u /* elements and attributes */
#define MARKUP_DEPTH_MAX 240u /* below the library's own 256 */
#define MARKUP_ATTRIBUTES_MAX 256u /* of an element */

struct error;

/* What an element is for the white space around it and for its text. */
enum markup_kind {
    MARKUP_BLOCK, /* white space at its borders does not show */
    MARKUP_INLINE, /* its borders are nothing */
    MARKUP_REPLACED, /* is as good as a letter: a picture, a button */
    MARKUP_BREAK, /* ends a line */
    MARKUP_KEPT, /* all its white space shows */
    MARKUP_SCRIPT, /* not shown; strings in it may name ids */
    MARKUP_STYLE, /* not shown; #name is an id, .name a class */
    MARKUP_WRAPPER, /* left out when it has no attributes, its contents stay */
    MARKUP_DROPPED /* left out with all that is in it */
};

typedef enum markup_kind markup_kind_fn(const xmlNode *element);

/* A document on its way into a parser, and what that has made of it so far; in the
 * parser's _private. */
struct markup_source {
    xmlParserCtxt *parser; /* borrowed */
    struct slice rest; /* borrowed: not yet read */
    unsigned nodes, depth;
    const char *broken; /* which bound, NULL: none */
};

/* Prepares the library, at least once for a process; it then needs no file, no socket and
 * no environment, and loads nothing that a document names. */
void markup_init(void);

/* Whether TEXT may be parsed at all. 0 or COMPARE_E_INVALID. */
int markup_check(struct slice text, struct error *err);

/* Gives the parser of ARG, a struct markup_source, the next bytes: an
 * xmlInputReadCallback.
 */
int markup_read(void *arg, char *ret, int length);

/* Tell of an element that begins or ends. False: the parser was stopped at a bound; what
 * it told of the element is gone by now. */
bool markup_begin(xmlParserCtxt *parser, unsigned attributes);
void markup_end(xmlParserCtxt *parser);

/* Appends DOCUMENT's canonical text. 0, COMPARE_E_INVALID (RET is full; nothing was
 * appended) or -ENOMEM. */
int markup_write(xmlDoc *document, markup_kind_fn *kind, struct buffer *ret,
                 struct error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * markup_names - the names that programs make up, numbered
 *
 * An id becomes id1, id2, ... in the order of the document, wherever it is referred to;
 * one that continues another (x_row0 after x) keeps what it adds. In other names a UUID
 * or a long hash becomes generated1, ...
 */
#ifndef KERNEL_COMPARE_MARKUP_NAMES_H
#define KERNEL_COMPARE_MARKUP_NAMES_H

#include "protocol/buffer.h"

struct markup_names; /* opaque */

/* Where text comes from: that says which of its words are names. */
enum markup_place {
    MARKUP_IN_ID, /* each word is an id */
    MARKUP_IN_CLASS, /* each word is a class, which may have the name of an id */
    MARKUP_IN_DATA, /* as a script; also the word that it begins with */
    MARKUP_IN_SCRIPT, /* words after a quote or # may be ids */
    MARKUP_IN_STYLE, /* words after # may be ids, those after . classes */
    MARKUP_IN_VALUE /* url(#id), #id */
};

/* 0 or -ENOMEM. */
int markup_names_create(struct markup_names **ret);
void markup_names_destroy(struct markup_names *names); /* NULL is allowed */

/* Numbers ID (any bytes but NUL). 0 or -ENOMEM. */
int markup_names_add(struct markup_names *names, const char *id);

/* Appends TEXT with names replaced. Results of buffer_append. */
int markup_names_append(struct markup_names *names, struct buffer *ret, struct slice text,
                        enum markup_place place);

#endif

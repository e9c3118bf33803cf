/* SPDX-License-Identifier: MIT */
/*
 * carriage - text with carriage returns and backspaces, as a front end ends up showing it
 *
 * "\r" goes back to the beginning of the line, "\b" one character back (not beyond it);
 * what is written there replaces what stood there, character by character (code points;
 * SGR sequences take no place). "\r\n" is a line end.
 */
#ifndef PROTOCOL_CARRIAGE_H
#define PROTOCOL_CARRIAGE_H

#include "protocol/buffer.h"

/* Appends TEXT (valid UTF-8) rendered. Results of buffer_append. */
int carriage_render(struct slice text, struct buffer *ret);

#endif

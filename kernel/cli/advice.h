/* SPDX-License-Identifier: MIT */
/*
 * advice - a server's words for somebody at a command line
 *
 * A server names requests of the protocol; here they are the commands that send them.
 */
#ifndef KERNEL_CLI_ADVICE_H
#define KERNEL_CLI_ADVICE_H

#include "protocol/buffer.h"

/* Appends TEXT as one harmless line. 0, BUFFER_E_FULL, < 0. */
int advice_append(struct buffer *ret, const char *text);

/* Logs it, behind NAME of a command. */
void advice_tell(const char *name, const char *text);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * ask - a line from a person, or from a pipe, without waiting for it
 *
 * A terminal that was told not to echo is put right by ask_end.
 */
#ifndef KERNEL_CLI_ASK_H
#define KERNEL_CLI_ASK_H

#include <stdbool.h>
#include <termios.h>

#include "protocol/buffer.h"

#define ASK_LINE_BYTES_MAX ((size_t)1024 * 1024)
#define ASK_END_OF_INPUT "\x04" /* what Jupyter takes for it */

enum { ASK_E_AGAIN = 1 }; /* the line is not whole yet */

struct ask {
    int fd; /* borrowed */
    bool is_terminal;
    bool ended; /* nothing more will come */
    bool silent; /* the terminal does not echo: SAVED is how it was */
    struct termios saved;
    struct buffer line; /* owned: read, and not yet given out */
};

void ask_init(struct ask *ask, int fd);
void ask_fini(struct ask *ask);

/* A question was asked. PASSWORD: the terminal shall not show the answer. */
void ask_begin(struct ask *ask, bool password);

/* The terminal is as it was. Harmless when repeated. */
void ask_end(struct ask *ask);

/* Reads what there is (blocks if there is nothing, but takes a line that is there already
 * without reading). Appends the line without its end to RET, as UTF-8; at the end of all
 * input ASK_END_OF_INPUT. 0, ASK_E_AGAIN, < 0. */
int ask_read(struct ask *ask, struct buffer *ret);

/* Whether ask_read has something without reading. */
bool ask_has_line(const struct ask *ask);

#endif

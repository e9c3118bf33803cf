/* SPDX-License-Identifier: MIT */
/*
 * screen - stdout and stderr of a command, and what a terminal shows of them
 *
 * Knows where the cursor is, so that what was printed can be taken back: a progress bar,
 * a line that says how long something has taken. Writes through a function of the
 * caller's; does no I/O itself. Where both streams are terminals they are one.
 */
#ifndef KERNEL_CLI_SCREEN_H
#define KERNEL_CLI_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/cli/printable.h"
#include "protocol/buffer.h"

enum screen_stream { SCREEN_OUT, SCREEN_ERR, SCREEN_STREAMS };

/* Writes all of TEXT. Its results other than 0 are passed on. */
typedef int screen_write_fn(enum screen_stream stream, struct slice text, void *arg);

/* Plain data. */
struct screen_options {
    bool is_terminal[SCREEN_STREAMS];
    bool can_move; /* the terminal has a cursor to move (TERM is not dumb) */
    bool colours; /* of what we colour ourselves */
    unsigned columns, rows; /* of the terminal */
    screen_write_fn *write;
    void *arg;
};

struct screen {
    struct screen_options options;
    struct printable filters[SCREEN_STREAMS];
    char last[SCREEN_STREAMS]; /* byte written to each; '\n' at first */
    uint64_t row; /* lines that the cursor went down since the beginning */
    uint64_t known_row; /* how far up the lines are counted */
    unsigned column;
    bool has_status; /* a status line stands where the cursor is */
    struct buffer text; /* owned: what is about to be written */
};

void screen_init(struct screen *screen, const struct screen_options *options);
void screen_fini(struct screen *screen);
void screen_resize(struct screen *screen, unsigned columns, unsigned rows);

/* The functions below return 0, the positive results of the caller's function, or < 0. */

/* Text of the sandbox, UTF-8: as it is, or made harmless for a terminal. */
int screen_print(struct screen *screen, enum screen_stream stream, struct slice text);

/* The same without colours, unless they are wanted: tracebacks. */
int screen_print_coloured(struct screen *screen, enum screen_stream stream,
                          struct slice text);

/* What we have made ourselves, such as an image of unknown height: nothing above it can
 * be taken back any more. */
int screen_print_raw(struct screen *screen, enum screen_stream stream, struct slice text);

/* Ends the line that STREAM is in, if it is in one. */
int screen_begin_line(struct screen *screen, enum screen_stream stream);

/* The terminal has echoed what a person typed. */
void screen_note_typed(struct screen *screen, struct slice text);

/* Shows TEXT (ASCII, one line) on the terminal's last line until something else is
 * printed. Nothing happens where there is no place for it. */
int screen_show_status(struct screen *screen, const char *text);
int screen_hide_status(struct screen *screen);

/* Takes back what stdout's terminal shows from the beginning of line ROW on. Returns
 * false if that has scrolled away, or cannot be done: nothing was changed then. RESULT:
 * of the caller's function. */
bool screen_erase(struct screen *screen, uint64_t row, int *ret_result);

/* Resets colours and takes the status line away. */
int screen_finish(struct screen *screen);

#endif

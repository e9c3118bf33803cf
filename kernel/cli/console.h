/* SPDX-License-Identifier: MIT */
/*
 * console - the real streams, terminal and signals of a command
 *
 * While a console lives, the signals that end a program come as events, so that nothing
 * is left as it should not be: no silent terminal, no status line. A write waits for its
 * reader and for signals at the same time.
 */
#ifndef KERNEL_CLI_CONSOLE_H
#define KERNEL_CLI_CONSOLE_H

#include <signal.h>
#include <stdbool.h>

#include "kernel/cli/ask.h"
#include "kernel/cli/screen.h"

struct error;

/* A signal has come: its number. Returns 0, or a positive result that ends what runs. */
typedef int console_signal_fn(int signal, void *arg);

struct console {
    struct screen screen;
    struct ask ask; /* of stdin */
    int signals; /* owned: a signalfd ... */
    sigset_t watched; /* ... of these */
    console_signal_fn *on_signal; /* NULL: signals wait in SIGNALS */
    void *arg;
    int stop; /* positive: what is returned when a stream cannot be written, ... */
    int failure; /* ... which this errno was */
};

/* Blocks the signals for the whole process, but for those that it was started to ignore:
 * there must be no other threads yet. STOP: see above. 0 or < 0. */
int console_init(struct console *console, int stop, struct error *err);
void console_fini(struct console *console);

/* From now on ^Z leaves the terminal as it was found, for as long as we are stopped. */
int console_hold_stops(struct console *console);

/* Whether the terminal is ours now, and not a shell's that has us in the background. */
bool console_is_in_front(void);

/* Takes one signal from the queue to on_signal; returns what that does. One that stops us
 * is obeyed here. */
int console_take_signal(struct console *console);

/* The size of the terminal may have changed. */
void console_resize(struct console *console);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * measure - what the benchmark's programs share: a clock, samples, commands
 *
 * Each program is driven line by line on its standard input, so that the script can let
 * several take turns: one command a line, answered by one line of JSON. A failure ends
 * the program with a sentence on stderr: half a measurement is none.
 */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stddef.h>

/* Prints "bench: " and the sentence, and exits with 1. */
_Noreturn __attribute__((format(printf, 1, 2))) void measure_die(const char *format, ...);

/* CLOCK_MONOTONIC, microseconds. */
double measure_now_us(void);

/* Touches and frees BYTES, so that the host of a virtual machine has given the memory
 * that is measured later: its first touch costs several times an ordinary fault. */
void measure_touch(size_t bytes);

/* Microseconds, in the order of measurement. Zeroed: none yet. */
struct samples {
    double *us; /* owned */
    size_t count, capacity;
};

void samples_add(struct samples *samples, double us);
void samples_fini(struct samples *samples);

/* Prints "NAME": [...], without anything around it. */
void samples_print(const char *name, const struct samples *samples);

/* TEXT is what follows the command's name. Prints the members of one JSON object. */
typedef void measure_fn(void *arg, char *text);

struct measure_command {
    const char *name;
    measure_fn *fn;
};

/* Obeys the lines of standard input until its end. */
void measure_serve(const struct measure_command *commands, size_t count, void *arg);

/* The next word of *TEXT, which moves on; dies when there is none. */
const char *measure_word(char **text);
size_t measure_number(char **text);

#endif

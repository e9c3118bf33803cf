/* SPDX-License-Identifier: MIT */
#include "tests/bench/measure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE_BYTES 4096

void
measure_die(const char *format, ...)
{
    va_list args;

    fputs("bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

double
measure_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

void
measure_touch(size_t bytes)
{
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        measure_die("no %zu bytes of memory to touch", bytes);
    for (size_t at = 0; at < bytes; at += PAGE_BYTES)
        ((volatile char *)memory)[at] = 1;
    munmap(memory, bytes);
}

void
samples_add(struct samples *samples, double us)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity == 0 ? 64 : 2 * samples->capacity;
        samples->us = reallocarray(samples->us, samples->capacity, sizeof *samples->us);
        if (samples->us == NULL)
            measure_die("out of memory");
    }
    samples->us[samples->count++] = us;
}

void
samples_fini(struct samples *samples)
{
    free(samples->us);
    *samples = (struct samples){ 0 };
}

void
samples_print(const char *name, const struct samples *samples)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < samples->count; i++)
        printf("%s%.1f", i == 0 ? "" : ", ", samples->us[i]);
    putchar(']');
}

static void
obey(const struct measure_command *commands, size_t count, void *arg, char *line)
{
    const char *name = measure_word(&line);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            putchar('{');
            commands[i].fn(arg, line);
            puts("}");
            fflush(stdout);
            return;
        }
    }
    measure_die("no command %s", name);
}

void
measure_serve(const struct measure_command *commands, size_t count, void *arg)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    while ((length = getline(&line, &size, stdin)) > 0) {
        line[strcspn(line, "\n")] = '\0';
        obey(commands, count, arg, line);
    }
    free(line);
}

const char *
measure_word(char **text)
{
    char *word = *text + strspn(*text, " ");
    size_t length = strcspn(word, " ");

    if (length == 0)
        measure_die("a word is missing");
    *text = word + length;
    if (**text != '\0')
        *(*text)++ = '\0';
    return word;
}

size_t
measure_number(char **text)
{
    const char *word = measure_word(text);
    char *end;
    unsigned long number = strtoul(word, &end, 10);

    if (*end != '\0')
        measure_die("%s is no number", word);
    return number;
}

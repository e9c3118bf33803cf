/* SPDX-License-Identifier: MIT */
#include "kernel/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/error.h"

#define HELP_COLUMN 12

/* One argument of the command line, taken apart. */
struct parsed {
    const struct option_spec *spec; /* NULL: not in the table */
    const char *value; /* after "=" or "-f", or NULL */
    bool help;
};

static bool
is_for_words(const struct option_spec *spec)
{
    return spec->kind == OPTION_WORDS || spec->kind == OPTION_PATHS;
}

static struct parsed
parse_long(const struct option_spec *specs, size_t count, const char *text)
{
    size_t length = strcspn(text, "=");
    struct parsed parsed = { .value = text[length] == '=' ? text + length + 1 : NULL };

    parsed.help = strcmp(text, "help") == 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_for_words(&specs[i]) && strlen(specs[i].name) == length &&
            memcmp(specs[i].name, text, length) == 0)
            parsed.spec = &specs[i];
    }
    return parsed;
}

static struct parsed
parse_short(const struct option_spec *specs, size_t count, const char *text)
{
    struct parsed parsed = { .value = text[1] != '\0' ? text + 1 : NULL };

    parsed.help = strcmp(text, "h") == 0;
    for (size_t i = 0; i < count; i++) {
        if (specs[i].letter == text[0] && text[0] != '\0')
            parsed.spec = &specs[i];
    }
    return parsed;
}

static bool
choice_is_known(const char *choices, const char *value)
{
    size_t length = strlen(value);

    for (const char *at = choices; length > 0; at++) {
        size_t n = strcspn(at, "|");

        if (n == length && memcmp(at, value, n) == 0)
            return true;
        at += n;
        if (*at == '\0')
            break;
    }
    return false;
}

static const struct option_spec *
find_words(const struct option_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_for_words(&specs[i]))
            return &specs[i];
    }
    return NULL;
}

static int
store_item(struct option_list *list, const struct option_spec *spec, const char *value,
           struct error *err)
{
    if (list->count == OPTION_LIST_MAX)
        return error_set(err, OPTIONS_E_USAGE, "%s%s: given more than %d times",
                         spec->kind == OPTION_WORDS ? "" : "--", spec->name,
                         OPTION_LIST_MAX);
    list->items[list->count++] = value;
    return 0;
}

/* REST: the arguments from this one on, of which there cannot be more. */
static int
store_path(struct option_paths *paths, char *const *rest, struct error *err)
{
    size_t count = 0;

    while (paths->items == NULL && rest[count] != NULL)
        count++;
    if (paths->items == NULL)
        paths->items = calloc(count, sizeof *paths->items);
    if (paths->items == NULL)
        return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
    paths->items[paths->count++] = rest[0];
    return 0;
}

void
option_paths_fini(struct option_paths *paths)
{
    free(paths->items);
    *paths = (struct option_paths){ 0 };
}

static int
store_word(void *target, const struct option_spec *spec, char *const *rest,
           struct error *err)
{
    void *place = (char *)target + spec->offset;

    return spec->kind == OPTION_PATHS ? store_path(place, rest, err)
                                      : store_item(place, spec, rest[0], err);
}

static int
store(void *target, const struct option_spec *spec, const char *value, struct error *err)
{
    void *place = (char *)target + spec->offset;

    if (spec->kind == OPTION_FLAG) {
        if (value != NULL)
            return error_set(err, OPTIONS_E_USAGE, "--%s takes no value", spec->name);
        *(bool *)place = true;
        return 0;
    }
    if (value == NULL)
        return error_set(err, OPTIONS_E_USAGE, "--%s needs a value: --%s %s", spec->name,
                         spec->name, spec->argument);
    if (spec->kind == OPTION_CHOICE && !choice_is_known(spec->choices, value))
        return error_set(err, OPTIONS_E_USAGE, "--%s %s: it must be one of %s",
                         spec->name, value, spec->choices);
    if (spec->kind != OPTION_LIST) {
        *(const char **)place = value;
        return 0;
    }
    return store_item(place, spec, value, err);
}

static struct parsed
parse(const struct option_spec *specs, size_t count, const char *text)
{
    if (strncmp(text, "--", 2) == 0)
        return parse_long(specs, count, text + 2);
    if (text[0] == '-' && text[1] != '\0')
        return parse_short(specs, count, text + 1);
    return (struct parsed){ 0 };
}

int
options_parse(void *target, const struct option_spec *specs, size_t count,
              char *const *argv, size_t *unknown_count, struct error *err)
{
    const struct option_spec *words = find_words(specs, count);
    bool only_words = false;
    size_t unknown = 0;

    for (; *argv != NULL; argv++) {
        const char *text = *argv;
        bool is_option = !only_words && text[0] == '-' && text[1] != '\0';
        struct parsed parsed = { 0 };
        int r;

        if (words != NULL && is_option && strcmp(text, "--") == 0) {
            only_words = true;
            continue;
        }
        if (words != NULL && !is_option) {
            r = store_word(target, words, argv, err);
            if (r != 0)
                return r;
            continue;
        }
        parsed = parse(specs, count, text);
        if (parsed.help)
            return OPTIONS_E_HELP;
        if (parsed.spec == NULL) {
            if (unknown_count == NULL)
                return error_set(err, OPTIONS_E_USAGE, "unknown argument %s", text);
            unknown++;
            continue;
        }
        if (parsed.spec->kind != OPTION_FLAG && parsed.value == NULL && argv[1] != NULL)
            parsed.value = *++argv;
        r = store(target, parsed.spec, parsed.value, err);
        if (r != 0)
            return r;
    }
    if (unknown_count != NULL)
        *unknown_count = unknown;
    return 0;
}

static void
print_help(FILE *out, const char *help)
{
    while (*help != '\0') {
        size_t n = strcspn(help, "\n");

        fprintf(out, "%*s%.*s\n", HELP_COLUMN, "", (int)n, help);
        help += n;
        if (*help == '\n')
            help++;
    }
}

void
options_print(FILE *out, const struct option_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_for_words(&specs[i])) {
            fprintf(out, "      %s\n", specs[i].name);
            print_help(out, specs[i].help);
            continue;
        }
        fputs("      ", out);
        if (specs[i].letter != 0)
            fprintf(out, "-%c, ", specs[i].letter);
        fprintf(out, "--%s", specs[i].name);
        if (specs[i].choices != NULL)
            fprintf(out, " %s", specs[i].choices);
        else if (specs[i].argument != NULL)
            fprintf(out, " %s", specs[i].argument);
        fputc('\n', out);
        print_help(out, specs[i].help);
    }
    fputs("      -h, --help\n", out);
    print_help(out, "Print this text and exit.");
}

/* SPDX-License-Identifier: MIT */
#include "kernel/command.h"

#include "kernel/log.h"
#include "protocol/error.h"

void
command_print_help(const struct command *command, FILE *out)
{
    fprintf(out, "NAME\n      cellwall %s - %s\n\n", command->name, command->summary);
    fprintf(out, "SYNOPSIS\n      cellwall %s %s\n\n", command->name, command->synopsis);
    fprintf(out, "DESCRIPTION\n%s\nOPTIONS\n", command->description);
    options_print(out, command->options, command->option_count);
    fprintf(out, "\n%s", command->notes);
}

int
command_parse(const struct command *command, void *target, char *const *argv,
              size_t *unknown_count)
{
    struct error err = { 0 };
    int r = options_parse(target, command->options, command->option_count, argv,
                          unknown_count, &err);

    if (r == 0)
        return -1;
    if (r == OPTIONS_E_HELP) {
        command_print_help(command, stdout);
        return EXIT_STATUS_OK;
    }
    log_line("%s: %s; see: cellwall %s --help", command->name, err.text, command->name);
    return EXIT_STATUS_USAGE;
}

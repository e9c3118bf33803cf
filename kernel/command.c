/* SPDX-License-Identifier: MIT */
#include "kernel/command.h"

#include <string.h>

#include "kernel/log.h"
#include "protocol/error.h"

static const char *
name_part(const struct command *part)
{
    return strrchr(part->name, ' ') + 1;
}

void
command_print_help(const struct command *command, FILE *out)
{
    fprintf(out, "NAME\n      cellwall %s - %s\n\n", command->name, command->summary);
    fprintf(out, "SYNOPSIS\n      cellwall %s %s\n\n", command->name, command->synopsis);
    fprintf(out, "DESCRIPTION\n%s\n", command->description);
    if (command->parts != NULL) {
        fputs("COMMANDS\n", out);
        for (size_t i = 0; i < command->part_count; i++)
            fprintf(out, "      %-12s %s\n", name_part(command->parts[i]),
                    command->parts[i]->summary);
        fprintf(out, "\n      \"cellwall %s COMMAND --help\" describes a command.\n\n",
                command->name);
    }
    fputs("OPTIONS\n", out);
    options_print(out, command->options, command->option_count);
    fprintf(out, "\n%s", command->notes);
}

int
command_run_part(const struct command *command, char *const *argv)
{
    for (size_t i = 0; argv[0] != NULL && i < command->part_count; i++) {
        if (strcmp(argv[0], name_part(command->parts[i])) == 0)
            return command->parts[i]->run(argv + 1);
    }
    if (argv[0] != NULL &&
        (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        command_print_help(command, stdout);
        return EXIT_STATUS_OK;
    }
    if (argv[0] == NULL)
        log_line("%s: a command is missing; \"cellwall %s --help\" lists them",
                 command->name, command->name);
    else
        log_line("%s: unknown command %s; \"cellwall %s --help\" lists them",
                 command->name, argv[0], command->name);
    return EXIT_STATUS_USAGE;
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

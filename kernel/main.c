/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/command.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"

static const struct command *const commands[] = {
    &command_kernel,
    &command_serve,
    &command_run,
    &command_context,
    &command_test,
    &command_diff,
    &command_install_kernelspec,
    &command_doctor,
    &command_keygen,
    &command_inside,
};

static void
print_help(FILE *out)
{
    fputs(
        "Cellwall: a code-interpreter kernel that keeps its interpreters in a sandbox.\n"
        "\n"
        "Usage: cellwall COMMAND [ARGUMENT]...\n"
        "       cellwall --version | --help\n"
        "\n"
        "Commands:\n",
        out);
    for (size_t i = 0; i < N_ELEMENTS(commands); i++)
        if (commands[i]->summary != NULL)
            fprintf(out, "  %-20s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n\"cellwall COMMAND --help\" describes a command.\n"
          "\n"
          "Examples:\n"
          "  cellwall doctor                  what works on this machine\n"
          "  cellwall run -e '1 + 1'          a value from a sandbox\n"
          "  cellwall install-kernelspec      the kernel for JupyterLab\n",
          out);
}

static int
run_command(char *const *argv)
{
    for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
        if (strcmp(argv[0], commands[i]->name) == 0)
            return commands[i]->run(argv + 1);
    }
    log_line("unknown command %s; \"cellwall --help\" lists them", argv[0]);
    return EXIT_STATUS_USAGE;
}

/* A stream that we were started without must not become the first file that is opened:
 * its place is taken by one that cannot be used. */
static void
reserve_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

/* STATUS, unless what was printed did not arrive. */
static int
finish_stdout(int status)
{
    const char *why = fflush(stdout) != 0 ? strerror(errno) : NULL;

    if (why == NULL && ferror(stdout) == 0)
        return status;
    /* What had failed before the end has left no reason. */
    log_line("cannot write to stdout%s%s", why != NULL ? ": " : "",
             why != NULL ? why : "");
    return status == EXIT_STATUS_OK ? EXIT_STATUS_FAILED : status;
}

int
main(int argc, char **argv)
{
    int status = EXIT_STATUS_OK;

    reserve_streams();
    if (argc < 2) {
        log_line("a command is missing; \"cellwall --help\" lists them");
        return EXIT_STATUS_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0)
        puts("cellwall " CELLWALL_VERSION);
    else if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        print_help(stdout);
    else
        status = run_command(argv + 1);
    return finish_stdout(status);
}

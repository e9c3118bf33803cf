/* SPDX-License-Identifier: MIT */
/* jupyter-bridge run KERNEL_JSON: the runner. jupyter-bridge probe KERNEL_JSON: tells the
 * host what the kernel is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtimes/jupyter/probe.h"
#include "runtimes/jupyter/run.h"

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "run") == 0)
        return run_kernel(argv[2]);
    if (argc == 3 && strcmp(argv[1], "probe") == 0)
        return probe_kernel(argv[2]);
    fprintf(stderr, "usage: jupyter-bridge run|probe KERNEL_JSON\n");
    return EXIT_FAILURE;
}

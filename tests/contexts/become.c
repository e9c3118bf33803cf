/* SPDX-License-Identifier: MIT */
#include "tests/contexts/become.h"

#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORDINARY_ID 1000
#define SKIPPED 77

int
become_who(int argc, char **argv)
{
    bool user = argc > 1 && strcmp(argv[1], "user") == 0;

    if (!user && geteuid() != 0) {
        fprintf(stderr, "skipped: this needs root\n");
        return SKIPPED;
    }
    if (user && geteuid() == 0 &&
        (setgroups(0, NULL) < 0 || setresgid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) < 0 ||
         setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) < 0 ||
         setenv("HOME", "/tmp", 1) < 0)) {
        perror("becoming an ordinary user");
        return 1;
    }
    umask(022);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

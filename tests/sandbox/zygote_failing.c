/* SPDX-License-Identifier: MIT */
/*
 * A zygote whose forks fail at the call that the plan in /shared names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/sandbox/join.h"
#include "tests/sandbox/failing.h"

#define SOCKET_FD 3

static struct failing_plan *plan;
static bool under_way;

static int
count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    while (directory != NULL && readdir(directory) != NULL)
        count++;
    if (directory != NULL)
        closedir(directory);
    return count;
}

static void
before(void)
{
    plan->count = 0;
    plan->name[0] = '\0';
    plan->descriptors = count_descriptors();
    plan->children = waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
    under_way = true;
}

static void
after(void)
{
    under_way = false;
}

bool
failing_must_fail(const char *name)
{
    if (!under_way || ++plan->count != plan->wanted)
        return false;
    snprintf(plan->name, sizeof plan->name, "%s", name);
    return true;
}

int
main(void)
{
    const struct sandbox_join_hooks hooks = { .before = before,
                                              .after_in_zygote = after };
    struct sandbox_spec_copy copy;
    int fd = open("/shared/" FAILING_PLAN, O_RDWR | O_CLOEXEC);

    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || plan == MAP_FAILED)
        return 1;
    close(fd);
    if (sandbox_join_serve(SOCKET_FD, &hooks, &copy, NULL) != SANDBOX_JOIN_RUNNER)
        return 1;
    execve(copy.spec.argv[0], (char *const *)copy.spec.argv,
           (char *const *)copy.spec.env);
    return 127;
}

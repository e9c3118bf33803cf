/* SPDX-License-Identifier: MIT */
/*
 * A zygote whose runners exec what their spec says: so every test of the sandbox can be
 * made with a runner that was forked.
 */
#include <unistd.h>

#include "contexts/sandbox/join.h"

#define SOCKET_FD 3

int
main(void)
{
    const struct sandbox_join_hooks hooks = { 0 };
    struct sandbox_spec_copy copy;
    int r = sandbox_join_serve(SOCKET_FD, &hooks, &copy, NULL);

    if (r != SANDBOX_JOIN_RUNNER)
        return r == SANDBOX_JOIN_ENDED ? 0 : 1;
    execve(copy.spec.argv[0], (char *const *)copy.spec.argv,
           (char *const *)copy.spec.env);
    return 127;
}

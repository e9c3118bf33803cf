/* SPDX-License-Identifier: MIT */
/*
 * run - the life of the bridge: start the kernel, say hello, serve, end as the kernel did
 */
#ifndef RUNTIMES_JUPYTER_RUN_H
#define RUNTIMES_JUPYTER_RUN_H

/* Serves the server on fd 3; PATH is a kernel.json. Returns an exit status, or ends by
 * the signal that has ended the kernel. */
int run_kernel(const char *path);

#endif

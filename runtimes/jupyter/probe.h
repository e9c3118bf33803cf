/* SPDX-License-Identifier: MIT */
/*
 * probe - tells the host what a kernel is, and which paths it needs in the sandbox
 */
#ifndef RUNTIMES_JUPYTER_PROBE_H
#define RUNTIMES_JUPYTER_PROBE_H

/* Starts the kernel of PATH, a kernel.json, asks it what it is, and prints a JSON object:
 * what is wrong is a member of it. Returns an exit status. */
int probe_kernel(const char *path);

#endif

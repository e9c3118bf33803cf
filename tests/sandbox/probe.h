/* SPDX-License-Identifier: MIT */
/*
 * probe - what the parts of the probe program share
 */
#ifndef TESTS_SANDBOX_PROBE_H
#define TESTS_SANDBOX_PROBE_H

#include <stddef.h>

struct probe {
    const char *name;
    long (*run)(void); /* as a system call: -1 and errno */
};

struct probes {
    const struct probe *rows;
    size_t count;
};

#define ROW(name) { #name, name }
#define PROBE(name, expression)                                                          \
    static long name(void)                                                               \
    {                                                                                    \
        return (long)(expression);                                                       \
    }

/* Outside of the sandbox: a TCP port, an abstract socket, a file. */
extern const char *probe_host_port, *probe_host_name, *probe_canary;

extern const struct probes probe_refusals; /* must be refused */
extern const struct probes probe_needs; /* must work */

/* More of what is outside, for the nested tier: a socket's path, a process. */
extern const char *probe_socket_path, *probe_victim;

extern const struct probes probe_nested; /* by name: refuse_, gap_, allow_, own_ */

/* Tries the system calls of calls.def and prints what each answers. */
void probe_run_calls(void);

/* Opens (mode 0600) and closes. */
long probe_open(const char *path, int flags);
/* Makes and closes. */
long probe_socket(int family, int type, int protocol);
/* Connects to ADDRESS in FAMILY (IPv4 or IPv6) and closes. */
long probe_connect(int family, const char *address, int port);

#endif
